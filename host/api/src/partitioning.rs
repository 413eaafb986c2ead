//! How a keyspace is split into shards, and what each shard is made of.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::key_ranges;
use crate::omit::is_default;
use crate::pod_overrides::SecretSource;
use crate::schema;
use crate::tablet_pool::TabletPool;

/// One way to split a keyspace: exactly one of the two fields.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Partitioning {
    /// Shards of equal size and shape.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equal: Option<EqualPartitioning>,
    /// Shards written out one by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom: Option<CustomPartitioning>,
}

impl Partitioning {
    /// Its shards with what each is made of, in order.
    ///
    /// # Errors
    /// When an equal partitioning has no key ranges.
    pub fn shards(&self) -> Result<Vec<(KeyRangeSpec, &ShardTemplate)>, key_ranges::Error> {
        if let Some(equal) = &self.equal {
            let ranges = key_ranges::equal(equal)?.into_iter();
            return Ok(ranges.map(|range| (range, &equal.shard_template)).collect());
        }
        let custom = self.custom.iter().flat_map(|custom| &custom.shards);
        Ok(custom.map(|shard| (shard.key_range.clone(), &shard.template)).collect())
    }
}

/// Shards of equal size and shape.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EqualPartitioning {
    /// How many.
    #[schemars(range(min = 1, max = 65536))]
    pub parts: i32,
    /// Hexadecimal digits of each bound; 0: as few as the parts need.
    #[serde(default)]
    #[schemars(schema_with = "schema::hex_width")]
    pub hex_width: i32,
    /// What each is made of.
    #[serde(default, skip_serializing_if = "is_default")]
    pub shard_template: ShardTemplate,
}

/// Shards written out one by one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CustomPartitioning {
    /// The shards.
    pub shards: Vec<KeyRangeShard>,
}

/// One shard of a custom partitioning.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyRangeShard {
    /// Its key range.
    pub key_range: KeyRangeSpec,
    /// What it is made of.
    #[serde(flatten)]
    pub template: ShardTemplate,
}

/// A key range as manifests spell it: lower-case hexadecimal pairs; an empty bound is open.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyRangeSpec {
    /// The first keyspace id within.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(regex(pattern = "^([0-9a-f][0-9a-f])*$"))]
    pub start: String,
    /// The first keyspace id behind.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(regex(pattern = "^([0-9a-f][0-9a-f])*$"))]
    pub end: String,
}

/// What a shard is made of.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShardTemplate {
    /// Its tablets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type", "cell", "name"]))]
    pub tablet_pools: Vec<TabletPool>,
    /// SQL that a fresh data directory is initialised with.
    pub database_init_script_secret: SecretSource,
    /// Who sets replication up.
    #[serde(default, skip_serializing_if = "is_default")]
    pub replication: Replication,
    /// Annotations of the VitessShard.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// Who sets replication up; each is true when absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Replication {
    /// Whether we elect the first primary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initialize_master: Option<bool>,
    /// Whether we take the first backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initialize_backup: Option<bool>,
    /// Accepted and unused: vtorc repairs restarted primaries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recover_restarted_master: Option<bool>,
}
