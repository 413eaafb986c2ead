//! What can be said: the kinds of `vocabulary.yaml`.
//!
//! Must not know how requests are made of it.

use serde::Deserialize;
use serde_json::Value;

/// A kind and what is tried on it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kind {
    /// `api/v1` or `apis/<group>/<version>`.
    pub(super) path: String,
    /// Plural, as in URLs.
    pub(super) resource: String,
    /// As in objects.
    pub(super) kind: String,
    /// Whether it has a status subresource.
    #[serde(default)]
    pub(super) status: bool,
    /// Whether it has a scale subresource.
    #[serde(default)]
    pub(super) scale: bool,
    /// Whole objects without names.
    pub(super) objects: Vec<Value>,
    /// Merge patches.
    pub(super) patches: Vec<Value>,
    /// Merge patches for the status subresource.
    #[serde(default)]
    pub(super) statuses: Vec<Value>,
    /// Field selectors.
    pub(super) fields: Vec<String>,
}

impl Kind {
    pub(super) fn api_version(&self) -> &str {
        self.path.split_once('/').map_or("", |(_, version)| version)
    }
}

/// All kinds.
pub(super) fn read() -> anyhow::Result<Vec<Kind>> {
    serde_yaml_ng::Deserializer::from_str(include_str!("vocabulary.yaml"))
        .map(|document| {
            let mut value = serde_yaml_ng::Value::deserialize(document)?;
            value.apply_merge()?;
            Ok(serde_yaml_ng::from_value(value)?)
        })
        .collect()
}
