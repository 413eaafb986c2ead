//! What a valid spec asks for, as plain values on the topology's types.

use std::collections::{BTreeMap, BTreeSet};

use pilothouse_core::schedule::Terms;
use pilothouse_core::schedule::cron::Cron;
use pilothouse_core::schedule::targets::Scope;
use pilothouse_core::topology::{Cell, KeyRange, PoolKey, ShardId, Zone};
use pilothouse_core::view::Durability;

/// What a VitessCluster asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredCluster {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its cells.
    pub cells: BTreeMap<Cell, DesiredCell>,
    /// Its keyspaces.
    pub keyspaces: BTreeMap<String, DesiredKeyspace>,
    /// Names of its backup locations; the default one is empty.
    pub backup_locations: BTreeSet<String>,
}

/// What is asked for in a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredCell {
    /// Its name.
    pub name: Cell,
    /// The zone that the manifest names; a policy may choose one where it names none.
    pub zone: Option<Zone>,
    /// Gateways.
    pub gateways: u32,
    /// Whether an autoscaler chooses the gateways.
    pub autoscaled: bool,
}

/// What a keyspace asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredKeyspace {
    /// Its name.
    pub name: String,
    /// What must acknowledge a write.
    pub durability: Durability,
    /// The union of its partitionings.
    pub shards: BTreeMap<KeyRange, DesiredShard>,
}

/// What a shard asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredShard {
    /// Keyspace and key range.
    pub id: ShardId,
    /// What must acknowledge a write; a VitessShard by itself does not say.
    pub durability: Option<Durability>,
    /// Whether we elect the first primary.
    pub may_initialize: bool,
    /// Whether we take the first backup.
    pub may_initialize_backup: bool,
    /// Where new backups go: the first pool's location.
    pub backup_location: Option<String>,
    /// Its pools, in the manifest's order.
    pub pools: Vec<DesiredPool>,
}

/// What a tablet pool asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredPool {
    /// Cell, type and name.
    pub key: PoolKey,
    /// Tablets.
    pub replicas: u32,
    /// Bytes of each tablet's volume; `None` where MySQL runs elsewhere.
    pub volume_request: Option<u64>,
    /// The most bytes that a volume may ever have, by the pool's annotation.
    pub volume_maximum: Option<u64>,
    /// The location that tablets restore from and back up to, if it exists.
    pub backup_location: Option<String>,
    /// Whether MySQL runs elsewhere.
    pub external: bool,
}

impl DesiredShard {
    /// Tablets asked for.
    #[must_use]
    pub fn tablets(&self) -> u32 {
        self.pools.iter().map(|p| p.replicas).sum()
    }

    /// Cells with pools.
    #[must_use]
    pub fn cells(&self) -> BTreeSet<Cell> {
        self.pools.iter().map(|p| p.key.cell.clone()).collect()
    }
}

/// What a backup schedule asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredSchedule {
    /// When runs begin; `None` only beside an error.
    pub timing: Option<Timing>,
    /// What is backed up, in the manifest's order.
    pub strategies: Vec<DesiredStrategy>,
    /// Minutes that a run may take.
    pub timeout_minutes: u32,
    /// What else it says of its runs.
    pub terms: Terms,
}

/// When a schedule's runs begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Timing {
    /// At these times, all shards at once.
    At(Cron),
    /// So many minutes apart, each shard at times of its own.
    Every(u64),
}

/// One strategy of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredStrategy {
    /// Its name.
    pub name: String,
    /// How much it backs up.
    pub scope: Scope,
}

impl DesiredSchedule {
    /// Keyspaces that it backs up by name, and that schedules of the whole cluster leave out.
    pub fn keyspaces_apart(&self) -> impl Iterator<Item = &String> {
        let strategies = self.strategies.iter().filter(|_| !self.terms.suspended);
        strategies
            .filter_map(|s| if let Scope::Keyspace(keyspace) = &s.scope { Some(keyspace) } else { None })
    }
}
