//! VitessCluster: the only kind that people edit.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::LocalObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use pilothouse_core::Millis;
use pilothouse_core::zones::ZoneHealth;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::backup_location::BackupLocation;
use crate::condition::{self, ConditionStatus, OrphanStatus};
use crate::images::{ClusterImages, ImagePullPolicies, KeyspaceImageOverrides};
use crate::lockserver::{Lockserver, LockserverStatus};
use crate::omit::is_default;
use crate::orchestrator::{ComponentStatus, VitessDashboard, VtAdmin};
use crate::pod_overrides::ServiceOverrides;
use crate::schema;
use crate::update_strategy::{TopologyReconciliation, UpdateStrategy};
use crate::vitess_backup_schedule::BackupScheduleTemplate;
use crate::vitess_backup_storage::BackupSubcontroller;
use crate::vitess_cell::CellTemplate;
use crate::vitess_keyspace::KeyspaceTemplate;

/// A Vitess cluster.
#[derive(CustomResource, Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "planetscale.com",
    version = "v2",
    kind = "VitessCluster",
    plural = "vitessclusters",
    shortname = "vt",
    category = "vitess",
    namespaced,
    derive = "PartialEq",
    status = "VitessClusterStatus",
    printcolumn = r#"{"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name": "Primaries", "type": "string", "jsonPath": ".status.summary.primaries"}"#,
    printcolumn = r#"{"name": "Tablets", "type": "string", "jsonPath": ".status.summary.tablets"}"#,
    printcolumn = r#"{"name": "Zones", "type": "string", "jsonPath": ".status.summary.zones"}"#,
    printcolumn = r#"{"name": "Vitess", "type": "string", "jsonPath": ".status.vitess.source", "priority": 1}"#,
    printcolumn = r#"{"name": "Paused", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Paused\")].status", "priority": 1}"#,
    printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct VitessClusterSpec {
    /// Images.
    #[serde(default, skip_serializing_if = "is_default")]
    pub images: ClusterImages,
    /// When images are pulled.
    #[serde(default, skip_serializing_if = "is_default")]
    pub image_pull_policies: ImagePullPolicies,
    /// Secrets to pull images with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::bare_list::<LocalObjectReference>")]
    pub image_pull_secrets: Vec<LocalObjectReference>,
    /// Backups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<ClusterBackup>,
    /// Where the topology is kept; an etcd of our own when absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub global_lockserver: Lockserver,
    /// vtctld; runs with defaults when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vitess_dashboard: Option<VitessDashboard>,
    /// vtadmin; not run when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vtadmin: Option<VtAdmin>,
    /// Cells.
    pub cells: Vec<CellTemplate>,
    /// Keyspaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keyspaces: Vec<ClusterKeyspace>,
    /// Flags of every Vitess component, without leading dashes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra_vitess_flags: BTreeMap<String, String>,
    /// Which topology records we keep in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topology_reconciliation: Option<TopologyReconciliation>,
    /// How changes reach running Pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_strategy: Option<UpdateStrategy>,
    /// Additions to the Service over all gateways.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_service: Option<ServiceOverrides>,
    /// Additions to the Service over all tablets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tablet_service: Option<ServiceOverrides>,
}

/// A keyspace of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterKeyspace {
    /// What its VitessKeyspace takes over.
    #[serde(flatten)]
    pub template: KeyspaceTemplate,
    /// Its overrides of the cluster's images.
    #[serde(default, skip_serializing_if = "is_default")]
    pub images: KeyspaceImageOverrides,
}

/// A cluster's backups.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterBackup {
    /// Where they are kept.
    #[schemars(length(min = 1))]
    pub locations: Vec<BackupLocation>,
    /// What takes them; builtin when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<BackupEngine>,
    /// How the Pods run that read the locations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subcontroller: Option<BackupSubcontroller>,
    /// When they are taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schedules: Vec<BackupScheduleTemplate>,
}

/// What takes a backup.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BackupEngine {
    /// Vitess itself, from a stopped mysqld.
    #[default]
    Builtin,
    /// Percona XtraBackup.
    Xtrabackup,
    /// MySQL Shell's dump.
    Mysqlshell,
}

impl BackupEngine {
    /// The word that manifests and flags use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Builtin => "builtin",
            Self::Xtrabackup => "xtrabackup",
            Self::Mysqlshell => "mysqlshell",
        }
    }
}

