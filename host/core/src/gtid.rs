//! MySQL's executed transactions as a set: server uuid → intervals.
//!
//! Owns parsing, display and set arithmetic (source: the MySQL manual's "GTID
//! sets"). Knows nothing of tablets.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a GTID set could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("GTID set {text:?}: {part:?} is not SERVER:FIRST-LAST")]
pub struct ParseError {
    text: String,
    part: String,
}

/// A set of transactions, written `uuid:1-5:7,uuid2:1-3`. Intervals are closed,
/// sorted, disjoint and not adjacent.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GtidSet(BTreeMap<String, Vec<(u64, u64)>>);

impl GtidSet {
    /// Adds the transactions `first..=last` of one server; nothing when `last < first`.
    pub fn add(&mut self, server: &str, first: u64, last: u64) {
        if last < first {
            return;
        }
        let intervals = self.0.entry(server.to_owned()).or_default();
        intervals.push((first, last));
        intervals.sort_unstable();
        let mut merged: Vec<(u64, u64)> = Vec::with_capacity(intervals.len());
        for &(from, to) in intervals.iter() {
            match merged.last_mut() {
                Some(tail) if from <= tail.1.saturating_add(1) => tail.1 = tail.1.max(to),
                Some(_) | None => merged.push((from, to)),
            }
        }
        *intervals = merged;
    }

    /// Adds every transaction of `other`.
    pub fn union_with(&mut self, other: &Self) {
        for (server, intervals) in &other.0 {
            for &(from, to) in intervals {
                self.add(server, from, to);
            }
        }
    }

    /// What this set holds and `other` does not.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        let mut rest = Self::default();
        for (server, intervals) in &self.0 {
            let holes = other.0.get(server).map_or(&[][..], Vec::as_slice);
            for &(from, to) in intervals {
                // None once a hole reaches to the last number there is.
                let mut next = Some(from);
                for &(hole_from, hole_to) in holes {
                    let Some(start) = next.filter(|&start| hole_to >= start && hole_from <= to) else {
                        continue;
                    };
                    if hole_from > start {
                        rest.add(server, start, hole_from - 1);
                    }
                    next = hole_to.checked_add(1);
                }
                if let Some(start) = next {
                    rest.add(server, start, to);
                }
            }
        }
        rest
    }

    /// Whether every transaction of `other` is here.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        other.minus(self).is_empty()
    }

    /// Whether some transaction is in both.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        self.minus(other).count() < self.count()
    }

    /// Whether every transaction of the set is one that this server wrote.
    #[must_use]
    pub fn is_of(&self, server: &str) -> bool {
        self.0.iter().all(|(writer, intervals)| writer == server || intervals.is_empty())
    }

    /// Whether the set goes on where `base` ends: of each of its servers it is one interval that begins right
    /// after the last that `base` has of that server. So is the end of a log that was not sent on.
    #[must_use]
    pub fn follows_on(&self, base: &Self) -> bool {
        self.0.iter().filter(|(_, intervals)| !intervals.is_empty()).all(|(server, intervals)| {
            let last = base.0.get(server).and_then(|known| known.last());
            let next = last.and_then(|&(_, last)| last.checked_add(1));
            intervals.len() == 1 && next == Some(intervals[0].0)
        })
    }

    /// The number of the last transaction that the set has of a server; 0 where it has none.
    #[must_use]
    pub fn last_of(&self, server: &str) -> u64 {
        self.0.get(server).and_then(|intervals| intervals.last()).map_or(0, |&(_, last)| last)
    }

    /// Whether all of the set came after these: for each of its servers they name the number of its last, which is
    /// lower than any here. A server that they do not name may have written any of it before.
    #[must_use]
    pub fn is_after(&self, last: &BTreeMap<String, u64>) -> bool {
        self.0
            .iter()
            .filter_map(|(server, intervals)| Some((server, intervals.first()?)))
            .all(|(server, (first, _))| last.get(server).is_some_and(|last| last < first))
    }

    /// How many transactions the set holds.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0
            .values()
            .flatten()
            .map(|&(from, to)| (to - from).saturating_add(1))
            .fold(0, u64::saturating_add)
    }

    /// Whether the set holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.values().all(Vec::is_empty)
    }
}

impl FromStr for GtidSet {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut set = Self::default();
        for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            let bad = || ParseError { text: text.to_owned(), part: part.to_owned() };
            let (server, intervals) = part.split_once(':').ok_or_else(bad)?;
            for interval in intervals.split(':') {
                let (from, to) = interval.split_once('-').unwrap_or((interval, interval));
                let from: u64 = from.trim().parse().map_err(|_| bad())?;
                let to: u64 = to.trim().parse().map_err(|_| bad())?;
                if from == 0 || to < from || server.is_empty() {
                    return Err(bad());
                }
                set.add(server, from, to);
            }
        }
        Ok(set)
    }
}

impl fmt::Display for GtidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (server, intervals)) in self.0.iter().filter(|(_, v)| !v.is_empty()).enumerate() {
            write!(f, "{}{server}", if i == 0 { "" } else { "," })?;
            for &(from, to) in intervals {
                if from == to { write!(f, ":{from}")? } else { write!(f, ":{from}-{to}")? }
            }
        }
        Ok(())
    }
}

impl TryFrom<String> for GtidSet {
    type Error = ParseError;

    fn try_from(s: String) -> Result<Self, ParseError> {
        s.parse()
    }
}

impl From<GtidSet> for String {
    fn from(set: GtidSet) -> Self {
        set.to_string()
    }
}
