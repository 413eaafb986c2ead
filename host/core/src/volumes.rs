//! Volumes beside what the manifest asks of them: larger, or on their way and in need of a restart.
//!
//! Pure readings of a view. Must not know who asks a claim for another size.

use std::cmp::Ordering;
use std::fmt;

use crate::Millis;
use crate::standing::is_primary;
use crate::topology::{PoolKey, ShardId};
use crate::view::{ClusterView, TabletView, VolumeView, Wanted};

/// A kubelet that grows a filesystem while it is mounted has done it after this long.
pub const ONLINE_GROWTH_MS: Millis = 600_000;

/// Why a volume is not of the size that the manifest asks for, where that is worth a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unlike {
    /// The manifest asks for less than the claim does.
    NeverShrinks {
        /// The pool whose field it is.
        pool: PoolKey,
        /// Bytes that the manifest asks for.
        asked: u64,
        /// Bytes that the claim asks for.
        stands: u64,
    },
    /// The manifest asks for more, and the volume's class grows none.
    NotExpandable {
        /// The pool whose field it is.
        pool: PoolKey,
    },
    /// The filesystem grows only when a Pod is started on it.
    RestartWaiting,
}

impl Unlike {
    /// The reason, as conditions and events name it.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::NeverShrinks { .. } => "NeverShrinks",
            Self::NotExpandable { .. } => "NotExpandable",
            Self::RestartWaiting => "PVCResizeWaiting",
        }
    }
}

impl fmt::Display for Unlike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverShrinks { pool, asked, stands } => write!(
                f,
                "tablet pool {pool}: dataVolumeClaimTemplate.resources.requests.storage: {} is less than the {} that it has asked for, \
                 and volumes never shrink",
                Size(*asked),
                Size(*stands)
            ),
            Self::NotExpandable { pool } => write!(
                f,
                "tablet pool {pool}: dataVolumeClaimTemplate.resources.requests.storage: its storage class does not \
                 let volumes grow (allowVolumeExpansion)"
            ),
            Self::RestartWaiting => f.write_str(
                "its filesystem takes the new size when a Pod is started on it; tablets go one at a time",
            ),
        }
    }
}

/// Bytes as a manifest would say them.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(40, "Ti"), (30, "Gi"), (20, "Mi"), (10, "Ki")];
        match units.iter().find(|(bits, _)| self.0 > 0 && self.0.is_multiple_of(1 << bits)) {
            Some((bits, unit)) => write!(f, "{}{unit}", self.0 >> bits),
            None => write!(f, "{}", self.0),
        }
    }
}

/// The volumes of a cluster, or of one shard, that are not as the manifest says, by claim.
#[must_use]
pub fn unlike<'a>(view: &'a ClusterView, shard: Option<&ShardId>) -> Vec<(&'a VolumeView, Unlike)> {
    let of_shard = |tablet: &TabletView| shard.is_none_or(|shard| tablet.shard == *shard);
    let judged = |volume: &'a VolumeView| {
        let tablet = view.tablet(&volume.tablet).filter(|t| t.wanted != Wanted::No && of_shard(t))?;
        let unlike = if waits_for_restart(view, tablet) {
            Some(Unlike::RestartWaiting)
        } else {
            beside_the_manifest(volume, tablet)
        };
        Some((volume, unlike?))
    };
    view.volumes.iter().filter_map(judged).collect()
}

/// One that a policy has grown is larger than the manifest says, and that is as it should be.
fn beside_the_manifest(volume: &VolumeView, tablet: &TabletView) -> Option<Unlike> {
    let (asked, stands, pool) = (volume.asked?, volume.requested, tablet.pool.clone());
    match asked.cmp(&stands) {
        Ordering::Less if volume.changes.is_empty() => Some(Unlike::NeverShrinks { pool, asked, stands }),
        Ordering::Greater if !volume.expandable => Some(Unlike::NotExpandable { pool }),
        Ordering::Less | Ordering::Equal | Ordering::Greater => None,
    }
}

/// Whether a tablet's volume has its new size and its filesystem does not, because no kubelet grows
/// it while it is mounted. A Pod that came later has had its chance.
pub(crate) fn waits_for_restart(view: &ClusterView, tablet: &TabletView) -> bool {
    pending_since(view, tablet).is_some_and(|since| view.as_of >= since.saturating_add(ONLINE_GROWTH_MS))
}

/// Whether it is its turn: the primary's comes when no other of its shard may have to be restarted. With its
/// disk full that one could not take over, and the primary's drain would wait for it.
pub(crate) fn restart_is_due(view: &ClusterView, tablet: &TabletView) -> bool {
    let mut others =
        view.tablets_of(&tablet.shard).filter(|t| t.alias != tablet.alias && t.wanted != Wanted::No);
    waits_for_restart(view, tablet)
        && (!is_primary(view, tablet) || others.all(|t| t.outdated || pending_since(view, t).is_none()))
}

/// Since when the filesystem under a Pod that was there before has been too small.
fn pending_since(view: &ClusterView, tablet: &TabletView) -> Option<Millis> {
    let volume = tablet.volume.as_deref().and_then(|claim| view.volume(claim));
    volume.and_then(|volume| volume.filesystem_pending_since).filter(|since| tablet.pod_since < *since)
}

/// When the next volume counts as waiting for a restart by time alone.
#[must_use]
pub fn next_restart_at(view: &ClusterView) -> Option<Millis> {
    let since = view.volumes.iter().filter_map(|volume| volume.filesystem_pending_since);
    since.map(|since| since.saturating_add(ONLINE_GROWTH_MS)).filter(|due| *due > view.as_of).min()
}
