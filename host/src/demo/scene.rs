//! What the API shows of the cluster, and the questions that the demo asks of it.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Node, PersistentVolumeClaim, Pod};
use kube::api::{Api, ListParams};
use kube::{Client, Resource};
use pilothouse_api::labels::{self, Component, annotations};
use pilothouse_api::{VitessBackup, VitessCluster, VitessShard, quantity};
use serde::de::DeserializeOwned;

/// One reading of the API.
#[derive(Debug, Default)]
pub struct Scene {
    clusters: Vec<VitessCluster>,
    shards: Vec<VitessShard>,
    pods: Vec<Pod>,
    claims: Vec<PersistentVolumeClaim>,
    gateways: Vec<Deployment>,
    backups: Vec<VitessBackup>,
    nodes: Vec<Node>,
}

impl Scene {
    /// Reads; what cannot be read is absent.
    pub async fn read(client: &Client, namespace: &str) -> Self {
        async fn all<K>(api: Api<K>) -> Vec<K>
        where
            K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
        {
            api.list(&ListParams::default()).await.map(|l| l.items).unwrap_or_default()
        }
        let of = |component: Component| move |l: Option<&str>| l == Some(component.as_str());
        let mut pods: Vec<Pod> = all(Api::namespaced(client.clone(), namespace)).await;
        pods.retain(|p| of(Component::Vttablet)(label(p, labels::COMPONENT)));
        let mut gateways: Vec<Deployment> = all(Api::namespaced(client.clone(), namespace)).await;
        gateways.retain(|d| of(Component::Vtgate)(label(d, labels::COMPONENT)));
        Self {
            clusters: all(Api::namespaced(client.clone(), namespace)).await,
            shards: all(Api::namespaced(client.clone(), namespace)).await,
            pods,
            claims: all(Api::namespaced(client.clone(), namespace)).await,
            gateways,
            backups: all(Api::namespaced(client.clone(), namespace)).await,
            nodes: all(Api::all(client.clone())).await,
        }
    }

    /// Zones that nodes stand in.
    pub(super) fn zones(&self) -> BTreeSet<String> {
        self.nodes.iter().filter_map(|n| label(n, "topology.kubernetes.io/zone").map(str::to_owned)).collect()
    }

    /// The first shard's primary.
    pub(super) fn primary_alias(&self) -> Option<String> {
        let alias = self.shards.first()?.status.as_ref()?.master_alias.clone();
        (!alias.is_empty()).then_some(alias)
    }

    fn primary_pod(&self) -> Option<&Pod> {
        let alias = self.primary_alias()?;
        let (cell, uid) = alias.rsplit_once('-')?;
        self.pods
            .iter()
            .find(|p| label(*p, labels::CELL) == Some(cell) && label(*p, labels::TABLET_UID) == Some(uid))
    }

    /// The node of the first shard's primary.
    pub(super) fn primary_node(&self) -> Option<String> {
        self.primary_pod()?.spec.as_ref()?.node_name.clone()
    }

    /// The zone of the first shard's primary.
    pub(super) fn primary_zone(&self) -> Option<String> {
        self.zone_of(self.primary_pod()?)
    }

    fn zone_of(&self, pod: &Pod) -> Option<String> {
        let node = pod.spec.as_ref()?.node_name.as_ref()?;
        let node = self.nodes.iter().find(|n| n.metadata.name.as_ref() == Some(node))?;
        label(node, "topology.kubernetes.io/zone").map(str::to_owned)
    }

    /// Claim and bytes of the first shard's primary.
    pub(super) fn primary_volume(&self) -> Option<(String, u64)> {
        let name = self.primary_pod()?.metadata.name.clone()?;
        let bytes = self.capacity(&name)?;
        Some((name, bytes))
    }

    fn capacity(&self, claim: &str) -> Option<u64> {
        let claim = self.claims.iter().find(|c| c.metadata.name.as_deref() == Some(claim))?;
        quantity::bytes(claim.status.as_ref()?.capacity.as_ref()?.get("storage")?).ok()
    }

    fn serving(&self) -> Result<(), String> {
        if self.shards.is_empty() {
            let reason = self.clusters.first().and_then(|c| c.status.as_ref()).and_then(|s| {
                let not =
                    s.conditions.iter().find(|c| c.type_ == "PoliciesSatisfied" && c.status == "False")?;
                Some(format!("no shard yet ({}: {})", not.reason, not.message))
            });
            return Err(reason.unwrap_or_else(|| "no shard yet".to_owned()));
        }
        let without =
            self.shards.iter().find(|s| s.status.as_ref().is_none_or(|s| !s.serving_writes.is_true()));
        match without {
            Some(shard) => Err(format!("no writes on shard {}", shard.spec.name)),
            None => Ok(()),
        }
    }

    fn ready_tablets(&self) -> (usize, usize) {
        let ready = self.pods.iter().filter(|p| is_ready(p)).count();
        let wanted = self.shards.iter().flat_map(|s| &s.spec.template.tablet_pools).map(|p| p.replicas);
        (ready, wanted.map(|n| usize::try_from(n).unwrap_or(0)).sum())
    }

