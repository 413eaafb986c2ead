//! Reads a definition's schema as an API server does: which fields of an object does it not know?

#![allow(dead_code, reason = "each test binary uses a part")]

use std::path::PathBuf;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde::Deserialize;
use serde_json::{Map, Value};

/// The repository's `crds` folder.
pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../crds")
}

/// The documents of a YAML text.
pub(crate) fn documents(text: &str) -> Vec<Value> {
    serde_yaml_ng::Deserializer::from_str(text).map(|d| Value::deserialize(d).expect("YAML")).collect()
}

/// The schema of a definition's one version.
pub(crate) fn schema(crd: &CustomResourceDefinition) -> Value {
    let version = &crd.spec.versions[0];
    let schema = version.schema.as_ref().and_then(|s| s.open_api_v3_schema.as_ref()).expect("a schema");
    serde_json::to_value(schema).expect("JSON")
}

/// The schema of a kind.
pub(crate) fn schema_of(kind: &str) -> Value {
    let crds = pilothouse_api::crds::all().expect("definitions");
    schema(crds.iter().find(|c| c.spec.names.kind == kind).expect("one of our kinds"))
}

/// Paths of an object's fields that a schema does not know, or whose type it does not accept.
pub(crate) fn unknown(schema: &Value, object: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk(schema, object, "", &mut found);
    found
}

fn is(schema: &Value, key: &str) -> bool {
    schema.get(key) == Some(&Value::Bool(true))
}

fn walk(schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
    let kind = schema.get("type").and_then(Value::as_str);
    let fits = match (value, kind) {
        (Value::String(_) | Value::Number(_), None) => true,
        (Value::String(_), Some(kind)) => kind == "string",
        (Value::Number(_), Some(kind)) => kind == "integer" || kind == "number",
        (Value::Bool(_), Some(kind)) => kind == "boolean",
        (Value::Array(_), Some(kind)) => kind == "array",
        (Value::Object(_), Some(kind)) => kind == "object",
        (_, None) => is(schema, "x-kubernetes-preserve-unknown-fields"),
        (Value::Null, Some(_)) => false,
    };
    if !fits {
        found.push(format!("{path}: not a {kind:?}"));
        return;
    }
    match value {
        Value::Object(fields) => walk_fields(schema, fields, path, found),
        Value::Array(items) if kind == Some("array") => {
            for (index, item) in items.iter().enumerate() {
                walk(&schema["items"], item, &format!("{path}[{index}]"), found);
            }
        }
        _ => {}
    }
}

fn walk_fields(schema: &Value, fields: &Map<String, Value>, path: &str, found: &mut Vec<String>) {
    let empty = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
    for (name, value) in fields {
        let path = format!("{path}.{name}");
        match (properties.get(name), schema.get("additionalProperties")) {
            (Some(child), _) | (None, Some(child @ Value::Object(_))) => walk(child, value, &path, found),
            // Metadata is the API server's own.
            (None, _) if path.starts_with(".metadata.") => {}
            (None, _) if is(schema, "x-kubernetes-preserve-unknown-fields") => {}
            (None, _) => found.push(path),
        }
    }
    for required in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
        let name = required.as_str().expect("a name");
        if !fields.contains_key(name) {
            found.push(format!("{path}.{name}: missing"));
        }
    }
}
