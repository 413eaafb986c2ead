//! What all shards have in common in one view: dark zones, and where primaries are.

use std::collections::BTreeMap;

use pilothouse_sdk::{Reach, Shard, ShardId, Tablet, TabletAlias, View};

use crate::config::Config;

/// One view, read for failover.
pub(crate) struct Scene<'a> {
    pub(crate) view: &'a View<'a>,
    pub(crate) config: &'a Config,
    tablets: BTreeMap<&'a ShardId, Vec<&'a Tablet>>,
    dark: Vec<&'a str>,
    primaries: BTreeMap<&'a str, u32>,
}

/// One shard within the scene.
#[derive(Clone, Copy)]
pub(crate) struct ShardScene<'s, 'a> {
    pub(crate) scene: &'s Scene<'a>,
    pub(crate) shard: &'a Shard,
    pub(crate) tablets: &'s [&'a Tablet],
}

impl<'a> Scene<'a> {
    pub(crate) fn new(view: &'a View<'a>, config: &'a Config) -> Self {
        let mut tablets: BTreeMap<&ShardId, Vec<&Tablet>> = BTreeMap::new();
        for tablet in view.tablets() {
            tablets.entry(&tablet.shard).or_default().push(tablet);
        }
        let mut scene = Self { view, config, tablets, dark: dark_zones(view), primaries: BTreeMap::new() };
        let zones: Vec<&str> =
            view.shards().iter().filter_map(|s| scene.primary(s)?.zone.as_deref()).collect();
        for zone in zones {
            *scene.primaries.entry(zone).or_default() += 1;
        }
        scene
    }

    pub(crate) fn of<'s>(&'s self, shard: &'a Shard) -> ShardScene<'s, 'a> {
        let tablets = self.tablets.get(&shard.id).map_or(&[][..], Vec::as_slice);
        ShardScene { scene: self, shard, tablets }
    }

    fn primary(&self, shard: &Shard) -> Option<&'a Tablet> {
        let alias = shard.primary.as_ref()?;
        self.tablets.get(&shard.id)?.iter().copied().find(|t| t.alias == *alias)
    }

    /// Zones that are lost or suspect, or silent altogether.
    pub(crate) fn dark(&self) -> impl Iterator<Item = &'a str> {
        self.dark.iter().copied()
    }

    /// Primaries in a zone, as the topology has them and this decision moves them.
    pub(crate) fn primaries_in(&self, zone: Option<&str>) -> u32 {
        zone.and_then(|z| self.primaries.get(z)).copied().unwrap_or(0)
    }

    /// Counts a primary that this decision moves.
    pub(crate) fn moved(&mut self, from: Option<&'a Tablet>, to: &'a Tablet) {
        if let Some(count) = from.and_then(|t| t.zone.as_deref()).and_then(|z| self.primaries.get_mut(z)) {
            *count = count.saturating_sub(1);
        }
        if let Some(zone) = to.zone.as_deref() {
            *self.primaries.entry(zone).or_default() += 1;
        }
    }
}

impl<'a> ShardScene<'_, 'a> {
    /// The tablet that the topology names primary, if the view has it.
    pub(crate) fn tablet(&self, alias: &TabletAlias) -> Option<&'a Tablet> {
        self.tablets.iter().copied().find(|t| t.alias == *alias)
    }

    /// Tablets that answer.
    pub(crate) fn answering(&self) -> impl Iterator<Item = &'a Tablet> {
        self.tablets.iter().copied().filter(|t| t.reach == Reach::Yes)
    }
}

fn dark_zones<'a>(view: &'a View<'_>) -> Vec<&'a str> {
    let mut silent: BTreeMap<&str, u32> = BTreeMap::new();
    for tablet in view.tablets() {
        if let Some(zone) = tablet.zone.as_deref() {
            *silent.entry(zone).or_default() += u32::from(tablet.reach != Reach::No);
        }
    }
    let judged = view.zones().iter().filter(|z| z.is_dark()).map(|z| z.name.as_str());
    let silent = silent.iter().filter(|&(_, &heard)| heard == 0).map(|(&zone, _)| zone);
    let mut dark: Vec<&str> = silent.chain(judged).collect();
    dark.sort_unstable();
    dark.dedup();
    dark
}
