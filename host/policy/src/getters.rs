//! The host's side of `view` and `context`: getters over the snapshot.
//!
//! Every getter reads memory; none blocks, none fails but by a spent budget.

use wasmtime::Result;
use wasmtime::component::Resource;

use crate::bindings::{context, types, view};
use crate::convert;
use crate::snapshot::Snapshot;
use crate::state::HostState;

/// Entries a paged list returns at most, whatever the guest asks for.
const PAGE: u32 = 1_000;

/// What this host can do beyond the contract's first release: nothing yet.
const CAPABILITIES: [&str; 0] = [];

impl HostState {
    fn snapshot(&self, handle: &Resource<Snapshot>) -> Result<Snapshot> {
        Ok(self.handles.get(handle)?.clone())
    }
}

/// One page of the entries that pass.
fn page<'a, T: 'a, W>(
    entries: impl Iterator<Item = &'a T>,
    (offset, limit): (u32, u32),
    convert: impl Fn(&'a T) -> W,
) -> Vec<W> {
    entries.skip(offset as usize).take(limit.min(PAGE) as usize).map(convert).collect()
}

impl types::Host for HostState {}
impl view::Host for HostState {}

impl view::HostCluster for HostState {
    fn as_of(&mut self, handle: Resource<Snapshot>) -> Result<u64> {
        self.work(0)?;
        Ok(self.snapshot(&handle)?.view().as_of)
    }

    fn name(&mut self, handle: Resource<Snapshot>) -> Result<(String, String)> {
        self.work(0)?;
        let cluster = &self.snapshot(&handle)?.view().cluster.clone();
        Ok((cluster.namespace.clone(), cluster.name.clone()))
    }

    fn vitess(&mut self, handle: Resource<Snapshot>) -> Result<view::VitessSource> {
        self.work(0)?;
        Ok(convert::vitess(self.snapshot(&handle)?.view().vitess))
    }

    fn zones(&mut self, handle: Resource<Snapshot>) -> Result<Vec<view::Zone>> {
        let snapshot = self.snapshot(&handle)?;
        self.work(snapshot.view().zones.len())?;
        Ok(snapshot.view().zones.iter().map(convert::zone).collect())
    }

    fn cells(&mut self, handle: Resource<Snapshot>) -> Result<Vec<view::Cell>> {
        let snapshot = self.snapshot(&handle)?;
        self.work(snapshot.view().cells.len())?;
        Ok(snapshot.view().cells.iter().map(convert::cell).collect())
    }

    fn shards(&mut self, handle: Resource<Snapshot>, offset: u32, limit: u32) -> Result<Vec<view::Shard>> {
        let snapshot = self.snapshot(&handle)?;
        self.work(snapshot.view().shards.len())?;
        Ok(page(snapshot.view().shards.iter(), (offset, limit), convert::shard))
    }

    fn pools(&mut self, handle: Resource<Snapshot>, shard: types::ShardId) -> Result<Vec<view::Pool>> {
        let snapshot = self.snapshot(&handle)?;
        self.work(snapshot.view().shards.len())?;
        let found = convert::from_shard_id(shard).and_then(|id| snapshot.view().shard(&id));
        let pools = found.map_or(&[][..], |s| &s.pools);
        self.work(pools.iter().map(|p| p.aliases.len()).sum())?;
        Ok(pools.iter().map(convert::pool).collect())
    }

    fn tablets(
        &mut self,
        handle: Resource<Snapshot>,
        filter: view::TabletFilter,
        offset: u32,
        limit: u32,
    ) -> Result<Vec<view::Tablet>> {
        let snapshot = self.snapshot(&handle)?;
        self.work(snapshot.view().tablets.len())?;
        let Some(passes) = convert::tablet_filter(filter) else { return Ok(Vec::new()) };
        let entries = snapshot.tablets().filter(|(tablet, _)| passes(tablet)).map(|(_, record)| record);
        Ok(page(entries, (offset, limit), Clone::clone))
    }

    fn tablet(
        &mut self,
        handle: Resource<Snapshot>,
        alias: types::TabletAlias,
    ) -> Result<Option<view::Tablet>> {
        let snapshot = self.snapshot(&handle)?;
        self.work(snapshot.view().tablets.len())?;
        let alias = convert::from_alias(alias);
        Ok(snapshot.tablets().find(|(tablet, _)| tablet.alias == alias).map(|(_, record)| record.clone()))
    }

    fn has_all_of(
        &mut self,
        handle: Resource<Snapshot>,
        candidate: types::TabletAlias,
        other: types::TabletAlias,
    ) -> Result<bool> {
        let snapshot = self.snapshot(&handle)?;
        self.work(snapshot.view().tablets.len())?;
        Ok(snapshot.has_all_of(&convert::from_alias(candidate), &convert::from_alias(other)))
    }

    fn volumes(&mut self, handle: Resource<Snapshot>, offset: u32, limit: u32) -> Result<Vec<view::Volume>> {
        let snapshot = self.snapshot(&handle)?;
        self.work(snapshot.view().volumes.len())?;
        Ok(page(snapshot.view().volumes.iter(), (offset, limit), convert::volume))
    }

    fn backups(
        &mut self,
        handle: Resource<Snapshot>,
        shard: types::ShardId,
        offset: u32,
        limit: u32,
    ) -> Result<Vec<view::Backup>> {
        let snapshot = self.snapshot(&handle)?;
        let Some(shard) = convert::from_shard_id(shard) else { return Ok(Vec::new()) };
        // `covers-older` compares each with every older one of its shard.
        let count = snapshot.view().backups_of(&shard).count();
        self.work(snapshot.view().backups.len().saturating_add(count.saturating_mul(count)))?;
        let entries = snapshot.view().backups_of(&shard);
        Ok(page(entries, (offset, limit), |b| convert::backup(&snapshot, b)))
    }

    fn fact(
        &mut self,
        handle: Resource<Snapshot>,
        subject: String,
        name: String,
    ) -> Result<Option<types::Value>> {
        self.work(0)?;
        let snapshot = self.snapshot(&handle)?;
        Ok(snapshot.view().facts.get(&subject).and_then(|facts| facts.get(&name)).map(convert::fact))
    }

    fn drop(&mut self, handle: Resource<Snapshot>) -> Result<()> {
        self.handles.delete(handle)?;
        Ok(())
    }
}

impl context::Host for HostState {
    fn log(&mut self, severity: types::Severity, message: String) -> Result<()> {
        self.work(0)?;
        Self::log(self, convert::severity(severity), &message);
        Ok(())
    }

    fn capabilities(&mut self) -> Result<Vec<String>> {
        self.work(0)?;
        Ok(CAPABILITIES.map(str::to_owned).to_vec())
    }
}
