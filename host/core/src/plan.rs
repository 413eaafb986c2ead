//! Plans: the merged list of steps, with its stage in the type.
//!
//! Owns merging of proposals, authorship, refusals and outcomes. A plan is a
//! complete value: executing it twice, or by two hosts, converges. Must not
//! know how plugins run nor how steps are executed.

use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use crate::Millis;
use crate::action::{Action, Expectation};

/// A role that a policy fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Slot {
    /// Zones, surge tablets, surge gateways.
    Placement,
    /// Primaries.
    Failover,
    /// Volumes.
    Expansion,
    /// Backups.
    Backup,
    /// Reviews of the others' plans.
    Rule,
}

impl Slot {
    /// Every slot, in the order that plans list them.
    pub const ALL: [Self; 5] = [Self::Placement, Self::Failover, Self::Expansion, Self::Backup, Self::Rule];

    /// The word that settings, metrics and texts use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Placement => "placement",
            Self::Failover => "failover",
            Self::Expansion => "expansion",
            Self::Backup => "backup",
            Self::Rule => "rule",
        }
    }
}

impl std::fmt::Display for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who proposed a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Author {
    /// The host itself: rendering, drains, turndown.
    Host,
    /// A plugin.
    Policy {
        /// The slot it served.
        slot: Slot,
        /// Its own name.
        plugin: String,
        /// SHA-256 of its component, hexadecimal.
        digest: String,
    },
}

/// Why a step was proposed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Reason {
    /// A stable kebab-case name of the rule that led to it.
    pub code: String,
    /// One sentence for a human.
    pub message: String,
}

/// One action with everything needed to judge, execute and explain it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Step {
    /// What to do.
    pub action: Action,
    /// Who says so.
    pub author: Author,
    /// Why.
    pub reason: Reason,
    /// What must still be true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<Expectation>,
    /// Not to be executed at or after this time.
    pub expires: Millis,
}

/// What one policy answered for one view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Proposal {
    /// Who.
    pub author: Author,
    /// What it wants done.
    pub steps: Vec<Step>,
    /// What it wants said (a typed "no" of its own, such as "fewer than three zones").
    pub diagnostics: Vec<Diagnostic>,
    /// When it wants to be asked again, at the latest; relative to the view's `as_of`.
    pub requeue_after_ms: Option<Millis>,
}

/// Something a policy wants a human to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Diagnostic {
    /// How bad.
    pub severity: Severity,
    /// A stable CamelCase reason, as conditions want it.
    pub code: String,
    /// One sentence.
    pub message: String,
    /// What it is about: a shard, an alias, a cell; empty for the cluster.
    #[serde(default)]
    pub subject: String,
}

/// How bad a diagnostic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Look at it soon.
    Warning,
    /// The policy could not do its work.
    Error,
}

/// Stage: merged from proposals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proposed;
/// Stage: rule plugins have spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reviewed;
/// Stage: the guard let it pass. Only [`crate::guard::admit`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admitted;

/// Steps in the order that they are to be executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan<Stage> {
    steps: Vec<Step>,
    stage: PhantomData<Stage>,
}

impl<Stage> Plan<Stage> {
    pub(crate) const fn at_stage(steps: Vec<Step>) -> Self {
        Self { steps, stage: PhantomData }
    }

    /// The steps.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    pub(crate) fn into_steps(self) -> Vec<Step> {
        self.steps
    }
}

impl Plan<Proposed> {
    /// Merges proposals and the host's own steps: proposals in slot order first
    /// (a reparent goes before the drain that waits for it), exact repetitions
    /// of an action kept once, the first author wins.
    #[must_use]
    pub fn merge(proposals: &[Proposal], own: Vec<Step>) -> Self {
        let mut steps: Vec<Step> = Vec::new();
        for step in proposals.iter().flat_map(|p| p.steps.iter().cloned()).chain(own) {
            if !steps.iter().any(|s| s.action == step.action) {
                steps.push(step);
            }
        }
        Self::at_stage(steps)
    }

    /// Marks the plan as reviewed, with the refusals of rule plugins taken out.
    #[must_use]
    pub fn reviewed(self, refused: &[Refusal]) -> Plan<Reviewed> {
        let steps = self.into_steps().into_iter().filter(|s| !refused.iter().any(|r| r.step == *s)).collect();
        Plan::at_stage(steps)
    }
}

/// A step that will not be done, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Refusal {
    /// The step.
    pub step: Step,
    /// The rule that refused: a guard rule's name, or `rule/PLUGIN`.
    pub rule: String,
    /// Why, as a value.
    pub why: crate::guard::Why,
}

/// What became of an admitted step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// Done, and answered so.
    Done,
    /// An expectation no longer held, or the step expired: not tried.
    Overtaken {
        /// What was found instead.
        found: String,
    },
    /// Tried, and failed; the next pass looks again.
    Failed {
        /// A stable CamelCase reason.
        code: String,
        /// One sentence.
        message: String,
    },
    /// No answer came: it may have happened.
    InDoubt {
        /// One sentence.
        message: String,
    },
}
