//! Which topology records are made, which are pruned, and why others stay.
//!
//! Owns the one reading of a view that the host's own steps and the guard agree on. A record goes
//! only when no object asks for it, nothing of it answers, and what depends on it is gone; a later
//! pass goes on. Without records in the view nothing is known, and nothing is done.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::action::Action;
use crate::drain::own;
use crate::plan::Step;
use crate::topology::{Cell, ShardId, TabletAlias};
use crate::view::{
    ClusterView, Level, PodState, Reach, Record, RecordsView, Registration, Role, ShardView, TabletView,
    Wanted,
};
use crate::zones::ZoneState;

/// Why a record that nobody asks for stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Held {
    /// A partition that serves has it.
    Serves,
    /// Tablets of it have records, or stand.
    HasTablets,
    /// The keyspace has shards.
    HasShards,
    /// The keyspace, or the cell, has serving graphs.
    HasGraphs,
    /// The tablet answers.
    Answers,
    /// The tablet is the primary of a shard that stands.
    IsPrimary,
    /// The tablet's shard stands and cannot be read.
    Unread,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Serves => "it serves",
            Self::HasTablets => "it has tablets",
            Self::HasShards => "it has shards",
            Self::HasGraphs => "it has serving graphs",
            Self::Answers => "it answers",
            Self::IsPrimary => "it is the primary of its shard",
            Self::Unread => "what its shard asks for cannot be read",
        })
    }
}

/// Records that are missing or say something else than is asked, in the order that they are made.
#[must_use]
pub fn missing(view: &ClusterView) -> Vec<Registration> {
    let Some(records) = &view.records else { return Vec::new() };
    let RecordsView { found, cells, keyspaces, shards, switches } = records;
    let mut all = Vec::new();
    for (cell, info) in cells.iter().filter(|(cell, info)| found.cells.get(*cell) != Some(info)) {
        if switches.register_cells {
            all.push(Registration::Cell { cell: cell.clone(), info: info.clone() });
        }
    }
    if switches.register_cells_aliases && !found.alias.iter().eq(cells.keys()) {
        all.push(Registration::CellsAlias { cells: cells.keys().cloned().collect() });
    }
    for (keyspace, policy) in keyspaces {
        let stands = found.keyspaces.get(keyspace).is_some_and(|now| policy.is_empty() || now == policy);
        if !stands {
            let (keyspace, durability_policy) = (keyspace.clone(), policy.clone());
            all.push(Registration::Keyspace { keyspace, durability_policy });
        }
    }
    let missing = shards.iter().filter(|shard| !found.shards.contains_key(shard));
    all.extend(missing.map(|shard| Registration::Shard { shard: shard.clone() }));
    all
}

/// Records that nobody asks for and that may be pruned, each with why it stays, if it does; what
/// others depend on comes last.
#[must_use]
pub fn unneeded(view: &ClusterView) -> Vec<(Record, Option<Held>)> {
    let Some(records) = &view.records else { return Vec::new() };
    let RecordsView { found, cells, keyspaces, shards, switches } = records;
    let judge = Judge { view, records };
    let mut all = Vec::new();
    if switches.prune_tablets {
        // Of a cell that nobody knows we do not know whose tablets are there.
        let unknown =
            found.tablets.keys().filter(|t| view.tablet(t).is_none() && cells.contains_key(&t.cell));
        all.extend(unknown.map(|t| (Record::Tablet { tablet: t.clone() }, judge.tablet(t))));
    }
    if switches.prune_srv_keyspaces {
        let graphs = found.graphs.iter().flat_map(|(cell, graphs)| graphs.keys().map(move |k| (cell, k)));
        for (cell, keyspace) in graphs.filter(|(cell, keyspace)| !judge.reads(cell, keyspace)) {
            let record = Record::ServingGraph { cell: cell.clone(), keyspace: keyspace.clone() };
            all.push((record, judge.any_tablet(|t| t.keyspace == *keyspace, |c| c == cell)));
        }
    }
    if switches.prune_shard_cells {
        for (shard, cell) in found.shards.iter().flat_map(|(s, cells)| cells.iter().map(move |c| (s, c))) {
            let record = Record::ShardCell { shard: shard.clone(), cell: cell.clone() };
            let asked = view.shard(shard).is_some_and(|s| s.pools.iter().any(|p| p.key.cell == *cell));
            let unread = shards.contains(shard) && view.shard(shard).is_none();
            if !asked && !unread {
                all.push((record, judge.any_tablet(|s| s == shard, |c| c == cell)));
            }
        }
    }
    if switches.prune_shards {
        let unwanted = found.shards.keys().filter(|shard| !shards.contains(shard));
        all.extend(unwanted.map(|s| (Record::Shard { shard: s.clone() }, judge.shard(s))));
    }
    if switches.prune_keyspaces {
        let unwanted = found.keyspaces.keys().filter(|name| !keyspaces.contains_key(*name));
        all.extend(unwanted.map(|k| (Record::Keyspace { keyspace: k.clone() }, judge.keyspace(k))));
    }
    if switches.prune_cells {
        let unwanted = found.cells.keys().filter(|cell| !cells.contains_key(cell));
        all.extend(unwanted.map(|c| (Record::Cell { cell: c.clone() }, judge.cell(c))));
    }
    all
}

