//! VitessCell: a failure domain's gateways and local lockserver.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::LocalObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::condition::{self, ConditionStatus};
use crate::gateway::Gateway;
use crate::images::{CellImages, ImagePullPolicies};
use crate::lockserver::{Lockserver, LockserverParams, LockserverStatus};
use crate::omit::is_default;
use crate::schema;
use crate::update_strategy::TopologyReconciliation;

/// What a cell may be called.
pub const NAME_PATTERN: &str = r"^[A-Za-z0-9]([_.A-Za-z0-9]*[A-Za-z0-9])?$";

/// A cell: written by the VitessCluster that it belongs to.
#[derive(CustomResource, Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "planetscale.com",
    version = "v2",
    kind = "VitessCell",
    plural = "vitesscells",
    shortname = "vtc",
    category = "vitess",
    namespaced,
    derive = "PartialEq",
    status = "VitessCellStatus",
    scale(
        spec_replicas_path = ".spec.gateway.replicas",
        status_replicas_path = ".status.gateway.replicas",
        label_selector_path = ".status.gateway.labelSelector"
    ),
    printcolumn = r#"{"name": "Cell", "type": "string", "jsonPath": ".spec.name"}"#,
    printcolumn = r#"{"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name": "Zone", "type": "string", "jsonPath": ".spec.zone"}"#,
    printcolumn = r#"{"name": "Assigned", "type": "string", "jsonPath": ".status.assignedZone"}"#,
    printcolumn = r#"{"name": "Gateways", "type": "integer", "jsonPath": ".status.gateway.replicas"}"#,
    printcolumn = r#"{"name": "Available", "type": "string", "jsonPath": ".status.gateway.available"}"#,
    printcolumn = r#"{"name": "Paused", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Paused\")].status", "priority": 1}"#,
    printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct VitessCellSpec {
    /// What the VitessCluster says of the cell.
    #[serde(flatten)]
    pub template: CellTemplate,
    /// The global topology.
    pub global_lockserver: LockserverParams,
    /// Names of all cells of the cluster.
    pub all_cells: Vec<String>,
    /// Images.
    #[serde(default, skip_serializing_if = "is_default")]
    pub images: CellImages,
    /// When images are pulled.
    #[serde(default, skip_serializing_if = "is_default")]
    pub image_pull_policies: ImagePullPolicies,
    /// Secrets to pull images with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::bare_list::<LocalObjectReference>")]
    pub image_pull_secrets: Vec<LocalObjectReference>,
    /// Flags of every Vitess component, without leading dashes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra_vitess_flags: BTreeMap<String, String>,
    /// Which topology records we keep in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topology_reconciliation: Option<TopologyReconciliation>,
}

/// What a VitessCluster says of a cell.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CellTemplate {
    /// The cell's name.
    #[schemars(length(min = 1, max = 63), regex(pattern = NAME_PATTERN))]
    pub name: String,
    /// The availability zone that its Pods are pinned to; a policy may choose one when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub zone: String,
    /// Its own lockserver; the global one is shared when absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub lockserver: Lockserver,
    /// Its gateways.
    #[serde(default, skip_serializing_if = "is_default")]
    pub gateway: Gateway,
}

/// What we know of a cell.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VitessCellStatus {
    /// The spec's generation that this speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Its gateways.
    #[serde(default)]
    pub gateway: GatewayStatus,
    /// Keyspaces deployed here or served here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub keyspaces: BTreeMap<String, CellKeyspaceStatus>,
    /// Its own lockserver.
    #[serde(default, skip_serializing_if = "is_default")]
    pub lockserver: LockserverStatus,
    /// Whether it can go: True only if nothing is deployed or served here.
    #[serde(default)]
    pub idle: ConditionStatus,
    /// The zone that a policy chose, where the spec names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned_zone: Option<String>,
    /// Conditions by type.
    #[serde(default, deserialize_with = "condition::read", skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// What we know of a cell's gateways.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayStatus {
    /// Whether they serve.
    #[serde(default)]
    pub available: ConditionStatus,
    /// Their Service.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub service_name: String,
    /// Selects their Pods, for the scale subresource.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub label_selector: String,
    /// Pods of the Deployment.
    #[serde(default, skip_serializing_if = "is_default")]
    #[schemars(range(min = 0))]
    pub replicas: i32,
    /// Gateways that run here on behalf of lost cells, sorted by cell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["standsInFor"]))]
    pub surge: Vec<SurgeGatewayStatus>,
}

/// Gateways that stand in for those of a lost cell.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SurgeGatewayStatus {
    /// The lost cell.
    pub stands_in_for: String,
    /// How many.
    #[schemars(range(min = 0))]
    pub replicas: i32,
}

/// What we know of a keyspace in a cell: that it is there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CellKeyspaceStatus {}
