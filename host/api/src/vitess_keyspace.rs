//! VitessKeyspace: a logical database and its shards.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::LocalObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::backup_location::BackupLocation;
use crate::condition::{self, ConditionStatus, OrphanStatus};
use crate::images::{ImagePullPolicies, KeyspaceImages};
use crate::lockserver::LockserverParams;
use crate::omit::is_default;
use crate::orchestrator::VitessOrchestrator;
use crate::partitioning::Partitioning;
use crate::schema;
use crate::tablet_pool::TabletPool;
use crate::update_strategy::{TopologyReconciliation, UpdateStrategy};

/// What a keyspace may be called.
pub const NAME_PATTERN: &str = r"^[A-Za-z0-9]([A-Za-z0-9-_.]*[A-Za-z0-9])?$";

/// A keyspace: written by the VitessCluster that it belongs to.
#[derive(CustomResource, Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "planetscale.com",
    version = "v2",
    kind = "VitessKeyspace",
    plural = "vitesskeyspaces",
    shortname = "vtk",
    category = "vitess",
    namespaced,
    derive = "PartialEq",
    status = "VitessKeyspaceStatus",
    printcolumn = r#"{"name": "Keyspace", "type": "string", "jsonPath": ".spec.name"}"#,
    printcolumn = r#"{"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name": "Shards", "type": "string", "jsonPath": ".status.summary.shards"}"#,
    printcolumn = r#"{"name": "Tablets", "type": "string", "jsonPath": ".status.summary.tablets"}"#,
    printcolumn = r#"{"name": "Updated", "type": "string", "jsonPath": ".status.summary.updated"}"#,
    printcolumn = r#"{"name": "Durability", "type": "string", "jsonPath": ".spec.durabilityPolicy"}"#,
    printcolumn = r#"{"name": "Paused", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Paused\")].status", "priority": 1}"#,
    printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct VitessKeyspaceSpec {
    /// What the VitessCluster says of the keyspace.
    #[serde(flatten)]
    pub template: KeyspaceTemplate,
    /// The global topology.
    pub global_lockserver: LockserverParams,
    /// Images.
    #[serde(default, skip_serializing_if = "is_default")]
    pub images: KeyspaceImages,
    /// When images are pulled.
    #[serde(default, skip_serializing_if = "is_default")]
    pub image_pull_policies: ImagePullPolicies,
    /// Secrets to pull images with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::bare_list::<LocalObjectReference>")]
    pub image_pull_secrets: Vec<LocalObjectReference>,
    /// The zone of each cell of the cluster; empty where the manifest names none.
    pub zone_map: BTreeMap<String, String>,
    /// Where backups are kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backup_locations: Vec<BackupLocation>,
    /// What takes backups.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub backup_engine: String,
    /// Flags of every Vitess component, without leading dashes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra_vitess_flags: BTreeMap<String, String>,
    /// Which topology records we keep in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topology_reconciliation: Option<TopologyReconciliation>,
    /// How changes reach running Pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_strategy: Option<UpdateStrategy>,
}

/// What a VitessCluster says of a keyspace, but for its images.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyspaceTemplate {
    /// The keyspace's name.
    #[schemars(length(min = 1, max = 63), regex(pattern = NAME_PATTERN))]
    pub name: String,
    /// The MySQL database; `vt_` and the keyspace's name when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub database_name: String,
    /// What must acknowledge a write; left to the topology when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub durability_policy: String,
    /// vtorc; runs with defaults when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vitess_orchestrator: Option<VitessOrchestrator>,
    /// One way to split it, or two while resharding; a later one wins where key ranges are equal.
    #[schemars(length(min = 1, max = 2))]
    pub partitionings: Vec<Partitioning>,
    /// Whether it may go while it is deployed; RequireIdle when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turndown_policy: Option<TurndownPolicy>,
    /// Annotations of the VitessKeyspace.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// The database that Vitess keeps its own tables in; `_vt` when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sidecar_db_name: String,
}

