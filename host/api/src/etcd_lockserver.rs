//! EtcdLockserver: an etcd cluster of three members.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{LocalObjectReference, PersistentVolumeClaimSpec, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::condition::{self, ConditionStatus};
use crate::omit::is_default;
use crate::pod_overrides::{PodOverrides, ServiceOverrides};
use crate::{quantity, schema};

/// Members of every etcd cluster.
pub const MEMBERS: u32 = 3;

/// An etcd cluster that holds a topology.
#[derive(CustomResource, Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "planetscale.com",
    version = "v2",
    kind = "EtcdLockserver",
    plural = "etcdlockservers",
    shortname = "etcdls",
    category = "vitess",
    namespaced,
    derive = "PartialEq",
    status = "EtcdLockserverStatus",
    printcolumn = r#"{"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name": "Available", "type": "string", "jsonPath": ".status.available"}"#,
    printcolumn = r#"{"name": "Zone", "type": "string", "jsonPath": ".spec.zone"}"#,
    printcolumn = r#"{"name": "Paused", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Paused\")].status", "priority": 1}"#,
    printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct EtcdLockserverSpec {
    /// What a manifest says of it.
    #[serde(flatten)]
    pub template: EtcdTemplate,
    /// The zone to run in; any when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub zone: String,
}

/// What a manifest says of an etcd cluster.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EtcdTemplate {
    /// The image.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub image: String,
    /// When it is pulled.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub image_pull_policy: String,
    /// Secrets to pull it with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::bare_list::<LocalObjectReference>")]
    pub image_pull_secrets: Vec<LocalObjectReference>,
    /// Resources of each member.
    #[serde(default, deserialize_with = "quantity::resources", skip_serializing_if = "is_default")]
    #[schemars(schema_with = "schema::bare::<ResourceRequirements>")]
    pub resources: ResourceRequirements,
    /// The volume of each member.
    #[serde(default, deserialize_with = "quantity::volume_claim", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::bare::<PersistentVolumeClaimSpec>")]
    pub data_volume_claim_template: Option<PersistentVolumeClaimSpec>,
    /// Flags, without leading dashes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra_flags: BTreeMap<String, String>,
    /// Additions to the Pods.
    #[serde(flatten)]
    pub pod: PodOverrides,
    /// Whether a PodDisruptionBudget guards the quorum; true when absent.
    #[serde(default, rename = "createPDB", skip_serializing_if = "Option::is_none")]
    pub create_pdb: Option<bool>,
    /// Whether clients get a Service; true when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_client_service: Option<bool>,
    /// Whether members get a Service; true when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_peer_service: Option<bool>,
    /// Peer URLs of all members, for an etcd cluster that spans Kubernetes clusters.
    #[serde(default, rename = "advertisePeerURLs", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 3, max = 3))]
    pub advertise_peer_urls: Vec<String>,
    /// The one member that runs here; all three when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3))]
    pub local_member_index: Option<i32>,
    /// Additions to the clients' Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_service: Option<ServiceOverrides>,
    /// Additions to the members' Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_service: Option<ServiceOverrides>,
}

/// What we know of an etcd cluster.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EtcdLockserverStatus {
    /// The spec's generation that this speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Whether it serves.
    #[serde(default)]
    pub available: ConditionStatus,
    /// The clients' Service.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub client_service_name: String,
    /// Conditions by type.
    #[serde(default, deserialize_with = "condition::read", skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}
