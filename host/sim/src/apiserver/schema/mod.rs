//! The one shape that both built-in and custom kinds are described by.
//!
//! It owns types, list kinds, defaults and value checks. It must not know objects' meaning, nor the store.

pub(crate) mod builtin;
pub(crate) mod custom;
pub(crate) mod normalise;
mod path;
pub(crate) mod validate;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

/// The JSON type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    /// Anything; ownership descends into objects.
    Any,
    /// Anything; owned as a whole.
    Opaque,
    Object,
    Array,
    String,
    /// A string in RFC 3339; absent is `null`.
    Time,
    /// A string in base64.
    Bytes,
    /// A quantity: string or number.
    Quantity,
    Integer,
    Number,
    Boolean,
    IntOrString,
}

impl Type {
    /// The word the real server uses in messages and OpenAPI.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Any | Self::Opaque | Self::Object => "object",
            Self::Array => "array",
            Self::String | Self::Time | Self::Quantity | Self::Bytes => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::IntOrString => "integer or string",
        }
    }
}

impl Schema {
    /// An object of whose fields none is declared, and which keeps none.
    pub(crate) fn is_blank(&self) -> bool {
        self.kind == Type::Object
            && self.fields.is_empty()
            && self.values.is_none()
            && !self.preserve_unknown
            && !self.atomic
    }

    /// An object that has declared fields and no others.
    pub(crate) fn is_closed(&self) -> bool {
        self.kind == Type::Object
            && !self.fields.is_empty()
            && self.values.is_none()
            && !self.preserve_unknown
    }
}

/// How the items of a list are told apart.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) enum ListKind {
    /// Not at all: owned and replaced as a whole.
    #[default]
    Atomic,
    /// By value.
    Set,
    /// By these fields.
    Map(Vec<String>),
}

impl ListKind {
    /// `"type" "cell"`.
    pub(crate) fn keys_shown(&self) -> String {
        match self {
            Self::Map(keys) => keys.iter().map(|key| format!("{key:?}")).collect::<Vec<_>>().join(" "),
            Self::Atomic | Self::Set => String::new(),
        }
    }
}

/// How strategic merge patch treats a list.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) enum Strategic {
    #[default]
    Replace,
    /// A list of primitives, merged as a set.
    MergeValues,
    /// A list of objects, merged by this field.
    MergeBy(String),
}

/// A field of an object.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) schema: Arc<Schema>,
    /// Present in the JSON form even if nobody set it.
    pub(crate) always: bool,
    pub(crate) list: ListKind,
    pub(crate) strategic: Strategic,
    /// Strategic merge keeps only the keys that the patch lists.
    pub(crate) retain_keys: bool,
    /// Owned as a whole although the type is not.
    pub(crate) atomic: bool,
}

impl Field {
    pub(crate) fn plain(schema: Arc<Schema>) -> Self {
        let list = schema.list.clone();
        let atomic = schema.atomic;
        Self { schema, always: false, list, strategic: Strategic::Replace, retain_keys: false, atomic }
    }
}

/// Value checks that only custom kinds declare.
#[derive(Clone, Debug, Default)]
pub(crate) struct Checks {
    pub(crate) required: Vec<String>,
    pub(crate) choices: Vec<Value>,
    pub(crate) pattern: Option<regex::Regex>,
    pub(crate) format: Option<String>,
    pub(crate) minimum: Option<(f64, bool)>,
    pub(crate) maximum: Option<(f64, bool)>,
    pub(crate) multiple_of: Option<f64>,
    pub(crate) length: (Option<u64>, Option<u64>),
    pub(crate) items: (Option<u64>, Option<u64>),
    pub(crate) properties: (Option<u64>, Option<u64>),
    pub(crate) unique_items: bool,
    pub(crate) all_of: Vec<Schema>,
    pub(crate) any_of: Vec<Schema>,
    pub(crate) one_of: Vec<Schema>,
    pub(crate) not: Option<Box<Schema>>,
}

/// What values a place may hold.
#[derive(Clone, Debug)]
pub(crate) struct Schema {
    pub(crate) kind: Type,
    pub(crate) fields: BTreeMap<String, Field>,
    /// The values of a map; fields are looked up first.
    pub(crate) values: Option<Arc<Schema>>,
    pub(crate) items: Option<Arc<Schema>>,
    pub(crate) list: ListKind,
    pub(crate) atomic: bool,
    pub(crate) preserve_unknown: bool,
    pub(crate) embedded: bool,
    pub(crate) nullable: bool,
    pub(crate) default: Option<Value>,
    pub(crate) checks: Option<Box<Checks>>,
    pub(crate) description: String,
}

impl Schema {
    pub(crate) fn of(kind: Type) -> Self {
        Self {
            kind,
            fields: BTreeMap::new(),
            values: None,
            items: None,
            list: ListKind::Atomic,
            atomic: false,
            preserve_unknown: matches!(kind, Type::Any | Type::Opaque),
            embedded: false,
            nullable: false,
            default: None,
            checks: None,
            description: String::new(),
        }
    }
}

/// A place in an object: its schema (if any is declared) and what its field says about it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) schema: Option<&'a Schema>,
    list: &'a ListKind,
    atomic: bool,
}

impl<'a> Place<'a> {
    pub(crate) fn root(schema: &'a Schema) -> Self {
        Self { schema: Some(schema), list: &schema.list, atomic: schema.atomic }
    }

    /// A place no schema speaks of: objects are merged, lists replaced.
    pub(crate) fn undeclared() -> Self {
        Self { schema: None, list: &ListKind::Atomic, atomic: false }
    }

    fn of(schema: &'a Schema) -> Self {
        Self { schema: Some(schema), list: &schema.list, atomic: schema.atomic }
    }

    /// The declared field `name`, or what a map or an open object holds under it.
    pub(crate) fn field(&self, name: &str) -> Self {
        let Some(schema) = self.schema else { return Self::undeclared() };
        if let Some(field) = schema.fields.get(name) {
            return Self {
                schema: Some(&field.schema),
                list: &field.list,
                atomic: field.atomic || field.schema.atomic,
            };
        }
        schema.values.as_deref().map_or_else(Self::undeclared, Self::of)
    }

    /// Whether an object is declared here.
    pub(crate) fn is_object(&self) -> bool {
        self.schema.is_some_and(|schema| schema.kind == Type::Object)
    }

    /// Whether `name` is a declared field (and not a map's key).
    pub(crate) fn declares(&self, name: &str) -> bool {
        self.schema.is_some_and(|schema| schema.fields.contains_key(name))
    }

    pub(crate) fn item(&self) -> Self {
        self.schema.and_then(|schema| schema.items.as_deref()).map_or_else(Self::undeclared, Self::of)
    }

    pub(crate) fn list_kind(&self) -> &'a ListKind {
        self.list
    }

    /// Owned and replaced as a whole.
    pub(crate) fn is_atomic(&self, value: &Value) -> bool {
        let opaque = self.schema.is_some_and(|schema| schema.kind == Type::Opaque);
        match value {
            Value::Array(_) => opaque || *self.list == ListKind::Atomic,
            Value::Object(_) => opaque || self.atomic,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        }
    }

    /// The default of an item's key field, for list maps whose items leave it out.
    pub(crate) fn key_default(&self, key: &str) -> Option<&'a Value> {
        self.schema.and_then(|schema| schema.fields.get(key)).and_then(|field| field.schema.default.as_ref())
    }
}
