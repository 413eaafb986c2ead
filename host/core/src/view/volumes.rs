//! Data volumes, and which of their numbers enter the fingerprint in buckets.

use std::hash::{DefaultHasher, Hash as _};

use serde::{Deserialize, Serialize};

use crate::Millis;
use crate::topology::TabletAlias;

/// A data volume.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VolumeView {
    /// Name of the claim.
    pub claim: String,
    /// UID of the claim.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// The tablet that writes to it.
    pub tablet: TabletAlias,
    /// Bytes asked for.
    pub requested: u64,
    /// Bytes the volume has.
    pub capacity: u64,
    /// Bytes that the manifest asks for; absent where nothing asks for the tablet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<u64>,
    /// Since when only its filesystem waits to be grown: by a kubelet at once, or when a Pod is started on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filesystem_pending_since: Option<Millis>,
    /// Bytes in use, if anybody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<u64>,
    /// Bytes an hour, over the last measured span; 0 when not yet known.
    #[serde(default)]
    pub fill_per_hour: u64,
    /// Whether its class can grow it.
    #[serde(default)]
    pub expandable: bool,
    /// When its size was last asked to change, newest last; at most 8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Millis>,
    /// The most it may ever have, by the manifest's annotation or the provider; absent: no maximum known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum: Option<u64>,
}

impl VolumeView {
    pub(super) fn hash_bucketed(&self, h: &mut DefaultHasher) {
        (&self.claim, &self.uid, &self.tablet, self.requested, self.capacity).hash(h);
        (self.asked, self.filesystem_pending_since).hash(h);
        (self.expandable, &self.changes, self.maximum, self.fill_per_hour.checked_ilog2()).hash(h);
        let bucket = |used: u64| u128::from(used) * 64 / u128::from(self.capacity.max(1));
        self.used.map(bucket).hash(h);
    }
}
