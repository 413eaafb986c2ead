//! Bad manifests and hostile plugins: a condition or an error names field, plugin,
//! rule and reason; the last good state stays, and the cluster beside is untouched.

#[path = "../host/policy/tests/runtime/guests.rs"]
mod guests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use kube::api::{Patch, PatchParams};
use pilothouse::kinds::Kind;
use pilothouse::settings::Settings;
use pilothouse_policy::artifact::Digest;
use pilothouse_tests::seen::{condition, primary, text};
use pilothouse_tests::stage::{Setting, Stage, virtually};
use pilothouse_tests::{built, repository};
use serde_json::{Value, json};

const OURS: &str = "default";
const THEIRS: &str = "beside";
const MINUTE: Duration = Duration::from_secs(60);

/// Everything of a namespace but events.
fn everything(stage: &Stage, namespace: &str) -> BTreeMap<(Kind, String), Arc<Value>> {
    let namespaced = Kind::ALL.into_iter().filter(|k| !matches!(k, Kind::Node | Kind::StorageClass));
    let named = |kind| {
        let objects = stage.objects(kind, namespace).into_iter();
        objects.map(move |o| ((kind, text(&o, "/metadata/name").to_owned()), o))
    };
    namespaced.flat_map(named).collect()
}

/// What must survive a bad plugin or manifest: every object but the VitessCluster, by UID and spec.
fn good_state(stage: &Stage) -> BTreeMap<(Kind, String), (Value, Value)> {
    let mut all = everything(stage, OURS);
    all.retain(|(kind, _), _| *kind != Kind::VitessCluster);
    all.into_iter().map(|(at, o)| (at, (o["metadata"]["uid"].clone(), o["spec"].clone()))).collect()
}

fn ours() -> String {
    std::fs::read_to_string(repository("crds/examples/three-zones.yaml")).unwrap()
}

/// Another tenant's cluster: its keyspace has another name, so its tablets have other aliases.
fn theirs() -> String {
    let names = [("namespace: default", "namespace: beside"), ("harbour", "marina"), ("commerce", "ledger")];
    names.iter().fold(ours(), |text, (from, to)| text.replace(from, to))
}

/// Two tenants' clusters, both up and at rest.
async fn two_tenants() -> Stage {
    let settings = Settings::default();
    let policies = built!().policies(&settings).unwrap();
    let stage = Stage::start(Setting::three_zones(settings, policies)).unwrap();
    for (manifest, namespace) in [(ours(), OURS), (theirs(), THEIRS)] {
        stage.apply(&manifest).await.unwrap();
        let up = stage.until(60 * MINUTE, |s| {
            let cluster = s.objects(Kind::VitessCluster, namespace).into_iter().next()?;
            (text(&cluster, "/status/summary/tablets") == "3/3" && said(s, namespace, "Ready").is_true())
                .then_some(())
        });
        up.await.unwrap_or_else(|| panic!("{namespace} did not come up"));
    }
    stage.settle().await.unwrap();
    stage
}

/// A condition of a namespace's VitessCluster.
#[derive(Debug, Default)]
struct Said {
    status: String,
    reason: String,
    message: String,
}

impl Said {
    fn is_true(&self) -> bool {
        self.status == "True"
    }

    fn has(&self, reason: &str, words: &[&str]) -> bool {
        self.status == "False" && self.reason == reason && words.iter().all(|w| self.message.contains(w))
    }
}

fn said(stage: &Stage, namespace: &str, kind: &str) -> Said {
    let clusters = stage.objects(Kind::VitessCluster, namespace);
    let found = clusters.first().and_then(|c| condition(c, kind));
    let of = |field| found.map(|c| text(c, field).to_owned()).unwrap_or_default();
    Said { status: of("/status"), reason: of("/reason"), message: of("/message") }
}

/// Replaces what stands at a JSON pointer; the API server's words when it refuses.
async fn edit(stage: &Stage, at: &str, value: Value) -> Result<(), String> {
    let patch: Patch<Value> = Patch::Json(
        serde_json::from_value(json!([{ "op": "replace", "path": at, "value": value }])).unwrap(),
    );
    let api = Kind::VitessCluster.api(&stage.embedded.client, OURS);
    match api.patch("harbour", &PatchParams::default(), &patch).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(refused)) if refused.code == 422 => Err(refused.message),
        Err(error) => panic!("{at}: {error}"),
    }
}

const PARTITIONING: &str = "/spec/keyspaces/0/partitionings/0";

