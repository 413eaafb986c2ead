//! How changes reach running Pods, and what of the topology we keep in order.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When changes that restart something take effect.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpdateStrategy {
    /// External when absent.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<UpdateStrategyType>,
    /// What External lets through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalUpdateOptions>,
}

impl UpdateStrategy {
    /// The strategy, with its default.
    #[must_use]
    pub fn effective(strategy: Option<&Self>) -> UpdateStrategyType {
        strategy.and_then(|s| s.kind).unwrap_or_default()
    }

    /// Whether External lets volumes grow at once.
    #[must_use]
    pub fn lets_storage_change(strategy: Option<&Self>) -> bool {
        strategy
            .and_then(|s| s.external.as_ref())
            .is_some_and(|e| e.allow_resource_changes.iter().any(|r| r == "storage"))
    }
}

/// Who releases a change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum UpdateStrategyType {
    /// Somebody outside, by annotation.
    #[default]
    External,
    /// The host, tablet by tablet.
    Immediate,
}

/// What External lets through.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalUpdateOptions {
    /// Resources (`storage`) whose changes need no release.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow_resource_changes: Vec<String>,
}

/// Which topology records we register and prune; each is true when absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TopologyReconciliation {
    /// Register the alias that holds all cells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub register_cells_aliases: Option<bool>,
    /// Register cells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub register_cells: Option<bool>,
    /// Prune cells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prune_cells: Option<bool>,
    /// Prune keyspaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prune_keyspaces: Option<bool>,
    /// Prune serving graphs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prune_srv_keyspaces: Option<bool>,
    /// Prune shards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prune_shards: Option<bool>,
    /// Prune a shard's cells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prune_shard_cells: Option<bool>,
    /// Prune tablets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prune_tablets: Option<bool>,
}
