//! How the contract's names are written: `zone1-0000000101`, `commerce/-80`, `zone1/replica`.

use std::fmt;

use crate::types::{PoolKey, PoolType, ShardId, TabletAlias, ZoneState};

impl fmt::Display for TabletAlias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:010}", self.cell, self.uid)
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.keyspace, self.key_range)
    }
}

impl PoolType {
    /// The word that manifests use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Replica => "replica",
            Self::Rdonly => "rdonly",
            Self::ExternalMaster => "externalmaster",
            Self::ExternalReplica => "externalreplica",
            Self::ExternalRdonly => "externalrdonly",
        }
    }

    /// Whether MySQL runs elsewhere, out of the host's hands.
    #[must_use]
    pub const fn is_external(self) -> bool {
        matches!(self, Self::ExternalMaster | Self::ExternalReplica | Self::ExternalRdonly)
    }

    /// Whether a tablet of this pool may be elected primary.
    #[must_use]
    pub const fn is_primary_eligible(self) -> bool {
        matches!(self, Self::Replica)
    }
}

impl fmt::Display for PoolKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.cell, self.pool_type.as_str())?;
        if self.name.is_empty() { Ok(()) } else { write!(f, "/{}", self.name) }
    }
}

impl ZoneState {
    /// The word that texts use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Healthy => "healthy",
            Self::Suspect => "suspect",
            Self::Lost => "lost",
            Self::Recovering => "recovering",
        }
    }
}