/// Whether a keyspace may go while it is deployed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TurndownPolicy {
    /// Only when no pool is left.
    #[default]
    RequireIdle,
    /// At once.
    Immediate,
}

impl KeyspaceTemplate {
    /// The tablet pools of its partitionings; those that shards have in common once.
    pub fn pools(&self) -> impl Iterator<Item = &TabletPool> {
        let equal = self.partitionings.iter().filter_map(|p| p.equal.as_ref()).map(|p| &p.shard_template);
        let custom = self.partitionings.iter().filter_map(|p| p.custom.as_ref()).flat_map(|p| &p.shards);
        equal.chain(custom.map(|shard| &shard.template)).flat_map(|template| &template.tablet_pools)
    }
}

/// What we know of a keyspace.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VitessKeyspaceStatus {
    /// The spec's generation that this speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Shards wanted, by key range.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub shards: BTreeMap<String, KeyspaceShardStatus>,
    /// One entry for each partitioning, in the spec's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partitionings: Vec<PartitioningStatus>,
    /// Shards that should be gone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub orphaned_shards: BTreeMap<String, OrphanStatus>,
    /// Whether it can go: True if it has no pool in any cell.
    #[serde(default)]
    pub idle: ConditionStatus,
    /// The reshard that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resharding: Option<ReshardingStatus>,
    /// Texts for kubectl's columns.
    #[serde(default, skip_serializing_if = "is_default")]
    pub summary: KeyspaceSummary,
    /// Conditions by type.
    #[serde(default, deserialize_with = "condition::read", skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// Texts for kubectl's columns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyspaceSummary {
    /// Ready shards of those wanted, as `1/2`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub shards: String,
    /// Ready tablets of those wanted, as `3/6`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tablets: String,
    /// Tablets that run what is asked for now, of those that stand, as `2/3`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub updated: String,
}

/// What a keyspace knows of one of its shards.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyspaceShardStatus {
    /// Whether the topology names a primary.
    #[serde(default)]
    pub has_master: ConditionStatus,
    /// Whether it serves writes.
    #[serde(default)]
    pub serving_writes: ConditionStatus,
    /// Tablets wanted.
    #[serde(default, skip_serializing_if = "is_default")]
    pub desired_tablets: i32,
    /// Tablets there.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tablets: i32,
    /// Tablets ready.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ready_tablets: i32,
    /// Tablets without pending changes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub updated_tablets: i32,
    /// Changes that wait for their release.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pending_changes: String,
    /// Cells with tablets, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cells: Vec<String>,
}

/// What we know of one partitioning.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PartitioningStatus {
    /// Its shards, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shard_names: Vec<String>,
    /// Whether all of them serve writes.
    #[serde(default)]
    pub serving_writes: ConditionStatus,
    /// Tablets wanted.
    #[serde(default, skip_serializing_if = "is_default")]
    pub desired_tablets: i32,
    /// Tablets there.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tablets: i32,
    /// Tablets ready.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ready_tablets: i32,
    /// Tablets without pending changes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub updated_tablets: i32,
    /// Shards wanted.
    #[serde(default, skip_serializing_if = "is_default")]
    pub desired_shards: i32,
    /// Shards whose tablets are all ready.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ready_shards: i32,
}

/// What we know of a reshard.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReshardingStatus {
    /// The workflow's name.
    pub workflow: String,
    /// Its state.
    pub state: WorkflowState,
    /// Shards it reads, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub source_shards: Vec<String>,
    /// Shards it fills, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub target_shards: Vec<String>,
    /// Per cent copied; at most 99 until all is, -1 when unknown.
    #[serde(default, skip_serializing_if = "is_default")]
    pub copy_progress: i64,
}

/// A workflow's state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WorkflowState {
    /// Every stream replicates.
    Running,
    /// A stream still copies rows.
    Copying,
    /// A stream failed.
    Error,
    /// Nobody could say.
    #[default]
    Unknown,
}
