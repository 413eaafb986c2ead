//! All loaded policies, asked about one view.
//!
//! Owns what a failed policy answers (a diagnostic and no step) and the counters.
//! Must not know Kubernetes, nor what becomes of the proposals.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use pilothouse_core::plan::{Diagnostic, Proposal, Slot, Step};
use pilothouse_core::view::ClusterView;
use serde::Serialize;

use crate::binding::Bindings;
use crate::convert::{RenderedObject, Verdict};
use crate::failure::CallError;
use crate::instance::CallStats;
use crate::policy::Policy;
use crate::runtime::{LoadError, Runtime};
use crate::snapshot::Snapshot;

/// What one plugin did so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Statistics {
    /// Calls, failed ones too.
    pub calls: u64,
    /// Fuel of all calls.
    pub fuel: u64,
    /// Steps that it proposed, or refused as a rule.
    pub steps: u64,
    /// Failed calls by the failure's code.
    pub errors: BTreeMap<String, u64>,
    /// Highest peak of memory in bytes.
    pub peak_memory: u64,
    /// Log lines beyond the limit.
    pub log_dropped: u64,
}

/// What a rule plugin said of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Review {
    /// The plugin's name: refusals are signed `rule/PLUGIN`.
    pub plugin: String,
    /// What it said; or, when it failed, a diagnostic of that. What a failed rule means is the caller's to say.
    pub verdict: Result<Verdict, Diagnostic>,
    /// What the call cost.
    pub stats: CallStats,
}

#[derive(Debug)]
struct Served {
    policy: Policy,
    statistics: Mutex<Statistics>,
}

impl Served {
    fn count(&self, stats: &CallStats, steps: usize, error: Option<&CallError>) {
        let mut s = self.statistics.lock().unwrap_or_else(PoisonError::into_inner);
        s.calls += 1;
        s.fuel = s.fuel.saturating_add(stats.fuel);
        s.steps += steps as u64;
        s.peak_memory = s.peak_memory.max(stats.peak_memory);
        s.log_dropped += stats.log_dropped;
        if let Some(error) = error {
            *s.errors.entry(error.failure.code().to_owned()).or_default() += 1;
        }
    }
}

/// The policies of all slots.
#[derive(Debug)]
pub struct PolicySet {
    deciding: Vec<Served>,
    rules: Vec<Served>,
}

impl PolicySet {
    /// Takes loaded policies; rules are told from the others by their slot. Order within a slot is kept.
    #[must_use]
    pub fn new(policies: Vec<Policy>) -> Self {
        let serve = |policy| Served { policy, statistics: Mutex::default() };
        let mut policies = policies;
        policies.sort_by_key(Policy::slot);
        let (rules, deciding) = policies.into_iter().map(serve).partition(|s| s.policy.slot() == Slot::Rule);
        Self { deciding, rules }
    }

    /// Loads every binding.
    ///
    /// # Errors
    /// The first binding that cannot serve; nothing is loaded then, so what served before goes on.
    pub fn load(runtime: &Runtime, bindings: &Bindings) -> Result<Self, LoadError> {
        let mut policies = Vec::new();
        for (slot, binding) in bindings.deciding() {
            policies.push(runtime.load(slot, binding)?);
        }
        for binding in &bindings.rules {
            policies.push(runtime.load(Slot::Rule, binding)?);
        }
        Ok(Self::new(policies))
    }

    /// The policies, in slot order, rules last.
    pub fn policies(&self) -> impl Iterator<Item = &Policy> {
        self.deciding.iter().chain(&self.rules).map(|s| &s.policy)
    }

    /// Whether any rule is asked about plans.
    #[must_use]
    pub const fn has_rules(&self) -> bool {
        !self.rules.is_empty()
    }

    /// Asks every deciding policy, in slot order. One that failed answers with no step and a diagnostic;
    /// the others are asked all the same.
    #[must_use]
    pub fn propose(&self, view: &Arc<ClusterView>) -> Vec<(Proposal, CallStats)> {
        let snapshot = Snapshot::new(view);
        let ask = |served: &Served| {
            let (answer, stats) = served.policy.ask(&snapshot);
            let proposal = match answer {
                Ok(proposal) => {
                    served.count(&stats, proposal.steps.len(), None);
                    proposal
                }
                Err(error) => {
                    served.count(&stats, 0, Some(&error));
                    tracing::warn!(plugin = error.plugin, code = error.failure.code(), "{error}");
                    Proposal { diagnostics: vec![error.diagnostic()], ..served.policy.silence() }
                }
            };
            (proposal, stats)
        };
        self.deciding.iter().map(ask).collect()
    }

    /// Asks every rule about a plan.
    #[must_use]
    pub fn review(&self, view: &Arc<ClusterView>, steps: &[Step], objects: &[RenderedObject]) -> Vec<Review> {
        let snapshot = Snapshot::new(view);
        let ask = |served: &Served| {
            let (answer, stats) = served.policy.judge(&snapshot, steps, objects);
            let verdict = match answer {
                Ok(verdict) => {
                    served.count(&stats, verdict.refusals.len(), None);
                    Ok(verdict)
                }
                Err(error) => {
                    served.count(&stats, 0, Some(&error));
                    tracing::warn!(plugin = error.plugin, code = error.failure.code(), "{error}");
                    Err(error.diagnostic())
                }
            };
            Review { plugin: served.policy.manifest().name.clone(), verdict, stats }
        };
        self.rules.iter().map(ask).collect()
    }

    /// Every policy with its counters, in the order of [`PolicySet::policies`].
    #[must_use]
    pub fn statistics(&self) -> Vec<(Slot, String, Statistics)> {
        let read = |s: &Served| {
            let statistics = s.statistics.lock().unwrap_or_else(PoisonError::into_inner).clone();
            (s.policy.slot(), s.policy.manifest().name.clone(), statistics)
        };
        self.deciding.iter().chain(&self.rules).map(read).collect()
    }
}
