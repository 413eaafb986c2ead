//! Writes, replication and disk use between two looks.
//!
//! Everything that flows is settled lazily: what holds is constant from one look
//! to the next, so the sum over that span is exact and costs nothing meanwhile.
//! Must not decide roles.

use pilothouse_core::gtid::GtidSet;
use pilothouse_core::topology::TabletAlias;
use pilothouse_core::view::lag_bucket;

use super::{ShardKey, Tablet, acks_required, may_ack};
use crate::world::agenda::Look;
use crate::world::state::State;
use crate::world::timing;

/// Whole things that a rate brings between two instants of the epoch; spans add up exactly.
fn between(per: u64, span_ms: i64, from: i64, to: i64) -> u64 {
    let at = |t: i64| u128::from(t.max(0).unsigned_abs()) * u128::from(per) / span_ms.unsigned_abs() as u128;
    u64::try_from(at(to).saturating_sub(at(from))).unwrap_or(u64::MAX)
}

impl State {
    /// Brings a shard's writes, replication and disks up to now.
    pub(crate) fn settle(&mut self, key: &ShardKey) {
        let Some(from) = self.vitess.shard(key).map(|shard| shard.settled_at) else { return };
        let to = self.now;
        if from >= to {
            return;
        }
        let Some(shard) = self.vitess.shard_mut(key) else { return };
        shard.settled_at = to;
        let writes = between(shard.writes_per_minute, 60_000, from, to);
        let writers: Vec<TabletAlias> = self
            .vitess
            .tablets_of(key)
            .filter(|(_, t)| t.writable && t.serves())
            .map(|(a, _)| a.clone())
            .collect();
        for writer in writers {
            self.take_writes(key, &writer, writes);
        }
        let running: Vec<String> =
            self.vitess.tablets_of(key).filter(|(_, t)| t.running).map(|(_, t)| t.data.clone()).collect();
        for data in running {
            if let Some(data) = self.vitess.data.get_mut(&data) {
                data.grow(between(data.fill_per_hour, 3_600_000, from, to));
            }
        }
    }

    /// Client writes at one writable server: acknowledged, or waiting.
    fn take_writes(&mut self, key: &ShardKey, writer: &TabletAlias, writes: u64) {
        let full = self.vitess.data_mut(&key.cluster, writer).is_none_or(|d| d.is_full());
        if writes == 0 || full {
            return;
        }
        if self.can_ack(key, writer) {
            let new = self.commit(key, writer, writes, true);
            if let Some(shard) = self.vitess.shard_mut(key) {
                shard.acked.union_with(&new);
            }
        } else {
            let waiting = self.vitess.tablet(&key.cluster, writer).map_or(0, |t| t.waiting.count());
            let room = timing::IN_FLIGHT.saturating_sub(waiting);
            let new = self.commit(key, writer, writes.min(room), true);
            if let Some(tablet) = self.vitess.tablet_mut(&key.cluster, writer) {
                tablet.waiting.union_with(&new);
            }
        }
    }

    /// Transactions that reach no other server and no client; answers which.
    pub(crate) fn commit_alone(&mut self, key: &ShardKey, writer: &TabletAlias, count: u64) -> GtidSet {
        let seen = self.vitess.position(&key.cluster, writer);
        let new = self.commit(key, writer, count, false);
        let none = self.vitess.shard(key).is_some_and(|s| acks_required(s.durability) == 0);
        let is_primary = self.vitess.shard(key).is_some_and(|s| s.primary.as_ref() == Some(writer));
        if let Some(shard) = self.vitess.shard_mut(key) {
            if none {
                shard.acked.union_with(&new); // without semi-sync the client was told at once
            }
            if is_primary {
                shard.primary_seen = seen;
            }
        }
        if new.count() > 0 {
            self.note(format!("tablet {writer} keeps {new} to itself"));
        }
        new
    }

    /// New transactions at `writer`, and at all who hear it if they are sent on.
    fn commit(&mut self, key: &ShardKey, writer: &TabletAlias, count: u64, sent: bool) -> GtidSet {
        let mut new = GtidSet::default();
        let Some(data) = self.vitess.data_mut(&key.cluster, writer).filter(|_| count > 0) else { return new };
        new.add(&data.server, data.own_last + 1, data.own_last + count);
        data.own_last += count;
        data.position.union_with(&new);
        data.grow(count * timing::TRANSACTION_BYTES);
        if sent {
            for alias in self.hearers(key, writer) {
                self.receive(key, &alias, &new);
            }
            self.remember_primary(key);
        }
        new
    }

    /// Transactions that a replica did not have reach its relay log.
    fn receive(&mut self, key: &ShardKey, alias: &TabletAlias, new: &GtidSet) {
        let stands = self.vitess.tablet(&key.cluster, alias).is_some_and(|t| t.stalled_since.is_some());
        if let Some(data) = self.vitess.data_mut(&key.cluster, alias) {
            data.position.union_with(new);
            if stands {
                data.unapplied.union_with(new);
            }
            data.fresh = false;
            data.grow(new.count() * timing::TRANSACTION_BYTES);
        }
    }

