//! Schemas of the built-in kinds, read from the table beside this file.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde_json::json;

use super::{Field, ListKind, Schema, Strategic, Type};

static TABLE: LazyLock<BTreeMap<&'static str, Arc<Schema>>> = LazyLock::new(read_table);

/// The schema of the built-in type `name`.
///
/// # Panics
/// If the table has no such type: a mistake in this crate, not in a request.
pub(crate) fn schema(name: &str) -> Arc<Schema> {
    match TABLE.get(name) {
        Some(schema) => Arc::clone(schema),
        None => panic!("no built-in type {name}"),
    }
}

/// `metadata` of any object.
pub(crate) fn object_meta() -> Arc<Schema> {
    schema("meta.ObjectMeta")
}

fn read_table() -> BTreeMap<&'static str, Arc<Schema>> {
    let mut lines = BTreeMap::new();
    for line in include_str!("builtin_types.txt").lines() {
        if let Some((name, fields)) = line.split_once(" = ")
            && !name.starts_with('#')
        {
            let (name, mark) = name.split_once('@').unwrap_or((name, ""));
            lines.insert(name, (mark == "atomic", fields));
        }
    }
    let mut done = BTreeMap::new();
    for name in lines.keys() {
        build(name, &lines, &mut done);
    }
    // Definitions are checked by their own reader; here they only pass through.
    let mut definition = Schema::of(Type::Object);
    add_type_meta(&mut definition);
    definition.fields.insert("metadata".to_owned(), Field::plain(Arc::clone(&done["meta.ObjectMeta"])));
    for name in ["spec", "status"] {
        definition.fields.insert(name.to_owned(), Field::plain(Arc::new(Schema::of(Type::Any))));
    }
    done.insert("CustomResourceDefinition", Arc::new(definition));
    done
}

type Lines = BTreeMap<&'static str, (bool, &'static str)>;

fn build(name: &'static str, lines: &Lines, done: &mut BTreeMap<&'static str, Arc<Schema>>) -> Arc<Schema> {
    if let Some(schema) = done.get(name) {
        return Arc::clone(schema);
    }
    let (atomic, fields) = lines[name];
    let mut schema = Schema::of(Type::Object);
    schema.atomic = atomic;
    for text in fields.split_whitespace() {
        let (field_name, field) = read_field(text, lines, done);
        schema.fields.insert(field_name.to_owned(), field);
    }
    // A root type carries its own apiVersion and kind.
    if schema.fields.get("metadata").is_some_and(|field| field.schema.fields.contains_key("managedFields"))
        && name != "PodTemplateSpec"
        && name != "batch.JobTemplateSpec"
        && name != "PersistentVolumeClaimTemplate"
    {
        add_type_meta(&mut schema);
    }
    let schema = Arc::new(schema);
    done.insert(name, Arc::clone(&schema));
    schema
}

fn add_type_meta(schema: &mut Schema) {
    for name in ["apiVersion", "kind"] {
        schema.fields.insert(name.to_owned(), Field::plain(Arc::new(Schema::of(Type::String))));
    }
}

fn read_field(
    text: &'static str,
    lines: &Lines,
    done: &mut BTreeMap<&'static str, Arc<Schema>>,
) -> (&'static str, Field) {
    let (name, mut rest) = text.split_once(':').unwrap_or((text, "any"));
    let always = rest.ends_with('!');
    rest = rest.trim_end_matches('!');
    let retain_keys = rest.ends_with("%%");
    rest = rest.trim_end_matches("%%");
    let (mut rest, strategic) = match rest.split_once('%') {
        Some((rest, "")) => (rest, Strategic::MergeValues),
        Some((rest, key)) => (rest, Strategic::MergeBy(key.to_owned())),
        None => (rest, Strategic::Replace),
    };
    let mut list = ListKind::Atomic;
    let mut atomic = false;
    if let Some((type_name, mark)) = rest.split_once('@') {
        rest = type_name;
        match mark {
            "atomic" => atomic = true,
            "set" => list = ListKind::Set,
            keys => list = ListKind::Map(keys.split(',').map(str::to_owned).collect()),
        }
    }
    let mut schema = read_type(rest, lines, done);
    if name == "protocol" {
        let mut with_default = Schema::of(Type::String);
        with_default.default = Some(json!("TCP"));
        schema = Arc::new(with_default);
    }
    (name, Field { schema, always, list, strategic, retain_keys, atomic })
}

fn read_type(
    text: &'static str,
    lines: &Lines,
    done: &mut BTreeMap<&'static str, Arc<Schema>>,
) -> Arc<Schema> {
    if let Some(item) = text.strip_prefix("[]") {
        let mut schema = Schema::of(Type::Array);
        schema.items = Some(read_type(item, lines, done));
        return Arc::new(schema);
    }
    if let Some(value) = text.strip_prefix("{}") {
        let mut schema = Schema::of(Type::Object);
        schema.values = Some(read_type(value, lines, done));
        return Arc::new(schema);
    }
    let kind = match text {
        "s" => Type::String,
        "bytes" => Type::Bytes,
        "b" => Type::Boolean,
        "i" | "i32" => Type::Integer,
        "n" => Type::Number,
        "q" => Type::Quantity,
        "x" => Type::IntOrString,
        "t" => Type::Time,
        "any" => Type::Opaque,
        name => return build(name, lines, done),
    };
    Arc::new(Schema::of(kind))
}
