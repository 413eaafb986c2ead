//! Reading and writing Kubernetes objects for the played controllers.
//!
//! Owns the JSON accessors and the one place where the world writes to the API
//! server. Must not decide anything.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::apiserver::index::Mark;
use crate::apiserver::kinds::PODS;
use crate::apiserver::{ApiServer, DeleteOptions, ObjectKey, ResourceId, Status};
use crate::walk::at;
pub(crate) use crate::walk::{array, number, text};

/// The field manager of everything that the world writes.
const MANAGER: &str = "played-world";

/// Namespace and name.
pub(crate) type Name = (String, String);

/// `metadata.name`.
pub(crate) fn name(value: &Value) -> &str {
    text(value, "/metadata/name")
}

/// `metadata.uid`.
pub(crate) fn uid(value: &Value) -> &str {
    text(value, "/metadata/uid")
}

/// Namespace and name of an object.
pub(crate) fn name_of(value: &Value) -> Name {
    (text(value, "/metadata/namespace").to_owned(), name(value).to_owned())
}

/// One label; empty if absent.
pub(crate) fn label<'a>(value: &'a Value, key: &str) -> &'a str {
    at(value, "/metadata/labels")
        .and_then(|labels| labels.get(key))
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// One annotation; empty if absent.
pub(crate) fn annotation<'a>(value: &'a Value, key: &str) -> &'a str {
    let all = at(value, "/metadata/annotations");
    all.and_then(|a| a.get(key)).and_then(Value::as_str).unwrap_or_default()
}

/// Whether deletion was asked for.
pub(crate) fn terminating(value: &Value) -> bool {
    at(value, "/metadata/deletionTimestamp").is_some_and(|v| !v.is_null())
}

/// A condition of `status.conditions`.
pub(crate) fn condition<'a>(value: &'a Value, kind: &str) -> Option<&'a Value> {
    array(value, "/status/conditions").iter().find(|c| c["type"] == kind)
}

/// The status text of a condition; empty if absent.
pub(crate) fn condition_status<'a>(value: &'a Value, kind: &str) -> &'a str {
    condition(value, kind).map_or("", |c| text(c, "/status"))
}

/// The UID of the owner whose reference says `controller: true`; empty if none.
pub(crate) fn controller_uid(value: &Value) -> &str {
    let owners = array(value, "/metadata/ownerReferences");
    owners.iter().find(|o| o["controller"] == true).map_or("", |o| text(o, "/uid"))
}

/// Whether a `LabelSelector` selects an object; a nil selector selects nothing, an empty one everything.
pub(crate) fn selects(selector: &Value, object: &Value) -> bool {
    if selector.is_null() {
        return false;
    }
    let exact = selector.get("matchLabels").and_then(Value::as_object);
    let all_exact =
        exact.is_none_or(|wanted| wanted.iter().all(|(key, value)| has_label(object, key, value.as_str())));
    all_exact && array(selector, "/matchExpressions").iter().all(|e| expression_holds(e, object))
}

fn has_label(object: &Value, key: &str, wanted: Option<&str>) -> bool {
    let labels = at(object, "/metadata/labels");
    labels.and_then(|l| l.get(key)).and_then(Value::as_str).is_some_and(|v| wanted.is_none_or(|w| v == w))
}

/// Whether one `matchExpressions` entry holds for an object's labels; an operator it does not know never holds.
pub(crate) fn expression_holds(expression: &Value, object: &Value) -> bool {
    let key = text(expression, "/key");
    let among = || array(expression, "/values").iter().any(|v| has_label(object, key, v.as_str()));
    match text(expression, "/operator") {
        "In" => among(),
        "NotIn" => !among(),
        "Exists" => has_label(object, key, None),
        "DoesNotExist" => !has_label(object, key, None),
        _ => false,
    }
}

/// Bytes (or cores, times 1000 with `milli`) of a Kubernetes quantity; `None` if it is none.
pub(crate) fn quantity(text: &str) -> Option<f64> {
    let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (digits, suffix) = text.split_at(split);
    let scale = match suffix {
        "" => 1.0,
        "m" => 0.001,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "Ki" => 1024.0,
        "Mi" => 1_048_576.0,
        "Gi" => 1_073_741_824.0,
        "Ti" => 1_099_511_627_776.0,
        "Pi" => 1_125_899_906_842_624.0,
        _ => return None,
    };
    digits.parse::<f64>().ok().map(|n| n * scale)
}

/// Whole bytes of a quantity value (text or number) at a pointer; 0 if absent or not one.
pub(crate) fn bytes_at(value: &Value, pointer: &str) -> u64 {
    let found = at(value, pointer);
    let amount = found.and_then(|v| v.as_str().map_or_else(|| v.as_f64(), quantity)).unwrap_or(0.0);
    amount.max(0.0) as u64
}

