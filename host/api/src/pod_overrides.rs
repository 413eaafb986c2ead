//! What a manifest may add to the Pods and Services that we render.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Affinity, Container, EnvVar, Toleration, Volume, VolumeMount};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fragment::Fragment;
use crate::schema;

/// Additions to a component's Pods.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodOverrides {
    /// Replaces the default affinity.
    #[serde(default, skip_serializing_if = "Fragment::is_absent")]
    pub affinity: Fragment<Affinity>,
    /// Annotations of the Pods.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Environment of the main containers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::bare_list::<EnvVar>")]
    pub extra_env: Vec<EnvVar>,
    /// Labels of the Pods.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra_labels: BTreeMap<String, String>,
    /// Mounts in the main containers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::bare_list::<VolumeMount>")]
    pub extra_volume_mounts: Vec<VolumeMount>,
    /// Volumes of the Pods.
    #[serde(default, skip_serializing_if = "Fragment::is_absent")]
    pub extra_volumes: Fragment<Vec<Volume>>,
    /// Containers that run before ours.
    #[serde(default, skip_serializing_if = "Fragment::is_absent")]
    pub init_containers: Fragment<Vec<Container>>,
    /// Containers that run beside ours.
    #[serde(default, skip_serializing_if = "Fragment::is_absent")]
    pub sidecar_containers: Fragment<Vec<Container>>,
    /// Taints that the Pods tolerate.
    #[serde(default, skip_serializing_if = "Fragment::is_absent")]
    pub tolerations: Fragment<Vec<Toleration>>,
}

/// Additions to a Service.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceOverrides {
    /// Annotations of the Service.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Its cluster IP; `None` makes it headless.
    #[serde(default, rename = "clusterIP", skip_serializing_if = "String::is_empty")]
    pub cluster_ip: String,
}

/// A key of a Secret, or of a volume that something else mounts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretSource {
    /// Name of the Secret; empty when `volumeName` is set.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Name of a volume that already holds the file.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub volume_name: String,
    /// Key in the Secret, or file in the volume.
    pub key: String,
}
