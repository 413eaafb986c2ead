//! What vttablet and VTOrc put right by themselves, and the look at a shard.
//!
//! Owns probes' verdicts, demotion of a primary that the topology has replaced,
//! restores, and re-joining of replicas. VTOrc's half needs one of its Pods ready.
//! Must not promote anybody: that is asked for by commands.

use pilothouse_core::gtid::GtidSet;
use pilothouse_core::topology::TabletAlias;
use pilothouse_core::view::Role;
use serde_json::json;

use super::{Restore, ShardKey, Tablet};
use crate::apiserver::kinds::PODS;
use crate::world::agenda::Look;
use crate::world::objects::condition_status;
use crate::world::places::draw;
use crate::world::state::State;
use crate::world::timing;

impl State {
    /// Something about a shard changed, or a deadline in it passed.
    pub(crate) fn look_at_shard(&mut self, key: &ShardKey) {
        if self.vitess.shard(key).is_none() {
            return;
        }
        self.settle(key);
        self.refresh_links(key);
        self.vitess.touched.insert(key.cluster.clone());
        let aliases: Vec<TabletAlias> = self.vitess.tablets_of(key).map(|(a, _)| a.clone()).collect();
        for alias in &aliases {
            self.probe(key, alias);
            self.continue_restore(key, alias);
        }
        self.finish_operation(key);
        self.serve_queue(key);
        if self.vitess.shard(key).is_some_and(|s| s.operation.is_none()) {
            for alias in &aliases {
                self.put_right(key, alias);
            }
        }
        self.refresh_links(key);
        self.await_buckets(key);
    }

    /// Whether the host, standing beside the control plane, gets an answer: vttablet
    /// and mysqld run (`FullStatus` needs both) and the way is open.
    pub(crate) fn answers(&self, tablet: &Tablet) -> bool {
        tablet.running && self.places.is_connected(&tablet.node, self.now)
    }

    fn probe(&mut self, key: &ShardKey, alias: &TabletAlias) {
        let now = self.now;
        let Some(tablet) = self.vitess.tablet(&key.cluster, alias) else { return };
        let answers = self.answers(tablet);
        let told = answers.then(|| self.replication_of(key, alias)).flatten();
        let Some(tablet) = self.vitess.tablet_mut(&key.cluster, alias) else { return };
        if answers {
            if let Some(told) = &told {
                tablet.told.union_with(&told.position);
            }
            tablet.last_told = told;
        }
        if answers == tablet.reach {
            tablet.reach_flips_at = None;
            return;
        }
        match tablet.reach_flips_at {
            None => {
                tablet.reach_flips_at = Some(now + timing::PROBE_PERIOD);
                tablet.reach_lost_at = now;
                self.agenda.at(now + timing::PROBE_PERIOD, Look::Shard(key.clone()));
            }
            Some(at) if now < at => self.agenda.at(at, Look::Shard(key.clone())),
            Some(_) => {
                tablet.reach = answers;
                tablet.reach_since = tablet.reach_lost_at;
                tablet.reach_flips_at = None;
                self.note(format!("tablet {alias} {}", if answers { "answers" } else { "does not answer" }));
            }
        }
    }

    fn continue_restore(&mut self, key: &ShardKey, alias: &TabletAlias) {
        let Some(tablet) = self.vitess.tablet(&key.cluster, alias).filter(|t| t.running) else { return };
        match tablet.restore.clone() {
            None => {}
            Some(Restore::Waiting) => self.begin_restore(key, alias),
            Some(Restore::Until(at, _)) if self.now < at => self.agenda.at(at, Look::Shard(key.clone())),
            Some(Restore::Until(_, backup)) => self.end_restore(key, alias, &backup),
        }
    }

    fn begin_restore(&mut self, key: &ShardKey, alias: &TabletAlias) {
        let Some(stored) = self.latest_backup(key, None) else {
            return; // a completed backup looks at every shard
        };
        // vttablet asks the store every so often: it sees a new backup a while after it is complete.
        let delay = draw(self.seed, "backup-seen", &alias.to_string(), (0, timing::WAIT_FOR_BACKUP));
        let seen_at = i64::try_from(stored.view.finished.unwrap_or(0)).unwrap_or(0) + delay;
        if self.now < seen_at {
            self.agenda.at(seen_at, Look::Shard(key.clone()));
            return;
        }
        let takes =
            timing::RESTORE_BASE + (stored.data_bytes / (timing::RESTORE_BYTES_PER_SECOND / 1_000)) as i64;
        let (until, name) = (self.now + takes, stored.view.name.clone());
        self.note(format!("tablet {alias} restores {name}"));
        if let Some(tablet) = self.vitess.tablet_mut(&key.cluster, alias) {
            tablet.restore = Some(Restore::Until(until, name));
        }
        self.agenda.at(until, Look::Shard(key.clone()));
    }

