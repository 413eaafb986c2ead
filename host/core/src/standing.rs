//! How the tablets of a shard stand: who serves, who is caught up, who acknowledges.
//!
//! Owns the readings of a view that both the guard and the host's own steps
//! (drain, turndown) must agree on. Decides nothing.

use crate::Millis;
use crate::gtid::GtidSet;
use crate::topology::{ShardId, TabletAlias};
use crate::view::{ClusterView, Drain, Durability, PodState, Reach, Role, ShardView, TabletView, Wanted};

/// Replicas within this lag count as caught up (the contract's InSync).
pub const CAUGHT_UP_MS: Millis = 10_000;

/// A source's heartbeat may be late by this and still count as being in time.
const HEARTBEAT_LATE_MS: Millis = 1_000;

/// When a replica last received anything of its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// How long ago; `None`: nothing yet, or it may be in the midst of something.
    pub ago_ms: Option<Millis>,
    /// A source that has nothing to send for so long sends a heartbeat (source: MySQL manual,
    /// `SOURCE_HEARTBEAT_PERIOD`); 0: it sends none.
    pub heartbeat_ms: Millis,
}

/// Whether a replica hears its source: its receiver is connected, and no heartbeat is overdue. Where nobody tells
/// of heartbeats, a connection is all that there is to go by.
#[must_use]
pub fn hears(connected: bool, heard: Option<Heard>) -> bool {
    let told = heard.filter(|heard| heard.heartbeat_ms > 0);
    let is_overdue = |heard: Heard| {
        heard.ago_ms.is_some_and(|ago| ago > heard.heartbeat_ms.saturating_add(HEARTBEAT_LATE_MS))
    };
    connected && !told.is_some_and(is_overdue)
}

/// What a server said of itself.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// Its `server_uuid`.
    pub server: &'a str,
    /// What it had executed.
    pub position: &'a GtidSet,
    /// Whether it spoke as a primary.
    pub leads: bool,
}

/// Which transactions of a tablet the shard's primary never had, by that one's last word. Whatever came
/// from its own MySQL it had, though it told before, or waits itself for the acknowledgement. While it has
/// not told as the primary that it is, nothing counts as errant.
#[must_use]
pub fn errant(position: &GtidSet, primary: Option<Told<'_>>) -> GtidSet {
    let Some(primary) = primary.filter(|told| told.leads) else { return GtidSet::default() };
    let mut had = primary.position.clone();
    had.add(primary.server, 1, u64::MAX);
    position.minus(&had)
}

/// What of all that a tablet ever told of, but for what is errant, it does not tell of any more.
#[must_use]
pub fn forgotten(told: &GtidSet, position: &GtidSet, primary: Option<Told<'_>>) -> GtidSet {
    let gone = told.minus(position);
    gone.minus(&errant(&gone, primary))
}

/// How many replicas must acknowledge a write before the client hears of it.
#[must_use]
pub const fn wait_count(durability: Durability) -> usize {
    match durability {
        Durability::None => 0,
        Durability::SemiSync | Durability::CrossCell => 1,
    }
}

/// Whether the topology names it primary, or it says so itself.
#[must_use]
pub fn is_primary(view: &ClusterView, tablet: &TabletView) -> bool {
    let named = view.shard(&tablet.shard).and_then(|s| s.primary.as_ref());
    tablet.role == Role::Primary || named == Some(&tablet.alias)
}

/// Whether it runs, is ready and answers; one that restores answers, and serves nobody yet.
#[must_use]
pub fn serves(tablet: &TabletView) -> bool {
    let answers = tablet.pod == PodState::Running && tablet.ready && tablet.reach == Reach::Yes;
    answers && tablet.role != Role::Restore
}

/// Whether a primary serves, and its MySQL takes writes.
#[must_use]
pub fn takes_writes(tablet: &TabletView) -> bool {
    serves(tablet) && !tablet.replication.as_ref().is_some_and(|told| told.read_only)
}

/// Whether taking its Pod disrupts nothing: no process runs there, or its kubelet
/// (which is well) and its silence both say that it does not serve.
#[must_use]
pub fn is_idle(tablet: &TabletView) -> bool {
    match tablet.pod {
        PodState::Absent | PodState::Pending | PodState::Ended => tablet.reach != Reach::Yes,
        PodState::Running => !tablet.ready && tablet.node_ready == Some(true) && tablet.reach == Reach::No,
        PodState::Terminating => false,
    }
}

