//! One cluster's pass, with the host behind every stage.
//!
//! Owns the wiring of the pure pass to caches, plugins, effects and reports,
//! and what is kept of a cluster between passes.

mod guest;
mod untold;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pilothouse_api::vitess_cluster::ZoneEvidence;
use pilothouse_core::Millis;
use pilothouse_core::action::{Action, ObjectRef};
use pilothouse_core::pass::{Actuate, Observe, Propose, Report, Revision, Settled};
use pilothouse_core::plan::{Author, Outcome, Proposal, Refusal, Slot, Step};
use pilothouse_core::topology::Zone;
use pilothouse_core::view::{ClusterId, ClusterView, Fact};
use pilothouse_core::zones::{ZoneHealth, ZoneSettings};
use pilothouse_core::{decider, drain, records, turndown};
use pilothouse_policy::set::PolicySet;

use crate::actuate::Effects;
use crate::cache::{ClusterKey, Members};
use crate::converge::{self, Rendering};
use crate::hold;
use crate::kinds::Kind;
use crate::observe::{self, Observed, Seen};
use crate::render::Rendered;
use crate::schedules::Schedules;
use crate::secrets::Looked;
use crate::settings::Settings;
use crate::telemetry::{ActionLabels, PluginLabels, RefusalLabels};
use crate::vitess::Observation;
pub use guest::Outside;
pub(crate) use untold::Postponed;
use untold::Untold;

/// Characters of a waiting change that a status repeats: it may have to repeat many.
const PENDING_MOST: usize = 1_000;

/// Why a pass ended early.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no view.
    #[error(transparent)]
    Observe(#[from] observe::Error),
}

/// What is kept of a cluster between its passes; all of it can be rebuilt.
#[derive(Debug, Default)]
pub struct Memory {
    /// The last view that led to nothing.
    pub settled: Settled,
    /// Reports in a row that could not be written whole.
    pub unwritten: u32,
    /// Whether the last pass found nothing to do.
    pub rests: bool,
    rendering: Rendering,
    zones: Option<BTreeMap<Zone, ZoneHealth>>,
    evidence: BTreeMap<Zone, ZoneEvidence>,
    said: BTreeSet<String>,
    secrets: Looked,
    untold: Untold,
}

impl Memory {
    /// Until when, at the latest, it is to be told what was done, where that waits for other clusters.
    #[must_use]
    pub const fn aside_until(&self) -> Option<Millis> {
        self.untold.aside_until()
    }

    /// Lets go of all that the next pass can make anew at little cost.
    pub fn rest(&mut self) {
        self.rendering = std::mem::take(&mut self.rendering).put_away();
        if self.rests {
            self.evidence.clear(); // it stands in the status
        }
    }
}

/// How a region judges: the same for every cluster.
#[derive(Debug, Clone, Default)]
pub struct Judging {
    /// How zones are judged.
    pub zones: ZoneSettings,
    /// What the region allows, as facts of the cluster.
    pub allowances: BTreeMap<String, Fact>,
}

impl From<&Settings> for Judging {
    fn from(settings: &Settings) -> Self {
        Self { zones: settings.zones.clone(), allowances: settings.allowances.facts() }
    }
}

/// The stages of a pass: a pilot's own, or, in a test, faulty ones around them.
pub trait Stages: Observe<Error = Error> + Propose + Actuate + Into<Pilot> + Send + 'static {}

impl<S: Observe<Error = Error> + Propose + Actuate + Into<Pilot> + Send + 'static> Stages for S {}

/// One cluster's pass.
pub struct Pilot {
    pub(crate) key: ClusterKey,
    pub(crate) effects: Effects,
    pub(crate) policies: Arc<PolicySet>,
    pub(crate) members: Arc<Members>,
    pub(crate) rendering: Rendering,
    pub(crate) invalid: Vec<(String, Vec<pilothouse_api::validate::FieldError>)>,
    judging: Judging,
    zones: Option<BTreeMap<Zone, ZoneHealth>>,
    /// What led to the verdicts that were made since the host was started.
    pub(crate) evidence: BTreeMap<Zone, ZoneEvidence>,
    recheck_at: Option<Millis>,
    pub(crate) schedules: Schedules,
    pub(crate) said: BTreeSet<String>,
    secrets: Looked,
    untold: Untold,
    guest_of: Option<Outside>,
}

impl Pilot {
    /// A pass over one cluster.
    #[must_use]
    pub fn new(key: ClusterKey, effects: Effects, policies: Arc<PolicySet>, judging: Judging) -> Self {
        Self {
            key,
            effects,
            policies,
            members: Arc::default(),
            rendering: Rendering::default(),
            invalid: Vec::new(),
            judging,
            zones: None,
            evidence: BTreeMap::new(),
            recheck_at: None,
            schedules: Schedules::default(),
            said: BTreeSet::new(),
            secrets: Looked::default(),
            untold: Untold::default(),
            guest_of: None,
        }
    }

