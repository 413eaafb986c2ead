//! A disruption budget of people's own over a cluster's tablets, and what became of these.
//!
//! Owns the budget and the reading of who stands. Must not know what a test expects.

use std::collections::BTreeMap;

use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{Api, PostParams};
use pilothouse::kinds::Kind;
use serde_json::{Value, json};

use crate::seen::{condition, text};
use crate::stage::Stage;

/// Budgets of the namespace `default`.
#[must_use]
pub fn budgets(stage: &Stage) -> Api<PodDisruptionBudget> {
    Api::namespaced(stage.embedded.client.clone(), "default")
}

/// A budget `theirs`, over all tablets, that lets none of three go.
///
/// # Panics
/// When it is refused.
pub async fn forbid(stage: &Stage) {
    let budget = json!({
        "metadata": { "name": "theirs" },
        "spec": {
            "minAvailable": 3, "selector": { "matchLabels": { "planetscale.com/component": "vttablet" } },
        },
    });
    budgets(stage).create(&PostParams::default(), &serde_json::from_value(budget).unwrap()).await.unwrap();
}

/// UIDs of tablets' objects of a kind, by name.
#[must_use]
pub fn tablets(stage: &Stage, kind: Kind) -> BTreeMap<String, String> {
    let tablets = |o: &Value| text(o, "/metadata/labels/planetscale.com~1component") == "vttablet";
    let objects = stage.objects(kind, "default").into_iter().filter(|o| tablets(o));
    let named = |o: &Value, at| text(o, at).to_owned();
    objects.map(|o| (named(&o, "/metadata/name"), named(&o, "/metadata/uid"))).collect()
}

/// Reason and message of what keeps the host from its steps.
///
/// # Panics
/// When there is no cluster, or it does not say.
#[must_use]
pub fn kept_from(stage: &Stage) -> (String, String) {
    let cluster = stage.objects(Kind::VitessCluster, "default").remove(0);
    let said = condition(&cluster, "StepsTaken").unwrap();
    (text(said, "/reason").to_owned(), text(said, "/message").to_owned())
}
