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
    for (name, inner) in owned(live, manager) {
        field(&Path::Root(name), inner, rendered.get(name), live.field(name), report)?;
    }
    ControlFlow::Continue(())
}

/// The top-level fields that `manager` applied, with what it owns of each.
pub(super) fn owned<'a>(live: &'a dyn Live, manager: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let metadata = live.field("metadata");
    let entries = metadata.and_then(|m| m.get("managedFields")).and_then(Value::as_array);
    let ours = move |entry: &&Value| {
        let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default();
        text("manager") == manager && text("operation") == "Apply" && text("subresource").is_empty()
    };
    let fields = entries.into_iter().flatten().filter(ours).filter_map(|e| e.get("fieldsV1")?.as_object());
    fields.flatten().filter_map(|(key, inner)| Some((key.strip_prefix("f:")?, inner)))
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
        (None, _) => report(path, Difference::Dropped(live)),
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
                (None, _) => report(&path, Difference::Dropped(&live[there]))?,
                (Some(item), Some(inner)) => walk(&path, inner, &rendered[item], &live[there], report)?,
                (Some(_), None) => {}
            }
        } else if let Some(value) = key.strip_prefix("v:") {
            let Ok(value) = serde_json::from_str::<Value>(value) else { continue };
            let holds = |list: &Value| list.as_array().is_some_and(|list| list.contains(&value));
            if holds(live) && !holds(rendered) {
                report(&Path::Item(path, &value.to_string()), Difference::Dropped(&value))?;
            }
        }
    }
    ControlFlow::Continue(())
}