/// The host's own steps: what is missing, then what nobody needs.
#[must_use]
pub fn steps(view: &ClusterView) -> Vec<Step> {
    let register = |registration| {
        let action = Action::RegisterRecord { registration };
        own(view, action, "record-missing", "the topology does not say so yet")
    };
    let prune =
        |record| own(view, Action::PruneRecord { record }, "record-unneeded", "nothing asks for it any more");
    let unneeded = unneeded(view).into_iter().filter(|(_, held)| held.is_none()).map(|(record, _)| record);
    missing(view).into_iter().map(register).chain(unneeded.map(prune)).collect()
}

struct Judge<'a> {
    view: &'a ClusterView,
    records: &'a RecordsView,
}

impl Judge<'_> {
    fn tablet(&self, alias: &TabletAlias) -> Option<Held> {
        let record = self.records.found.tablets.get(alias)?;
        let shard = self.view.shard(&record.shard);
        let is_primary =
            shard.is_some_and(|s| s.primary.as_ref() == Some(alias) && !self.is_left_behind(s, alias));
        let unread = shard.is_none() && self.records.shards.contains(&record.shard);
        if record.answers {
            Some(Held::Answers)
        } else if is_primary {
            Some(Held::IsPrimary)
        } else {
            unread.then_some(Held::Unread)
        }
    }

    /// Whether a primary that nothing asks for, and of which there is neither Pod nor volume, is
    /// missed by nobody: every tablet of its shard answers, none hears it, and no zone is in doubt. The
    /// shard then elects among those that stand.
    fn is_left_behind(&self, shard: &ShardView, alias: &TabletAlias) -> bool {
        let hears = |t: &TabletView| {
            let replication = t.replication.as_ref();
            replication.is_some_and(|r| r.source_connected && r.source.as_ref() == Some(alias))
        };
        let answers = |t: &TabletView| t.pod == PodState::Running && t.reach == Reach::Yes;
        let stands = |t: &&TabletView| t.wanted != Wanted::No;
        let stays_silent = |t: &TabletView| !hears(t) && t.role != Role::Primary && t.role != Role::Restore;
        let mut tablets = self.view.tablets_of(&shard.id).filter(stands).peekable();
        self.view.zones.iter().all(|zone| zone.health.state == ZoneState::Healthy)
            && tablets.peek().is_some()
            && tablets.all(|t| answers(t) && stays_silent(t))
    }

    /// Whether gateways, or tablets that are asked for, read a keyspace's graph in a cell: all
    /// gateways of a cell that stays do, wherever the tablets are.
    fn reads(&self, cell: &Cell, keyspace: &str) -> bool {
        let gone = self.view.unwanted.iter().any(|u| u.level == Level::Cell(cell.clone()));
        let stays = self.records.cells.contains_key(cell) && !gone;
        let pools = self.view.keyspace(keyspace).is_some_and(|k| k.cells.contains(cell));
        pools || (stays && self.records.keyspaces.contains_key(keyspace))
    }

    fn shard(&self, shard: &ShardId) -> Option<Held> {
        let graphs = self.records.found.graphs.values().filter_map(|graphs| graphs.get(&shard.keyspace));
        if graphs.into_iter().any(|ranges| ranges.contains(&shard.range)) {
            return Some(Held::Serves);
        }
        self.any_tablet(|s| s == shard, |_| true)
    }

    fn keyspace(&self, keyspace: &str) -> Option<Held> {
        let found = &self.records.found;
        if found.shards.keys().any(|shard| shard.keyspace == keyspace) {
            return Some(Held::HasShards);
        }
        if found.graphs.values().any(|graphs| graphs.contains_key(keyspace)) {
            return Some(Held::HasGraphs);
        }
        self.any_tablet(|shard| shard.keyspace == keyspace, |_| true)
    }

    fn cell(&self, cell: &Cell) -> Option<Held> {
        if self.records.found.graphs.get(cell).is_some_and(|graphs| !graphs.is_empty()) {
            return Some(Held::HasGraphs);
        }
        self.any_tablet(|_| true, |c| c == cell)
    }

    /// Whether tablets of such shards in such cells have records, or stand.
    fn any_tablet(&self, shard: impl Fn(&ShardId) -> bool, cell: impl Fn(&Cell) -> bool) -> Option<Held> {
        let stands = |t: &TabletView| t.pod != PodState::Absent || t.volume.is_some();
        let mut records = self.records.found.tablets.iter();
        let recorded = records.any(|(alias, t)| cell(&alias.cell) && shard(&t.shard));
        let mut tablets = self.view.tablets.iter().filter(|t| stands(t));
        let standing = tablets.any(|t| cell(&t.alias.cell) && shard(&t.shard));
        (recorded || standing).then_some(Held::HasTablets)
    }
}
