//! What stands in a namespace, and the recordings of what another operator left standing.
//!
//! Owns reading and sorting of objects. Must not know what any of them should say.

use std::collections::BTreeMap;
use std::path::PathBuf;

use kube::Client;
use kube::api::ListParams;
use pilothouse::kinds::Kind;
use serde_json::{Value, json};

use crate::repository;

/// Objects by kind and name.
pub type Tree = BTreeMap<(String, String), Value>;

/// A file of the folder of recordings, which is no part of the repository and may be missing.
#[must_use]
pub fn handed_out(path: &str) -> PathBuf {
    repository("../shared").join(path)
}

/// Every object in a namespace of the kinds that the host watches or writes.
///
/// # Errors
/// When a list is refused.
pub async fn tree(client: &Client, namespace: &str) -> Result<Tree, kube::Error> {
    let mut tree = Tree::new();
    for kind in Kind::ALL.into_iter().filter(|kind| kind.is_namespaced()) {
        for object in kind.api(client, namespace).list(&ListParams::default()).await? {
            let key = (kind.as_str().to_owned(), object.metadata.name.clone().unwrap_or_default());
            let mut object = json!(object);
            object["apiVersion"] = json!(kind.resource().api_version);
            object["kind"] = json!(kind.as_str());
            tree.insert(key, object);
        }
    }
    Ok(tree)
}

/// The children among some objects: what a manifest itself holds has neither owner nor such a label.
pub fn children(objects: impl IntoIterator<Item = Value>) -> Tree {
    let text =
        |object: &Value, at: &str| object.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned();
    let is_child = |object: &Value| {
        // Our claims outlive who asked for them.
        ["/metadata/ownerReferences/0", "/metadata/labels/planetscale.com~1cluster"]
            .into_iter()
            .any(|at| object.pointer(at).is_some())
    };
    let key = |object: &Value| (text(object, "/kind"), text(object, "/metadata/name"));
    objects.into_iter().filter(is_child).map(|object| (key(&object), object)).collect()
}
