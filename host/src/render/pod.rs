//! A Pod around our containers, with what the manifest adds to it.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{EnvVar, VolumeMount};
use pilothouse_api::images::ImagePullSecrets;
use pilothouse_api::pod_overrides::PodOverrides;
use pilothouse_core::topology::Zone;
use serde_json::{Value, json};

use super::child::unless_empty;
use super::placement::{Apart, affinity};

/// Our part of a Pod.
pub(super) struct Parts<'a> {
    /// Our containers; the manifest's sidecars come behind.
    pub(super) containers: Vec<Value>,
    /// Our init containers; the manifest's come behind, so that they find what ours prepared.
    pub(super) init_containers: Vec<Value>,
    /// Our volumes; the manifest's come behind, or instead of those that it names alike.
    pub(super) volumes: Vec<Value>,
    /// Where it may run; anywhere when empty.
    pub(super) zones: BTreeSet<&'a Zone>,
    /// From whom it should keep apart.
    pub(super) apart: Vec<Apart<'a>>,
    /// Secrets to pull its images with.
    pub(super) pull_secrets: &'a ImagePullSecrets,
}

/// The Pod's spec; fields left out are null.
pub(super) fn spec(parts: Parts<'_>, given: &PodOverrides) -> Value {
    json!({
        "affinity": affinity(given.affinity.raw(), &parts.zones, &parts.apart),
        "containers": behind(parts.containers, given.sidecar_containers.raw()),
        "initContainers": unless_empty(behind(parts.init_containers, given.init_containers.raw())),
        "volumes": merged(parts.volumes, given.extra_volumes.raw().as_array().into_iter().flatten().cloned(), "name"),
        "tolerations": given.tolerations.raw(),
        "imagePullSecrets": unless_empty(json!(parts.pull_secrets)),
    })
}

fn behind(mut ours: Vec<Value>, given: &Value) -> Value {
    ours.extend(given.as_array().into_iter().flatten().cloned());
    Value::Array(ours)
}

/// Our environment with the manifest's behind; a variable that both name is the manifest's.
pub(super) fn env(ours: Vec<Value>, given: &[EnvVar]) -> Value {
    merged(ours, given.iter().map(|variable| json!(variable)), "name")
}

/// Our mounts with the manifest's behind; a path that both name is the manifest's.
pub(super) fn mounts(ours: Vec<Value>, given: &[VolumeMount]) -> Value {
    merged(ours, given.iter().map(|mount| json!(mount)), "mountPath")
}

/// What is `given` takes the place of ours with the same key; null when there is nothing.
fn merged(mut ours: Vec<Value>, given: impl IntoIterator<Item = Value>, key: &str) -> Value {
    for item in given {
        match ours.iter_mut().find(|there| there[key] == item[key]) {
            Some(there) => *there = item,
            None => ours.push(item),
        }
    }
    unless_empty(Value::Array(ours))
}

/// Null for an empty string: left to its default.
pub(super) fn unless_blank(text: &str) -> Value {
    if text.is_empty() { Value::Null } else { json!(text) }
}
