//! The drain protocol: how a tablet that is asked to go is let go.
//!
//! Owns the host's own steps `acknowledge`, `finish` and `abort`; `start` is
//! written by turndown, a rollout or anybody outside. Pure of the view. The
//! primary waits here until the failover policy has moved it. A drain of the host's own
//! ends when what it was for is over; one of anybody else's only when they take it back.

use crate::action::{Action, DrainStep};
use crate::mysql::Change;
use crate::plan::{Author, Reason, Step};
use crate::rollout;
use crate::standing::{is_idle, is_primary, member_down, spares};
use crate::view::{ClusterView, Drain, PodState, ShardView, TabletView, VitessSource, Wanted};
use crate::volumes::waits_for_restart;

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
    let over: Vec<Step> = tablets.iter().filter_map(|t| abort(view, t)).collect();
    if !over.is_empty() {
        return over;
    }
    let mut steps: Vec<Step> = tablets
        .iter()
        .filter(|t| t.drain == Drain::Started && member_down(view, t).is_none())
        .map(|t| drain(view, t, DrainStep::Acknowledge))
        .collect();
    if tablets.iter().all(|t| t.drain != Drain::Finished) {
        let next = tablets.iter().find(|t| t.drain == Drain::Acknowledged && may_finish(view, shard, t));
        steps.extend(next.map(|t| prepare(view, t).unwrap_or_else(|| drain(view, t, DrainStep::Finish))));
    }
    steps
}

fn abort(view: &ClusterView, tablet: &TabletView) -> Option<Step> {
    if tablet.drain_withdrawn {
        return Some(drain(view, tablet, DrainStep::Abort));
    }
    is_needless(view, tablet).then(|| {
        let action = Action::DrainTablet { tablet: tablet.alias.clone(), step: DrainStep::Abort };
        own(view, action, "drain-needless", "the tablet is asked for again as it is")
    })
}

/// Whether the host asked for a drain that it has no use for any more: the tablet is wanted again,
/// or what was to replace its Pod is not asked for.
fn is_needless(view: &ClusterView, tablet: &TabletView) -> bool {
    let stands = matches!(tablet.pod, PodState::Pending | PodState::Running);
    let goes = rollout::is_to_be_replaced(view, tablet) || waits_for_restart(view, tablet);
    let stays = tablet.wanted != Wanted::No && !goes;
    tablet.drain_ours && tablet.drain != Drain::Not && stands && stays
}

fn may_finish(view: &ClusterView, shard: &ShardView, tablet: &TabletView) -> bool {
    shard.primary.is_some()
        && !is_primary(view, tablet)
        && member_down(view, tablet).is_none()
        && spares(view, shard, tablet)
}

/// What has to be done before a tablet's Pod may go to be made anew: where another MySQL is to
/// convert its files, the one that runs is told to leave no work behind.
pub(crate) fn prepare(view: &ClusterView, tablet: &TabletView) -> Option<Step> {
    let is_upgrade = tablet.wanted != Wanted::No && tablet.mysql_change == Change::Upgrade;
    (is_upgrade && !tablet.ends_written_out && !is_idle(tablet)).then(|| {
        let action = Action::PrepareUpgrade { tablet: tablet.alias.clone(), pod_uid: tablet.pod_uid.clone() };
        own(
            view,
            action,
            "upgrade-prepare",
            "another MySQL is to convert its files: innodb_fast_shutdown = 0",
        )
    })
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