/// What we know of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VitessClusterStatus {
    /// The spec's generation that this speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The global lockserver.
    #[serde(default, skip_serializing_if = "is_default")]
    pub global_lockserver: LockserverStatus,
    /// The Service over all gateways.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub gateway_service_name: String,
    /// vtctld.
    #[serde(default)]
    pub vitess_dashboard: ComponentStatus,
    /// vtadmin.
    #[serde(default)]
    pub vtadmin: ComponentStatus,
    /// Cells wanted, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cells: BTreeMap<String, ClusterCellStatus>,
    /// Keyspaces wanted, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub keyspaces: BTreeMap<String, ClusterKeyspaceStatus>,
    /// Cells that should be gone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub orphaned_cells: BTreeMap<String, OrphanStatus>,
    /// Keyspaces that should be gone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub orphaned_keyspaces: BTreeMap<String, OrphanStatus>,
    /// The health of each zone, sorted by name: what zone health remembers from pass to pass.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::zones")]
    pub zones: Vec<ZoneStatus>,
    /// How the Vitess half of this status came about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vitess: Option<VitessLink>,
    /// The policies that decide for this cluster, sorted by slot.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["slot", "plugin"]))]
    pub policies: Vec<PolicyStatus>,
    /// Texts for kubectl's columns.
    #[serde(default, skip_serializing_if = "is_default")]
    pub summary: ClusterSummary,
    /// Conditions by type.
    #[serde(default, deserialize_with = "condition::read", skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// Texts for kubectl's columns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterSummary {
    /// Shards with a primary of those wanted, as `3/4`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub primaries: String,
    /// Ready tablets of those wanted, as `11/12`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tablets: String,
    /// Healthy zones of all, as `2/3`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub zones: String,
}

/// What a cluster knows of one of its cells.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterCellStatus {
    /// Changes that wait for their release.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pending_changes: String,
    /// Whether its gateways serve.
    #[serde(default)]
    pub gateway_available: ConditionStatus,
}

/// What a cluster knows of one of its keyspaces.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterKeyspaceStatus {
    /// Changes that wait for their release.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pending_changes: String,
    /// Shards wanted.
    #[serde(default, skip_serializing_if = "is_default")]
    pub desired_shards: i32,
    /// Shards there.
    #[serde(default, skip_serializing_if = "is_default")]
    pub shards: i32,
    /// Shards whose tablets are all ready.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ready_shards: i32,
    /// Shards without pending changes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub updated_shards: i32,
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
    /// Cells with tablets, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cells: Vec<String>,
}

/// A zone's remembered health: a name beside whatever [`ZoneHealth`] is made of.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ZoneStatus {
    /// The zone.
    pub name: String,
    /// The [`ZoneEvidence`] that led to it, as far as it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Value>,
    /// Its [`ZoneHealth`], field by field.
    #[serde(flatten)]
    pub health: Map<String, Value>,
}

impl ZoneStatus {
    /// What to remember of a zone.
    ///
    /// # Errors
    /// When the health does not serialise to an object.
    pub fn remember(
        zone: &str,
        health: &ZoneHealth,
        evidence: Option<Value>,
    ) -> Result<Self, serde_json::Error> {
        let health = serde_json::from_value(serde_json::to_value(health)?)?;
        Ok(Self { name: zone.to_owned(), evidence, health })
    }

    /// What is remembered; `None` where it cannot be read, which counts as nothing remembered.
    #[must_use]
    pub fn recall(&self) -> Option<ZoneHealth> {
        serde_json::from_value(Value::Object(self.health.clone())).ok()
    }

    /// What led to it; `None` where nothing was kept, or what cannot be read.
    #[must_use]
    pub fn evidence(&self) -> Option<ZoneEvidence> {
        serde_json::from_value(self.evidence.clone()?).ok()
    }
}

/// What was seen of a zone when its verdict, or what that leans to, last changed. Times are Unix milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ZoneEvidence {
    /// When it was seen.
    pub at: Millis,
    /// Nodes: how many are ready.
    pub nodes: Witnesses,
    /// Tablets that should answer the host: how many do.
    pub tablets: Witnesses,
    /// Gateways: how many are ready.
    pub gateways: Witnesses,
    /// Other zones in which a replica that answers heard its source here.
    #[serde(default, skip_serializing_if = "is_default")]
    pub heard_from: u32,
    /// What the provider posted of the zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_post: Option<String>,
    /// Whether nothing anywhere looked alive to the host: it was cut off itself.
    #[serde(default, skip_serializing_if = "is_default")]
    pub blind: bool,
}

/// Those of one kind who tell of a zone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witnesses {
    /// How many speak for it.
    pub up: u32,
    /// Of how many.
    pub of: u32,
    /// When the last of them changed its mind; absent where nobody tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Millis>,
}

/// How the Vitess half of a status came about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VitessLink {
    /// Who answered.
    #[serde(default)]
    pub source: VitessLinkSource,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// Who answered for Vitess.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum VitessLinkSource {
    /// Nobody: nothing is known.
    #[default]
    Unknown,
    /// Tablets and topology.
    Observed,
    /// The simulator.
    Played,
}

/// A policy that decides for a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyStatus {
    /// The role that it fills.
    pub slot: String,
    /// The component that fills it.
    pub plugin: String,
    /// The component's digest.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub digest: String,
    /// Whether it decides, is broken or is left out.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub state: String,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}
