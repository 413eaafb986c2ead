//! Which shards serve: shard records and the serving graphs that gateways read.
//!
//! Played as Vitess does it: a new shard serves unless one that overlaps it does; a tablet's start
//! builds its keyspace's graph in its cell. Must not move traffic by itself.

use std::collections::{BTreeMap, BTreeSet};

use pilothouse_core::gtid::GtidSet;
use pilothouse_core::topology::{Cell, KeyRange, ShardId};

use super::{Cluster, ClusterKey, ShardKey};
use crate::world::agenda::Look;
use crate::world::state::State;

/// Cell, keyspace, the shards of the partition that serves.
pub(crate) type Graphs = BTreeMap<Cell, BTreeMap<String, BTreeSet<KeyRange>>>;

/// Whether another shard that overlaps this one serves.
pub(super) fn is_served(cluster: &Cluster, shard: &ShardId) -> bool {
    let mut others = cluster.shards.iter().filter(|(id, s)| s.serving && *id != shard);
    others.any(|(id, _)| id.keyspace == shard.keyspace && id.range.overlaps(&shard.range))
}

/// `RebuildKeyspaceGraph` in one cell.
pub(super) fn build(cluster: &mut Cluster, cell: &Cell, keyspace: &str) {
    let serving = cluster.shards.iter().filter(|(id, s)| s.serving && id.keyspace == *keyspace);
    let ranges = serving.map(|(id, _)| id.range.clone()).collect();
    cluster.graphs.entry(cell.clone()).or_default().insert(keyspace.to_owned(), ranges);
}

impl State {
    /// `SwitchTraffic` at the end of a reshard: these shards serve, and those that overlap them no
    /// longer. What clients of the latter were told is safe is for the former to keep. Does
    /// nothing, and says so, unless each of these has a primary.
    pub(crate) fn switch_traffic(&mut self, cluster: &ClusterKey, keyspace: &str, to: &[KeyRange]) -> bool {
        let keys: Vec<ShardKey> = self
            .shard_keys()
            .into_iter()
            .filter(|k| k.cluster == *cluster && k.shard.keyspace == keyspace)
            .collect();
        let has_primary = |key: &ShardKey| self.vitess.shard(key).is_some_and(|s| s.primary.is_some());
        if !to.iter().all(|range| keys.iter().any(|k| k.shard.range == *range && has_primary(k))) {
            return false;
        }
        let writes = self.settings.writes_per_minute;
        for key in &keys {
            self.settle(key);
            let range = &key.shard.range;
            let Some(shard) = self.vitess.shard_mut(key) else { continue };
            if to.contains(range) {
                shard.serving = true;
                shard.writes_per_minute = writes;
            } else if to.iter().any(|target| target.overlaps(range)) {
                shard.serving = false;
                shard.writes_per_minute = 0;
                shard.acked = GtidSet::default();
            }
            self.agenda.now(Look::Shard(key.clone()));
        }
        if let Some(found) = self.vitess.clusters.get_mut(cluster) {
            let has_graph = |cell: &&Cell| found.graphs[*cell].contains_key(keyspace);
            let cells: Vec<Cell> = found.graphs.keys().filter(has_graph).cloned().collect();
            for cell in cells {
                build(found, &cell, keyspace);
            }
        }
        self.vitess.touched.insert(cluster.clone());
        true
    }
}
