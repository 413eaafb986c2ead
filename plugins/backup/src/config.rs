//! What an operator may set, and what of it contradicts itself.

use pilothouse_sdk::ConfigError;
use pilothouse_sdk::time::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When backups are taken, and how long they are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// A shard is backed up when the start of its newest complete backup is older than this.
    pub max_age: Span,
    /// Besides, a shard is backed up once in every such span (`24h`: daily), at a time of its own
    /// within the span, which follows from its name, so that a fleet does not start all at once.
    /// Not longer than `maxAge`.
    pub every: Option<Span>,
    /// How much older than `maxAge` the newest backup, or the newest proof of one, may be before a warning.
    pub slack: Span,
    /// How long to wait after a run that failed.
    pub retry_after: Span,
    /// A run that takes longer than this gets a warning.
    pub long_run: Span,
    /// Every point within this span stays covered: what is older goes once a newer verified
    /// backup reaches back as far. Not shorter than `maxAge`.
    pub retention: Span,
    /// At least so many complete backups of a shard are kept, whatever their age.
    #[schemars(range(min = 1, max = 1000))]
    pub minimum_kept: u32,
    /// Whether a tablet that has what its primary never had is made anew from a backup, where the host sees that no
    /// client was told of it and that others have the rest.
    pub rebuild_errant: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_age: Span::hours(24),
            every: None,
            slack: Span::hours(6),
            retry_after: Span::minutes(30),
            long_run: Span::hours(6),
            retention: Span::days(7),
            minimum_kept: 3,
            rebuild_errant: true,
        }
    }
}

impl Config {
    /// What is wrong with it; empty when it is usable.
    #[must_use]
    pub fn problems(&self) -> Vec<ConfigError> {
        let mut found = Vec::new();
        let mut wrong =
            |field: &str, message: String| found.push(ConfigError { field: field.to_owned(), message });
        if let Some(every) = self.every
            && every > self.max_age
        {
            wrong("every", format!("{every} is longer than maxAge, {}", self.max_age));
        }
        if self.retry_after > self.max_age {
            wrong("retryAfter", format!("{} is longer than maxAge, {}", self.retry_after, self.max_age));
        }
        if self.retention < self.max_age {
            wrong("retention", format!("{} is shorter than maxAge, {}", self.retention, self.max_age));
        }
        if !(1..=1_000).contains(&self.minimum_kept) {
            wrong("minimumKept", format!("{} is not between 1 and 1000", self.minimum_kept));
        }
        found
    }
}
