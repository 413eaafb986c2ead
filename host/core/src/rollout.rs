//! When a change reaches a live child: at once, on its release, or by its parent's cascade.
//!
//! Owns the verdict on one child whose parent asks for something else than what stands, and
//! which outdated tablet of a cascading shard, or member of an etcd, is the next. Pure; must not know what a
//! difference is made of nor how it is written down. Whether a tablet may go is the guard's.

use crate::action::{Action, RolloutMark};
use crate::drain::{own, prepare};
use crate::plan::Step;
use crate::standing::{eligible_wanted, is_idle, is_primary, member_down, serves};
use crate::topology::{ShardId, TabletAlias};
use crate::view::{ClusterView, Drain, PodState, ShardView, TabletView, Wanted};

/// Who releases a change that restarts something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// Somebody outside, object by object or by a cascade.
    External,
    /// Nobody has to.
    Immediate,
}

/// How a waiting change comes about once it is released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// The object is changed where it is.
    Update,
    /// It is removed and made anew, which is decided elsewhere.
    Recreation,
}

/// A live child beside what its parent asks of it.
#[derive(Debug, Clone, Copy)]
pub struct Child<'a> {
    /// Whether something differs that restarts nothing.
    pub in_place: bool,
    /// What differs and restarts something, as text; empty when nothing does.
    pub waits: &'a str,
    /// How that would come about.
    pub means: Means,
    /// The parent's.
    pub strategy: Strategy,
    /// Whether the parent cascades.
    pub cascading: bool,
    /// Whether the child itself was released.
    pub released: bool,
    /// What stands at the child as scheduled.
    pub scheduled: Option<&'a str>,
}

/// How much of the difference is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Apply {
    /// None of it.
    Nothing,
    /// What restarts nothing.
    InPlace,
    /// All of it.
    Whole,
}

/// What becomes of a child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What is applied.
    pub apply: Apply,
    /// Whether what waits has to be written down (anew).
    pub schedule: bool,
    /// Marks that have had their effect, sorted.
    pub ended: Vec<RolloutMark>,
}

/// The verdict on one child. A release ends only when nothing of the difference is left, so
/// that one that failed half-way goes on.
#[must_use]
pub fn child(child: &Child<'_>) -> Verdict {
    if child.waits.is_empty() {
        let marks = [
            child.scheduled.map(|_| RolloutMark::Scheduled),
            child.released.then_some(RolloutMark::Released),
        ];
        let apply = if child.in_place { Apply::Whole } else { Apply::Nothing };
        let ended = marks.into_iter().flatten().filter(|_| !child.in_place).collect();
        return Verdict { apply, schedule: false, ended };
    }
    let freed = child.released || child.cascading || child.strategy == Strategy::Immediate;
    if freed && child.means == Means::Update {
        return Verdict { apply: Apply::Whole, schedule: false, ended: Vec::new() };
    }
    let apply = if child.in_place { Apply::InPlace } else { Apply::Nothing };
    Verdict { apply, schedule: child.scheduled != Some(child.waits), ended: Vec::new() }
}

/// Why a shard that cascades releases no further tablet for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pause {
    /// One is on its way already.
    Underway(TabletAlias),
    /// One does not serve.
    NotServing(TabletAlias),
    /// Nobody knows which one has to be the last.
    PrimaryUnknown,
}

impl Pause {
    /// The reason, as events name it.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Underway(_) | Self::NotServing(_) => "RolloutPaused",
            Self::PrimaryUnknown => "RolloutBlocked",
        }
    }
}

impl std::fmt::Display for Pause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Underway(tablet) => write!(f, "tablet {tablet} is on its way"),
            Self::NotServing(tablet) => write!(f, "tablet {tablet} does not serve"),
            Self::PrimaryUnknown => f.write_str("the shard's primary is not known"),
        }
    }
}

/// Cascading shards that still have outdated tablets and release none for now, in order.
#[must_use]
pub fn pauses(view: &ClusterView) -> Vec<(ShardId, Pause)> {
    let shards = view.shards.iter().filter(|s| s.cascading);
    shards.filter_map(|s| Some((s.id.clone(), pause(view, s, next(view, s)?)?))).collect()
}

