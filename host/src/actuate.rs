//! The one seam for effects: one exhaustive match over the actions.
//!
//! Owns the check of expectations on fresh state and the translation of every
//! answer into an outcome. Decides nothing: a step that no longer fits is
//! overtaken, and the next pass looks again.

mod as_new;
mod eviction;
mod levels;
mod memory;
mod objects;
mod rollout;
mod tablets;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use kube::Client;
use pilothouse_core::action::{Action, Expectation, ObjectRef};
use pilothouse_core::plan::{Outcome, Step};
use pilothouse_core::standing;
use pilothouse_core::view::ClusterView;

use crate::cache::{Cache, ClusterKey};
use crate::clock::Clock;
use crate::kinds::Kind;
use crate::render::Rendered;
use crate::telemetry::Telemetry;
use crate::vitess::Vitess;

/// The field manager of everything rendered and reported.
pub const MANAGER: &str = "pilothouse";
/// The field manager of the text of a change that waits: it comes and goes apart from the rest.
pub const ROLLOUT_MANAGER: &str = "pilothouse-rollout";
/// The field manager of fields that somebody else writes and that we only begin: apart, so that
/// they stay when we apply the rest without them.
pub const INITIAL_MANAGER: &str = "pilothouse-initial";
/// The field manager of what must outlive a pass (surge assignments, zones): apart,
/// so that a report built from a stale read never takes it away.
pub const MEMORY_MANAGER: &str = "pilothouse-memory";

/// What effects need.
#[derive(Clone)]
pub struct Effects {
    /// The way to the API server.
    pub client: Client,
    /// The way to Vitess.
    pub vitess: Vitess,
    /// Answers to writes go in here at once.
    pub cache: Arc<Mutex<Cache>>,
    /// The host's clock.
    pub clock: Clock,
    /// The host's numbers.
    pub telemetry: Telemetry,
}

