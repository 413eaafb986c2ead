//! The guard: judges every step of every plan against invariants that no policy can override.
//!
//! Owns the list of rules, one file each under `guard/`, and the typed "no".
//! Rules are pure; they see the view, the steps admitted so far and the step in
//! question. Must not know who executes, and shares no code with the simulator's checkers.

mod author;
mod backup;
mod blast;
mod budget;
mod candidate;
mod claim;
mod contradiction;
mod decider;
mod drain;
mod evidence;
mod expectation;
mod expired;
mod pace;
mod paused;
mod placement;
mod primary;
mod quorum;
mod records;
mod restore;
mod returning;
mod scope;
mod supported;
mod surge;
mod turndown;
mod upgrade;
mod volume;
mod why;

pub use why::{Cover, Why};

use crate::plan::{Admitted, Plan, Refusal, Reviewed, Step};
use crate::view::ClusterView;

/// Every rule, in the order they speak: the first "no" is the one that is told.
pub const RULES: &[Rule] = &[
    supported::RULE,
    author::RULE,
    scope::RULE,
    paused::RULE,
    expired::RULE,
    evidence::RULE,
    expectation::RULE,
    contradiction::RULE,
    decider::RULE,
    primary::RULE,
    candidate::RULE,
    pace::RULE,
    blast::RULE,
    quorum::RULE,
    drain::RULE,
    upgrade::RULE,
    placement::RULE,
    surge::RULE,
    returning::RULE,
    volume::RULE,
    claim::RULE,
    restore::RULE,
    turndown::RULE,
    records::RULE,
    backup::RULE,
    budget::RULE,
];

/// What a rule looks at.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The view that the plan was made from.
    pub view: &'a ClusterView,
    /// Steps of this plan that are already admitted.
    pub admitted: &'a [Step],
    /// The step to judge.
    pub step: &'a Step,
}

/// One rule: a value, so that a list without it is a mutant.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Kebab-case, as refusals name it.
    pub name: &'static str,
    /// The invariants of the fault model that it keeps (S1–S14).
    pub keeps: &'static [&'static str],
    /// The verdict: nothing, or why not.
    pub judge: fn(&Case<'_>) -> Option<Why>,
}

/// A judged plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What may be done.
    pub admitted: Plan<Admitted>,
    /// What may not.
    pub refusals: Vec<Refusal>,
}

/// Judges a plan step by step; each rule sees what was admitted before.
#[must_use]
pub fn admit(view: &ClusterView, plan: Plan<Reviewed>, rules: &[Rule]) -> Verdict {
    let mut admitted: Vec<Step> = Vec::new();
    let mut refusals = Vec::new();
    for step in plan.into_steps() {
        let case = Case { view, admitted: &admitted, step: &step };
        match rules.iter().find_map(|rule| (rule.judge)(&case).map(|why| (rule.name, why))) {
            None => admitted.push(step),
            Some((rule, why)) => refusals.push(Refusal { step, rule: rule.to_owned(), why }),
        }
    }
    Verdict { admitted: Plan::at_stage(admitted), refusals }
}

/// The rule's "no", when `holds` is not.
fn unless(holds: bool, why: impl FnOnce() -> Why) -> Result<(), Why> {
    if holds { Ok(()) } else { Err(why()) }
}
