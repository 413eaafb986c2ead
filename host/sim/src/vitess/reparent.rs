//! The commands that give a shard a primary, with Vitess's own preconditions.
//!
//! Each takes the shard's lock at its start, works for a while, and commits or
//! fails at its end; the caller may be gone by then. Must not be kinder than
//! Vitess: it is what the guard is tested against.

use std::fmt;

use pilothouse_core::gtid::GtidSet;
use pilothouse_core::topology::TabletAlias;
use pilothouse_core::view::{Durability, Role};

use super::{Reply, ShardKey, VitessError, acks_required, may_ack};
use crate::world::agenda::Look;
use crate::world::journal::Deed;
use crate::world::places::draw;
use crate::world::state::State;
use crate::world::timing;

/// Which command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// `InitShardPrimary`.
    Init,
    /// `PlannedReparentShard`.
    Planned { from: TabletAlias },
    /// `EmergencyReparentShard`.
    Emergency { lost: TabletAlias, without: Vec<TabletAlias> },
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Init => f.write_str("init"),
            Self::Planned { from } => write!(f, "planned reparent from {from}"),
            Self::Emergency { lost, .. } => write!(f, "emergency reparent from {lost}"),
        }
    }
}

/// A command that holds the shard's lock.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) command: Command,
    pub(crate) to: TabletAlias,
    pub(crate) done_at: i64,
    pub(crate) reply: Option<Reply>,
}

/// A command that waits for the shard's lock.
#[derive(Debug)]
pub(crate) struct Queued {
    command: Command,
    to: TabletAlias,
    reply: Reply,
    gives_up_at: i64,
}

type Checked = Result<i64, VitessError>;

impl State {
    /// Starts a command, or answers at once why not.
    pub(crate) fn begin_operation(
        &mut self,
        key: &ShardKey,
        command: Command,
        to: TabletAlias,
        reply: Reply,
    ) {
        if let Some(shard) = self.vitess.shard_mut(key).filter(|shard| shard.locked) {
            let gives_up_at = self.now + timing::LOCK_TIMEOUT;
            shard.queue.push(Queued { command, to, reply, gives_up_at });
            self.agenda.at(gives_up_at, Look::Shard(key.clone()));
            return;
        }
        self.settle(key);
        self.refresh_links(key);
        let checked = self.check(key, &command, &to);
        self.journal.push(Deed::ReparentAsked {
            at: self.now,
            shard: key.clone(),
            to: to.clone(),
            emergency: matches!(command, Command::Emergency { .. }),
            refused: checked.as_ref().err().map(|e| e.code),
            zones_dark: self.zones_that_look_dead(),
            errant: self.errant_of(key, &to),
        });
        match checked {
            Err(error) => {
                self.note(format!("{command} of {} to {to}: {error}", key.shard));
                let _ = reply.send(Err(error)); // the caller may be gone
            }
            Ok(takes) => {
                self.note(format!("{command} of {} to {to} begins", key.shard));
                if let Command::Planned { from } = &command
                    && let Some(tablet) = self.vitess.tablet_mut(&key.cluster, from)
                {
                    tablet.writable = false; // demoted first
                }
                let done_at = self.now + takes;
                if let Some(shard) = self.vitess.shard_mut(key) {
                    shard.operation = Some(Operation { command, to, done_at, reply: Some(reply) });
                }
                self.agenda.at(done_at, Look::Shard(key.clone()));
            }
        }
    }

    /// Those who wait for the lock get it, or have waited too long.
    pub(crate) fn serve_queue(&mut self, key: &ShardKey) {
        let now = self.now;
        let Some(shard) = self.vitess.shard_mut(key) else { return };
        let (locked, queue) = (shard.locked, std::mem::take(&mut shard.queue));
        for queued in queue {
            if !locked {
                self.begin_operation(key, queued.command, queued.to, queued.reply);
            } else if now >= queued.gives_up_at {
                let message = format!("deadline exceeded: the lock of shard {} is held", key.shard);
                let _ = queued.reply.send(Err(VitessError::new("locked", message))); // the caller may be gone
            } else if let Some(shard) = self.vitess.shard_mut(key) {
                shard.queue.push(queued);
            }
        }
    }