    /// Takes up what the last pass kept.
    #[must_use]
    pub fn remembering(mut self, memory: Memory) -> Self {
        self.rendering = memory.rendering;
        self.zones = memory.zones;
        self.evidence = memory.evidence;
        self.said = memory.said;
        self.secrets = memory.secrets;
        self.untold = memory.untold;
        self
    }

    /// What the next pass should know.
    #[must_use]
    pub fn into_memory(self) -> Memory {
        Memory {
            settled: Settled::default(),
            unwritten: 0,
            rests: false,
            rendering: self.rendering,
            zones: self.zones,
            evidence: self.evidence,
            said: self.said,
            secrets: self.secrets,
            untold: self.untold,
        }
    }

    /// Takes up the cluster's objects as they are known now, and what should be.
    fn refresh(&mut self, vitess: &mut Option<Observation>, as_of: Millis) -> Result<(), observe::Error> {
        let members = {
            let mut cache = self.effects.cache.lock().expect("no panic under the lock");
            cache.members(&self.key).cloned()
        };
        self.members = members.unwrap_or_default();
        let cluster = observe::cluster(&self.key, &self.members)
            .inspect_err(|_| self.effects.vitess.forget(&self.key))?;
        self.effects.vitess.look_for(&self.key, cluster, &self.members);
        if let Some(vitess) = vitess {
            observe::judge_backups(vitess, &self.members);
        }
        self.render(vitess.as_ref(), as_of);
        Ok(())
    }

    fn look(&mut self, vitess: Option<&Observation>, as_of: Millis) -> Result<Observed, observe::Error> {
        let cluster = observe::cluster(&self.key, &self.members)?;
        let id = ClusterId {
            namespace: self.key.namespace.clone(),
            name: self.key.name.clone(),
            uid: cluster.metadata.uid.clone().unwrap_or_default(),
        };
        let zones = self.zones.take().unwrap_or_else(|| observe::remembered_zones(cluster));
        let cache = self.effects.cache.lock().expect("no panic under the lock");
        let seen = Seen {
            members: &self.members,
            shared: cache.shared(),
            vitess,
            source: self.effects.vitess.source(),
            outdated: &self.rendering.outdated,
            cascading: &self.rendering.cascading,
            pauses: &self.rendering.pauses,
            unwanted: &self.rendering.unwanted,
            replaces_primaries: self.policies.policies().any(|policy| policy.slot() == Slot::Failover),
            remembered_zones: &zones,
            allowances: &self.judging.allowances,
            as_of,
        };
        Ok(observe::view(id, &seen, &self.judging.zones))
    }
}

impl Observe for Pilot {
    type Error = Error;

    fn revision(&self) -> Revision {
        let cache = self.effects.cache.lock().expect("no panic under the lock");
        Revision {
            objects: cache.revision_of(&self.key),
            shared: cache.shared_revision(),
            vitess: self.effects.vitess.revision(&self.key),
        }
    }

    async fn observe(&mut self, as_of: Millis) -> Result<Arc<ClusterView>, Error> {
        let mut vitess = self.effects.vitess.observe(&self.key);
        self.refresh(&mut vitess, as_of)?;
        let rendered = self.rendering.objects.keys();
        if !self.is_hurried() && self.secrets.at_those_due(&self.effects, &self.key, rendered, as_of).await {
            self.refresh(&mut vitess, as_of)?;
        }
        let observed = self.look(vitess.as_ref(), as_of)?;
        self.zones = Some(observed.view.zones.iter().map(|z| (z.name.clone(), z.health)).collect());
        self.evidence.extend(observed.zones_turned);
        let cluster = observe::cluster(&self.key, &self.members)?;
        self.schedules = Schedules::judge(cluster, &self.members, &observed.view);
        self.recheck_at = observed.recheck_at.into_iter().chain(self.schedules.next_at()).min();
        self.invalid = observed.invalid;
        Ok(Arc::new(observed.view))
    }
}

impl Propose for Pilot {
    fn propose(&mut self, view: &Arc<ClusterView>) -> Vec<Proposal> {
        let metrics = &self.effects.telemetry.metrics;
        let mut proposals = Vec::new();
        for (proposal, stats) in self.policies.propose(view) {
            if let Author::Policy { slot, plugin, .. } = &proposal.author {
                let labels = PluginLabels {
                    slot: slot.as_str().to_owned(),
                    plugin: plugin.clone(),
                    result: failure(&proposal).unwrap_or("ok").to_owned(),
                };
                self.effects.telemetry.called(*slot, plugin, stats.wall, stats.fuel);
                metrics.plugin_calls.get_or_create(&labels).inc();
                metrics.plugin_fuel.get_or_create(&labels).inc_by(stats.fuel);
            }
            proposals.push(proposal);
        }
        let recheck = self.recheck_at.map(|at| at.saturating_sub(view.as_of).max(1));
        proposals.push(Proposal {
            author: Author::Host,
            steps: Vec::new(),
            diagnostics: Vec::new(),
            requeue_after_ms: recheck,
        });
        proposals
    }

