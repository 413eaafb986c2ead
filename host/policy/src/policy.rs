//! A loaded policy: a component that fits its slot, with a configuration that it takes.
//!
//! Owns loading step by step and the two calls, `propose` and `review`. Must not
//! know where components come from nor what becomes of a proposal.

use std::fmt;
use std::sync::Arc;

use pilothouse_core::plan::{Author, Proposal, Slot, Step};
use serde::Serialize;
use serde_json::Value;
use wasmtime::Store;
use wasmtime::component::{Component, Instance, InstancePre, Resource};

use crate::artifact::Digest;
use crate::bindings::{backup, expansion, failover, meta, placement, rule, types};
use crate::contract::{self, Contract, Misfit};
use crate::convert::{self, RawDecision, ReadAction, RenderedObject, Verdict};
use crate::engine::Engine;
use crate::failure::{CallError, Failure, PolicyError};
use crate::instance::{CallStats, Guest};
use crate::limits::Limits;
use crate::schema::{self, ConfigFlaw, SchemaError};
use crate::snapshot::Snapshot;
use crate::state::HostState;
use crate::text;

/// Names, versions, needs and verbs of a manifest: bytes of each, and number of the lists.
const MANIFEST_WORD_BYTES: usize = 128;
const MANIFEST_WORDS: usize = 128;

/// What a plugin says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Its name, kebab-case.
    pub name: String,
    /// Its version.
    pub version: String,
    /// A JSON Schema of its configuration, as text.
    pub config_schema: String,
    /// Facts that it reads, as `subject-kind/name`.
    pub needs: Vec<String>,
    /// Verbs that it may propose.
    pub emits: Vec<String>,
}

/// Why a component cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// It does not fit the contract.
    #[error(transparent)]
    Contract(#[from] Misfit),
    /// `describe` or `validate-config` gave nothing.
    #[error("{during}: {failure}")]
    Call {
        /// The function.
        during: &'static str,
        /// What happened.
        failure: Failure,
    },
    /// Its manifest cannot be taken.
    #[error("its manifest's {field} {why}")]
    Manifest {
        /// The field.
        field: &'static str,
        /// What is wrong.
        why: String,
    },
    /// Its schema is not one.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The configuration is not to its liking.
    #[error("its configuration is refused: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Config(Vec<ConfigFlaw>),
    /// Its binding asks for more than the pool has.
    #[error("its limit {field} is {wanted}, the pool has {pool}")]
    Pool {
        /// The limit.
        field: &'static str,
        /// What the binding says.
        wanted: u64,
        /// What the pool has.
        pool: u64,
    },
}

/// The slot's interface within the component.
enum Decide {
    Placement(placement::GuestIndices),
    Failover(failover::GuestIndices),
    Expansion(expansion::GuestIndices),
    Backup(backup::GuestIndices),
    Rule(rule::GuestIndices),
}

impl Decide {
    fn of(slot: Slot, pre: &InstancePre<HostState>) -> wasmtime::Result<Self> {
        Ok(match slot {
            Slot::Placement => Self::Placement(placement::GuestIndices::new(pre)?),
            Slot::Failover => Self::Failover(failover::GuestIndices::new(pre)?),
            Slot::Expansion => Self::Expansion(expansion::GuestIndices::new(pre)?),
            Slot::Backup => Self::Backup(backup::GuestIndices::new(pre)?),
            Slot::Rule => Self::Rule(rule::GuestIndices::new(pre)?),
        })
    }
}

/// A loaded policy. Calls take `&self` and share nothing, so threads may call at once.
pub struct Policy {
    slot: Slot,
    digest: Digest,
    author: Author,
    contract: Contract,
    manifest: Manifest,
    config: String,
    guest: Guest,
    decide: Decide,
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Policy({} {}, {})", self.slot, self.manifest.name, self.digest)
    }
}

/// A component that fits, before its configuration is known: all that `plugin inspect` needs.
pub(crate) struct Described {
    pub(crate) manifest: Manifest,
    pub(crate) contract: Contract,
    guest: Guest,
    meta: meta::GuestIndices,
}

/// Links a component for its slot and asks who it is.
pub(crate) fn describe(
    engine: &Arc<Engine>,
    component: &Component,
    slot: Slot,
    limits: &Limits,
) -> Result<Described, Unfit> {
    check_pool(engine, limits)?;
    let contract = Contract::of(engine, component);
    contract.check(slot)?;
    let pre = contract::link(engine, component)?;
    let types = |e: wasmtime::Error| Misfit::Types(format!("{e:#}"));
    let meta = meta::GuestIndices::new(&pre).map_err(types)?;
    let guest = Guest::new(Arc::clone(engine), pre, limits.clone());
    let asked = guest.call(0, |store, instance| meta.load(&mut *store, instance)?.call_describe(store)).0;
    let manifest =
        read_manifest(asked.map_err(|failure| Unfit::Call { during: "describe", failure })?, limits)?;
    Ok(Described { manifest, contract, guest, meta })
}

