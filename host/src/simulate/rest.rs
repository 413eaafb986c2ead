//! What must hold when faults are over: everything asked for stands, nothing else
//! does, and nothing is written any more (L1, L3, L6).

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::api::{Api, ListParams};
use kube::{Client, Resource};
use pilothouse_api::labels::{self, Component};
use pilothouse_api::{VitessCluster, VitessKeyspace, VitessShard};
use pilothouse_sim::vitess::ShardKey;
use pilothouse_sim::world::World;
use pilothouse_sim::world::journal::Deed;
use serde::de::DeserializeOwned;

use super::sky::Sky;

const MINUTE: i64 = 60_000;
/// Everything must have settled this long after the last fault. A zone is told healthy and
/// stand-ins go within half an hour; a volume's second growth waits six hours, and is excused.
const CONVERGED_AFTER: i64 = 120 * MINUTE;
/// A host that starts anew has looked at everything after this long.
const LOOKED_AFTER: i64 = 10 * MINUTE;
/// What a backup run or a growing volume makes the host write lies this close to it.
const EXCUSED: i64 = 15 * MINUTE;

/// The end of a seed's day.
pub(super) struct Rest<'a> {
    pub(super) sky: &'a Sky,
    pub(super) world: &'a World,
    /// A client without faults.
    pub(super) client: &'a Client,
    pub(super) namespace: &'a str,
    /// When faults were over, and when the day is.
    pub(super) calm_from: i64,
    pub(super) end: i64,
}