    /// Zones whose every node has been silent for so long that Kubernetes says Unknown.
    pub(crate) fn zones_that_look_dead(&self) -> usize {
        let unheard = |node: &String| {
            let silent = self.places.machines.get(node).and_then(|m| m.silent_since);
            silent.is_some_and(|since| self.now >= since + timing::NODE_MONITOR_GRACE)
        };
        self.places.zones().into_iter().filter(|z| self.places.nodes_of(z).iter().all(unheard)).count()
    }

    fn check(&self, key: &ShardKey, command: &Command, to: &TabletAlias) -> Checked {
        let Some(shard) = self.vitess.shard(key) else {
            return Err(VitessError::new("not-found", format!("node doesn't exist: shard {}", key.shard)));
        };
        if shard.operation.is_some() {
            return Err(VitessError::new(
                "locked",
                format!("shard {} is locked by another reparent", key.shard),
            ));
        }
        let Some(candidate) = self.vitess.tablet(&key.cluster, to).filter(|t| t.shard == key.shard) else {
            return Err(VitessError::new("not-found", format!("tablet {to} is not in shard {}", key.shard)));
        };
        if !self.answers(candidate) || !candidate.serves() {
            return Err(VitessError::new("unreachable", format!("tablet {to} does not answer")));
        }
        if !candidate.is_eligible() {
            return Err(VitessError::new(
                "ineligible",
                format!("tablet {to} of a {} pool must not be promoted", candidate.pool),
            ));
        }
        match command {
            Command::Init => self.check_init(key, to),
            Command::Planned { from } => self.check_planned(key, from, to),
            Command::Emergency { lost, without } => self.check_emergency(key, lost, to, without),
        }
    }

    fn check_init(&self, key: &ShardKey, to: &TabletAlias) -> Checked {
        let shard = self.vitess.shard(key);
        if let Some(primary) = shard.and_then(|s| s.primary.as_ref()) {
            return Err(VitessError::new(
                "expectation",
                format!("shard {} already has the primary {primary}", key.shard),
            ));
        }
        let own = self.vitess.position(&key.cluster, to);
        for (alias, tablet) in self.vitess.tablets_of(key) {
            if !self.answers(tablet) || !tablet.serves() {
                return Err(VitessError::new(
                    "unreachable",
                    format!("tablet {alias} does not answer or restores"),
                ));
            }
            if !own.contains(&self.vitess.position(&key.cluster, alias)) {
                return Err(VitessError::new(
                    "behind",
                    format!("tablet {alias} has transactions that {to} lacks"),
                ));
            }
        }
        Ok(self.span_of(key, "init", to, timing::INIT_PRIMARY))
    }

    fn expect_primary(&self, key: &ShardKey, expected: &TabletAlias) -> Result<(), VitessError> {
        match self.vitess.shard(key).and_then(|s| s.primary.as_ref()) {
            Some(primary) if primary == expected => Ok(()),
            Some(primary) => Err(VitessError::new(
                "expectation",
                format!("the primary of {} is {primary}, not {expected}", key.shard),
            )),
            None => Err(VitessError::new("expectation", format!("shard {} has no primary", key.shard))),
        }
    }

    fn check_planned(&self, key: &ShardKey, from: &TabletAlias, to: &TabletAlias) -> Checked {
        self.expect_primary(key, from)?;
        if from == to {
            return Ok(timing::PLANNED_REPARENT.0); // nothing to move; Vitess makes sure that it is writable
        }
        let old = self.vitess.tablet(&key.cluster, from);
        if !old.is_some_and(|t| self.answers(t) && t.serves()) {
            return Err(VitessError::new(
                "unreachable",
                format!("primary {from} does not answer; a planned reparent needs it"),
            ));
        }
        let extra = self.errant_of(key, to);
        if !extra.is_empty() {
            return Err(VitessError::new("errant", format!("tablet {to} has errant GTIDs {extra}")));
        }
        let Some(candidate) = self.vitess.tablet(&key.cluster, to) else {
            return Err(VitessError::new("not-found", format!("tablet {to}")));
        };
        if !candidate.connected || candidate.source.as_ref() != Some(from) {
            return Err(VitessError::new("behind", format!("tablet {to} does not replicate from {from}")));
        }
        let lag = self.lag_of(candidate);
        if lag > timing::PLANNED_CATCH_UP {
            return Err(VitessError::new(
                "behind",
                format!(
                    "tablet {to} is {lag} ms behind, more than the wait of {} ms",
                    timing::PLANNED_CATCH_UP
                ),
            ));
        }
        self.check_quorum(key, to)?;
        if old.is_some_and(|t| t.demotion_hangs) {
            return Ok(timing::DEMOTION);
        }
        Ok(lag + self.span_of(key, "planned", to, timing::PLANNED_REPARENT))
    }