    fn own(&mut self, view: &ClusterView, proposals: &[Proposal]) -> Vec<Step> {
        let deciders = decider::steps(view, !proposals.iter().any(has_failed_to_fail_over));
        if self.is_hurried() {
            return deciders;
        }
        let rendered = self.rendering.steps(view, &self.members);
        let mut steps = hold::without_held(rendered, view, proposals, &self.rendering, &self.members);
        steps.extend(drain::steps(view));
        steps.extend(turndown::steps(view));
        steps.extend(converge::leftovers(view, &self.rendering, &self.members));
        for rendered in self.schedules.rendered() {
            self.rendering.objects.insert(rendered.object.clone(), Arc::new(rendered.clone()));
        }
        steps.extend(self.schedules.steps());
        steps.extend(self.rendering.turndowns(view, &self.members));
        steps.extend(records::steps(view));
        steps.extend(deciders);
        steps
    }

    fn review(&mut self, view: &Arc<ClusterView>, steps: &[Step]) -> Vec<Refusal> {
        if self.policies.has_rules() {
            crate::review::ask(&self.policies, view, steps, self.rendering.adjustable())
        } else {
            Vec::new()
        }
    }
}

impl Actuate for Pilot {
    async fn actuate(&mut self, view: &ClusterView, step: &Step) -> Outcome {
        self.step_out_for(&step.action);
        let objects: &BTreeMap<ObjectRef, Arc<Rendered>> = &self.rendering.objects;
        let (outcome, version) = self.effects.actuate(&self.key, view, step, objects).await;
        if let (Action::Apply { object, .. }, Some(version)) = (&step.action, version) {
            self.rendering.applied(object, version);
        }
        let (word, detail) = match &outcome {
            Outcome::Done => ("done", String::new()),
            Outcome::Overtaken { found } => ("overtaken", found.clone()),
            Outcome::Failed { code, message } => ("failed", format!("{code}: {message}")),
            Outcome::InDoubt { message } => ("in-doubt", message.clone()),
        };
        let labels = ActionLabels { verb: step.action.verb().to_owned(), outcome: word.to_owned() };
        self.effects.telemetry.executed(&labels);
        tracing::info!(
            cluster = %self.key, action = %step.action, author = %author(&step.author),
            reason = step.reason.code, outcome = word, detail, "step"
        );
        outcome
    }
}

impl Pilot {
    /// What waits for its release at an object, as a status repeats it; empty when nothing does.
    pub(crate) fn pending(&self, kind: Kind, name: &str) -> String {
        let (kind, namespace) = (kind.as_str().to_owned(), self.key.namespace.clone());
        let text = self.rendering.pending(&ObjectRef { kind, namespace, name: name.to_owned() });
        match text.char_indices().nth(PENDING_MOST) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text.to_owned(),
        }
    }

    /// Whether a report may wait, and for whom: see [`Untold::postpones`].
    pub(crate) fn postpones(&mut self, report: &mut Report, may_step_aside: bool) -> Option<Postponed> {
        self.untold.postpones(report, self.guest_of.is_some(), may_step_aside)
    }

    /// What was found was told, and nothing else has changed: the cluster's objects are at `objects` now.
    pub(crate) fn told(&mut self, objects: u64) {
        self.rendering.told(objects);
    }

    /// Counts and logs what the guard refused.
    pub(crate) fn count_refusals(&self, report: &Report) {
        for refusal in &report.refusals {
            let labels =
                RefusalLabels { verb: refusal.step.action.verb().to_owned(), rule: refusal.rule.clone() };
            self.effects.telemetry.refused(&labels);
            tracing::info!(
                cluster = %self.key, action = %refusal.step.action, author = %author(&refusal.step.author),
                rule = refusal.rule, why = %refusal.why, "refused"
            );
        }
    }
}

/// The code of a call that failed: the host's own diagnostics of it begin with `Plugin`.
fn failure(proposal: &Proposal) -> Option<&str> {
    let codes = proposal.diagnostics.iter().map(|d| d.code.as_str());
    codes.into_iter().find(|code| proposal.steps.is_empty() && code.starts_with("Plugin"))
}

/// Whether it is what is left of a call that was to say whether a primary is replaced.
fn has_failed_to_fail_over(proposal: &Proposal) -> bool {
    matches!(proposal.author, Author::Policy { slot: Slot::Failover, .. }) && failure(proposal).is_some()
}

/// An author as logs and tables name it.
#[must_use]
pub fn author(author: &Author) -> String {
    match author {
        Author::Host => "host".to_owned(),
        Author::Policy { slot, plugin, .. } => format!("{slot}/{plugin}"),
    }
}
