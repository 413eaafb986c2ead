//! The provider's rule on how often one volume may change: at least 6 h between
//! changes, and at most 4 in a rolling 24 h (source: the EC2 guide on modifying
//! EBS volumes, both its older and its newer wording, whichever is stricter).

/// Milliseconds in an hour.
pub const HOUR_MS: u64 = 3_600_000;
/// The least time between two changes.
pub const SPACING_MS: u64 = 6 * HOUR_MS;
/// The window that changes are counted in.
pub const WINDOW_MS: u64 = 24 * HOUR_MS;
/// How many changes a window may hold.
pub const PER_WINDOW: usize = 4;

/// The earliest time at which a volume with these changes (sorted, newest last) may change again.
#[must_use]
pub fn allowed_at(changes: &[u64]) -> u64 {
    let spaced = changes.iter().max().map_or(0, |last| last.saturating_add(SPACING_MS));
    let counted = changes.len().checked_sub(PER_WINDOW).map_or(0, |i| changes[i].saturating_add(WINDOW_MS));
    spaced.max(counted)
}

/// How long a change made at `as_of` has to last until another may follow, in milliseconds.
#[must_use]
pub fn wait_after(changes: &[u64], as_of: u64) -> u64 {
    let mut with_this = changes.to_vec();
    with_this.push(as_of);
    allowed_at(&with_this).saturating_sub(as_of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(hours: &[u64], allowed: u64, wait_from_24: u64) {
        let changes: Vec<u64> = hours.iter().map(|h| h * HOUR_MS).collect();
        assert_eq!(allowed_at(&changes), allowed * HOUR_MS, "allowed after {hours:?}");
        assert_eq!(wait_after(&changes, 24 * HOUR_MS), wait_from_24 * HOUR_MS, "wait after {hours:?} and 24");
    }

    #[test]
    fn both_wordings_of_the_rule_hold() {
        check(&[], 0, 6);
        check(&[10], 16, 6);
        check(&[0, 6, 12, 18], 24, 6);
        check(&[5, 6, 7], 13, 6);
        check(&[15, 16, 17], 23, 15);
        check(&[1, 2, 3, 4], 25, 6);
        check(&[0, 15, 16, 17, 18], 39, 16);
    }
}
