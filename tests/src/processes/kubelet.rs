//! A node and its kubelet: the Lease, the node's status, and which Pods run on it.
//!
//! One that is started on a node where another was finds the Pods that are bound to it, and its disks as they were.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use futures::StreamExt as _;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::ResourceExt as _;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt as _, watcher as watching};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::Site;
use super::containers::now;
use super::network::MIDDLE;
use super::pods::Running;

/// Kubelets do it every ten seconds; no test waits for that.
const HEARTBEAT: Duration = Duration::from_secs(3);
const LEASE_SECONDS: i32 = 12;
/// When a control plane should miss such a machine.
pub const MISSED_AFTER: Duration = Duration::from_secs(12);

type Pods = Arc<Mutex<BTreeMap<String, Arc<Running>>>>;

/// A kubelet's way to the control plane.
#[derive(Clone)]
pub(super) struct Line(watch::Receiver<bool>);

impl Line {
    /// Waits while it is cut.
    pub(super) async fn stands(&self) {
        let _ = self.0.clone().wait_for(|stands| *stands).await;
    }
}

/// A machine that is on.
pub struct Kubelet {
    line: watch::Sender<bool>,
    /// By uid.
    pods: Pods,
    tasks: JoinSet<()>,
}

impl Kubelet {
    /// Turns on the machine of that name in a zone, which has a node from then on.
    ///
    /// # Errors
    /// When the API server does not take the node.
    pub async fn start(site: &Arc<Site>, node: &str, zone: &str) -> anyhow::Result<Self> {
        let by = PatchParams::apply("kubelet").force();
        let nodes: Api<Node> = Api::all(site.client.clone());
        let labels = json!({
            "kubernetes.io/hostname": node, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
            "topology.kubernetes.io/zone": zone, "topology.kubernetes.io/region": "region-1",
        });
        let object =
            json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": node, "labels": labels } });
        nodes.patch(node, &by, &Patch::Apply(object)).await.context("the node")?;
        let pods = Pods::default();
        let line = watch::Sender::new(true);
        let to = Line(line.subscribe());
        let mut tasks = JoinSet::new();
        tasks.spawn(beat(Arc::clone(site), node.to_owned(), to.clone()));
        tasks.spawn(run(Arc::clone(site), node.to_owned(), zone.to_owned(), to, Arc::clone(&pods)));
        Ok(Self { line, pods, tasks })
    }

    /// Cuts the kubelet off from the control plane, or joins it again: neither hears of the other, and what runs
    /// here goes on. [`Site::cut`] does it to the Pods of a zone.
    pub fn cut(&self, cut: bool) {
        self.line.send_replace(!cut);
    }

    /// Takes the machine's power: when this is over, all that ran on it is dead, and nobody has told the control plane.
    pub async fn lose_power(mut self) {
        self.cut(true);
        let all: Vec<_> =
            self.pods.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        for running in &all {
            running.kill();
        }
        for running in &all {
            running.dead().await;
        }
        self.tasks.shutdown().await;
    }

    /// Kills all processes of a Pod without a word. They stay down until it is released, as those of a container
    /// that is in back-off do.
    ///
    /// # Errors
    /// When there is no such Pod here.
    pub fn kill(&self, pod: &str) -> anyhow::Result<()> {
        self.running(pod)?.kill();
        Ok(())
    }

    /// Kills one container's process without a word; it stays down until the Pod is released, or, unless it is
    /// `held`, is begun again at once, as by the Pod's policy.
    ///
    /// # Errors
    /// When there is no such Pod or container here.
    pub fn kill_container(&self, pod: &str, container: &str, held: bool) -> anyhow::Result<()> {
        self.running(pod)?.kill_container(container, held)
    }

    /// Lets a killed Pod's containers begin again.
    ///
    /// # Errors
    /// When there is no such Pod here.
    pub fn release(&self, pod: &str) -> anyhow::Result<()> {
        self.running(pod)?.release();
        Ok(())
    }

