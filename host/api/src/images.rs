//! Container images of each component, and who may override them.

use k8s_openapi::api::core::v1::LocalObjectReference;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Secrets to pull images with.
pub type ImagePullSecrets = Vec<LocalObjectReference>;

/// A cluster's images.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterImages {
    /// vtctld.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub vtctld: String,
    /// vtadmin.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub vtadmin: String,
    /// vtorc.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub vtorc: String,
    /// vtgate.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub vtgate: String,
    /// vttablet.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub vttablet: String,
    /// vtbackup.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub vtbackup: String,
    /// mysqld, by flavour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mysqld: Option<MysqldImage>,
    /// mysqld-exporter.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mysqld_exporter: String,
}

/// A cell's images.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CellImages {
    /// vtgate.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub vtgate: String,
}

/// A keyspace's and its shards' images.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyspaceImages {
    /// vttablet.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub vttablet: String,
    /// vtorc.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub vtorc: String,
    /// vtbackup.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub vtbackup: String,
    /// mysqld, by flavour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mysqld: Option<MysqldImage>,
    /// mysqld-exporter.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mysqld_exporter: String,
}

/// One keyspace's overrides of the cluster's images.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyspaceImageOverrides {
    /// vttablet.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub vttablet: String,
    /// vtorc.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub vtorc: String,
    /// vtbackup.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub vtbackup: String,
    /// mysqld, by flavour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mysqld: Option<MysqldImageOverride>,
    /// mysqld-exporter.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mysqld_exporter: String,
}

/// The mysqld image; the first flavour set counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MysqldImage {
    /// Speaks like MySQL 5.6.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mysql56_compatible: String,
    /// Speaks like MySQL 8.0.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mysql80_compatible: String,
    /// Speaks like MariaDB.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mariadb_compatible: String,
    /// Speaks like MariaDB 10.3.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mariadb103_compatible: String,
}

/// A keyspace's own mysqld image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MysqldImageOverride {
    /// Speaks like MySQL 5.6.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mysql56_compatible: String,
    /// Speaks like MySQL 8.0.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mysql80_compatible: String,
}

/// What Vitess calls a MySQL flavour, in `MYSQL_FLAVOR`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MysqlFlavor {
    /// `MySQL56`.
    Mysql56,
    /// `MySQL80`.
    Mysql80,
    /// `MariaDB`.
    Mariadb,
    /// `MariaDB103`.
    Mariadb103,
}

impl MysqlFlavor {
    /// Vitess's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mysql56 => "MySQL56",
            Self::Mysql80 => "MySQL80",
            Self::Mariadb => "MariaDB",
            Self::Mariadb103 => "MariaDB103",
        }
    }
}

impl MysqldImage {
    /// The flavour and image that count, if any is set.
    #[must_use]
    pub fn chosen(&self) -> Option<(MysqlFlavor, &str)> {
        [
            (MysqlFlavor::Mysql56, &self.mysql56_compatible),
            (MysqlFlavor::Mysql80, &self.mysql80_compatible),
            (MysqlFlavor::Mariadb, &self.mariadb_compatible),
            (MysqlFlavor::Mariadb103, &self.mariadb103_compatible),
        ]
        .into_iter()
        .find(|(_, image)| !image.is_empty())
        .map(|(flavor, image)| (flavor, image.as_str()))
    }
}

/// When each component's image is pulled; Kubernetes' default where empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImagePullPolicies {
    /// vtctld.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub vtctld: String,
    /// vtadmin.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub vtadmin: String,
    /// vtorc.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub vtorc: String,
    /// vtgate.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub vtgate: String,
    /// vttablet.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub vttablet: String,
    /// vtbackup.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub vtbackup: String,
    /// mysqld.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mysqld: String,
    /// mysqld-exporter.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mysqld_exporter: String,
}