    fn hearers(&self, key: &ShardKey, writer: &TabletAlias) -> Vec<TabletAlias> {
        let hears = |t: &Tablet| t.connected && t.source.as_ref() == Some(writer);
        self.vitess.tablets_of(key).filter(|(_, t)| hears(t)).map(|(a, _)| a.clone()).collect()
    }

    /// Keeps the primary's position as others saw it, for the day it is gone.
    pub(crate) fn remember_primary(&mut self, key: &ShardKey) {
        let Some(primary) = self.vitess.shard(key).and_then(|s| s.primary.clone()) else { return };
        if self.vitess.tablet(&key.cluster, &primary).is_some_and(Tablet::serves) {
            let seen = self.vitess.position(&key.cluster, &primary);
            if let Some(shard) = self.vitess.shard_mut(key) {
                shard.primary_seen = seen;
            }
        }
    }

    /// Whether a server can have a write acknowledged now, by the servers' state alone.
    pub(crate) fn can_ack(&self, key: &ShardKey, writer: &TabletAlias) -> bool {
        let Some(shard) = self.vitess.shard(key) else { return false };
        let Some(tablet) = self.vitess.tablet(&key.cluster, writer) else { return false };
        let full = self.vitess.data.get(&tablet.data).is_none_or(super::DataDir::is_full);
        let heard = |a: &TabletAlias, t: &Tablet| {
            t.connected && t.source.as_ref() == Some(writer) && may_ack(shard.durability, writer, a, t)
        };
        let ackers = self.vitess.tablets_of(key).filter(|(a, t)| heard(a, t)).count();
        tablet.writable && tablet.serves() && !full && ackers >= acks_required(shard.durability)
    }

    /// Whether a replica's receiver can be connected to its source.
    fn can_hear(&self, key: &ShardKey, alias: &TabletAlias) -> bool {
        let Some(tablet) = self.vitess.tablet(&key.cluster, alias) else { return false };
        let Some(source) = tablet.source.as_ref().and_then(|s| self.vitess.tablet(&key.cluster, s)) else {
            return false;
        };
        let data = self.vitess.data.get(&tablet.data);
        let full = data.is_none_or(super::DataDir::is_full);
        let has = data.map(|d| &d.position);
        let purged = self.vitess.data.get(&source.data).map(|d| &d.purged);
        let whole = has.zip(purged).is_none_or(|(has, purged)| has.contains(purged));
        let begun =
            tablet.replicates && tablet.serves() && tablet.reads_anew_until.is_none_or(|t| self.now >= t);
        begun && whole && source.serves() && !full && self.places.reach(&tablet.node, &source.node)
    }

    /// Connects and disconnects receivers after something changed.
    pub(crate) fn refresh_links(&mut self, key: &ShardKey) {
        let aliases: Vec<TabletAlias> = self.vitess.tablets_of(key).map(|(a, _)| a.clone()).collect();
        for alias in &aliases {
            let can = self.can_hear(key, alias);
            let Some(tablet) = self.vitess.tablet(&key.cluster, alias) else { continue };
            if can && !tablet.connected {
                self.connect(key, alias);
            } else if !can && tablet.connected {
                self.disconnect(key, alias);
            }
            self.flip_hearing(key, alias);
        }
        for alias in aliases {
            self.acknowledge_waiting(key, &alias);
        }
    }

    fn connect(&mut self, key: &ShardKey, alias: &TabletAlias) {
        let now = self.now;
        let Some(source) = self.vitess.tablet(&key.cluster, alias).and_then(|t| t.source.clone()) else {
            return;
        };
        let all = self.vitess.position(&key.cluster, &source);
        if let Some(tablet) = self.vitess.tablet_mut(&key.cluster, alias).filter(|t| t.fails) {
            tablet.stalled_since.get_or_insert(now);
        }
        let new = all.minus(&self.vitess.position(&key.cluster, alias));
        let missing = new.count();
        self.receive(key, alias, &new);
        if let Some(tablet) = self.vitess.tablet_mut(&key.cluster, alias) {
            tablet.connected = true;
            tablet.heard_last = None;
            tablet.reads_anew_until = None;
            tablet.hears_flips_at = (!tablet.hears).then_some(now + timing::SOURCE_CONNECT);
            let seconds = missing / timing::CATCH_UP_PER_SECOND;
            tablet.catches_up_at = (seconds > 0).then(|| now + seconds as i64 * 1_000);
        }
        self.remember_primary(key);
    }

