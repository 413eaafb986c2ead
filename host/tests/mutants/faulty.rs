//! Faulty stages around a pilot: what is seen, what is asked for, what is done.
//!
//! Owns the wrapper. Which faults there are stands in the tables beside it.

use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use kube::Client;
use pilothouse::controller::{Controller, Parts};
use pilothouse::pilot::{Error, Pilot};
use pilothouse_core::Millis;
use pilothouse_core::action::Action;
use pilothouse_core::guard::RULES;
use pilothouse_core::pass::{Actuate, Observe, Propose, Revision};
use pilothouse_core::plan::{Author, Outcome, Proposal, Reason, Refusal, Step};
use pilothouse_core::view::ClusterView;

/// Changes a view; beside it, what an earlier view left behind.
pub(crate) type Sees = fn(&mut ClusterView, &mut Option<ClusterView>);
/// What a hostile policy, or a host's step of its own, wants of a view.
pub(crate) type Asks = fn(&ClusterView) -> Vec<Action>;
/// Executes a step, by whatever way.
pub(crate) type Does = for<'a> fn(&'a mut Faulty, &'a ClusterView, &'a Step) -> BoxFuture<'a, Outcome>;

/// A controller that is not as it should be.
#[derive(Clone, Copy)]
pub(crate) struct Mutant {
    /// The rule that its guard lacks; "": none.
    pub(crate) lacks: &'static str,
    pub(crate) sees: Sees,
    pub(crate) asks: Asks,
    /// After how long it wants to be asked again.
    pub(crate) often: Option<Millis>,
    pub(crate) does: Does,
}

impl Mutant {
    /// Nothing is wrong with it.
    pub(crate) const SOUND: Self = Self {
        lacks: "",
        sees: |_, _| {},
        asks: |_| Vec::new(),
        often: None,
        does: |host, view, step| Box::pin(host.pilot.actuate(view, step)),
    };

    /// One whose stages are faulty, with every rule.
    pub(crate) const fn guarded(self) -> Self {
        Self { lacks: "", ..self }
    }

    /// Makes controllers of it.
    pub(crate) fn controller(self, mut parts: Parts) -> Controller<impl Fn(Pilot) -> Faulty + Send> {
        parts.rules = RULES.iter().copied().filter(|rule| rule.name != self.lacks).collect();
        let (client, kept) = (parts.client.clone(), Arc::default());
        let around =
            move |pilot| Faulty { pilot, client: client.clone(), kept: Arc::clone(&kept), mutant: self };
        Controller::around(parts, around)
    }
}

/// A pilot in the hands of a mutant.
pub(crate) struct Faulty {
    pub(crate) pilot: Pilot,
    /// The host's own way to the API server.
    pub(crate) client: Client,
    kept: Arc<Mutex<Option<ClusterView>>>,
    mutant: Mutant,
}

impl From<Faulty> for Pilot {
    fn from(faulty: Faulty) -> Self {
        faulty.pilot
    }
}

impl Observe for Faulty {
    type Error = Error;

    fn revision(&self) -> Revision {
        self.pilot.revision()
    }

    async fn observe(&mut self, as_of: Millis) -> Result<Arc<ClusterView>, Error> {
        let mut view = self.pilot.observe(as_of).await?;
        (self.mutant.sees)(
            Arc::make_mut(&mut view),
            &mut self.kept.lock().unwrap_or_else(PoisonError::into_inner),
        );
        Ok(view)
    }
}

impl Propose for Faulty {
    fn propose(&mut self, view: &Arc<ClusterView>) -> Vec<Proposal> {
        let mut proposals = self.pilot.propose(view);
        for action in (self.mutant.asks)(view) {
            let Some(slot) = action.slot() else { continue };
            let author = Author::Policy { slot, plugin: "hostile".to_owned(), digest: String::new() };
            let steps = vec![step(view, action, author.clone())];
            let requeue_after_ms = None;
            proposals.push(Proposal { author, steps, diagnostics: Vec::new(), requeue_after_ms });
        }
        if let Some(first) = proposals.first_mut() {
            let often = self.mutant.often;
            first.requeue_after_ms = first.requeue_after_ms.into_iter().chain(often).min();
        }
        proposals
    }

    fn own(&mut self, view: &ClusterView, proposals: &[Proposal]) -> Vec<Step> {
        let hostile = (self.mutant.asks)(view).into_iter().filter(|action| action.slot().is_none());
        let mut steps: Vec<Step> = hostile.map(|action| step(view, action, Author::Host)).collect();
        steps.extend(self.pilot.own(view, proposals));
        steps
    }

    fn review(&mut self, view: &Arc<ClusterView>, steps: &[Step]) -> Vec<Refusal> {
        self.pilot.review(view, steps)
    }
}

impl Actuate for Faulty {
    async fn actuate(&mut self, view: &ClusterView, step: &Step) -> Outcome {
        (self.mutant.does)(self, view, step).await
    }
}

fn step(view: &ClusterView, action: Action, author: Author) -> Step {
    let reason = Reason { code: "hostile".to_owned(), message: "It wants to.".to_owned() };
    Step { action, author, reason, expect: Vec::new(), expires: view.as_of + 60_000 }
}
