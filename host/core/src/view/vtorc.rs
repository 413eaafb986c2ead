//! A shard's VTOrc. Who decides when is [`crate::decider`]'s to say.

use serde::{Deserialize, Serialize};

/// A shard's VTOrc, as far as lost primaries go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Vtorc {
    /// There is none, or people keep it from replacing any primary of the keyspace.
    #[default]
    Absent,
    /// It replaces a lost primary, as the topology has it.
    Decides,
    /// The topology keeps it from that.
    StandsBy,
    /// It replaces a lost primary, and there is no way to keep it from that: Vitess before 23.
    Unswitchable,
}

impl Vtorc {
    pub(super) const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}
