//! Schemas of single fields, where the one that a Rust type implies is not wanted.
//!
//! Kubernetes' own types come without their descriptions: inlined some hundred
//! times they would make the CRDs too large for an annotation to hold.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

/// What Kubernetes accepts as a quantity, when written as a string.
const QUANTITY: &str = r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$";

/// The schema of one of Kubernetes' own types, without descriptions.
pub(crate) fn bare<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = T::json_schema(generator);
    if let Some(object) = schema.as_object_mut() {
        strip(object);
    }
    schema
}

/// A list of one of Kubernetes' own types.
pub(crate) fn bare_list<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let items = bare::<T>(generator);
    json_schema!({ "type": "array", "items": items, "x-kubernetes-list-type": "atomic" })
}

fn strip(schema: &mut Map<String, Value>) {
    let described = schema.remove("description");
    let quantity = described.as_ref().and_then(Value::as_str).is_some_and(|d| d.starts_with("Quantity"));
    if quantity && schema.get("x-kubernetes-int-or-string") == Some(&json!(true)) {
        schema.insert("pattern".into(), json!(QUANTITY));
    }
    for key in ["items", "additionalProperties"] {
        if let Some(Value::Object(child)) = schema.get_mut(key) {
            strip(child);
        }
    }
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.values_mut().filter_map(Value::as_object_mut).for_each(strip);
        // The API server takes references by name without one, for Kubernetes' own compatibility.
        let reference = properties.keys().all(|k| ["name", "key", "optional"].contains(&k.as_str()));
        if let Some(Value::Array(required)) = schema.get_mut("required").filter(|_| reference) {
            required.retain(|name| name != "name");
            if required.is_empty() {
                schema.remove("required");
            }
        }
    }
}

/// `conditions`: a list keyed by type. Only type and status are required, since
/// older objects leave the rest out.
pub(crate) fn conditions(generator: &mut SchemaGenerator) -> Schema {
    let mut items = bare::<Condition>(generator);
    items.insert("required".into(), json!(["status", "type"]));
    json_schema!({
        "type": "array", "items": items,
        "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
    })
}

/// A point in time.
pub(crate) fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "date-time" })
}

/// Points in time by name.
pub(crate) fn times(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "additionalProperties": { "type": "string", "format": "date-time" } })
}

/// A pool's name; empty unless given, since it is a key of the list of pools.
pub(crate) fn pool_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "default": "" })
}

/// A pool's type.
pub(crate) fn pool_type(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "enum": ["replica", "rdonly", "externalmaster", "externalreplica", "externalrdonly"],
    })
}

/// Hexadecimal digits of each bound of an equal partitioning.
pub(crate) fn hex_width(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "format": "int32", "minimum": 0, "maximum": 65536, "default": 0 })
}

/// How a scheduled backup is taken.
pub(crate) fn backup_method(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": ["vtbackup", "vtctldclient"], "default": "vtbackup" })
}

/// Whether two runs of a schedule may overlap.
pub(crate) fn concurrency_policy(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": ["Allow", "Forbid"], "default": "Forbid" })
}

/// Minutes that a scheduled backup may take.
pub(crate) fn job_timeout(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "format": "int32", "minimum": 0, "default": 10 })
}

/// A remembered zone: what zone health keeps is its own affair, so unknown fields stay.
pub(crate) fn zone_status(_: &mut SchemaGenerator) -> Schema {
    let number = json!({ "type": "integer", "format": "int64", "minimum": 0 });
    let witnesses = json!({
        "type": "object", "required": ["up", "of"],
        "properties": { "up": number, "of": number, "since": number },
    });
    json_schema!({
        "type": "object", "required": ["name"], "x-kubernetes-preserve-unknown-fields": true,
        "properties": {
            "name": { "type": "string" },
            "state": { "type": "string" },
            "since": { "type": "integer", "format": "int64" },
            "leaningSince": { "type": "integer", "format": "int64" },
            "recoveryMs": { "type": "integer", "format": "int64" },
            "evidence": {
                "type": "object", "required": ["at", "nodes", "tablets", "gateways"],
                "properties": {
                    "at": number,
                    "nodes": witnesses,
                    "tablets": witnesses,
                    "gateways": witnesses,
                    "heardFrom": number,
                    "providerPost": { "type": "string" },
                    "blind": { "type": "boolean" },
                },
            },
        },
    })
}

/// Remembered zones, keyed by name.
pub(crate) fn zones(generator: &mut SchemaGenerator) -> Schema {
    let items = zone_status(generator);
    json_schema!({
        "type": "array", "items": items,
        "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
    })
}
