//! What an operator may set, and what of it contradicts itself.

use pilothouse_sdk::ConfigError;
use pilothouse_sdk::time::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rate::SPACING_MS;

/// One gibibyte: sizes are asked for in whole ones.
pub const GIB: u64 = 1 << 30;

/// When volumes grow, how much, and how far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// A volume grows once this share of its capacity is used, in percent.
    #[schemars(range(min = 1, max = 99))]
    pub used_percent: u8,
    /// A volume grows once it would be full within this span at its present fill rate.
    /// At least 6h: sooner the provider may not let it change again.
    pub horizon: Span,
    /// A growth multiplies the size by at least this, rounded up to whole GiB.
    #[schemars(range(min = 1.05, max = 10.0))]
    pub growth_factor: f64,
    /// No volume becomes larger than this many bytes; a volume's own maximum holds besides.
    #[schemars(range(min = 1_073_741_824))]
    pub maximum_bytes: Option<u64>,
    /// All volumes of the cluster together never ask for more than this many bytes.
    #[schemars(range(min = 1_073_741_824))]
    pub budget_bytes: Option<u64>,
    /// Whether replicas of the same shard and pool type grow along, so that any of them can hold the data.
    pub even_out: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            used_percent: 80,
            horizon: Span::hours(24),
            growth_factor: 1.5,
            maximum_bytes: None,
            budget_bytes: None,
            even_out: true,
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
        if !(1..=99).contains(&self.used_percent) {
            wrong("usedPercent", format!("{} is not between 1 and 99", self.used_percent));
        }
        if self.horizon.ms() < SPACING_MS {
            wrong(
                "horizon",
                format!("{} is shorter than the 6h between two changes of a volume", self.horizon),
            );
        }
        if !(1.05..=10.0).contains(&self.growth_factor) {
            wrong("growthFactor", format!("{} is not between 1.05 and 10", self.growth_factor));
        }
        for (field, bytes) in [("maximumBytes", self.maximum_bytes), ("budgetBytes", self.budget_bytes)] {
            if bytes.is_some_and(|bytes| bytes < GIB) {
                wrong(field, "less than 1 GiB (1073741824)".to_owned());
            }
        }
        if let (Some(maximum), Some(budget)) = (self.maximum_bytes, self.budget_bytes)
            && maximum > budget
        {
            wrong(
                "maximumBytes",
                format!("{maximum} is more than budgetBytes, {budget}, lets one volume have"),
            );
        }
        found
    }
}
