//! From a binding to a loaded policy: bytes, compiled code, contract, configuration.
//!
//! Owns the order and the error that names the binding. Blocking: compilation
//! waits for a child process, so an async host calls it off its executor.

use std::path::Path;
use std::sync::Arc;

use pilothouse_core::plan::Slot;
use serde_json::Value;
use wasmtime::component::Component;

use crate::artifact::{Artifact, ArtifactError, Digest};
use crate::binding::{Binding, Source};
use crate::cache::{Cache, CacheError};
use crate::compile::{CompileError, Compiler};
use crate::contract::Contract;
use crate::engine::Engine;
use crate::limits::Limits;
use crate::policy::{self, Manifest, Policy, Unfit};
use crate::registry;

/// A binding that cannot serve. Displays as `policy SOURCE (slot SLOT): REASON`.
#[derive(Debug, thiserror::Error)]
#[error("policy {component} (slot {slot}): {why}")]
pub struct LoadError {
    /// The built-in's name, or the file.
    pub component: String,
    /// The slot that it is bound to.
    pub slot: Slot,
    /// Why.
    pub why: Box<LoadFailure>,
}

/// Why it cannot serve, by stage.
#[derive(Debug, thiserror::Error)]
pub enum LoadFailure {
    /// No built-in has this name.
    #[error("there is no such built-in; there are {}", registry::BUILTINS.map(|b| b.name).join(", "))]
    NoSuchBuiltin,
    /// Its bytes cannot be taken.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// It does not compile within the bounds.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// Compiled code can be neither kept nor loaded.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// It does not fit.
    #[error(transparent)]
    Unfit(#[from] Unfit),
}

/// What `plugin inspect` shows.
#[derive(Debug)]
pub struct Inspection {
    /// Of the component.
    pub digest: Digest,
    /// Bytes of the component.
    pub bytes: usize,
    /// Imports and exports.
    pub contract: Contract,
    /// Each slot that it can serve with what it says of itself, or why it cannot serve.
    pub slots: Vec<(Slot, Result<Manifest, Unfit>)>,
}

/// Engine, compiler and cache: one of each in a process.
#[derive(Debug, Clone)]
pub struct Runtime {
    engine: Arc<Engine>,
    compiler: Compiler,
    cache: Cache,
}

impl Runtime {
    /// Takes its parts.
    #[must_use]
    pub const fn new(engine: Arc<Engine>, compiler: Compiler, cache: Cache) -> Self {
        Self { engine, compiler, cache }
    }

    /// The engine.
    #[must_use]
    pub const fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// The compiled-code cache.
    #[must_use]
    pub const fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Loads what a binding names for a slot.
    ///
    /// # Errors
    /// When the component cannot be read, compiled, linked or configured.
    pub fn load(&self, slot: Slot, binding: &Binding) -> Result<Policy, LoadError> {
        let load = || -> Result<Policy, LoadFailure> {
            let artifact = self.artifact(&binding.source)?;
            self.policy(slot, &artifact, &binding.config, &binding.limits)
        };
        load().map_err(|why| LoadError { component: binding.source.to_string(), slot, why: Box::new(why) })
    }

    fn artifact(&self, source: &Source) -> Result<Artifact, LoadFailure> {
        let limit = self.compiler.limits.component_bytes;
        Ok(match source {
            Source::Builtin(name) => {
                let builtin = registry::builtin(name).ok_or(LoadFailure::NoSuchBuiltin)?;
                Artifact::new(builtin.component.to_vec(), limit)?
            }
            Source::File { path, digest } => Artifact::read(path, Some(*digest), limit)?,
        })
    }

    /// Loads a component that is at hand.
    ///
    /// # Errors
    /// When it cannot be compiled, linked or configured.
    pub fn policy(
        &self,
        slot: Slot,
        artifact: &Artifact,
        config: &Value,
        limits: &Limits,
    ) -> Result<Policy, LoadFailure> {
        let component = self.component(artifact)?;
        let described = policy::describe(&self.engine, &component, slot, limits)?;
        Ok(described.configure(slot, artifact.digest(), config)?)
    }

    /// Looks at a file without binding it: its digest, contract and manifest.
    ///
    /// # Errors
    /// When it cannot be read or compiled. A component that does not fit is still shown.
    pub fn inspect(&self, path: &Path) -> Result<Inspection, LoadFailure> {
        let artifact = Artifact::read(path, None, self.compiler.limits.component_bytes)?;
        let component = self.component(&artifact)?;
        let contract = Contract::of(&self.engine, &component);
        let limits = Limits::default();
        let ask = |slot: &Slot| {
            (*slot, policy::describe(&self.engine, &component, *slot, &limits).map(|d| d.manifest))
        };
        let slots = contract.slots.iter().map(ask).collect();
        Ok(Inspection { digest: artifact.digest(), bytes: artifact.bytes().len(), contract, slots })
    }

    fn component(&self, artifact: &Artifact) -> Result<Component, LoadFailure> {
        if let Some(component) = self.cache.load(&self.engine, artifact.digest()) {
            return Ok(component);
        }
        let code = self.compiler.compile(artifact.bytes())?;
        Ok(self.cache.store(&self.engine, artifact.digest(), &code)?)
    }
}
