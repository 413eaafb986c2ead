//! Where backups are kept.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Volume;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fragment::Fragment;
use crate::omit::is_default;
use crate::pod_overrides::SecretSource;

/// A place for backups: exactly one of `gcs`, `s3`, `azblob`, `ceph`, `volume`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupLocation {
    /// Its name; the default location has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 63), regex(pattern = r"^[A-Za-z0-9]([A-Za-z0-9-_.]*[A-Za-z0-9])?$"))]
    pub name: String,
    /// Google Cloud Storage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gcs: Option<GcsLocation>,
    /// S3, or what speaks like it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3: Option<S3Location>,
    /// Azure blobs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub azblob: Option<AzblobLocation>,
    /// Ceph.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceph: Option<CephLocation>,
    /// A volume that all Pods of the cluster can mount, without a name.
    #[serde(default, skip_serializing_if = "Fragment::is_absent")]
    pub volume: Fragment<Volume>,
    /// Folder within the volume.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub volume_sub_path: String,
    /// Annotations of the Pods that use it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// Google Cloud Storage.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GcsLocation {
    /// The bucket.
    #[schemars(length(min = 1))]
    pub bucket: String,
    /// Put in front of every key.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 256), regex(pattern = r"^[^\r\n]*$"))]
    pub key_prefix: String,
    /// A service account's JSON key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_secret: Option<SecretSource>,
}

/// S3, or what speaks like it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct S3Location {
    /// The region.
    #[schemars(length(min = 1))]
    pub region: String,
    /// The bucket.
    #[schemars(length(min = 1))]
    pub bucket: String,
    /// Another endpoint than Amazon's.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub endpoint: String,
    /// Whether the bucket goes into the path instead of the host name.
    #[serde(default, skip_serializing_if = "is_default")]
    pub force_path_style: bool,
    /// Put in front of every key.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 256), regex(pattern = r"^[^\r\n]*$"))]
    pub key_prefix: String,
    /// The smallest part of an upload in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_part_size: Option<i64>,
    /// A credentials file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_secret: Option<SecretSource>,
}

/// Azure blobs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AzblobLocation {
    /// The account.
    #[schemars(length(min = 1))]
    pub account: String,
    /// The container.
    #[schemars(length(min = 1))]
    pub container: String,
    /// Put in front of every key.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 256), regex(pattern = r"^[^\r\n]*$"))]
    pub key_prefix: String,
    /// The account's key.
    pub auth_secret: SecretSource,
}

/// Ceph.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CephLocation {
    /// Access keys, in Vitess's JSON form.
    pub auth_secret: SecretSource,
}
