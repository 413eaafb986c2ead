//! What the host would see of Vitess: topology, answers of tablets, stores.
//!
//! Owns the digest that says whether an observation is worth looking at again.
//! Must not reveal what a real client could not ask for.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use pilothouse_core::Millis;
use pilothouse_core::gtid::GtidSet;
use pilothouse_core::topology::{ShardId, TabletAlias};
use pilothouse_core::view::{BackupView, Durability, Reach, Replication, Role, Topology, lag_bucket};

use super::{ClusterKey, ShardKey, Tablet, acks_required, may_ack};
use crate::world::places::draw;
use crate::world::state::State;
use crate::world::timing;

/// One cluster's Vitess, as observed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observation {
    /// Shards that the topology knows.
    pub shards: BTreeMap<ShardId, ShardObserved>,
    /// Tablets that the topology knows.
    pub tablets: BTreeMap<TabletAlias, TabletObserved>,
    /// Every record.
    pub topology: Topology,
    /// Backups of every shard and location, by shard and name.
    pub backups: Vec<BackupView>,
}

/// A shard's record.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ShardObserved {
    /// The primary that the topology names, and since when (0: never).
    pub primary: Option<TabletAlias>,
    /// Milliseconds since the epoch.
    pub primary_since: Millis,
    /// Whether it ever had a primary or has a complete backup.
    pub initialized: bool,
}

/// What a server last said of itself, however long ago.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Last {
    /// Its `server_uuid`.
    pub server: String,
    /// What it had executed.
    pub position: GtidSet,
    /// Whether it followed nobody.
    pub leads: bool,
}

/// A tablet as probed.
#[derive(Debug, Clone, PartialEq)]
pub struct TabletObserved {
    /// Its shard.
    pub shard: ShardId,
    /// What it serves as, by its topology record.
    pub role: Role,
    /// Whether it answers.
    pub reach: Reach,
    /// Since when, milliseconds since the epoch.
    pub reach_since: Millis,
    /// What its MySQL says; absent while it does not answer or restores.
    pub replication: Option<Replication>,
    /// The same of its last answer, if it ever gave one.
    pub last: Option<Last>,
    /// All that this MySQL ever told that it had.
    pub told: GtidSet,
    /// Bytes in use on its volume; absent while it does not answer.
    pub disk_used: Option<u64>,
    /// Bytes that its volume has.
    pub disk_capacity: u64,
    /// Bytes an hour at which it fills.
    pub fill_per_hour: u64,
    /// Whether its mysqld has `innodb_fast_shutdown = 0`, as it says when it is asked.
    pub slow_shutdown: bool,
}

impl TabletObserved {
    fn hash_bucketed(&self, h: &mut DefaultHasher) {
        (&self.shard, self.role, self.reach, self.reach_since, self.disk_capacity).hash(h);
        (self.slow_shutdown, self.fill_per_hour.checked_ilog2()).hash(h);
        let bucket = |used: u64| u128::from(used) * 64 / u128::from(self.disk_capacity.max(1));
        self.disk_used.map(bucket).hash(h);
        if let Some(r) = &self.replication {
            (&r.source, r.source_connected, r.applying, lag_bucket(r.lag_ms), &r.errant).hash(h);
            (r.acks, r.read_only).hash(h);
        }
    }
}

impl State {
    /// What a tablet's `FullStatus` says of replication.
    pub(crate) fn replication_of(&self, key: &ShardKey, alias: &TabletAlias) -> Option<Replication> {
        let tablet = self.vitess.tablet(&key.cluster, alias).filter(|t| t.serves())?;
        let durability = self.vitess.shard(key).map_or(Durability::None, |s| s.durability);
        let acks = tablet.source.as_ref().is_some_and(|s| may_ack(durability, s, alias, tablet));
        Some(Replication {
            server: self.vitess.data.get(&tablet.data).map(|data| data.server.clone()).unwrap_or_default(),
            source: tablet.source.clone(),
            source_connected: tablet.source.is_some() && tablet.hears && !self.misses_primary(key, tablet),
            applying: tablet.stalled_since.is_none(),
            lag_ms: self.lag_of(tablet).unsigned_abs(),
            position: self.executed(key, alias),
            errant: self.errant_of(key, alias),
            forgotten: GtidSet::default(),
            acks: acks && tablet.connected,
            read_only: tablet.role == Role::Primary && !tablet.writable,
        })
    }

    /// Whether a replica, asked because the host does not hear its shard's primary, has not heard that one either.
    fn misses_primary(&self, key: &ShardKey, tablet: &Tablet) -> bool {
        let primary = self.vitess.shard(key).and_then(|s| s.primary.as_ref());
        let is_silent = primary.and_then(|p| self.vitess.tablet(&key.cluster, p)).is_some_and(|p| !p.reach);
        is_silent && tablet.heard_last.is_some_and(|at| self.now >= at + timing::SOURCE_OVERDUE)
    }

