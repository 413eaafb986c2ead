//! A shard's tablet pools.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Lifecycle, PersistentVolumeClaimSpec, ResourceRequirements, TopologySpreadConstraint,
};
use pilothouse_core::topology::{Cell, PoolKey, PoolType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fragment::Fragment;
use crate::pod_overrides::{PodOverrides, SecretSource};
use crate::{quantity, schema};

/// Tablets of one kind in one cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TabletPool {
    /// The cell that the tablets belong to.
    #[schemars(length(min = 1, max = 63), regex(pattern = crate::vitess_cell::NAME_PATTERN))]
    pub cell: String,
    /// What the tablets are for.
    #[serde(rename = "type")]
    #[schemars(schema_with = "schema::pool_type")]
    pub pool_type: PoolType,
    /// Tells external pools of one cell and type apart.
    #[serde(default)]
    #[schemars(schema_with = "schema::pool_name")]
    pub name: String,
    /// Tablets wanted.
    #[schemars(range(min = 0))]
    pub replicas: i32,
    /// The volume of each tablet; absent for external pools.
    #[serde(default, deserialize_with = "quantity::volume_claim", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::bare::<PersistentVolumeClaimSpec>")]
    pub data_volume_claim_template: Option<PersistentVolumeClaimSpec>,
    /// The backup location that the tablets restore from; the default one when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub backup_location_name: String,
    /// The vttablet container.
    pub vttablet: Vttablet,
    /// The mysqld container; absent for external pools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mysqld: Option<Mysqld>,
    /// The mysqld-exporter container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mysqld_exporter: Option<MysqldExporter>,
    /// A MySQL that runs elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_datastore: Option<ExternalDatastore>,
    /// Additions to the Pods.
    #[serde(flatten)]
    pub pod: PodOverrides,
    /// How the Pods spread.
    #[serde(default, skip_serializing_if = "Fragment::is_absent")]
    pub topology_spread_constraints: Fragment<Vec<TopologySpreadConstraint>>,
}

impl TabletPool {
    /// The pool's identity within its shard.
    #[must_use]
    pub fn key(&self) -> PoolKey {
        PoolKey { cell: Cell(self.cell.clone()), pool_type: self.pool_type, name: self.name.clone() }
    }
}

/// The vttablet container.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Vttablet {
    /// Its resources.
    #[serde(default, deserialize_with = "quantity::resources")]
    #[schemars(schema_with = "schema::bare::<ResourceRequirements>")]
    pub resources: ResourceRequirements,
    /// Its flags, without leading dashes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra_flags: BTreeMap<String, String>,
    /// Flags of vtbackup Pods shaped like this pool.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vtbackup_extra_flags: BTreeMap<String, String>,
    /// Its hooks.
    #[serde(default, skip_serializing_if = "Fragment::is_absent")]
    pub lifecycle: Fragment<Lifecycle>,
    /// Seconds between the request to stop and the kill; 1800 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub termination_grace_period_seconds: Option<i64>,
}

/// The mysqld container.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Mysqld {
    /// Its resources.
    #[serde(default, deserialize_with = "quantity::resources")]
    #[schemars(schema_with = "schema::bare::<ResourceRequirements>")]
    pub resources: ResourceRequirements,
    /// Lines added to my.cnf.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub config_overrides: String,
}

/// The mysqld-exporter container.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MysqldExporter {
    /// Its flags, without leading dashes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra_flags: BTreeMap<String, String>,
    /// Its resources.
    #[serde(
        default,
        deserialize_with = "quantity::resources",
        skip_serializing_if = "crate::omit::is_default"
    )]
    #[schemars(schema_with = "schema::bare::<ResourceRequirements>")]
    pub resources: ResourceRequirements,
}

/// A MySQL that runs elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalDatastore {
    /// User to log in as.
    pub user: String,
    /// Host name or address.
    pub host: String,
    /// TCP port.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// Database to serve.
    pub database: String,
    /// Passwords, in Vitess's JSON form.
    pub credentials_secret: SecretSource,
    /// The authority of the server's certificate.
    #[serde(default, rename = "serverCACertSecret", skip_serializing_if = "Option::is_none")]
    pub server_ca_cert_secret: Option<SecretSource>,
}
