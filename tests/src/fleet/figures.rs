//! A run's figures as lines for people.

use std::fmt;

use pilothouse_core::Millis;

use super::drive::Run;

/// How spans are spread, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spread {
    /// Half of them take no longer.
    pub half: Millis,
    /// 99 of a hundred take no longer.
    pub most: Millis,
    /// The longest.
    pub last: Millis,
}

impl Spread {
    /// Of spans, least first; all zero where there are none.
    #[must_use]
    pub fn of(sorted: &[Millis]) -> Self {
        let at = |percent: usize| {
            let nth = (sorted.len() * percent).div_ceil(100).max(1);
            sorted.get(nth - 1).copied().unwrap_or_default()
        };
        Self { half: at(50), most: at(99), last: at(100) }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |ms: Millis| format!("{}.{}", ms / 1_000, ms % 1_000 / 100);
        let (half, most, last) = (seconds(self.half), seconds(self.most), seconds(self.last));
        write!(f, "{half:>7} {most:>7} {last:>7}")
    }
}

/// The head of a table of runs.
#[must_use]
pub fn head() -> String {
    let columns = format!(
        "{:>7} {:>7} {:>7} {:>8} {:>7} {:>9}",
        "p50", "p99", "last", "needless", "refused", "requests"
    );
    format!("{:<58} {:>11} {columns}", "seconds from a zone's loss to a new primary", "replaced")
}

/// A run's line in it.
#[must_use]
pub fn line(name: &str, run: &Run) -> String {
    let replaced = format!("{}/{}", run.took.len(), run.lost);
    let Run { needless, twice, refused, requests, .. } = run;
    let needless = needless + *twice as u64;
    let spread = Spread::of(&run.took);
    format!("{name:<58} {replaced:>11} {spread} {needless:>8} {refused:>7} {requests:>9}")
}
