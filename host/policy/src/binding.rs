//! Which component serves which slot, with what configuration: the settings' shape,
//! and the shape that a PolicyBinding will have.
//!
//! Owns parsing. Must not load anything.

use std::collections::BTreeMap;
use std::path::PathBuf;

use pilothouse_core::plan::Slot;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::artifact::Digest;
use crate::limits::Limits;

/// Where a component comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// One that is embedded in this program, by name.
    Builtin(String),
    /// A file, which must have this digest.
    File {
        /// Where it lies.
        path: PathBuf,
        /// What it must be.
        digest: Digest,
    },
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Builtin(name) => f.write_str(name),
            Self::File { path, .. } => write!(f, "{}", path.display()),
        }
    }
}

/// One slot's binding: `{ builtin: failover }` or `{ file: PATH, digest: sha256:… }`, with
/// `config` (an object; none is `{}`) and `limits` (each may be left out).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub struct Binding {
    /// The component.
    pub source: Source,
    /// Its configuration, a JSON object.
    pub config: Value,
    /// Its bounds.
    pub limits: Limits,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Fields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    builtin: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digest: Option<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    config: Option<Value>,
    #[serde(default, skip_serializing_if = "is_default")]
    limits: Limits,
}

fn is_default(limits: &Limits) -> bool {
    *limits == Limits::default()
}

/// Why a binding is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BindingError {
    /// Neither or both of the two sources.
    #[error("a binding names either builtin, or file with digest")]
    Source,
    /// A file without a digest would be whatever lies there.
    #[error("digest: is missing; a file is bound by its digest (sha256:…)")]
    NoDigest,
    /// The configuration is not an object.
    #[error("config: is not an object")]
    Config,
}

impl TryFrom<Fields> for Binding {
    type Error = BindingError;

    fn try_from(f: Fields) -> Result<Self, BindingError> {
        let source = match (f.builtin, f.file, f.digest) {
            (Some(name), None, None) => Source::Builtin(name),
            (None, Some(path), Some(digest)) => Source::File { path, digest },
            (None, Some(_), None) => return Err(BindingError::NoDigest),
            (_, _, _) => return Err(BindingError::Source),
        };
        let config = f.config.unwrap_or_else(|| Value::Object(serde_json::Map::new()));
        if !config.is_object() {
            return Err(BindingError::Config);
        }
        Ok(Self { source, config, limits: f.limits })
    }
}

impl From<Binding> for Fields {
    fn from(b: Binding) -> Self {
        let (builtin, file, digest) = match b.source {
            Source::Builtin(name) => (Some(name), None, None),
            Source::File { path, digest } => (None, Some(path), Some(digest)),
        };
        let config = b.config.as_object().is_some_and(|c| !c.is_empty()).then_some(b.config);
        Self { builtin, file, digest, config, limits: b.limits }
    }
}

impl Binding {
    /// A built-in with no configuration and default bounds.
    #[must_use]
    pub fn builtin(name: &str) -> Self {
        Self {
            source: Source::Builtin(name.to_owned()),
            config: Value::Object(serde_json::Map::new()),
            limits: Limits::default(),
        }
    }
}

/// The bindings of all slots. A slot that is left out is served by our own policy; `null` leaves it empty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Bindings {
    /// Zones, surge tablets, surge gateways.
    pub placement: Option<Binding>,
    /// Primaries.
    pub failover: Option<Binding>,
    /// Volumes.
    pub expansion: Option<Binding>,
    /// Backups.
    pub backup: Option<Binding>,
    /// Reviews, in this order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Binding>,
}

impl Default for Bindings {
    fn default() -> Self {
        let builtin = |name| Some(Binding::builtin(name));
        Self {
            placement: builtin("az-placement"),
            failover: builtin("failover"),
            expansion: builtin("expansion"),
            backup: builtin("backup"),
            rules: Vec::new(),
        }
    }
}

impl Bindings {
    /// The slots that decide, with their bindings, in slot order.
    #[must_use]
    pub fn deciding(&self) -> BTreeMap<Slot, &Binding> {
        [
            (Slot::Placement, &self.placement),
            (Slot::Failover, &self.failover),
            (Slot::Expansion, &self.expansion),
            (Slot::Backup, &self.backup),
        ]
        .into_iter()
        .filter_map(|(slot, binding)| Some((slot, binding.as_ref()?)))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> Result<Bindings, String> {
        serde_yaml_ng::from_str(yaml).map_err(|e| e.to_string())
    }

    #[test]
    fn two_lines_bind_another_failover_policy() {
        let digest = Digest::of(b"x");
        let bindings = read(&format!("failover: {{ file: /p/eu.wasm, digest: '{digest}' }}")).unwrap();
        let source = Source::File { path: PathBuf::from("/p/eu.wasm"), digest };
        assert_eq!(bindings.failover.as_ref().map(|b| &b.source), Some(&source));
        assert_eq!(bindings.placement, Some(Binding::builtin("az-placement")));
        let written = serde_yaml_ng::to_string(&bindings).unwrap();
        assert_eq!(read(&written).unwrap(), bindings);
        assert_eq!(read("backup: null").unwrap().deciding().len(), 3);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (yaml, words) in [
            ("failover: {}", "either builtin, or file with digest"),
            ("failover: { builtin: a, file: b }", "either builtin, or file with digest"),
            ("failover: { file: b }", "digest: is missing"),
            ("failover: { file: b, digest: abc }", "expected sha256:"),
            ("failover: { builtin: a, config: 3 }", "config: is not an object"),
            ("failover: { builtin: a, limits: { fule: 3 } }", "unknown field `fule`"),
            ("failover: { builtin: a, sha: x }", "unknown field `sha`"),
            ("fialover: {}", "unknown field `fialover`"),
        ] {
            let error = read(yaml).unwrap_err();
            assert!(error.contains(words), "{yaml}: {error}");
        }
    }
}
