//! The removal of cells, keyspaces and shards, with the truth around it.
//!
//! Reads manifests by itself: what the host made of them is not asked. Must not judge.

use serde_json::Value;

use super::journal::Deed;
use super::objects::{array, controller_uid, label, name, number, terminating, text, uid};
use super::state::State;
use crate::apiserver::ResourceId;
use crate::vitess::{ClusterKey, ShardKey};

const CLUSTERS: ResourceId = ResourceId::of("planetscale.com", "vitessclusters");
const KEYSPACES: ResourceId = ResourceId::of("planetscale.com", "vitesskeyspaces");

/// Whether objects of that kind are levels below a cluster.
pub(super) fn is_level(kind: &ResourceId) -> bool {
    *kind.group == *"planetscale.com"
        && ["vitesscells", "vitesskeyspaces", "vitessshards"].contains(&&*kind.resource)
}

impl State {
    pub(super) fn level_deed(&self, kind: &ResourceId, object: &Value, gone: bool) -> Option<Deed> {
        if !gone {
            return None;
        }
        let (parents, needed) = match &*kind.resource {
            "vitessshards" => (KEYSPACES, self.needs_shard(object)),
            "vitesskeyspaces" => (CLUSTERS, needs_keyspace(object)),
            _ => (CLUSTERS, self.needs_cell(object)),
        };
        let parents = self.objects.within(&parents, text(object, "/metadata/namespace"));
        let living = parents.iter().find(|p| uid(p) == controller_uid(object) && !terminating(p));
        let wanted = living.is_some_and(|parent| asks_for(parent, kind, object));
        let object = format!("{} {}", kind.resource, name(object));
        Some(Deed::LevelRemoved { at: self.now, object, wanted, needed })
    }

    fn needs_shard(&self, shard: &Value) -> Option<String> {
        let key = ShardKey {
            cluster: cluster_of(shard),
            shard: format!("{}/{}", label(shard, "planetscale.com/keyspace"), text(shard, "/spec/name"))
                .parse()
                .ok()?,
        };
        let found = self.vitess.shard(&key)?;
        (found.serving && found.primary.is_some()).then(|| "it serves".to_owned())
    }

    fn needs_cell(&self, cell: &Value) -> Option<String> {
        let cluster = self.vitess.clusters.get(&cluster_of(cell))?;
        let here = |alias: &&pilothouse_core::topology::TabletAlias| alias.cell.0 == text(cell, "/spec/name");
        let running = cluster.tablets.iter().filter(|(_, t)| t.running).map(|(alias, _)| alias);
        running.clone().find(here).map(|alias| format!("{alias} runs in it"))
    }
}

fn cluster_of(object: &Value) -> ClusterKey {
    ClusterKey::new(text(object, "/metadata/namespace"), label(object, "planetscale.com/cluster"))
}

/// Without the word `Immediate` no pool may be left.
fn needs_keyspace(keyspace: &Value) -> Option<String> {
    let partitionings = array(keyspace, "/spec/partitionings").iter();
    let pools = partitionings.flat_map(|p| {
        let shards = array(p, "/custom/shards").iter().flat_map(|s| array(s, "/tabletPools"));
        shards.chain(array(p, "/equal/shardTemplate/tabletPools"))
    });
    let immediate = text(keyspace, "/spec/turndownPolicy") == "Immediate";
    (!immediate && pools.count() > 0).then(|| "it has pools, and nobody said that it may go".to_owned())
}

fn asks_for(parent: &Value, kind: &ResourceId, object: &Value) -> bool {
    let named = |list: &str| array(parent, list).iter().any(|o| o["name"] == object["spec"]["name"]);
    match &*kind.resource {
        "vitesscells" => named("/spec/cells"),
        "vitesskeyspaces" => named("/spec/keyspaces"),
        _ => {
            let range = text(object, "/spec/name");
            array(parent, "/spec/partitionings").iter().any(|p| has_range(p, range))
        }
    }
}

/// Whether a partitioning has a shard of that name. Of equal ones those of up to 256 parts.
fn has_range(partitioning: &Value, range: &str) -> bool {
    let bounds =
        |shard: &Value| format!("{}-{}", text(shard, "/keyRange/start"), text(shard, "/keyRange/end"));
    if array(partitioning, "/custom/shards").iter().any(|shard| bounds(shard) == range) {
        return true;
    }
    let parts = number(partitioning, "/equal/parts").unwrap_or(0);
    let bound =
        |i: i64| if i == 0 || i == parts { String::new() } else { format!("{:02x}", i * 256 / parts) };
    (0..parts).any(|i| format!("{}-{}", bound(i), bound(i + 1)) == range)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_partitioning_asks_for() {
        let equal = json!({ "equal": { "parts": 3 } });
        let custom = json!({ "custom": { "shards": [{ "keyRange": { "end": "80" } }] } });
        let asks = |range: &str| [&equal, &custom].map(|p| has_range(p, range));
        assert_eq!([asks("-55"), asks("-80"), asks("-")], [[true, false], [false, true], [false, false]]);
    }
}
