//! How many tablets of a shard, and gateways of a cell, others may take away at a time: one.
//!
//! Etcd's budget stands with its members. The Pods of tablets are nobody's whom Kubernetes could ask for
//! their number, so that only a least number works for them, and it is counted here.

use pilothouse_api::choices::{Choice as _, DisruptionBudgets};
use pilothouse_api::labels::{self, Component};
use pilothouse_api::{VitessCell, names};
use serde_json::json;

use super::Rendered;
use super::child::{Owner, labels as pairs};
use super::tablet::Shard;

/// A shard's; `None` while it has no tablets, or where people have their own.
pub(super) fn of_tablets(owner: &Owner<'_>, shard: &Shard<'_>, tablets: usize) -> Option<Rendered> {
    let least = tablets.checked_sub(1)?;
    if DisruptionBudgets::of(&shard.object.metadata) == DisruptionBudgets::Omit {
        return None;
    }
    let labels = shard.labels(Component::Vttablet);
    let name = names::tablets_disruption_budget(shard.cluster, shard.keyspace, &shard.range);
    let spec = json!({ "minAvailable": least, "selector": { "matchLabels": labels } });
    Some(owner.child("policy/v1", "PodDisruptionBudget", name, labels).with_spec(spec))
}

/// A cell's; `None` where people have their own.
pub(super) fn of_gateways(cell: &VitessCell, cluster: &str) -> Option<Rendered> {
    if DisruptionBudgets::of(&cell.metadata) == DisruptionBudgets::Omit {
        return None;
    }
    let name = &cell.spec.template.name;
    let labels = pairs([
        (labels::CLUSTER, cluster),
        (labels::CELL, name),
        (labels::COMPONENT, Component::Vtgate.as_str()),
    ]);
    let spec = json!({ "maxUnavailable": 1, "selector": { "matchLabels": labels } });
    let name = names::gateway(cluster, name);
    Some(Owner::of(cell).child("policy/v1", "PodDisruptionBudget", name, labels).with_spec(spec))
}
