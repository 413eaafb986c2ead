//! The view as plain data: every list read once, by pages; what is cheaper asked
//! when it is needed stays a question.

use std::mem::ManuallyDrop;

use crate::records::{
    Backup, Cell, Cluster, Pool, Shard, Tablet, TabletFilter, VitessSource, Volume, Wanted, Zone,
};
use crate::types::{PoolKey, ShardId, TabletAlias, Value, ZoneState};

/// Entries asked for in one call: the most that a host returns.
const PAGE: u32 = 1_000;

/// Which lists a policy reads besides zones, cells, shards and tablets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reads {
    /// Pools of every shard.
    pub pools: bool,
    /// Data volumes.
    pub volumes: bool,
    /// Backups of every shard.
    pub backups: bool,
}

impl Reads {
    /// Everything.
    pub const ALL: Self = Self { pools: true, volumes: true, backups: true };
}

/// What is asked when needed, not read ahead; a test kit's stand-in for the host.
#[cfg(not(target_arch = "wasm32"))]
pub trait Queries {
    /// The cluster's namespace and name.
    fn name(&self) -> (String, String);
    /// Whether the first tablet's transactions hold all of the second's; false if either is unknown.
    fn has_all_of(&self, candidate: &TabletAlias, other: &TabletAlias) -> bool;
    /// A value without a field of its own.
    fn fact(&self, subject: &str, name: &str) -> Option<Value>;
}

/// Who answers.
enum Asked<'a> {
    Host(&'a Cluster),
    #[cfg(not(target_arch = "wasm32"))]
    Kit(Box<dyn Queries + 'a>),
}

/// One cluster as seen at `as_of`. Lists are sorted as the host gives them.
pub struct View<'a> {
    /// When it was seen, in milliseconds since the Unix epoch: the only clock.
    pub as_of: u64,
    /// Where the Vitess half comes from.
    pub vitess: VitessSource,
    /// Availability zones.
    pub zones: Vec<Zone>,
    /// Vitess cells.
    pub cells: Vec<Cell>,
    /// Shards.
    pub shards: Vec<Shard>,
    /// Pools, each with its shard.
    pub pools: Vec<(ShardId, Pool)>,
    /// Tablets of all shards.
    pub tablets: Vec<Tablet>,
    /// Data volumes.
    pub volumes: Vec<Volume>,
    /// Backups of all shards.
    pub backups: Vec<Backup>,
    asked: Asked<'a>,
}

fn pages<T>(page: impl Fn(u32, u32) -> Vec<T>) -> Vec<T> {
    let mut all = page(0, PAGE);
    let mut last = all.len();
    while last == PAGE as usize {
        let more = page(u32::try_from(all.len()).unwrap_or(u32::MAX), PAGE);
        last = more.len();
        all.extend(more);
    }
    all
}

impl<'a> View<'a> {
    /// Reads what `reads` names from the host's handle. It is never given back piece by
    /// piece: the instance that holds it ends with the call.
    #[must_use]
    pub fn gather(cluster: &'a Cluster, reads: Reads) -> ManuallyDrop<Self> {
        let shards = pages(|offset, limit| cluster.shards(offset, limit));
        let mut pools = Vec::new();
        let mut backups = Vec::new();
        for shard in &shards {
            if reads.pools {
                pools.extend(cluster.pools(&shard.id).into_iter().map(|pool| (shard.id.clone(), pool)));
            }
            if reads.backups {
                backups.extend(pages(|offset, limit| cluster.backups(&shard.id, offset, limit)));
            }
        }
        let volumes = if reads.volumes { pages(|o, l| cluster.volumes(o, l)) } else { Vec::new() };
        let any = TabletFilter { shard: None, cell: None, role: None, reach: None };
        ManuallyDrop::new(Self {
            as_of: cluster.as_of(),
            vitess: cluster.vitess(),
            zones: cluster.zones(),
            cells: cluster.cells(),
            tablets: pages(|offset, limit| cluster.tablets(&any, offset, limit)),
            shards,
            pools,
            volumes,
            backups,
            asked: Asked::Host(cluster),
        })
    }

    /// An empty view with other answers behind it; a test kit fills in the lists.
    #[cfg(not(target_arch = "wasm32"))]
    #[must_use]
    pub fn with_queries(as_of: u64, queries: Box<dyn Queries + 'a>) -> Self {
        Self {
            as_of,
            vitess: VitessSource::Unknown,
            zones: Vec::new(),
            cells: Vec::new(),
            shards: Vec::new(),
            pools: Vec::new(),
            tablets: Vec::new(),
            volumes: Vec::new(),
            backups: Vec::new(),
            asked: Asked::Kit(queries),
        }
    }

