//! How full tablets' volumes are, and how fast they fill, from what each tells now and then.
//!
//! Pure: times come in. A volume that has less in it than an hour ago was grown, or cleared, and is measured anew.

use std::collections::{BTreeMap, VecDeque};

use pilothouse_core::Millis;
use pilothouse_core::topology::TabletAlias;

use super::DiskShare;

/// How fast it fills is a matter of the last hour.
const MEASURED_OVER_MS: Millis = 3_600_000;
/// Less than that says nothing of an hour.
const MEASURED_FROM_MS: Millis = 600_000;
/// What was told so long ago is not known any more.
const KNOWN_FOR_MS: Millis = 300_000;

/// What each tablet told, oldest first, in millionths.
#[derive(Debug, Default)]
pub(super) struct Disks(BTreeMap<TabletAlias, VecDeque<(Millis, u32)>>);

impl Disks {
    /// A tablet told how much is used.
    pub(super) fn told(&mut self, alias: &TabletAlias, used: u32, now: Millis) {
        let told = self.0.entry(alias.clone()).or_default();
        while told.front().is_some_and(|(at, _)| now.saturating_sub(*at) > MEASURED_OVER_MS) {
            told.pop_front();
        }
        if told.front().is_some_and(|(_, before)| *before > used) {
            told.clear();
        }
        told.push_back((now, used));
    }

    /// Only those are left.
    pub(super) fn retain(&mut self, is_there: impl Fn(&TabletAlias) -> bool) {
        self.0.retain(|alias, _| is_there(alias));
    }

    /// How full a tablet's volume is, if it told that lately.
    pub(super) fn share(&self, alias: &TabletAlias, now: Millis) -> Option<DiskShare> {
        let told = self.0.get(alias)?;
        let (&(began, least), &(at, used)) = (told.front()?, told.back()?);
        if now.saturating_sub(at) > KNOWN_FOR_MS {
            return None;
        }
        let took = at.saturating_sub(began);
        let more = u64::from(used.saturating_sub(least)) * MEASURED_OVER_MS;
        let fill_per_hour = if took < MEASURED_FROM_MS { 0 } else { more / took };
        Some(DiskShare { used, fill_per_hour: u32::try_from(fill_per_hour).unwrap_or(u32::MAX) })
    }
}

#[cfg(test)]
mod tests {
    use pilothouse_core::topology::Cell;

    use super::*;

    const MINUTE: Millis = 60_000;

    #[test]
    fn how_fast_a_volume_fills_is_a_matter_of_its_last_hour() {
        let alias = TabletAlias { cell: Cell("zone1".to_owned()), uid: 1 };
        let mut disks = Disks::default();
        let mut tell = |minute: Millis, used: u32| {
            disks.told(&alias, used, minute * MINUTE);
            let share = disks.share(&alias, minute * MINUTE).expect("just told");
            (share.used, share.fill_per_hour)
        };
        assert_eq!(tell(0, 100_000), (100_000, 0));
        assert_eq!(tell(9, 109_000), (109_000, 0), "too short a time");
        assert_eq!(tell(10, 110_000), (110_000, 60_000));
        assert_eq!(tell(60, 110_000), (110_000, 10_000));
        assert_eq!(tell(75, 110_000), (110_000, 0), "what filled it is more than an hour ago");
        assert_eq!(tell(80, 55_000), (55_000, 0), "it was grown");
        assert_eq!(tell(100, 65_000), (65_000, 30_000));
        assert_eq!(
            disks.share(&alias, 105 * MINUTE),
            Some(DiskShare { used: 65_000, fill_per_hour: 30_000 })
        );
        assert_eq!(disks.share(&alias, 106 * MINUTE), None, "too long ago");
        disks.retain(|_| false);
        assert_eq!(disks.share(&alias, 100 * MINUTE), None);
    }
}
