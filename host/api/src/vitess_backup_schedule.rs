//! VitessBackupSchedule: backups taken at given times.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Affinity, ObjectReference, ResourceRequirements, Toleration};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::condition;
use crate::fragment::Fragment;
use crate::{quantity, schema};

/// A schedule: written by the VitessCluster that names it.
#[derive(CustomResource, Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "planetscale.com",
    version = "v2",
    kind = "VitessBackupSchedule",
    plural = "vitessbackupschedules",
    category = "vitess",
    namespaced,
    derive = "PartialEq",
    status = "VitessBackupScheduleStatus",
    printcolumn = r#"{"name": "Schedule", "type": "string", "jsonPath": ".spec.schedule"}"#,
    printcolumn = r#"{"name": "Frequency", "type": "string", "jsonPath": ".spec.frequency"}"#,
    printcolumn = r#"{"name": "Method", "type": "string", "jsonPath": ".spec.backupMethod"}"#,
    printcolumn = r#"{"name": "Suspend", "type": "boolean", "jsonPath": ".spec.suspend"}"#,
    printcolumn = r#"{"name": "Last", "type": "date", "jsonPath": ".status.lastScheduledTime"}"#,
    printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct VitessBackupScheduleSpec {
    /// What the VitessCluster says of the schedule.
    #[serde(flatten)]
    pub template: BackupScheduleTemplate,
    /// The VitessCluster.
    pub cluster: String,
    /// The image that has vtctldclient.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub image: String,
    /// When it is pulled.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub image_pull_policy: String,
}

/// What a VitessCluster says of a schedule.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupScheduleTemplate {
    /// Its name.
    #[schemars(length(min = 1), regex(pattern = "^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$"))]
    pub name: String,
    /// Times in cron form; either this or `frequency`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub schedule: String,
    /// A span (`24h`) between backups, spread over the shards; either this or `schedule`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub frequency: String,
    /// What to back up.
    #[schemars(length(min = 1))]
    pub strategies: Vec<BackupStrategy>,
    /// Resources of vtctldclient Jobs.
    #[serde(default, deserialize_with = "quantity::resources")]
    #[schemars(schema_with = "schema::bare::<ResourceRequirements>")]
    pub resources: ResourceRequirements,
    /// Successful Jobs to keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub successful_jobs_history_limit: Option<i32>,
    /// Failed Jobs to keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub failed_jobs_history_limit: Option<i32>,
    /// Whether no new Jobs begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// Seconds that a Job may begin too late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub starting_deadline_seconds: Option<i64>,
    /// Whether two runs may overlap.
    #[serde(default)]
    #[schemars(schema_with = "schema::concurrency_policy")]
    pub concurrency_policy: ConcurrencyPolicy,
    /// Runs that may be missed before it is an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub allowed_missed_run: Option<i64>,
    /// Minutes that a Job may take.
    #[serde(default = "default_job_timeout")]
    #[schemars(schema_with = "schema::job_timeout")]
    pub job_timeout_minute: i32,
    /// How a backup is taken.
    #[serde(default)]
    #[schemars(schema_with = "schema::backup_method")]
    pub backup_method: BackupMethod,
    /// Annotations of the Jobs' Pods.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Affinity of the Jobs' Pods.
    #[serde(default, skip_serializing_if = "Fragment::is_absent")]
    pub affinity: Fragment<Affinity>,
    /// Taints that the Jobs' Pods tolerate.
    #[serde(default, skip_serializing_if = "Fragment::is_absent")]
    pub tolerations: Fragment<Vec<Toleration>>,
}

/// Minutes that a Job may take where the manifest does not say.
pub const JOB_TIMEOUT_MINUTES: u32 = 10;

const fn default_job_timeout() -> i32 {
    JOB_TIMEOUT_MINUTES.cast_signed()
}

/// One thing to back up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupStrategy {
    /// Its name.
    pub name: String,
    /// How much; Shard when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<BackupScope>,
    /// The keyspace, for Shard and Keyspace.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub keyspace: String,
    /// The shard's key range, for Shard.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub shard: String,
    /// Flags of the backup command, without leading dashes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra_flags: BTreeMap<String, String>,
}

/// How much a strategy backs up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BackupScope {
    /// One shard.
    #[default]
    Shard,
    /// All shards of one keyspace.
    Keyspace,
    /// All shards of keyspaces that no other schedule names.
    Cluster,
}

/// Whether two runs of a schedule may overlap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConcurrencyPolicy {
    /// They may.
    Allow,
    /// They may not.
    #[default]
    Forbid,
}

/// How a scheduled backup is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BackupMethod {
    /// By a Pod with a volume of its own.
    #[default]
    Vtbackup,
    /// By asking a tablet.
    Vtctldclient,
}

impl BackupMethod {
    /// The word that manifests and labels use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Vtbackup => "vtbackup",
            Self::Vtctldclient => "vtctldclient",
        }
    }
}

/// What we know of a schedule.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VitessBackupScheduleStatus {
    /// Jobs that run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::bare_list::<ObjectReference>")]
    pub active: Vec<ObjectReference>,
    /// When a Job last began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub last_scheduled_time: Option<Time>,
    /// The same by strategy.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::times")]
    pub last_scheduled_times: BTreeMap<String, Time>,
    /// When the next begins, by strategy.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::times")]
    pub next_scheduled_times: BTreeMap<String, Time>,
    /// Cron forms made from a frequency, by strategy.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub generated_schedules: BTreeMap<String, String>,
    /// Conditions by type.
    #[serde(default, deserialize_with = "condition::read", skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}
