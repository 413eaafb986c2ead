//! The VitessCells of a cluster.

use pilothouse_api::{VitessCluster, children, labels, names};
use serde_json::json;

use super::Rendered;
use super::child::{Owner, labels as pairs};

/// Renders them in the order of the manifest.
pub(super) fn render(cluster: &VitessCluster) -> Vec<Rendered> {
    let owner = Owner::of(cluster);
    let specs = children::cells(cluster).into_iter();
    specs
        .map(|spec| {
            let cell = &spec.template.name;
            let labels = pairs([(labels::CLUSTER, owner.name), (labels::CELL, cell)]);
            owner
                .child("planetscale.com/v2", "VitessCell", names::cell(owner.name, cell), labels)
                .with_spec(json!(spec))
        })
        .collect()
}