    fn end_restore(&mut self, key: &ShardKey, alias: &TabletAlias, backup: &str) {
        let stored = self.backups_of(key).find(|b| b.view.name == backup).cloned();
        if let Some(tablet) = self.vitess.tablet_mut(&key.cluster, alias) {
            tablet.restore = stored.is_none().then_some(Restore::Waiting); // it was removed meanwhile
        }
        let Some(stored) = stored else { return };
        if let Some(data) = self.vitess.data_mut(&key.cluster, alias) {
            data.position = stored.view.position.clone();
            data.used = data.used.max(stored.data_bytes).min(data.capacity);
            data.fresh = false;
        }
        self.note(format!("tablet {alias} restored {backup}"));
        let role = self.resting_role(&key.cluster, alias);
        self.set_role(&key.cluster, alias, role);
        if let Some(primary) = self.vitess.shard(key).and_then(|s| s.primary.clone()).filter(|p| p != alias) {
            self.follow(key, alias, &primary);
        }
    }

    /// Transactions of a tablet that the shard's primary never had, as far as anybody can tell.
    pub(crate) fn errant_of(&self, key: &ShardKey, alias: &TabletAlias) -> GtidSet {
        let Some(shard) = self.vitess.shard(key) else { return GtidSet::default() };
        let Some(primary) = shard.primary.as_ref().filter(|p| *p != alias) else { return GtidSet::default() };
        let own = self.vitess.position(&key.cluster, alias);
        let extra = own.minus(&shard.primary_seen);
        let data = self.vitess.tablet(&key.cluster, primary).and_then(|t| self.vitess.data.get(&t.data));
        match data {
            // What carries the primary's own server id came from it.
            Some(data) if data.own_last > 0 => {
                let mut of_primary = GtidSet::default();
                of_primary.add(&data.server, 1, u64::MAX - 1);
                extra.minus(&of_primary)
            }
            Some(_) | None => extra,
        }
    }

    fn can_follow(&self, key: &ShardKey, alias: &TabletAlias, primary: &TabletAlias) -> bool {
        let both = self.vitess.tablet(&key.cluster, alias).zip(self.vitess.tablet(&key.cluster, primary));
        both.is_some_and(|(t, p)| p.serves() && p.writable && self.places.reach(&t.node, &p.node))
    }

    /// A tablet begins to replicate from `primary`; one that has what that one lacks refuses, and stays the
    /// replica of nobody, or of whom it followed, that `SetReplicationSource` leaves behind.
    pub(crate) fn follow(&mut self, key: &ShardKey, alias: &TabletAlias, primary: &TabletAlias) {
        if !self.can_follow(key, alias, primary) {
            return; // looked at again when the primary or the way to it changes
        }
        self.remember_primary(key);
        let extra = self.errant_of(key, alias);
        let rest = self.resting_role(&key.cluster, alias);
        let Some(tablet) = self.vitess.tablet_mut(&key.cluster, alias) else { return };
        tablet.writable = false;
        tablet.waiting = GtidSet::default();
        (tablet.connected, tablet.heard_last) = (false, None);
        tablet.role = rest;
        if extra.is_empty() {
            tablet.source = Some(primary.clone());
            tablet.replicates = true;
            if let Some(data) = self.vitess.data_mut(&key.cluster, alias) {
                data.followed = Some(primary.clone());
            }
        } else {
            self.note(format!("tablet {alias} is errant: {extra}"));
        }
        self.vitess.touched.insert(key.cluster.clone());
    }

