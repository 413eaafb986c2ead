//! The pass: observe, propose, guard, actuate, report, for one cluster.
//!
//! Owns the order of the stages and the memory of the last empty plan. The
//! stages themselves stand behind [`Observe`], [`Propose`] and [`Actuate`];
//! this module must not know a client, a plugin or a clock.

use std::sync::Arc;

use crate::Millis;
use crate::guard::{self, Rule, Verdict};
use crate::plan::{Diagnostic, Outcome, Plan, Proposal, Refusal, Step};
use crate::view::ClusterView;

/// Numbers that differ whenever what they stand for may: without a new one there is no new view.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Revision {
    /// The cluster's own objects. Later stages read them beside the view: specs that cannot be
    /// used, objects that are not as they are rendered.
    pub objects: u64,
    /// Nodes and whatever else clusters share.
    pub shared: u64,
    /// What Vitess says, in the buckets of the view's fingerprint.
    pub vitess: u64,
}

/// Reads the cluster.
pub trait Observe {
    /// What goes wrong when it cannot be read.
    type Error;
    /// The numbers of what a view would be made from now; cheap.
    fn revision(&self) -> Revision;
    /// The view as of now; whoever reads it shares it.
    ///
    /// # Errors
    /// When something that the view needs cannot be read; nothing is decided then.
    fn observe(
        &mut self,
        as_of: Millis,
    ) -> impl Future<Output = Result<Arc<ClusterView>, Self::Error>> + Send;
}

/// Asks the policies, and the host itself, what should be done. Pure of the view.
pub trait Propose {
    /// One proposal a policy; a policy that failed answers with a diagnostic and no step.
    fn propose(&mut self, view: &Arc<ClusterView>) -> Vec<Proposal>;
    /// The host's own steps: rendered objects that differ, drains, turndown.
    fn own(&mut self, view: &ClusterView, proposals: &[Proposal]) -> Vec<Step>;
    /// What rule plugins refuse of the merged plan.
    fn review(&mut self, view: &Arc<ClusterView>, steps: &[Step]) -> Vec<Refusal>;
}

/// Executes one admitted step: the one seam for effects.
pub trait Actuate {
    /// Does it once; checks its expectations on fresh state first.
    fn actuate(&mut self, view: &ClusterView, step: &Step) -> impl Future<Output = Outcome> + Send;
}

/// What happened in one pass.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The view that was judged.
    pub view: Arc<ClusterView>,
    /// Every admitted step with its outcome, in order.
    pub outcomes: Vec<(Step, Outcome)>,
    /// Every refused step.
    pub refusals: Vec<Refusal>,
    /// What policies wanted said.
    pub diagnostics: Vec<Diagnostic>,
    /// When to look again at the latest, from the view's `as_of`.
    pub requeue_after_ms: Millis,
}

/// What a pass ended as.
#[derive(Debug, Clone, PartialEq)]
pub enum Passed {
    /// The view was the one that last led to nothing to do: no plugin was asked.
    Unchanged {
        /// How long that stays valid.
        requeue_after_ms: Millis,
    },
    /// The stages ran.
    Ran(Box<Report>),
}

/// The digest of the last view that led to an empty plan, what it was made from, and how long
/// that is valid; and when somebody asked to be asked again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settled {
    kept: Option<Kept>,
    asked: Option<Millis>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kept {
    fingerprint: u64,
    revision: Revision,
    until: Millis,
}

impl Settled {
    fn holds(self, as_of: Millis, same: impl FnOnce(&Kept) -> bool) -> Option<Millis> {
        self.kept.filter(|kept| as_of < kept.until && same(kept)).map(|kept| kept.until - as_of)
    }

    /// The next pass runs, also where it sees the same.
    pub const fn unsettle(&mut self) {
        self.kept = None;
    }

    /// When the next pass is asked for at the latest. A time that is yet to come stands though something happened
    /// before: who asks anew may not ask for one so soon.
    fn asked(self, as_of: Millis, proposals: &[Proposal]) -> Option<Millis> {
        let now = proposals.iter().filter_map(|proposal| proposal.requeue_after_ms).min();
        let before = self.asked.filter(|at| *at > as_of);
        now.map(|after| as_of.saturating_add(after)).into_iter().chain(before).min()
    }

    const fn moved_to(&mut self, revision: Revision) {
        if let Some(kept) = &mut self.kept {
            kept.revision = revision;
        }
    }

    /// What the pass found was told, and nothing but that has changed the cluster's objects, which
    /// are at `objects` now: it still holds, since no decision reads what is told.
    pub const fn told(&mut self, objects: u64) {
        if let Some(kept) = &mut self.kept {
            kept.revision.objects = objects;
        }
    }
}

/// Looks again after this long when no policy asks for less.
pub const LONGEST_REST_MS: Millis = 3_600_000;
/// Looks again after this long when something was done, refused or failed.
pub const AFTER_WORK_MS: Millis = 10_000;

/// A view's plan: what a pass would do next.
#[derive(Debug)]
pub struct Planned {
    /// What policies and the host wanted.
    pub proposals: Vec<Proposal>,
    /// What may be done, and what may not, by rules and rule plugins.
    pub verdict: Verdict,
}

/// Proposes, reviews and judges; nothing has happened yet.
pub fn plan<H: Propose>(host: &mut H, view: &Arc<ClusterView>, rules: &[Rule]) -> Planned {
    let proposals = host.propose(view);
    let own = host.own(view, &proposals);
    let proposed = Plan::merge(&proposals, own);
    let vetoed = host.review(view, proposed.steps());
    let mut verdict = guard::admit(view, proposed.reviewed(&vetoed), rules);
    verdict.refusals.extend(vetoed);
    Planned { proposals, verdict }
}

/// Runs one pass.
///
/// # Errors
/// Those of `observe`; later stages answer in the report.
pub async fn run<H: Observe + Propose + Actuate>(
    host: &mut H,
    settled: &mut Settled,
    rules: &[Rule],
    as_of: Millis,
) -> Result<Passed, H::Error> {
    let revision = host.revision();
    if let Some(requeue_after_ms) = settled.holds(as_of, |kept| kept.revision == revision) {
        return Ok(Passed::Unchanged { requeue_after_ms });
    }
    let view = host.observe(as_of).await?;
    let fingerprint = view.fingerprint();
    let same = |kept: &Kept| kept.fingerprint == fingerprint && kept.revision.objects == revision.objects;
    if let Some(requeue_after_ms) = settled.holds(as_of, same) {
        settled.moved_to(revision);
        return Ok(Passed::Unchanged { requeue_after_ms });
    }
    let Planned { proposals, verdict: Verdict { admitted, refusals } } = plan(host, &view, rules);

    let mut outcomes = Vec::with_capacity(admitted.steps().len());
    for step in admitted.steps() {
        outcomes.push((step.clone(), host.actuate(&view, step).await));
    }

    let asked = settled.asked(as_of, &proposals);
    let rest = asked.map_or(LONGEST_REST_MS, |at| LONGEST_REST_MS.min(at - as_of));
    // A refusal may rest on time alone, which no fingerprint shows.
    let quiet = outcomes.is_empty() && refusals.is_empty();
    let requeue_after_ms = if quiet { rest } else { rest.min(AFTER_WORK_MS) };
    let until = as_of.saturating_add(requeue_after_ms);
    *settled = Settled { kept: outcomes.is_empty().then_some(Kept { fingerprint, revision, until }), asked };
    let diagnostics = proposals.into_iter().flat_map(|p| p.diagnostics).collect();
    Ok(Passed::Ran(Box::new(Report { view, outcomes, refusals, diagnostics, requeue_after_ms })))
}
