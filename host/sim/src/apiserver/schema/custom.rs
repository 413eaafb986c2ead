//! Reads the structural schema of a custom kind (`openAPIV3Schema`).
//!
//! What it cannot honour is a [`SchemaError::Unsupported`], never ignored.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use regex::Regex;
use serde_json::{Map, Value};

use super::builtin;
use super::{Checks, Field, ListKind, Schema, Type};

/// Why a schema was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SchemaError {
    /// The real server would take it; this one does not know how.
    #[error("{0}")]
    Unsupported(String),
    /// The real server would refuse it too.
    #[error("{path}: {why}")]
    Invalid { path: String, why: String },
}

const KNOWN: &[&str] = &[
    "type",
    "properties",
    "additionalProperties",
    "items",
    "required",
    "enum",
    "pattern",
    "format",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "uniqueItems",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "nullable",
    "default",
    "description",
    "title",
    "example",
    "externalDocs",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-embedded-resource",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
];

/// Formats that the real server checks and this one does not.
const UNCHECKED_FORMATS: &[&str] = &[
    "bsonobjectid",
    "uri",
    "email",
    "hostname",
    "cidr",
    "mac",
    "uuid",
    "uuid3",
    "uuid4",
    "uuid5",
    "isbn",
    "isbn10",
    "isbn13",
    "creditcard",
    "ssn",
    "hexcolor",
    "rgbcolor",
    "date",
    "duration",
    "datetime",
    "k8s-short-name",
    "k8s-long-name",
];

/// The schema of a whole custom object: the declared one with the object's own head added.
pub(crate) fn root(declared: &Value, path: &str) -> Result<Schema, SchemaError> {
    let mut schema = read(declared, path, true)?;
    if schema.kind != Type::Object {
        return Err(invalid(&format!("{path}.type"), "must be \"object\" at the root"));
    }
    add_head(&mut schema);
    Ok(schema)
}

fn add_head(schema: &mut Schema) {
    for name in ["apiVersion", "kind"] {
        schema.fields.insert(name.to_owned(), Field::plain(Arc::new(Schema::of(Type::String))));
    }
    schema.fields.insert("metadata".to_owned(), Field::plain(builtin::object_meta()));
}

fn invalid(path: &str, why: &str) -> SchemaError {
    SchemaError::Invalid { path: path.to_owned(), why: why.to_owned() }
}

fn flag(map: &Map<String, Value>, key: &str) -> bool {
    map.get(key).and_then(Value::as_bool).unwrap_or(false)
}

fn text<'a>(map: &'a Map<String, Value>, key: &str) -> &'a str {
    map.get(key).and_then(Value::as_str).unwrap_or("")
}

/// `structural`: outside of allOf/anyOf/oneOf/not, where a type is required and structure counts.
fn read(value: &Value, path: &str, structural: bool) -> Result<Schema, SchemaError> {
    let Some(map) = value.as_object() else {
        return Err(invalid(path, "must be an object"));
    };
    refuse_unknown(map, path)?;
    let preserve = flag(map, "x-kubernetes-preserve-unknown-fields");
    let kind = read_type(map, path, structural, preserve)?;
    let mut schema = Schema::of(kind);
    schema.preserve_unknown = preserve || kind == Type::Any;
    schema.embedded = flag(map, "x-kubernetes-embedded-resource");
    schema.nullable = flag(map, "nullable");
    schema.description = text(map, "description").to_owned();
    schema.default = map.get("default").cloned();
    schema.atomic = text(map, "x-kubernetes-map-type") == "atomic";
    read_structure(&mut schema, map, path, structural)?;
    schema.list = read_list_kind(map, &schema, path)?;
    if schema.embedded {
        add_head(&mut schema);
    }
    schema.checks = Some(Box::new(read_checks(map, path)?));
    if let Some(default) = &schema.default {
        check_default(&schema, default, path)?;
    }
    Ok(schema)
}

fn refuse_unknown(map: &Map<String, Value>, path: &str) -> Result<(), SchemaError> {
    if map.get("x-kubernetes-validations").and_then(Value::as_array).is_some_and(|rules| !rules.is_empty()) {
        return Err(SchemaError::Unsupported(format!("x-kubernetes-validations (CEL rules) at {path}")));
    }
    match map.keys().find(|key| !KNOWN.contains(&key.as_str()) && *key != "x-kubernetes-validations") {
        Some(key) => Err(SchemaError::Unsupported(format!("the schema keyword {key} at {path}"))),
        None => Ok(()),
    }
}

fn read_type(
    map: &Map<String, Value>,
    path: &str,
    structural: bool,
    preserve: bool,
) -> Result<Type, SchemaError> {
    if flag(map, "x-kubernetes-int-or-string") {
        return Ok(Type::IntOrString);
    }
    Ok(match text(map, "type") {
        "object" => Type::Object,
        "array" => Type::Array,
        "string" => Type::String,
        "integer" => Type::Integer,
        "number" => Type::Number,
        "boolean" => Type::Boolean,
        "" if preserve || !structural => Type::Any,
        "" => {
            return Err(invalid(
                &format!("{path}.type"),
                "Required value: must not be empty for specified object fields",
            ));
        }
        other => {
            let why = format!(
                "Unsupported value: \"{other}\": supported values: \"array\", \"boolean\", \"integer\", \"number\", \"object\", \"string\""
            );
            return Err(invalid(&format!("{path}.type"), &why));
        }
    })
}

