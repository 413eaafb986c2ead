//! Who replaces a lost primary: the host, by its policy, or VTOrc. Never both.
//!
//! Owns the one reading of a view that the host's own steps and the guard agree on. VTOrc keeps its
//! repairs of replication; the switch in the topology is about emergency reparents alone, and it is
//! observed state: what counts is what the topology says, not what we once wrote.

use crate::action::Action;
use crate::drain::own;
use crate::plan::Step;
use crate::view::{ClusterView, Reach, ShardView, VitessSource, Vtorc};

/// Whether the host can take it on itself to replace the shard's primary from now on: a policy is
/// bound for it, nobody has paused it, and the shard is well, as we see it ourselves.
#[must_use]
pub fn may_take_over(view: &ClusterView, shard: &ShardView) -> bool {
    let primary = shard.primary.as_ref().and_then(|alias| view.tablet(alias));
    may_keep(view, shard) && primary.is_some_and(|tablet| tablet.reach == Reach::Yes)
}

/// Whether the host, which has taken it on itself, still can: the primary may be lost meanwhile, but
/// not our sight of the others, and neither the policy nor our freedom to act.
#[must_use]
pub fn may_keep(view: &ClusterView, shard: &ShardView) -> bool {
    let switch = Action::SwitchVtorc { shard: shard.id.clone(), fails_over: false };
    view.replaces_primaries
        && view.vitess != VitessSource::Unknown
        && view.tablets_of(&shard.id).any(|tablet| tablet.reach == Reach::Yes)
        && !view.pauses.iter().any(|pause| pause.stops(view, &switch))
}

/// The host's own steps: VTOrc is told to stand by where the host takes over, and to decide again
/// where it no longer can. `answers`: whether the policy does, when asked about this very view.
#[must_use]
pub fn steps(view: &ClusterView, answers: bool) -> Vec<Step> {
    let switch = |shard: &ShardView, fails_over, code, message| {
        own(view, Action::SwitchVtorc { shard: shard.id.clone(), fails_over }, code, message)
    };
    let step = |shard: &ShardView| match shard.vtorc {
        Vtorc::Decides if answers && may_take_over(view, shard) => {
            Some(switch(shard, false, "policy-decides", "the policy replaces lost primaries from now on"))
        }
        Vtorc::StandsBy if !(answers && may_keep(view, shard)) => {
            Some(switch(shard, true, "vtorc-decides", "the host cannot replace a lost primary for now"))
        }
        Vtorc::Absent | Vtorc::Unswitchable | Vtorc::Decides | Vtorc::StandsBy => None,
    };
    view.shards.iter().filter_map(step).collect()
}
