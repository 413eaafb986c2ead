//! What was heard of one cluster's Vitess, and the observation that it amounts to.
//!
//! Pure: times come in. What was not heard stays unknown, and what was heard too long ago is not
//! known any more.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pilothouse_core::Millis;
use pilothouse_core::gtid::GtidSet;
use pilothouse_core::standing::{self, Heard};
use pilothouse_core::topology::{ShardId, TabletAlias};
use pilothouse_core::view::{self, BackupView, Reach, Replication, Role, Topology};
use pilothouse_vitess::{Answer, Error, KeyspaceRecord, Restored, ShardRecord, Source, Status, TabletRecord};

use super::disks::Disks;
use super::{Observation, Restore, Switch, Writer};
use crate::clock::parse_rfc3339;

/// A tablet's record may go, as far as its silence is asked, when it has been silent for so long.
const SILENT_FOR_GOOD_MS: Millis = 30_000;

/// A tablet that told all until then is asked more often for so long, and so are replicas of such a primary.
/// Longer than a probe and what a replica needs to miss its source: its `replica_net_timeout`, 8 s as Vitess
/// configures MySQL.
const IN_DOUBT_FOR_MS: Millis = 10_000;

/// A tablet whose MySQL has never answered is given so long to start it.
const STARTS_WITHIN_MS: Millis = 30_000;

/// What was heard of one cluster.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Its shards, and when vtctld last told them all.
    pub shards: Option<(BTreeMap<ShardId, ShardRecord>, Millis)>,
    /// Its keyspaces, told just before them.
    pub keyspaces: BTreeMap<String, KeyspaceRecord>,
    /// Whether its vtctld knows nothing of the switch that keeps VTOrc from replacing primaries.
    pub unswitchable: bool,
    /// Its tablets' records, as last told.
    pub tablets: BTreeMap<TabletAlias, TabletRecord>,
    /// Its other records; `None` while they are not known whole.
    pub topology: Option<Topology>,
    /// What its store has; `None` until that was told once.
    pub backups: Option<Vec<BackupView>>,
    /// The one location that it is of.
    pub location: Option<String>,
    /// What its tablets answered.
    pub probed: BTreeMap<TabletAlias, Probed>,
    /// Tablets whose mysqld writes out all that it has when it ends.
    pub slow: BTreeSet<TabletAlias>,
    /// How full their volumes are.
    pub disks: Disks,
    /// What each tablet restored when it began, and when it told, until it answers less than all.
    restored: BTreeMap<TabletAlias, (Option<Restored>, Millis)>,
}

/// What a tablet answered.
#[derive(Debug)]
pub(super) struct Probed {
    answer: Answer,
    /// When.
    at: Millis,
    /// Since when it tells all, or does not.
    since: Millis,
    /// Since when its receiver is seen to be connected to the same source without a break, or to none.
    connected_since: Millis,
    /// Whether it hears its source.
    hears: bool,
    /// Since when nobody answers at all.
    silent_since: Option<Millis>,
    /// The last status that it told, however long ago.
    last: Option<Status>,
    /// Every transaction that this MySQL ever told of.
    told: GtidSet,
}

