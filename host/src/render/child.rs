//! What every rendered object has: identity, labels, and whose child it is.

use std::borrow::Cow;
use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use kube::Resource;
use pilothouse_core::action::ObjectRef;
use serde_json::{Map, Value, json};

use super::Rendered;

/// Labels or annotations.
pub(super) type Strings = BTreeMap<String, String>;

/// The object that owns what is rendered from it.
pub(super) struct Owner<'a> {
    api_version: Cow<'a, str>,
    kind: Cow<'a, str>,
    /// Its name.
    pub(super) name: &'a str,
    /// Its namespace, and that of its children.
    pub(super) namespace: &'a str,
    uid: &'a str,
}

impl<'a> Owner<'a> {
    /// The owner that `object` makes. What the API server has stored has a name, a namespace
    /// and a uid; an object from elsewhere may lack them, and so does then the reference.
    pub(super) fn of<K: Resource<DynamicType = ()>>(object: &'a K) -> Self {
        let meta = object.meta();
        Self {
            api_version: K::api_version(&()),
            kind: K::kind(&()),
            name: meta.name.as_deref().unwrap_or_default(),
            namespace: meta.namespace.as_deref().unwrap_or_default(),
            uid: meta.uid.as_deref().unwrap_or_default(),
        }
    }

    /// Begins a child of kind `kind`.
    pub(super) fn child(
        &'a self,
        api_version: &'a str,
        kind: &'a str,
        name: String,
        labels: Strings,
    ) -> Child<'a> {
        Child { owner: self, api_version, kind, name, labels, annotations: Strings::new(), outlives: false }
    }
}

/// A child that has no spec yet.
pub(super) struct Child<'a> {
    owner: &'a Owner<'a>,
    api_version: &'a str,
    kind: &'a str,
    name: String,
    labels: Strings,
    annotations: Strings,
    outlives: bool,
}

impl Child<'_> {
    /// With these annotations on top.
    pub(super) fn annotated(mut self, annotations: impl IntoIterator<Item = (String, String)>) -> Self {
        self.annotations.extend(annotations);
        self
    }

    /// Without the owner as such, where it is to stay when that goes.
    pub(super) fn outliving(mut self, outlives: bool) -> Self {
        self.outlives = outlives;
        self
    }

    /// The object, with nulls in `spec` taken out: null means left to its default.
    pub(super) fn with_spec(self, mut spec: Value) -> Rendered {
        prune(&mut spec);
        let mut rendered = self.bare();
        rendered.value["spec"] = spec;
        rendered
    }

    /// A Secret of these files, each a text under its key.
    pub(super) fn with_files(self, files: impl IntoIterator<Item = (String, String)>) -> Rendered {
        let mut rendered = self.bare();
        rendered.value["type"] = json!("Opaque");
        let encoded = files.into_iter().map(|(key, text)| (key, ByteString(text.into_bytes())));
        rendered.value["data"] = json!(encoded.collect::<BTreeMap<_, _>>());
        rendered
    }

    fn bare(self) -> Rendered {
        let owner = self.owner;
        let mut metadata = Map::new();
        metadata.insert("name".into(), json!(self.name));
        metadata.insert("namespace".into(), json!(owner.namespace));
        metadata.insert("labels".into(), json!(self.labels));
        if !self.annotations.is_empty() {
            metadata.insert("annotations".into(), json!(self.annotations));
        }
        if !self.outlives {
            metadata.insert(
                "ownerReferences".into(),
                json!([{
                    "apiVersion": owner.api_version, "kind": owner.kind, "name": owner.name, "uid": owner.uid,
                    "controller": true, "blockOwnerDeletion": true,
                }]),
            );
        }
        let object =
            ObjectRef { kind: self.kind.to_owned(), namespace: owner.namespace.to_owned(), name: self.name };
        let mut value = json!({ "apiVersion": self.api_version, "kind": self.kind });
        value["metadata"] = Value::Object(metadata);
        Rendered { object, value, initial: None }
    }
}

/// Takes nulls out of maps, at any depth.
pub(super) fn prune(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(prune);
        }
        Value::Array(list) => list.iter_mut().for_each(prune),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Labels from pairs.
pub(super) fn labels<const N: usize>(pairs: [(&str, &str); N]) -> Strings {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// `null` for an empty map or list, so that it is not rendered.
pub(super) fn unless_empty(value: Value) -> Value {
    let empty = match &value {
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    };
    if empty { Value::Null } else { value }
}