/// A JSON pointer of a VitessCluster, its bad value, and what the condition must name.
fn bad_specs(good: &Value) -> Vec<(&'static str, Value, &'static [&'static str])> {
    let at = |pointer: &str| good.pointer(pointer).unwrap().clone();
    let template = at("/spec/keyspaces/0/partitionings/0/equal/shardTemplate");
    let custom = |start: &str, end: &str| {
        let mut shard = template.clone();
        shard["keyRange"] = json!({ "start": start, "end": end });
        json!({ "custom": { "shards": [shard] } })
    };
    let mut twins = template.clone();
    let pool = twins["tabletPools"][0].clone();
    twins["tabletPools"].as_array_mut().unwrap().push(pool);
    let mut untimely = at("/spec/backup");
    untimely["schedules"] = json!([{
        "name": "nightly", "schedule": "0 2 * *", "resources": {},
        "strategies": [{ "name": "all", "scope": "Cluster" }],
    }]);
    let range = "spec.keyspaces[0].partitionings[0].custom.shards[0].keyRange";
    vec![
        (PARTITIONING, custom("80", "40"), vec![range, "80-40"].leak()),
        (PARTITIONING, custom("8", ""), vec!["custom.shards[0].keyRange.start", "8"].leak()),
        (
            "/spec/keyspaces/0/partitionings/0/equal/shardTemplate",
            twins,
            &["shardTemplate.tabletPools[3]", "Duplicate value"],
        ),
        (
            "/spec/keyspaces/0/durabilityPolicy",
            json!("always"),
            &["spec.keyspaces[0].durabilityPolicy", "always"],
        ),
        ("/spec/backup", untimely, &["spec.backup.schedules[0].schedule", "4 fields"]),
    ]
}

#[test]
fn a_bad_manifest_is_told_by_field_and_changes_nothing() {
    virtually(async {
        let stage = two_tenants().await;
        let (before, beside) = (good_state(&stage), everything(&stage, THEIRS));
        let good = stage.objects(Kind::VitessCluster, OURS).remove(0);
        let mut carried = 0;
        for (pointer, bad, words) in bad_specs(&good) {
            if let Err(refused) = edit(&stage, pointer, bad).await {
                assert!(words.iter().all(|w| refused.contains(w)), "{words:?}: {refused}");
            } else {
                let invalid = |s: &Stage| said(s, OURS, "Valid").has("InvalidSpec", words).then_some(());
                let told = stage.until(MINUTE, invalid).await;
                assert!(told.is_some(), "{words:?}: {:?}", said(&stage, OURS, "Valid"));
                carried += 1;
            }
            stage.pass_time(10 * MINUTE).await;
            assert!(said(&stage, OURS, "Ready").is_true(), "{words:?}: it still serves");
            assert_eq!(good_state(&stage), before, "{words:?}: the last good state stays");
            edit(&stage, pointer, good.pointer(pointer).unwrap().clone()).await.expect("it was good before");
            let mended = stage.until(MINUTE, |s| said(s, OURS, "Valid").is_true().then_some(())).await;
            assert!(mended.is_some(), "{words:?}: mended, and still {:?}", said(&stage, OURS, "Valid"));
        }
        assert!(carried > 0, "what a schema cannot say is told by a condition");
        assert_eq!(everything(&stage, THEIRS), beside, "the other tenant's objects are as they were");
        stage.end().await.unwrap();
    });
}

#[test]
fn unknown_fields_of_a_manifest_are_refused_by_name() {
    virtually(async {
        let settings = Settings::default();
        let policies = built!().policies(&settings).unwrap();
        let nowhere = Setting { zones: Vec::new(), nodes: 0, ..Setting::three_zones(settings, policies) };
        let stage = Stage::start(nowhere).unwrap();
        for (from, to, field) in [
            ("  cells:\n", "  celz:\n", "spec.celz"),
            ("durabilityPolicy:", "durability:", "spec.keyspaces[0].durability"),
            ("            replicas: 1\n", "            replikas: 1\n", "\",type=\"replica\"].replikas"),
        ] {
            let manifest = ours();
            assert!(manifest.contains(from));
            let error = stage.apply(&manifest.replace(from, to)).await.unwrap_err().to_string();
            assert!(error.starts_with("VitessCluster harbour: ") && error.contains(field), "{error}");
            assert!(stage.objects(Kind::VitessCluster, OURS).is_empty(), "nothing is stored");
        }
        let error = stage.apply("spec: [").await.unwrap_err().to_string();
        assert!(error.starts_with("document 1 of the manifest: "), "{error}");
        let error =
            stage.apply("apiVersion: v9\nkind: Fleet\nmetadata: { name: x }").await.unwrap_err().to_string();
        assert!(error.contains("no kind Fleet of v9"), "{error}");
    });
}

/// The hostile guest's component.
fn hostile() -> &'static Path {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guests");
        let modules = guests::build(&repository("host/policy/tests/guests"), &target);
        let component = guests::component(&std::fs::read(modules.join("hostile.wasm")).unwrap());
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hostile.component.wasm");
        std::fs::write(&file, component).unwrap();
        file
    })
}

/// Settings for one tenant whose failover policy is that file.
fn bound_to(file: &Path, config: &Value) -> Settings {
    let digest = Digest::of(&std::fs::read(file).unwrap()).to_string();
    let failover = json!({ "file": file, "digest": digest, "config": config });
    serde_json::from_value(json!({ "namespace": OURS, "policies": { "failover": failover } })).unwrap()
}