impl Known {
    /// Takes in what a probe found; answers whether that is worse than what was found before, so that
    /// the others of its shard should be asked at once.
    pub(super) fn hear(&mut self, alias: &TabletAlias, answer: Answer, now: Millis) -> bool {
        let before = self.probed.remove(alias);
        let to = |source: &Source| source.server.clone();
        let goes_on = |before: &&Probed| connected(&before.answer).map(to) == connected(&answer).map(to);
        let connected_since = before.as_ref().filter(goes_on).map_or(now, |before| before.connected_since);
        let hears = hears(&answer, now.saturating_sub(connected_since));
        let worse = before.as_ref().is_some_and(|before| is_worse(before, &answer, hears));
        let same = |before: &&Probed| tells(&before.answer) == tells(&answer);
        let since = before.as_ref().filter(same).map_or(now, |before| before.since);
        let mut told = before.as_ref().map(|before| before.told.clone()).unwrap_or_default();
        if let Answer::Whole(status) = &answer {
            let before = before.as_ref().and_then(|before| before.last.as_ref());
            if before.is_some_and(|before| before.server != status.server) {
                told = GtidSet::default(); // another MySQL, with files of its own
            }
            told.union_with(&status.position);
        }
        let silent = matches!(answer, Answer::Silent(_));
        let silent_since = before.as_ref().and_then(|b| b.silent_since).or(Some(now)).filter(|_| silent);
        let last = match &answer {
            Answer::Whole(status) => Some((**status).clone()),
            Answer::Mute(_) | Answer::Silent(_) => {
                // It may be started anew, and then it does not.
                self.slow.remove(alias);
                self.restored.remove(alias);
                before.and_then(|b| b.last)
            }
        };
        self.probed.insert(
            alias.clone(),
            Probed { answer, at: now, since, connected_since, hears, silent_since, last, told },
        );
        worse
    }

    /// These are all its tablets.
    pub(super) fn listed(&mut self, tablets: BTreeMap<TabletAlias, TabletRecord>, now: Millis) {
        self.probed.retain(|alias, _| tablets.contains_key(alias));
        self.restored.retain(|alias, _| tablets.contains_key(alias));
        self.tablets.retain(|alias, _| tablets.contains_key(alias));
        self.disks.retain(|alias| tablets.contains_key(alias));
        self.told(tablets, now);
    }

    /// These are some of its tablets. Where one was before nobody answers any more: a vttablet that ends takes its
    /// address out of its record, and one that is started elsewhere writes another.
    pub(super) fn told(&mut self, tablets: BTreeMap<TabletAlias, TabletRecord>, now: Millis) {
        for (alias, record) in &tablets {
            let before = self.tablets.get(alias).and_then(|before| before.grpc.clone());
            let Some(peer) = before.filter(|before| record.grpc.as_ref() != Some(before)) else { continue };
            if self.probed.get(alias).is_some_and(|probed| !matches!(probed.answer, Answer::Silent(_))) {
                self.hear(alias, Answer::Silent(Error::Nobody { peer }), now);
            }
        }
        self.tablets.extend(tablets);
    }

    /// vtctld told all shards. Whoever leads one leads it since it was seen to at the latest: the clock that its record
    /// is from may be ahead of ours.
    pub(super) fn led(&mut self, mut shards: BTreeMap<ShardId, ShardRecord>, now: Millis) {
        let before = self.shards.take().map(|(shards, _)| shards).unwrap_or_default();
        for (id, record) in &mut shards {
            let same = before.get(id).filter(|before| before.primary == record.primary);
            record.primary_since = record.primary_since.min(same.map_or(now, |before| before.primary_since));
        }
        self.shards = Some((shards, now));
    }

    /// A tablet was made its shard's primary.
    pub(super) fn promoted(&mut self, shard: &ShardId, to: &TabletAlias, now: Millis) {
        if let Some(record) = self.shards.as_mut().and_then(|(shards, _)| shards.get_mut(shard)) {
            record.primary = Some(to.clone());
            record.primary_since = now;
        }
    }

    /// Whether a tablet has told less than all only since a moment ago, or its shard's primary has, whom it
    /// is still connected to: that one is replaced, if it is, as soon as nobody hears it.
    pub(super) fn is_in_doubt(&self, alias: &TabletAlias, now: Millis) -> bool {
        let lately = |alias: &TabletAlias| {
            self.probed
                .get(alias)
                .is_some_and(|p| !tells(&p.answer) && now.saturating_sub(p.since) < IN_DOUBT_FOR_MS)
        };
        let connected = self.probed.get(alias).and_then(|probed| connected(&probed.answer));
        lately(alias) || (connected.is_some() && self.named_primary(alias).is_some_and(lately))
    }

