//! What our manager applied last, as far as it still stands: to apply it again changes nothing.
//!
//! Owns the way back from `metadata.managedFields` to an apply configuration, so that one
//! part of it can be changed while the rest is left as it is.

use serde_json::{Map, Value};

use super::Live;
use super::lists::has_key;
use super::ownership::owned;

/// The top-level field `root` of that configuration; `None` where `manager` applied nothing of it.
#[must_use]
pub fn applied(live: &dyn Live, manager: &str, root: &str) -> Option<Value> {
    let (_, inner) = owned(live, manager).find(|(name, _)| *name == root)?;
    Some(part(inner, live.field(root)?))
}

/// What is owned of a value: all of it where it is owned as one leaf.
fn part(owned: &Value, live: &Value) -> Value {
    let Some(owned) = owned.as_object().filter(|fields| !fields.is_empty()) else { return live.clone() };
    match live {
        Value::Object(live) => {
            let field = |(key, inner): (&String, &Value)| {
                let name = key.strip_prefix("f:")?;
                Some((name.to_owned(), part(inner, live.get(name)?)))
            };
            Value::Object(owned.iter().filter_map(field).collect())
        }
        Value::Array(live) => Value::Array(live.iter().filter_map(|item| of_item(owned, item)).collect()),
        scalar => scalar.clone(),
    }
}

fn of_item(owned: &Map<String, Value>, item: &Value) -> Option<Value> {
    owned.iter().find_map(|(key, inner)| {
        if let Some(value) = key.strip_prefix("v:") {
            return (serde_json::from_str::<Value>(value).ok()? == *item).then(|| item.clone());
        }
        let key = key.strip_prefix("k:").filter(|key| has_key(item, key))?;
        let mut part = part(inner, item);
        // an item is found by its keys, whoever set them
        if let (Some(part), Ok(Value::Object(keys))) = (part.as_object_mut(), serde_json::from_str(key)) {
            for (name, value) in keys.into_iter().filter(|(name, _)| item.get(name).is_some()) {
                part.entry(name).or_insert(value);
            }
        }
        Some(part)
    })
}