fn read_structure(
    schema: &mut Schema,
    map: &Map<String, Value>,
    path: &str,
    structural: bool,
) -> Result<(), SchemaError> {
    if let Some(properties) = map.get("properties").and_then(Value::as_object) {
        for (name, declared) in properties {
            let child = read(declared, &format!("{path}.properties[{name}]"), structural)?;
            schema.fields.insert(name.clone(), Field::plain(Arc::new(child)));
        }
    }
    match map.get("additionalProperties") {
        None | Some(Value::Bool(false)) => {}
        Some(Value::Bool(true)) => schema.values = Some(Arc::new(Schema::of(Type::Any))),
        Some(declared) => {
            if !schema.fields.is_empty() {
                let why = "Forbidden: additionalProperties and properties are mutual exclusive";
                return Err(invalid(&format!("{path}.additionalProperties"), why));
            }
            let child = read(declared, &format!("{path}.additionalProperties"), structural)?;
            schema.values = Some(Arc::new(child));
        }
    }
    match map.get("items") {
        Some(declared) => {
            schema.items = Some(Arc::new(read(declared, &format!("{path}.items"), structural)?))
        }
        None if structural && schema.kind == Type::Array => {
            return Err(invalid(&format!("{path}.items"), "Required value: must be specified"));
        }
        None => {}
    }
    Ok(())
}

fn read_list_kind(map: &Map<String, Value>, schema: &Schema, path: &str) -> Result<ListKind, SchemaError> {
    match text(map, "x-kubernetes-list-type") {
        "" | "atomic" => Ok(ListKind::Atomic),
        "set" => Ok(ListKind::Set),
        "map" => {
            let listed = map.get("x-kubernetes-list-map-keys").and_then(Value::as_array);
            let keys: Vec<String> =
                listed.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
            if keys.is_empty() {
                return Err(invalid(
                    &format!("{path}.x-kubernetes-list-map-keys"),
                    "Required value: must not be empty if x-kubernetes-list-type is map",
                ));
            }
            let Some(items) = &schema.items else { return Ok(ListKind::Map(keys)) };
            let required = items.checks.as_ref().map(|checks| checks.required.as_slice()).unwrap_or_default();
            for key in &keys {
                let has_default = items.fields.get(key).is_some_and(|field| field.schema.default.is_some());
                if !has_default && !required.contains(key) {
                    let at = format!("{path}.items.properties[{key}].default");
                    return Err(invalid(
                        &at,
                        "Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property",
                    ));
                }
            }
            Ok(ListKind::Map(keys))
        }
        other => {
            let why =
                format!("Unsupported value: \"{other}\": supported values: \"atomic\", \"map\", \"set\"");
            Err(invalid(&format!("{path}.x-kubernetes-list-type"), &why))
        }
    }
}

/// The expression, compiled once a process: a simulation begins thousands of servers with the same schemas.
fn compiled(source: &str) -> Result<Regex, regex::Error> {
    static COMPILED: Mutex<BTreeMap<String, Regex>> = Mutex::new(BTreeMap::new());
    let mut known = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(expression) = known.get(source) {
        return Ok(expression.clone());
    }
    let expression = Regex::new(source)?;
    known.insert(source.to_owned(), expression.clone());
    Ok(expression)
}

fn read_checks(map: &Map<String, Value>, path: &str) -> Result<Checks, SchemaError> {
    let number = |key: &str| map.get(key).and_then(Value::as_f64);
    let count = |key: &str| map.get(key).and_then(Value::as_u64);
    let branches = |key: &str| -> Result<Vec<Schema>, SchemaError> {
        let listed = map.get(key).and_then(Value::as_array);
        let numbered = listed.into_iter().flatten().enumerate();
        numbered.map(|(at, declared)| read(declared, &format!("{path}.{key}[{at}]"), false)).collect()
    };
    let pattern = match text(map, "pattern") {
        "" => None,
        source => Some(compiled(source).map_err(|error| {
            invalid(
                &format!("{path}.pattern"),
                &format!(
                    "Invalid value: \"{source}\": must be a valid regular expression, but isn't: {error}"
                ),
            )
        })?),
    };
    let format = match text(map, "format") {
        "" => None,
        name if UNCHECKED_FORMATS.contains(&name) => {
            return Err(SchemaError::Unsupported(format!("the schema format {name} at {path}")));
        }
        name => Some(name.to_owned()),
    };
    let not = match map.get("not") {
        Some(declared) => Some(Box::new(read(declared, &format!("{path}.not"), false)?)),
        None => None,
    };
    let strings = |key: &str| -> Vec<String> {
        let listed = map.get(key).and_then(Value::as_array);
        listed.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    Ok(Checks {
        required: strings("required"),
        choices: map.get("enum").and_then(Value::as_array).cloned().unwrap_or_default(),
        pattern,
        format,
        minimum: number("minimum").map(|bound| (bound, flag(map, "exclusiveMinimum"))),
        maximum: number("maximum").map(|bound| (bound, flag(map, "exclusiveMaximum"))),
        multiple_of: number("multipleOf"),
        length: (count("minLength"), count("maxLength")),
        items: (count("minItems"), count("maxItems")),
        properties: (count("minProperties"), count("maxProperties")),
        unique_items: flag(map, "uniqueItems"),
        all_of: branches("allOf")?,
        any_of: branches("anyOf")?,
        one_of: branches("oneOf")?,
        not,
    })
}

fn check_default(schema: &Schema, default: &Value, path: &str) -> Result<(), SchemaError> {
    let mut value = default.clone();
    let unknown = super::normalise::prune(&mut value, schema);
    if let Some(field) = unknown.first() {
        return Err(invalid(
            &format!("{path}.default"),
            &format!("Invalid value: {default}: must not have unknown fields, found {field}"),
        ));
    }
    super::normalise::add_defaults(&mut value, schema);
    let mut causes = Vec::new();
    super::validate::check(&value, schema, &mut causes);
    match causes.first() {
        Some(cause) => Err(invalid(&format!("{path}.default"), &cause.message)),
        None => Ok(()),
    }
}
