//! Topology records: those that were found, and those that the cluster's objects ask for.
//!
//! Owns the shape of both. Which are made and which are pruned is [`crate::records`]' to say.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::topology::{Cell, KeyRange, ShardId, TabletAlias};

/// Where a cell keeps its part of the topology.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CellInfo {
    /// Address with port.
    pub address: String,
    /// Root of its records.
    pub root: String,
}

/// A tablet's record, as far as its going is judged.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TabletRecord {
    /// Its shard.
    pub shard: ShardId,
    /// Whether its vttablet answers, or may.
    pub answers: bool,
}

/// The records that the topology has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Topology {
    /// Cells.
    pub cells: BTreeMap<Cell, CellInfo>,
    /// Cells of the alias [`CELLS_ALIAS`]; empty while there is none.
    pub alias: BTreeSet<Cell>,
    /// Keyspaces with their durability policies.
    pub keyspaces: BTreeMap<String, String>,
    /// Shards, with the cells that have a replication record of them.
    pub shards: BTreeMap<ShardId, BTreeSet<Cell>>,
    /// Tablets.
    pub tablets: BTreeMap<TabletAlias, TabletRecord>,
    /// Serving graphs: cell, keyspace, the shards of the partition that serves.
    pub graphs: BTreeMap<Cell, BTreeMap<String, BTreeSet<KeyRange>>>,
}

/// Which records are kept in order; each is so unless the manifest says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[allow(clippy::struct_excessive_bools, reason = "the manifest has these eight switches")]
pub struct Switches {
    /// Make the alias of all cells.
    pub register_cells_aliases: bool,
    /// Make cells.
    pub register_cells: bool,
    /// Prune cells.
    pub prune_cells: bool,
    /// Prune keyspaces.
    pub prune_keyspaces: bool,
    /// Prune serving graphs.
    pub prune_srv_keyspaces: bool,
    /// Prune shards.
    pub prune_shards: bool,
    /// Prune cells of shards.
    pub prune_shard_cells: bool,
    /// Prune tablets.
    pub prune_tablets: bool,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            register_cells_aliases: true,
            register_cells: true,
            prune_cells: true,
            prune_keyspaces: true,
            prune_srv_keyspaces: true,
            prune_shards: true,
            prune_shard_cells: true,
            prune_tablets: true,
        }
    }
}

/// Records found beside records asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RecordsView {
    /// What the topology has.
    pub found: Topology,
    /// Cells of the manifest, and those that stand.
    pub cells: BTreeMap<Cell, CellInfo>,
    /// Keyspaces of the manifest, and those that stand, with their durability policies; empty: left as it is.
    pub keyspaces: BTreeMap<String, String>,
    /// Shards that their keyspaces ask for, and those that stand.
    pub shards: BTreeSet<ShardId>,
    /// What is kept in order.
    pub switches: Switches,
}

/// The alias that holds every cell of a cluster (source: vitess-operator).
pub const CELLS_ALIAS: &str = "planetscale_operator_default";

/// A record that is to be, whole.
#[allow(missing_docs, reason = "each variant's doc names its fields")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Registration {
    /// A cell, kept there.
    Cell { cell: Cell, info: CellInfo },
    /// The alias [`CELLS_ALIAS`] of just these cells.
    CellsAlias { cells: BTreeSet<Cell> },
    /// A keyspace with that durability policy; empty: left as it is.
    Keyspace { keyspace: String, durability_policy: String },
    /// A shard.
    Shard { shard: ShardId },
}

impl fmt::Display for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cell { cell, info } => write!(f, "cell {cell} at {}{}", info.address, info.root),
            Self::CellsAlias { cells } => {
                let cells = cells.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
                write!(f, "alias {CELLS_ALIAS} of {cells}")
            }
            Self::Keyspace { keyspace, durability_policy } if durability_policy.is_empty() => {
                write!(f, "keyspace {keyspace}")
            }
            Self::Keyspace { keyspace, durability_policy } => {
                write!(f, "keyspace {keyspace} with {durability_policy}")
            }
            Self::Shard { shard } => write!(f, "shard {shard}"),
        }
    }
}

/// A record by its name.
#[allow(missing_docs, reason = "each variant's doc names its fields")]
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Record {
    /// A tablet.
    Tablet { tablet: TabletAlias },
    /// A keyspace's serving graph in a cell.
    ServingGraph { cell: Cell, keyspace: String },
    /// A shard's replication record in a cell.
    ShardCell { shard: ShardId, cell: Cell },
    /// A shard.
    Shard { shard: ShardId },
    /// A keyspace.
    Keyspace { keyspace: String },
    /// A cell.
    Cell { cell: Cell },
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tablet { tablet } => write!(f, "tablet {tablet}"),
            Self::ServingGraph { cell, keyspace } => write!(f, "serving graph of {keyspace} in cell {cell}"),
            Self::ShardCell { shard, cell } => write!(f, "replication of {shard} in cell {cell}"),
            Self::Shard { shard } => write!(f, "shard {shard}"),
            Self::Keyspace { keyspace } => write!(f, "keyspace {keyspace}"),
            Self::Cell { cell } => write!(f, "cell {cell}"),
        }
    }
}