    /// Whether a tablet is to be asked when it last heard its source: it is connected, and its shard's primary, of
    /// whose death it is the second witness, tells less than all.
    pub(super) fn is_witness(&self, alias: &TabletAlias) -> bool {
        let answer = |alias| self.probed.get(alias).map(|probed| &probed.answer);
        let primary = self.named_primary(alias).and_then(answer);
        answer(alias).and_then(connected).is_some() && primary.is_some_and(|answer| !tells(answer))
    }

    /// The primary of a tablet's shard, as the topology has it.
    fn named_primary(&self, of: &TabletAlias) -> Option<&TabletAlias> {
        let (shards, _) = self.shards.as_ref()?;
        shards.get(&self.tablets.get(of)?.shard)?.primary.as_ref()
    }

    /// One without MySQL serves nobody, so it does not count as answering; but a restore begins
    /// without, and whoever has just been started.
    fn reach(&self, alias: &TabletAlias, probed: &Probed, now: Millis) -> Reach {
        let restores = || self.tablets.get(alias).is_some_and(|record| record.role == Role::Restore);
        let starts = probed.last.is_none() && now.saturating_sub(probed.since) < STARTS_WITHIN_MS;
        match &probed.answer {
            Answer::Whole(_) => Reach::Yes,
            Answer::Mute(_) if restores() => Reach::Yes,
            Answer::Mute(_) if starts => Reach::Unknown,
            Answer::Mute(_) | Answer::Silent(_) => Reach::No,
        }
    }

    /// What is known now; `None` while too little is, or where it is older than `stale`.
    pub(super) fn observation(&self, now: Millis, stale: Millis) -> Option<Observation> {
        let (shards, told) = self.shards.as_ref()?;
        let backups = self.backups.as_ref()?;
        if now.saturating_sub(*told) > stale {
            return None;
        }
        let shard = |(id, record): (&ShardId, &ShardRecord)| {
            let had = record.primary_since > 0 || backups.iter().any(|backup| backup.shard == *id);
            let record = super::ShardRecord {
                primary: record.primary.clone(),
                primary_since: record.primary_since,
                initialized: record.primary.is_some() || had,
                vtorc: self.switch(id, record),
            };
            (id.clone(), record)
        };
        Some(Observation {
            shards: shards.iter().map(shard).collect(),
            tablets: self.tablets.values().map(|t| (t.alias.clone(), self.tablet(t, now))).collect(),
            topology: self.topology.clone().map(|topology| self.whole(topology, now)),
            backups: backups.clone(),
            backups_only_of: self.location.clone(),
            restores: self.restored.iter().filter_map(|(alias, told)| self.restore(alias, told)).collect(),
            writers: self.tablets.values().filter_map(|record| self.writer(record)).collect(),
        })
    }

    /// A tablet told what it restored when it began; of one that may have begun again since, that is forgotten.
    pub(super) fn restored(&mut self, alias: TabletAlias, restored: Option<Restored>, now: Millis) {
        if self.probed.get(&alias).is_some_and(|probed| tells(&probed.answer)) {
            self.restored.insert(alias, (restored, now));
        }
    }

    /// Tablets that serve and were not asked yet what they restored, and where each is asked.
    pub(super) fn unasked(&self) -> Vec<(TabletAlias, String)> {
        let serves = |record: &&TabletRecord| {
            matches!(record.role, Role::Primary | Role::Replica | Role::Rdonly)
                && self.probed.get(&record.alias).is_some_and(|probed| tells(&probed.answer))
        };
        let asked = |record: &TabletRecord| self.restored.contains_key(&record.alias);
        let due = self.tablets.values().filter(serves).filter(|record| !asked(record));
        due.filter_map(|record| Some((record.alias.clone(), record.http.clone()?))).collect()
    }

    /// Tablets that tell all, and where each is called.
    pub(super) fn telling(&self) -> Vec<(TabletAlias, String)> {
        let all = self.tablets.values().filter_map(|record| Some((&record.alias, record.grpc.clone()?)));
        let tells = |alias: &TabletAlias| self.probed.get(alias).is_some_and(|probed| tells(&probed.answer));
        all.filter(|(alias, _)| tells(alias)).map(|(alias, place)| (alias.clone(), place)).collect()
    }

