//! A cell's gateways (vtgate).

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::DeploymentStrategy;
use k8s_openapi::api::autoscaling::v2::{HorizontalPodAutoscalerBehavior, MetricSpec};
use k8s_openapi::api::core::v1::{Lifecycle, ResourceRequirements, TopologySpreadConstraint};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fragment::Fragment;
use crate::omit::is_default;
use crate::pod_overrides::{PodOverrides, SecretSource, ServiceOverrides};
use crate::{quantity, schema};

/// How a cell's gateways run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Gateway {
    /// Gateways wanted; 2 when absent. Where an autoscaler is set, it writes this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub replicas: Option<i32>,
    /// Lets a HorizontalPodAutoscaler choose the replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaler: Option<Autoscaler>,
    /// Resources of the vtgate container.
    #[serde(default, deserialize_with = "quantity::resources", skip_serializing_if = "is_default")]
    #[schemars(schema_with = "schema::bare::<ResourceRequirements>")]
    pub resources: ResourceRequirements,
    /// Who may log in.
    #[serde(default, skip_serializing_if = "is_default")]
    pub authentication: GatewayAuthentication,
    /// TLS for MySQL clients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secure_transport: Option<SecureTransport>,
    /// Flags of vtgate, without leading dashes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra_flags: BTreeMap<String, String>,
    /// Additions to the Pods.
    #[serde(flatten)]
    pub pod: PodOverrides,
    /// Additions to the cell's Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceOverrides>,
    /// How the Pods spread.
    #[serde(default, skip_serializing_if = "Fragment::is_absent")]
    pub topology_spread_constraints: Fragment<Vec<TopologySpreadConstraint>>,
    /// Hooks of the vtgate container.
    #[serde(default, skip_serializing_if = "is_default")]
    #[schemars(schema_with = "schema::bare::<Lifecycle>")]
    pub lifecycle: Lifecycle,
    /// Seconds between the request to stop and the kill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub termination_grace_period_seconds: Option<i64>,
    /// How the Deployment replaces Pods.
    #[serde(default, skip_serializing_if = "is_default")]
    #[schemars(schema_with = "schema::bare::<DeploymentStrategy>")]
    pub strategy: DeploymentStrategy,
}

/// Bounds and metrics of a HorizontalPodAutoscaler.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Autoscaler {
    /// The fewest replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub min_replicas: Option<i32>,
    /// The most replicas.
    #[serde(default, skip_serializing_if = "is_default")]
    #[schemars(range(min = 0))]
    pub max_replicas: i32,
    /// What to scale by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::bare_list::<MetricSpec>")]
    pub metrics: Vec<MetricSpec>,
    /// How fast to scale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::bare::<HorizontalPodAutoscalerBehavior>")]
    pub behavior: Option<HorizontalPodAutoscalerBehavior>,
}

/// Who may log in to a gateway.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayAuthentication {
    /// Users listed in a file.
    #[serde(default, rename = "static", skip_serializing_if = "Option::is_none")]
    pub static_users: Option<StaticAuthentication>,
}

/// Users listed in a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StaticAuthentication {
    /// The file, in Vitess's JSON form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretSource>,
}

/// TLS for MySQL clients.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecureTransport {
    /// Whether clients without TLS are turned away.
    #[serde(default, skip_serializing_if = "is_default")]
    pub required: bool,
    /// Certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<GatewayTls>,
}

/// A gateway's certificates.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayTls {
    /// The server's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_secret: Option<SecretSource>,
    /// The server's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_secret: Option<SecretSource>,
    /// The authority that clients' certificates must come from.
    #[serde(default, rename = "clientCACertSecret", skip_serializing_if = "Option::is_none")]
    pub client_ca_cert_secret: Option<SecretSource>,
}
