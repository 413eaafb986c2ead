//! The world's clock: a chosen epoch plus what tokio's clock says has passed.
//!
//! Under a paused tokio runtime this is virtual time; elsewhere it runs with the machine.
//! It must not know who asks, and it never reads the wall clock.

use jiff::Timestamp;
use tokio::time::{Duration, Instant};

/// A clock that starts at a chosen instant and advances with `tokio::time`.
#[derive(Clone, Debug)]
pub struct Clock {
    epoch_ms: i64,
    started: Instant,
}

impl Clock {
    /// A clock that shows `epoch_ms` (Unix time, milliseconds) now.
    pub fn starting_at(epoch_ms: i64) -> Self {
        Self { epoch_ms, started: Instant::now() }
    }

    /// Unix time in milliseconds.
    pub fn now_ms(&self) -> i64 {
        let passed = self.started.elapsed().as_millis();
        self.epoch_ms + i64::try_from(passed).unwrap_or(i64::MAX / 2)
    }

    /// RFC 3339 in UTC with second precision, as Kubernetes writes `metav1.Time`.
    pub fn timestamp(&self) -> String {
        timestamp_of(self.now_ms())
    }

    /// RFC 3339 in UTC with six decimals, as Kubernetes writes `metav1.MicroTime`.
    pub fn micro_timestamp(&self) -> String {
        let at = instant_or_epoch(self.now_ms());
        at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
    }

    /// The tokio instant at which this clock shows `ms`; an instant before the start is the start.
    pub fn instant_of(&self, ms: i64) -> Instant {
        let ahead = u64::try_from(ms - self.epoch_ms).unwrap_or(0);
        self.started + Duration::from_millis(ahead)
    }
}

/// RFC 3339 in UTC with second precision of a Unix time in milliseconds.
pub fn timestamp_of(ms: i64) -> String {
    instant_or_epoch(ms).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Unix time in milliseconds of an RFC 3339 text; `None` if it is not one.
pub fn parse_timestamp(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}

fn instant_or_epoch(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn virtual_time_moves_the_clock() {
        let clock = Clock::starting_at(1_700_000_000_000);
        assert_eq!(clock.timestamp(), "2023-11-14T22:13:20Z");
        tokio::time::advance(Duration::from_millis(61_250)).await;
        assert_eq!(clock.now_ms(), 1_700_000_061_250);
        assert_eq!(clock.micro_timestamp(), "2023-11-14T22:14:21.250000Z");
        assert_eq!(parse_timestamp(&clock.timestamp()), Some(1_700_000_061_000));
        let later = clock.instant_of(1_700_000_062_250);
        assert_eq!(later - Instant::now(), Duration::from_secs(1));
    }
}
