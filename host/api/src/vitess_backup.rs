//! VitessBackup: one backup in a location, mirrored from the store.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use kube::core::object::HasStatus;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::condition;
use crate::schema;

/// A backup; there is nothing to specify. The kind has no status subresource:
/// whoever writes the object writes its status with it.
#[derive(CustomResource, Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "planetscale.com",
    version = "v2",
    kind = "VitessBackup",
    plural = "vitessbackups",
    shortname = "vtb",
    category = "vitess",
    namespaced,
    derive = "PartialEq",
    status = "VitessBackupStatus",
    printcolumn = r#"{"name": "Keyspace", "type": "string", "jsonPath": ".metadata.labels.planetscale\\.com/keyspace"}"#,
    printcolumn = r#"{"name": "Shard", "type": "string", "jsonPath": ".metadata.labels.planetscale\\.com/shard"}"#,
    printcolumn = r#"{"name": "Complete", "type": "boolean", "jsonPath": ".status.complete"}"#,
    printcolumn = r#"{"name": "Engine", "type": "string", "jsonPath": ".status.engine", "priority": 1}"#,
    printcolumn = r#"{"name": "Started", "type": "date", "jsonPath": ".status.startTime"}"#,
    printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp", "priority": 1}"#
)]
pub struct VitessBackupSpec {}

/// What the store says of a backup.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VitessBackupStatus {
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub start_time: Option<Time>,
    /// When it was complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub finished_time: Option<Time>,
    /// Whether a restore can use it.
    #[serde(default, skip_serializing_if = "crate::omit::is_default")]
    pub complete: bool,
    /// Transactions that a restore of it has.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub position: String,
    /// What took it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub engine: String,
    /// Its folder in the store.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub storage_directory: String,
    /// Its name in the store.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub storage_name: String,
    /// Conditions by type.
    #[serde(default, deserialize_with = "condition::read", skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

impl VitessBackup {
    /// Whether a restore can use it.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.status().is_some_and(|s| s.complete)
    }
}