#[test]
fn a_hostile_plugin_is_told_by_name_and_changes_nothing() {
    virtually(async {
        let mut stage = two_tenants().await;
        let (before, beside) = (good_state(&stage), everything(&stage, THEIRS));
        let [mine, other] = [OURS, THEIRS].map(|n| primary(&stage, n).unwrap());
        assert_ne!(mine.alias, other.alias);
        let theirs = format!("take {}", other.alias);
        let satisfied = "PoliciesSatisfied";
        for (misdeed, kind, reason, words) in [
            ("trap", satisfied, "PluginTrapped", vec!["trapped: "]),
            ("loop", satisfied, "PluginOutOfFuel", vec!["fuel"]),
            ("memory-bomb", satisfied, "PluginOutOfMemory", vec!["memory"]),
            ("recursion", satisfied, "PluginStackOverflow", vec!["stack"]),
            ("thousand-steps", satisfied, "PluginTooManySteps", vec!["1000 steps", "allowed are 256"]),
            ("far-too-many-steps", satisfied, "PluginHostBytesLimit", vec!["bytes"]),
            ("million-steps", satisfied, "PluginOutOfMemory", vec!["memory"]),
            ("key-range", satisfied, "PluginBadValue", vec!["planned-reparent.shard.key-range", "80-40"]),
            (&theirs, "StepsTaken", "NotOurs", vec![other.alias.as_str(), "(scope)"]),
            ("take nowhere-0000000042", "StepsTaken", "NotOurs", vec!["nowhere-0000000042", "(scope)"]),
        ] {
            let settings = bound_to(hostile(), &json!({ "do": misdeed }));
            stage.restart_as(settings.clone(), built!().policies(&settings).unwrap()).await.unwrap();
            let mut words = words;
            if kind == satisfied {
                words.push("policy hostile (slot failover)");
            }
            let told =
                stage.until(5 * MINUTE, |s| said(s, OURS, kind).has(reason, &words).then_some(())).await;
            assert!(told.is_some(), "{misdeed}: {:?}", said(&stage, OURS, kind));
            stage.pass_time(5 * MINUTE).await;
            assert!(said(&stage, OURS, "Ready").is_true(), "{misdeed}: it still serves");
            assert_eq!(primary(&stage, OURS).unwrap(), mine, "{misdeed}");
            assert_eq!(good_state(&stage), before, "{misdeed}: the last good state stays");
        }
        assert_eq!(everything(&stage, THEIRS), beside, "the other tenant's objects are as they were");
        let settings = Settings::default();
        stage.restart_as(settings.clone(), built!().policies(&settings).unwrap()).await.unwrap();
        let well = stage.until(5 * MINUTE, |s| {
            let well = ["PoliciesSatisfied", "StepsTaken"].iter().all(|kind| said(s, OURS, kind).is_true());
            well.then_some(())
        });
        assert!(well.await.is_some(), "with our own policy all is well again");
        stage.end().await.unwrap();
    });
}

#[test]
fn what_is_no_policy_is_refused_at_load_by_file_slot_and_reason() {
    let dir = tempfile::tempdir().unwrap();
    for (bytes, words) in [
        (&b"#!/bin/sh\n"[..], "is not WebAssembly, not a WebAssembly component"),
        (b"", "is an empty file"),
        (b"\0asm\x01\0\0\0", "is a core WebAssembly module"),
        (b"\0asm\x0d\0\x01\0", "exports no policy interface"),
        (b"\0asm\x0d\0\x01\0rubbish", "component"),
    ] {
        let file = dir.path().join("policy.wasm");
        std::fs::write(&file, bytes).unwrap();
        let error = built!().policies(&bound_to(&file, &json!({}))).unwrap_err().to_string();
        let named = format!("policy {} (slot failover): ", file.display());
        assert!(error.starts_with(&named) && error[named.len()..].contains(words), "{error}");
    }
    let other = dir.path().join("other.wasm");
    std::fs::write(&other, b"\0asm\x0d\0\x01\0").unwrap();
    let settings = bound_to(&other, &json!({}));
    std::fs::write(&other, b"\0asm\x0d\0\x01\0swapped").unwrap();
    let error = built!().policies(&settings).unwrap_err().to_string();
    assert!(error.contains("has digest sha256:") && error.contains("the binding wants sha256:"), "{error}");
}

#[test]
fn a_configuration_that_does_not_fit_is_refused_by_field() {
    for (slot, config, words) in [
        ("placement", json!({ "minZone": 1 }), vec!["policy az-placement (slot placement)", "minZone"]),
        ("placement", json!({ "minZones": 0 }), vec!["policy az-placement (slot placement)", "minZones"]),
        ("backup", json!({ "maxAge": "soon" }), vec!["policy backup (slot backup)", "maxAge"]),
    ] {
        let builtin = if slot == "placement" { "az-placement" } else { slot };
        let settings = json!({ "policies": { slot: { "builtin": builtin, "config": config } } });
        let error = built!().policies(&serde_json::from_value(settings).unwrap()).unwrap_err().to_string();
        assert!(words.iter().all(|w| error.contains(w)), "{error}");
    }
    let settings = json!({ "policies": { "failover": { "builtin": "fail-over" } } });
    let error = built!().policies(&serde_json::from_value(settings).unwrap()).unwrap_err().to_string();
    assert!(error.contains("no such built-in") && error.contains("az-placement"), "{error}");
}