    fn restore(&self, alias: &TabletAlias, (told, at): &(Option<Restored>, Millis)) -> Option<Restore> {
        let restored = told.as_ref()?;
        Some(Restore {
            tablet: alias.clone(),
            shard: self.tablets.get(alias)?.shard.clone(),
            started: parse_rfc3339(&restored.backup_time)?,
            position: restored.position.clone(),
            at: *at,
        })
    }

    fn writer(&self, record: &TabletRecord) -> Option<Writer> {
        let probed = self.probed.get(&record.alias)?;
        let Answer::Whole(status) = &probed.answer else { return None };
        let Status { server, position, .. } = &**status;
        let (shard, last, at) = (record.shard.clone(), position.last_of(server), probed.at);
        (!server.is_empty()).then(|| Writer { shard, server: server.clone(), last, at })
    }

    /// Shards whose VTOrc stands by.
    pub(super) fn standing_by(&self) -> Vec<ShardId> {
        let shards = self.shards.iter().flat_map(|(shards, _)| shards);
        let off = shards.filter(|(id, record)| self.switch(id, record) == Switch::Off);
        off.map(|(id, _)| id.clone()).collect()
    }

    /// Of a shard that is all of its keyspace, the keyspace's record says it.
    fn switch(&self, id: &ShardId, record: &ShardRecord) -> Switch {
        let of_keyspace = self.keyspaces.get(&id.keyspace).is_some_and(|keyspace| keyspace.vtorc_stands_by);
        match id.range.is_whole() {
            _ if self.unswitchable => Switch::Stuck,
            true if of_keyspace => Switch::Off,
            false if of_keyspace => Switch::None,
            false if record.vtorc_stands_by => Switch::Off,
            true | false => Switch::On,
        }
    }

    /// The records of tablets are told more often than the others.
    fn whole(&self, mut topology: Topology, now: Millis) -> Topology {
        let shards = self.shards.iter().flat_map(|(shards, _)| shards.keys());
        topology.shards = shards.map(|id| (id.clone(), BTreeSet::new())).collect();
        for record in self.tablets.values() {
            // A cell has a replication record of a shard as long as it has tablets of it.
            if let Some(cells) = topology.shards.get_mut(&record.shard) {
                cells.insert(record.alias.cell.clone());
            }
            let silent_since = self.probed.get(&record.alias).and_then(|probed| probed.silent_since);
            let gone = silent_since.is_some_and(|since| now.saturating_sub(since) > SILENT_FOR_GOOD_MS);
            let tablet = view::TabletRecord { shard: record.shard.clone(), answers: !gone };
            topology.tablets.insert(record.alias.clone(), tablet);
        }
        topology
    }

    fn tablet(&self, record: &TabletRecord, now: Millis) -> super::TabletRecord {
        let Some(probed) = self.probed.get(&record.alias) else {
            return super::TabletRecord { role: record.role, ..super::TabletRecord::default() };
        };
        // Whoever cannot tell of its MySQL serves as nothing, whatever it registered as.
        let (told, role) = match &probed.answer {
            Answer::Whole(status) if status.role == Role::Unknown => (Some(&**status), record.role),
            Answer::Whole(status) => (Some(&**status), status.role),
            Answer::Mute(_) if record.role != Role::Restore => (None, Role::Unknown),
            Answer::Mute(_) | Answer::Silent(_) => (None, record.role),
        };
        super::TabletRecord {
            role,
            reach: self.reach(&record.alias, probed, now),
            reach_since: probed.since,
            gone: is_gone(&probed.answer),
            replication: told.map(|status| self.replication(record, probed, status)),
            disk_used: None,
            fill_per_hour: 0,
            disk_share: self.disks.share(&record.alias, now),
            ends_written_out: told.is_some() && self.slow.contains(&record.alias),
        }
    }