impl Rest<'_> {
    /// Waits, looks, and blames.
    pub(super) async fn expect(self) {
        let looks_again = self.end - LOOKED_AFTER - MINUTE;
        let converged = (self.calm_from + CONVERGED_AFTER).min(looks_again - 10 * MINUTE);
        tokio::time::sleep_until(self.sky.instant_of(converged)).await;
        for (id, lacking) in self.lacking().await {
            self.sky.blame_now(id, format!("{} min after the last fault: {lacking}", self.minutes()));
        }
        tokio::time::sleep_until(self.sky.instant_of(looks_again)).await;
        self.blame_writes(converged, "L3", "at rest").await;
        self.sky.note(|| "the host is started anew, to look at everything again".to_owned());
        self.sky.kill();
        let from = self.sky.elapsed();
        tokio::time::sleep_until(self.sky.instant_of(self.end)).await;
        self.blame_writes(from, "L1", "by a host that started anew").await;
        for (id, lacking) in self.lacking().await {
            self.sky.blame_now(id, format!("at the end: {lacking}"));
        }
        for refused in self.world.refused_writes() {
            self.sky.blame_now("world", format!("a played controller was refused: {refused}"));
        }
    }

    /// Servers with transactions that the primary never had.
    fn errant(&self) -> usize {
        let facts = self.world.facts();
        facts.shards.values().flat_map(|s| s.servers.values()).filter(|s| !s.errant.is_empty()).count()
    }

    /// Whether levels stand that nobody asks for, because somebody needs them.
    async fn orphans(&self) -> bool {
        let clusters: Vec<VitessCluster> = self.all().await;
        let keyspaces: Vec<VitessKeyspace> = self.all().await;
        let mut of_clusters = clusters.iter().filter_map(|c| c.status.as_ref());
        let mut of_keyspaces = keyspaces.iter().filter_map(|k| k.status.as_ref());
        of_clusters.any(|s| !(s.orphaned_cells.is_empty() && s.orphaned_keyspaces.is_empty()))
            || of_keyspaces.any(|s| !s.orphaned_shards.is_empty())
    }

    fn minutes(&self) -> i64 {
        (self.sky.elapsed() - self.calm_from) / MINUTE
    }

    /// Writes since then that no backup run and no growing volume explains.
    async fn blame_writes(&self, from: i64, id: &'static str, when: &str) {
        let mut excuses = Vec::new();
        let facts = self.world.facts();
        let began = facts.at - self.sky.elapsed();
        for backup in facts.shards.values().flat_map(|s| &s.backups) {
            let at = |ms: u64| i64::try_from(ms).unwrap_or(0) - began;
            excuses
                .push((at(backup.started) - EXCUSED, at(backup.finished.unwrap_or(u64::MAX / 2)) + EXCUSED));
        }
        for deed in self.world.deeds_since(0) {
            if let Deed::SizeAsked { at, .. } = deed {
                excuses.push((at - began - EXCUSED, at - began + EXCUSED));
            }
        }
        let mut writes = self.sky.writes_since(from);
        if self.errant() > 0 || self.orphans().await {
            // What is wrong and stays wrong is told once more by a host that starts anew.
            writes.retain(|(_, what)| !what.ends_with("/events"));
        }
        let blamed: Vec<_> =
            writes.iter().filter(|(at, _)| !excuses.iter().any(|(a, b)| (a..=b).contains(&at))).collect();
        if let Some((at, first)) = blamed.first() {
            let message = format!("{} writes {when}; the first, at {at} ms: {first}", blamed.len());
            self.sky.blame_now(id, message);
        }
    }

    /// What is not as the manifest asks: L1 where something is missing, L6 where something is left over.
    async fn lacking(&self) -> Vec<(&'static str, String)> {
        let shards: Vec<VitessShard> = self.all().await;
        let pods: Vec<Pod> = self.all().await;
        let claims: Vec<PersistentVolumeClaim> = self.all().await;
        let gateways: Vec<Deployment> = self.all().await;
        let mut lacking = Vec::new();
        let wanted: usize = shards.iter().map(tablets_wanted).sum();
        if shards.is_empty() {
            lacking.push(("L1", "no VitessShard".to_owned()));
        }
        for shard in &shards {
            if shard.status.as_ref().is_none_or(|s| !s.serving_writes.is_true()) {
                let message =
                    format!("status of shard {} does not say that it takes writes", shard.spec.name);
                lacking.push(("L1", message));
            }
        }
        // Nobody may wipe a server that has what nobody else has: its stand-in stays, until people decide.
        let most = wanted + self.errant();
        self.lacking_of_topology(&shards, &mut lacking);
        let of = |component: Component| move |l: Option<&str>| l == Some(component.as_str());
        let tablets: Vec<&Pod> = pods.iter().filter(|p| of(Component::Vttablet)(label(*p))).collect();
        let ready = tablets.iter().filter(|p| is_ready(p)).count();
        if ready != tablets.len() || !(wanted..=most).contains(&ready) {
            let message = format!("{ready} of {} tablet Pods ready, {wanted} wanted", tablets.len());
            lacking.push((short_or_over(ready, wanted), message));
        }
        // What is taken out of the manifest leaves its data behind: claims outlive who asked for them.
        let stands = |claim: &&PersistentVolumeClaim| {
            let of = |key, value: Option<&String>| {
                claim.metadata.labels.as_ref().and_then(|labels| labels.get(key)) == value
            };
            shards
                .iter()
                .filter_map(|shard| shard.metadata.labels.as_ref())
                .any(|shard| [labels::KEYSPACE, labels::SHARD].into_iter().all(|key| of(key, shard.get(key))))
        };
        let volumes = claims.iter().filter(|c| of(Component::Vttablet)(label(*c))).filter(stands).count();
        if volumes != tablets.len() {
            let message = format!("{volumes} claims of tablets for {} Pods", tablets.len());
            lacking.push((short_or_over(volumes, tablets.len()), message));
        }
        let runs = pods.iter().filter(|p| of(Component::Vtbackup)(label(*p)) && !is_over(p)).count();
        let scratch = claims.iter().filter(|c| of(Component::Vtbackup)(label(*c))).count();
        if scratch > runs.max(1) {
            lacking.push(("L6", format!("{scratch} claims of backup runs, {runs} running")));
        }
        // Nobody in these days releases to a shard and not to its tablets. One that is errant
        // acknowledges nothing, so that the others may have to stay.
        let may_roll = shards.iter().filter(|_| self.errant() == 0);
        for (pod, image) in may_roll.flat_map(|s| tablets.iter().map(|p| (p, &s.spec.images.vttablet))) {
            let running = vttablet_image(pod);
            if running != Some(image) {
                let name = pod.metadata.name.as_deref().unwrap_or_default();
                lacking.push(("L1", format!("Pod {name} runs {running:?} and not {image}")));
            }
        }
        for deployment in &gateways {
            let asked = deployment.spec.as_ref().and_then(|s| s.replicas).unwrap_or(1);
            let ready = deployment.status.as_ref().and_then(|s| s.ready_replicas).unwrap_or(0);
            if ready != asked {
                let name = deployment.metadata.name.as_deref().unwrap_or_default();
                lacking.push(("L1", format!("Deployment {name}: {ready} of {asked} ready")));
            }
        }
        lacking
    }

    /// What the topology's shards lack, or have too much.
    fn lacking_of_topology(&self, shards: &[VitessShard], lacking: &mut Vec<(&'static str, String)>) {
        for (key, shard) in &self.world.facts().shards {
            let Some(wanted) = shards.iter().find(|s| is_of(s, key)).map(tablets_wanted) else {
                lacking.push((
                    "L6",
                    format!("the topology has shard {}, which no object stands for", key.shard),
                ));
                continue;
            };
            let most = wanted + self.errant();
            let writable = |a| shard.servers.get(a).is_some_and(|s| s.writable && s.can_ack);
            if !shard.primary.as_ref().is_some_and(writable) {
                let message =
                    format!("shard {} has no primary that can have a write acknowledged", key.shard);
                lacking.push(("L1", message));
            }
            let servers = shard.servers.len();
            if !(wanted..=most).contains(&servers) {
                lacking.push((
                    short_or_over(servers, wanted),
                    format!("the topology has {servers} tablets of {wanted}"),
                ));
            }
        }
    }

    async fn all<K>(&self) -> Vec<K>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), self.namespace);
        api.list(&ListParams::default()).await.map(|l| l.items).unwrap_or_default()
    }
}

fn is_of(shard: &VitessShard, key: &ShardKey) -> bool {
    let keyspace = shard.metadata.labels.as_ref().and_then(|l| l.get(labels::KEYSPACE));
    keyspace == Some(&key.shard.keyspace) && shard.spec.name == key.shard.range.to_string()
}

fn tablets_wanted(shard: &VitessShard) -> usize {
    let replicas: i32 = shard.spec.template.tablet_pools.iter().map(|pool| pool.replicas).sum();
    usize::try_from(replicas).unwrap_or(0)
}

const fn short_or_over(found: usize, wanted: usize) -> &'static str {
    if found > wanted { "L6" } else { "L1" }
}

fn label<K: Resource>(object: &K) -> Option<&str> {
    object.meta().labels.as_ref()?.get(labels::COMPONENT).map(String::as_str)
}

fn vttablet_image(pod: &Pod) -> Option<&String> {
    let containers = pod.spec.as_ref().map(|s| s.containers.as_slice()).unwrap_or_default();
    containers.iter().find(|c| c.name == "vttablet")?.image.as_ref()
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|s| s.conditions.as_ref());
    conditions.into_iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True")
}

fn is_over(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|s| s.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}
