//! The same objects, applied by nobody who thinks: what the API server itself can take.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt as _;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use pilothouse::actuate::MANAGER;
use pilothouse::equality;
use pilothouse::kinds::Kind;
use pilothouse::room::MOST_OPEN;
use pilothouse_tests::cluster::Cluster;
use serde_json::{Value, json};

use crate::fleet::{KINDS, USER};

const THERE: &str = "default";
const HERE: &str = "raw";
const CLUSTER: &str = "planetscale.com/cluster";

/// Applies the whole fleet once more, in another namespace: the objects of one cluster one after the
/// other, its VitessCluster first, as many clusters beside each other as the host has open. Answers how many, and how long it took.
pub(crate) async fn apply(cluster: &Cluster) -> anyhow::Result<(usize, Duration)> {
    let client = &cluster.client;
    let home = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": HERE } });
    pilothouse::embedded::apply(client, &[home]).await?;
    let mut work: BTreeMap<String, Vec<(Kind, String, Value)>> = BTreeMap::new();
    for kind in KINDS {
        for object in kind.api(client, THERE).list(&ListParams::default()).await? {
            let Some((of, name, value)) = asked(kind, &object) else { continue };
            work.entry(of).or_default().push((kind, name, value));
        }
    }
    let count = work.values().map(Vec::len).sum();
    let begun = tokio::time::Instant::now();
    let clusters = futures::stream::iter(work.into_values()).map(|objects| async move {
        for (kind, name, value) in objects {
            let params = PatchParams::apply(MANAGER).force();
            kind.api(client, HERE).patch(&name, &params, &Patch::Apply(&value)).await?;
        }
        Ok::<_, kube::Error>(())
    });
    let mut clusters = clusters.buffer_unordered(MOST_OPEN);
    while let Some(answer) = clusters.next().await {
        answer?;
    }
    Ok((count, begun.elapsed()))
}

/// What the host asked of an object, and of which cluster it is.
fn asked(kind: Kind, object: &DynamicObject) -> Option<(String, String, Value)> {
    let label = || object.metadata.labels.as_ref()?.get(CLUSTER).cloned();
    let (of, manager) = match kind {
        Kind::VitessCluster => (object.metadata.name.clone()?, USER),
        _ => (label()?, MANAGER),
    };
    let live = json!(object);
    let part = |root: &str| equality::applied(&live, manager, root).unwrap_or_default();
    let (mut metadata, spec, name) = (part("metadata"), part("spec"), object.metadata.name.clone()?);
    metadata["name"] = json!(name);
    metadata["namespace"] = json!(HERE);
    // Nothing of the next host's: it does not watch these.
    if let Some(labels) = metadata["labels"].as_object_mut() {
        labels.remove(CLUSTER);
        labels.insert("example.com/the-same-cluster".to_owned(), json!(of));
    }
    let resource = kind.resource();
    let mut value =
        json!({ "apiVersion": resource.api_version, "kind": kind.as_str(), "metadata": metadata });
    if !spec.is_null() {
        value["spec"] = spec;
    }
    Some((of, name, value))
}

/// Takes them away again.
pub(crate) async fn clear(cluster: &Cluster) -> anyhow::Result<()> {
    let client = &cluster.client;
    for kind in KINDS {
        let api = kind.api(client, HERE);
        let _ =
            api.delete_collection(&DeleteParams::default().grace_period(0), &ListParams::default()).await?;
        for left in api.list_metadata(&ListParams::default()).await? {
            let release = json!({ "metadata": { "finalizers": null } });
            let name = left.metadata.name.unwrap_or_default();
            api.patch(&name, &PatchParams::default(), &Patch::Merge(&release)).await?;
        }
    }
    Ok(())
}
