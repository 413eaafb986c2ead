//! What a pass tells in statuses leads to no other pass; what happens meanwhile does.

use std::time::Duration;

use kube::api::{Patch, PatchParams};
use pilothouse::kinds::Kind;
use pilothouse::settings::Settings;
use pilothouse_tests::seen::text;
use pilothouse_tests::stage::{Setting, Stage, virtually};
use pilothouse_tests::{built, repository};
use serde_json::{Value, json};

const NAMESPACE: &str = "default";
/// Much less than anybody rests who has nothing to do.
const SOON: Duration = Duration::from_secs(10);
/// Levels whose statuses are taken away.
const LEVELS: [Kind; 3] = [Kind::VitessShard, Kind::VitessCell, Kind::VitessCluster];

/// Our example, at rest, under a host whose writes of a status take so long.
async fn at_rest(telling_takes: Duration) -> Stage {
    let settings = Settings::default();
    let policies = built!().policies(&settings).unwrap();
    let stage = Stage::start(Setting { telling_takes, ..Setting::three_zones(settings, policies) }).unwrap();
    let example = std::fs::read_to_string(repository("crds/examples/three-zones.yaml")).unwrap();
    stage.apply(&example).await.unwrap();
    stage.settle().await.unwrap();
    stage
}

/// Takes away what the statuses of three levels say.
async fn untell(stage: &Stage) {
    let blank = Patch::Merge(json!({ "status": { "conditions": null } }));
    for kind in LEVELS {
        let api = kind.api(&stage.embedded.client, NAMESPACE);
        for object in stage.objects(kind, NAMESPACE) {
            let name = text(&object, "/metadata/name");
            api.patch_status(name, &PatchParams::default(), &blank).await.unwrap();
        }
    }
    assert!(!LEVELS.into_iter().any(|kind| is_told(stage, kind)));
}

fn is_told(stage: &Stage, kind: Kind) -> bool {
    let says = |object: &Value| {
        let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
        conditions.into_iter().flatten().any(|condition| condition["type"] == "Ready")
    };
    stage.objects(kind, NAMESPACE).iter().all(|object| says(object))
}

/// Passes that asked policies.
fn ran(stage: &Stage) -> u64 {
    let (_, metrics) = stage.embedded.telemetry.answer("/metrics");
    let line = metrics.lines().find(|line| line.starts_with(r#"pilothouse_passes_total{result="ran"}"#));
    line.and_then(|line| line.rsplit_once(' ')?.1.parse().ok()).expect("passes are counted")
}

#[test]
fn it_is_told_in_one_pass() {
    virtually(async {
        let stage = at_rest(Duration::ZERO).await;
        let before = ran(&stage);
        untell(&stage).await;
        stage.pass_time(SOON).await;
        assert!(LEVELS.into_iter().all(|kind| is_told(&stage, kind)), "what is gone is told again");
        assert_eq!(ran(&stage) - before, 1);
        stage.end().await.unwrap();
    });
}

#[test]
fn what_happens_meanwhile_is_seen() {
    virtually(async {
        let stage = at_rest(Duration::from_millis(100)).await;
        untell(&stage).await;
        let first = stage.until(SOON, |s| is_told(s, Kind::VitessShard).then_some(()));
        assert!(first.await.is_some());
        assert!(!is_told(&stage, Kind::VitessCluster), "it is still at it");
        let cluster = stage.objects(Kind::VitessCluster, NAMESPACE)[0].clone();
        let mut keyspaces = cluster["spec"]["keyspaces"].clone();
        keyspaces[0]["partitionings"][0]["equal"]["shardTemplate"]["tabletPools"][0]["replicas"] = json!(2);
        let edit = Patch::Merge(json!({ "spec": { "keyspaces": keyspaces } }));
        let api = Kind::VitessCluster.api(&stage.embedded.client, NAMESPACE);
        api.patch(text(&cluster, "/metadata/name"), &PatchParams::default(), &edit).await.unwrap();
        let tablets = |s: &Stage| {
            let pods = s.objects(Kind::Pod, NAMESPACE).into_iter();
            pods.filter(|p| text(p, "/metadata/labels/planetscale.com~1component") == "vttablet").count()
        };
        let seen = stage.until(SOON, |s| (tablets(s) == 4).then_some(()));
        assert!(seen.await.is_some(), "{} tablets", tablets(&stage));
        stage.end().await.unwrap();
    });
}
