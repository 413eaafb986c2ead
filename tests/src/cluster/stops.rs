//! The end of Pods on **played** nodes: what is asked to go is gone a moment later, while its node has power.
//!
//! kwok (0.8) asks for that by the Pod's name alone, and now and then once too often: whatever has come in its
//! place by then goes too. A kubelet ends the Pod of that UID (kubernetes/kubernetes#25224), and so does this.
//! Must not know what any test expects.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, DeleteParams, Preconditions};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, ResourceExt as _};
use pilothouse::simulate::Draws;
use pilothouse_sim::world::beside::POWER;
use tokio::task::JoinSet;

use super::LOOK_AGAIN;

/// How long what runs in a Pod takes to end, from and to, in milliseconds.
const ENDS_IN: (u64, u64) = (1_000, 2_000);

/// Ends every Pod that is asked to go, for ever.
pub(super) async fn play(client: Client) {
    let pods = watcher(Api::<Pod>::all(client.clone()), watcher::Config::default());
    let mut pods = pods.default_backoff().applied_objects().boxed();
    let (mut draws, mut asked, mut ending) = (Draws::new(0, "stops"), BTreeSet::new(), JoinSet::new());
    while let Some(pod) = pods.next().await {
        // One that failed is tried again by the watch itself.
        let Ok(pod) = pod else { continue };
        if pod.metadata.deletion_timestamp.is_some() && asked.insert(pod.uid()) {
            let takes = Duration::from_millis(draws.range(ENDS_IN.0, ENDS_IN.1));
            ending.spawn(end(client.clone(), pod, takes));
        }
    }
}

async fn end(client: Client, pod: Pod, takes: Duration) {
    tokio::time::sleep(takes).await;
    while !ended(&client, &pod).await.unwrap_or_else(|error| {
        eprintln!("the end of {}: {error}", pod.name_any());
        false
    }) {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Whether it is gone now; without power nobody is there to say so.
async fn ended(client: &Client, pod: &Pod) -> kube::Result<bool> {
    // One that is on no node is the API server's to end.
    let Some(node) = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) else { return Ok(true) };
    let node = Api::<Node>::all(client.clone()).get_opt(node).await?;
    if node.is_some_and(|node| node.labels().get(POWER).is_none_or(|power| power != "on")) {
        return Ok(false);
    }
    let pods: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
    match pods.delete(&pod.name_any(), &for_good(pod)).await {
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(true),
        answer => answer.map(|_| true),
    }
}

/// How a kubelet, once nothing runs in a Pod, takes that very object away.
pub(crate) fn for_good(pod: &Pod) -> DeleteParams {
    let of = Preconditions { uid: pod.uid(), resource_version: None };
    DeleteParams { preconditions: Some(of), ..DeleteParams::default().grace_period(0) }
}