    fn gateways(&self) -> (i32, i32) {
        let ready = |d: &Deployment| d.status.as_ref().and_then(|s| s.ready_replicas).unwrap_or(0);
        let wanted = |d: &Deployment| d.spec.as_ref().and_then(|s| s.replicas).unwrap_or(0);
        (self.gateways.iter().map(ready).sum(), self.gateways.iter().map(wanted).sum())
    }

    fn surged(&self) -> Vec<&Pod> {
        let stands_in = |p: &&Pod| {
            p.metadata.annotations.as_ref().is_some_and(|a| a.contains_key(annotations::STANDS_IN_FOR))
        };
        self.pods.iter().filter(stands_in).collect()
    }

    /// Whether writes go on, on a primary outside that zone.
    pub(super) fn serves_outside(&self, lost: &str) -> Result<String, String> {
        self.serving()?;
        match self.primary_zone() {
            Some(zone) if zone != lost => {
                Ok(format!("primary {} in {zone}", self.primary_alias().unwrap_or_default()))
            }
            Some(zone) => Err(format!("the primary is still in {zone}")),
            None => Err("no primary".to_owned()),
        }
    }

    /// Whether writes go on, on a primary that is not on that node.
    pub(super) fn serves_off_node(&self, lost: &str) -> Result<String, String> {
        self.serving()?;
        match self.primary_node() {
            Some(node) if node != lost => {
                Ok(format!("primary {} on {node}", self.primary_alias().unwrap_or_default()))
            }
            Some(node) => Err(format!("the primary is still on {node}")),
            None => Err("no primary".to_owned()),
        }
    }

    /// Whether Kubernetes says that the node is not ready.
    pub(super) fn misses_node(&self, lost: &str) -> Result<String, String> {
        let node = self.nodes.iter().find(|n| n.metadata.name.as_deref() == Some(lost));
        let conditions = node.and_then(|n| n.status.as_ref()).and_then(|s| s.conditions.as_ref());
        let ready = conditions.into_iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True");
        let tablets = self.ready_tablets();
        if ready || tablets.0 == tablets.1 {
            return Err(format!("node {lost} still counts as ready"));
        }
        Ok(format!("node {lost} is not ready, {} of {} tablets are", tablets.0, tablets.1))
    }

    /// Whether what was lost in that zone is made up for elsewhere.
    pub(super) fn has_surge(&self, lost: &str) -> Result<String, String> {
        let surged = self.surged();
        let ready = surged.iter().filter(|p| is_ready(p) && self.zone_of(p).as_deref() != Some(lost)).count();
        let gateways = self.gateways();
        if surged.is_empty() {
            return Err("no surge tablet yet".to_owned());
        }
        if ready < surged.len() {
            return Err(format!("{ready} of {} surge tablets ready", surged.len()));
        }
        Ok(format!("{ready} surge tablet(s) ready, {} of {} gateways ready", gateways.0, gateways.1))
    }

    /// Whether everything that the manifest asks for is ready and nothing else is left.
    pub(super) fn is_back(&self) -> Result<String, String> {
        let surged = self.surged().len();
        if surged > 0 {
            return Err(format!("{surged} surge tablet(s) left"));
        }
        is_up(self)
    }

    /// Whether a claim has more room than before.
    pub(super) fn has_grown(&self, claim: &str, before: u64) -> Result<String, String> {
        let now = self.capacity(claim).unwrap_or(before);
        let gib = |bytes: u64| bytes >> 30;
        if now > before {
            Ok(format!("{} GiB became {} GiB", gib(before), gib(now)))
        } else {
            Err(format!("{} GiB", gib(now)))
        }
    }
}

/// Whether every tablet is ready, every shard takes writes and the gateways serve.
pub(super) fn is_up(scene: &Scene) -> Result<String, String> {
    scene.serving()?;
    let (ready, wanted) = scene.ready_tablets();
    if ready != wanted {
        return Err(format!("{ready} of {wanted} tablets ready"));
    }
    let (gateways, all) = scene.gateways();
    if gateways != all || all == 0 {
        return Err(format!("{gateways} of {all} gateways ready"));
    }
    let primary = scene.primary_alias().unwrap_or_default();
    Ok(format!("{ready} tablets and {gateways} gateways ready, primary {primary}"))
}

/// Whether a complete backup stands.
pub(super) fn has_backup(scene: &Scene) -> Result<String, String> {
    let complete = scene.backups.iter().filter(|b| b.is_complete()).count();
    if complete > 0 {
        Ok(format!("{complete} complete backup(s)"))
    } else {
        Err("no complete backup yet".to_owned())
    }
}

/// Whether a backup stands that a later run has restored.
pub(super) fn has_verified_backup(scene: &Scene) -> Result<String, String> {
    let verified = |b: &&VitessBackup| {
        b.metadata.annotations.as_ref().is_some_and(|a| a.contains_key(annotations::BACKUP_VERIFIED))
    };
    let proven = scene.backups.iter().filter(verified).count();
    let all = scene.backups.len();
    if proven > 0 {
        Ok(format!("{proven} of {all} backups restored and caught up"))
    } else {
        Err(format!("none of {all} proven"))
    }
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|s| s.conditions.as_ref());
    conditions.into_iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True")
}

fn label<'a, K: Resource>(object: &'a K, key: &str) -> Option<&'a str> {
    object.meta().labels.as_ref()?.get(key).map(String::as_str)
}