    fn replication(&self, record: &TabletRecord, probed: &Probed, status: &Status) -> Replication {
        let follows = status.source.as_ref();
        Replication {
            server: status.server.clone(),
            source: follows.and_then(|source| self.named(record, &source.server, &source.address)),
            source_connected: probed.hears,
            applying: follows.is_none_or(|source| source.applying),
            lag_ms: follows.map_or(0, |source| source.lag_ms),
            position: status.position.clone(),
            errant: standing::errant(&status.position, self.primary_of(record)),
            forgotten: standing::forgotten(&probed.told, &status.position, self.primary_of(record)),
            acks: status.acks,
            read_only: status.read_only,
        }
    }

    /// The tablet of the same shard whose MySQL that is: by its own name, which moves with it, else
    /// by the address that it registered.
    fn named(&self, of: &TabletRecord, server: &str, address: &(String, i32)) -> Option<TabletAlias> {
        let mut others = self.tablets.values().filter(|t| t.shard == of.shard && t.alias != of.alias);
        let known = |t: &TabletRecord| self.probed.get(&t.alias)?.last.as_ref().map(|s| s.server.clone());
        let by_name =
            others.clone().find(|t| !server.is_empty() && known(t).is_some_and(|name| name == server));
        let may_be = |t: &&TabletRecord| t.mysql == *address && (server.is_empty() || known(t).is_none());
        by_name.or_else(|| others.find(may_be)).map(|t| t.alias.clone())
    }

    /// The last word of the shard's primary, unless that is the tablet itself.
    fn primary_of(&self, record: &TabletRecord) -> Option<standing::Told<'_>> {
        let primary = self.named_primary(&record.alias).filter(|p| **p != record.alias)?;
        let told = self.probed.get(primary)?.last.as_ref()?;
        let leads = told.role == Role::Primary || (told.role == Role::Unknown && told.source.is_none());
        Some(standing::Told { server: &told.server, position: &told.position, leads })
    }
}

/// Whether somebody who is there says that its MySQL is not: its own vttablet, or, where that is not
/// either, its machine. Silence says no such thing.
const fn is_gone(answer: &Answer) -> bool {
    matches!(
        answer,
        Answer::Mute(Error::Refused { .. } | Error::Unavailable { .. })
            | Answer::Silent(Error::Nobody { .. })
    )
}

/// Since when an answer holds that took so long: whoever does not answer has been silent since it was asked. A host
/// that stood still itself meanwhile waited longer than it meant to, and knows nothing of that time.
pub(super) fn holds_since(answer: &Answer, took: Duration, within: Duration, now: Millis) -> Millis {
    match answer {
        Answer::Whole(_) | Answer::Mute(_) => now,
        Answer::Silent(_) => {
            let waited = took.min(within).as_millis();
            now.saturating_sub(Millis::try_from(waited).unwrap_or(0))
        }
    }
}

/// Whether it tells all.
const fn tells(answer: &Answer) -> bool {
    matches!(answer, Answer::Whole(_))
}

/// The source that its receiver is connected to.
fn connected(answer: &Answer) -> Option<&Source> {
    let Answer::Whole(status) = answer else { return None };
    status.source.as_ref().filter(|source| source.connected)
}

/// Whether it hears its source, to which it has been connected for so long at least: what it had of another, or on
/// another connection, says nothing of this one.
fn hears(answer: &Answer, connected_ms: Millis) -> bool {
    connected(answer).is_some_and(|source| {
        let since = |heard: Heard| Heard { ago_ms: heard.ago_ms.map(|ago| ago.min(connected_ms)), ..heard };
        standing::hears(true, source.heard.map(since))
    })
}

/// Whether it tells less than before, or hears its source no more.
const fn is_worse(before: &Probed, answer: &Answer, hears: bool) -> bool {
    match (&before.answer, answer) {
        (Answer::Whole(_), Answer::Whole(_)) => before.hears && !hears,
        (Answer::Whole(_), Answer::Mute(_) | Answer::Silent(_)) => true,
        (Answer::Mute(_) | Answer::Silent(_), _) => false,
    }
}

#[cfg(test)]
mod tests;
