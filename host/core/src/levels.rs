//! Which cells, keyspaces and shards may go, once nobody asks for them, and why others may not.
//!
//! Owns the one reading of a view that the host's own steps, the guard and the status agree on.
//! Whoever removes a level removes all that stands below it, so silence never counts as a yes.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::topology::{Cell, ShardId};
use crate::view::{ClusterView, Level, PodState, UnwantedLevel, VitessSource};

/// Why an unwanted level is still here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kept", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Kept {
    /// What stands in its place does not stand yet.
    OthersMissing,
    /// Nobody says what is served.
    Unknown,
    /// The shard is in a partition that serves.
    Serving,
    /// The keyspace has pools in these cells.
    HasPools {
        /// They.
        cells: Vec<Cell>,
    },
    /// The cell has these keyspaces.
    HasKeyspaces {
        /// Deployed or served there.
        keyspaces: Vec<String>,
    },
}

impl Kept {
    /// The reason, as status and events name it.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::OthersMissing => "OthersMissing",
            Self::Unknown => "Unknown",
            Self::Serving => "Serving",
            Self::HasPools { .. } | Self::HasKeyspaces { .. } => "NotIdle",
        }
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OthersMissing => f.write_str("not all that is asked for beside it stands yet"),
            Self::Unknown => f.write_str("Vitess does not tell whether it serves"),
            Self::Serving => f.write_str("the shard serves; move its traffic to other shards first"),
            Self::HasPools { cells } => {
                let cells = cells.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                write!(
                    f,
                    "the keyspace has tablet pools in {cells}; remove them first, or set its turndownPolicy \
                     to Immediate"
                )
            }
            Self::HasKeyspaces { keyspaces } => {
                write!(f, "keyspaces are deployed or served in the cell: {}", keyspaces.join(", "))
            }
        }
    }
}

/// Why an unwanted level may not go; `None` if it may.
#[must_use]
pub fn kept(view: &ClusterView, unwanted: &UnwantedLevel) -> Option<Kept> {
    if view.vitess == VitessSource::Unknown {
        return Some(Kept::Unknown);
    }
    if !unwanted.others_stand {
        return Some(Kept::OthersMissing);
    }
    match &unwanted.level {
        Level::Shard(shard) => match serves(view, shard) {
            Some(false) => None,
            Some(true) => Some(Kept::Serving),
            None => Some(Kept::Unknown),
        },
        Level::Keyspace(name) => match view.keyspace(name) {
            None => Some(Kept::Unknown),
            Some(keyspace) if keyspace.goes_at_once || keyspace.cells.is_empty() => None,
            Some(keyspace) => Some(Kept::HasPools { cells: keyspace.cells.clone() }),
        },
        Level::Cell(cell) => match keyspaces_in(view, cell) {
            None => Some(Kept::Unknown),
            Some(keyspaces) if keyspaces.is_empty() => None,
            Some(keyspaces) => Some(Kept::HasKeyspaces { keyspaces }),
        },
    }
}

/// Unwanted levels that stay for now, in the view's order.
pub fn orphans(view: &ClusterView) -> impl Iterator<Item = (&UnwantedLevel, Kept)> {
    view.unwanted.iter().filter_map(|unwanted| Some((unwanted, kept(view, unwanted)?)))
}

/// Whether an object of a level stands that its parent asks for no more.
#[must_use]
pub fn is_unwanted(view: &ClusterView, level: &Level) -> bool {
    view.unwanted.iter().any(|unwanted| unwanted.level == *level)
}

/// Whether a partition that serves has the shard; `None` where nobody tells.
#[must_use]
pub fn serves(view: &ClusterView, shard: &ShardId) -> Option<bool> {
    view.shard(shard)?.serving
}

/// Keyspaces with pools or tablets in the cell, or with a serving graph there, sorted; `None`
/// where none is deployed and nobody tells which are served.
#[must_use]
pub fn keyspaces_in(view: &ClusterView, cell: &Cell) -> Option<Vec<String>> {
    let stands = |pod| pod != PodState::Absent;
    let tablets = view.tablets.iter().filter(|t| t.alias.cell == *cell);
    let here = tablets.filter(|t| stands(t.pod) || t.volume.is_some()).map(|t| t.shard.keyspace.clone());
    let pools = view.keyspaces.iter().filter(|k| k.cells.contains(cell)).map(|k| k.name.clone());
    let served = view.cell(cell).and_then(|c| c.serves.as_ref());
    let mut all: Vec<String> = here.chain(pools).chain(served.into_iter().flatten().cloned()).collect();
    all.sort();
    all.dedup();
    (served.is_some() || !all.is_empty()).then_some(all)
}
