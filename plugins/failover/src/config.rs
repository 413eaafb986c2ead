//! What may be configured of the failover policy.

use pilothouse_sdk::ConfigError;
use schemars::JsonSchema;
use serde::Deserialize;

/// Configuration of the failover policy. All spans are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// A primary must have been silent for this long before it is replaced.
    /// Each answer in between starts the count anew.
    #[schemars(range(min = 500, max = 600_000))]
    pub confirm_after_ms: u64,
    /// The same for a primary of which somebody who is there says that its MySQL is gone: its own vttablet,
    /// or its machine, where nobody listens any more.
    #[schemars(range(min = 0, max = 600_000))]
    pub confirm_gone_ms: u64,
    /// A primary named less than this ago is not replaced: topology, replicas and
    /// probes take some seconds to agree on the last change.
    #[schemars(range(min = 0, max = 600_000))]
    pub settle_ms: u64,
    /// A living primary named less than this ago is not moved.
    #[schemars(range(min = 0, max = 3_600_000))]
    pub planned_pace_ms: u64,
    /// A replica further behind than this does not take over from a living primary.
    /// The host admits no more than 10 s.
    #[schemars(range(min = 1, max = 10_000))]
    pub max_lag_ms: u64,
    /// Cells that primaries should be in, best first; empty: wherever they are is well.
    pub preferred_cells: Vec<String>,
    /// Primary and preferred cell's zone must have stayed as they are for this long
    /// before a primary is moved only because of `preferredCells`.
    #[schemars(range(min = 60_000, max = 604_800_000))]
    pub prefer_after_ms: u64,
    /// How long a proposed reparent may still be begun.
    #[schemars(range(min = 1_000, max = 600_000))]
    pub ttl_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            confirm_after_ms: 5_000,
            confirm_gone_ms: 500,
            settle_ms: 20_000,
            planned_pace_ms: 60_000,
            max_lag_ms: 10_000,
            preferred_cells: Vec::new(),
            prefer_after_ms: 900_000,
            ttl_ms: 30_000,
        }
    }
}

impl Config {
    /// What a schema cannot say.
    #[must_use]
    pub fn check(&self) -> Vec<ConfigError> {
        let mut wrong = Vec::new();
        for (i, cell) in self.preferred_cells.iter().enumerate() {
            let field = format!("preferredCells[{i}]");
            if cell.is_empty() {
                wrong.push(ConfigError { field, message: "a cell's name is not empty".to_owned() });
            } else if self.preferred_cells[..i].contains(cell) {
                wrong.push(ConfigError { field, message: format!("{cell} is named twice") });
            }
        }
        if self.confirm_gone_ms > self.confirm_after_ms {
            wrong.push(ConfigError {
                field: "confirmGoneMs".to_owned(),
                message: format!(
                    "{} is more than confirmAfterMs, {}: who is known to be gone needs no longer than who is silent",
                    self.confirm_gone_ms, self.confirm_after_ms
                ),
            });
        }
        if self.prefer_after_ms < self.planned_pace_ms {
            wrong.push(ConfigError {
                field: "preferAfterMs".to_owned(),
                message: format!(
                    "{} is less than plannedPaceMs, {}: a preference is no reason to move sooner than a drain",
                    self.prefer_after_ms, self.planned_pace_ms
                ),
            });
        }
        wrong
    }

    /// How well a cell is liked: 0 is best.
    #[must_use]
    pub fn preference(&self, cell: &str) -> usize {
        self.preferred_cells.iter().position(|c| c == cell).unwrap_or(self.preferred_cells.len())
    }
}
