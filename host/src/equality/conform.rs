//! What was rendered, in the words of what is there.
//!
//! Where both mean the same, the live spelling and the live order are taken: applying the
//! result changes only what [`super::differences`] tells, and never restarts a container
//! because `1Gi` stood there as `1024Mi`.

use serde_json::{Map, Value};

use super::compare::equal;
use super::lists::{self, Shape, is_default, place};
use super::path::Path;
use super::{Live, stands};

/// The rendered object as it should be applied over `live`.
#[must_use]
pub fn conformed(rendered: &Value, live: &dyn Live) -> Value {
    let Some(fields) = rendered.as_object() else { return rendered.clone() };
    let conform = |(name, wanted): (&String, &Value)| {
        let value = match live.field(name) {
            Some(has) if name != "apiVersion" && name != "kind" => {
                conform(&Path::Root(name), wanted, has, Merged::ByField)
            }
            _ => wanted.clone(),
        };
        (name.clone(), value)
    };
    Value::Object(fields.iter().map(conform).collect())
}

/// How the API server takes what is applied at a place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Merged {
    /// What is not said stays.
    ByField,
    /// What is not said goes: the place is in a list that is replaced whole.
    Whole,
}

fn conform(path: &Path<'_>, wanted: &Value, has: &Value, merged: Merged) -> Value {
    match (wanted, has) {
        (Value::Null, _) => Value::Null,
        _ if stands::as_it_is(path) => has.clone(),
        (Value::Object(wanted), Value::Object(has)) => Value::Object(map(path, wanted, has, merged)),
        (Value::Array(wanted), Value::Array(has)) => Value::Array(list(path, wanted, has, merged)),
        (wanted, has) if equal(path, wanted, has) => has.clone(),
        (wanted, _) => wanted.clone(),
    }
}

fn map(
    path: &Path<'_>,
    wanted: &Map<String, Value>,
    has: &Map<String, Value>,
    merged: Merged,
) -> Map<String, Value> {
    let field = |(name, wanted): (&String, &Value)| {
        let there = has.get(name);
        let value = there
            .map_or_else(|| wanted.clone(), |has| conform(&Path::Field(path, name), wanted, has, merged));
        (name.clone(), value)
    };
    let mut fields: Map<String, Value> = wanted.iter().map(field).collect();
    if merged == Merged::Whole {
        let says_nothing =
            has.iter().filter(|(name, value)| !fields.contains_key(*name) && is_default(name, value));
        let kept: Vec<_> = says_nothing.map(|(name, value)| (name.clone(), value.clone())).collect();
        fields.extend(kept);
    }
    fields
}

fn list(path: &Path<'_>, wanted: &[Value], has: &[Value], merged: Merged) -> Vec<Value> {
    let Some(first) = wanted.first() else { return Vec::new() };
    match lists::shape(path.name(), first) {
        Shape::Keyed { keys, ordered } => keyed(path, keys, ordered, wanted, has, merged),
        Shape::Atomic => {
            let item = |(index, wanted): (usize, &Value)| match has.get(index) {
                Some(has) => conform(&Path::Index(path, index), wanted, has, Merged::Whole),
                None => wanted.clone(),
            };
            wanted.iter().enumerate().map(item).collect()
        }
        Shape::Set | Shape::Tolerations => wanted.to_vec(),
    }
}

/// Items that are there stand in their old order; new ones follow, in their own.
fn keyed(
    path: &Path<'_>,
    keys: &[&str],
    ordered: bool,
    wanted: &[Value],
    has: &[Value],
    merged: Merged,
) -> Vec<Value> {
    let mut items: Vec<(usize, Value)> = Vec::new();
    for (index, item) in wanted.iter().enumerate() {
        let name = item.get(keys[0]).and_then(Value::as_str);
        let path = name.map_or(Path::Index(path, index), |name| Path::Item(path, name));
        items.push(match place(keys, index, item, has) {
            Some(at) => (at, conform(&path, item, &has[at], merged)),
            None => (usize::MAX, item.clone()),
        });
    }
    if !ordered {
        items.sort_by_key(|(at, _)| *at);
    }
    items.into_iter().map(|(_, value)| value).collect()
}
