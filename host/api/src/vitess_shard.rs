//! VitessShard: one replicated MySQL; the only thing that tablet Pods are rendered from.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::LocalObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::backup_location::BackupLocation;
use crate::condition::{self, ConditionStatus, OrphanStatus};
use crate::images::{ImagePullPolicies, KeyspaceImages};
use crate::lockserver::LockserverParams;
use crate::omit::is_default;
use crate::orchestrator::{ComponentStatus, VitessOrchestrator};
use crate::partitioning::{KeyRangeSpec, ShardTemplate};
use crate::schema;
use crate::update_strategy::{TopologyReconciliation, UpdateStrategy};

/// A shard: written by the VitessKeyspace that it belongs to.
#[derive(CustomResource, Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "planetscale.com",
    version = "v2",
    kind = "VitessShard",
    plural = "vitessshards",
    shortname = "vts",
    category = "vitess",
    namespaced,
    derive = "PartialEq",
    status = "VitessShardStatus",
    printcolumn = r#"{"name": "Shard", "type": "string", "jsonPath": ".spec.name"}"#,
    printcolumn = r#"{"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name": "Primary", "type": "string", "jsonPath": ".status.masterAlias"}"#,
    printcolumn = r#"{"name": "Tablets", "type": "string", "jsonPath": ".status.summary.tablets"}"#,
    printcolumn = r#"{"name": "Surge", "type": "integer", "jsonPath": ".status.summary.surge", "priority": 1}"#,
    printcolumn = r#"{"name": "Backups", "type": "integer", "jsonPath": ".status.summary.backups"}"#,
    printcolumn = r#"{"name": "Paused", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Paused\")].status", "priority": 1}"#,
    printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct VitessShardSpec {
    /// What the VitessKeyspace says of the shard.
    #[serde(flatten)]
    pub template: ShardTemplate,
    /// The key range, as the topology names it.
    pub name: String,
    /// The MySQL database; `vt_` and the keyspace's name when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub database_name: String,
    /// The zone of each cell of the cluster; empty where the manifest names none.
    pub zone_map: BTreeMap<String, String>,
    /// Images.
    pub images: KeyspaceImages,
    /// When images are pulled.
    #[serde(default, skip_serializing_if = "is_default")]
    pub image_pull_policies: ImagePullPolicies,
    /// Secrets to pull images with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::bare_list::<LocalObjectReference>")]
    pub image_pull_secrets: Vec<LocalObjectReference>,
    /// The key range.
    pub key_range: KeyRangeSpec,
    /// The global topology.
    pub global_lockserver: LockserverParams,
    /// vtorc; runs with defaults when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vitess_orchestrator: Option<VitessOrchestrator>,
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

/// What we know of a shard.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VitessShardStatus {
    /// The spec's generation that this speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Tablets wanted, by alias.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tablets: BTreeMap<String, TabletStatus>,
    /// Tablets and volumes that should be gone, by alias.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub orphaned_tablets: BTreeMap<String, OrphanStatus>,
    /// Cells with tablets, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cells: Vec<String>,
    /// vtorc.
    #[serde(default)]
    pub vitess_orchestrator: ComponentStatus,
    /// Whether the topology names a primary.
    #[serde(default)]
    pub has_master: ConditionStatus,
    /// The primary's alias.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub master_alias: String,
    /// Whether a complete backup exists.
    #[serde(default)]
    pub has_initial_backup: ConditionStatus,
    /// Whether it serves writes.
    #[serde(default)]
    pub serving_writes: ConditionStatus,
    /// Whether it can go: True if it is in no serving partition.
    #[serde(default)]
    pub idle: ConditionStatus,
    /// Backups in each location, sorted by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backup_locations: Vec<BackupLocationStatus>,
    /// The oldest generation of this object that a tablet Pod was rendered from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lowest_pod_generation: Option<i64>,
    /// Tablets beyond the spec, on behalf of lost cells; sorted by alias.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["alias"]))]
    pub surge_tablets: Vec<SurgeTabletStatus>,
    /// The last few actions that the guard did not admit, newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<RefusalStatus>,
    /// Texts for kubectl's columns.
    #[serde(default, skip_serializing_if = "is_default")]
    pub summary: ShardSummary,
    /// Conditions by type.
    #[serde(default, deserialize_with = "condition::read", skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// How many refusals a shard's status keeps.
pub const REFUSALS_KEPT: usize = 5;

/// Texts for kubectl's columns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShardSummary {
    /// Ready tablets of those wanted, as `2/3`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tablets: String,
    /// Surge tablets.
    #[serde(default, skip_serializing_if = "is_default")]
    pub surge: i32,
    /// Complete backups in all locations.
    #[serde(default, skip_serializing_if = "is_default")]
    pub backups: i32,
}

/// What we know of a tablet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TabletStatus {
    /// Its pool's type.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pool_type: String,
    /// Its place in the pool, from 1.
    #[serde(default, skip_serializing_if = "is_default")]
    pub index: i32,
    /// Whether its containers run.
    #[serde(default)]
    pub running: ConditionStatus,
    /// Whether its Pod is ready.
    #[serde(default)]
    pub ready: ConditionStatus,
    /// Whether it has been ready for a while.
    #[serde(default)]
    pub available: ConditionStatus,
    /// Whether its claim has a volume.
    #[serde(default)]
    pub data_volume_bound: ConditionStatus,
    /// What it serves as, by the topology.
    #[serde(default, rename = "type", skip_serializing_if = "String::is_empty")]
    pub tablet_type: String,
    /// Changes that wait for their release.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pending_changes: String,
}

/// Backups of a shard in one location.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupLocationStatus {
    /// The location; the default one has no name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Complete backups.
    pub complete_backups: i32,
    /// Backups that run or broke off.
    pub incomplete_backups: i32,
    /// When the newest complete one began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub latest_complete_backup_time: Option<Time>,
}

/// A tablet beyond the spec, on behalf of a lost cell: the assignment's one home.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SurgeTabletStatus {
    /// Its alias.
    pub alias: String,
    /// Its pool's type.
    pub pool_type: String,
    /// Its pool's name; set for named external pools only.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pool_name: String,
    /// The cell that it runs in.
    pub cell: String,
    /// Its place in the pool, beyond the pool's replicas.
    pub index: i32,
    /// The lost cell.
    pub stands_in_for: String,
    /// When it was first wanted.
    #[schemars(schema_with = "schema::time")]
    pub since: Time,
}

/// An action that the guard did not admit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RefusalStatus {
    /// The action, as logs name it.
    pub action: String,
    /// The guard's rule.
    pub rule: String,
    /// Why.
    pub message: String,
    /// When it was first refused.
    #[schemars(schema_with = "schema::time")]
    pub since: Time,
}