    /// Whether enough of the tablets that answer can acknowledge writes of `to`.
    fn check_quorum(&self, key: &ShardKey, to: &TabletAlias) -> Result<(), VitessError> {
        let durability = self.vitess.shard(key).map_or(Durability::None, |s| s.durability);
        let able = self
            .vitess
            .tablets_of(key)
            .filter(|(a, t)| may_ack(durability, to, a, t) && self.answers(t) && t.serves());
        if able.count() < acks_required(durability) {
            return Err(VitessError::new(
                "not-safe",
                format!("{to} would have too few tablets to acknowledge its writes"),
            ));
        }
        Ok(())
    }

    fn check_emergency(
        &self,
        key: &ShardKey,
        lost: &TabletAlias,
        to: &TabletAlias,
        without: &[TabletAlias],
    ) -> Checked {
        self.expect_primary(key, lost)?;
        let durability = self.vitess.shard(key).map_or(Durability::None, |s| s.durability);
        let mut silent = 0;
        for (alias, tablet) in self.vitess.tablets_of(key).filter(|(_, t)| t.is_eligible()) {
            if self.answers(tablet) {
                continue;
            }
            silent += 1;
            // Could this unreached server still have writes acknowledged by others unreached?
            let unreached = self
                .vitess
                .tablets_of(key)
                .filter(|(a, t)| may_ack(durability, alias, a, t) && !self.answers(t));
            let required = acks_required(durability);
            if required > 0 && unreached.count() >= required {
                return Err(VitessError::new(
                    "not-safe",
                    format!(
                        "could not reach sufficient tablets to guarantee safety: {alias} may still take writes"
                    ),
                ));
            }
        }
        let extra = self.errant_of(key, to);
        if !extra.is_empty() {
            return Err(VitessError::new("errant", format!("tablet {to} has errant GTIDs {extra}")));
        }
        let slowest = self
            .reached(key)
            .iter()
            .filter(|a| !without.contains(a))
            .filter_map(|a| self.vitess.tablet(&key.cluster, a))
            .map(|t| self.lag_of(t))
            .max();
        let slowest = slowest.unwrap_or(0);
        let stands = self.vitess.tablets_of(key).any(|(a, t)| {
            let left = self.vitess.data.get(&t.data).is_some_and(|d| !d.unapplied.is_empty());
            self.answers(t) && t.stalled_since.is_some() && left && !without.contains(a)
        });
        if stands || slowest > timing::EMERGENCY_CATCH_UP {
            return Err(VitessError::new(
                "behind",
                "could not apply all relay logs within the provided wait time",
            ));
        }
        self.check_quorum(key, to)?;
        let wait = if silent > 0 { timing::EMERGENCY_UNREACHABLE } else { 0 };
        Ok(wait + slowest + self.span_of(key, "emergency", to, timing::EMERGENCY_REPARENT))
    }

    /// How long a command takes that is begun now, drawn for each cluster by itself.
    fn span_of(&self, key: &ShardKey, command: &str, to: &TabletAlias, within: (i64, i64)) -> i64 {
        let ShardKey { cluster, shard } = key;
        let drawn_for = format!("{}/{} {shard} {to} {}", cluster.namespace, cluster.name, self.now);
        draw(self.seed, command, &drawn_for, within)
    }

    /// The shard's tablets that answer, restore nothing and are not errant.
    fn reached(&self, key: &ShardKey) -> Vec<TabletAlias> {
        let usable = |a: &TabletAlias| self.errant_of(key, a).is_empty();
        let answering = self.vitess.tablets_of(key).filter(|(_, t)| self.answers(t) && t.serves());
        answering.map(|(a, _)| a.clone()).filter(usable).collect()
    }

