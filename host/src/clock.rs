//! The host's only clock: Unix milliseconds that advance with tokio's time.
//!
//! Real in `run` and `dev`, virtual under a paused runtime. Nothing else in the
//! host may ask for the time.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use pilothouse_core::Millis;
use tokio::time::Instant;

/// Tells the time in Unix milliseconds.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Millis + Send + Sync>);

impl Clock {
    /// The machine's clock.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    pub fn system() -> Self {
        Self(Arc::new(|| {
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
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