    fn running(&self, name: &str) -> anyhow::Result<Arc<Running>> {
        let pods = self.pods.lock().unwrap_or_else(PoisonError::into_inner);
        let found = pods.values().find(|running| running.pod.name_any() == name);
        found.cloned().with_context(|| format!("no Pod {name} runs here"))
    }
}

/// Says again and again that the machine is on.
async fn beat(site: Arc<Site>, node: String, line: Line) {
    let by = PatchParams::apply("kubelet").force();
    let nodes: Api<Node> = Api::all(site.client.clone());
    let leases: Api<Lease> = Api::namespaced(site.client.clone(), "kube-node-lease");
    loop {
        line.stands().await;
        let has = json!({ "cpu": "8", "memory": "32Gi", "ephemeral-storage": "100Gi", "pods": "110" });
        let condition = json!({
            "type": "Ready", "status": "True", "reason": "KubeletReady",
            "lastHeartbeatTime": now(), "lastTransitionTime": now(),
        });
        let status = json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": node }, "status": {
            "capacity": has, "allocatable": has, "conditions": [condition],
            "addresses": [{ "type": "InternalIP", "address": MIDDLE }],
            "nodeInfo": {
                "kubeletVersion": "v1.36.1-processes", "kubeProxyVersion": "", "osImage": "processes",
                "containerRuntimeVersion": "process://1", "kernelVersion": "", "architecture": "amd64",
                "operatingSystem": "linux", "machineID": node, "systemUUID": node, "bootID": node,
            },
        } });
        let renewed = now().replace('Z', ".000000Z");
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": { "name": node },
            "spec": {
                "holderIdentity": node, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": renewed,
            },
        });
        let told = async {
            leases.patch(&node, &by, &Patch::Apply(lease)).await?;
            nodes.patch_status(&node, &by, &Patch::Apply(status)).await.map(|_| ())
        };
        if let Err(error) = told.await {
            eprintln!("{node}: {error}");
        }
        sleep(HEARTBEAT).await;
    }
}

/// Runs the Pods that are bound to the node, for ever.
async fn run(site: Arc<Site>, node: String, zone: String, line: Line, pods: Pods) {
    let api: Api<Pod> = Api::all(site.client.clone());
    let ours = watcher::Config::default().fields(&format!("spec.nodeName={node}"));
    let mut changes = watching(api, ours).default_backoff().boxed();
    let mut running = JoinSet::new();
    while let Some(change) = changes.next().await {
        line.stands().await;
        match change {
            Ok(Event::Apply(pod) | Event::InitApply(pod)) => {
                let uid = pod.uid().unwrap_or_default();
                let stops = pod.metadata.deletion_timestamp.is_some();
                let grace = pod.metadata.deletion_grace_period_seconds.unwrap_or(0);
                let known = pods.lock().unwrap_or_else(PoisonError::into_inner).get(&uid).cloned();
                let here = match known {
                    Some(here) => here,
                    None if is_over(&pod) && !stops => continue,
                    None => {
                        let here = Running::new(Arc::clone(&site), &zone, line.clone(), pod);
                        pods.lock().unwrap_or_else(PoisonError::into_inner).insert(uid, Arc::clone(&here));
                        running.spawn(Arc::clone(&here).run());
                        here
                    }
                };
                if stops {
                    here.stop(Duration::from_secs(grace.max(0).unsigned_abs()));
                }
            }
            // By force: there is nobody left to wait for.
            Ok(Event::Delete(pod)) => {
                let uid = pod.uid().unwrap_or_default();
                if let Some(here) = pods.lock().unwrap_or_else(PoisonError::into_inner).remove(&uid) {
                    here.stop(Duration::ZERO);
                }
            }
            Ok(Event::Init | Event::InitDone) | Err(_) => {}
        }
    }
}

fn is_over(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}