    fn disconnect(&mut self, key: &ShardKey, alias: &TabletAlias) {
        let now = self.now;
        let source = self.vitess.tablet(&key.cluster, alias).and_then(|t| t.source.clone());
        let source = source.and_then(|s| self.vitess.tablet(&key.cluster, &s));
        let own_node = self.vitess.tablet(&key.cluster, alias).map_or("", |t| t.node.as_str());
        let reset =
            source.is_some_and(|s| self.places.is_up(&s.node, now) && self.places.reach(own_node, &s.node));
        if let Some(tablet) = self.vitess.tablet_mut(&key.cluster, alias) {
            tablet.connected = false;
            tablet.heard_last = (!reset).then_some(now);
            tablet.catches_up_at = None;
            let notices = if reset { timing::SOURCE_RESET } else { timing::SOURCE_TIMEOUT };
            tablet.hears_flips_at = tablet.hears.then_some(now + notices);
        }
        if !reset {
            self.agenda.at(now + timing::SOURCE_OVERDUE, Look::Shard(key.clone()));
        }
    }

    /// A receiver believes what it noticed.
    fn flip_hearing(&mut self, key: &ShardKey, alias: &TabletAlias) {
        let now = self.now;
        let Some(tablet) = self.vitess.tablet_mut(&key.cluster, alias) else { return };
        match tablet.hears_flips_at {
            Some(at) if now >= at => {
                tablet.hears = tablet.connected;
                tablet.hears_flips_at = None;
                self.vitess.touched.insert(key.cluster.clone());
            }
            Some(at) => self.agenda.at(at, Look::Shard(key.clone())),
            None => {}
        }
        let Some(tablet) = self.vitess.tablet_mut(&key.cluster, alias) else { return };
        match tablet.catches_up_at {
            Some(at) if now >= at => {
                tablet.catches_up_at = None;
                self.vitess.touched.insert(key.cluster.clone());
            }
            Some(at) => self.agenda.at(at, Look::Shard(key.clone())),
            None => {}
        }
    }

    /// Waiting writes are acknowledged once those who must hear have heard.
    fn acknowledge_waiting(&mut self, key: &ShardKey, alias: &TabletAlias) {
        let waits = self.vitess.tablet(&key.cluster, alias).is_some_and(|t| !t.waiting.is_empty());
        if waits && self.can_ack(key, alias) {
            let done = self.vitess.tablet_mut(&key.cluster, alias).map(|t| std::mem::take(&mut t.waiting));
            if let (Some(done), Some(shard)) = (done, self.vitess.shard_mut(key)) {
                shard.acked.union_with(&done);
            }
        }
    }

    /// Milliseconds that a replica's applier is behind its source; what a receiver
    /// without a source cannot know is not counted.
    pub(crate) fn lag_of(&self, tablet: &Tablet) -> i64 {
        let stalled = tablet.stalled_since.map_or(0, |since| self.now - since);
        let catching_up = tablet.catches_up_at.map_or(0, |until| (until - self.now).max(0) * 10);
        if tablet.source.is_some() { (tablet.slowness + stalled).max(catching_up) } else { 0 }
    }

    /// Asks for a look when a lag or a disk crosses into its next bucket.
    pub(crate) fn await_buckets(&mut self, key: &ShardKey) {
        let mut next: Option<i64> = None;
        let mut sooner = |at: i64| next = Some(next.map_or(at, |n: i64| n.min(at)));
        let writes = self.vitess.shard(key).map_or(0, |s| s.writes_per_minute);
        for (alias, tablet) in self.vitess.tablets_of(key) {
            if let Some(since) = tablet.stalled_since {
                let lag = u64::try_from(tablet.slowness + self.now - since).unwrap_or(0);
                let next = 1_i64 << lag_bucket(lag); // seconds at which the next bucket begins
                sooner((since + next * 1_000 - tablet.slowness).max(self.now + 1_000));
            }
            let Some(data) = self.vitess.data.get(&tablet.data).filter(|_| tablet.running) else { continue };
            let flows = tablet.connected || (tablet.writable && self.can_ack(key, alias));
            let rate = data.fill_per_hour + if flows { writes * 60 * timing::TRANSACTION_BYTES } else { 0 };
            if rate > 0 && data.capacity > 0 && !data.is_full() {
                let step = u128::from(data.used) * 64 / u128::from(data.capacity) + 1;
                let mark = (step * u128::from(data.capacity)).div_ceil(64).min(u128::from(data.capacity));
                let missing = mark.saturating_sub(u128::from(data.used));
                let wait = (missing * 3_600_000).div_ceil(u128::from(rate));
                sooner(self.now + i64::try_from(wait).unwrap_or(i64::MAX / 4).max(1_000));
            }
        }
        if let Some(at) = next {
            self.agenda.at(at, Look::Shard(key.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_a_rate_add_up() {
        let whole = between(7, 60_000, 1_000, 1_000_000);
        let parts = between(7, 60_000, 1_000, 333_333) + between(7, 60_000, 333_333, 1_000_000);
        assert_eq!(whole, parts);
        assert_eq!(between(60, 60_000, 0, 60_000), 60);
    }

    #[test]
    fn the_next_lag_bucket_begins_where_the_view_says() {
        for lag in (0..300_000_u64).step_by(500) {
            let next = (1_u64 << lag_bucket(lag)) * 1_000;
            assert_eq!(lag_bucket(next - 1), lag_bucket(lag));
            assert!(lag_bucket(next) > lag_bucket(lag));
        }
    }
}
