//! Processor time of this thread, the least of many rounds.

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// Rounds of each measurement.
pub(crate) const ROUNDS: u32 = 40;

/// Processor time that this thread has had.
pub(crate) fn spent() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(time.tv_sec.unsigned_abs(), nanos)
}

/// The least microseconds for one of `what`, over rounds of `many` in a row.
pub(crate) fn least(many: u32, mut what: impl FnMut()) -> f64 {
    let round = |_| {
        let begun = spent();
        for _ in 0..many {
            what();
        }
        spent() - begun
    };
    let least = (0..ROUNDS).map(round).min().unwrap_or_default();
    least.as_secs_f64() * 1e6 / f64::from(many)
}

/// One line of the table.
pub(crate) fn line(name: &str, micros: f64, beside: &str) {
    println!("{name:<62} {micros:>9.2} us  {beside}");
}
