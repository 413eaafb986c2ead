//! What vtadmin reads stands in Secrets that the host writes without watching any: they are
//! written, put right and removed like all else, and what they keep is told nowhere.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use pilothouse::kinds::Kind;
use pilothouse_api::names::{self, VtadminSecret};
use pilothouse_sim::apiserver::kinds::EVENTS;
use pilothouse_tests::seen::text;
use pilothouse_tests::stage::{Stage, virtually};
use pilothouse_tests::{built, repository};
use serde_json::{Value, json};

const MINUTE: Duration = Duration::from_secs(60);
/// A cluster at rest is looked at once an hour.
const NEXT_LOOK: Duration = Duration::from_secs(4_000);
/// Stands in a Secret and in the manifest alone.
const API: &str = "https://admin.example.com/api";

/// Our example with vtadmin in one of its cells.
fn manifest() -> String {
    let example = std::fs::read_to_string(repository("crds/examples/three-zones.yaml")).unwrap();
    let admin = format!("  vtadmin: {{ cells: [a], apiAddresses: [\"{API}\"] }}\n  updateStrategy:\n");
    let image = "    vtadmin: vitess/vtadmin:v24.0.2\n    vtctld:";
    let text = example.replacen("  updateStrategy:\n", &admin, 1).replacen("    vtctld:", image, 1);
    assert!(text.contains(API) && text.contains("vitess/vtadmin"));
    text
}

fn stage() -> Stage {
    Stage::three_zones(&built!()).unwrap()
}

/// Objects of vtadmin by name; the manifest's own Secret has no such label.
fn of_vtadmin(stage: &Stage, kind: Kind) -> BTreeMap<String, Arc<Value>> {
    let objects = stage.objects(kind, "default").into_iter();
    objects
        .filter(|o| text(o, "/metadata/labels/planetscale.com~1component") == "vtadmin")
        .map(|o| (text(&o, "/metadata/name").to_owned(), o))
        .collect()
}

fn files(stage: &Stage) -> BTreeMap<String, Value> {
    of_vtadmin(stage, Kind::Secret).into_iter().map(|(name, o)| (name, o["data"].clone())).collect()
}

fn status(stage: &Stage) -> Value {
    stage.objects(Kind::VitessCluster, "default").first().map(|c| c["status"].clone()).unwrap_or_default()
}

async fn up(stage: &Stage, manifest: &str) {
    stage.apply(manifest).await.unwrap();
    let up = |s: &Stage| {
        (text(&status(s), "/summary/primaries") == "1/1" && text(&status(s), "/vtadmin/available") == "True")
            .then_some(())
    };
    stage.until(60 * MINUTE, up).await.unwrap_or_else(|| panic!("it did not come up: {}", status(stage)));
}

fn events(stage: &Stage) -> Vec<String> {
    let events = stage.embedded.api.list(&EVENTS, Some("default")).into_iter();
    events.map(|e| format!("{} {}", text(&e, "/reason"), text(&e, "/message"))).collect()
}

#[test]
fn its_secrets_are_written_put_right_and_removed() {
    virtually(async {
        let mut stage = stage();
        up(&stage, &manifest()).await;
        stage.settle().await.unwrap();
        let good = files(&stage);
        assert_eq!(good.len(), 3, "{:?}", good.keys());
        assert_eq!(
            text(&status(&stage), "/vtadmin/serviceName"),
            of_vtadmin(&stage, Kind::Service).keys().next().unwrap()
        );
        let quiet = stage.an_hour().await;
        assert_eq!((quiet.writes, quiet.executed), (0, 0), "{quiet:?}");

        let api = Kind::Secret.api(&stage.embedded.client, "default");
        let [lost, changed] = [0, 1].map(|n| good.keys().nth(n).unwrap().clone());
        api.delete(&lost, &DeleteParams::default()).await.unwrap();
        let key = good[&changed].as_object().unwrap().keys().next().unwrap();
        let other = Patch::Merge(json!({ "data": { key: "bm8=" } }));
        api.patch(&changed, &PatchParams::default(), &other).await.unwrap();
        assert_ne!(files(&stage), good);
        let right = stage.until(NEXT_LOOK, |s| (files(s) == good).then_some(())).await;
        assert!(right.is_some(), "{:?}", files(&stage));

        let said = events(&stage);
        assert!(said.iter().any(|e| e.contains("is not what it should be")), "{said:#?}");
        let (told, secret) = (format!("{said:?} {}", status(&stage)), good[&changed][key].as_str().unwrap());
        assert!([API, secret, "bm8="].iter().all(|kept| !told.contains(kept)), "{told}");

        let before = stage.deeds();
        stage.restart_controller().await.unwrap();
        stage.settle().await.unwrap();
        assert_eq!(stage.deeds().executed, before.executed, "what stands is not written again");

        let cluster = Kind::VitessCluster.api(&stage.embedded.client, "default");
        let without = Patch::Merge(json!({ "spec": { "vtadmin": null } }));
        cluster.patch("harbour", &PatchParams::default(), &without).await.unwrap();
        let gone = |s: &Stage| {
            [Kind::Secret, Kind::Service, Kind::Deployment].iter().all(|kind| of_vtadmin(s, *kind).is_empty())
        };
        assert!(stage.until(5 * MINUTE, |s| gone(s).then_some(())).await.is_some(), "{:?}", files(&stage));
        stage.settle().await.unwrap();
        assert_eq!(stage.objects(Kind::Secret, "default").len(), 1, "the manifest's own stays");
        stage.end().await.unwrap();
    });
}

#[test]
fn one_of_somebody_else_is_left_alone_and_one_without_owner_is_taken_over() {
    virtually(async {
        let stage = stage();
        let ours = [VtadminSecret::Discovery, VtadminSecret::WebConfig]
            .map(|which| names::vtadmin_secret("harbour", "a", which));
        let api = Kind::Secret.api(&stage.embedded.client, "default");
        let old = |name: &str, labels: Value, key: &str| {
            let metadata = json!({ "name": name, "labels": labels });
            let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": { key: "b2xk" } });
            serde_json::from_value::<DynamicObject>(secret).unwrap()
        };
        for secret in [
            old(&ours[0], json!({}), "discovery.json"),
            old(&ours[1], json!({ "app": "theirs" }), "config.js"),
        ] {
            api.create(&PostParams::default(), &secret).await.unwrap();
        }
        up(&stage, &manifest()).await;
        let found = api.get(&ours[0]).await.unwrap();
        assert_ne!(found.data["data"]["discovery.json"], "b2xk");
        assert!(found.metadata.owner_references.is_some());
        let theirs = api.get(&ours[1]).await.unwrap();
        assert_eq!(theirs.data["data"], json!({ "config.js": "b2xk" }));
        let said = events(&stage);
        assert!(said.iter().any(|e| e.starts_with("NameCollision") && e.contains(&ours[1])), "{said:#?}");
        stage.end().await.unwrap();
    });
}
