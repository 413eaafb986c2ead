//! What may be configured of the placement policy.

use pilothouse_sdk::ConfigError;
use schemars::JsonSchema;
use serde::Deserialize;

/// Configuration of the placement policy. All spans are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// A cluster whose cells cannot stand in this many zones is refused. Lower it for development only.
    #[schemars(range(min = 1, max = 16))]
    pub min_zones: u32,
    /// A zone must have been lost for this long before anything stands in for it.
    #[schemars(range(min = 0, max = 86_400_000))]
    pub surge_after_ms: u64,
    /// A zone must have been healthy again for this long before stand-ins go.
    #[schemars(range(min = 60_000, max = 604_800_000))]
    pub return_after_ms: u64,
    /// At most this many surge tablets, of all shards together, in one cell.
    #[schemars(range(min = 0, max = 10_000))]
    pub max_surge_per_cell: u32,
    /// A tablet that came home counts as caught up within this lag. The host admits no more than 10 s.
    #[schemars(range(min = 1, max = 10_000))]
    pub max_lag_ms: u64,
    /// How cells without a zone are spread.
    pub spread: Spread,
    /// How long a proposed step may still be begun.
    #[schemars(range(min = 1_000, max = 600_000))]
    pub ttl_ms: u64,
}

/// How cells that the manifest gives no zone are put into zones.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Spread {
    /// Only these zones are used; empty: every healthy zone that has ready nodes.
    pub zones: Vec<String>,
    /// At most this many cells of the cluster in one zone; absent: as even as it goes.
    #[schemars(range(min = 1))]
    pub max_cells_per_zone: Option<u32>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            min_zones: 3,
            surge_after_ms: 60_000,
            return_after_ms: 600_000,
            max_surge_per_cell: 64,
            max_lag_ms: 10_000,
            spread: Spread::default(),
            ttl_ms: 60_000,
        }
    }
}

impl Config {
    /// What a schema cannot say.
    #[must_use]
    pub fn check(&self) -> Vec<ConfigError> {
        let mut wrong = Vec::new();
        let zones = &self.spread.zones;
        for (i, zone) in zones.iter().enumerate() {
            let field = format!("spread.zones[{i}]");
            if zone.is_empty() {
                wrong.push(ConfigError { field, message: "a zone's name is not empty".to_owned() });
            } else if zones[..i].contains(zone) {
                wrong.push(ConfigError { field, message: format!("{zone} is named twice") });
            }
        }
        if !zones.is_empty() && u32::try_from(zones.len()).is_ok_and(|n| n < self.min_zones) {
            let message = format!("{} zones cannot hold minZones, {}", zones.len(), self.min_zones);
            wrong.push(ConfigError { field: "spread.zones".to_owned(), message });
        }
        wrong
    }
}
