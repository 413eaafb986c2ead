//! Between the form an object is kept in and the form it is served in.
//!
//! Custom kinds convert by strategy None (only `apiVersion` changes); events have two doors to one store.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::kinds::Kind;

/// Core event fields and their names at the `events.k8s.io` door.
const EVENT_FIELDS: &[(&str, &str)] = &[
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("count", "deprecatedCount"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("reportingComponent", "reportingController"),
];

fn is_second_door(kind: &Kind) -> bool {
    kind.id != kind.stored
}

/// The stored object as `version` shows it.
pub(crate) fn to_served<'a>(kind: &Kind, version: &str, stored: &'a Value) -> Cow<'a, Value> {
    if is_second_door(kind) {
        let mut value =
            rename(stored, |name| EVENT_FIELDS.iter().find(|(core, _)| *core == name).map(|(_, new)| *new));
        value["apiVersion"] = json!(kind.api_version(version));
        return Cow::Owned(value);
    }
    if version == kind.storage_version {
        return Cow::Borrowed(stored);
    }
    let mut value = stored.clone();
    value["apiVersion"] = json!(kind.api_version(version));
    Cow::Owned(value)
}

/// What a client of `version` sent, in the form it is kept in.
pub(crate) fn to_stored(kind: &Kind, served: Value) -> Value {
    let mut value = if is_second_door(kind) {
        rename(&served, |name| EVENT_FIELDS.iter().find(|(_, new)| *new == name).map(|(core, _)| *core))
    } else {
        served
    };
    value["apiVersion"] = json!(stored_api_version(kind));
    value["kind"] = json!(kind.kind);
    value
}

/// The `apiVersion` of the stored form.
pub(crate) fn stored_api_version(kind: &Kind) -> String {
    if is_second_door(kind) { "v1".to_owned() } else { kind.api_version(&kind.storage_version) }
}

fn rename(value: &Value, new_name: impl Fn(&str) -> Option<&'static str>) -> Value {
    let fields = value.as_object().into_iter().flatten();
    let map: Map<String, Value> =
        fields.map(|(name, child)| (new_name(name).unwrap_or(name).to_owned(), child.clone())).collect();
    Value::Object(map)
}
