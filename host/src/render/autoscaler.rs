//! What scales a cell's gateways: it writes the replicas of the VitessCell, which the
//! Deployment follows.

use pilothouse_api::labels::{self, Component};
use pilothouse_api::{VitessCell, names};
use serde_json::json;

use super::Rendered;
use super::child::{Owner, labels as pairs, unless_empty};

/// Renders the HorizontalPodAutoscaler, if the cell has one. It has the VitessCell's name.
pub(super) fn render(cell: &VitessCell, cluster: &str) -> Option<Rendered> {
    let template = &cell.spec.template;
    let given = template.gateway.autoscaler.as_ref()?;
    let owner = Owner::of(cell);
    let labels = pairs([
        (labels::CLUSTER, cluster),
        (labels::CELL, &template.name),
        (labels::COMPONENT, Component::Vtgate.as_str()),
    ]);
    let name = names::cell(cluster, &template.name);
    let spec = json!({
        "scaleTargetRef": { "apiVersion": "planetscale.com/v2", "kind": "VitessCell", "name": name },
        "minReplicas": given.min_replicas,
        "maxReplicas": given.max_replicas,
        "metrics": unless_empty(json!(given.metrics)),
        "behavior": given.behavior,
    });
    Some(owner.child("autoscaling/v2", "HorizontalPodAutoscaler", name, labels).with_spec(spec))
}
