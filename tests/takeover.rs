//! A cluster that vitess-operator ran is taken over: nothing restarts, and its fields become ours.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt as _;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use pilothouse::controller::{Controller, Parts};
use pilothouse::embedded::{self, Embedded};
use pilothouse::kinds::Kind;
use pilothouse::observe_only::{self, Look};
use pilothouse::settings::Settings;
use pilothouse::takeover;
use pilothouse::vitess::Vitess;
use pilothouse_api::choices::{Choice as _, ClaimRetention};
use pilothouse_core::guard::RULES;
use pilothouse_policy::set::PolicySet;
use pilothouse_sim::world::WorldSettings;
use pilothouse_tests::beside::{self, is_here_alone};
use pilothouse_tests::stage::virtually;
use pilothouse_tests::standing::{self, Tree};
use pilothouse_tests::{built, predecessor, repository};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// 2026-01-01T00:00:00Z.
const EPOCH_MS: u64 = 1_767_225_600_000;
const HOUR: Duration = Duration::from_secs(3_600);

/// Settings of a region where one zone will do.
const ONE_ZONE: &str = "policies: { placement: { builtin: az-placement, config: { minZones: 1 } } }";

fn policies(settings: &str) -> Arc<PolicySet> {
    built!().policies(&serde_yaml_ng::from_str(settings).unwrap()).unwrap()
}

fn played() -> Embedded {
    Embedded::new(EPOCH_MS, 1, WorldSettings::default()).unwrap()
}

/// Runs the controller for so much virtual time; Vitess is played where `has_vitess`.
async fn run(embedded: &Embedded, policies: &Arc<PolicySet>, has_vitess: bool, time: Duration) {
    let parts = embedded.parts(Arc::clone(policies), &Settings::default());
    let parts = if has_vitess { parts } else { Parts { vitess: Vitess::Unknown, ..parts } };
    let stop = CancellationToken::new();
    let controller = tokio::spawn(Controller::new(parts).run(stop.clone()));
    tokio::time::sleep(time).await;
    stop.cancel();
    controller.await.unwrap();
}

/// What stands after our own host's first hour without Vitess, as vitess-operator would have written it:
/// owners of claims, other preparing scripts, the deprecated zone label, a budget without the cluster's label,
/// quantities in other words, a hash on Pods.
async fn written_by_the_operator(policies: &Arc<PolicySet>, manifest: &[Value]) -> Vec<Value> {
    let first = played();
    let mut manifest = manifest.to_vec();
    manifest[0]["metadata"]["annotations"] = json!({ (ClaimRetention::KEY): "Delete" });
    embedded::apply(&first.client, &manifest).await.unwrap();
    run(&first, policies, false, HOUR).await;
    let mut objects: Vec<Value> =
        standing::tree(&first.client, "default").await.unwrap().into_values().collect();
    objects.retain(|object| !is_here_alone(object));
    for object in &mut objects {
        object.as_object_mut().unwrap().remove("status");
        if let Some(annotations) = object["metadata"]["annotations"].as_object_mut() {
            annotations.remove(ClaimRetention::KEY);
        }
        let text = object
            .to_string()
            .replace("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone");
        *object = serde_json::from_str(&text.replace("\"1Gi\"", "\"1024Mi\"")).unwrap();
        match object["kind"].as_str().unwrap() {
            "Pod" => {
                object["metadata"]["annotations"]["planetscale.com/desired-state-hash"] = json!("0123");
                for container in object["spec"]["initContainers"].as_array_mut().into_iter().flatten() {
                    container["args"] = json!(["another script of the same purpose"]);
                }
            }
            "PodDisruptionBudget" => {
                object["metadata"]["labels"].as_object_mut().unwrap().remove("planetscale.com/cluster");
            }
            _ => {}
        }
    }
    objects
}

fn manifest() -> Vec<Value> {
    let text = std::fs::read_to_string(repository("crds/examples/three-zones.yaml")).unwrap();
    let mut documents = embedded::documents(&text).unwrap();
    let pools = "/spec/keyspaces/0/partitionings/0/equal/shardTemplate/tabletPools";
    documents[0].pointer_mut(pools).unwrap()[0]["annotations"] = json!({ "example.com/team": "harbour" });
    documents
}

