//! A run's figures as lines for people.

use std::fmt;

use pilothouse_core::Millis;

use super::drive::Run;

/// How spans are spread, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spread {
    /// Half of them take no longer.
    pub half: Millis,
    /// 90 of a hundred take no longer.
    pub many: Millis,
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
        Self { half: at(50), many: at(90), most: at(99), last: at(100) }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |ms: Millis| format!("{}.{:02}", ms / 1_000, ms % 1_000 / 10);
        let [half, many, most, last] = [self.half, self.many, self.most, self.last].map(seconds);
        write!(f, "{half:>7} {many:>7} {most:>7} {last:>7}")
    }
}

/// The head of a table of runs.
#[must_use]
pub fn head() -> String {
    let columns = format!(
        "{:>7} {:>7} {:>7} {:>7} {:>8} {:>7} {:>9}",
        "p50", "p90", "p99", "last", "needless", "refused", "requests"
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

/// How far apart two distributions are at most, in hundredths: for each span, the share of either that took no
/// longer (Kolmogorov and Smirnov's distance). Spans come least first.
#[must_use]
pub fn apart_percent(one: &[Millis], other: &[Millis]) -> usize {
    let share = |sorted: &[Millis], span: Millis| {
        sorted.partition_point(|took| *took <= span) * 100 / sorted.len().max(1)
    };
    let spans = one.iter().chain(other);
    spans.map(|span| share(one, *span).abs_diff(share(other, *span))).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distributions_are_compared_over_all_their_spans() {
        for (one, other, percent) in [
            (&[1, 2, 3, 4][..], &[1, 2, 3, 4][..], 0),
            (&[1, 2, 3, 4], &[1, 2, 3, 9], 25),
            (&[1, 2, 3, 4], &[3, 4, 5, 6], 50),
            (&[1, 2], &[3, 4], 100),
            (&[5; 10], &[5], 0),
        ] {
            assert_eq!(apart_percent(one, other), percent, "{one:?} {other:?}");
            assert_eq!(apart_percent(other, one), percent, "{other:?} {one:?}");
        }
    }
}