/// Why an effect did not come about.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server said no, or said nothing.
    #[error(transparent)]
    Api(#[from] kube::Error),
    /// Vitess said no.
    #[error(transparent)]
    Vitess(#[from] crate::vitess::Error),
    /// What the step was decided on is not there any more.
    #[error("{0}")]
    Overtaken(String),
    /// A disruption budget does not let the Pod go now.
    #[error("{0}")]
    Budget(String),
    /// An object of that name belongs to somebody else.
    #[error("{object} exists and is not labelled as part of {cluster}: it is left alone")]
    NameCollision {
        /// The object.
        object: ObjectRef,
        /// Our cluster.
        cluster: ClusterKey,
    },
    /// No code for it; the guard refuses such actions first.
    #[error("this host cannot do it yet")]
    Unsupported,
}

impl From<Error> for Outcome {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        let failed = |code: &str| Self::Failed { code: code.to_owned(), message: message.clone() };
        match &error {
            Error::Overtaken(found) => Self::Overtaken { found: found.clone() },
            Error::Api(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {
                Self::Overtaken { found: status.message.clone() }
            }
            Error::Api(kube::Error::Api(status)) if status.code < 500 => {
                let reason = if status.reason.is_empty() { "Rejected" } else { status.reason.as_str() };
                failed(reason)
            }
            Error::Api(_) => Self::InDoubt { message },
            Error::Vitess(crate::vitess::Error::Refused { code, .. }) => failed(code),
            Error::Vitess(crate::vitess::Error::NoClient) => failed("NoVitessClient"),
            Error::Vitess(crate::vitess::Error::NoVtctld) => failed("NoVtctld"),
            Error::Vitess(crate::vitess::Error::InDoubt(_)) => Self::InDoubt { message },
            Error::Budget(_) => failed("DisruptionBudget"),
            Error::NameCollision { .. } => failed("NameCollision"),
            Error::Unsupported => failed("Unsupported"),
        }
    }
}

impl Effects {
    /// Executes one admitted step. Answers, too, the version under which a rendered object stands
    /// that was applied with it.
    pub async fn actuate(
        &self,
        key: &ClusterKey,
        view: &ClusterView,
        step: &Step,
        rendered: &BTreeMap<ObjectRef, Arc<Rendered>>,
    ) -> (Outcome, Option<String>) {
        let now = self.clock.now();
        if now >= step.expires {
            return (Outcome::Overtaken { found: format!("expired {} ms ago", now - step.expires) }, None);
        }
        if let Some(found) = self.unmet(key, view, step) {
            return (Outcome::Overtaken { found }, None);
        }
        let executed = self.execute(key, view, &step.action, rendered).await;
        executed.map_or_else(|error| (error.into(), None), |version| (Outcome::Done, version))
    }

    async fn execute(
        &self,
        key: &ClusterKey,
        view: &ClusterView,
        action: &Action,
        rendered: &BTreeMap<ObjectRef, Arc<Rendered>>,
    ) -> Result<Option<String>, Error> {
        let done = match action {
            Action::AssignZone { cell, zone } => self.assign_zone(key, cell, zone).await,
            Action::SurgeTablet { shard, pool, index, stands_in_for } => {
                self.surge_tablet(key, view, shard, pool, *index, stands_in_for).await
            }
            Action::ReturnTablet { shard, tablet } => self.return_tablet(key, shard, tablet).await,
            Action::SurgeGateway { cell, stands_in_for, replicas } => {
                self.surge_gateway(key, cell, stands_in_for, *replicas).await
            }
            Action::ReturnGateway { cell, stands_in_for } => {
                self.surge_gateway(key, cell, stands_in_for, 0).await
            }
            Action::InitPrimary { shard, to } => Ok(self.vitess.init_primary(key, shard, to).await?),
            Action::PlannedReparent { shard, from, to } => {
                Ok(self.vitess.planned_reparent(key, shard, from, to).await?)
            }
            Action::EmergencyReparent { shard, lost, to } => {
                let without = standing::left_behind(view, shard);
                Ok(self.vitess.emergency_reparent(key, shard, lost, to, &without).await?)
            }
            Action::ExpandVolume { claim, to, .. } => self.expand_volume(key, claim, *to).await,
            Action::StartBackup { shard, location, restore } => {
                self.start_backup(key, view, shard, location, restore.as_deref()).await
            }
            Action::ExpireBackup { shard, backup, .. } => {
                Ok(self.vitess.remove_backup(key, shard, backup).await?)
            }
            Action::RestoreTablet { tablet, .. } => self.restore_tablet(key, view, tablet).await,
            Action::Apply { object, .. } => match rendered.get(object) {
                Some(rendered) => return self.apply(key, rendered).await,
                None => Err(Error::Overtaken(format!("{object} is not rendered any more"))),
            },
            Action::Delete { object, uid, .. } => self.delete(key, object, uid).await,
            Action::TurnDown { object, uid, version, parent, parent_version } => {
                self.turn_down(key, (object, uid, version), (parent, parent_version)).await
            }
            Action::RecreateTablet { tablet, pod_uid } => self.recreate_tablet(key, tablet, pod_uid).await,
            Action::PrepareUpgrade { tablet, pod_uid } => self.prepare_upgrade(key, tablet, pod_uid).await,
            Action::ForgetTablet { tablet } => Ok(self.vitess.forget_tablet(key, tablet).await?),
            Action::SwitchVtorc { shard, fails_over } => {
                Ok(self.vitess.switch_vtorc(key, shard, *fails_over).await?)
            }
            Action::RegisterRecord { registration } => Ok(self.vitess.register(key, registration).await?),
            Action::PruneRecord { record } => Ok(self.vitess.prune(key, record).await?),
            Action::ScheduleChange { object, uid, changes } => {
                self.schedule_change(object, uid, changes).await
            }
            Action::ReleaseTablet { tablet, pod_uid } => self.release_tablet(key, tablet, pod_uid).await,
            Action::EndRollout { object, version, marks } => {
                self.end_rollout(key, object, version, marks).await
            }
            Action::DrainTablet { tablet, step } => self.drain_tablet(key, tablet, *step).await,
            Action::EvacuateCell { .. }
            | Action::RelocateTablet { .. }
            | Action::QuarantineTablet { .. }
            | Action::ChangeVolumeClass { .. }
            | Action::VerifyBackup { .. }
            | Action::CancelBackup { .. }
            | Action::RestoreShard { .. } => Err(Error::Unsupported),
        };
        done.map(|()| None)
    }

    /// The first expectation that fresh state does not meet, as what was found instead.
    fn unmet(&self, key: &ClusterKey, view: &ClusterView, step: &Step) -> Option<String> {
        if step.expect.is_empty() {
            return None;
        }
        let mut fresh = self.vitess.observe(key);
        let members =
            self.cache.lock().expect("no panic under the lock").members(key).cloned().unwrap_or_default();
        if let Some(fresh) = &mut fresh {
            crate::observe::judge_backups(fresh, &members);
        }
        step.expect.iter().find_map(|expectation| match expectation {
            Expectation::Primary { shard, is } => {
                let now = fresh.as_ref().and_then(|o| o.shards.get(shard)).and_then(|s| s.primary.as_ref());
                let name = |a: Option<&_>| a.map_or_else(|| "none".to_owned(), ToString::to_string);
                (now != is.as_ref()).then(|| format!("the primary of {shard} is {}", name(now)))
            }
            Expectation::Zone { zone, state } => {
                let now = view.zone(zone).map(|z| z.health.state);
                (now != Some(*state)).then(|| format!("zone {zone} is {now:?}"))
            }
            Expectation::VolumeRequest { claim, bytes } => {
                let now = members
                    .get(Kind::PersistentVolumeClaim, claim)
                    .and_then(|c| crate::observe::requested_bytes(c));
                (now != Some(*bytes)).then(|| format!("claim {claim} asks for {now:?} bytes"))
            }
            Expectation::BackupPresent { shard, backup } => {
                let there = fresh.as_ref().is_some_and(|o| {
                    o.backups.iter().any(|b| b.shard == *shard && b.name == *backup && b.finished.is_some())
                });
                (!there).then(|| format!("backup {backup} is not there"))
            }
            Expectation::BackupIdle { shard } => crate::observe::running_backup(&members, shard)
                .map(|pod| format!("backup Pod {} of {shard} is running", pod.name())),
        })
    }
}
