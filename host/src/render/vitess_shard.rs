//! The VitessShards of a keyspace.

use pilothouse_api::{VitessKeyspace, children, labels, names};
use pilothouse_core::topology::KeyRange;
use serde_json::json;

use super::Rendered;
use super::child::{Owner, labels as pairs};

/// Renders them in the order of their key ranges. Nothing while the keyspace does not say
/// which cluster it belongs to.
pub(super) fn render(keyspace: &VitessKeyspace) -> Vec<Rendered> {
    let owner = Owner::of(keyspace);
    let Some(cluster) = keyspace.metadata.labels.as_ref().and_then(|all| all.get(labels::CLUSTER)) else {
        return Vec::new();
    };
    let name = &keyspace.spec.template.name;
    let specs = children::shards(keyspace).into_iter();
    specs
        .filter_map(|spec| {
            let range: KeyRange = spec.name.parse().ok()?;
            let shard = labels::shard(&range);
            let labels =
                pairs([(labels::CLUSTER, cluster), (labels::KEYSPACE, name), (labels::SHARD, &shard)]);
            let child =
                owner.child("planetscale.com/v2", "VitessShard", names::shard(cluster, name, &range), labels);
            Some(child.annotated(spec.template.annotations.clone()).with_spec(json!(spec)))
        })
        .collect()
}