impl Described {
    /// Checks the configuration and makes it a policy.
    pub(crate) fn configure(self, slot: Slot, digest: Digest, config: &Value) -> Result<Policy, Unfit> {
        let schema = schema::read(&self.manifest.config_schema)?;
        let flaws = schema::flaws(&schema, config);
        if !flaws.is_empty() {
            return Err(Unfit::Config(flaws));
        }
        let text = config.to_string();
        let asked = self
            .guest
            .call(0, |store, instance| {
                self.meta.load(&mut *store, instance)?.call_validate_config(store, &text)
            })
            .0;
        match asked.map_err(|failure| Unfit::Call { during: "validate-config", failure })? {
            Ok(()) => {}
            Err(errors) => return Err(Unfit::Config(errors.into_iter().take(16).map(flaw).collect())),
        }
        let decide = Decide::of(slot, self.guest.pre()).map_err(|e| Misfit::Types(format!("{e:#}")))?;
        let Self { manifest, contract, guest, .. } = self;
        let author = Author::Policy { slot, plugin: manifest.name.clone(), digest: digest.hex() };
        let policy = Policy { slot, digest, author, contract, manifest, config: text, guest, decide };
        policy.check_types()?;
        Ok(policy)
    }
}

fn flaw(error: types::ConfigError) -> ConfigFlaw {
    ConfigFlaw { field: text::clean(&error.field, 253), message: text::clean(&error.message, 1_024) }
}

fn check_pool(engine: &Engine, limits: &Limits) -> Result<(), Unfit> {
    let pool = engine.pool();
    for (field, wanted, pool) in [
        ("memoryBytes", limits.memory_bytes, pool.memory_bytes.saturating_mul(u64::from(pool.memories))),
        ("memories", limits.memories.into(), pool.memories.into()),
        ("instances", limits.instances.into(), pool.instances.into()),
        ("tables", limits.tables.into(), pool.instances.into()),
    ] {
        if wanted > pool {
            return Err(Unfit::Pool { field, wanted, pool });
        }
    }
    Ok(())
}

fn read_manifest(raw: meta::Manifest, limits: &Limits) -> Result<Manifest, Unfit> {
    let bad = |field, why: &str| Err(Unfit::Manifest { field, why: why.to_owned() });
    if raw.name.len() > MANIFEST_WORD_BYTES || !text::is_kebab(&raw.name) {
        return bad("name", "is not a kebab-case word");
    }
    if raw.config_schema.len() > limits.schema_bytes {
        return bad("config-schema", "is too long");
    }
    let word = |w: &String| w.len() <= MANIFEST_WORD_BYTES && text::unprintable(w).is_none();
    if !word(&raw.version) {
        return bad("version", "is too long or not printable");
    }
    for (field, words) in [("needs", &raw.needs), ("emits", &raw.emits)] {
        if words.len() > MANIFEST_WORDS || !words.iter().all(word) {
            return bad(field, "has too many entries, or one that is too long or not printable");
        }
    }
    let meta::Manifest { name, version, config_schema, needs, emits } = raw;
    Ok(Manifest { name, version, config_schema, needs, emits })
}

impl Policy {
    /// The slot that it serves.
    #[must_use]
    pub const fn slot(&self) -> Slot {
        self.slot
    }

    /// What it says of itself.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Its component's digest.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Its imports and exports.
    #[must_use]
    pub const fn contract(&self) -> &Contract {
        &self.contract
    }

    /// How its proposals are signed.
    #[must_use]
    pub const fn author(&self) -> &Author {
        &self.author
    }

    /// Whether the slot's functions have the contract's types: known only once instantiated.
    fn check_types(&self) -> Result<(), Unfit> {
        let loaded = self.guest.call(0, |store, instance| match &self.decide {
            Decide::Placement(i) => i.load(store, instance).map(drop),
            Decide::Failover(i) => i.load(store, instance).map(drop),
            Decide::Expansion(i) => i.load(store, instance).map(drop),
            Decide::Backup(i) => i.load(store, instance).map(drop),
            Decide::Rule(i) => i.load(store, instance).map(drop),
        });
        loaded.0.map_err(|failure| Misfit::Types(failure.to_string()).into())
    }

    pub(crate) fn error(&self, failure: Failure) -> CallError {
        CallError { plugin: self.manifest.name.clone(), slot: self.slot, failure }
    }

    /// Asks for a decision about one view. A rule proposes nothing.
    ///
    /// # Errors
    /// When the plugin gave no decision that can be taken; see [`Failure`].
    pub fn propose(&self, snapshot: &Snapshot) -> Result<(Proposal, CallStats), CallError> {
        let (proposal, stats) = self.ask(snapshot);
        proposal.map(|p| (p, stats))
    }

