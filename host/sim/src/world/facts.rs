//! The truth behind the API: what checkers and tests may know and the host may not.
//!
//! Owns read-only snapshots. Must not be reachable from the host's seams.

use std::collections::{BTreeMap, BTreeSet};

use pilothouse_core::gtid::GtidSet;
use pilothouse_core::topology::TabletAlias;
use pilothouse_core::view::{BackupView, Durability, Role};

use super::World;
use super::journal::Deed;
use super::state::State;
use crate::vitess::{ClusterKey, ShardKey};

/// One MySQL server as it really is.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerFacts {
    /// Its node.
    pub node: String,
    /// Whether its processes run.
    pub running: bool,
    /// What its topology record says.
    pub role: Role,
    /// Whether it takes writes at all.
    pub writable: bool,
    /// Whether a write there would be acknowledged now.
    pub can_ack: bool,
    /// Every transaction received or executed.
    pub position: GtidSet,
    /// Transactions that the shard's primary never had.
    pub errant: GtidSet,
    /// Whether the host's probe tells that it answers.
    pub told_reachable: bool,
    /// Bytes in use and bytes of room.
    pub disk: (u64, u64),
}

/// One shard as it really is.
#[derive(Debug, Clone, PartialEq)]
pub struct ShardFacts {
    /// The topology's primary.
    pub primary: Option<TabletAlias>,
    /// What must acknowledge a write.
    pub durability: Durability,
    /// Every transaction that a client was told is safe.
    pub acked: GtidSet,
    /// Its servers.
    pub servers: BTreeMap<TabletAlias, ServerFacts>,
    /// Its backups, complete or not.
    pub backups: Vec<BackupView>,
}

/// Everything at one instant.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// When, milliseconds since the epoch.
    pub at: i64,
    /// Every shard.
    pub shards: BTreeMap<ShardKey, ShardFacts>,
    /// What the provider posts, by zone.
    pub posts: BTreeMap<String, String>,
}

impl World {
    /// The truth now.
    #[must_use]
    pub fn facts(&self) -> Facts {
        self.with(|state| {
            let keys = state.shard_keys();
            state.facts_of(keys)
        })
    }

    /// The truth now of clusters that were written since `writes` were counted, and of `others`; and what is
    /// counted now.
    pub(crate) fn facts_since<'a>(
        &self,
        writes: u64,
        others: impl Iterator<Item = &'a ClusterKey>,
    ) -> (Facts, u64) {
        self.with(|state| {
            let written = state.vitess.written_at.iter().filter(|(_, at)| **at > writes);
            let clusters: BTreeSet<ClusterKey> =
                written.map(|(cluster, _)| cluster.clone()).chain(others.cloned()).collect();
            let keys = clusters.iter().flat_map(|cluster| state.shard_keys_of(cluster)).collect();
            (state.facts_of(keys), state.vitess.writes)
        })
    }

    /// Deeds from number `from` on.
    #[must_use]
    pub fn deeds_since(&self, from: usize) -> Vec<Deed> {
        self.with(|state| state.journal.deeds.get(from..).map(<[Deed]>::to_vec).unwrap_or_default())
    }

    /// A number that differs whenever something may have changed.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.with(|state| state.revision)
    }

    /// What the provider posts, by zone: public, so the host may read it too.
    #[must_use]
    pub fn provider_posts(&self) -> BTreeMap<String, String> {
        self.with(|state| state.places.posts.clone())
    }

    /// Zones that have machines.
    #[must_use]
    pub fn zones(&self) -> BTreeSet<String> {
        self.with(|state| state.places.zones().into_iter().map(str::to_owned).collect())
    }

    /// Clusters that ever had a tablet.
    #[must_use]
    pub fn clusters(&self) -> Vec<ClusterKey> {
        self.with(|state| state.vitess.clusters.keys().cloned().collect())
    }
}

impl State {
    fn facts_of(&mut self, keys: Vec<ShardKey>) -> Facts {
        let mut shards = BTreeMap::new();
        for key in keys {
            self.settle(&key);
            if let Some(facts) = self.shard_facts(&key) {
                shards.insert(key, facts);
            }
        }
        Facts { at: self.now, shards, posts: self.places.posts.clone() }
    }

    fn shard_facts(&self, key: &ShardKey) -> Option<ShardFacts> {
        let shard = self.vitess.shard(key)?;
        let server = |(alias, tablet): (&TabletAlias, &crate::vitess::Tablet)| {
            let data = self.vitess.data.get(&tablet.data);
            let facts = ServerFacts {
                node: tablet.node.clone(),
                running: tablet.running,
                role: tablet.role,
                writable: tablet.writable,
                can_ack: self.can_ack(key, alias),
                position: data.map(|d| d.position.clone()).unwrap_or_default(),
                errant: self.errant_of(key, alias),
                told_reachable: tablet.reach,
                disk: data.map_or((0, 0), |d| (d.used, d.capacity)),
            };
            (alias.clone(), facts)
        };
        Some(ShardFacts {
            primary: shard.primary.clone(),
            durability: shard.durability,
            acked: shard.acked.clone(),
            servers: self.vitess.tablets_of(key).map(server).collect(),
            backups: self.backups_of(key).map(|b| b.view.clone()).collect(),
        })
    }
}
