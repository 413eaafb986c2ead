//! A fleet of equal clusters on the API server, that grows.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures::StreamExt as _;
use kube::Client;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams};
use pilothouse::embedded;
use pilothouse::kinds::Kind;
use pilothouse_tests::cluster::{Cluster, host};
use pilothouse_tests::repository;
use serde_json::{Value, json};

/// What takes longer than this never comes.
pub(crate) const WITHIN: Duration = Duration::from_secs(900);
/// Another process works; it is asked again until it is done, or [`WITHIN`] is over.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(200);
pub(crate) const NAMESPACE: &str = "default";
/// Who applies VitessClusters.
pub(crate) const USER: &str = "kubectl";
/// Requests of ours under way at a time.
const AT_A_TIME: usize = 100;

pub(crate) struct Fleet {
    client: Client,
    example: Value,
    size: usize,
    /// Of which a cluster has no objects here.
    without: &'static [Kind],
    /// Objects of each kind below a VitessCluster; empty until that was learnt.
    children: BTreeMap<Kind, usize>,
}

impl Fleet {
    /// An empty fleet on a server with our kinds, three zones and the class of Pods; whoever works on it makes what
    /// the host makes for each cluster, but of the kinds `without`.
    pub(crate) async fn prepare(cluster: &Cluster, without: &'static [Kind]) -> anyhow::Result<Self> {
        let client = cluster.client.clone();
        host::install(&client).await?;
        let node = |zone: &str| {
            json!({
                "apiVersion": "v1", "kind": "Node",
                "metadata": { "name": format!("{zone}-1"), "labels": { "topology.kubernetes.io/zone": zone } },
            })
        };
        let nodes = ["zone-a", "zone-b", "zone-c"];
        embedded::apply(&client, &nodes.map(node)).await?;
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &Kind::Node.resource());
        // As nodes are that were there before anybody asked for a cluster.
        let ready = json!({ "status": { "conditions": [{
            "type": "Ready", "status": "True", "reason": "KubeletReady",
            "lastTransitionTime": "2026-01-01T00:00:00Z" }] } });
        for zone in nodes {
            api.patch_status(&format!("{zone}-1"), &PatchParams::default(), &Patch::Merge(&ready)).await?;
        }
        let text = std::fs::read_to_string(repository("crds/examples/three-zones.yaml"))?;
        let mut example = embedded::documents(&text)?.swap_remove(0);
        // As vitess-operator was measured: with a lockserver that is there and answers.
        example["spec"]["globalLockserver"] = json!({ "external": {
            "implementation": "etcd2", "address": cluster.etcd(), "rootPath": "/vitess/global" } });
        let fleet = Self { client, example, size: 0, without, children: BTreeMap::new() };
        let taken = async {
            // A definition is served a moment after it was taken.
            while Kind::VitessCluster
                .api(&fleet.client, NAMESPACE)
                .list(&ListParams::default())
                .await
                .is_err()
            {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        tokio::time::timeout(WITHIN, taken).await.context("our kinds are not served")?;
        Ok(fleet)
    }

    /// Objects below each VitessCluster.
    pub(crate) fn children(&self) -> usize {
        self.children.values().sum()
    }

    /// Applies clusters until there are `size`, and waits until all of their objects are there.
    pub(crate) async fn grow(&mut self, size: usize) -> anyhow::Result<()> {
        let api = Kind::VitessCluster.api(&self.client, NAMESPACE);
        let applied = futures::stream::iter(self.size..size).map(|number| {
            let (api, mut manifest) = (api.clone(), self.example.clone());
            let name = format!("fleet-{number}");
            manifest["metadata"] = json!({ "name": name, "namespace": NAMESPACE });
            async move { api.patch(&name, &PatchParams::apply(USER), &Patch::Apply(&manifest)).await }
        });
        let mut applied = applied.buffer_unordered(AT_A_TIME);
        while let Some(answer) = applied.next().await {
            answer?;
        }
        drop(applied);
        self.size = size;
        if self.children.is_empty() {
            return self.learn().await;
        }
        let begun = tokio::time::Instant::now();
        // Those that come last are counted first: whoever counts takes of what is measured.
        for (kind, each) in self.children.iter().rev() {
            while self.count(*kind).await? < size * each {
                ensure!(begun.elapsed() < WITHIN, "the objects do not come");
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
        Ok(())
    }

    /// What the first cluster has, once there is no more of it.
    async fn learn(&mut self) -> anyhow::Result<()> {
        let mut same = 0;
        let begun = tokio::time::Instant::now();
        while same < 25 {
            ensure!(begun.elapsed() < WITHIN, "of the first cluster are there {:?}", self.children);
            tokio::time::sleep(LOOK_AGAIN).await;
            let mut now = BTreeMap::new();
            for kind in
                KINDS.into_iter().filter(|kind| *kind != Kind::VitessCluster && !self.without.contains(kind))
            {
                now.insert(kind, self.count(kind).await? / self.size);
            }
            let every = now.values().all(|count| *count > 0);
            same = if every && now == self.children { same + 1 } else { 0 };
            self.children = now;
        }
        Ok(())
    }

    async fn count(&self, kind: Kind) -> anyhow::Result<usize> {
        let list = kind.api(&self.client, NAMESPACE).list_metadata(&ListParams::default().limit(1)).await?;
        let more = list.metadata.remaining_item_count.unwrap_or(0);
        // One Service is the API server's own.
        Ok(list.items.len() + usize::try_from(more)? - usize::from(kind == Kind::Service))
    }
}

/// Kinds of which a cluster has objects, if it is the host's.
pub(crate) const KINDS: [Kind; 10] = [
    Kind::VitessCluster,
    Kind::VitessCell,
    Kind::VitessKeyspace,
    Kind::VitessShard,
    Kind::VitessBackupStorage,
    Kind::Deployment,
    Kind::PersistentVolumeClaim,
    Kind::Pod,
    Kind::PodDisruptionBudget,
    Kind::Service,
];
