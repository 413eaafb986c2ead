//! The host's handle to the played Vitess.
//!
//! Owns the calls that a Vitess client would make; each takes the time that the
//! real one does. Must not offer what no client can have.

use std::collections::BTreeSet;

use pilothouse_core::topology::{ShardId, TabletAlias};
use pilothouse_core::view::{Record, Registration};
use tokio::sync::{oneshot, watch};

use super::reparent::Command;
use super::{ClusterKey, Observation, ShardKey, VitessError};
use crate::world::World;

/// Vitess's topology, tablets and backup stores, played.
#[derive(Clone)]
pub struct PlayedVitess {
    world: World,
}

impl PlayedVitess {
    pub(crate) fn new(world: World) -> Self {
        Self { world }
    }

    /// What a client sees of a cluster now; empty for one that never had a tablet.
    #[must_use]
    pub fn observe(&self, cluster: &ClusterKey) -> Observation {
        self.world.with(|state| state.observe(cluster))
    }

    /// Counts up when an observation of any cluster would differ beyond the buckets of the view's fingerprint.
    #[must_use]
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.world.with(|state| state.vitess.changed.subscribe())
    }

    /// Whose observation has changed since [`PlayedVitess::changed`] had counted so far.
    #[must_use]
    pub fn changed_since(&self, count: u64) -> BTreeSet<ClusterKey> {
        self.world.with(|state| {
            let later = state.vitess.changed_at.iter().filter(|(_, at)| **at > count);
            later.map(|(cluster, _)| cluster.clone()).collect()
        })
    }

    /// What [`PlayedVitess::changed`] had counted when this cluster's observation last changed.
    #[must_use]
    pub fn revision(&self, cluster: &ClusterKey) -> u64 {
        self.world.with(|state| state.vitess.changed_at.get(cluster).copied().unwrap_or(0))
    }

    /// `InitShardPrimary`: gives a shard its first primary. Needs the running world.
    ///
    /// # Errors
    /// `expectation` when it has one; `unreachable`, `ineligible`, `behind`, `locked`, `not-found`.
    pub async fn init_primary(
        &self,
        cluster: &ClusterKey,
        shard: &ShardId,
        to: &TabletAlias,
    ) -> Result<(), VitessError> {
        self.command(cluster, shard, Command::Init, to).await
    }

    /// `PlannedReparentShard`: swaps a live primary, if `from` still is it. Needs the running world.
    ///
    /// # Errors
    /// `expectation`, `unreachable` (also for the primary), `behind`, `errant`, `not-safe`, `ineligible`, `locked`, `not-found`.
    pub async fn planned_reparent(
        &self,
        cluster: &ClusterKey,
        shard: &ShardId,
        from: &TabletAlias,
        to: &TabletAlias,
    ) -> Result<(), VitessError> {
        self.command(cluster, shard, Command::Planned { from: from.clone() }, to).await
    }

    /// `EmergencyReparentShard`: replaces a lost primary, if `lost` still is it, and waits for nobody of
    /// `without`. Needs the running world.
    ///
    /// # Errors
    /// As for a planned one; `not-safe` also when too few tablets answer to keep the lost one from writing.
    pub async fn emergency_reparent(
        &self,
        cluster: &ClusterKey,
        shard: &ShardId,
        lost: &TabletAlias,
        to: &TabletAlias,
        without: &[TabletAlias],
    ) -> Result<(), VitessError> {
        let command = Command::Emergency { lost: lost.clone(), without: without.to_vec() };
        self.command(cluster, shard, command, to).await
    }

    async fn command(
        &self,
        cluster: &ClusterKey,
        shard: &ShardId,
        command: Command,
        to: &TabletAlias,
    ) -> Result<(), VitessError> {
        let key = ShardKey { cluster: cluster.clone(), shard: shard.clone() };
        let (reply, answer) = oneshot::channel();
        self.world.with(|state| state.begin_operation(&key, command, to.clone(), reply));
        self.world.poke();
        answer.await.unwrap_or_else(|_| Err(VitessError::new("unreachable", "the played world has ended")))
    }

    /// `RemoveBackup`.
    ///
    /// # Errors
    /// `not-found`.
    pub fn remove_backup(&self, cluster: &ClusterKey, backup: &str) -> Result<(), VitessError> {
        let done = self.world.with(|state| state.remove_backup(cluster, backup));
        self.world.poke();
        done
    }

    /// `AddCellInfo`, `UpdateCellInfo`, `AddCellsAlias`, `UpdateCellsAlias`, `CreateKeyspace`,
    /// `SetKeyspaceDurabilityPolicy` or `CreateShard`: the record is as said afterwards.
    pub fn register(&self, cluster: &ClusterKey, registration: &Registration) {
        self.world.with(|state| state.register(cluster, registration));
        self.world.poke();
    }

    /// `DeleteCellInfo`, `DeleteKeyspace`, `DeleteShards`, `DeleteTablets --allow-primary`,
    /// `RemoveShardCell`, or the removal of a SrvKeyspace.
    ///
    /// # Errors
    /// `not-found`; `not-empty` where others depend on the record.
    pub fn prune(&self, cluster: &ClusterKey, record: &Record) -> Result<(), VitessError> {
        let done = self.world.with(|state| state.prune(cluster, record));
        self.world.poke();
        done
    }

    /// `ExecuteFetchAsDBA` of `set @@global.innodb_fast_shutdown = 0`.
    ///
    /// # Errors
    /// `not-found`; `unreachable`.
    pub fn disable_fast_shutdown(
        &self,
        cluster: &ClusterKey,
        alias: &TabletAlias,
    ) -> Result<(), VitessError> {
        let done = self.world.with(|state| state.disable_fast_shutdown(cluster, alias));
        self.world.poke();
        done
    }

    /// `DeleteTablets` for one alias. A tablet that still runs is heard of again only when it restarts.
    ///
    /// # Errors
    /// `not-found`; `expectation` for a shard's primary.
    pub fn delete_tablet_record(&self, cluster: &ClusterKey, alias: &TabletAlias) -> Result<(), VitessError> {
        let done = self.world.with(|state| state.delete_tablet_record(cluster, alias));
        self.world.poke();
        done
    }
}
