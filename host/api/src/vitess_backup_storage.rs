//! VitessBackupStorage: a location whose backups are mirrored as VitessBackups.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::backup_location::BackupLocation;
use crate::condition;
use crate::omit::is_default;
use crate::schema;

/// A backup location: written by the VitessCluster that names it.
#[derive(CustomResource, Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "planetscale.com",
    version = "v2",
    kind = "VitessBackupStorage",
    plural = "vitessbackupstorages",
    shortname = "vtbs",
    category = "vitess",
    namespaced,
    derive = "PartialEq",
    status = "VitessBackupStorageStatus",
    printcolumn = r#"{"name": "Location", "type": "string", "jsonPath": ".spec.location.name"}"#,
    printcolumn = r#"{"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name": "Backups", "type": "integer", "jsonPath": ".status.totalBackupCount"}"#,
    printcolumn = r#"{"name": "Paused", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Paused\")].status", "priority": 1}"#,
    printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct VitessBackupStorageSpec {
    /// The location.
    pub location: BackupLocation,
    /// How the Pod runs that reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subcontroller: Option<BackupSubcontroller>,
}

/// How the Pod runs that reads a location.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupSubcontroller {
    /// Its ServiceAccount.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub service_account_name: String,
}

/// What we know of a location.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VitessBackupStorageStatus {
    /// The spec's generation that this speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Backups of all shards, complete or not.
    #[serde(default, skip_serializing_if = "is_default")]
    pub total_backup_count: i32,
    /// Conditions by type.
    #[serde(default, deserialize_with = "condition::read", skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}
