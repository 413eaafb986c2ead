//! The host on Kubernetes' own API server, and whether the played one tells the truth about it:
//! the same manifest, taken by the same controller, must stand there as the same objects.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use kube::Client;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use pilothouse::clock::Clock;
use pilothouse::controller::{Controller, Parts};
use pilothouse::embedded::{self, Embedded};
use pilothouse::kinds::Kind;
use pilothouse::settings::Settings;
use pilothouse::vitess::Vitess;
use pilothouse_policy::set::PolicySet;
use pilothouse_sim::world::WorldSettings;
use pilothouse_tests::cluster::host::{self, Host};
use pilothouse_tests::cluster::whole::ever;
use pilothouse_tests::cluster::{self, Cluster};
use pilothouse_tests::standing::{self, Tree};
use pilothouse_tests::{built, repository};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// 2026-01-01T00:00:00Z.
const EPOCH_MS: u64 = 1_767_225_600_000;
/// What takes longer than this on a real server never comes.
const WITHIN: Duration = Duration::from_secs(60);

/// The Service by which Pods find the API server.
const THE_SERVERS_OWN: &str = "kubernetes";

/// Three zones of one node each, which the policies place by. Nobody plays kubelets here.
fn nodes() -> Vec<Value> {
    let node = |zone: &str| {
        json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": { "name": format!("{zone}-1"), "labels": { "topology.kubernetes.io/zone": zone } },
        })
    };
    ["zone-a", "zone-b", "zone-c"].map(node).into()
}

/// Says of every Node that its kubelet is well.
async fn make_ready(client: &Client) -> anyhow::Result<()> {
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &Kind::Node.resource());
    let ready = json!({ "status": { "conditions": [{ "type": "Ready", "status": "True", "reason": "KubeletReady" }] } });
    for node in nodes() {
        let name = node["metadata"]["name"].as_str().unwrap_or_default();
        api.patch_status(name, &PatchParams::default(), &Patch::Merge(&ready)).await?;
    }
    Ok(())
}

/// What people apply, one after the other: the example, another image that waits for its release
/// (External), and a cascade that releases it as far as it gets without anybody to ask of Vitess.
fn manifests() -> anyhow::Result<Vec<Vec<Value>>> {
    let example = std::fs::read_to_string(repository("crds/examples/three-zones.yaml"))?;
    let changed = example.replace("v24.0.2-mysql80", "next").replace("type: Immediate", "type: External");
    let cascade = "  name: harbour\n  annotations: { rollout.planetscale.com/cascade: by hand }\n";
    let released = changed.replacen("  name: harbour\n", cascade, 1);
    anyhow::ensure!(example != changed && changed != released, "the example has changed");
    let mut manifests = [example, changed, released].map(|m| embedded::documents(&m)).into_iter();
    let mut first = nodes();
    first.extend(manifests.next().context("just made")??);
    let rest: Result<Vec<_>, _> = manifests.collect();
    let mut all: Vec<Vec<Value>> = std::iter::once(first).chain(rest?).collect();
    all.iter_mut().flatten().filter(|d| d["kind"] == "VitessCluster").for_each(complete);
    Ok(all)
}

/// What the example leaves out and the host would write.
fn complete(cluster: &mut Value) {
    let spec = &mut cluster["spec"];
    spec["images"]["vtadmin"] = json!("vitess/vtadmin:v24.0.2");
    spec["vtadmin"] = json!({ "cells": ["a", "b"], "apiAddresses": ["http://localhost:14001"] });
    spec["backup"]["schedules"] = json!([{
        "name": "nightly", "schedule": "0 2 * * *", "resources": {},
        "strategies": [{ "name": "all", "scope": "Cluster" }],
    }]);
    // One that names no replicas, and one whose replicas are an autoscaler's.
    spec["cells"][1]["gateway"].as_object_mut().map(|gateway| gateway.remove("replicas"));
    spec["cells"][2]["gateway"]["autoscaler"] = json!({ "minReplicas": 2, "maxReplicas": 4,
        "behavior": { "scaleDown": { "stabilizationWindowSeconds": 60 } } });
}

/// What stands, and what can be scaled, without what no two servers have alike.
async fn tree(client: &Client) -> anyhow::Result<Tree> {
    let mut tree = standing::tree(client, "default").await?;
    tree.retain(|(_, name), _| name != THE_SERVERS_OWN);
    tree.values_mut().for_each(standing::forget);
    let cells = Kind::VitessCell.api(client, "default");
    for cell in cells.list(&ListParams::default()).await? {
        let name = cell.metadata.name.unwrap_or_default();
        let scale = match cells.get_scale(&name).await {
            Ok(scale) => json!({ "spec": scale.spec, "status": scale.status }),
            Err(kube::Error::Api(status)) => json!({ "code": status.code, "message": status.message }),
            Err(error) => return Err(error.into()),
        };
        tree.insert(("Scale".to_owned(), name), scale);
    }
    Ok(tree)
}

