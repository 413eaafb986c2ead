//! The host's only clock: Unix milliseconds that advance with tokio's time.
//!
//! Real in `run` and `dev`, virtual under a paused runtime. Nothing else in the
//! host may ask for the time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use pilothouse_core::Millis;
use tokio::time::Instant;

/// Tells the time in Unix milliseconds.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Millis + Send + Sync>);

impl Clock {
    /// The machine's clock, which is set back at times: this one only slows down then.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    pub fn system() -> Self {
        let steady = Mutex::<Steady>::default();
        Self(Arc::new(move || {
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let wall = Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX);
            steady.lock().unwrap_or_else(PoisonError::into_inner).show(wall, Instant::now())
        }))
    }

    /// A clock that somebody else keeps.
    pub fn from_fn(now: impl Fn() -> Millis + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Unix milliseconds.
    #[must_use]
    pub fn now(&self) -> Millis {
        (self.0)()
    }

    /// The moment on tokio's time that is now: for spans that no step of a wall clock may stretch.
    #[must_use]
    pub fn instant(&self) -> Instant {
        Instant::now()
    }

    /// The moment on tokio's time at which this clock will show `at`; now, if it already did.
    #[must_use]
    pub fn instant_of(&self, at: Millis) -> Instant {
        Instant::now() + Duration::from_millis(at.saturating_sub(self.now()))
    }
}

/// A wall clock that never goes back. Where that one was set back, this goes on at half its pace until the other has
/// caught up: whoever waits for a span waits for twice as long at most, and not for all that it was set back by.
#[derive(Debug, Default)]
pub struct Steady {
    /// When both were last the same, and what they showed.
    same: Option<(Millis, Instant)>,
}

impl Steady {
    /// What is shown at a moment at which the wall clock shows `wall`.
    pub fn show(&mut self, wall: Millis, at: Instant) -> Millis {
        let behind = self.same.map_or(wall, |(shown, then)| {
            let went = Millis::try_from(at.duration_since(then).as_millis()).unwrap_or(Millis::MAX);
            shown.saturating_add(went / 2)
        });
        if wall >= behind {
            self.same = Some((wall, at));
        }
        wall.max(behind)
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

/// RFC 3339 with whole seconds, as Kubernetes writes times.
#[must_use]
pub fn rfc3339(at: Millis) -> String {
    let seconds = i64::try_from(at / 1_000).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).map_or_else(|_| String::new(), |t| t.to_string())
}

/// Unix milliseconds of an RFC 3339 time; `None` if it is none.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<Millis> {
    let timestamp: jiff::Timestamp = text.parse().ok()?;
    Millis::try_from(timestamp.as_millisecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_slows_down_until_the_wall_has_caught_up() {
        let (began, mut steady) = (Instant::now(), Steady::default());
        for (after, wall, shown) in [
            (0, 10_000, 10_000),
            (1_000, 11_000, 11_000),
            (2_000, 8_000, 11_500), // set back by 4 s
            (4_000, 10_000, 12_500),
            (4_001, 10_001, 12_500),
            (9_000, 15_000, 15_000),
            (9_500, 15_500, 15_500),
            (10_000, 3_600_000, 3_600_000), // set forward
            (12_000, 3_601_000, 3_601_000), // half as fast by itself
        ] {
            assert_eq!(steady.show(wall, began + Duration::from_millis(after)), shown, "after {after} ms");
        }
    }
}
