//! vtorc, vtctld and vtadmin: the components beside the data path.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ResourceRequirements;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::condition::ConditionStatus;
use crate::omit::is_default;
use crate::pod_overrides::{PodOverrides, SecretSource, ServiceOverrides};
use crate::{quantity, schema};

/// vtorc, one for each shard.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VitessOrchestrator {
    /// Its resources.
    #[serde(default, deserialize_with = "quantity::resources", skip_serializing_if = "is_default")]
    #[schemars(schema_with = "schema::bare::<ResourceRequirements>")]
    pub resources: ResourceRequirements,
    /// Its flags, without leading dashes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra_flags: BTreeMap<String, String>,
    /// Additions to its Pods.
    #[serde(flatten)]
    pub pod: PodOverrides,
    /// Accepted; no Service is made for vtorc.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceOverrides>,
}

/// vtctld, in each of its cells.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VitessDashboard {
    /// Cells to run in; all when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cells: Vec<String>,
    /// Replicas in each cell; 1 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Its resources.
    #[serde(default, deserialize_with = "quantity::resources", skip_serializing_if = "is_default")]
    #[schemars(schema_with = "schema::bare::<ResourceRequirements>")]
    pub resources: ResourceRequirements,
    /// Its flags, without leading dashes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra_flags: BTreeMap<String, String>,
    /// Additions to its Pods.
    #[serde(flatten)]
    pub pod: PodOverrides,
    /// Additions to its Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceOverrides>,
}

/// vtadmin; not run unless asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VtAdmin {
    /// Who may do what, in vtadmin's YAML form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rbac: Option<SecretSource>,
    /// Cells to run in; all when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cells: Vec<String>,
    /// Addresses of the API as browsers reach it, one a cell (or one for all).
    pub api_addresses: Vec<String>,
    /// Replicas in each cell; 1 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Resources of the web container.
    #[serde(default, deserialize_with = "quantity::resources", skip_serializing_if = "is_default")]
    #[schemars(schema_with = "schema::bare::<ResourceRequirements>")]
    pub web_resources: ResourceRequirements,
    /// Resources of the API container.
    #[serde(default, deserialize_with = "quantity::resources", skip_serializing_if = "is_default")]
    #[schemars(schema_with = "schema::bare::<ResourceRequirements>")]
    pub api_resources: ResourceRequirements,
    /// Whether browsers send credentials: `omit` (default), `same-origin` or `include`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub fetch_credentials: String,
    /// Whether the web page hides what changes things.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
    /// Its flags, without leading dashes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra_flags: BTreeMap<String, String>,
    /// Additions to its Pods.
    #[serde(flatten)]
    pub pod: PodOverrides,
    /// Additions to its Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceOverrides>,
}

/// Whether a component serves, and under which Service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComponentStatus {
    /// Whether it serves.
    #[serde(default)]
    pub available: ConditionStatus,
    /// Its Service.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub service_name: String,
}
