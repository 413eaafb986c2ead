//! The whole control plane: controller manager and scheduler beside the API server, and nodes for them.
//!
//! Real are the API server, etcd, the controllers and the scheduler. **Played** are the volumes
//! ([`super::volumes`]) and, unless others have them ([`crate::processes`]), the nodes and their kubelets (by kwok,
//! as `tests/cluster/stages.yaml` says, and [`super::stops`]).
//! Owns who runs beside whom and the power of nodes. Must not know what any test expects.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use pilothouse_sim::world::beside::POWER;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{Cluster, LOOK_AGAIN, Part, READY_WITHIN, TOKEN, stops, volumes};
use crate::repository;

/// As Kubernetes has it.
const KUBERNETES_MISSES_AFTER: Duration = Duration::from_secs(50);
const ZONE: &str = "topology.kubernetes.io/zone";

/// A running control plane with nodes; everything ends with it.
pub struct Whole {
    // In the order in which they end.
    played: JoinSet<()>,
    parts: Vec<Part>,
    /// Its API server.
    pub cluster: Cluster,
}

impl Whole {
    /// Starts everything, with so many nodes in each zone, and waits until every node is Ready.
    ///
    /// # Errors
    /// When a part ends, or the nodes are not Ready in two minutes.
    pub async fn start(binary: &Path, zones: &[&str], nodes: usize) -> anyhow::Result<Self> {
        let mut whole = Self::without_nodes(binary, KUBERNETES_MISSES_AFTER).await?;
        let stages = repository("tests/cluster/stages.yaml").canonicalize()?;
        let of_kwok = [
            flag("kubeconfig", "kubeconfig"),
            flag("config", &stages.to_string_lossy()),
            flag("manage-all-nodes", "false"),
            flag("manage-nodes-with-label-selector", &format!("{POWER}=on")),
            flag("node-lease-duration-seconds", "40"),
            flag("cidr", "10.64.0.0/16"),
            // It serves nothing.
            flag("node-port", "0"),
        ];
        whole.parts.push(Part::start(binary, "kwok", whole.cluster.dir.path(), &of_kwok)?);
        whole.played.spawn(stops::play(whole.cluster.client.clone()));
        let api: Api<Node> = Api::all(whole.cluster.client.clone());
        for node in zones.iter().flat_map(|zone| (1..=nodes).map(move |n| node(zone, n))) {
            api.create(&PostParams::default(), &serde_json::from_value(node)?).await?;
        }
        until(READY_WITHIN, "the nodes are Ready", async || {
            whole.parts.iter_mut().try_for_each(Part::check)?;
            let all = api.list(&ListParams::default()).await?;
            Ok(all.iter().all(is_ready).then_some(()))
        })
        .await?;
        Ok(whole)
    }

    /// Starts all but nodes, which somebody else has; a node is missed when it has been silent for that long.
    ///
    /// # Errors
    /// When a part ends.
    pub async fn without_nodes(binary: &Path, missed_after: Duration) -> anyhow::Result<Self> {
        let cluster = Cluster::start(binary).await?;
        std::fs::write(cluster.dir.path().join("kubeconfig"), cluster.kubeconfig(TOKEN, "default"))?;
        let of_kubernetes =
            || [flag("kubeconfig", "kubeconfig"), flag("leader-elect", "false"), flag("secure-port", "0")];
        let dir = cluster.dir.path();
        let mut of_controllers = Vec::from(of_kubernetes());
        of_controllers.push(flag("node-monitor-grace-period", &format!("{}s", missed_after.as_secs())));
        let parts = vec![
            Part::start(binary, "kube-controller-manager", dir, &of_controllers)?,
            Part::start(binary, "kube-scheduler", dir, &of_kubernetes())?,
        ];
        volumes::create_class(&cluster.client).await?;
        let mut played = JoinSet::new();
        played.spawn(volumes::play(cluster.client.clone()));
        Ok(Self { played, parts, cluster })
    }

    /// Takes a machine's power, or gives it back. Nobody tells the control plane: the node's Lease is no
    /// longer renewed, and the rest follows from that.
    ///
    /// # Errors
    /// When there is no such node.
    pub async fn power(&self, node: &str, on: bool) -> anyhow::Result<()> {
        let api: Api<Node> = Api::all(self.cluster.client.clone());
        let label = json!({ "metadata": { "labels": { POWER: if on { "on" } else { "off" } } } });
        api.patch(node, &PatchParams::default(), &Patch::Merge(label)).await?;
        Ok(())
    }
}

/// Asks `look` until it answers something: what other processes do is known by looking again. `None`: never in
/// that time.
///
/// # Errors
/// What `look` failed with.
pub async fn ever<T>(
    within: Duration,
    look: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<Option<T>> {
    ever_each(LOOK_AGAIN, within, look).await
}

/// As [`ever`], with so long `between` two looks: for those that cost much.
///
/// # Errors
/// What `look` failed with.
pub async fn ever_each<T>(
    between: Duration,
    within: Duration,
    mut look: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<Option<T>> {
    let seen = async {
        loop {
            if let Some(seen) = look().await? {
                return anyhow::Ok(seen);
            }
            tokio::time::sleep(between).await;
        }
    };
    tokio::time::timeout(within, seen).await.ok().transpose()
}

/// As [`ever`], of something that has to be.
///
/// # Errors
/// What `look` failed with, or `what` never was.
pub async fn until<T>(
    within: Duration,
    what: &str,
    look: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    ever(within, look).await?.with_context(|| format!("never: {what}"))
}

/// Whether the control plane holds that a node's kubelet is well.
#[must_use]
pub fn is_ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|s| s.conditions.as_deref()).unwrap_or_default();
    conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True")
}

/// Whether a condition of a Pod is true.
#[must_use]
pub fn holds(pod: &Pod, condition: &str) -> bool {
    let all = pod.status.as_ref().and_then(|s| s.conditions.as_deref()).unwrap_or_default();
    all.iter().any(|c| c.type_ == condition && c.status == "True")
}

fn flag(name: &str, value: &str) -> String {
    format!("--{name}={value}")
}

fn node(zone: &str, n: usize) -> Value {
    let name = format!("{zone}-{n}");
    let labels = json!({
        "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
        ZONE: zone, "topology.kubernetes.io/region": "region-1", POWER: "on",
    });
    json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": name, "labels": labels } })
}
