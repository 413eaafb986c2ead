//! Settings of the host: typed, unknown keys refused, every default printable.
//!
//! Owns the file's shape. The policies part has the shape that a PolicyBinding
//! will have.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pilothouse_core::view::Fact;
use pilothouse_core::zones::ZoneSettings;
use pilothouse_policy::binding::Bindings;
use pilothouse_policy::cache::Cache;
use pilothouse_policy::compile::Compiler;
use pilothouse_policy::engine::Engine;
use pilothouse_policy::limits::{CompileLimits, PoolLimits};
use pilothouse_policy::runtime::Runtime;
use pilothouse_policy::set::PolicySet;
use serde::{Deserialize, Serialize};

use crate::lease::LeaseSettings;
use crate::vitess::settings::VitessSettings;

/// Why settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("settings {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not of the settings' shape; the message names the field.
    #[error("settings {path}: {source}")]
    Parse {
        /// The file.
        path: String,
        /// Where and why.
        source: serde_yaml_ng::Error,
    },
    /// This program's own path, which compiles plugins, is not known.
    #[error("this program cannot find itself: {0}")]
    Program(std::io::Error),
    /// The engine does not start.
    #[error(transparent)]
    Engine(#[from] pilothouse_policy::engine::EngineError),
    /// The cache directory cannot be used.
    #[error(transparent)]
    Cache(#[from] pilothouse_policy::cache::CacheError),
    /// A policy cannot serve.
    #[error(transparent)]
    Policy(#[from] pilothouse_policy::runtime::LoadError),
}

/// The host's settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Settings {
    /// Only clusters of this namespace; absent: all namespaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Where metrics and health are served.
    pub listen: SocketAddr,
    /// Where compiled plugins are kept; absent: the user's cache directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_dir: Option<PathBuf>,
    /// Which policy serves which slot.
    pub policies: Bindings,
    /// What all plugins share.
    pub pool: PoolLimits,
    /// Bounds on compiling a plugin.
    pub compile: CompileLimits,
    /// How zones are judged.
    pub zones: ZoneSettings,
    /// How hosts agree on the one that acts.
    pub lease: LeaseSettings,
    /// How Vitess is asked.
    pub vitess: VitessSettings,
    /// What this region allows beyond the guard's defaults.
    pub allowances: Allowances,
}

/// What a region allows: read by policies and guard as facts of the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Allowances {
    /// Under durability `none`: an emergency reparent may lose writes that only the lost primary has.
    pub loss_accepted: bool,
    /// The most bytes that all volumes of one cluster may ask for together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_budget_bytes: Option<u64>,
    /// Backups younger than this never expire, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_retention_ms: Option<u64>,
}

impl Allowances {
    /// The facts of the subject `cluster`.
    #[must_use]
    pub fn facts(&self) -> BTreeMap<String, Fact> {
        let number = |n: u64| Fact::Integer(i64::try_from(n).unwrap_or(i64::MAX));
        let given = [
            self.loss_accepted.then_some(("lossAccepted", Fact::Flag(true))),
            self.volume_budget_bytes.map(|n| ("volumeBudgetBytes", number(n))),
            self.backup_retention_ms.map(|n| ("backupRetentionMs", number(n))),
        ];
        given.into_iter().flatten().map(|(name, fact)| (name.to_owned(), fact)).collect()
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            namespace: None,
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            cache_dir: None,
            policies: Bindings::default(),
            pool: PoolLimits::default(),
            compile: CompileLimits::default(),
            zones: ZoneSettings::default(),
            lease: LeaseSettings::default(),
            vitess: VitessSettings::default(),
            allowances: Allowances::default(),
        }
    }
}

impl Settings {
    /// Reads a file; without one, the defaults.
    ///
    /// # Errors
    /// When it cannot be read, holds an unknown key or a value of another type.
    pub fn load(path: Option<&Path>) -> Result<Self, Error> {
        let Some(path) = path else { return Ok(Self::default()) };
        let name = path.display().to_string();
        let text =
            std::fs::read_to_string(path).map_err(|source| Error::Read { path: name.clone(), source })?;
        serde_yaml_ng::from_str(&text).map_err(|source| Error::Parse { path: name, source })
    }

    /// The settings as a file that gives the same settings.
    ///
    /// # Panics
    /// Never: settings are plain values.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        serde_yaml_ng::to_string(self).expect("plain values have a YAML text")
    }

    /// Engine, compiler and cache as these settings have them.
    ///
    /// # Errors
    /// When the engine does not start or the cache directory cannot be used.
    pub fn runtime(&self) -> Result<Runtime, Error> {
        self.runtime_with(std::env::current_exe().map_err(Error::Program)?)
    }

    /// The same where this process is not the program that compiles: in tests and benchmarks.
    ///
    /// # Errors
    /// When the engine does not start or the cache directory cannot be used.
    pub fn runtime_with(&self, program: PathBuf) -> Result<Runtime, Error> {
        let compiler =
            Compiler { program, args: vec!["compile-component".into()], limits: self.compile.clone() };
        let cache = Cache::open(&self.cache_dir.clone().unwrap_or_else(default_cache_dir))?;
        Ok(Runtime::new(Arc::new(Engine::new(self.pool.clone())?), compiler, cache))
    }

    /// Loads every bound policy.
    ///
    /// # Errors
    /// The first policy that cannot serve, with slot, source and reason.
    pub fn load_policies(&self) -> Result<PolicySet, Error> {
        Ok(PolicySet::load(&self.runtime()?, &self.policies)?)
    }
}

fn default_cache_dir() -> PathBuf {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|p| p.is_absolute());
    // Of its own: nobody else may reach it, and what tests build stands beside it.
    base.or_else(home).unwrap_or_else(std::env::temp_dir).join("pilothouse").join("compiled")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_defaults_read_back_as_the_defaults() {
        let defaults = Settings::default();
        let read: Settings = serde_yaml_ng::from_str(&defaults.to_yaml()).expect("own text");
        assert_eq!(read, defaults);
    }

    #[test]
    fn unknown_keys_are_refused_by_name() {
        for (text, field) in [
            ("polices: {}", "polices"),
            ("policies: { failover: { builtin: failover, confg: {} } }", "confg"),
            ("zones: { lostAfter: 3 }", "lostAfter"),
            ("vitess: { tls: { ca: /a } }", "ca"),
        ] {
            let error = serde_yaml_ng::from_str::<Settings>(text).expect_err(text).to_string();
            assert!(error.contains(field), "{error}");
        }
    }
}
