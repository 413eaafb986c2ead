//! A tablet that serves goes by eviction: what people's disruption budgets refuse stays, and the status says why.

use std::time::Duration;

use kube::api::{DeleteParams, Patch, PatchParams};
use pilothouse::kinds::Kind;
use pilothouse_tests::disruption::{budgets, forbid, kept_from, tablets};
use pilothouse_tests::seen::text;
use pilothouse_tests::stage::{Stage, virtually};
use pilothouse_tests::{built, repository};
use serde_json::{Value, json};

const HOUR: Duration = Duration::from_secs(3_600);

async fn at_rest() -> Stage {
    let stage = Stage::three_zones(&built!()).unwrap();
    let manifest = std::fs::read_to_string(repository("crds/examples/three-zones.yaml")).unwrap();
    stage.apply(&manifest).await.unwrap();
    stage.settle().await.unwrap();
    stage
}

async fn edit(stage: &Stage, patch: Value) {
    let api = Kind::VitessCluster.api(&stage.embedded.client, "default");
    api.patch("harbour", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

/// The Pod of the tablet in the third cell.
const LAST: &str = "harbour-vttablet-c-2758295545-638c8d0c";
const OTHER_IMAGE: &str = "vitess/lite:another";

#[test]
fn what_a_budget_refuses_waits_for_it() {
    virtually(async {
        let stage = at_rest().await;
        edit(
            &stage,
            json!({ "metadata": { "annotations": { "pilothouse.dev/disruption-budgets": "Omit" } } }),
        )
        .await;
        stage.settle().await.unwrap();
        let left = budgets(&stage).list(&kube::api::ListParams::default()).await.unwrap();
        assert_eq!(left.items.len(), 1, "etcd's: {:?}", left.items);
        forbid(&stage).await;
        let before = tablets(&stage, Kind::Pod);

        edit(&stage, json!({ "spec": { "images": { "vttablet": OTHER_IMAGE } } })).await;
        stage.pass_time(HOUR).await;
        assert_eq!(tablets(&stage, Kind::Pod), before);
        let (reason, message) = kept_from(&stage);
        assert_eq!(reason, "DisruptionBudget", "{message}");
        assert!(message.contains("theirs needs 3 healthy pods and has 3 currently"), "{message}");

        budgets(&stage).delete("theirs", &DeleteParams::default()).await.unwrap();
        stage.settle().await.unwrap();
        let after = tablets(&stage, Kind::Pod);
        assert!(before.iter().all(|(name, uid)| after.get(name).is_some_and(|now| now != uid)), "{after:?}");
        assert_eq!(kept_from(&stage).0, "AllAdmitted");
        stage.end().await.unwrap();
    });
}

#[test]
fn two_budgets_for_one_pod_are_told() {
    virtually(async {
        let stage = at_rest().await;
        forbid(&stage).await;
        let before = tablets(&stage, Kind::Pod);
        edit(&stage, json!({ "spec": { "images": { "vttablet": OTHER_IMAGE } } })).await;
        stage.pass_time(HOUR).await;
        assert_eq!(tablets(&stage, Kind::Pod), before);
        let (_, message) = kept_from(&stage);
        assert!(message.contains("more than one PodDisruptionBudget"), "{message}");
        stage.end().await.unwrap();
    });
}

#[test]
fn what_does_not_serve_anyway_is_replaced_whatever_a_budget_says() {
    virtually(async {
        let stage = at_rest().await;
        edit(
            &stage,
            json!({ "metadata": { "annotations": { "pilothouse.dev/disruption-budgets": "Omit" } } }),
        )
        .await;
        stage.settle().await.unwrap();
        forbid(&stage).await;
        let before = tablets(&stage, Kind::Pod);
        let pods = stage.objects(Kind::Pod, "default");
        let pod = pods.iter().find(|p| text(p, "/metadata/name") == LAST).unwrap();
        let node = text(pod, "/spec/nodeName");
        stage.embedded.world.lose_node(node);
        stage.pass_time(HOUR / 30).await;
        edit(&stage, json!({ "spec": { "images": { "vttablet": OTHER_IMAGE } } })).await;
        stage.pass_time(HOUR / 30).await;
        stage.embedded.world.restore_node(node);
        stage.pass_time(HOUR).await;
        let after = tablets(&stage, Kind::Pod);
        let replaced = before.iter().filter(|(name, uid)| after.get(*name).is_some_and(|now| now != *uid));
        assert_eq!(replaced.map(|(name, _)| name.as_str()).collect::<Vec<_>>(), [LAST], "{after:?}");
        stage.end().await.unwrap();
    });
}
