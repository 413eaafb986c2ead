//! A rolling image change in the midst of resharding, with the host killed and restarted at random.
//!
//! The seed of the random points is printed; `PILOTHOUSE_SEED` chooses another.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use kube::ResourceExt as _;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams};
use pilothouse::embedded;
use pilothouse::kinds::Kind;
use pilothouse::settings::Settings;
use pilothouse::simulate::Draws;
use pilothouse::vitess::Vitess;
use pilothouse_tests::cluster::databases::Databases;
use pilothouse_tests::cluster::host::{self, Host};
use pilothouse_tests::cluster::whole::{Whole, until};
use pilothouse_tests::seen::{condition, text};
use pilothouse_tests::{built, cluster, repository};
use serde_json::{Value, json};

use crate::rollout::Rollout;

/// Four shards come up, or are rolled with a host that dies all the time, in less; or never. Where it
/// dies in the middle of an eviction, the budget counts the Pod as gone for two minutes.
const WITHIN: Duration = Duration::from_secs(900);
/// Transactions that clients write to each shard, so that there is something to lose.
const WRITES_PER_MINUTE: u64 = 60;
/// The one cell stands in no zone in particular; and a Node that is late with its heartbeat, where cores are few,
/// does not hold the rollout for a quarter of an hour.
const SETTINGS: &str = "{ zones: { recoveredAfterMs: 15000 }, policies: { placement: { builtin: az-placement, config: { minZones: 1 } } } }";
const SEED: &str = "PILOTHOUSE_SEED";

/// A cluster that stands, and who works on it.
struct Scene<'a> {
    whole: &'a Whole,
    databases: Databases,
    host: Host,
    draws: Draws,
    namespace: String,
    name: String,
}

impl<'a> Scene<'a> {
    async fn stands(whole: &'a Whole, manifest: &[Value], seed: u64) -> anyhow::Result<Self> {
        let client = &whole.cluster.client;
        host::apply(client, manifest).await?;
        let cluster = manifest.iter().find(|d| d["kind"] == "VitessCluster").context("no VitessCluster")?;
        let databases = Databases::play(client, seed);
        let vitess = Vitess::Played(databases.world.vitess());
        let clock = databases.clock.clone();
        let settings: Settings = serde_yaml_ng::from_str(SETTINGS)?;
        let policies = built!().policies(&settings)?;
        let host = Host::start(&whole.cluster, settings, policies, vitess, clock)?;
        let namespace = text(cluster, "/metadata/namespace").to_owned();
        let name = text(cluster, "/metadata/name").to_owned();
        let scene = Self { whole, databases, host, draws: Draws::new(seed, "kills"), namespace, name };
        scene.is_ready().await?;
        for (key, _) in scene.databases.world.facts().shards {
            ensure!(
                scene.databases.world.write_rate(&key.cluster, &key.shard, WRITES_PER_MINUTE),
                "{}",
                key.shard
            );
        }
        Ok(scene)
    }

    async fn is_ready(&self) -> anyhow::Result<()> {
        let clusters = Kind::VitessCluster.api(&self.whole.cluster.client, &self.namespace);
        let ready = until(WITHIN, "the cluster is Ready", async || {
            let cluster = serde_json::to_value(clusters.get(&self.name).await?)?;
            let all = text(&cluster, "/status/summary/tablets").split_once('/').is_some_and(|(a, b)| a == b);
            let ready = condition(&cluster, "Ready").is_some_and(|c| c["status"] == "True");
            Ok((all && ready).then_some(()))
        });
        if let Err(never) = ready.await {
            let cluster = serde_json::to_value(clusters.get(&self.name).await?)?;
            anyhow::bail!("{never}: {:#}", cluster["status"]["conditions"]);
        }
        Ok(())
    }

    /// Edits the only object of a kind.
    async fn edit(&self, kind: Kind, patch: Value) -> anyhow::Result<()> {
        let api = kind.api(&self.whole.cluster.client, &self.namespace);
        let all = api.list(&ListParams::default()).await?;
        let name = all.items.first().and_then(|o| o.metadata.name.clone()).context("there is none")?;
        let by = PatchParams { field_manager: Some("kubectl-edit".into()), ..PatchParams::default() };
        api.patch(&name, &by, &Patch::Merge(patch)).await?;
        Ok(())
    }

    /// Waits until a change of every selected object waits for its release.
    async fn waits(&self, kind: Kind, selector: &str) -> anyhow::Result<()> {
        let api = kind.api(&self.whole.cluster.client, &self.namespace);
        let waits = |o: &DynamicObject| o.annotations().contains_key("rollout.planetscale.com/scheduled");
        until(WITHIN, &format!("every {} waits", kind.as_str()), async || {
            let all = api.list(&ListParams::default().labels(selector)).await?;
            Ok(all.iter().all(waits).then_some(()))
        })
        .await
    }

