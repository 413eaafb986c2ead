//! A **played** provider of volumes, as a provisioner and a resizer beside the real control plane would stand in for one.
//!
//! Played: volumes for claims of the class `standard` (in the zone of the node that the scheduler selected),
//! their growth, and their end with the claim. Binding, protection and reclaim are the real controllers'.
//! Not played: time, limits, refusals. Must not know what is stored.

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{Node, PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::{CSIDriver, StorageClass};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, ResourceExt as _};
use serde_json::json;

const PROVISIONER: &str = "played.pilothouse.dev";
const ZONE: &str = "topology.kubernetes.io/zone";
/// By which the real controller asks a provisioner for a volume, once a node is selected.
const ASKED: &str = "volume.kubernetes.io/storage-provisioner";
const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";

/// The default class, and a driver that attaches nothing.
pub(super) async fn create_class(client: &Client) -> anyhow::Result<()> {
    let class = json!({
        "metadata": {
            "name": "standard",
            "annotations": { "storageclass.kubernetes.io/is-default-class": "true" },
        },
        "provisioner": PROVISIONER, "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer", "allowVolumeExpansion": true,
    });
    let driver = json!({ "metadata": { "name": PROVISIONER }, "spec": { "attachRequired": false } });
    let classes: Api<StorageClass> = Api::all(client.clone());
    classes.create(&PostParams::default(), &serde_json::from_value(class)?).await?;
    let drivers: Api<CSIDriver> = Api::all(client.clone());
    drivers.create(&PostParams::default(), &serde_json::from_value(driver)?).await?;
    Ok(())
}

/// Answers every claim and every volume that changes, for ever.
pub(super) async fn play(client: Client) {
    let claims = watcher(Api::<PersistentVolumeClaim>::all(client.clone()), watcher::Config::default());
    let volumes = watcher(Api::<PersistentVolume>::all(client.clone()), watcher::Config::default());
    let mut claims = claims.default_backoff().applied_objects().boxed();
    let mut volumes = volumes.default_backoff().applied_objects().boxed();
    loop {
        let done = tokio::select! {
            Some(Ok(claim)) = claims.next() => answer(&client, &claim).await,
            Some(Ok(volume)) = volumes.next() => reclaim(&client, &volume).await,
            else => return,
        };
        match done {
            // Made or gone already: the watch tells the rest.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
            Err(error) => eprintln!("played volumes: {error}"),
            Ok(()) => {}
        }
    }
}

async fn answer(client: &Client, claim: &PersistentVolumeClaim) -> kube::Result<()> {
    let spec = claim.spec.clone().unwrap_or_default();
    let asked = spec.resources.and_then(|r| r.requests).and_then(|r| r.get("storage").cloned());
    let Some(asked) = asked.filter(|_| claim.metadata.deletion_timestamp.is_none()) else { return Ok(()) };
    let status = claim.status.clone().unwrap_or_default();
    match (status.phase.as_deref(), status.capacity.and_then(|c| c.get("storage").cloned())) {
        (Some("Bound"), Some(has)) if has != asked => grow(client, claim, &asked).await,
        (Some("Bound"), _) => Ok(()),
        _ if claim.annotations().get(ASKED).is_some_and(|by| by == PROVISIONER) => {
            provision(client, claim, &asked).await
        }
        _ => Ok(()),
    }
}

/// Makes a volume for that very claim; the real controller binds the two.
async fn provision(client: &Client, claim: &PersistentVolumeClaim, size: &Quantity) -> kube::Result<()> {
    let spec = claim.spec.clone().unwrap_or_default();
    let modes = spec.access_modes.unwrap_or_default();
    let name = format!("pvc-{}", claim.uid().unwrap_or_default());
    let mut volume = json!({
        "metadata": { "name": name, "annotations": { "pv.kubernetes.io/provisioned-by": PROVISIONER } },
        "spec": {
            "capacity": { "storage": size }, "accessModes": modes,
            "persistentVolumeReclaimPolicy": "Delete", "storageClassName": spec.storage_class_name,
            "claimRef": {
                "apiVersion": "v1", "kind": "PersistentVolumeClaim",
                "namespace": claim.namespace(), "name": claim.name_any(), "uid": claim.uid(),
            },
            "csi": { "driver": PROVISIONER, "volumeHandle": name },
        },
    });
    // A share is reached from every zone, a disk from one.
    if !modes.iter().any(|mode| mode == "ReadWriteMany")
        && let Some(node) = claim.annotations().get(SELECTED_NODE)
    {
        let node = Api::<Node>::all(client.clone()).get(node).await?;
        let here = json!({ "key": ZONE, "operator": "In", "values": [node.labels().get(ZONE)] });
        volume["spec"]["nodeAffinity"] =
            json!({ "required": { "nodeSelectorTerms": [{ "matchExpressions": [here] }] } });
    }
    let volume = serde_json::from_value(volume).map_err(kube::Error::SerdeError)?;
    Api::<PersistentVolume>::all(client.clone()).create(&PostParams::default(), &volume).await?;
    Ok(())
}

/// The provider's half of a growth, then the kubelet's. The API server lets no claim shrink.
async fn grow(client: &Client, claim: &PersistentVolumeClaim, size: &Quantity) -> kube::Result<()> {
    let volume = claim.spec.as_ref().and_then(|s| s.volume_name.clone()).unwrap_or_default();
    let capacity = json!({ "capacity": { "storage": size } });
    let volumes: Api<PersistentVolume> = Api::all(client.clone());
    let grown = Patch::Merge(json!({ "spec": capacity }));
    volumes.patch(&volume, &PatchParams::default(), &grown).await?;
    let claims: Api<PersistentVolumeClaim> =
        Api::namespaced(client.clone(), &claim.namespace().unwrap_or_default());
    let grown = Patch::Merge(json!({ "status": capacity }));
    claims.patch_status(&claim.name_any(), &PatchParams::default(), &grown).await?;
    Ok(())
}

/// A volume whose claim is gone goes, with all that it held.
async fn reclaim(client: &Client, volume: &PersistentVolume) -> kube::Result<()> {
    let status = volume.status.clone().unwrap_or_default();
    if status.phase.as_deref() != Some("Released") || volume.metadata.deletion_timestamp.is_some() {
        return Ok(());
    }
    let volumes: Api<PersistentVolume> = Api::all(client.clone());
    volumes.delete(&volume.name_any(), &DeleteParams::default()).await.map(|_| ())
}
