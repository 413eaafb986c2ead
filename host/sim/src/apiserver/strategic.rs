//! Strategic merge patch for built-in kinds, by the merge keys of the type table.
//!
//! Directives: `$patch: delete|replace|merge`, `$deleteFromPrimitiveList/<field>`, `$setElementOrder/<field>`,
//! `$retainKeys`. Anything else with a `$` is refused.

use serde_json::{Map, Value};

use super::schema::{Field, Schema, Strategic};
use super::status::Status;

/// `object` with `patch` laid over it.
pub(crate) fn merge(object: &Value, patch: &Value, schema: &Schema) -> Result<Value, Status> {
    let (Some(object), Some(patch)) = (object.as_object(), patch.as_object()) else {
        return Err(Status::bad_request(
            "error decoding patch: json: cannot unmarshal into Go value of type map[string]interface {}",
        ));
    };
    Ok(merge_objects(object.clone(), patch, Some(schema))?
        .map_or_else(|| Value::Object(Map::new()), Value::Object))
}

/// `None` if the patch says to delete the object.
fn merge_objects(
    mut object: Map<String, Value>,
    patch: &Map<String, Value>,
    schema: Option<&Schema>,
) -> Result<Option<Map<String, Value>>, Status> {
    match patch.get("$patch").and_then(Value::as_str) {
        Some("delete") => return Ok(None),
        Some("replace") => {
            let mut whole = patch.clone();
            whole.remove("$patch");
            return Ok(Some(whole));
        }
        Some("merge") | None => {}
        Some(other) => return Err(Status::bad_request(format!("Unknown patch type: {other}"))),
    }
    if let Some(kept) = patch.get("$retainKeys").and_then(Value::as_array) {
        object.retain(|name, _| kept.iter().any(|key| key == name));
    }
    for (name, child) in patch {
        if let Some(list) = name.strip_prefix("$deleteFromPrimitiveList/") {
            delete_values(&mut object, list, child);
        } else if name.starts_with('$') {
            let known = name == "$patch" || name == "$retainKeys" || name.starts_with("$setElementOrder/");
            if !known {
                return Err(Status::unsupported(&format!("the strategic merge directive {name}")));
            }
        }
    }
    for (name, child) in patch.iter().filter(|(name, _)| !name.starts_with('$')) {
        if child.is_null() {
            object.remove(name);
            continue;
        }
        let field = schema.and_then(|schema| schema.fields.get(name));
        let order = patch.get(&format!("$setElementOrder/{name}")).and_then(Value::as_array);
        let merged = merge_field(object.remove(name), child, field, schema, order.map(Vec::as_slice))?;
        if let Some(merged) = merged {
            object.insert(name.clone(), merged);
        }
    }
    // An order may come alone: nothing but positions changed.
    for (name, order) in
        patch.iter().filter_map(|(name, order)| Some((name.strip_prefix("$setElementOrder/")?, order)))
    {
        if patch.contains_key(name) {
            continue;
        }
        let strategic = schema.and_then(|schema| schema.fields.get(name)).map(|field| &field.strategic);
        if let (Some(Value::Array(items)), Some(strategic), Some(order)) =
            (object.get_mut(name), strategic, order.as_array())
        {
            let server = std::mem::take(items);
            *items = put_in_order(server.clone(), order, &server, strategic);
        }
    }
    Ok(Some(object))
}

fn merge_field(
    old: Option<Value>,
    patch: &Value,
    field: Option<&Field>,
    parent: Option<&Schema>,
    order: Option<&[Value]>,
) -> Result<Option<Value>, Status> {
    let below =
        field.map(|field| &*field.schema).or_else(|| parent.and_then(|parent| parent.values.as_deref()));
    match patch {
        Value::Object(new) => {
            let old = match old {
                Some(Value::Object(old)) => old,
                _ => Map::new(),
            };
            Ok(merge_objects(old, new, below)?.map(Value::Object))
        }
        Value::Array(new) => {
            let old = match old {
                Some(Value::Array(old)) => old,
                _ => Vec::new(),
            };
            let replace = Strategic::Replace;
            let strategic = field.map_or(&replace, |field| &field.strategic);
            let item_schema = below.and_then(|schema| schema.items.as_deref());
            let merged = merge_lists(old.clone(), new, strategic, item_schema)?;
            if *strategic == Strategic::Replace {
                return Ok(Some(Value::Array(merged)));
            }
            Ok(Some(Value::Array(put_in_order(merged, order.unwrap_or(new), &old, strategic))))
        }
        Value::Null => Ok(None),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(Some(patch.clone())),
    }
}

fn merge_lists(
    old: Vec<Value>,
    new: &[Value],
    strategic: &Strategic,
    item_schema: Option<&Schema>,
) -> Result<Vec<Value>, Status> {
    match strategic {
        Strategic::Replace => Ok(new.to_vec()),
        Strategic::MergeValues => {
            let mut out = old;
            for value in new {
                if !out.contains(value) {
                    out.push(value.clone());
                }
            }
            Ok(out)
        }
        Strategic::MergeBy(key) => {
            let replaces = |item: &Value| {
                item["$patch"] == "replace" && item.as_object().is_some_and(|item| item.len() == 1)
            };
            let mut out = if new.iter().any(replaces) { Vec::new() } else { old };
            for item in new.iter().filter(|item| !replaces(item)) {
                let Some(wanted) = item.get(key) else {
                    return Err(Status::bad_request(format!(
                        "map: {item} does not contain declared merge key: {key}"
                    )));
                };
                let at = out.iter().position(|known| known.get(key) == Some(wanted));
                let known = at.and_then(|at| out[at].as_object().cloned());
                let patch = item.as_object().cloned().unwrap_or_default();
                let merged = merge_objects(known.unwrap_or_default(), &patch, item_schema)?;
                match (at, merged) {
                    (Some(at), Some(merged)) => out[at] = Value::Object(merged),
                    (Some(at), None) => drop(out.remove(at)),
                    (None, Some(merged)) => out.push(Value::Object(merged)),
                    (None, None) => {}
                }
            }
            Ok(out)
        }
    }
}

fn delete_values(object: &mut Map<String, Value>, name: &str, gone: &Value) {
    if let (Some(Value::Array(items)), Some(gone)) = (object.get_mut(name), gone.as_array()) {
        items.retain(|item| !gone.contains(item));
    }
}

/// Items that the order names stand in that order, the others in the server's; of one of each kind that meet, the
/// server's order decides, and what it does not know as well comes after what the order names.
fn put_in_order(items: Vec<Value>, order: &[Value], server: &[Value], strategic: &Strategic) -> Vec<Value> {
    let place = |list: &[Value], item: &Value| match strategic {
        Strategic::Replace => None,
        Strategic::MergeValues => list.iter().position(|known| known == item),
        Strategic::MergeBy(key) => list.iter().position(|known| known.get(key) == item.get(key)),
    };
    let (mut named, mut others): (Vec<Value>, Vec<Value>) =
        items.into_iter().partition(|item| place(order, item).is_some());
    named.sort_by_key(|item| place(order, item));
    others.sort_by_key(|item| place(server, item));
    let (mut named, mut others) = (named.into_iter().peekable(), others.into_iter().peekable());
    let mut out = Vec::new();
    while let Some(other) = others.peek() {
        let first = named.peek().is_none_or(|named| {
            matches!((place(server, other), place(server, named)), (Some(other), Some(named)) if other < named)
        });
        out.extend(if first { others.next() } else { named.next() });
    }
    out.extend(named);
    out
}