    /// Images of that tag for everything that is rolled one by one.
    async fn change_images(&self, tag: &str) -> anyhow::Result<()> {
        let image = format!("vitess/lite:{tag}");
        self.edit(
            Kind::VitessCluster,
            json!({ "spec": {
            "images": { "vttablet": image, "mysqld": { "mysql80Compatible": image } },
            "globalLockserver": { "etcd": { "image": format!("quay.io/coreos/etcd:{tag}") } },
        } }),
        )
        .await
    }

    /// Watches until everybody serves with images of `tag`; the host dies after every few changes.
    async fn rolls(&mut self, rollout: &mut Rollout, tag: &str) -> anyhow::Result<usize> {
        let mut kills = 0;
        let mut changes_left = 0;
        while !rollout.is_over(tag) {
            rollout.next().await?;
            ensure!(rollout.wrong.is_empty(), "{:#?}", rollout.wrong);
            if changes_left > 0 {
                changes_left -= 1;
                continue;
            }
            changes_left = self.draws.range(0, 5);
            // Nobody can tell where in its work it is; that is what is wanted.
            tokio::time::sleep(Duration::from_millis(self.draws.range(0, 300))).await;
            self.host.kill_and_restart(&self.whole.cluster).await?;
            kills += 1;
        }
        Ok(kills)
    }

    async fn rolls_in_time(&mut self, mut rollout: Rollout, tag: &str) -> anyhow::Result<()> {
        let kills = tokio::time::timeout(WITHIN, self.rolls(&mut rollout, tag)).await;
        let wrong = rollout.verdict();
        let kills = kills.with_context(|| format!("never rolled to {tag}: {wrong:#?}"))??;
        println!("rolled to {tag}; the host was killed {kills} times");
        ensure!(wrong.is_empty(), "{wrong:#?}");
        ensure!(kills > 10, "the host was killed {kills} times only");
        self.is_ready().await?;
        let broken = self.databases.broken();
        ensure!(broken.is_empty(), "{broken:#?}");
        Ok(())
    }
}

/// The annotation that releases everything below an object.
fn cascade() -> Value {
    json!({ "metadata": { "annotations": { "rollout.planetscale.com/cascade": "by hand" } } })
}

async fn rolls_safely(whole: &Whole, manifest: &[Value], seed: u64) -> anyhow::Result<()> {
    let mut scene = Scene::stands(whole, manifest, seed).await?;
    let client = &whole.cluster.client;
    let watch = async |scene: &Scene<'_>| {
        Rollout::watch(client, &scene.namespace, scene.databases.world.clone()).await
    };
    // Immediate: tablets by themselves, members of etcd when somebody says so.
    let rollout = watch(&scene).await?;
    scene.change_images("next").await?;
    scene.waits(Kind::Pod, "planetscale.com/component=etcd").await?;
    scene.edit(Kind::EtcdLockserver, cascade()).await?;
    scene.rolls_in_time(rollout, "next").await?;
    // External: everything waits, also for a host that is new to it, until it is released.
    let external = json!({ "spec": { "updateStrategy": { "type": "External" } } });
    scene.edit(Kind::VitessCluster, external).await?;
    let rollout = watch(&scene).await?;
    scene.change_images("last").await?;
    scene.waits(Kind::VitessKeyspace, "").await?;
    scene.host.kill_and_restart(&whole.cluster).await?;
    scene.edit(Kind::VitessCluster, cascade()).await?;
    scene.rolls_in_time(rollout, "last").await
}

/// Runs it on a control plane of its own, where there is one.
fn check(manifest: &str) {
    let Some(binary) = cluster::binary().unwrap() else { return };
    let _one = crate::one_at_a_time();
    let seed = std::env::var(SEED).map_or(1, |seed| seed.parse().unwrap());
    println!("seed {seed} ({SEED}=n is another)");
    let manifest = embedded::documents(manifest).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let whole = Whole::start(&binary, &["zone-a", "zone-b", "zone-c"], 2).await.unwrap();
        host::install(&whole.cluster.client).await.unwrap();
        rolls_safely(&whole, &manifest, seed).await.unwrap();
    });
}

#[test]
fn images_change_one_by_one_in_the_midst_of_resharding() {
    check(include_str!("new_shards.yaml"));
}

#[test]
fn images_of_the_recorded_manifest_change_one_by_one() {
    let input = repository("../shared/inputs/302_new_shards.yaml");
    let Ok(manifest) = std::fs::read_to_string(input) else {
        println!("not run here: the neighbouring folder of recorded inputs is not there");
        return;
    };
    // It mounts a claim that its user made before.
    let claim = "---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: { name: vitess-backups, namespace: example }
spec: { accessModes: [ReadWriteMany], resources: { requests: { storage: 10Gi } } }
";
    check(&format!("{manifest}\n{claim}"));
}
