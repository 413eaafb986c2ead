//! Turndown and rollout of tablets: how one that is not wanted, ended or outdated goes.
//!
//! Owns the host's own steps `start` of a drain, deletion of Pods and claims and
//! recreation, and the typed reason why an unwanted tablet is still here. Pure
//! of the view; whether a step is safe is the guard's to say.

use serde::{Deserialize, Serialize};

use crate::action::{Action, DrainStep, ObjectRef};
use crate::drain::{drain, own};
use crate::plan::Step;
use crate::rollout;
use crate::standing::{is_idle, is_primary, member_down};
use crate::topology::TabletAlias;
use crate::view::{ClusterView, Drain, PodState, Reach, Role, ShardView, TabletView, VitessSource, Wanted};
use crate::volumes::restart_is_due;

/// Why an unwanted tablet, or its claim, is still here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Blocked {
    /// It is draining.
    Draining,
    /// The shard's primary is not known.
    PrimaryUnknown,
    /// It is the primary, and has to be reparented first.
    Primary,
    /// Another tablet of the shard does not serve.
    ShardNotHealthy,
    /// Its claim waits for its Pod to be gone.
    PodExists,
}

impl Blocked {
    /// The reason, as status and events name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draining => "Draining",
            Self::PrimaryUnknown => "PrimaryUnknown",
            Self::Primary => "Primary",
            Self::ShardNotHealthy => "ShardNotHealthy",
            Self::PodExists => "PodExists",
        }
    }

    /// The reason as a sentence.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::Draining => "the tablet is being drained",
            Self::PrimaryUnknown => "the shard's primary is not known",
            Self::Primary => "the tablet is the primary; it is reparented first",
            Self::ShardNotHealthy => "another tablet of the shard is down, not ready or silent",
            Self::PodExists => "the tablet's Pod still exists",
        }
    }
}

/// An unwanted tablet that cannot go yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Orphan {
    /// Which.
    pub tablet: TabletAlias,
    /// Why.
    pub blocked: Blocked,
}

/// Every unwanted tablet that cannot go yet, in alias order.
#[must_use]
pub fn orphans(view: &ClusterView) -> Vec<Orphan> {
    let unwanted = view.tablets.iter().filter(|t| t.wanted == Wanted::No);
    let mut orphans: Vec<Orphan> = unwanted
        .filter_map(|t| Some(Orphan { tablet: t.alias.clone(), blocked: blocked(view, t)? }))
        .collect();
    orphans.sort_by(|a, b| a.tablet.cmp(&b.tablet));
    orphans
}

fn blocked(view: &ClusterView, tablet: &TabletView) -> Option<Blocked> {
    let known = view.shard(&tablet.shard).is_some_and(|s| s.primary.is_some());
    if tablet.pod == PodState::Absent {
        // Its record and its claim stay, too, as long as the topology names it.
        is_primary(view, tablet).then_some(Blocked::Primary)
    } else if tablet.pod == PodState::Terminating || is_idle(tablet) || tablet.drain == Drain::Finished {
        Some(Blocked::PodExists)
    } else if view.vitess == VitessSource::Unknown || !known {
        Some(Blocked::PrimaryUnknown)
    } else if is_primary(view, tablet) {
        Some(Blocked::Primary)
    } else if member_down(view, tablet).is_some() {
        Some(Blocked::ShardNotHealthy)
    } else {
        Some(Blocked::Draining)
    }
}

/// The next steps of turndown and rollout, shard by shard, lowest alias first.
#[must_use]
pub fn steps(view: &ClusterView) -> Vec<Step> {
    match view.vitess {
        VitessSource::Unknown => Vec::new(),
        VitessSource::Observed | VitessSource::Played => {
            view.shards.iter().flat_map(|shard| of_shard(view, shard)).collect()
        }
    }
}