/// What the host makes of each manifest on the played server, with nobody else at work.
fn played(policies: &Arc<PolicySet>) -> anyhow::Result<Vec<Tree>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    runtime.block_on(async {
        let embedded = Embedded::new(EPOCH_MS, 1, WorldSettings::default())?;
        let stop = CancellationToken::new();
        let parts = embedded.parts(Arc::clone(policies), &Settings::default());
        let controller = Controller::new(Parts { vitess: Vitess::Unknown, ..parts });
        let running = tokio::spawn(controller.run(stop.clone()));
        let mut trees = Vec::new();
        for manifest in manifests()? {
            embedded::apply(&embedded.client, &manifest).await?;
            // Virtual: over as soon as nobody has anything left to do.
            tokio::time::sleep(Duration::from_secs(600)).await;
            trees.push(tree(&embedded.client).await?);
        }
        stop.cancel();
        running.await?;
        Ok(trees)
    })
}

/// The same on the real one, each until the same objects stand, or never come.
async fn real(cluster: &Cluster, policies: &Arc<PolicySet>, wanted: &[Tree]) -> anyhow::Result<Vec<Tree>> {
    let client = &cluster.client;
    host::install(client).await?;
    embedded::apply(client, &[host::class_of_volumes()]).await?;
    let mut trees = Vec::new();
    let mut running = None;
    for (manifest, wanted) in manifests()?.iter().zip(wanted) {
        host::apply(client, manifest).await?;
        if running.is_none() {
            make_ready(client).await?;
            let policies = Arc::clone(policies);
            let vitess = Vitess::Unknown;
            running = Some(Host::start(cluster, Settings::default(), policies, vitess, Clock::system())?);
        }
        let stands = async || Ok(Some(tree(client).await?).filter(|tree| tree == wanted));
        trees.push(match ever(WITHIN, stands).await? {
            Some(tree) => tree,
            None => tree(client).await?,
        });
    }
    Ok(trees)
}

/// The Jobs that schedules begin, applied as the host does.
async fn jobs(client: &Client) -> anyhow::Result<Vec<Value>> {
    let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "port" } });
    embedded::apply(client, &[namespace]).await?;
    let mut stored = Vec::new();
    for file in ["vtbackup-job", "vtctldclient-job"] {
        let text = std::fs::read_to_string(repository(&format!("host/tests/render/golden/{file}.yaml")))?;
        let job = embedded::documents(&text)?.remove(0);
        let name = job["metadata"]["name"].as_str().context("a name")?;
        let params = PatchParams::apply("pilothouse").force();
        let api = Kind::Job.api(client, "port");
        let answer = api.patch(name, &params, &Patch::Apply(&job)).await?;
        let mut answer = serde_json::to_value(&answer)?;
        standing::forget(&mut answer);
        stored.push(answer);
    }
    // What others make may have no labels, or may never be.
    for restart in ["Never", "Always"] {
        let pod = json!({ "restartPolicy": restart, "containers": [{ "name": "c", "image": "i:1" }] });
        let bare = json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": "bare" },
            "spec": { "template": { "spec": pod } },
        });
        let answer = Kind::Job
            .api(client, "port")
            .create(&PostParams::default(), &serde_json::from_value(bare)?)
            .await;
        let mut answer = match answer {
            Ok(job) => serde_json::to_value(&job)?,
            Err(kube::Error::Api(refused)) => json!({ "refused": refused.message }),
            Err(error) => return Err(error.into()),
        };
        standing::forget(&mut answer);
        stored.push(answer);
    }
    Ok(stored)
}

#[test]
fn a_scheduled_job_stands_on_both_alike() {
    let Some(binary) = cluster::binary().unwrap() else { return };
    let paused = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let played = paused.unwrap().block_on(async {
        let embedded = Embedded::new(EPOCH_MS, 1, WorldSettings::default()).unwrap();
        jobs(&embedded.client).await.unwrap()
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let real = runtime.block_on(async {
        let cluster = Cluster::start(&binary).await.unwrap();
        host::install(&cluster.client).await.unwrap();
        embedded::apply(&cluster.client, &[host::class_of_volumes()]).await.unwrap();
        jobs(&cluster.client).await.unwrap()
    });
    let found = standing::differences(&json!(played), &json!(real));
    assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
}

#[test]
fn what_stands_on_the_played_server_stands_on_the_real_one() {
    let Some(binary) = cluster::binary().unwrap() else { return };
    let policies = built!().policies(&Settings::default()).unwrap();
    let played = played(&policies).unwrap();
    assert!(played[0].len() > 20, "the host made a tree: {:?}", played[0].keys());
    let waits = |tree: &Tree| {
        let annotation =
            |o: &&Value| o["metadata"]["annotations"].get("rollout.planetscale.com/scheduled").is_some();
        tree.values().filter(annotation).count()
    };
    let waiting: Vec<usize> = played.iter().map(waits).collect();
    assert_eq!(waiting, [0, 7, 3], "cells, keyspace and control daemons wait, then the tablets");
    let scale = |cell: &str| &played[0][&("Scale".to_owned(), pilothouse_api::names::cell("harbour", cell))];
    assert_eq!(scale("c")["spec"]["replicas"], 1, "begun, for the autoscaler to go on with");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let real = runtime.block_on(async {
        let cluster = Cluster::start(&binary).await.unwrap();
        real(&cluster, &policies, &played).await.unwrap()
    });
    let compared = played.iter().zip(&real);
    let found: Vec<String> = compared.flat_map(|(p, r)| standing::tree_differences(p, r)).collect();
    assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
}
