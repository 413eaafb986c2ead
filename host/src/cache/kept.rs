//! What of an object that belongs to no cluster is kept: what somebody reads.

use kube::api::{DynamicObject, ObjectMeta};
use serde_json::{Value, json};

use crate::kinds::{Kind, Read};

/// Of a Node its labels, its annotations, whether it is ready and since when; of other kinds all but the
/// bookkeeping of the API server.
///
/// # Panics
/// When the API server gave something else than an object.
pub(super) fn of(kind: Kind, object: &Read) -> Read {
    let object = object.whole().expect("an object of the API server's");
    let DynamicObject { types, metadata, data } = object;
    let metadata = ObjectMeta {
        name: metadata.name,
        uid: metadata.uid,
        labels: metadata.labels,
        annotations: metadata.annotations,
        deletion_timestamp: metadata.deletion_timestamp,
        ..ObjectMeta::default()
    };
    let data = if kind == Kind::Node { json!({ "status": { "conditions": ready(&data) } }) } else { data };
    Read::from(&DynamicObject { types, metadata, data })
}

/// The condition Ready, without the time of the kubelet's last word.
fn ready(node: &Value) -> Vec<Value> {
    let conditions = node.pointer("/status/conditions").and_then(Value::as_array);
    let ready = conditions.into_iter().flatten().filter(|condition| condition["type"] == "Ready");
    let kept = |condition: &Value| {
        let since = &condition["lastTransitionTime"];
        json!({ "type": "Ready", "status": condition["status"], "lastTransitionTime": since })
    };
    ready.map(kept).collect()
}
