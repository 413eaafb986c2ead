//! What is left of the operator that ran these clusters before: its lock, and its hold on fields.
//!
//! Owns how both are recognised. While its process lives nothing of ours is written; what it
//! wrote is then taken over object by object, with our first write to each. Must not know what
//! is rendered.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::api::{Api, DynamicObject, ListParams};
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};

use crate::kinds::{Part, Read};

/// The field manager of its writes (source: controller-runtime's default, the program's name).
pub const PREDECESSOR: &str = "vitess-operator";
/// The ConfigMap that its leader makes, owned by the leader's Pod, so that it goes with the Pod.
const LOCK: &str = "vitess-operator-lock";
/// The lock is looked at again after this long. Both ends of a hand-over are slow on purpose:
/// one operator's Pod ends, the other begins.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// The Pod that leads, `namespace/name`, if one lives. Looks in one namespace, or in all.
///
/// # Errors
/// When ConfigMaps of that name, or the Pods that own them, cannot be read.
pub async fn leader(client: &Client, namespace: Option<&str>) -> Result<Option<String>, kube::Error> {
    let locks: Api<ConfigMap> =
        namespace.map_or_else(|| Api::all(client.clone()), |n| Api::namespaced(client.clone(), n));
    let named = ListParams::default().fields(&format!("metadata.name={LOCK}"));
    for lock in locks.list(&named).await? {
        let namespace = lock.namespace().unwrap_or_default();
        let pods: Api<Pod> = Api::namespaced(client.clone(), &namespace);
        for owner in lock.owner_references().iter().filter(|owner| owner.kind == "Pod") {
            let lives = |pod: &Pod| pod.uid().as_ref() == Some(&owner.uid) && !has_ended(pod);
            if pods.get_opt(&owner.name).await?.is_some_and(|pod| lives(&pod)) {
                return Ok(Some(format!("{namespace}/{}", owner.name)));
            }
        }
    }
    Ok(None)
}

/// Waits until nobody leads by that lock.
///
/// # Errors
/// As [`leader`]: who cannot see the lock must not write.
pub async fn until_gone(client: &Client, namespace: Option<&str>) -> Result<(), kube::Error> {
    while let Some(pod) = leader(client, namespace).await? {
        tracing::warn!(pod, "vitess-operator lives: nothing is written until its Pod is gone");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    Ok(())
}

/// Waits until somebody leads by that lock; answers its Pod.
pub async fn until_back(client: &Client, namespace: Option<&str>) -> String {
    loop {
        match leader(client, namespace).await {
            Ok(Some(pod)) => return pod,
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "vitess-operator's lock cannot be read"),
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

fn has_ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|s| s.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// Whether an entry of `managedFields` is that operator's, about a part.
fn is_its(entry: &ManagedFieldsEntry, part: Part) -> bool {
    let is_status = entry.subresource.as_deref() == Some("status");
    entry.manager.as_deref() == Some(PREDECESSOR) && is_status == (part == Part::Status)
}

/// Whether it still holds fields of a part of an object.
#[must_use]
pub fn holds_fields(object: &DynamicObject, part: Part) -> bool {
    object.managed_fields().iter().any(|entry| is_its(entry, part))
}

/// The merge patch that takes its hold on a part away, on the version that was read; no field's value
/// changes. What it alone held belongs to nobody then, and stays as it is. `None` if it holds nothing.
#[must_use]
pub fn release(object: &Read, part: Part) -> Option<Value> {
    if !object.text().contains(PREDECESSOR) {
        return None;
    }
    let object = object.whole().ok()?;
    holds_fields(&object, part).then(|| {
        let kept: Vec<_> = object.managed_fields().iter().filter(|entry| !is_its(entry, part)).collect();
        json!({ "metadata": { "resourceVersion": object.resource_version(), "managedFields": kept } })
    })
}
