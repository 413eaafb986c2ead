//! A life of a database whose host knows its Vitess, and so does what it otherwise leaves: levels and leftovers are
//! taken away, a tablet that serves is evicted, backups are recorded.
//!
//! Real is the whole control plane. **Played** are nodes, volumes and Vitess, as in `tests/whole`; the host is a
//! task, with a service account's token.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Context as _;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams};
use kube::{Client, ResourceExt as _};
use pilothouse::embedded;
use pilothouse::kinds::Kind;
use pilothouse::settings::Settings;
use pilothouse::vitess::Vitess;
use pilothouse_api::labels::annotations;
use pilothouse_sim::vitess::ClusterKey;
use pilothouse_tests::built;
use pilothouse_tests::cluster::databases::Databases;
use pilothouse_tests::cluster::host::Host;
use pilothouse_tests::cluster::whole::{Whole, until};
use pilothouse_tests::seen::{condition, text};
use serde_json::{Value, json};

use crate::{cluster, host};

/// What takes longer than this never comes.
const WITHIN: Duration = Duration::from_secs(600);
/// The second keyspace has its tablets in one zone.
const POLICIES: &str = "{ policies: { placement: { builtin: az-placement, config: { minZones: 1 } } } }";
const OMIT_BUDGETS: &str = "pilothouse.dev/disruption-budgets";

/// The cluster of the other life on the nodes that are there, with a fourth cell, and a second keyspace that is small
/// and in two partitionings. No backup is due.
fn documents(namespace: &str) -> Vec<Value> {
    let mut documents = cluster(namespace);
    documents.retain(|d| d["kind"] != "Node");
    let spec = &mut documents[0]["spec"];
    spec["backup"]["schedules"][0]["schedule"] = json!("@yearly");
    let cells = spec["cells"].as_array_mut().expect("cells");
    let mut fourth = cells[0].clone();
    fourth["name"] = json!("d");
    cells.push(fourth);
    let ledger = &mut spec["keyspaces"][1];
    ledger["durabilityPolicy"] = json!("none");
    let whole = &mut ledger["partitionings"][0];
    whole["equal"]["shardTemplate"]["tabletPools"].as_array_mut().expect("pools").truncate(1);
    let mut halves = whole.clone();
    halves["equal"]["parts"] = json!(2);
    ledger["partitionings"].as_array_mut().expect("partitionings").push(halves);
    documents
}

/// The namespace, as whoever tests sees it.
struct Seen<'a> {
    client: &'a Client,
    namespace: &'a str,
}

impl Seen<'_> {
    fn api(&self, kind: Kind) -> Api<DynamicObject> {
        kind.api(self.client, self.namespace)
    }

    async fn all(&self, kind: Kind, labels: &str) -> anyhow::Result<Vec<DynamicObject>> {
        Ok(self.api(kind).list(&ListParams::default().labels(labels)).await?.items)
    }

    /// Waits until so many objects of a kind carry these labels.
    async fn are(&self, count: usize, kind: Kind, labels: &str) -> anyhow::Result<()> {
        until(WITHIN, &format!("{count} {} with {labels:?}", kind.as_str()), async || {
            Ok((self.all(kind, labels).await?.len() == count).then_some(()))
        })
        .await
    }

    async fn cluster(&self) -> anyhow::Result<Value> {
        Ok(serde_json::to_value(self.api(Kind::VitessCluster).get("harbour").await?)?)
    }

    /// Waits until every shard takes writes, and every tablet serves.
    async fn serves(&self) -> anyhow::Result<()> {
        until(WITHIN, "every tablet serves", async || {
            let cluster = self.cluster().await?;
            let ready = condition(&cluster, "Ready").is_some_and(|c| c["status"] == "True");
            Ok((ready && text(&cluster, "/status/summary/tablets") == "3/3").then_some(()))
        })
        .await
    }

    async fn tablets(&self) -> anyhow::Result<BTreeSet<String>> {
        let tablets = self.all(Kind::Pod, "planetscale.com/component=vttablet").await?;
        Ok(tablets.iter().filter_map(kube::ResourceExt::uid).collect())
    }

    async fn mark(&self, annotation: &str, value: &str) -> anyhow::Result<()> {
        let patch = Patch::Merge(json!({ "metadata": { "annotations": { annotation: value } } }));
        self.api(Kind::VitessCluster).patch("harbour", &PatchParams::default(), &patch).await?;
        Ok(())
    }
}

