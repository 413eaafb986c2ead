//! Zone health: a pure state machine over evidence, with hysteresis.
//!
//! Owns the verdict healthy, suspect, lost or recovering. Node conditions and
//! provider posts are evidence, never triggers by themselves. Must not know how
//! evidence was gathered, and keeps no memory: the last verdict is passed in.

use serde::{Deserialize, Serialize};

use crate::Millis;

/// The verdict on a zone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ZoneState {
    /// Nothing remembered, nothing judged yet: no mass action.
    #[default]
    Unknown,
    /// Serving.
    Healthy,
    /// Evidence against it, not yet long enough.
    Suspect,
    /// Gone, as far as two kinds of evidence can say.
    Lost,
    /// Back, not yet long enough.
    Recovering,
}

/// A zone's verdict with the times that hysteresis needs; remembered in the
/// VitessCluster's status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ZoneHealth {
    /// The verdict.
    pub state: ZoneState,
    /// Since when it holds.
    pub since: Millis,
    /// Since when the evidence leans towards the next verdict; 0 while it does not.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub leaning_since: Millis,
    /// How long good evidence must last before the zone counts as healthy again; grows with every relapse.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub recovery_ms: Millis,
}

const fn is_zero(millis: &Millis) -> bool {
    *millis == 0
}
