//! Backups as a view has them, and what a restore of one is known to have.
//!
//! Owns what follows where no position is known. Must not know how any of it came to be known.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ClusterView;
use crate::Millis;
use crate::gtid::GtidSet;
use crate::topology::ShardId;

/// A backup in a location.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BackupView {
    /// Its name in the store: `YYYY-MM-DD.HHMMSS.ALIAS`.
    pub name: String,
    /// Its shard.
    pub shard: ShardId,
    /// Its location ("" is the default one).
    #[serde(default)]
    pub location: String,
    /// When it began.
    pub started: Millis,
    /// When it was complete; absent while it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<Millis>,
    /// Bytes stored.
    #[serde(default)]
    pub bytes: u64,
    /// When a later run, or a tablet, restored it whole and caught up from it: only then it counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<Millis>,
    /// Transactions that a restore of it has; empty: they are not known.
    #[serde(default)]
    pub position: GtidSet,
    /// The backup that the run which took it restored before, and went on from: what that has, this has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// By MySQL server: the number of its last own transaction once this was complete. What it wrote later is not in
    /// it; of a server that is not named that is not known.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub written: BTreeMap<String, u64>,
}

impl BackupView {
    /// Whether a restore of it may have some of these.
    #[must_use]
    pub fn may_have(&self, some: &GtidSet) -> bool {
        if self.position.is_empty() { !some.is_after(&self.written) } else { self.position.meets(some) }
    }
}

impl ClusterView {
    /// Whether a restore of one backup is known to have all that a restore of the other has: by their positions, or
    /// because it goes back to the other run by run. What is not known covers nothing, and nothing covers it.
    #[must_use]
    pub fn covers(&self, backup: &BackupView, other: &BackupView) -> bool {
        let named = |name: &str, before: Millis| {
            self.backups_of(&backup.shard).find(|b| b.name == name && b.started < before)
        };
        let known = !other.position.is_empty();
        let mut next = Some(backup);
        while let Some(now) = next {
            let has = known && !now.position.is_empty() && now.position.contains(&other.position);
            if has || now.from.as_ref() == Some(&other.name) {
                return true;
            }
            next = now.from.as_ref().and_then(|from| named(from, now.started));
        }
        false
    }
}