/// Bytes as the API writes them: the largest binary suffix that divides them.
pub(crate) fn quantity_of(bytes: u64) -> String {
    for (suffix, shift) in [("Ti", 40), ("Gi", 30), ("Mi", 20), ("Ki", 10)] {
        if bytes > 0 && bytes.is_multiple_of(1 << shift) {
            return format!("{}{suffix}", bytes >> shift);
        }
    }
    bytes.to_string()
}

/// The API server as the played controllers use it.
#[derive(Clone)]
pub(crate) struct Objects {
    api: ApiServer,
}

impl Objects {
    pub(crate) fn new(api: ApiServer) -> Self {
        Self { api }
    }

    pub(crate) fn api(&self) -> &ApiServer {
        &self.api
    }

    pub(crate) fn get(&self, kind: &ResourceId, at: &Name) -> Option<Arc<Value>> {
        self.api.get(&ObjectKey::new(kind.clone(), &at.0, &at.1))
    }

    pub(crate) fn all(&self, kind: &ResourceId) -> Vec<Arc<Value>> {
        self.api.list(kind, None)
    }

    pub(crate) fn within(&self, kind: &ResourceId, namespace: &str) -> Vec<Arc<Value>> {
        self.api.list(kind, Some(namespace))
    }

    /// Those of a namespace that a selector selects.
    pub(crate) fn selected(&self, kind: &ResourceId, namespace: &str, selector: &Value) -> Vec<Arc<Value>> {
        let exact = selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten();
        let mark =
            |(key, value): (&String, &Value)| Some(Mark::Label(key.clone(), value.as_str()?.to_owned()));
        let marks: Vec<Mark> = exact.filter_map(mark).collect();
        let mut found =
            if marks.is_empty() { self.within(kind, namespace) } else { self.api.marked(kind, &marks) };
        found.retain(|object| text(object, "/metadata/namespace") == namespace && selects(selector, object));
        found
    }

    /// Those of a namespace that an object controls.
    pub(crate) fn controlled(&self, kind: &ResourceId, owner: &Value) -> Vec<Arc<Value>> {
        let mut found = self.api.marked(kind, &[Mark::Controller(uid(owner).to_owned())]);
        found.retain(|object| text(object, "/metadata/namespace") == text(owner, "/metadata/namespace"));
        found
    }

    /// Pods bound to a node, ended ones included.
    pub(crate) fn pods_on(&self, node: &str) -> Vec<Arc<Value>> {
        self.api.marked(&PODS, &[Mark::Node(node.to_owned())])
    }

    pub(crate) fn create(&self, kind: &ResourceId, object: Value) -> Result<Arc<Value>, Status> {
        self.api.create(MANAGER, kind, object)
    }

    /// Merge-patches the object itself.
    pub(crate) fn patch(&self, kind: &ResourceId, at: &Name, patch: Value) -> Result<Arc<Value>, Status> {
        self.api.merge_patch(MANAGER, &ObjectKey::new(kind.clone(), &at.0, &at.1), &patch, None)
    }

    /// Merge-patches the status subresource, unless that would change nothing.
    pub(crate) fn set_status(&self, kind: &ResourceId, old: &Value, status: Value) -> Result<(), Status> {
        let same = |(key, new): (&String, &Value)| match old["status"].get(key) {
            Some(had) => had == new,
            None => new.is_null(),
        };
        if status.as_object().is_some_and(|fields| fields.iter().all(same)) {
            return Ok(());
        }
        let (namespace, name) = name_of(old);
        let key = ObjectKey::new(kind.clone(), &namespace, &name);
        let mut patch = json!({ "metadata": { "uid": uid(old) } });
        patch["status"] = status;
        self.api.merge_patch(MANAGER, &key, &patch, Some("status")).map(|_| ())
    }

    /// Gives a Pod its node.
    pub(crate) fn bind(&self, at: &Name, node: &str) -> Result<(), Status> {
        self.api.bind(&at.0, &at.1, node)
    }

    /// Deletes that very object.
    pub(crate) fn delete(&self, kind: &ResourceId, object: &Value, grace: Option<i64>) -> Result<(), Status> {
        let (namespace, name) = name_of(object);
        let options = DeleteOptions {
            grace_seconds: grace,
            uid: Some(uid(object).to_owned()),
            ..DeleteOptions::default()
        };
        self.api.delete(&ObjectKey::new(kind.clone(), &namespace, &name), &options).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_and_written() {
        assert_eq!(quantity("100m"), Some(0.1));
        assert_eq!(quantity("10Gi"), Some(10_737_418_240.0));
        assert_eq!(quantity("2x"), None);
        assert_eq!(quantity_of(10_737_418_240), "10Gi");
        assert_eq!(quantity_of(1_500), "1500");
    }

    #[test]
    fn selectors_select() {
        let object = json!({ "metadata": { "labels": { "a": "1" } } });
        assert!(selects(&json!({ "matchLabels": { "a": "1" } }), &object));
        assert!(!selects(
            &json!({ "matchExpressions": [{ "key": "a", "operator": "NotIn", "values": ["1"] }] }),
            &object
        ));
        assert!(selects(&json!({}), &object));
        assert!(!selects(&Value::Null, &object));
    }
}
