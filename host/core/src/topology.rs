//! Vitess's own nouns as types: cells, key ranges, shards, tablet aliases, pools.
//!
//! Owns parsing, order and display. Knows nothing of where the names come from.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a name could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// A key range bound is not lower-case hexadecimal pairs.
    #[error("key range {range:?}: {bound:?} is not lower-case hexadecimal pairs")]
    Hex {
        /// The whole range as given.
        range: String,
        /// The bad bound.
        bound: String,
    },
    /// A key range has no `-`.
    #[error("key range {0:?}: expected START-END, each lower-case hexadecimal pairs or empty")]
    NoDash(String),
    /// The end does not lie behind the start.
    #[error("key range {0:?}: its end does not lie behind its start")]
    Empty(String),
    /// A tablet alias is not `CELL-UID`.
    #[error("tablet alias {0:?}: expected CELL-UID with a decimal uid below 2^32")]
    Alias(String),
    /// Not one of the five pool types.
    #[error("pool type {0:?}: expected replica, rdonly, externalmaster, externalreplica or externalrdonly")]
    PoolType(String),
    /// A shard is not `KEYSPACE/RANGE`.
    #[error("shard {0:?}: expected KEYSPACE/START-END")]
    Shard(String),
}

/// A Vitess cell: a failure domain that holds tablets and gateways.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cell(pub String);

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An availability zone of the provider.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Zone(pub String);

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A half-open range of keyspace ids; an empty bound is open.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyRange {
    start: Vec<u8>,
    end: Vec<u8>,
}

impl KeyRange {
    /// The range that holds every keyspace id, written `-`.
    #[must_use]
    pub const fn whole() -> Self {
        Self { start: Vec::new(), end: Vec::new() }
    }

    /// Whether it holds every keyspace id.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.start.is_empty() && self.end.is_empty()
    }

    /// Whether any keyspace id is in both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let begins_before = |one: &[u8], end: &[u8]| end.is_empty() || one < end;
        begins_before(&self.start, &other.end) && begins_before(&other.start, &self.end)
    }

    /// The label-safe spelling: a missing bound is an `x` (`-80` is `x-80`).
    #[must_use]
    pub fn safe_name(&self) -> String {
        let bound = |b: &[u8]| if b.is_empty() { "x".to_owned() } else { hex(b) };
        format!("{}-{}", bound(&self.start), bound(&self.end))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(range: &str, bound: &str) -> Result<Vec<u8>, ParseError> {
    let bad = || ParseError::Hex { range: range.to_owned(), bound: bound.to_owned() };
    let lower = bound.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if !bound.len().is_multiple_of(2) || !lower {
        return Err(bad());
    }
    (0..bound.len()).step_by(2).map(|i| u8::from_str_radix(&bound[i..i + 2], 16).map_err(|_| bad())).collect()
}

impl FromStr for KeyRange {
    type Err = ParseError;

    fn from_str(s: &str) -> Result<Self, ParseError> {
        let (start, end) = s.split_once('-').ok_or_else(|| ParseError::NoDash(s.to_owned()))?;
        let (start, end) = (unhex(s, start)?, unhex(s, end)?);
        if !end.is_empty() && end <= start {
            return Err(ParseError::Empty(s.to_owned()));
        }
        Ok(Self { start, end })
    }
}

impl fmt::Display for KeyRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", hex(&self.start), hex(&self.end))
    }
}

impl TryFrom<String> for KeyRange {
    type Error = ParseError;

    fn try_from(s: String) -> Result<Self, ParseError> {
        s.parse()
    }
}

impl From<KeyRange> for String {
    fn from(range: KeyRange) -> Self {
        range.to_string()
    }
}

/// A shard of a keyspace, written `commerce/-80`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ShardId {
    /// The keyspace's name.
    pub keyspace: String,
    /// The shard's key range.
    pub range: KeyRange,
}

impl FromStr for ShardId {
    type Err = ParseError;

    fn from_str(s: &str) -> Result<Self, ParseError> {
        let (keyspace, range) = s.split_once('/').ok_or_else(|| ParseError::Shard(s.to_owned()))?;
        if keyspace.is_empty() {
            return Err(ParseError::Shard(s.to_owned()));
        }
        Ok(Self { keyspace: keyspace.to_owned(), range: range.parse()? })
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.keyspace, self.range)
    }
}

impl TryFrom<String> for ShardId {
    type Error = ParseError;

    fn try_from(s: String) -> Result<Self, ParseError> {
        s.parse()
    }
}

impl From<ShardId> for String {
    fn from(shard: ShardId) -> Self {
        shard.to_string()
    }
}

/// A tablet's name in the topology: cell and 32-bit uid, written `zone1-2548885007`
/// with the uid padded to ten digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TabletAlias {
    /// The cell that the tablet belongs to.
    pub cell: Cell,
    /// Unique in the cluster; derived from the tablet's place (see the contract's golden vectors).
    pub uid: u32,
}

impl FromStr for TabletAlias {
    type Err = ParseError;

    fn from_str(s: &str) -> Result<Self, ParseError> {
        let bad = || ParseError::Alias(s.to_owned());
        let (cell, uid) = s.rsplit_once('-').ok_or_else(bad)?;
        if cell.is_empty() || uid.is_empty() || !uid.bytes().all(|b| b.is_ascii_digit()) {
            return Err(bad());
        }
        Ok(Self { cell: Cell(cell.to_owned()), uid: uid.parse().map_err(|_| bad())? })
    }
}

impl fmt::Display for TabletAlias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:010}", self.cell, self.uid)
    }
}

impl TryFrom<String> for TabletAlias {
    type Error = ParseError;

    fn try_from(s: String) -> Result<Self, ParseError> {
        s.parse()
    }
}

impl From<TabletAlias> for String {
    fn from(alias: TabletAlias) -> Self {
        alias.to_string()
    }
}

/// What a tablet pool is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PoolType {
    /// May become primary.
    Replica,
    /// Reads only; never primary.
    Rdonly,
    /// An unmanaged MySQL that is the primary.
    ExternalMaster,
    /// An unmanaged MySQL replica.
    ExternalReplica,
    /// An unmanaged MySQL for batch reads.
    ExternalRdonly,
}

impl PoolType {
    /// The word that manifests and labels use.
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

    /// Whether MySQL runs elsewhere, out of our hands.
    #[must_use]
    pub const fn is_external(self) -> bool {
        matches!(self, Self::ExternalMaster | Self::ExternalReplica | Self::ExternalRdonly)
    }

    /// Whether a tablet of this pool may be elected primary by us.
    #[must_use]
    pub const fn is_primary_eligible(self) -> bool {
        matches!(self, Self::Replica)
    }
}

impl FromStr for PoolType {
    type Err = ParseError;

    fn from_str(s: &str) -> Result<Self, ParseError> {
        [Self::Replica, Self::Rdonly, Self::ExternalMaster, Self::ExternalReplica, Self::ExternalRdonly]
            .into_iter()
            .find(|t| t.as_str() == s)
            .ok_or_else(|| ParseError::PoolType(s.to_owned()))
    }
}

impl fmt::Display for PoolType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A tablet pool's identity within its shard.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PoolKey {
    /// The cell that the pool's tablets belong to.
    pub cell: Cell,
    /// What the pool is for.
    #[serde(rename = "type")]
    pub pool_type: PoolType,
    /// Set for named external pools only; else empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
}

impl fmt::Display for PoolKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.cell, self.pool_type)?;
        if self.name.is_empty() { Ok(()) } else { write!(f, "/{}", self.name) }
    }
}
