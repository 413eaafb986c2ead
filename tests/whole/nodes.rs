//! That what is played beside the control plane is what the control plane asks for.

use std::time::Duration;

use anyhow::Context as _;
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::{Node, PersistentVolume, PersistentVolumeClaim, Pod};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use pilothouse_tests::cluster;
use pilothouse_tests::cluster::whole::{Whole, holds, is_ready, until};
use serde_json::{Value, json};

const MINUTE: Duration = Duration::from_secs(60);
/// So many Pods take each other's places, so often.
const IN_PLACES: (usize, usize) = (60, 3);

fn claim() -> Value {
    json!({
        "metadata": { "name": "disk" },
        "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } },
        },
    })
}

fn pod(zone: &str) -> Value {
    json!({
        "metadata": { "name": "pod" },
        "spec": {
            "nodeSelector": { "topology.kubernetes.io/zone": zone },
            "containers": [{ "name": "one", "image": "none" }],
            "volumes": [{ "name": "disk", "persistentVolumeClaim": { "claimName": "disk" } }],
        },
    })
}

/// A Pod's volume is made in its zone, grows and goes; a node without power is missed, and welcome again.
async fn played_parts_answer(whole: &Whole) -> anyhow::Result<()> {
    let client = &whole.cluster.client;
    let nodes: Api<Node> = Api::all(client.clone());
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    let claims: Api<PersistentVolumeClaim> = Api::default_namespaced(client.clone());
    let volumes: Api<PersistentVolume> = Api::all(client.clone());
    assert_eq!(nodes.list(&ListParams::default()).await?.items.len(), 6);

    let claim = claims.create(&PostParams::default(), &serde_json::from_value(claim())?).await?;
    pods.create(&PostParams::default(), &serde_json::from_value(pod("zone-b"))?).await?;
    let pod = until(MINUTE, "the Pod is Ready", async || {
        Ok(Some(pods.get("pod").await?).filter(|pod| holds(pod, "Ready")))
    })
    .await?;
    let node = pod.spec.unwrap_or_default().node_name.unwrap_or_default();
    assert!(node.starts_with("zone-b-"), "{node}");
    let volume = format!("pvc-{}", claim.metadata.uid.unwrap_or_default());
    let affinity = volumes.get(&volume).await?.spec.unwrap_or_default().node_affinity;
    assert!(serde_json::to_string(&affinity)?.contains("\"zone-b\""), "{affinity:?}");

    let more = json!({ "spec": { "resources": { "requests": { "storage": "3Gi" } } } });
    claims.patch("disk", &PatchParams::default(), &Patch::Merge(more)).await?;
    until(MINUTE, "the claim has grown", async || {
        let capacity = claims.get("disk").await?.status.unwrap_or_default().capacity.unwrap_or_default();
        Ok(capacity.get("storage").filter(|has| has.0 == "3Gi").map(|_| ()))
    })
    .await?;
    let capacity = volumes.get(&volume).await?.spec.unwrap_or_default().capacity.unwrap_or_default();
    assert_eq!(capacity["storage"].0, "3Gi");

    whole.power(&node, false).await?;
    until(2 * MINUTE, "the node is missed, and its Pod called unready", async || {
        let missed = !is_ready(&nodes.get(&node).await?) && !holds(&pods.get("pod").await?, "Ready");
        Ok(missed.then_some(()))
    })
    .await?;
    assert!(holds(&pods.get("pod").await?, "ContainersReady"), "nobody asked its kubelet");
    whole.power(&node, true).await?;
    until(MINUTE, "the node is back, and its Pod Ready", async || {
        let back = is_ready(&nodes.get(&node).await?) && holds(&pods.get("pod").await?, "Ready");
        Ok(back.then_some(()))
    })
    .await?;

    pods.delete("pod", &DeleteParams::default()).await?;
    claims.delete("disk", &DeleteParams::default()).await?;
    until(MINUTE, "Pod, claim and volume are gone", async || {
        let gone = pods.get_opt("pod").await?.is_none() && claims.get_opt("disk").await?.is_none();
        Ok((gone && volumes.get_opt(&volume).await?.is_none()).then_some(()))
    })
    .await
}

/// Whoever takes a Pod's place at once stays there until it is asked to go itself.
async fn a_pod_in_anothers_place_stays(pods: &Api<Pod>, name: &str) -> anyhow::Result<()> {
    let pod = json!({ "metadata": { "name": name }, "spec": { "containers": [{ "name": "one", "image": "none" }] } });
    let pod: Pod = serde_json::from_value(pod)?;
    for _ in 0..IN_PLACES.1 {
        let made = pods.create(&PostParams::default(), &pod).await?;
        until(MINUTE, "the Pod is Ready", async || {
            let found = pods.get_opt(name).await?;
            let found = found.filter(|found| found.metadata.uid == made.metadata.uid);
            let found =
                found.with_context(|| format!("{name} is gone, or another: {:?}", made.metadata.uid))?;
            Ok(holds(&found, "Ready").then_some(()))
        })
        .await?;
        pods.delete(name, &DeleteParams::default()).await?;
        until(MINUTE, "the Pod is gone", async || Ok(pods.get_opt(name).await?.is_none().then_some(())))
            .await?;
    }
    Ok(())
}

#[test]
fn nodes_and_volumes_are_played_beside_it() {
    let Some(binary) = cluster::binary().unwrap() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let whole = Whole::start(&binary, &["zone-a", "zone-b", "zone-c"], 2).await.unwrap();
        let pods = Api::default_namespaced(whole.cluster.client.clone());
        let names: Vec<String> = (0..IN_PLACES.0).map(|n| format!("pod-{n}")).collect();
        try_join_all(names.iter().map(|name| a_pod_in_anothers_place_stays(&pods, name))).await.unwrap();
        played_parts_answer(&whole).await.unwrap();
    });
}
