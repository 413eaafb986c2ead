//! What our manager owns in a live object, and no longer renders.
//!
//! Reads `metadata.managedFields` (FieldsV1): `f:` a field, `k:` an item of a keyed list,
//! `v:` an item of a set, `.` the thing itself.

use std::ops::ControlFlow;

use serde_json::{Map, Value};

use super::compare::{Difference, surplus};
use super::lists::{has_key, is_absent};
use super::path::Path;
use super::{Live, Report};

/// Reports each owned field that is no longer rendered.
pub(super) fn dropped(
    rendered: &Value,
    live: &dyn Live,
    manager: &str,
    report: &mut Report<'_>,
) -> ControlFlow<()> {
    let metadata = live.field("metadata");
    let entries = metadata.and_then(|m| m.get("managedFields")).and_then(Value::as_array);
    for entry in entries.into_iter().flatten() {
        let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default();
        let ours =
            text("manager") == manager && text("operation") == "Apply" && text("subresource").is_empty();
        let Some(fields) = entry.get("fieldsV1").and_then(Value::as_object).filter(|_| ours) else {
            continue;
        };
        for (key, inner) in fields {
            let Some(name) = key.strip_prefix("f:") else { continue };
            field(&Path::Root(name), inner, rendered.get(name), live.field(name), report)?;
        }
    }
    ControlFlow::Continue(())
}

fn field(
    path: &Path<'_>,
    inner: &Value,
    rendered: Option<&Value>,
    live: Option<&Value>,
    report: &mut Report<'_>,
) -> ControlFlow<()> {
    let Some(live) = live.filter(|live| !is_absent(live)) else { return ControlFlow::Continue(()) };
    match (rendered.filter(|rendered| !rendered.is_null()), inner.as_object()) {
        (None, _) => report(path, Difference::Dropped),
        (Some(rendered), Some(inner)) if !inner.is_empty() => walk(path, inner, rendered, live, report),
        // a leaf: owned as a whole
        (Some(rendered), _) => surplus(path, rendered, live, report),
    }
}

fn walk(
    path: &Path<'_>,
    owned: &Map<String, Value>,
    rendered: &Value,
    live: &Value,
    report: &mut Report<'_>,
) -> ControlFlow<()> {
    for (key, inner) in owned {
        if let Some(name) = key.strip_prefix("f:") {
            field(&Path::Field(path, name), inner, rendered.get(name), live.get(name), report)?;
        } else if let Some(key) = key.strip_prefix("k:") {
            let find = |list: &'_ Value| -> Option<usize> {
                list.as_array()?.iter().position(|item| has_key(item, key))
            };
            let Some(there) = find(live) else { continue };
            let path = Path::Item(path, key);
            match (find(rendered), inner.as_object()) {
                (None, _) => report(&path, Difference::Dropped)?,
                (Some(item), Some(inner)) => walk(&path, inner, &rendered[item], &live[there], report)?,
                (Some(_), None) => {}
            }
        } else if let Some(value) = key.strip_prefix("v:") {
            let Ok(value) = serde_json::from_str::<Value>(value) else { continue };
            let holds = |list: &Value| list.as_array().is_some_and(|list| list.contains(&value));
            if holds(live) && !holds(rendered) {
                report(&Path::Item(path, &value.to_string()), Difference::Dropped)?;
            }
        }
    }
    ControlFlow::Continue(())
}