    /// One tablet's role or source against the topology.
    fn put_right(&mut self, key: &ShardKey, alias: &TabletAlias) {
        let primary = self.vitess.shard(key).and_then(|s| s.primary.clone());
        let Some(tablet) = self.vitess.tablet(&key.cluster, alias) else { return };
        let Some(primary) = primary.filter(|p| p != alias) else {
            return self.put_right_primary(key, alias);
        };
        let stale = tablet.writable || tablet.role == Role::Primary;
        // What VTOrc tries with an errant one changes nothing.
        let lost = matches!(tablet.role, Role::Replica | Role::Rdonly)
            && (tablet.source.as_ref() != Some(&primary) || !tablet.replicates)
            && self.errant_of(key, alias).is_empty();
        let stopped = tablet.fails && tablet.stalled_since.is_some();
        let can_see = tablet.serves() && self.places.is_connected(&tablet.node, self.now);
        if !(can_see && (stale || ((lost || stopped) && self.can_follow(key, alias, &primary)))) {
            if let Some(tablet) = self.vitess.tablet_mut(&key.cluster, alias) {
                tablet.wrong_since = None;
            }
            return;
        }
        let now = self.now;
        let wait = if stale { timing::SHARD_SYNC } else { timing::VTORC_REPAIR };
        let Some(tablet) = self.vitess.tablet_mut(&key.cluster, alias) else { return };
        let due = *tablet.wrong_since.get_or_insert(now) + wait;
        if now < due {
            self.agenda.at(due, Look::Shard(key.clone()));
        } else if stale {
            tablet.wrong_since = None;
            tablet.writable = false;
            tablet.role = Role::Replica;
            tablet.source = None;
            self.note(format!("tablet {alias} demotes itself"));
            self.agenda.now(Look::Shard(key.clone()));
        } else if self.vtorc_is_ready(key) {
            if let Some(tablet) = self.vitess.tablet_mut(&key.cluster, alias) {
                tablet.wrong_since = None;
            }
            if stopped {
                self.start_anew(key, alias);
            }
            self.follow(key, alias, &primary);
        }
    }

    /// A primary that takes no writes takes them again.
    fn put_right_primary(&mut self, key: &ShardKey, alias: &TabletAlias) {
        let now = self.now;
        let Some(tablet) = self.vitess.tablet(&key.cluster, alias) else { return };
        let leads = tablet.role == Role::Primary && tablet.serves() && self.answers(tablet);
        let is_wrong = leads && !tablet.writable && !tablet.demotion_hangs;
        let due = tablet.wrong_since.unwrap_or(now) + timing::VTORC_REPAIR;
        let is_due = is_wrong && now >= due && self.vtorc_is_ready(key);
        if is_wrong && now < due {
            self.agenda.at(due, Look::Shard(key.clone()));
        }
        let Some(tablet) = self.vitess.tablet_mut(&key.cluster, alias) else { return };
        tablet.wrong_since = (is_wrong && !is_due).then(|| tablet.wrong_since.unwrap_or(now));
        tablet.writable |= is_due;
    }

    /// `CHANGE REPLICATION SOURCE`, while both threads stand, throws the relay log away. What it had is read anew
    /// from the source, while that is there.
    fn start_anew(&mut self, key: &ShardKey, alias: &TabletAlias) {
        let dropped = self.vitess.data_mut(&key.cluster, alias).map_or(0, super::DataDir::drop_relay_log);
        let seconds = i64::try_from(dropped / timing::CATCH_UP_PER_SECOND).unwrap_or(0);
        let until = self.now + timing::SOURCE_CONNECT + seconds * 1_000;
        if let Some(tablet) = self.vitess.tablet_mut(&key.cluster, alias) {
            tablet.stalled_since = None;
            tablet.reads_anew_until = Some(until);
            (tablet.hears, tablet.hears_flips_at) = (false, None);
        }
        self.note(format!("tablet {alias} starts anew without {dropped} transactions of its relay log"));
        self.agenda.at(until, Look::Shard(key.clone()));
    }

    /// Whether a VTOrc of the shard is ready somewhere; its Pods wake the shard when they change.
    fn vtorc_is_ready(&self, key: &ShardKey) -> bool {
        let labels = json!({ "matchLabels": {
            "planetscale.com/component": "vtorc", "planetscale.com/cluster": key.cluster.name,
            "planetscale.com/keyspace": key.shard.keyspace,
        } });
        let pods = self.objects.selected(&PODS, &key.cluster.namespace, &labels);
        pods.iter().any(|p| {
            super::shard_of(p).is_none_or(|s| s == key.shard) && condition_status(p, "Ready") == "True"
        })
    }
}