/// What may not change when an object gets another operator.
fn kept(tree: &Tree) -> BTreeMap<&(String, String), (&Value, &Value)> {
    let theirs = tree.iter().filter(|(_, object)| !is_here_alone(object));
    theirs.map(|(key, object)| (key, (&object["metadata"]["uid"], &object["spec"]))).collect()
}

/// Claims that would go with the object that asked for them.
fn owned_claims(tree: &Tree) -> usize {
    let claims = tree.iter().filter(|((kind, _), _)| kind == "PersistentVolumeClaim");
    let data = claims.filter(|(_, o)| o["metadata"]["labels"]["planetscale.com/component"] != "vtbackup");
    data.filter(|(_, o)| o.pointer("/metadata/ownerReferences/0").is_some()).count()
}

#[test]
fn nothing_restarts_and_its_fields_become_ours() {
    let policies = policies("{}");
    virtually(async {
        let objects = written_by_the_operator(&policies, &manifest()).await;
        let embedded = played();
        predecessor::lay(&embedded.client, &objects).await.unwrap();
        let before = standing::tree(&embedded.client, "default").await.unwrap();
        assert!(predecessor::held(&before).len() > 20, "{:?}", predecessor::held(&before));
        assert_eq!(owned_claims(&before), 6);

        run(&embedded, &policies, false, HOUR).await;
        let after = standing::tree(&embedded.client, "default").await.unwrap();
        assert_eq!(kept(&after), kept(&before));
        assert_eq!(predecessor::held(&after), Vec::<&(String, String)>::new());
        assert_eq!(owned_claims(&after), 0, "from now on they outlive the cluster");
        let added = after.values().filter(|object| is_here_alone(object)).count();
        assert_eq!(added, 4, "a shard's tablets and three cells' gateways get budgets");

        // What the operator wrote and the manifest no longer asks for goes: it is ours to take away.
        let team = |tree: &Tree| {
            let is_tablets = |o: &&Value| o["metadata"]["labels"]["planetscale.com/component"] == "vttablet";
            let has_team = |o: &&Value| o.pointer("/metadata/annotations/example.com~1team").is_some();
            tree.values().filter(is_tablets).filter(has_team).count()
        };
        assert_eq!(team(&after), 1);
        let clusters = Kind::VitessCluster.api(&embedded.client, "default");
        let without = json!([{ "op": "remove",
            "path": "/spec/keyspaces/0/partitionings/0/equal/shardTemplate/tabletPools/0/annotations" }]);
        let patch: json_patch::Patch = serde_json::from_value(without).unwrap();
        clusters.patch("harbour", &PatchParams::default(), &Patch::Json::<()>(patch)).await.unwrap();
        run(&embedded, &policies, false, HOUR).await;
        let last = standing::tree(&embedded.client, "default").await.unwrap();
        assert_eq!(team(&last), 0);
        let pods = |tree: &Tree| -> Vec<Value> {
            tree.iter()
                .filter(|((kind, _), _)| kind == "Pod")
                .map(|(_, o)| o["metadata"]["uid"].clone())
                .collect()
        };
        assert_eq!(pods(&last), pods(&before));
    });
}

