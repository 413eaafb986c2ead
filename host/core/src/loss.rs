//! What a primary that was replaced may have taken with it.
//!
//! Owns the words about it: that writes may be lost is told when a primary is replaced, and how many when it is back.
//! Decides nothing: whether a loss may be is the rule `quorum`'s.

use crate::action::Action;
use crate::view::{ClusterView, Durability, TabletView};

/// Whether a step replaced a primary whose writes nobody else had to have: some that were acknowledged may be lost.
#[must_use]
pub fn may_come_of(view: &ClusterView, action: &Action) -> bool {
    let Action::EmergencyReparent { shard, .. } = action else { return false };
    view.shard(shard).is_some_and(|record| record.durability == Durability::None)
}

/// Tablets that have transactions which their shard's primary never had, and how many.
pub fn errant(view: &ClusterView) -> impl Iterator<Item = (&TabletView, u64)> {
    let counted = |t: &TabletView| t.replication.as_ref().map_or(0, |r| r.errant.count());
    view.tablets.iter().map(move |tablet| (tablet, counted(tablet))).filter(|(_, count)| *count > 0)
}

/// What is told of so many of them.
#[must_use]
pub fn of_errant(view: &ClusterView, tablet: &TabletView, count: u64) -> String {
    let durability = view.shard(&tablet.shard).map(|record| record.durability);
    let acknowledged = match durability {
        Some(Durability::None) => "; without a durability policy clients may have been told of them",
        Some(Durability::SemiSync | Durability::CrossCell) | None => "",
    };
    format!("tablet {}: {count} transactions that its primary never had{acknowledged}", tablet.alias)
}
