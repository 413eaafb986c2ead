//! A pause at each level: what is removed under it stays away until the pause is over; what stands beside it comes back.

use std::time::Duration;

use kube::api::{DeleteParams, Patch, PatchParams};
use pilothouse::kinds::Kind;
use pilothouse_tests::seen::{self, condition};
use pilothouse_tests::stage::{Stage, virtually};
use pilothouse_tests::{built, repository};
use serde_json::json;

const MINUTES: Duration = Duration::from_secs(300);

/// One object of each level that hold no data: of the cluster, a cell, a shard, an etcd.
const PROBES: [(Kind, &str); 4] = [
    (Kind::Service, "harbour-vtctld-19d6aa7d"),
    (Kind::Deployment, "harbour-a-vtgate-72410166"),
    (Kind::Deployment, "harbour-commerce-x-x-a-vtorc-b1cb4994"),
    (Kind::Service, "harbour-etcd-33fac37c-client"),
];

/// What is paused, and which of the probes lie under it.
const LEVELS: [(Kind, &str, [bool; 4]); 6] = [
    (Kind::VitessCluster, "harbour", [true, true, true, true]),
    (Kind::VitessCell, "harbour-a-7f18a652", [false, true, false, false]),
    (Kind::VitessCell, "harbour-b-a4a89ca2", [false, false, false, false]),
    (Kind::VitessKeyspace, "harbour-commerce-606e5376", [false, false, true, false]),
    (Kind::VitessShard, "harbour-commerce-x-x-b3b4c654", [false, false, true, false]),
    (Kind::EtcdLockserver, "harbour-etcd-33fac37c", [false, false, false, true]),
];

async fn mark(stage: &Stage, kind: Kind, name: &str, paused: Option<&str>) {
    let patch = Patch::Merge(json!({ "metadata": { "annotations": { "pilothouse.dev/paused": paused } } }));
    let api = kind.api(&stage.embedded.client, "default");
    api.patch(name, &PatchParams::default(), &patch).await.unwrap();
}

/// Which probes are not there, of those that stand still.
fn away(stage: &Stage) -> [bool; 4] {
    PROBES.map(|(kind, name)| {
        let all = stage.objects(kind, "default");
        !all.iter().any(|o| {
            seen::text(o, "/metadata/name") == name && o.pointer("/metadata/deletionTimestamp").is_none()
        })
    })
}

#[test]
fn what_lies_under_a_pause_is_left_as_it_is() {
    virtually(async {
        let stage = Stage::three_zones(&built!()).unwrap();
        stage
            .apply(&std::fs::read_to_string(repository("crds/examples/three-zones.yaml")).unwrap())
            .await
            .unwrap();
        stage.settle().await.unwrap();
        for (kind, name, under) in LEVELS {
            mark(&stage, kind, name, Some("")).await;
            for (kind, name) in PROBES {
                let api = kind.api(&stage.embedded.client, "default");
                api.delete(name, &DeleteParams::background()).await.unwrap();
            }
            stage.pass_time(MINUTES).await;
            assert_eq!(away(&stage), under, "{kind:?} {name}");
            let paused =
                stage.objects(kind, "default").into_iter().find(|o| seen::text(o, "/metadata/name") == name);
            let said = condition(&paused.unwrap(), "Paused").map(|c| c["reason"].clone());
            assert_eq!(said, Some(json!("Annotated")), "{kind:?} {name}");

            mark(&stage, kind, name, None).await;
            stage.pass_time(MINUTES).await;
            assert_eq!(away(&stage), [false; 4], "{kind:?} {name}, after it");
            let said =
                stage.objects(kind, "default").iter().filter(|o| condition(o, "Paused").is_some()).count();
            assert_eq!(said, 0, "{kind:?} {name}, after it");
        }
        stage.end().await.unwrap();
    });
}