    /// As [`Policy::propose`], with the costs of a failed call as well.
    pub fn ask(&self, snapshot: &Snapshot) -> (Result<Proposal, CallError>, CallStats) {
        let config = self.config.as_str();
        let (result, stats) = match &self.decide {
            Decide::Placement(i) => self.decision(snapshot, |store, instance, view| {
                i.load(&mut *store, instance)?.call_decide(store, view, config)
            }),
            Decide::Failover(i) => self.decision(snapshot, |store, instance, view| {
                i.load(&mut *store, instance)?.call_decide(store, view, config)
            }),
            Decide::Expansion(i) => self.decision(snapshot, |store, instance, view| {
                i.load(&mut *store, instance)?.call_decide(store, view, config)
            }),
            Decide::Backup(i) => self.decision(snapshot, |store, instance, view| {
                i.load(&mut *store, instance)?.call_decide(store, view, config)
            }),
            Decide::Rule(_) => (Ok(self.silence()), CallStats::default()),
        };
        self.tell(&stats);
        (result.map_err(|failure| self.error(failure)), stats)
    }

    /// Asks a rule about a plan and the objects that it would write. Other slots have no opinion.
    ///
    /// # Errors
    /// When the plugin gave no verdict that can be taken; see [`Failure`].
    pub fn review(
        &self,
        snapshot: &Snapshot,
        steps: &[Step],
        objects: &[RenderedObject],
    ) -> Result<(Verdict, CallStats), CallError> {
        let (verdict, stats) = self.judge(snapshot, steps, objects);
        verdict.map(|v| (v, stats))
    }

    /// As [`Policy::review`], with the costs of a failed call as well.
    pub fn judge(
        &self,
        snapshot: &Snapshot,
        steps: &[Step],
        objects: &[RenderedObject],
    ) -> (Result<Verdict, CallError>, CallStats) {
        let Decide::Rule(indices) = &self.decide else {
            return (Ok(Verdict::default()), CallStats::default());
        };
        let planned: Vec<_> = steps.iter().map(convert::planned_step).collect();
        let rendered: Vec<_> = objects.iter().map(convert::rendered).collect();
        let (answer, stats) = self.with_view(snapshot, |store, instance, view| {
            let guest = indices.load(&mut *store, instance)?;
            guest.call_review(store, view, &planned, &rendered, &self.config)
        });
        self.tell(&stats);
        let verdict = answer.and_then(|answer| {
            let raw = answer.map_err(|e| self.refused(e))?;
            Ok(convert::read_verdict(raw, steps.len(), objects.len(), self.guest.limits())?)
        });
        (verdict.map_err(|failure| self.error(failure)), stats)
    }

    /// What it says when it says nothing.
    pub(crate) fn silence(&self) -> Proposal {
        Proposal {
            author: self.author.clone(),
            steps: Vec::new(),
            diagnostics: Vec::new(),
            requeue_after_ms: None,
        }
    }

    fn with_view<R>(
        &self,
        snapshot: &Snapshot,
        call: impl FnOnce(&mut Store<HostState>, &Instance, Resource<Snapshot>) -> wasmtime::Result<R>,
    ) -> (Result<R, Failure>, CallStats) {
        self.guest.call(snapshot.view().as_of, |store, instance| {
            let handle = store.data_mut().handles.push(snapshot.clone())?;
            call(store, instance, Resource::new_borrow(handle.rep()))
        })
    }

    fn decision<D, A: ReadAction>(
        &self,
        snapshot: &Snapshot,
        call: impl FnOnce(
            &mut Store<HostState>,
            &Instance,
            Resource<Snapshot>,
        ) -> wasmtime::Result<Result<D, types::PolicyError>>,
    ) -> (Result<Proposal, Failure>, CallStats)
    where
        RawDecision<A>: From<D>,
    {
        let (answer, stats) = self.with_view(snapshot, call);
        let limits = self.guest.limits();
        let proposal = answer.and_then(|answer| {
            let raw = RawDecision::from(answer.map_err(|e| self.refused(e))?);
            if raw.count() > limits.steps {
                return Err(Failure::TooManySteps { count: raw.count(), limit: limits.steps });
            }
            Ok(convert::read_decision(raw, &self.author, snapshot.view().as_of, limits)?)
        });
        (proposal, stats)
    }

    fn refused(&self, error: types::PolicyError) -> Failure {
        let limit = self.guest.limits().text_bytes;
        Failure::Refused(match error {
            types::PolicyError::Config(e) => PolicyError::Config {
                field: text::clean(&e.field, limit),
                message: text::clean(&e.message, limit),
            },
            types::PolicyError::View(message) => PolicyError::View(text::clean(&message, limit)),
            types::PolicyError::Internal(message) => PolicyError::Internal(text::clean(&message, limit)),
        })
    }

    /// Hands the plugin's lines to the host's log, prefixed with its name.
    fn tell(&self, stats: &CallStats) {
        use pilothouse_core::plan::Severity;
        let plugin = self.manifest.name.as_str();
        for line in &stats.log {
            match line.severity {
                Severity::Info => tracing::info!(target: "plugin", plugin, "{}", line.message),
                Severity::Warning => tracing::warn!(target: "plugin", plugin, "{}", line.message),
                Severity::Error => tracing::error!(target: "plugin", plugin, "{}", line.message),
            }
        }
        if stats.log_dropped > 0 {
            tracing::warn!(target: "plugin", plugin, dropped = stats.log_dropped, "log lines beyond the limit");
        }
    }
}
