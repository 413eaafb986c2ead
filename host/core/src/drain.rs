//! The drain protocol: how a tablet that is asked to go is let go.
//!
//! Owns the host's own steps `acknowledge`, `finish` and `abort`; `start` is
//! written by turndown, a rollout or anybody outside. Pure of the view. The
//! primary waits here until the failover policy has moved it.

use crate::action::{Action, DrainStep};
use crate::plan::{Author, Reason, Step};
use crate::standing::{ackers_left, is_primary, member_down, wait_count};
use crate::view::{ClusterView, Drain, ShardView, TabletView, VitessSource};

/// A step of the host's own is made anew every pass, so it need not live long.
pub(crate) const OWN_STEP_TTL_MS: crate::Millis = 60_000;

/// The next steps of every drain of the cluster, shard by shard, lowest alias first.
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
    tablets.sort_by(|a, b| a.alias.cmp(&b.alias));
    // A withdrawn drain is cleared before anything else in the shard moves.
    let withdrawn: Vec<&&TabletView> = tablets.iter().filter(|t| t.drain_withdrawn).collect();
    if !withdrawn.is_empty() {
        return withdrawn.iter().map(|t| drain(view, t, DrainStep::Abort)).collect();
    }
    let mut steps: Vec<Step> = tablets
        .iter()
        .filter(|t| t.drain == Drain::Started && member_down(view, t).is_none())
        .map(|t| drain(view, t, DrainStep::Acknowledge))
        .collect();
    if tablets.iter().all(|t| t.drain != Drain::Finished) {
        let next = tablets.iter().find(|t| t.drain == Drain::Acknowledged && may_finish(view, shard, t));
        steps.extend(next.map(|t| drain(view, t, DrainStep::Finish)));
    }
    steps
}

fn may_finish(view: &ClusterView, shard: &ShardView, tablet: &TabletView) -> bool {
    shard.primary.is_some()
        && !is_primary(view, tablet)
        && member_down(view, tablet).is_none()
        && ackers_left(view, shard, &tablet.alias) >= wait_count(shard.durability)
}

/// A step of the protocol, in the host's name.
pub(crate) fn drain(view: &ClusterView, tablet: &TabletView, step: DrainStep) -> Step {
    let (code, message) = match step {
        DrainStep::Start => ("drain-start", "it is to be replaced or removed"),
        DrainStep::Acknowledge => ("drain-acknowledge", "its drain was asked for and the shard is healthy"),
        DrainStep::Finish => ("drain-finish", "it is no primary and the shard can do without it"),
        DrainStep::Abort => ("drain-abort", "its drain was withdrawn"),
    };
    own(view, Action::DrainTablet { tablet: tablet.alias.clone(), step }, code, message)
}

/// A step in the host's name.
pub(crate) fn own(view: &ClusterView, action: Action, code: &str, message: &str) -> Step {
    Step {
        action,
        author: Author::Host,
        reason: Reason { code: code.to_owned(), message: message.to_owned() },
        expect: Vec::new(),
        expires: view.as_of.saturating_add(OWN_STEP_TTL_MS),
    }
}