    /// Commits or fails the operation of a shard when its time has come.
    pub(crate) fn finish_operation(&mut self, key: &ShardKey) {
        let Some(done_at) = self.vitess.shard(key).and_then(|s| s.operation.as_ref()).map(|o| o.done_at)
        else {
            return;
        };
        if self.now < done_at {
            self.agenda.at(done_at, Look::Shard(key.clone()));
            return;
        }
        let Some(mut operation) = self.vitess.shard_mut(key).and_then(|s| s.operation.take()) else { return };
        let result = self.demoted(key, &operation.command);
        let result = result.and_then(|()| self.check(key, &operation.command, &operation.to)).map(|_| ());
        match &result {
            Ok(()) => self.promote(key, &operation.command, &operation.to),
            Err(error) => {
                self.note(format!("{} of {} fails: {error}", operation.command, key.shard));
                if let Command::Planned { from } = &operation.command {
                    self.undo_demotion(key, from);
                }
            }
        }
        if let Some(reply) = operation.reply.take() {
            let _ = reply.send(result); // the caller may be gone
        }
        self.refresh_links(key);
    }

    /// Whether the primary has answered that it leads no more, where somebody waited for that.
    fn demoted(&self, key: &ShardKey, command: &Command) -> Result<(), VitessError> {
        let Command::Planned { from } = command else { return Ok(()) };
        match self.vitess.tablet(&key.cluster, from) {
            Some(tablet) if tablet.demotion_hangs => Err(VitessError::new(
                "unreachable",
                format!("primary {from} did not demote itself in {} ms", timing::DEMOTION),
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// Where the demotion hangs, so does its undoing; VTOrc finds that later.
    fn undo_demotion(&mut self, key: &ShardKey, from: &TabletAlias) {
        let tablet = self.vitess.tablet_mut(&key.cluster, from);
        if let Some(tablet) = tablet.filter(|t| t.running && !t.demotion_hangs) {
            tablet.writable = true;
        }
    }

    fn promote(&mut self, key: &ShardKey, command: &Command, to: &TabletAlias) {
        let without = if let Command::Emergency { without, .. } = command { &without[..] } else { &[] };
        let mut reached = self.reached(key);
        reached.retain(|alias| !without.contains(alias));
        if matches!(command, Command::Emergency { .. }) {
            let mut all = GtidSet::default();
            for alias in &reached {
                all.union_with(&self.vitess.position(&key.cluster, alias));
            }
            if let Some(data) = self.vitess.data_mut(&key.cluster, to) {
                data.position.union_with(&all); // from the most advanced, before it is promoted
            }
        }
        let had = self.vitess.position(&key.cluster, to);
        let Some(shard) = self.vitess.shard_mut(key) else { return };
        let missing = shard.acked.minus(&had);
        let durability = shard.durability;
        if durability == Durability::None {
            shard.acked = shard.acked.minus(&missing); // lost for good; the journal counts it
        }
        shard.primary = Some(to.clone());
        shard.primary_since = self.now;
        shard.initialized = true;
        self.journal.push(Deed::Promoted {
            at: self.now,
            shard: key.clone(),
            to: to.clone(),
            durability,
            missing,
        });
        // The journal entry of the reparent is the new primary's first own transaction.
        if let Some(data) = self.vitess.data_mut(&key.cluster, to) {
            data.own_last += 1;
            let (server, own) = (data.server.clone(), data.own_last);
            data.position.add(&server, own, own);
            data.fresh = false;
            data.followed = None;
        }
        let old =
            self.vitess.tablets_of(key).filter(|(a, _)| *a != to).map(|(a, _)| a.clone()).collect::<Vec<_>>();
        if let Some(tablet) = self.vitess.tablet_mut(&key.cluster, to) {
            tablet.source = None;
            tablet.connected = false;
            tablet.hears = false;
            tablet.hears_flips_at = None;
            tablet.writable = true;
            tablet.role = Role::Primary;
            tablet.wrong_since = None;
        }
        self.remember_primary(key);
        self.note(format!("shard {} has the primary {to}", key.shard));
        for alias in old {
            // Whom it did without follows once VTOrc finds it.
            let found = self.vitess.tablet(&key.cluster, &alias).filter(|_| !without.contains(&alias));
            if found.is_some_and(|t| self.answers(t) && t.serves()) {
                self.follow(key, &alias, to);
            }
        }
        self.vitess.touched.insert(key.cluster.clone());
    }
}
