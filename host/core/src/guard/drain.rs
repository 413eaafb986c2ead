//! Rule `drain`: at most one member of a shard is taken away at a time, in the protocol's order.
//!
//! Judges the steps of the drain protocol, the deletion of a tablet's Pod and its
//! recreation. A tablet that does not serve anyway may be replaced without a
//! drain, else a bad spec could never be followed by a good one.

use super::{Case, Rule, Why, unless};
use crate::action::{Action, DrainStep};
use crate::standing::{ackers_left, eligible_wanted, is_idle, is_primary, member_down, spares, wait_count};
use crate::topology::{ShardId, TabletAlias};
use crate::view::{ClusterView, Drain, PodState, TabletView, Wanted};

pub(super) const RULE: Rule = Rule { name: "drain", keeps: &["S3", "S8"], judge: |case| check(case).err() };

fn check(case: &Case<'_>) -> Result<(), Why> {
    let view = case.view;
    if let Action::DrainTablet { tablet, step } = &case.step.action {
        let Some(tablet) = view.tablet(tablet) else { return Ok(()) };
        return protocol(case, tablet, *step);
    }
    let (tablet, uid, recreate) = if let Action::RecreateTablet { tablet, pod_uid } = &case.step.action {
        (tablet, pod_uid, true)
    } else if let Action::Delete { object, uid, of } = &case.step.action {
        if object.kind != "Pod" {
            return Ok(());
        }
        let Some(tablet) = of else { return no_tablets_pod(view, &object.name, uid) };
        (tablet, uid, false)
    } else {
        return Ok(());
    };
    let Some(tablet) = view.tablet(tablet) else { return Ok(()) };
    unless(!uid.is_empty() && *uid == tablet.pod_uid, || Why::OtherUid {
        named: uid.clone(),
        found: tablet.pod_uid.clone(),
    })?;
    removal(case, tablet, recreate)
}

/// A Pod that is said to be nobody's must not be a tablet's.
fn no_tablets_pod(view: &ClusterView, name: &str, uid: &str) -> Result<(), Why> {
    match view.tablets.iter().find(|t| t.pod_name() == Some(name) || (!uid.is_empty() && t.pod_uid == uid)) {
        None => Ok(()),
        Some(tablet) => Err(Why::NotDrained { tablet: tablet.alias.clone() }),
    }
}

fn protocol(case: &Case<'_>, tablet: &TabletView, step: DrainStep) -> Result<(), Why> {
    let found = tablet.drain;
    let from = match step {
        DrainStep::Start => Drain::Not,
        DrainStep::Acknowledge => Drain::Started,
        DrainStep::Finish => Drain::Acknowledged,
        DrainStep::Abort => {
            unless(found != Drain::Not || tablet.drain_withdrawn, || Why::DrainOrder { found, step })?;
            return unless(tablet.drain_withdrawn || tablet.drain_ours, || Why::DrainOfAnother {
                tablet: tablet.alias.clone(),
            });
        }
    };
    unless(found == from, || Why::DrainOrder { found, step })?;
    unless(!tablet.drain_withdrawn, || Why::DrainWithdrawn { tablet: tablet.alias.clone() })?;
    match step {
        DrainStep::Start | DrainStep::Abort => Ok(()),
        DrainStep::Acknowledge => all_others_serve(case.view, tablet),
        DrainStep::Finish => {
            unless(!is_primary(case.view, tablet), || Why::IsPrimary { tablet: tablet.alias.clone() })?;
            disruption(case, tablet)
        }
    }
}

fn removal(case: &Case<'_>, tablet: &TabletView, recreate: bool) -> Result<(), Why> {
    let alias = || tablet.alias.clone();
    unless(!reparented(case.admitted, &tablet.shard), || Why::PrimaryChanging {
        shard: tablet.shard.clone(),
    })?;
    if recreate {
        unless(tablet.wanted != Wanted::No, || Why::Unwanted { tablet: alias() })?;
        // The contract: with no second tablet to drain to, it is replaced where it is.
        if eligible_wanted(case.view, &tablet.shard) < 2 {
            return Ok(());
        }
    }
    if is_idle(tablet) {
        return Ok(());
    }
    unless(recreate || tablet.wanted == Wanted::No, || Why::StillWanted { tablet: alias() })?;
    unless(!is_primary(case.view, tablet), || Why::IsPrimary { tablet: alias() })?;
    unless(tablet.drain == Drain::Finished && !tablet.drain_withdrawn, || Why::NotDrained {
        tablet: alias(),
    })?;
    disruption(case, tablet)
}

/// The whole of S3 for one tablet that goes while it serves.
fn disruption(case: &Case<'_>, tablet: &TabletView) -> Result<(), Why> {
    let view = case.view;
    alone(case, tablet)?;
    let Some(shard) = view.shard(&tablet.shard) else { return Ok(()) };
    unless(shard.primary.is_some(), || Why::PrimaryUnknown { shard: shard.id.clone() })?;
    let (left, needed) = (ackers_left(view, shard, &tablet.alias), wait_count(shard.durability));
    unless(spares(view, shard, tablet), || Why::TooFewAckers { left, needed })
}

/// Whether a tablet would be the only one of its shard that is away, and nobody moves the primary meanwhile.
pub(super) fn alone(case: &Case<'_>, tablet: &TabletView) -> Result<(), Why> {
    unless(!reparented(case.admitted, &tablet.shard), || Why::PrimaryChanging {
        shard: tablet.shard.clone(),
    })?;
    let others = || case.view.tablets_of(&tablet.shard).filter(|t| t.alias != tablet.alias);
    let leaving = |t: &&TabletView| t.drain == Drain::Finished || t.pod == PodState::Terminating;
    if let Some(other) = others().find(leaving).map(|t| &t.alias).or_else(|| disrupted(case, tablet)) {
        return Err(Why::AlreadyDisrupted { tablet: other.clone() });
    }
    all_others_serve(case.view, tablet)
}

fn all_others_serve(view: &ClusterView, tablet: &TabletView) -> Result<(), Why> {
    match member_down(view, tablet) {
        None => Ok(()),
        Some(down) => Err(Why::MemberDown { tablet: down.alias.clone() }),
    }
}

/// Another tablet of the shard that this plan already takes away.
fn disrupted<'a>(case: &Case<'a>, tablet: &TabletView) -> Option<&'a TabletAlias> {
    case.admitted.iter().filter_map(|s| taken(&s.action)).find(|alias| {
        **alias != tablet.alias && case.view.tablet(alias).is_some_and(|t| t.shard == tablet.shard)
    })
}

fn taken(action: &Action) -> Option<&TabletAlias> {
    if let Action::DrainTablet { tablet, step: DrainStep::Finish }
    | Action::RecreateTablet { tablet, .. }
    | Action::RestoreTablet { tablet, .. } = action
    {
        Some(tablet)
    } else if let Action::Delete { object, of, .. } = action {
        of.as_ref().filter(|_| object.kind == "Pod")
    } else {
        None
    }
}

fn reparented(admitted: &[crate::plan::Step], shard: &ShardId) -> bool {
    admitted.iter().any(|s| {
        if let Action::InitPrimary { shard: s, .. }
        | Action::PlannedReparent { shard: s, .. }
        | Action::EmergencyReparent { shard: s, .. } = &s.action
        {
            s == shard
        } else {
            false
        }
    })
}
