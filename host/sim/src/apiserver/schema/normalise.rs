//! Brings a value to the form its schema gives it: unknown fields dropped, defaults added, and for built-in kinds
//! the types checked and the always-present fields put in.

use serde_json::{Map, Value, json};

use super::path::Path;
use super::{Schema, Type};

/// Drops what the schema does not know; returns the dropped fields' paths in order.
pub(crate) fn prune(value: &mut Value, schema: &Schema) -> Vec<String> {
    let mut unknown = Vec::new();
    prune_at(value, schema, &Path::Root, &mut unknown);
    unknown
}

fn prune_at(value: &mut Value, schema: &Schema, path: &Path<'_>, unknown: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            if schema.values.is_none() && !schema.preserve_unknown && schema.kind == Type::Object {
                map.retain(|name, _| {
                    let known = schema.fields.contains_key(name);
                    if !known {
                        unknown.push(Path::Field(path, name).to_string());
                    }
                    known
                });
            }
            for (name, child) in map.iter_mut() {
                let declared = schema.fields.get(name).map(|field| &field.schema);
                if let Some(child_schema) = declared.or(schema.values.as_ref()) {
                    prune_at(child, child_schema, &Path::Field(path, name), unknown);
                }
            }
        }
        Value::Array(items) => {
            if let Some(item_schema) = &schema.items {
                for (at, item) in items.iter_mut().enumerate() {
                    prune_at(item, item_schema, &Path::Item(path, at), unknown);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Adds the declared defaults; a `null` where none is allowed gives way to its default.
pub(crate) fn add_defaults(value: &mut Value, schema: &Schema) {
    match value {
        Value::Object(map) => {
            for (name, field) in &schema.fields {
                let Some(default) = &field.schema.default else { continue };
                let absent = match map.get(name) {
                    None => true,
                    Some(Value::Null) => !field.schema.nullable,
                    Some(_) => false,
                };
                if absent {
                    map.insert(name.clone(), default.clone());
                }
            }
            for (name, child) in map.iter_mut() {
                let declared = schema.fields.get(name).map(|field| &field.schema);
                if let Some(child_schema) = declared.or(schema.values.as_ref()) {
                    add_defaults(child, child_schema);
                }
            }
        }
        Value::Array(items) => {
            if let Some(item_schema) = &schema.items {
                for item in items {
                    add_defaults(item, item_schema);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A built-in's value of the wrong JSON type: (path, what was found, what was wanted).
pub(crate) struct WrongType {
    pub(crate) path: String,
    pub(crate) found: &'static str,
    pub(crate) wanted: &'static str,
}

/// Brings a built-in's value to its typed form: wrong types refused, `null`s dropped, always-present fields added.
pub(crate) fn to_typed(value: &mut Value, schema: &Schema) -> Result<(), WrongType> {
    to_typed_at(value, schema, &Path::Root)
}

fn to_typed_at(value: &mut Value, schema: &Schema, path: &Path<'_>) -> Result<(), WrongType> {
    if !fits(value, schema.kind) {
        return Err(WrongType {
            path: path.to_string(),
            found: json_word(value),
            wanted: schema.kind.word(),
        });
    }
    match value {
        Value::Object(map) if schema.kind == Type::Object => {
            map.retain(|_, child| !child.is_null());
            for (name, child) in map.iter_mut() {
                let declared = schema.fields.get(name).map(|field| &field.schema);
                if let Some(child_schema) = declared.or(schema.values.as_ref()) {
                    to_typed_at(child, child_schema, &Path::Field(path, name))?;
                }
            }
            // An empty list or map that may be left out is left out, as a typed server does.
            map.retain(|name, child| {
                let Some(field) = schema.fields.get(name) else { return true };
                field.always || !is_empty_collection(child, &field.schema)
            });
            add_always(map, schema);
        }
        Value::Array(items) => {
            if let Some(item_schema) = &schema.items {
                for (at, item) in items.iter_mut().enumerate() {
                    to_typed_at(item, item_schema, &Path::Item(path, at))?;
                }
            }
        }
        Value::Object(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    Ok(())
}

fn is_empty_collection(value: &Value, schema: &Schema) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty() && schema.values.is_some(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn add_always(map: &mut Map<String, Value>, schema: &Schema) {
    for (name, field) in &schema.fields {
        if field.always && !map.contains_key(name) {
            map.insert(name.clone(), zero(&field.schema));
        }
    }
}

/// The JSON form of a typed zero value: `{}` with its own always-present fields, `""`, `0`, or `null`.
pub(crate) fn zero(schema: &Schema) -> Value {
    match schema.kind {
        Type::Object if schema.values.is_some() || schema.atomic => Value::Null,
        Type::Object => {
            let mut map = Map::new();
            add_always(&mut map, schema);
            Value::Object(map)
        }
        Type::String => json!(""),
        Type::Integer | Type::Number | Type::IntOrString => json!(0),
        Type::Boolean => json!(false),
        Type::Quantity => json!("0"),
        Type::Array | Type::Time | Type::Any | Type::Opaque => Value::Null,
    }
}

/// Whether a value has the JSON type; `null` fits everywhere here.
pub(crate) fn fits(value: &Value, kind: Type) -> bool {
    match (kind, value) {
        (_, Value::Null)
        | (Type::Any | Type::Opaque, _)
        | (Type::Object, Value::Object(_))
        | (Type::Array, Value::Array(_))
        | (Type::String | Type::Time, Value::String(_))
        | (Type::Quantity | Type::IntOrString, Value::String(_))
        | (Type::Boolean, Value::Bool(_))
        | (Type::Number | Type::Quantity, Value::Number(_)) => true,
        (Type::Integer | Type::IntOrString, Value::Number(number)) => {
            number.is_i64() || number.is_u64() || number.as_f64().is_some_and(|float| float.fract() == 0.0)
        }
        _ => false,
    }
}

/// The JSON type's name.
pub(crate) fn json_word(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
