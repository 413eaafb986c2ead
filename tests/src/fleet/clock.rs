//! The host's clock, where it is not what all others show (H3).

use std::time::Duration;

use pilothouse::clock::Steady;
use pilothouse_core::Millis;
use tokio::time::Instant;

/// How the wall clock of the host's machine goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wall {
    /// How fast, in hundredths.
    pub percent: u64,
    /// When it is set, and by how much, in milliseconds.
    pub set: Option<(Millis, i64)>,
    /// It was right then.
    pub since: Millis,
}

impl Default for Wall {
    fn default() -> Self {
        Self { percent: 100, set: None, since: 0 }
    }
}

impl Wall {
    fn shows(&self, at: Millis) -> Millis {
        let by = self.set.filter(|(when, _)| *when <= at).map_or(0, |(_, by)| by);
        (self.since + at.saturating_sub(self.since) * self.percent / 100).saturating_add_signed(by)
    }

    /// What the host takes for the time.
    pub(super) fn told(&self, at: Millis) -> Millis {
        if *self == Self::default() {
            return at;
        }
        let mut steady = Steady::default();
        let began = Instant::now();
        let mut show = |at: Millis| {
            steady.show(self.shows(at), began + Duration::from_millis(at.saturating_sub(self.since)))
        };
        if let Some((when, _)) = self.set.filter(|(when, _)| *when <= at) {
            show(when - 1);
        }
        show(at)
    }

    /// How long it takes until so much has gone by for the host; it sleeps by a clock that nobody sets.
    pub(super) fn wait(&self, from: Millis, span: Millis) -> Millis {
        let until = self.told(from).saturating_add(span);
        let mut waited = span;
        while let short @ 1.. = until.saturating_sub(self.told(from.saturating_add(waited))) {
            waited += short;
        }
        waited
    }
}