/// Whether every tablet of a shard is up to date and serves.
#[must_use]
pub fn is_complete(view: &ClusterView, shard: &ShardId) -> bool {
    view.tablets_of(shard).filter(|t| t.wanted != Wanted::No).all(|t| !t.outdated && serves(t))
}

/// Whether nobody could take its place, so that it is replaced where it is (the contract's word).
pub(crate) fn is_alone(view: &ClusterView, tablet: &TabletView) -> bool {
    tablet.pool.pool_type.is_primary_eligible() && eligible_wanted(view, &tablet.shard) < 2
}

/// Whether an outdated tablet may be replaced: it is released, or its shard cascades and it
/// is drained or does not serve anyway.
pub(crate) fn may_be_replaced(view: &ClusterView, tablet: &TabletView) -> bool {
    let cascading = view.shard(&tablet.shard).is_some_and(|s| s.cascading);
    tablet.released || (cascading && (is_idle(tablet) || tablet.drain == Drain::Finished))
}

/// A Pod goes to be made anew, or what has to be done before.
pub(crate) fn replace(view: &ClusterView, tablet: &TabletView) -> Step {
    prepare(view, tablet).unwrap_or_else(|| {
        let action = Action::RecreateTablet { tablet: tablet.alias.clone(), pod_uid: tablet.pod_uid.clone() };
        let (code, message) = if tablet.outdated {
            ("rollout-recreate", "its Pod differs from what is rendered now")
        } else {
            ("volume-restart", "its volume's filesystem grows when a Pod is started on it")
        };
        own(view, action, code, message)
    })
}

/// Whether a new Pod is to take the place of its own, sooner or later.
pub(crate) fn is_to_be_replaced(view: &ClusterView, tablet: &TabletView) -> bool {
    let cascading = view.shard(&tablet.shard).is_some_and(|s| s.cascading);
    tablet.outdated && (tablet.released || cascading)
}

/// The release of the shard's next outdated tablet; one that is alone is replaced at once.
pub(crate) fn release(view: &ClusterView, shard: &ShardView) -> Option<Step> {
    let next = next(view, shard).filter(|_| shard.cascading)?;
    if pause(view, shard, next).is_some() || may_be_replaced(view, next) {
        return None;
    }
    if is_alone(view, next) {
        return Some(replace(view, next));
    }
    let action = Action::ReleaseTablet { tablet: next.alias.clone(), pod_uid: next.pod_uid.clone() };
    Some(own(view, action, "rollout-release", "its shard cascades, and the others serve"))
}

fn pause(view: &ClusterView, shard: &ShardView, next: &TabletView) -> Option<Pause> {
    let underway = |t: &&TabletView| (t.released && t.outdated) || t.drain != Drain::Not;
    if let Some(tablet) = view.tablets_of(&shard.id).find(underway) {
        return Some(Pause::Underway(tablet.alias.clone()));
    }
    if let Some(tablet) = member_down(view, next) {
        return Some(Pause::NotServing(tablet.alias.clone()));
    }
    (shard.primary.is_none() && !is_alone(view, next)).then_some(Pause::PrimaryUnknown)
}

/// What does not serve goes first, the primary last.
fn next<'a>(view: &'a ClusterView, shard: &'a ShardView) -> Option<&'a TabletView> {
    let stands = |t: &&TabletView| !matches!(t.pod, PodState::Absent | PodState::Terminating);
    view.tablets_of(&shard.id)
        .filter(|t| t.outdated && t.wanted != Wanted::No)
        .filter(stands)
        .min_by_key(|t| (is_primary(view, t), serves(t), &t.alias))
}

/// One member of a quorum that is no tablet: etcd's.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    /// Its Pod's name.
    pub name: &'a str,
    /// Whether its Pod stands, is not on its way out, and is ready.
    pub ready: bool,
    /// Whether only a new Pod brings it up to date.
    pub outdated: bool,
    /// Whether somebody released it.
    pub released: bool,
}

/// The member whose Pod is replaced now: never while another is not ready; what is not ready first.
#[must_use]
pub fn next_member<'a>(members: &[Member<'a>], cascading: bool) -> Option<&'a str> {
    let free = members.iter().filter(|m| m.outdated && (m.released || cascading));
    let next = free.min_by_key(|m| (m.ready, m.name))?;
    members.iter().all(|m| m.ready || m.name == next.name).then_some(next.name)
}