/// Runs one, as the service account of what is installed.
pub(crate) async fn life(whole: &Whole, installed: &[Value], namespace: &str) -> anyhow::Result<()> {
    let client = &whole.cluster.client;
    let databases = Databases::play(client, 1);
    let vitess = Vitess::Played(databases.world.vitess());
    let Settings { policies, .. } = serde_yaml_ng::from_str(POLICIES)?;
    let settings = Settings { policies, ..host::settings(installed, "pilothouse") };
    let (policies, clock) = (built!().policies(&settings)?, databases.clock.clone());
    let token = host::token(&whole.cluster).await?;
    let _host = Host::start_as(&token, &whole.cluster, settings, policies, vitess, clock)?;
    let seen = Seen { client, namespace };
    let lived = lives(&seen, &databases).await;
    match lived {
        Ok(()) => Ok(()),
        Err(error) => Err(error.context(format!("{:#}", seen.cluster().await?["status"]["conditions"]))),
    }
}

async fn lives(seen: &Seen<'_>, databases: &Databases) -> anyhow::Result<()> {
    let mut documents = documents(seen.namespace);
    embedded::apply(seen.client, &documents).await?;
    let ledger = "planetscale.com/keyspace=ledger";
    seen.are(3, Kind::VitessShard, ledger).await?;
    less_is_asked_for(seen, &mut documents, ledger).await?;

    seen.serves().await?;
    let backups = "planetscale.com/keyspace=commerce";
    seen.are(1, Kind::VitessBackup, backups).await?;
    images_change(seen, &mut documents[0]).await?;

    // Somebody empties the store.
    let record = seen.all(Kind::VitessBackup, backups).await?.pop().context("a backup")?;
    let cluster = ClusterKey::new(seen.namespace, "harbour");
    let stored = record.data["status"]["storageName"].as_str().context("its name")?;
    databases.world.vitess().remove_backup(&cluster, stored)?;
    until(WITHIN, "the record is gone", async || {
        Ok(seen.api(Kind::VitessBackup).get_opt(&record.name_any()).await?.is_none().then_some(()))
    })
    .await
}

/// Shards, a keyspace, a cell, and whatever of the cluster is asked for no more, go.
async fn less_is_asked_for(seen: &Seen<'_>, documents: &mut [Value], ledger: &str) -> anyhow::Result<()> {
    let spec = &mut documents[0]["spec"];
    spec["keyspaces"][1]["partitionings"].as_array_mut().context("partitionings")?.pop();
    embedded::apply(seen.client, &documents[..1]).await?;
    seen.are(1, Kind::VitessShard, ledger).await?;

    let vtadmin = "planetscale.com/component=vtadmin";
    for kind in [Kind::Deployment, Kind::Service] {
        seen.are(1, kind, vtadmin).await?;
    }
    let spec = &mut documents[0]["spec"];
    spec["keyspaces"].as_array_mut().context("keyspaces")?.pop();
    spec["cells"].as_array_mut().context("cells")?.pop();
    spec.as_object_mut().context("a spec")?.remove("vtadmin");
    spec["backup"].as_object_mut().context("backup")?.remove("schedules");
    spec["cells"][2]["gateway"].as_object_mut().context("a gateway")?.remove("autoscaler");
    documents[0]["metadata"]["annotations"] = json!({ OMIT_BUDGETS: "Omit" });
    embedded::apply(seen.client, &documents[..1]).await?;
    for (left, kind, labels) in [
        (0, Kind::VitessKeyspace, ledger),
        (3, Kind::VitessCell, ""),
        (0, Kind::Deployment, vtadmin),
        (0, Kind::Service, vtadmin),
        (0, Kind::Secret, "planetscale.com/cluster=harbour"),
        (0, Kind::VitessBackupSchedule, ""),
        (0, Kind::HorizontalPodAutoscaler, ""),
        (1, Kind::PodDisruptionBudget, "planetscale.com/cluster=harbour"), // etcd's own
    ] {
        seen.are(left, kind, labels).await?;
    }
    Ok(())
}

/// Every tablet is made anew, by eviction, as its cluster is released; then the release is unmarked.
async fn images_change(seen: &Seen<'_>, cluster: &mut Value) -> anyhow::Result<()> {
    let before = seen.tablets().await?;
    cluster["spec"]["images"]["vttablet"] = json!("vitess/lite:another");
    embedded::apply(seen.client, std::slice::from_ref(cluster)).await?;
    seen.mark(annotations::ROLLOUT_CASCADE, "by hand").await?;
    until(WITHIN, "the release is over", async || {
        let marked = seen.api(Kind::VitessCluster).get("harbour").await?;
        Ok((!marked.annotations().contains_key(annotations::ROLLOUT_CASCADE)).then_some(()))
    })
    .await?;
    seen.serves().await?;
    let after = seen.tablets().await?;
    anyhow::ensure!(after.len() == 3 && after.is_disjoint(&before), "{before:?} became {after:?}");
    Ok(())
}
