//! Brings a value to the form its schema gives it: unknown fields dropped, defaults added, and for built-in kinds
//! the types checked and the always-present fields put in.

use serde_json::{Map, Value, json};

use super::path::Path;
use super::{Schema, Type};
use crate::apiserver::quantity;

/// Drops what the schema does not know; returns the dropped fields' paths in order.
pub(crate) fn prune(value: &mut Value, schema: &Schema) -> Vec<String> {
    let mut unknown = Vec::new();
    prune_at(value, schema, &Path::Root, &mut unknown);
    unknown
}

fn prune_at(value: &mut Value, schema: &Schema, path: &Path<'_>, unknown: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            let closed = schema.values.is_none() && !schema.preserve_unknown && schema.kind == Type::Object;
            map.retain(|name, child| {
                let declared = schema.fields.get(name).map(|field| &field.schema);
                match declared.or(schema.values.as_ref()) {
                    Some(child_schema) => prune_at(child, child_schema, &Path::Field(path, name), unknown),
                    None if closed => unknown.push(Path::Field(path, name).to_string()),
                    None => {}
                }
                declared.is_some() || !closed
            });
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

/// Why a built-in's value cannot be read.
pub(crate) enum Unreadable {
    /// A value of the wrong JSON type.
    WrongType {
        path: String,
        found: &'static str,
        wanted: &'static str,
    },
    /// A text that is no base64 from this byte on.
    NoBase64 {
        at: usize,
    },
    NoQuantity,
}

/// Brings a built-in's value to its typed form: wrong types refused, `null`s dropped, always-present fields added.
pub(crate) fn to_typed(value: &mut Value, schema: &Schema) -> Result<(), Unreadable> {
    to_typed_at(value, schema, &Path::Root)
}

fn to_typed_at(value: &mut Value, schema: &Schema, path: &Path<'_>) -> Result<(), Unreadable> {
    if !fits(value, schema.kind) {
        return Err(Unreadable::WrongType {
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
        Value::String(text) if schema.kind == Type::Bytes => {
            if let Some(at) = not_base64(text) {
                return Err(Unreadable::NoBase64 { at });
            }
        }
        Value::String(_) | Value::Number(_) if schema.kind == Type::Quantity => {
            *value = Value::String(quantity::canonical(value).ok_or(Unreadable::NoQuantity)?);
        }
        Value::Object(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    Ok(())
}

/// Where a text stops to be base64 with padding, if it does.
fn not_base64(text: &str) -> Option<usize> {
    let digits = text.trim_end_matches('=');
    let digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    if let Some(at) = digits.bytes().position(|byte| !digit(byte)) {
        return Some(at);
    }
    let padded = text.len() - digits.len();
    match digits.len() % 4 {
        0 if padded == 0 => None,
        2 if padded == 2 => None,
        3 if padded == 1 => None,
        0 => Some(digits.len()),
        _ => Some(digits.len().min(text.len() / 4 * 4)),
    }
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
        Type::Array | Type::Bytes | Type::Time | Type::Any | Type::Opaque => Value::Null,
    }
}

/// Whether a value has the JSON type; `null` fits everywhere here.
pub(crate) fn fits(value: &Value, kind: Type) -> bool {
    match (kind, value) {
        (_, Value::Null)
        | (Type::Any | Type::Opaque, _)
        | (Type::Object, Value::Object(_))
        | (Type::Array, Value::Array(_))
        | (Type::String | Type::Time | Type::Bytes, Value::String(_))
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