    /// The cluster's namespace and name.
    #[must_use]
    pub fn name(&self) -> (String, String) {
        match &self.asked {
            Asked::Host(cluster) => cluster.name(),
            #[cfg(not(target_arch = "wasm32"))]
            Asked::Kit(queries) => queries.name(),
        }
    }

    /// The zone of that name.
    #[must_use]
    pub fn zone(&self, name: &str) -> Option<&Zone> {
        self.zones.iter().find(|z| z.name == name)
    }

    /// The cell of that name.
    #[must_use]
    pub fn cell(&self, name: &str) -> Option<&Cell> {
        self.cells.iter().find(|c| c.name == name)
    }

    /// The zone that a cell is in, if both are known.
    #[must_use]
    pub fn zone_of_cell(&self, cell: &str) -> Option<&Zone> {
        self.zone(self.cell(cell)?.zone.as_deref()?)
    }

    /// The shard of that name.
    #[must_use]
    pub fn shard(&self, id: &ShardId) -> Option<&Shard> {
        self.shards.iter().find(|s| s.id == *id)
    }

    /// The tablet of that alias.
    #[must_use]
    pub fn tablet(&self, alias: &TabletAlias) -> Option<&Tablet> {
        self.tablets.iter().find(|t| t.alias == *alias)
    }

    /// The tablets of a shard, in the view's order.
    pub fn tablets_of(&self, shard: &ShardId) -> impl Iterator<Item = &Tablet> {
        self.tablets.iter().filter(move |t| t.shard == *shard)
    }

    /// The pools of a shard, in the view's order.
    pub fn pools_of(&self, shard: &ShardId) -> impl Iterator<Item = &Pool> {
        self.pools.iter().filter(move |(id, _)| id == shard).map(|(_, pool)| pool)
    }

    /// One pool of a shard.
    #[must_use]
    pub fn pool(&self, shard: &ShardId, key: &PoolKey) -> Option<&Pool> {
        self.pools_of(shard).find(|p| p.key == *key)
    }

    /// The backups of a shard, in the view's order.
    pub fn backups_of(&self, shard: &ShardId) -> impl Iterator<Item = &Backup> {
        self.backups.iter().filter(move |b| b.shard == *shard)
    }

    /// The volume of that claim.
    #[must_use]
    pub fn volume(&self, claim: &str) -> Option<&Volume> {
        self.volumes.iter().find(|v| v.claim == claim)
    }

    /// How long ago that was, in milliseconds; 0 for the future.
    #[must_use]
    pub const fn since(&self, then: u64) -> u64 {
        self.as_of.saturating_sub(then)
    }

    /// Whether the first tablet's transactions hold all of the second's; false if either is unknown.
    #[must_use]
    pub fn has_all_of(&self, candidate: &TabletAlias, other: &TabletAlias) -> bool {
        match &self.asked {
            Asked::Host(cluster) => cluster.has_all_of(candidate, other),
            #[cfg(not(target_arch = "wasm32"))]
            Asked::Kit(queries) => queries.has_all_of(candidate, other),
        }
    }

    /// A fact that is a truth value; false if it is not there or something else.
    #[must_use]
    pub fn flag(&self, subject: &str, name: &str) -> bool {
        matches!(self.fact(subject, name), Some(Value::Flag(true)))
    }

    /// A value without a field of its own.
    #[must_use]
    pub fn fact(&self, subject: &str, name: &str) -> Option<Value> {
        match &self.asked {
            Asked::Host(cluster) => cluster.fact(subject, name),
            #[cfg(not(target_arch = "wasm32"))]
            Asked::Kit(queries) => queries.fact(subject, name),
        }
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

#[cfg(test)]
mod tests {
    use super::{PAGE, pages};

    /// Reads a list of that length page by page; the calls made.
    #[track_caller]
    fn check(length: u32, calls: u32) {
        let made = std::cell::Cell::new(0);
        let read = pages(|offset, limit| {
            made.set(made.get() + 1);
            (offset..length.min(offset + limit)).collect::<Vec<u32>>()
        });
        assert_eq!(read, (0..length).collect::<Vec<u32>>());
        assert_eq!(made.get(), calls, "calls for {length} entries");
    }

    #[test]
    fn lists_are_read_to_their_end() {
        check(0, 1);
        check(3, 1);
        check(PAGE - 1, 1);
        check(PAGE, 2);
        check(PAGE * 2 + 1, 3);
    }
}
