//! A tablet that cannot replicate any more loses its Pod first and its volume then: what keeps the one keeps the other.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use pilothouse::kinds::Kind;
use pilothouse::settings::Settings;
use pilothouse_sim::vitess::ClusterKey;
use pilothouse_tests::disruption::{budgets, forbid, kept_from, tablets};
use pilothouse_tests::fault::Fault;
use pilothouse_tests::seen::{self, Primary, text};
use pilothouse_tests::stage::{Setting, Stage, virtually};
use pilothouse_tests::{built, repository};
use serde_json::json;

const MINUTE: Duration = Duration::from_secs(60);

/// Three tablets at rest, and a backup that the one after it has proven.
async fn backed_up() -> Stage {
    let config = json!({ "maxAge": "1h", "retryAfter": "30m", "retention": "48h" });
    let backup = json!({ "policies": { "backup": { "builtin": "backup", "config": config } } });
    let settings: Settings = serde_json::from_value(backup).unwrap();
    let policies = built!().policies(&settings).unwrap();
    let stage = Stage::start(Setting::three_zones(settings, policies)).unwrap();
    let manifest = std::fs::read_to_string(repository("crds/examples/three-zones.yaml")).unwrap();
    stage.apply(&manifest).await.unwrap();
    let api = Kind::VitessCluster.api(&stage.embedded.client, "default");
    let omit = json!({ "metadata": { "annotations": { "pilothouse.dev/disruption-budgets": "Omit" } } });
    api.patch("harbour", &PatchParams::default(), &Patch::Merge(omit)).await.unwrap();
    stage.pass_time(150 * MINUTE).await;
    stage
}

/// The primary goes on alone for a while, and comes back when another leads.
async fn comes_back_errant(stage: &Stage) -> Primary {
    let strike = |fault: &Fault| {
        let cluster = ClusterKey::new("default", "harbour");
        fault.strike(&stage.embedded.world, &cluster, fault.target()).unwrap();
    };
    let lost = seen::primary(stage, "default").unwrap();
    strike(&Fault::Write(600));
    stage.pass_time(MINUTE).await;
    strike(&Fault::IsolateZone(lost.zone.clone()));
    stage.pass_time(2 * MINUTE).await;
    strike(&Fault::JoinZone(lost.zone.clone()));
    stage.pass_time(10 * MINUTE).await;
    strike(&Fault::Write(0));
    assert_ne!(seen::primary(stage, "default").unwrap().alias, lost.alias);
    lost
}

fn errant(stage: &Stage) -> usize {
    let facts = stage.embedded.world.facts();
    facts.shards.values().flat_map(|s| s.servers.values()).filter(|s| !s.errant.is_empty()).count()
}

/// Claims that somebody asked to go.
fn doomed(stage: &Stage) -> usize {
    let claims = stage.objects(Kind::PersistentVolumeClaim, "default");
    claims.iter().filter(|c| !text(c, "/metadata/deletionTimestamp").is_empty()).count()
}

/// Nobody forbids it any more: the tablet has another volume, and nothing is errant.
async fn is_rebuilt(stage: Stage, lost: &Primary, claims: &BTreeMap<String, String>) {
    budgets(&stage).delete("theirs", &DeleteParams::default()).await.unwrap();
    stage.pass_time(30 * MINUTE).await;
    assert_ne!(tablets(&stage, Kind::PersistentVolumeClaim)[&lost.pod], claims[&lost.pod]);
    assert_eq!((errant(&stage), stage.broken()), (0, Vec::new()));
    stage.end().await.unwrap();
}

#[test]
fn a_pod_that_a_budget_keeps_keeps_its_volume() {
    virtually(async {
        let stage = backed_up().await;
        forbid(&stage).await;
        let (pods, claims) = (tablets(&stage, Kind::Pod), tablets(&stage, Kind::PersistentVolumeClaim));
        let lost = comes_back_errant(&stage).await;
        assert_eq!(errant(&stage), 1);
        assert_eq!(tablets(&stage, Kind::Pod), pods);
        let (reason, message) = kept_from(&stage);
        assert_eq!(reason, "DisruptionBudget", "{message}");
        assert_eq!((doomed(&stage), tablets(&stage, Kind::PersistentVolumeClaim)), (0, claims.clone()));

        budgets(&stage).delete("theirs", &DeleteParams::default()).await.unwrap();
        stage.pass_time(30 * MINUTE).await;
        let anew = |kind, before: &BTreeMap<String, String>| -> Vec<String> {
            let now = tablets(&stage, kind);
            assert_eq!(now.len(), 3, "{now:?}");
            now.into_iter().filter(|(name, uid)| before[name] != *uid).map(|(name, _)| name).collect()
        };
        let its = std::slice::from_ref(&lost.pod);
        assert_eq!(anew(Kind::PersistentVolumeClaim, &claims), its);
        assert_eq!(anew(Kind::Pod, &pods), its);
        assert_eq!((errant(&stage), stage.broken()), (0, Vec::new()));
        stage.end().await.unwrap();
    });
}

/// The host was killed in between, or somebody took the Pod: the tablet comes back as it was, and is judged again.
#[test]
fn a_pod_that_went_alone_comes_back_to_its_volume() {
    virtually(async {
        let stage = backed_up().await;
        forbid(&stage).await;
        let claims = tablets(&stage, Kind::PersistentVolumeClaim);
        let lost = comes_back_errant(&stage).await;
        let pods: Api<Pod> = Api::namespaced(stage.embedded.client.clone(), "default");
        let uid = pods.get(&lost.pod).await.unwrap().metadata.uid.unwrap();
        stage.embedded.world.deleted_by_others(&uid);
        pods.delete(&lost.pod, &DeleteParams::default()).await.unwrap();
        stage.pass_time(10 * MINUTE).await;
        assert_eq!((errant(&stage), doomed(&stage)), (1, 0));
        assert_eq!(tablets(&stage, Kind::PersistentVolumeClaim), claims);

        is_rebuilt(stage, &lost, &claims).await;
    });
}

/// A claim that somebody has asked to go already waits for its Pod alone.
#[test]
fn a_claim_that_is_going_already_takes_its_pod_along() {
    virtually(async {
        let stage = backed_up().await;
        forbid(&stage).await;
        let claims = tablets(&stage, Kind::PersistentVolumeClaim);
        let lost = comes_back_errant(&stage).await;
        stage.embedded.world.deleted_by_others(&claims[&lost.pod]);
        let api = Kind::PersistentVolumeClaim.api(&stage.embedded.client, "default");
        api.delete(&lost.pod, &DeleteParams::default()).await.unwrap();
        stage.pass_time(10 * MINUTE).await;
        assert_eq!((errant(&stage), doomed(&stage)), (1, 1));

        is_rebuilt(stage, &lost, &claims).await;
    });
}
