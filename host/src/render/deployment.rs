//! The Deployment around a stateless Vitess program; its kinds say what runs in it.

use serde_json::{Value, json};

use super::Rendered;
use super::child::{Owner, Strings};

/// A stateless program.
pub(super) struct Program<'a> {
    /// The Deployment's name.
    pub(super) name: String,
    /// Labels of the Deployment and what it selects by.
    pub(super) labels: Strings,
    /// Labels of the Pods on top.
    pub(super) extra_labels: &'a Strings,
    /// Annotations of the Pods.
    pub(super) annotations: Strings,
    /// How many; `None` leaves it to an autoscaler.
    pub(super) replicas: Option<i64>,
    /// How it is replaced; null for Kubernetes' own way.
    pub(super) strategy: Value,
    /// The Pod.
    pub(super) pod: Value,
}

/// Renders it. Old ReplicaSets are not kept: what to return to stands in the manifest.
pub(super) fn render(owner: &Owner<'_>, program: Program<'_>) -> Rendered {
    let mut pod_labels = program.extra_labels.clone();
    pod_labels.extend(program.labels.clone()); // ours win: they are selected by
    let mut metadata = json!({ "labels": pod_labels });
    if !program.annotations.is_empty() {
        metadata["annotations"] = json!(program.annotations);
    }
    let spec = json!({
        "replicas": program.replicas,
        "revisionHistoryLimit": 0,
        "selector": { "matchLabels": program.labels },
        "strategy": program.strategy,
        "template": { "metadata": metadata, "spec": program.pod },
    });
    owner.child("apps/v1", "Deployment", program.name, program.labels).with_spec(spec)
}
