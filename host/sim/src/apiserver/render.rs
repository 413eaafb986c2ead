//! From stored objects to the bytes of an answer: plain, as a table, or metadata alone.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::apply::ownership;
use super::convert;
use super::kinds::{self, Kind};
use super::read::Page;
use super::status::Status;
use super::store::Stored;
use super::table::{self, Include};

/// The form in which objects are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Plain,
    Table(Include),
    Metadata,
}

/// The first form of an Accept header that can be produced.
pub(crate) fn form_of(accept: &str, include: &str) -> Result<Form, Status> {
    if accept.trim().is_empty() {
        return Ok(Form::Plain);
    }
    for media in accept.split(',') {
        let mut parts = media.split(';').map(str::trim);
        let name = parts.next().unwrap_or("");
        if !matches!(name, "application/json" | "application/*" | "*/*") {
            continue;
        }
        let parameters: Vec<(&str, &str)> = parts.filter_map(|part| part.split_once('=')).collect();
        let parameter =
            |wanted: &str| parameters.iter().find(|(key, _)| *key == wanted).map_or("", |(_, value)| *value);
        match (parameter("as"), parameter("g"), parameter("v")) {
            ("", _, _) => return Ok(Form::Plain),
            ("Table", "meta.k8s.io", "v1") => return Include::read(include).map(Form::Table),
            ("PartialObjectMetadata" | "PartialObjectMetadataList", "meta.k8s.io", "v1") => {
                return Ok(Form::Metadata);
            }
            _ => {}
        }
    }
    if accept.contains("application/vnd.kubernetes.protobuf")
        || accept.contains("application/yaml")
        || accept.contains("application/cbor")
    {
        return Err(Status::unsupported(&format!("answers in {accept}")));
    }
    Err(Status::not_acceptable())
}

/// A list, its objects not copied.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct List<'a> {
    api_version: String,
    items: Vec<Item<'a>>,
    kind: &'a str,
    metadata: Map<String, Value>,
}

/// An object of a list. Items of typed lists carry no head of their own.
struct Item<'a> {
    object: Cow<'a, Value>,
    headless: bool,
}

impl Serialize for Item<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.object.as_object().filter(|_| self.headless) {
            Some(fields) => serializer
                .collect_map(fields.iter().filter(|(name, _)| *name != "apiVersion" && *name != "kind")),
            None => self.object.serialize(serializer),
        }
    }
}

/// What is asked for: a kind in a version and a form.
#[derive(Clone, Copy)]
pub(crate) struct Rendering<'a> {
    pub(crate) kind: &'a Kind,
    pub(crate) version: &'a str,
    pub(crate) form: Form,
    pub(crate) now_ms: i64,
}

impl Rendering<'_> {
    fn is_stored_form(&self) -> bool {
        self.form == Form::Plain
            && self.version == self.kind.storage_version
            && self.kind.id == self.kind.stored
    }

    /// One object.
    pub(crate) fn object(&self, stored: &Stored) -> Bytes {
        if self.is_stored_form() {
            return stored.bytes().clone();
        }
        Bytes::from(self.object_value(stored, true).to_string())
    }

    /// One object as a value; `headers` are a table's column definitions.
    pub(crate) fn object_value(&self, stored: &Stored, headers: bool) -> Value {
        let served = convert::to_served(self.kind, self.version, &stored.value);
        match self.form {
            Form::Plain => served.into_owned(),
            Form::Metadata => metadata_only(&served),
            Form::Table(include) => {
                let metadata = json!({ "resourceVersion": stored.rv.to_string() });
                table::table(self.kind, self.version, &[&served], metadata, include, headers, self.now_ms)
            }
        }
    }

    /// A page of a list.
    pub(crate) fn page(&self, page: &Page) -> Bytes {
        let mut metadata = Map::new();
        metadata.insert("resourceVersion".to_owned(), json!(page.rv.to_string()));
        // Lists of custom kinds name it always.
        if page.next.is_some() || self.kind.custom {
            metadata.insert("continue".to_owned(), json!(page.next.as_deref().unwrap_or("")));
        }
        if let Some(remaining) = page.remaining {
            metadata.insert("remainingItemCount".to_owned(), json!(remaining));
        }
        let served =
            page.items.iter().map(|stored| convert::to_served(self.kind, self.version, &stored.value));
        let list = match self.form {
            Form::Plain => {
                let list = List {
                    api_version: self.kind.api_version(self.version),
                    items: served.map(|object| Item { object, headless: !self.kind.custom }).collect(),
                    kind: &self.kind.list_kind,
                    metadata,
                };
                return Bytes::from(serde_json::to_vec(&list).unwrap_or_default());
            }
            Form::Metadata => {
                let items: Vec<Value> = served.map(|item| metadata_only(&item)).collect();
                json!({
                    "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
                    "metadata": metadata, "items": items,
                })
            }
            Form::Table(include) => {
                let items: Vec<_> = served.collect();
                let rows: Vec<&Value> = items.iter().map(|item| &**item).collect();
                table::table(
                    self.kind,
                    self.version,
                    &rows,
                    Value::Object(metadata),
                    include,
                    true,
                    self.now_ms,
                )
            }
        };
        Bytes::from(list.to_string())
    }

    /// What a bookmark carries: nothing but the resourceVersion.
    pub(crate) fn bookmark(&self, rv: u64, initial_end: bool) -> Value {
        let mut metadata = json!({ "resourceVersion": rv.to_string() });
        if initial_end {
            metadata["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
        }
        match self.form {
            Form::Plain => {
                // Nothing of a kind of the server's own has its fields nevertheless.
                let mut object = ownership::nothing(&self.kind.storage().schema, self.kind);
                object["kind"] = json!(self.kind.kind);
                object["apiVersion"] = json!(self.kind.api_version(self.version));
                object["metadata"] = metadata;
                // A count that the server keeps as a number, though its readers may leave it out.
                if self.kind.is(&kinds::DEPLOYMENTS) {
                    object["spec"]["replicas"] = json!(0);
                }
                object
            }
            Form::Metadata => {
                json!({ "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata })
            }
            Form::Table(_) => {
                json!({ "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "columnDefinitions": null, "rows": [] })
            }
        }
    }
}

fn metadata_only(object: &Value) -> Value {
    json!({ "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"] })
}
