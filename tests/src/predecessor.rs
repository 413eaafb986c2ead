//! What vitess-operator left standing, laid on a server as it laid it, and what it still holds there.
//!
//! Must not know what our host makes of it.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use kube::api::{DynamicObject, PostParams};
use kube::{Client, ResourceExt as _};
use pilothouse::kinds::Kind;
use pilothouse::takeover::PREDECESSOR;
use serde_json::{Value, json};

use crate::standing::Tree;

/// What the API server says of an object, not its writer.
const THE_SERVERS_OWN: [&str; 6] =
    ["uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink"];

/// Creates objects as vitess-operator did, owners first, with the UIDs of this server.
///
/// # Errors
/// When one is refused, or an owner is not among them.
pub async fn lay(client: &Client, objects: &[Value]) -> anyhow::Result<()> {
    let key = |object: &Value| format!("{} {}", object["kind"], object.get("name").unwrap_or(&Value::Null));
    let mut waiting: Vec<Value> = objects.to_vec();
    let mut uids: BTreeMap<String, String> = BTreeMap::new();
    while !waiting.is_empty() {
        let (ready, later): (Vec<Value>, Vec<Value>) = waiting.into_iter().partition(|object| {
            let owner = object.pointer("/metadata/ownerReferences/0");
            owner.is_none_or(|owner| uids.contains_key(&key(owner)))
        });
        ensure!(!ready.is_empty(), "no owner of {later:?}");
        for mut object in ready {
            let metadata = object["metadata"].as_object_mut().context("an object has metadata")?;
            metadata.retain(|field, _| !THE_SERVERS_OWN.contains(&field.as_str()));
            if object["kind"] == "Service" && object["spec"]["clusterIP"] != "None" {
                let spec = object["spec"].as_object_mut().context("a Service has a spec")?;
                spec.retain(|field, _| field != "clusterIP" && field != "clusterIPs");
            }
            let is_owned = object["metadata"]["ownerReferences"].is_array();
            for owner in object["metadata"]["ownerReferences"].as_array_mut().into_iter().flatten() {
                owner["uid"] = json!(uids[&key(owner)]);
            }
            let kind = object["kind"].as_str().and_then(Kind::of).context("a kind that we know")?;
            let writer = if is_owned { PREDECESSOR } else { "kubectl" };
            let params = PostParams { field_manager: Some(writer.to_owned()), ..PostParams::default() };
            let object: DynamicObject = serde_json::from_value(object)?;
            let namespace = object.namespace().context("it stands in a namespace")?;
            let made = kind.api(client, &namespace).create(&params, &object).await?;
            let made_key = key(&json!({ "kind": kind.as_str(), "name": made.name_any() }));
            uids.insert(made_key, made.uid().context("the server gives one")?);
        }
        waiting = later;
    }
    Ok(())
}

/// Objects of which the operator still holds fields; runs of vtbackup apart, which end and go.
#[must_use]
pub fn held(tree: &Tree) -> Vec<&(String, String)> {
    let holds = |object: &Value| {
        let entries = object.pointer("/metadata/managedFields").and_then(Value::as_array);
        entries.into_iter().flatten().any(|entry| entry["manager"] == PREDECESSOR)
    };
    let runs = |object: &Value| object["metadata"]["labels"]["planetscale.com/component"] == "vtbackup";
    tree.iter().filter(|(_, object)| holds(object) && !runs(object)).map(|(key, _)| key).collect()
}
