//! Untyped objects as the API server sends them: the head is read, the rest stays text.
//!
//! Most events of a watch tell of what this host has just written itself, and are known by their
//! version. And the library's own reading keeps every field aside until it has seen all of them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use kube::Resource;
use kube::api::{ApiResource, DynamicObject, TypeMeta};
use kube::core::DynamicResourceScope;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// An object whose head is read.
#[derive(Debug, Clone, PartialEq)]
pub struct Read {
    /// Its metadata without what others keep books of: `managedFields`, finalizers.
    pub head: ObjectMeta,
    text: Box<str>,
}

impl Read {
    /// From its JSON.
    ///
    /// # Errors
    /// When it is no Kubernetes object.
    pub fn of(text: impl Into<Box<str>>) -> Result<Self, serde_json::Error> {
        let text = text.into();
        let mut metadata = None;
        let read = serde_json::Deserializer::from_str(&text).deserialize_map(UpToMetadata(&mut metadata));
        let metadata: HeadFields = match metadata {
            Some(metadata) => metadata,
            None => read.map(|()| HeadFields::default())?,
        };
        Ok(Self { head: metadata.into(), text })
    }

    /// All of it.
    ///
    /// # Errors
    /// When it is no Kubernetes object.
    pub fn whole(&self) -> Result<DynamicObject, serde_json::Error> {
        let Named { api_version, kind, metadata } = serde_json::from_str(&self.text)?;
        let types = api_version.zip(kind).map(|(api_version, kind)| TypeMeta { api_version, kind });
        Ok(DynamicObject { types, metadata, data: self.body()? })
    }

    /// All but its type and metadata, most of which is `managedFields`.
    ///
    /// # Errors
    /// When it is no Kubernetes object.
    pub fn body(&self) -> Result<Value, serde_json::Error> {
        serde_json::from_str(&self.text).map(|Body(body)| body)
    }

    /// As a type.
    ///
    /// # Errors
    /// When it does not fit the type: which field, and why.
    pub fn typed<K: DeserializeOwned>(&self) -> Result<K, String> {
        serde_json::from_str(&self.text).map_err(|error| {
            let said = error.to_string();
            // The place in a text that nobody sees.
            let place = format!(" at line {} column {}", error.line(), error.column());
            said.strip_suffix(&place).unwrap_or(&said).to_owned()
        })
    }

    /// Its JSON.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl From<&DynamicObject> for Read {
    fn from(object: &DynamicObject) -> Self {
        let text = serde_json::to_string(object).expect("it was read from JSON");
        Self::of(text).expect("an object")
    }
}

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::of(Box::<RawValue>::deserialize(from)?).map_err(D::Error::custom)
    }
}

/// Reads no further than needed: whoever cut the text out has seen that the rest is JSON.
struct UpToMetadata<'a>(&'a mut Option<HeadFields>);

impl<'de> Visitor<'de> for UpToMetadata<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a Kubernetes object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        while let Some(name) = fields.next_key::<String>()? {
            if name == "metadata" {
                *self.0 = Some(fields.next_value()?);
                break;
            }
            fields.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

#[derive(Default, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct HeadFields {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    owner_references: Option<Vec<OwnerReference>>,
}

impl From<HeadFields> for ObjectMeta {
    fn from(head: HeadFields) -> Self {
        Self {
            name: head.name,
            namespace: head.namespace,
            uid: head.uid,
            resource_version: head.resource_version,
            generation: head.generation,
            creation_timestamp: head.creation_timestamp,
            deletion_timestamp: head.deletion_timestamp,
            labels: head.labels,
            annotations: head.annotations,
            owner_references: head.owner_references,
            ..Self::default()
        }
    }
}

/// What names an object and keeps books of it.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    api_version: Option<String>,
    kind: Option<String>,
    #[serde(default)]
    metadata: ObjectMeta,
}

/// All the rest of an object.
struct Body(Value);

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Body;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a Kubernetes object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Body, A::Error> {
        let mut body = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            if matches!(name.as_str(), "apiVersion" | "kind" | "metadata") {
                fields.next_value::<IgnoredAny>()?;
            } else {
                body.insert(name, fields.next_value()?);
            }
        }
        Ok(Body(Value::Object(body)))
    }
}

impl Resource for Read {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(dt: &ApiResource) -> Cow<'_, str> {
        DynamicObject::kind(dt)
    }

    fn group(dt: &ApiResource) -> Cow<'_, str> {
        DynamicObject::group(dt)
    }

    fn version(dt: &ApiResource) -> Cow<'_, str> {
        DynamicObject::version(dt)
    }

    fn api_version(dt: &ApiResource) -> Cow<'_, str> {
        DynamicObject::api_version(dt)
    }

    fn plural(dt: &ApiResource) -> Cow<'_, str> {
        DynamicObject::plural(dt)
    }

    fn meta(&self) -> &ObjectMeta {
        &self.head
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.head
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_what_the_library_reads() {
        for text in [
            r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a","labels":{"b":"c"}},"spec":{"d":[1,{}]},"status":{}}"#,
            r#"{"metadata":{"name":"a","uid":"u","resourceVersion":"7"},"data":null}"#,
            r#"{"apiVersion":"v1"}"#,
        ] {
            let ours: Read = serde_json::from_str(text).unwrap();
            let theirs: DynamicObject = serde_json::from_str(text).unwrap();
            assert_eq!(ours.whole().unwrap(), theirs, "{text}");
            assert_eq!(ours.head, theirs.metadata, "{text}");
        }
        assert!(serde_json::from_str::<Read>("7").is_err());
    }
}
