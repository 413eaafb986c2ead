//! What stands in a namespace, and the recordings of what another operator left standing.
//!
//! Owns reading and sorting of objects. Must not know what any of them should say.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use kube::Client;
use kube::api::ListParams;
use pilothouse::kinds::Kind;
use serde_json::{Value, json};

use crate::repository;

/// What no two servers, nor two runs on one, have alike.
const OF_ONE_RUN: [&str; 15] = [
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "lastTransitionTime",
    "time",
    "since",
    "clusterIP",
    "clusterIPs",
    "controller-uid",
    "batch.kubernetes.io/controller-uid",
    "f:controller-uid",
    "f:batch.kubernetes.io/controller-uid",
    "nextScheduledTimes",
    // Of a zone's verdict: when it was seen, and of how many nodes.
    "evidence",
    "f:evidence",
];

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

/// Takes away what no two runs have alike.
pub fn forget(value: &mut Value) {
    match value {
        Value::Object(map) => {
            let fields = std::mem::take(map).into_iter();
            let fields = fields.filter(|(name, _)| !OF_ONE_RUN.contains(&name.as_str()));
            *map = fields.map(|(name, value)| (without_uid(name), value)).collect();
            map.values_mut().for_each(forget);
            // They stand in the order of their times.
            if let Some(entries) = map.get_mut("managedFields").and_then(Value::as_array_mut) {
                entries.sort_by_key(|entry| (entry["manager"].to_string(), entry["subresource"].to_string()));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(forget),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The owner of a field by its UID, in `managedFields`.
fn without_uid(name: String) -> String {
    if name.starts_with("k:{\"uid\":") { "k:{\"uid\":…}".to_owned() } else { name }
}

/// Where two values differ: the path, what was there and what is, each `null` where it is not. What is new is
/// told field by field.
#[must_use]
pub fn differences(before: &Value, after: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare("", before, after, &mut found);
    found
}

fn compare(at: &str, before: &Value, after: &Value, found: &mut Vec<String>) {
    let is_new = |a: &Value, b: &Value| a.is_null() && b.as_object().is_some_and(|map| !map.is_empty());
    match (before, after) {
        (a, b) if a == b => {}
        (a, b) if (a.is_object() && b.is_object()) || is_new(a, b) => {
            let maps = [a, b].into_iter().filter_map(Value::as_object);
            for name in maps.flat_map(|map| map.keys()).collect::<BTreeSet<&String>>() {
                compare(&format!("{at}/{name}"), &a[name], &b[name], found);
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            let of = |items: &[Value], i| items.get(i).cloned().unwrap_or_default();
            for i in 0..a.len().max(b.len()) {
                compare(&format!("{at}/{i}"), &of(a, i), &of(b, i), found);
            }
        }
        (a, b) => found.push(format!("{at}: {a}, then {b}")),
    }
}

/// Where two trees differ.
#[must_use]
pub fn tree_differences(before: &Tree, after: &Tree) -> Vec<String> {
    let keys: BTreeSet<&(String, String)> = before.keys().chain(after.keys()).collect();
    let found = keys.into_iter().flat_map(|key| {
        let lines = match (before.get(key), after.get(key)) {
            (Some(before), Some(after)) => differences(before, after),
            (Some(_), None) => vec!["is gone".to_owned()],
            (None, _) => vec!["is new".to_owned()],
        };
        lines.into_iter().map(move |line| format!("{} {} {line}", key.0, key.1))
    });
    found.collect()
}