/// What vitess-operator really wrote, where recordings of it stand beside the repository.
#[test]
fn nothing_of_a_recorded_cluster_is_deleted_or_recreated() {
    let folder = repository("../shared/reference");
    if !folder.is_dir() {
        println!("not run here: taking over the recorded clusters (they are not there)");
        return;
    }
    let policies = policies(ONE_ZONE);
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut listings: Vec<_> = files.filter(|file| file.extension().is_some_and(|e| e == "json")).collect();
    listings.sort();
    assert!(!listings.is_empty());
    for file in listings {
        let text = std::fs::read_to_string(&file).unwrap();
        let mut objects: Vec<Value> = serde_json::from_str(&text).unwrap();
        let namespace = objects[0]["metadata"]["namespace"].as_str().unwrap().to_owned();
        // Secrets are the manifest's, and nobody writes them.
        objects.retain(|object| Kind::of(object["kind"].as_str().unwrap()).is_some());
        virtually(async {
            let embedded = played();
            let home = json!({ "metadata": { "name": namespace } });
            let namespaces: Api<Namespace> = Api::all(embedded.client.clone());
            let home = serde_json::from_value(home).unwrap();
            namespaces.create(&PostParams::default(), &home).await.unwrap();
            predecessor::lay(&embedded.client, &objects).await.unwrap();
            let before = standing::tree(&embedded.client, &namespace).await.unwrap();
            run(&embedded, &policies, false, HOUR).await;
            let after = standing::tree(&embedded.client, &namespace).await.unwrap();
            let mut changed = Vec::new();
            for ((kind, name), old) in &before {
                let new = after.get(&(kind.clone(), name.clone())).unwrap_or(&Value::Null);
                for part in ["/spec", "/metadata/uid"] {
                    let of = |object: &Value| object.pointer(part).cloned().unwrap_or_default();
                    let found = standing::differences(&of(old), &of(new)).into_iter();
                    changed.extend(found.map(|line| format!("{kind} {name} {part}{line}")));
                }
            }
            let mut known = beside::on_purpose();
            for recorded in &objects {
                let text =
                    |at: &str| recorded.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned();
                let now = after.get(&(text("/kind"), text("/metadata/name"))).unwrap_or(&Value::Null);
                changed.extend(beside::statuses(now, recorded, &mut known));
            }
            assert!(changed.is_empty(), "{}: {}", file.display(), changed.join("\n"));
            assert_eq!(predecessor::held(&after), Vec::<&(String, String)>::new(), "{}", file.display());
            assert!(owned_claims(&before) > 0, "{}", file.display());
            assert_eq!(owned_claims(&after), 0, "{}", file.display());
        });
    }
}

#[test]
fn a_living_cluster_goes_on_under_its_new_operator() {
    let policies = policies("{}");
    virtually(async {
        let objects = json!(written_by_the_operator(&policies, &manifest()).await).to_string();
        // Played nodes no longer have the deprecated label, and here Pods have to be scheduled.
        let objects =
            objects.replace("failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone");
        let objects: Vec<Value> = serde_json::from_str(&objects).unwrap();
        let embedded = played();
        let stop = CancellationToken::new();
        let world = tokio::spawn(embedded.world.clone().run(stop.clone().cancelled_owned()));
        predecessor::lay(&embedded.client, &objects).await.unwrap();
        let uids = |tree: &Tree| -> BTreeMap<(String, String), Value> {
            let lasting = |key: &(String, String)| !key.1.contains("vtbackup") && key.0 != "VitessBackup";
            let kept = tree.iter().filter(|(key, object)| lasting(key) && !is_here_alone(object));
            kept.map(|(key, object)| (key.clone(), object["metadata"]["uid"].clone())).collect()
        };
        let before = uids(&standing::tree(&embedded.client, "default").await.unwrap());
        run(&embedded, &policies, true, 6 * HOUR).await;
        let after = standing::tree(&embedded.client, "default").await.unwrap();
        assert_eq!(uids(&after), before);
        let shard = after.iter().find(|((kind, _), _)| kind == "VitessShard").unwrap().1;
        assert_eq!(shard["status"]["servingWrites"], "True", "{}", shard["status"]);
        stop.cancel();
        world.await.unwrap();
    });
}

#[test]
fn a_shard_with_a_recorded_backup_is_not_begun_anew() {
    let policies = policies("{}");
    virtually(async {
        let mut objects = written_by_the_operator(&policies, &manifest()).await;
        objects.retain(|o| o["metadata"]["labels"]["planetscale.com/component"] != "vtbackup");
        let storage = objects.iter().find(|o| o["kind"] == "VitessBackupStorage").unwrap();
        let (name, uid) = (&storage["metadata"]["name"], &storage["metadata"]["uid"]);
        objects.push(json!({
            "apiVersion": "planetscale.com/v2", "kind": "VitessBackup",
            "metadata": {
                "name": "harbour-commerce-x-x-20251231-000000-0a0b0c0d-01020304", "namespace": "default",
                "labels": {
                    "planetscale.com/cluster": "harbour", "planetscale.com/keyspace": "commerce",
                    "planetscale.com/shard": "x-x",
                },
                "ownerReferences": [{
                    "apiVersion": "planetscale.com/v2", "kind": "VitessBackupStorage", "name": name, "uid": uid,
                    "controller": true, "blockOwnerDeletion": true,
                }],
            },
            "spec": {}, "status": { "complete": true, "startTime": "2025-12-31T00:00:00Z" },
        }));
        let embedded = played();
        predecessor::lay(&embedded.client, &objects).await.unwrap();
        run(&embedded, &policies, false, 6 * HOUR).await;
        let after = standing::tree(&embedded.client, "default").await.unwrap();
        let is_run = |(_, o): &(&(String, String), &Value)| {
            o["metadata"]["labels"]["planetscale.com/component"] == "vtbackup"
        };
        assert_eq!(
            after.iter().filter(is_run).map(|(key, _)| key).collect::<Vec<_>>(),
            [] as [&(String, String); 0]
        );
        assert!(after.keys().any(|(kind, _)| kind == "VitessBackup"), "and its record stays");
    });
}