fn of_shard(view: &ClusterView, shard: &ShardView) -> Vec<Step> {
    let mut tablets: Vec<&TabletView> = view.tablets_of(&shard.id).collect();
    // The primary last: it goes only once the others are done.
    tablets.sort_by_key(|t| (is_primary(view, t), &t.alias));
    let mut steps = Vec::new();
    let mut draining = tablets.iter().any(|t| t.drain != Drain::Not);
    for tablet in tablets {
        let next = match tablet.wanted {
            Wanted::No => unwanted(view, tablet),
            Wanted::BySpec | Wanted::Surge { .. } if tablet.pod == PodState::Ended => {
                delete_pod(view, tablet, "pod-ended", "its Pod ended and has to be created again")
            }
            Wanted::BySpec | Wanted::Surge { .. } if tablet.outdated || restart_is_due(view, tablet) => {
                replaced(view, tablet, &mut draining)
            }
            Wanted::BySpec | Wanted::Surge { .. } => None,
        };
        steps.extend(next);
    }
    steps.extend(rollout::release(view, shard));
    steps
}

fn unwanted(view: &ClusterView, tablet: &TabletView) -> Option<Step> {
    match tablet.pod {
        PodState::Absent if tablet.role != Role::Unknown => may_forget(view, tablet).then(|| {
            let action = Action::ForgetTablet { tablet: tablet.alias.clone() };
            own(view, action, "turndown-record", "the tablet is gone; its topology record is not")
        }),
        PodState::Absent => delete_claim(view, tablet),
        PodState::Terminating => None,
        PodState::Pending | PodState::Running | PodState::Ended => {
            if is_idle(tablet) || tablet.drain == Drain::Finished {
                return delete_pod(view, tablet, "turndown-pod", "nothing asks for the tablet any more");
            }
            (tablet.drain == Drain::Not).then(|| drain(view, tablet, DrainStep::Start))
        }
    }
}

/// Its record goes when it does not answer, no shard is led by it, and the manifest leaves records of tablets to us.
fn may_forget(view: &ClusterView, tablet: &TabletView) -> bool {
    tablet.reach != Reach::Yes
        && !is_primary(view, tablet)
        && view.records.as_ref().is_none_or(|r| r.switches.prune_tablets)
}

/// A released tablet goes by drain, and so does one whose volume waits for a restart, unless it would
/// come back with what nobody has released. One tablet of a shard is replaced at a time, so that
/// the others stay candidates.
fn replaced(view: &ClusterView, tablet: &TabletView, draining: &mut bool) -> Option<Step> {
    if matches!(tablet.pod, PodState::Absent | PodState::Terminating) {
        return None;
    }
    if tablet.outdated && !rollout::may_be_replaced(view, tablet) {
        return None;
    }
    if rollout::is_alone(view, tablet) || is_idle(tablet) || tablet.drain == Drain::Finished {
        return Some(rollout::replace(view, tablet));
    }
    if tablet.drain != Drain::Not || *draining {
        return None;
    }
    *draining = true;
    Some(drain(view, tablet, DrainStep::Start))
}

fn delete_pod(view: &ClusterView, tablet: &TabletView, code: &str, message: &str) -> Option<Step> {
    let object = object(view, "Pod", tablet.pod_name()?);
    let action = Action::Delete { object, uid: tablet.pod_uid.clone(), of: Some(tablet.alias.clone()) };
    Some(own(view, action, code, message))
}

fn delete_claim(view: &ClusterView, tablet: &TabletView) -> Option<Step> {
    let volume = view.volume(tablet.volume.as_deref()?)?;
    let object = object(view, "PersistentVolumeClaim", &volume.claim);
    let action = Action::Delete { object, uid: volume.uid.clone(), of: Some(tablet.alias.clone()) };
    Some(own(view, action, "turndown-claim", "the tablet is gone and others hold its data"))
}

fn object(view: &ClusterView, kind: &str, name: &str) -> ObjectRef {
    ObjectRef { kind: kind.to_owned(), namespace: view.cluster.namespace.clone(), name: name.to_owned() }
}
