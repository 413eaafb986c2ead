//! Keyspaces as wholes, and levels that their parent asks for no more.
//!
//! Owns these records of the view. Whether a level may go is [`crate::levels`]' to say.

use serde::{Deserialize, Serialize};

use crate::action::ObjectRef;
use crate::topology::{Cell, ShardId};

/// One keyspace that stands as an object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeyspaceView {
    /// The keyspace.
    pub name: String,
    /// Cells that pools of it, or of a shard of it that stands, are in; sorted.
    #[serde(default)]
    pub cells: Vec<Cell>,
    /// Whether it may go while it has pools: its turndown policy says so.
    #[serde(default)]
    pub goes_at_once: bool,
}

/// A level below the cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", content = "name", rename_all = "camelCase")]
pub enum Level {
    /// A cell.
    Cell(Cell),
    /// A keyspace.
    Keyspace(String),
    /// A shard.
    Shard(ShardId),
}

/// An object of a level whose parent, as it was rendered for this view, asks for it no more.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UnwantedLevel {
    /// What it stands for.
    pub level: Level,
    /// The object.
    pub object: ObjectRef,
    /// Its UID.
    pub uid: String,
    /// Whether everything that the parent asks for instead stands.
    #[serde(default)]
    pub others_stand: bool,
}
