//! The view: every list asked for once, when it is first read.

use std::cell::OnceCell;
use std::mem::ManuallyDrop;

use crate::queries::{Host, Queries};
use crate::records::{Backup, Cell, Cluster, Pool, Shard, Tablet, VitessSource, Volume, Wanted, Zone};
use crate::types::{PoolKey, ShardId, TabletAlias, Value, ZoneState};

/// A component asks its host and nobody else, so it imports only what it may ask.
#[cfg(target_arch = "wasm32")]
type Asked<'a> = Host<'a>;
#[cfg(target_arch = "wasm32")]
const fn host(cluster: &Cluster) -> Asked<'_> {
    Host(cluster)
}

#[cfg(not(target_arch = "wasm32"))]
type Asked<'a> = Box<dyn Queries + 'a>;
#[cfg(not(target_arch = "wasm32"))]
fn host(cluster: &Cluster) -> Asked<'_> {
    Box::new(Host(cluster))
}

/// One cluster as seen at `as_of`.
pub struct View<'a> {
    /// When it was seen, in milliseconds since the Unix epoch: the only clock.
    pub as_of: u64,
    /// Where the Vitess half comes from.
    pub vitess: VitessSource,
    zones: OnceCell<Vec<Zone>>,
    cells: OnceCell<Vec<Cell>>,
    shards: OnceCell<Vec<Shard>>,
    pools: OnceCell<Vec<(ShardId, Pool)>>,
    tablets: OnceCell<Vec<Tablet>>,
    volumes: OnceCell<Vec<Volume>>,
    backups: OnceCell<Vec<Backup>>,
    asked: Asked<'a>,
}

impl<'a> View<'a> {
    fn new(asked: Asked<'a>) -> Self {
        Self {
            as_of: asked.as_of(),
            vitess: asked.vitess(),
            zones: OnceCell::new(),
            cells: OnceCell::new(),
            shards: OnceCell::new(),
            pools: OnceCell::new(),
            tablets: OnceCell::new(),
            volumes: OnceCell::new(),
            backups: OnceCell::new(),
            asked,
        }
    }

    /// The view behind the host's handle. What it reads is never given back piece by
    /// piece: the instance that holds it ends with the call.
    #[must_use]
    pub fn of(cluster: &'a Cluster) -> ManuallyDrop<Self> {
        ManuallyDrop::new(Self::new(host(cluster)))
    }

    /// A view with other answers behind it.
    #[cfg(not(target_arch = "wasm32"))]
    #[must_use]
    pub fn answered_by(asked: impl Queries + 'a) -> Self {
        Self::new(Box::new(asked))
    }

    /// The cluster's namespace and name.
    #[must_use]
    pub fn name(&self) -> (String, String) {
        self.asked.name()
    }

    /// Availability zones.
    #[must_use]
    pub fn zones(&self) -> &[Zone] {
        self.zones.get_or_init(|| self.asked.zones())
    }

    /// Vitess cells.
    #[must_use]
    pub fn cells(&self) -> &[Cell] {
        self.cells.get_or_init(|| self.asked.cells())
    }

    /// Shards.
    #[must_use]
    pub fn shards(&self) -> &[Shard] {
        self.shards.get_or_init(|| self.asked.shards())
    }

    /// Pools of all shards, each with its shard.
    #[must_use]
    pub fn pools(&self) -> &[(ShardId, Pool)] {
        let of = |shard: &Shard| {
            let pools = self.asked.pools(&shard.id);
            pools.into_iter().map(|pool| (shard.id.clone(), pool)).collect::<Vec<_>>()
        };
        self.pools.get_or_init(|| self.shards().iter().flat_map(of).collect())
    }

    /// Tablets of all shards.
    #[must_use]
    pub fn tablets(&self) -> &[Tablet] {
        self.tablets.get_or_init(|| self.asked.tablets())
    }

