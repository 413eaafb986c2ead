//! The host's side of one cluster's pass: the real stages, but for what is observed and done.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use pilothouse_core::action::Action;
use pilothouse_core::pass::{Actuate, Observe, Propose, Revision};
use pilothouse_core::plan::{Author, Outcome, Proposal, Refusal, Step};
use pilothouse_core::view::ClusterView;
use pilothouse_core::zones::{self, ZoneHealth, ZoneSettings};
use pilothouse_core::{Millis, drain, turndown};
use pilothouse_policy::set::PolicySet;

use super::clock::Wall;
use super::cluster::Cluster;
use super::weather::ZONES;

/// What a pass asks of the world, and what it is answered.
#[derive(Debug, Default)]
pub(super) struct Mail {
    pub(super) asked: Option<Action>,
    pub(super) answer: Option<Outcome>,
}

/// One cluster's pass.
pub(super) struct Seat {
    pub(super) number: usize,
    /// As it is when the pass begins: a view is made at once.
    pub(super) cluster: Cluster,
    pub(super) template: Arc<ClusterView>,
    pub(super) policies: Arc<PolicySet>,
    pub(super) verdicts: [ZoneHealth; ZONES],
    pub(super) wall: Wall,
    pub(super) mail: Arc<Mutex<Mail>>,
    pub(super) recheck_at: Option<Millis>,
}

impl Observe for Seat {
    type Error = Infallible;

    fn revision(&self) -> Revision {
        Revision { objects: 1, shared: 1, vitess: self.cluster.heard }
    }

    async fn observe(&mut self, as_of: Millis) -> Result<Arc<ClusterView>, Infallible> {
        let mut view = self.cluster.view(&self.template, self.number, as_of, (&self.verdicts, self.wall));
        let remembered = view.zones.iter().map(|zone| (zone.name.clone(), zone.health)).collect();
        let settings = ZoneSettings::default();
        let (verdicts, recheck_at) = zones::judge(&remembered, &zones::evidence(&view), as_of, &settings);
        for (zone, kept) in view.zones.iter_mut().zip(&mut self.verdicts) {
            zone.health = verdicts.get(&zone.name).copied().unwrap_or(zone.health);
            *kept = zone.health;
        }
        self.recheck_at = recheck_at;
        Ok(Arc::new(view))
    }
}

impl Propose for Seat {
    fn propose(&mut self, view: &Arc<ClusterView>) -> Vec<Proposal> {
        let mut proposals: Vec<Proposal> =
            self.policies.propose(view).into_iter().map(|(proposal, _)| proposal).collect();
        proposals.push(Proposal {
            author: Author::Host,
            steps: Vec::new(),
            diagnostics: Vec::new(),
            requeue_after_ms: self.recheck_at.map(|at| at.saturating_sub(view.as_of).max(1)),
        });
        proposals
    }

    /// The host's own steps that follow from a view alone.
    fn own(&mut self, view: &ClusterView, _: &[Proposal]) -> Vec<Step> {
        drain::steps(view).into_iter().chain(turndown::steps(view)).collect()
    }

    fn review(&mut self, _: &Arc<ClusterView>, _: &[Step]) -> Vec<Refusal> {
        Vec::new()
    }
}

impl Actuate for Seat {
    async fn actuate(&mut self, _: &ClusterView, step: &Step) -> Outcome {
        let mail = Arc::clone(&self.mail);
        mail.lock().expect("no panic under the lock").asked = Some(step.action.clone());
        poll_fn(move |_| match mail.lock().expect("no panic under the lock").answer.take() {
            Some(outcome) => Poll::Ready(outcome),
            None => Poll::Pending,
        })
        .await
    }
}

/// The verdicts on zones that have been well for long.
pub(super) fn healthy() -> [ZoneHealth; ZONES] {
    let state = zones::ZoneState::Healthy;
    [ZoneHealth { state, recovery_ms: ZoneSettings::default().settle_ms, ..ZoneHealth::default() }; ZONES]
}

/// Zones as the template of all views names them.
pub(super) fn index(template: &ClusterView) -> BTreeMap<String, usize> {
    template.tablets.iter().enumerate().map(|(i, tablet)| (tablet.alias.to_string(), i)).collect()
}