/// The first other wanted tablet of the shard that does not serve.
#[must_use]
pub fn member_down<'a>(view: &'a ClusterView, tablet: &TabletView) -> Option<&'a TabletView> {
    view.tablets
        .iter()
        .filter(|t| t.shard == tablet.shard && t.alias != tablet.alias && t.wanted != Wanted::No)
        .find(|t| !serves(t))
}

/// Whether it replicates from `source` within [`CAUGHT_UP_MS`], without errant transactions.
#[must_use]
pub fn is_caught_up(tablet: &TabletView, source: &TabletAlias) -> bool {
    tablet.reach == Reach::Yes
        && tablet.replication.as_ref().is_some_and(|r| {
            r.source.as_ref() == Some(source)
                && r.source_connected
                && r.applying
                && r.lag_ms <= CAUGHT_UP_MS
                && r.errant.is_empty()
        })
}

/// Whether an acknowledgement by `tablet` counts for writes of `primary`.
#[must_use]
pub fn may_ack(durability: Durability, tablet: &TabletView, primary: &TabletAlias) -> bool {
    let apart = match durability {
        Durability::None => false,
        Durability::SemiSync => true,
        Durability::CrossCell => tablet.alias.cell != primary.cell,
    };
    apart && tablet.pool.pool_type.is_primary_eligible() && tablet.alias != *primary
}

/// Caught-up tablets that acknowledge writes of the shard's primary, without `leaving`.
#[must_use]
pub fn ackers_left(view: &ClusterView, shard: &ShardView, leaving: &TabletAlias) -> usize {
    let Some(primary) = &shard.primary else { return 0 };
    view.tablets_of(&shard.id)
        .filter(|t| t.alias != *leaving && t.drain != Drain::Finished && t.wanted != Wanted::No)
        .filter(|t| may_ack(shard.durability, t, primary) && is_caught_up(t, primary))
        .filter(|t| t.replication.as_ref().is_some_and(|r| r.acks))
        .count()
}

/// Whether a shard has as many acknowledging tablets without `leaving` as its writes need, or no fewer than
/// with it: one that neither hears the primary nor acknowledges is missed by no write, and may be what a
/// primary waits for that nobody acknowledges.
#[must_use]
pub fn spares(view: &ClusterView, shard: &ShardView, leaving: &TabletView) -> bool {
    let counts = leaving.replication.as_ref().is_none_or(|r| r.acks || r.source_connected);
    !counts || ackers_left(view, shard, &leaving.alias) >= wait_count(shard.durability)
}

/// Tablets of a shard that an emergency reparent does without: they neither lead nor acknowledge, and
/// it would wait in vain for what they are to apply. Whatever they have, the rule `quorum` saw elsewhere.
#[must_use]
pub fn left_behind(view: &ClusterView, shard: &ShardId) -> Vec<TabletAlias> {
    let keeps_up = |t: &TabletView| {
        let applies = t.replication.as_ref().is_some_and(|r| r.applying && r.lag_ms <= CAUGHT_UP_MS);
        t.reach == Reach::Yes && applies
    };
    let bystanders = view.tablets_of(shard).filter(|t| !t.pool.pool_type.is_primary_eligible());
    bystanders.filter(|t| !keeps_up(t)).map(|t| t.alias.clone()).collect()
}

/// How many tablets the manifest wants that may become primary.
#[must_use]
pub fn eligible_wanted(view: &ClusterView, shard: &ShardId) -> u32 {
    view.shard(shard).map_or(0, |s| {
        let eligible = s.pools.iter().filter(|p| p.key.pool_type.is_primary_eligible());
        eligible.map(|p| p.replicas).fold(0, u32::saturating_add)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connected_replica_hears_its_source_until_a_heartbeat_is_overdue() {
        let after = |ago_ms, heartbeat_ms| Some(Heard { ago_ms, heartbeat_ms });
        for (heard, hears_it) in [
            (None, true),
            (after(None, 4_000), true),
            (after(Some(3_000), 4_000), true),
            (after(Some(5_000), 4_000), true),
            (after(Some(5_001), 4_000), false),
            (after(Some(5_500), 4_000), false),
            (after(Some(5_500), 30_000), true),
            (after(Some(5_500), 0), true),
        ] {
            assert_eq!(hears(true, heard), hears_it, "{heard:?}");
            assert!(!hears(false, heard), "{heard:?}");
        }
    }
}
