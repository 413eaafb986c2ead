//! Which faults are played, and how many of them.
//!
//! Owns the names of the fault model. Must not know how a fault is played.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// A fault of the fault model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Conflicts (409), some in a row.
    A1,
    /// 429 with and without `Retry-After`, 500, 503, 504, in bursts.
    A2,
    /// A write is committed but its answer is lost.
    A3,
    /// A write is answered as failed and applied minutes later.
    A4,
    /// A watch is dropped, or silently stalls.
    A5,
    /// History is compacted: 410, a new list.
    A6,
    /// Lists, reads and watches tell an older state.
    A7,
    /// The cache lacks our own last write: a watch stalls while answers are lost.
    A8,
    /// Watch events come late, merged, twice, and out of order across kinds.
    A9,
    /// The host is killed before or after a write, or during a reparent; twice in a row at times.
    H1,
    /// A node is lost, or a mysqld killed.
    N1,
    /// A zone is lost, or comes and goes.
    N2,
    /// A zone is cut off from the control plane.
    N3,
    /// Two zones do not reach each other.
    N4,
    /// An applier stops while its replica acknowledges.
    D3,
    /// An applier lags.
    D5,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 16] = [
        Self::A1,
        Self::A2,
        Self::A3,
        Self::A4,
        Self::A5,
        Self::A6,
        Self::A7,
        Self::A8,
        Self::A9,
        Self::H1,
        Self::N1,
        Self::N2,
        Self::N3,
        Self::N4,
        Self::D3,
        Self::D5,
    ];
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// No fault has that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no fault; there are A1 to A9, H1, N1 to N4, D3, D5")]
pub struct NoSuchFault(String);

impl FromStr for Fault {
    type Err = NoSuchFault;

    fn from_str(text: &str) -> Result<Self, NoSuchFault> {
        Self::ALL.into_iter().find(|f| f.to_string() == text).ok_or_else(|| NoSuchFault(text.to_owned()))
    }
}

/// The faults of a run. A day has a fault of a place every so often, and episodes of
/// bad answers mostly while the host is busy with one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mix {
    /// Which.
    pub faults: BTreeSet<Fault>,
    /// Mean milliseconds between the beginnings of two faults of the world.
    pub spacing_ms: i64,
    /// The most episodes of one fault of the API server, or kills of the host, in a day.
    pub episodes: u64,
    /// In so many of a hundred seeds two places may be lost at once.
    pub overlapping_percent: u64,
}

impl Default for Mix {
    /// Everything but what lies between and inside the databases (N4, D3, D5).
    fn default() -> Self {
        let beyond = [Fault::N4, Fault::D3, Fault::D5];
        Self::only(Fault::ALL.into_iter().filter(|f| !beyond.contains(f)))
    }
}

impl Mix {
    /// No faults.
    #[must_use]
    pub fn calm() -> Self {
        Self::only([])
    }

    /// Only these, as often as in the default mix.
    #[must_use]
    pub fn only(faults: impl IntoIterator<Item = Fault>) -> Self {
        Self {
            faults: faults.into_iter().collect(),
            spacing_ms: 3_600_000,
            episodes: 6,
            overlapping_percent: 12,
        }
    }

    /// Whether the fault is in.
    #[must_use]
    pub fn has(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for fault in Fault::ALL {
            assert_eq!(fault.to_string().parse(), Ok(fault));
        }
        let no = "B1".parse::<Fault>().unwrap_err();
        assert!(no.to_string().contains("B1"), "{no}");
        assert!(
            Mix::calm().faults.is_empty() && Mix::default().has(Fault::A9) && !Mix::default().has(Fault::D5)
        );
    }
}