    /// Data volumes.
    #[must_use]
    pub fn volumes(&self) -> &[Volume] {
        self.volumes.get_or_init(|| self.asked.volumes())
    }

    /// Backups of all shards.
    #[must_use]
    pub fn backups(&self) -> &[Backup] {
        self.backups.get_or_init(|| self.shards().iter().flat_map(|s| self.asked.backups(&s.id)).collect())
    }

    /// The zone of that name.
    #[must_use]
    pub fn zone(&self, name: &str) -> Option<&Zone> {
        self.zones().iter().find(|z| z.name == name)
    }

    /// The cell of that name.
    #[must_use]
    pub fn cell(&self, name: &str) -> Option<&Cell> {
        self.cells().iter().find(|c| c.name == name)
    }

    /// The zone that a cell is in, if both are known.
    #[must_use]
    pub fn zone_of_cell(&self, cell: &str) -> Option<&Zone> {
        self.zone(self.cell(cell)?.zone.as_deref()?)
    }

    /// The shard of that name.
    #[must_use]
    pub fn shard(&self, id: &ShardId) -> Option<&Shard> {
        self.shards().iter().find(|s| s.id == *id)
    }

    /// The tablet of that alias.
    #[must_use]
    pub fn tablet(&self, alias: &TabletAlias) -> Option<&Tablet> {
        self.tablets().iter().find(|t| t.alias == *alias)
    }

    /// The tablets of a shard, in the view's order.
    pub fn tablets_of(&self, shard: &ShardId) -> impl Iterator<Item = &Tablet> {
        self.tablets().iter().filter(move |t| t.shard == *shard)
    }

    /// The pools of a shard, in the view's order.
    pub fn pools_of(&self, shard: &ShardId) -> impl Iterator<Item = &Pool> {
        self.pools().iter().filter(move |(id, _)| id == shard).map(|(_, pool)| pool)
    }

    /// One pool of a shard.
    #[must_use]
    pub fn pool(&self, shard: &ShardId, key: &PoolKey) -> Option<&Pool> {
        self.pools_of(shard).find(|p| p.key == *key)
    }

    /// The backups of a shard, in the view's order.
    pub fn backups_of(&self, shard: &ShardId) -> impl Iterator<Item = &Backup> {
        self.backups().iter().filter(move |b| b.shard == *shard)
    }

    /// The volume of that claim.
    #[must_use]
    pub fn volume(&self, claim: &str) -> Option<&Volume> {
        self.volumes().iter().find(|v| v.claim == claim)
    }

    /// How long ago that was, in milliseconds; 0 for the future.
    #[must_use]
    pub const fn since(&self, then: u64) -> u64 {
        self.as_of.saturating_sub(then)
    }

    /// Whether the first tablet's transactions hold all of the second's; false if either is unknown.
    #[must_use]
    pub fn has_all_of(&self, candidate: &TabletAlias, other: &TabletAlias) -> bool {
        self.asked.has_all_of(candidate, other)
    }

    /// A fact that is a truth value; false if it is not there or something else.
    #[must_use]
    pub fn flag(&self, subject: &str, name: &str) -> bool {
        matches!(self.fact(subject, name), Some(Value::Flag(true)))
    }

    /// A value without a field of its own.
    #[must_use]
    pub fn fact(&self, subject: &str, name: &str) -> Option<Value> {
        self.asked.fact(subject, name)
    }
}

impl Zone {
    /// Whether the zone is lost, or on the way there.
    #[must_use]
    pub const fn is_dark(&self) -> bool {
        matches!(self.state, ZoneState::Lost | ZoneState::Suspect)
    }
}

impl Tablet {
    /// The cell that it stands in for, if it is a surge tablet.
    #[must_use]
    pub fn stands_in_for(&self) -> Option<&str> {
        match &self.wanted {
            Wanted::Surge(cell) => Some(cell),
            Wanted::BySpec | Wanted::No => None,
        }
    }
}
