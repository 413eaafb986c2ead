//! What a guest's `cluster` handle stands for: one immutable view, shared by all
//! policies that are asked about it.
//!
//! Owns what the contract computes from a view (`behind`, `covers-older`,
//! `has-all-of`) and the tablets' records, which every policy reads: each at most
//! once a view. Must not know wasm nor any policy.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use pilothouse_core::gtid::GtidSet;
use pilothouse_core::topology::{ShardId, TabletAlias};
use pilothouse_core::view::{BackupView, ClusterView, Reach, TabletView};

use crate::bindings::view as wit;
use crate::convert;

/// A view with what is computed from it. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Snapshot(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    view: Arc<ClusterView>,
    answered: OnceLock<BTreeMap<ShardId, GtidSet>>,
    tablets: OnceLock<Vec<wit::Tablet>>,
}

impl Snapshot {
    /// Takes the view as it is; nothing is computed yet.
    #[must_use]
    pub fn new(view: &Arc<ClusterView>) -> Self {
        let (answered, tablets) = (OnceLock::new(), OnceLock::new());
        Self(Arc::new(Inner { view: Arc::clone(view), answered, tablets }))
    }

    /// The view.
    #[must_use]
    pub fn view(&self) -> &ClusterView {
        &self.0.view
    }

    /// The view's tablets, each with its record.
    pub(crate) fn tablets(&self) -> impl Iterator<Item = (&TabletView, &wit::Tablet)> {
        let tablets = &self.0.view.tablets;
        let record = |tablet| convert::tablet(self, tablet);
        tablets.iter().zip(self.0.tablets.get_or_init(|| tablets.iter().map(record).collect()))
    }

    /// Transactions that some tablet of the shard that answers has, or told of, and this set has not.
    #[must_use]
    pub fn behind(&self, shard: &ShardId, position: &GtidSet) -> u64 {
        let answered = self.0.answered.get_or_init(|| answered(&self.0.view));
        answered.get(shard).map_or(0, |all| all.minus(position).count())
    }

    /// Whether the candidate's transactions hold all that the other has or told of; false if either is unknown.
    #[must_use]
    pub fn has_all_of(&self, candidate: &TabletAlias, other: &TabletAlias) -> bool {
        let replication = |alias| self.0.view.tablet(alias)?.replication.as_ref();
        match (replication(candidate), replication(other)) {
            (Some(has), Some(other)) => {
                has.position.contains(&other.position) && has.position.contains(&other.forgotten)
            }
            (None, _) | (_, None) => false,
        }
    }

    /// Whether a backup is known to hold every transaction of every older complete backup of its shard.
    #[must_use]
    pub fn covers_older(&self, backup: &BackupView) -> bool {
        self.0
            .view
            .backups_of(&backup.shard)
            .filter(|older| older.name != backup.name && older.started <= backup.started)
            .filter(|older| older.finished.is_some())
            .all(|older| self.0.view.covers(backup, older))
    }
}

fn answered(view: &ClusterView) -> BTreeMap<ShardId, GtidSet> {
    let mut all: BTreeMap<ShardId, GtidSet> = BTreeMap::new();
    for tablet in view.tablets.iter().filter(|t| t.reach == Reach::Yes) {
        if let Some(replication) = &tablet.replication {
            let of_shard = all.entry(tablet.shard.clone()).or_default();
            of_shard.union_with(&replication.position);
            of_shard.union_with(&replication.forgotten);
        }
    }
    all
}