#[test]
fn a_look_tells_the_plan_and_writes_nothing() {
    let policies = policies("{}");
    virtually(async {
        let objects = written_by_the_operator(&policies, &manifest()).await;
        let embedded = played();
        predecessor::lay(&embedded.client, &objects).await.unwrap();
        let before = standing::tree(&embedded.client, "default").await.unwrap();
        let look = Look {
            client: embedded.client.clone(),
            policies,
            rules: RULES.to_vec(),
            clock: embedded.clock.clone(),
            namespace: None,
            judging: (&Settings::default()).into(),
        };
        let plans = observe_only::plans(&look).await.unwrap();
        let text: String = plans.iter().map(|plan| format!("{plan}\n")).collect();
        assert_eq!(standing::tree(&embedded.client, "default").await.unwrap(), before);
        let file = repository("tests/takeover.txt");
        if std::env::var_os("PILOTHOUSE_ACCEPT").is_some() {
            std::fs::write(&file, &text).unwrap();
        }
        assert_eq!(text, std::fs::read_to_string(&file).unwrap());
    });
}

#[test]
fn who_leads_by_the_lock_is_waited_for() {
    virtually(async {
        let client = played().client;
        let create = async |plural: &str, object: Value| -> DynamicObject {
            let kind = object["kind"].as_str().unwrap();
            let gvk = kube::api::GroupVersionKind::gvk("", "v1", kind);
            let resource = kube::api::ApiResource::from_gvk_with_plural(&gvk, plural);
            let api: Api<DynamicObject> = Api::default_namespaced_with(client.clone(), &resource);
            let object = serde_json::from_value(object).unwrap();
            api.create(&PostParams::default(), &object).await.unwrap()
        };
        assert_eq!(takeover::leader(&client, None).await.unwrap(), None);
        let pod = create(
            "pods",
            json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "operator-0" },
            "spec": { "containers": [{ "name": "operator", "image": "operator" }] } }),
        );
        let uid = pod.await.uid().unwrap();
        let lock = |uid: &str| {
            json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": {
            "name": "vitess-operator-lock",
            "ownerReferences": [{ "apiVersion": "v1", "kind": "Pod", "name": "operator-0", "uid": uid }] } })
        };
        create("configmaps", lock(&uid)).await;
        let leads = Some("default/operator-0".to_owned());
        assert_eq!(takeover::leader(&client, None).await.unwrap(), leads);
        assert_eq!(takeover::leader(&client, Some("default")).await.unwrap(), leads);
        assert_eq!(takeover::leader(&client, Some("elsewhere")).await.unwrap(), None);
        assert_eq!(takeover::until_back(&client, None).await, "default/operator-0");

        let (waiting_client, pods) = (client.clone(), Kind::Pod.api(&client, "default"));
        let waiting = tokio::spawn(async move { takeover::until_gone(&waiting_client, None).await });
        tokio::time::sleep(HOUR).await;
        assert!(!waiting.is_finished());
        // A Pod that has ended leads no more, though its lock is still there; so does one that is gone.
        let ended = json!({ "status": { "phase": "Succeeded" } });
        pods.patch_status("operator-0", &PatchParams::default(), &Patch::Merge(&ended)).await.unwrap();
        tokio::time::timeout(HOUR, waiting).await.unwrap().unwrap().unwrap();
        pods.delete("operator-0", &kube::api::DeleteParams::default().grace_period(0)).await.unwrap();
        assert_eq!(takeover::leader(&client, None).await.unwrap(), None);
    });
}