    /// What `gtid_executed` shows, and for a replica what its relay log has: a primary's own transactions
    /// that wait for an acknowledgement are seen at its replicas first. Under load some always do.
    fn executed(&self, key: &ShardKey, alias: &TabletAlias) -> GtidSet {
        let position = self.vitess.position(&key.cluster, alias);
        let Some(tablet) = self.vitess.tablet(&key.cluster, alias).filter(|t| t.writable) else {
            return position;
        };
        let Some(shard) = self.vitess.shard(key) else { return position };
        let waits = acks_required(shard.durability) > 0 && shard.writes_per_minute > 0;
        let Some(data) = self.vitess.data.get(&tablet.data).filter(|_| waits) else { return position };
        let most = i64::try_from(timing::IN_FLIGHT).unwrap_or(0);
        let in_flight = draw(self.seed, "in-flight", &format!("{alias} {}", self.now), (0, most));
        let first = (data.own_last + 1).saturating_sub(in_flight.unsigned_abs()).max(1);
        let mut waiting = tablet.waiting.clone();
        waiting.add(&data.server, first, data.own_last);
        position.minus(&waiting)
    }

    /// One cluster's Vitess as the host would see it now.
    pub(crate) fn observe(&mut self, cluster: &ClusterKey) -> Observation {
        let keys = self.shard_keys_of(cluster);
        let mut seen = Observation::default();
        for key in keys {
            self.settle(&key);
            let backed_up = self.backups_of(&key).any(|b| b.view.finished.is_some());
            let Some(shard) = self.vitess.shard(&key) else { continue };
            let record = ShardObserved {
                primary: shard.primary.clone(),
                primary_since: shard.primary_since.unsigned_abs(),
                initialized: shard.initialized || backed_up,
            };
            seen.shards.insert(key.shard.clone(), record);
            let aliases: Vec<TabletAlias> = self.vitess.tablets_of(&key).map(|(a, _)| a.clone()).collect();
            for alias in aliases {
                if let Some(tablet) = self.observe_tablet(&key, &alias) {
                    seen.tablets.insert(alias, tablet);
                }
            }
        }
        if let Some(found) = self.vitess.clusters.get(cluster) {
            seen.backups = found.backups.iter().map(|b| b.view.clone()).collect();
            seen.topology = found.topology();
        }
        seen
    }

    fn observe_tablet(&self, key: &ShardKey, alias: &TabletAlias) -> Option<TabletObserved> {
        let tablet = self.vitess.tablet(&key.cluster, alias)?;
        let data = self.vitess.data.get(&tablet.data);
        let answers = self.answers(tablet);
        let replication = match (tablet.reach, answers) {
            (true, true) => self.replication_of(key, alias),
            (true, false) => tablet.last_told.clone(), // not yet found out
            (false, _) => None,
        };
        let writes = self.vitess.shard(key).map_or(0, |s| s.writes_per_minute);
        let flows = tablet.connected || tablet.writable;
        let written = if flows { writes * 60 * timing::TRANSACTION_BYTES } else { 0 };
        Some(TabletObserved {
            shard: tablet.shard.clone(),
            role: tablet.role,
            reach: if tablet.reach { Reach::Yes } else { Reach::No },
            reach_since: tablet.reach_since.unsigned_abs(),
            last: replication.clone().or_else(|| tablet.last_told.clone()).map(|told| Last {
                server: data.map_or_else(String::new, |d| d.server.clone()),
                position: told.position,
                leads: told.source.is_none(),
            }),
            replication,
            told: tablet.told.clone(),
            disk_used: data.filter(|_| tablet.reach).map(|d| d.used),
            disk_capacity: data.map_or(0, |d| d.capacity),
            slow_shutdown: tablet.reach && tablet.slow_shutdown,
            fill_per_hour: data.filter(|_| tablet.running).map_or(0, |d| d.fill_per_hour + written),
        })
    }

    /// Wakes those who wait for a changed observation, if one did change.
    pub(crate) fn publish_vitess(&mut self) {
        let touched = std::mem::take(&mut self.vitess.touched);
        let count = *self.vitess.changed.borrow() + 1;
        let mut changed = false;
        for cluster in touched {
            self.vitess.note_write(&cluster);
            let seen = self.observe(&cluster);
            let mut h = DefaultHasher::new();
            (&seen.shards, &seen.topology, &seen.backups).hash(&mut h);
            for (alias, tablet) in &seen.tablets {
                alias.hash(&mut h);
                tablet.hash_bucketed(&mut h);
            }
            let digest = h.finish();
            if self.vitess.digests.insert(cluster.clone(), digest) != Some(digest) {
                self.vitess.changed_at.insert(cluster, count);
                changed = true;
            }
        }
        if changed {
            self.vitess.changed.send_replace(count);
        }
    }
}
