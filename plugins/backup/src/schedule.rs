//! When a shard's next backup is due: by age, and by a slot of its own.

use crate::config::Config;

/// Why, and since when, a backup is due; or when it will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Now: the newest backup is older than `maxAge`.
    Age,
    /// Now: a slot has begun since the newest backup started; the slot's time.
    Slot(u64),
    /// Not before this time.
    At(u64),
}

/// Whether a shard whose newest complete backup started at `newest` is due at `as_of`.
#[must_use]
pub fn due(newest: u64, as_of: u64, shard: &str, config: &Config) -> Due {
    let by_age = newest.saturating_add(config.max_age.ms());
    if by_age <= as_of {
        return Due::Age;
    }
    let Some(every) = config.every.map(pilothouse_sdk::time::Span::ms) else {
        return Due::At(by_age);
    };
    let slot = slot_at(as_of, every, shard);
    if slot.is_some_and(|slot| slot > newest) {
        return Due::Slot(slot.unwrap_or(as_of));
    }
    let next = slot.map_or(phase(every, shard), |slot| slot.saturating_add(every));
    Due::At(next.min(by_age))
}

/// The beginning of the slot that `as_of` lies in; absent before the very first one.
fn slot_at(as_of: u64, every: u64, shard: &str) -> Option<u64> {
    let since = as_of.checked_sub(phase(every, shard))?;
    Some(as_of - since % every)
}

/// Where in every span the shard's slots begin: FNV-1a of its name.
fn phase(every: u64, shard: &str) -> u64 {
    let hash = shard
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    hash % every
}

#[cfg(test)]
mod tests {
    use pilothouse_sdk::time::Span;

    use super::*;

    const HOUR: u64 = 3_600_000;
    const DAY: u64 = 24 * HOUR;

    #[track_caller]
    fn check(every: Option<Span>, newest: u64, as_of: u64, expected: Due) {
        let config = Config { every, ..Config::default() };
        assert_eq!(due(newest, as_of, "ns/c/commerce/-", &config), expected);
    }

    #[test]
    fn by_age_alone() {
        check(None, 10 * DAY, 11 * DAY - 1, Due::At(11 * DAY));
        check(None, 10 * DAY, 11 * DAY, Due::Age);
        check(None, 11 * DAY, 10 * DAY, Due::At(12 * DAY)); // a clock that jumped back
    }

    #[test]
    fn by_slot_and_by_age_when_a_slot_was_missed() {
        let every = Some(Span::hours(6));
        let start = phase(6 * HOUR, "ns/c/commerce/-");
        let slot = 10 * DAY + start;
        check(every, slot - HOUR, slot - 1, Due::At(slot));
        check(every, slot - HOUR, slot, Due::Slot(slot));
        check(every, slot - HOUR, slot + 5 * HOUR, Due::Slot(slot));
        check(every, slot, slot + HOUR, Due::At(slot + 6 * HOUR));
        check(every, slot - DAY, slot + HOUR, Due::Age);
        check(every, 0, start / 2, Due::At(start));
    }

    #[test]
    fn a_fleet_spreads_over_the_span() {
        let mut hours = [0_u32; 24];
        for shard in 0..240 {
            let slot = phase(DAY, &format!("prod/db{shard}/commerce/-")) / HOUR;
            hours[usize::try_from(slot).expect("below 24")] += 1;
        }
        assert!(hours.iter().all(|&n| (1..=30).contains(&n)), "{hours:?}");
    }
}
