//! What a view asks, and who answers: the host's handle, or a test's stand-in.
//! Lists are asked for by pages, to their end.

use crate::records::{Backup, Cell, Cluster, Pool, Shard, Tablet, TabletFilter, VitessSource, Volume, Zone};
use crate::types::{ShardId, TabletAlias, Value};

/// Entries asked for in one call: the most that a host returns.
const PAGE: u32 = 1_000;

/// What a view asks of who answers: the host, or a test's stand-in, of which nothing is
/// known but what it overrides. Lists are whole and sorted as the host gives them.
pub trait Queries {
    /// When it was seen, in milliseconds since the Unix epoch.
    fn as_of(&self) -> u64;
    /// Where the Vitess half comes from.
    fn vitess(&self) -> VitessSource {
        VitessSource::Unknown
    }
    /// The cluster's namespace and name.
    fn name(&self) -> (String, String) {
        Default::default()
    }
    /// Availability zones.
    fn zones(&self) -> Vec<Zone> {
        Vec::new()
    }
    /// Vitess cells.
    fn cells(&self) -> Vec<Cell> {
        Vec::new()
    }
    /// Shards.
    fn shards(&self) -> Vec<Shard> {
        Vec::new()
    }
    /// Pools of a shard.
    fn pools(&self, _shard: &ShardId) -> Vec<Pool> {
        Vec::new()
    }
    /// Tablets of all shards.
    fn tablets(&self) -> Vec<Tablet> {
        Vec::new()
    }
    /// Data volumes.
    fn volumes(&self) -> Vec<Volume> {
        Vec::new()
    }
    /// Backups of a shard.
    fn backups(&self, _shard: &ShardId) -> Vec<Backup> {
        Vec::new()
    }
    /// Whether the first tablet's transactions hold all of the second's; false if either is unknown.
    fn has_all_of(&self, _candidate: &TabletAlias, _other: &TabletAlias) -> bool {
        false
    }
    /// A value without a field of its own.
    fn fact(&self, _subject: &str, _name: &str) -> Option<Value> {
        None
    }
}

/// The host behind its handle.
pub(crate) struct Host<'a>(pub(crate) &'a Cluster);

impl Queries for Host<'_> {
    fn as_of(&self) -> u64 {
        self.0.as_of()
    }

    fn vitess(&self) -> VitessSource {
        self.0.vitess()
    }

    fn name(&self) -> (String, String) {
        self.0.name()
    }

    fn zones(&self) -> Vec<Zone> {
        self.0.zones()
    }

    fn cells(&self) -> Vec<Cell> {
        self.0.cells()
    }

    fn shards(&self) -> Vec<Shard> {
        pages(|offset, limit| self.0.shards(offset, limit))
    }

    fn pools(&self, shard: &ShardId) -> Vec<Pool> {
        self.0.pools(shard)
    }

    fn tablets(&self) -> Vec<Tablet> {
        let any = TabletFilter { shard: None, cell: None, role: None, reach: None };
        pages(|offset, limit| self.0.tablets(&any, offset, limit))
    }

    fn volumes(&self) -> Vec<Volume> {
        pages(|offset, limit| self.0.volumes(offset, limit))
    }

    fn backups(&self, shard: &ShardId) -> Vec<Backup> {
        pages(|offset, limit| self.0.backups(shard, offset, limit))
    }

    fn has_all_of(&self, candidate: &TabletAlias, other: &TabletAlias) -> bool {
        self.0.has_all_of(candidate, other)
    }

    fn fact(&self, subject: &str, name: &str) -> Option<Value> {
        self.0.fact(subject, name)
    }
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
