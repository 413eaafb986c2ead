//! One change under External beside a listing of what the operator of these kinds left standing
//! after it: the same specs, and the same objects with something that waits.
//!
//! Runs where the listing and its two manifests are; they are no part of this repository.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use kube::api::ListParams;
use pilothouse::actuate::MANAGER;
use pilothouse::controller::{Controller, Parts};
use pilothouse::embedded::{self, Embedded};
use pilothouse::equality;
use pilothouse::kinds::Kind;
use pilothouse::settings::Settings;
use pilothouse::vitess::Vitess;
use pilothouse_policy::set::PolicySet;
use pilothouse_sim::world::WorldSettings;
use pilothouse_tests::{repository, stage};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// 2026-01-01T00:00:00Z.
const EPOCH_MS: u64 = 1_767_225_600_000;
const NAMESPACE: &str = "example";
const SCHEDULED: &str = "rollout.planetscale.com/scheduled";

/// Where we differ on purpose, as `KIND PATH`, and why.
const ON_PURPOSE: [(&str, &str); 3] = [
    ("Pod spec.initContainers[init-vt-root].args[0]", "the script is our own"),
    ("Pod spec.initContainers[init-mysql-socket].args[0]", "the script is our own"),
    (
        "Pod spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[1]\
         .podAffinityTerm.topologyKey",
        "the zone label there is deprecated",
    ),
];

/// Kinds and components of objects that we alone make: `docs/differences.md` says why.
const HERE_ALONE: [(&str, &str); 2] =
    [("PodDisruptionBudget", "vttablet"), ("PodDisruptionBudget", "vtgate")];

/// Objects by kind and name.
type Tree = BTreeMap<(String, String), Value>;

fn handed_out(path: &str) -> PathBuf {
    repository("..").join("shared").join(path)
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The children among some objects: what a manifest itself holds has no such label.
fn children(objects: impl IntoIterator<Item = Value>) -> Tree {
    let is_child = |object: &Value| {
        let is_owned = object.pointer("/metadata/ownerReferences/0").is_some();
        // our claims outlive who asked for them
        is_owned || object.pointer("/metadata/labels/planetscale.com~1cluster").is_some()
    };
    let key = |o: &Value| (text(o, "/kind").to_owned(), text(o, "/metadata/name").to_owned());
    objects.into_iter().filter(is_child).map(|object| (key(&object), object)).collect()
}

async fn standing(client: &Client) -> anyhow::Result<Tree> {
    let mut all = Vec::new();
    for kind in Kind::ALL.into_iter().filter(|kind| kind.is_namespaced()) {
        for object in kind.api(client, NAMESPACE).list(&ListParams::default()).await? {
            let mut value = serde_json::to_value(&object)?;
            value["kind"] = json!(kind.as_str());
            all.push(value);
        }
    }
    Ok(children(all))
}

/// What stands after each manifest, on a bare server without anybody to ask of Vitess.
fn played(manifests: &[PathBuf]) -> anyhow::Result<Tree> {
    let program = env!("CARGO_BIN_EXE_pilothouse-under-test").as_ref();
    let cache = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("policies");
    // There is no Node, and so no zone to place anything in.
    let settings: Settings = serde_json::from_value(json!({ "policies": { "placement": null } }))?;
    let policies =
        Arc::new(PolicySet::load(&stage::runtime(program, &cache, &settings)?, &settings.policies)?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    runtime.block_on(async {
        let embedded =
            Embedded::new(EPOCH_MS, 1, WorldSettings { zones: Vec::new(), ..WorldSettings::default() })?;
        let parts = Parts { vitess: Vitess::Unknown, ..embedded.parts(policies, &settings) };
        let stop = CancellationToken::new();
        let running = tokio::spawn(Controller::new(parts).run(stop.clone()));
        for manifest in manifests {
            let documents = embedded::documents(&std::fs::read_to_string(manifest)?)?;
            embedded::apply(&embedded.client, &documents).await?;
            // Virtual: over as soon as nobody has anything left to do.
            tokio::time::sleep(Duration::from_secs(600)).await;
        }
        stop.cancel();
        running.await?;
        standing(&embedded.client).await
    })
}

fn waiting(tree: &Tree) -> BTreeSet<&(String, String)> {
    let waits = |object: &Value| object["metadata"]["annotations"].get(SCHEDULED).is_some();
    tree.iter().filter(|(_, object)| waits(object)).map(|(key, _)| key).collect()
}

#[test]
fn what_stands_after_a_change_is_the_operators() {
    let (listing, manifests) = (
        handed_out("reference/transitions/external_change.json"),
        ["inputs/external_1.yaml", "inputs/external_2.yaml"].map(handed_out),
    );
    if !listing.exists() || !manifests.iter().all(|m| m.exists()) {
        println!("not run here: there is no listing to compare with");
        return;
    }
    let listing: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(listing).unwrap()).unwrap();
    let (theirs, ours) = (children(listing), played(&manifests).unwrap());
    assert!(theirs.len() > 20, "the listing has a tree: {:?}", theirs.keys());
    let mut wrong = Vec::new();
    for (key, theirs) in &theirs {
        let (kind, name) = key;
        let Some(live) = ours.get(key) else {
            wrong.push(format!("{kind} {name} is not there"));
            continue;
        };
        // what we asked for: the rest of it the servers filled in
        let spec = equality::applied(live, MANAGER, "spec").unwrap_or_default();
        for line in equality::differences(&json!({ "spec": spec }), theirs, "") {
            let path = line.split(": ").next().unwrap_or_default();
            if !ON_PURPOSE.iter().any(|(known, _)| *known == format!("{kind} {path}")) {
                wrong.push(format!("{kind} {name} {line}"));
            }
        }
    }
    let mut alone = BTreeSet::new();
    for (key, live) in ours.iter().filter(|(key, _)| !theirs.contains_key(*key)) {
        let named = (key.0.as_str(), text(live, "/metadata/labels/planetscale.com~1component"));
        if HERE_ALONE.contains(&named) {
            alone.insert(named);
        } else {
            wrong.push(format!("{key:?} is ours alone"));
        }
    }
    assert_eq!(alone, BTreeSet::from(HERE_ALONE));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(waiting(&ours), waiting(&theirs));
}
