//! The VitessKeyspaces of a cluster.

use pilothouse_api::{VitessCluster, children, labels, names};
use serde_json::json;

use super::Rendered;
use super::child::{Owner, labels as pairs};

/// Renders them in the order of the manifest.
pub(super) fn render(cluster: &VitessCluster) -> Vec<Rendered> {
    let owner = Owner::of(cluster);
    let specs = children::keyspaces(cluster).into_iter();
    specs
        .map(|spec| {
            let keyspace = &spec.template.name;
            let labels = pairs([(labels::CLUSTER, owner.name), (labels::KEYSPACE, keyspace)]);
            owner
                .child("planetscale.com/v2", "VitessKeyspace", names::keyspace(owner.name, keyspace), labels)
                .annotated(spec.template.annotations.clone())
                .with_spec(json!(spec))
        })
        .collect()
}
