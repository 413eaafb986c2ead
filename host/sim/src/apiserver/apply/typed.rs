//! Values walked beside their schema: the fields a value sets, what two values differ in, merging and removing.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::fieldset::{FieldSet, Step};
use crate::apiserver::schema::{ListKind, Place, Type};

/// What changed between two values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Difference {
    pub(crate) added: FieldSet,
    pub(crate) modified: FieldSet,
    pub(crate) removed: FieldSet,
}

/// What of `value` is not as declared, in the real machinery's words: other JSON types, undeclared fields,
/// items of list maps that lack their keys or repeat them.
pub(crate) fn misfits(value: &Value, place: Place<'_>) -> Vec<String> {
    let mut found = Vec::new();
    misfits_at(value, place, "", &mut found);
    found
}

/// Whether `value` sets fields in an object of which none is declared: the real server owns what it then drops.
pub(crate) fn is_lost_in_the_open(value: &Value, place: Place<'_>) -> bool {
    match value {
        Value::Object(map) => {
            let lost = place.schema.is_some_and(|schema| schema.is_blank()) && !map.is_empty();
            lost || map.iter().any(|(name, child)| is_lost_in_the_open(child, place.field(name)))
        }
        Value::Array(items) => items.iter().any(|item| is_lost_in_the_open(item, place.item())),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn misfits_at(value: &Value, place: Place<'_>, path: &str, found: &mut Vec<String>) {
    let Some(schema) = place.schema else { return };
    let wanted = match (schema.kind, value) {
        (_, Value::Null) | (Type::Any | Type::Opaque, _) => None,
        (Type::Object, Value::Object(_)) | (Type::Array, Value::Array(_)) => None,
        (Type::Object, _) => Some("map"),
        (Type::Array, _) => Some("list"),
        (Type::Boolean, Value::Bool(_)) | (Type::Integer | Type::Number, Value::Number(_)) => None,
        (Type::Boolean, _) => Some("boolean"),
        (Type::Integer | Type::Number, _) => Some("numeric (int or float)"),
        (Type::String | Type::Bytes | Type::Time, Value::String(_)) => None,
        (Type::String | Type::Bytes | Type::Time, _) => Some("string"),
        (Type::Quantity | Type::IntOrString, Value::Array(_) | Value::Object(_)) => Some("scalar"),
        (Type::Quantity | Type::IntOrString, _) => None,
    };
    if let Some(wanted) = wanted {
        found.push(format!("{path}: expected {wanted}, got {value}"));
        return;
    }
    match value {
        Value::Object(map) => {
            let head = |name: &str| path.is_empty() && matches!(name, "apiVersion" | "kind");
            for (name, child) in map {
                if schema.is_closed() && !place.declares(name) && !head(name) {
                    found.push(format!("{path}.{name}: field not declared in schema"));
                }
                misfits_at(child, place.field(name), &format!("{path}.{name}"), found);
            }
        }
        Value::Array(items) => misfit_items(items, place, path, found),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn misfit_items(items: &[Value], place: Place<'_>, path: &str, found: &mut Vec<String>) {
    let associative = *place.list_kind() != ListKind::Atomic;
    let mut seen = BTreeSet::new();
    for (at, item) in items.iter().enumerate() {
        let step = Step::to_item(item, place.list_kind(), &place.item());
        let shown = step.as_ref().map_or_else(|| format!("[{at}]"), Step::show);
        match step {
            Some(step) if !seen.insert(step.clone()) => {
                found.push(format!("{path}: duplicate entries for key {shown}"));
            }
            None if associative => found.push(format!(
                "{path}: element {at}: associative list with keys has an element that omits all key fields [{}] (and doesn't have default values for any key fields)",
                place.list_kind().keys_shown()
            )),
            Some(_) | None => {}
        }
        misfits_at(item, place.item(), &format!("{path}{shown}"), found);
    }
}

/// The fields that `value` sets.
pub(crate) fn fields_of(value: &Value, place: Place<'_>) -> FieldSet {
    let mut set = FieldSet::default();
    fields_into(value, place, &mut Vec::new(), &mut set);
    set
}

fn fields_into(value: &Value, place: Place<'_>, path: &mut Vec<Step>, set: &mut FieldSet) {
    if place.is_atomic(value) {
        set.insert(path);
        return;
    }
    match value {
        Value::Object(map) => {
            for (name, child) in map {
                path.push(Step::Field(name.clone()));
                fields_into(child, place.field(name), path, set);
                let empty = child.is_null() || child.as_object().is_some_and(Map::is_empty);
                if empty || !place.declares(name) {
                    set.insert(path);
                }
                path.pop();
            }
        }
        Value::Array(items) => {
            for item in items {
                if let Some(step) = Step::to_item(item, place.list_kind(), &place.item()) {
                    path.push(step);
                    fields_into(item, place.item(), path, set);
                    set.insert(path);
                    path.pop();
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => set.insert(path),
    }
}

/// What `new` has that `old` has not, and so on.
pub(crate) fn compare(old: &Value, new: &Value, place: Place<'_>) -> Difference {
    let mut difference = Difference::default();
    compare_into(Some(old), Some(new), place, &mut Vec::new(), &mut difference);
    difference
}

fn is_empty(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Object(map)) => map.is_empty(),
        Some(Value::Bool(_) | Value::Number(_) | Value::String(_)) => false,
    }
}

/// The form that decides how a pair is walked: the new one's, unless it is absent or null.
fn leading<'a>(old: Option<&'a Value>, new: Option<&'a Value>) -> Option<&'a Value> {
    new.filter(|value| !value.is_null()).or(old.filter(|value| !value.is_null()))
}

fn compare_into(
    old: Option<&Value>,
    new: Option<&Value>,
    place: Place<'_>,
    path: &mut Vec<Step>,
    out: &mut Difference,
) {
    if old == new {
        return; // most of most writes
    }
    let Some(lead) = leading(old, new) else {
        note_presence(old, new, path, out);
        return;
    };
    let walked = |value: Option<&Value>| {
        value.is_none_or(|value| {
            value.is_null() || value.is_object() == lead.is_object() && value.is_array() == lead.is_array()
        })
    };
    let container = lead.is_object() || lead.is_array();
    let both_empty = is_empty(old) && is_empty(new);
    if !container || place.is_atomic(lead) || both_empty || !walked(old) {
        match (old, new) {
            (None, Some(_)) => out.added.insert(path),
            (Some(_), None) => out.removed.insert(path),
            (Some(a), Some(b)) if a != b => out.modified.insert(path),
            _ => {}
        }
        return;
    }
    if lead.is_object() {
        let empty = Map::new();
        let old_map = old.and_then(Value::as_object).unwrap_or(&empty);
        let new_map = new.and_then(Value::as_object).unwrap_or(&empty);
        let names: std::collections::BTreeSet<&String> = old_map.keys().chain(new_map.keys()).collect();
        for name in names {
            path.push(Step::Field(name.clone()));
            compare_into(old_map.get(name), new_map.get(name), place.field(name), path, out);
            path.pop();
        }
    } else {
        let old_items = keyed(old, place);
        let new_items = keyed(new, place);
        let steps: std::collections::BTreeSet<&Step> = old_items.keys().chain(new_items.keys()).collect();
        for step in steps {
            path.push(step.clone());
            compare_into(old_items.get(step).copied(), new_items.get(step).copied(), place.item(), path, out);
            path.pop();
        }
    }
    note_presence(old, new, path, out);
}

fn note_presence(old: Option<&Value>, new: Option<&Value>, path: &[Step], out: &mut Difference) {
    match (old, new) {
        (None, Some(_)) => out.added.insert(path),
        (Some(_), None) => out.removed.insert(path),
        _ => {}
    }
}

fn keyed<'a>(value: Option<&'a Value>, place: Place<'_>) -> std::collections::BTreeMap<Step, &'a Value> {
    let items = value.and_then(Value::as_array);
    items
        .into_iter()
        .flatten()
        .filter_map(|item| Step::to_item(item, place.list_kind(), &place.item()).map(|step| (step, item)))
        .collect()
}

/// `live` with `config` laid over it.
pub(crate) fn merge(live: Option<&Value>, config: &Value, place: Place<'_>) -> Value {
    let Some(live) = live else { return config.clone() };
    if place.is_atomic(config) {
        return config.clone();
    }
    match (live, config) {
        (Value::Object(old), Value::Object(new)) => {
            let mut out = old.clone();
            for (name, child) in new {
                out.insert(name.clone(), merge(old.get(name), child, place.field(name)));
            }
            Value::Object(out)
        }
        (Value::Array(old), Value::Array(new)) => Value::Array(merge_lists(old, new, place)),
        _ => config.clone(),
    }
}

/// Shared items follow the new order; items only the old list has come where the walk through both meets them.
fn merge_lists(old: &[Value], new: &[Value], place: Place<'_>) -> Vec<Value> {
    let step = |item: &Value| Step::to_item(item, place.list_kind(), &place.item());
    let old_steps: Vec<Option<Step>> = old.iter().map(step).collect();
    let new_steps: Vec<Option<Step>> = new.iter().map(step).collect();
    let twin = |at: usize| old_steps.iter().position(|step| step.is_some() && *step == new_steps[at]);
    // The next item of the new list that the old one has too.
    let shared_from = |from: usize| (from..new.len()).find(|&at| twin(at).is_some());
    let mut out = Vec::new();
    let (mut left, mut right) = (0, 0);
    while left < old.len() || right < new.len() {
        if left < old.len() {
            let waits = shared_from(right).is_some_and(|at| new_steps[at] == old_steps[left]);
            if !new_steps.contains(&old_steps[left]) {
                out.push(old[left].clone());
                left += 1;
                continue;
            }
            // Shared, but merged already or out of the new order: its place is the new list's.
            if !waits {
                left += 1;
                continue;
            }
        }
        if right < new.len() {
            let merged = twin(right).map_or_else(
                || new[right].clone(),
                |twin| merge(Some(&old[twin]), &new[right], place.item()),
            );
            out.push(merged);
            right += 1;
        }
    }
    out
}

/// `value` without the paths of `remove`; an emptied container becomes `None`.
pub(crate) fn remove(value: &Value, remove_set: &FieldSet, place: Place<'_>) -> Option<Value> {
    match value {
        Value::Object(map) => {
            if map.is_empty() || place.is_atomic(value) {
                return Some(value.clone());
            }
            let mut out = Map::new();
            for (name, child) in map {
                let step = Step::Field(name.clone());
                if remove_set.members.contains(&step) {
                    continue;
                }
                let kept = match remove_set.children.get(&step) {
                    Some(below) if !below.is_empty() => remove(child, below, place.field(name)),
                    _ => Some(child.clone()),
                };
                out.insert(name.clone(), kept.unwrap_or(Value::Null));
            }
            (!out.is_empty()).then_some(Value::Object(out))
        }
        Value::Array(items) => {
            if items.is_empty() || place.is_atomic(value) {
                return Some(value.clone());
            }
            let mut out = Vec::new();
            for item in items {
                let step = Step::to_item(item, place.list_kind(), &place.item());
                let Some(step) = step else {
                    out.push(item.clone());
                    continue;
                };
                if remove_set.members.contains(&step) {
                    continue;
                }
                match remove_set.children.get(&step) {
                    Some(below) if !below.is_empty() => {
                        out.push(remove(item, below, place.item()).unwrap_or(Value::Null));
                    }
                    _ => out.push(item.clone()),
                }
            }
            (!out.is_empty()).then_some(Value::Array(out))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Some(value.clone()),
    }
}
