//! Rule `candidate`: the tablet that is to become primary is fit for it.
//!
//! It stands in a pool that may hold primaries, answers, is not leaving, has no
//! errant transaction, and its zone is not in doubt. A planned reparent also
//! wants it caught up with the primary that it replaces.

use super::{Case, Rule, Why, unless};
use crate::action::Action;
use crate::standing::CAUGHT_UP_MS;
use crate::topology::TabletAlias;
use crate::view::{ClusterView, Drain, PodState, Reach, Replication, Role, TabletView, Wanted};
use crate::zones::ZoneState;

pub(super) const RULE: Rule =
    Rule { name: "candidate", keeps: &["S1", "S2", "S14"], judge: |case| check(case).err() };

fn check(case: &Case<'_>) -> Result<(), Why> {
    let view = case.view;
    if let Action::PlannedReparent { from, to, .. } = &case.step.action {
        let Some(tablet) = view.tablet(to) else { return Ok(()) };
        fit(view, tablet)?;
        unless(tablet.drain == Drain::Not, || draining(tablet))?;
        unless(tablet.role == Role::Replica, || role(tablet))?;
        caught_up(tablet, from)
    } else if let Action::EmergencyReparent { to, .. } = &case.step.action {
        let Some(tablet) = view.tablet(to) else { return Ok(()) };
        fit(view, tablet)?;
        // A drain that has not finished can be given up; writes are down now.
        unless(tablet.drain != Drain::Finished, || draining(tablet))?;
        unless(matches!(tablet.role, Role::Replica | Role::Primary), || role(tablet))?;
        let replication = replication(tablet)?;
        unless(replication.applying, || Why::NotApplying { tablet: to.clone() })
    } else if let Action::InitPrimary { to, .. } = &case.step.action {
        let Some(tablet) = view.tablet(to) else { return Ok(()) };
        fit(view, tablet)?;
        unless(tablet.drain == Drain::Not, || draining(tablet))?;
        let restoring = matches!(tablet.role, Role::Restore | Role::Rdonly);
        unless(!restoring && tablet.pod == PodState::Running, || role(tablet))
    } else {
        Ok(())
    }
}

fn fit(view: &ClusterView, tablet: &TabletView) -> Result<(), Why> {
    let alias = || tablet.alias.clone();
    let pool_type = tablet.pool.pool_type;
    unless(pool_type.is_primary_eligible(), || Why::NotEligible { tablet: alias(), pool_type })?;
    unless(tablet.wanted != Wanted::No, || Why::Unwanted { tablet: alias() })?;
    let stays = tablet.reach == Reach::Yes && tablet.pod != PodState::Terminating;
    unless(stays, || Why::CandidateSilent { tablet: alias() })?;
    if let Some(errant) = tablet.replication.as_ref().map(|r| &r.errant).filter(|e| !e.is_empty()) {
        return Err(Why::Errant { tablet: alias(), errant: errant.to_string() });
    }
    match view.zone_of(tablet) {
        Some(zone) if matches!(zone.health.state, ZoneState::Suspect | ZoneState::Lost) => {
            Err(Why::CandidateZone { tablet: alias(), zone: zone.name.clone(), state: zone.health.state })
        }
        Some(_) | None => Ok(()),
    }
}

fn caught_up(tablet: &TabletView, from: &TabletAlias) -> Result<(), Why> {
    let alias = || tablet.alias.clone();
    let r = replication(tablet)?;
    unless(r.source.as_ref() == Some(from) && r.source_connected, || Why::NotReplicating {
        tablet: alias(),
        source_alias: from.clone(),
    })?;
    unless(r.applying, || Why::NotApplying { tablet: alias() })?;
    unless(r.lag_ms <= CAUGHT_UP_MS, || Why::Lagging {
        tablet: alias(),
        lag_ms: r.lag_ms,
        most_ms: CAUGHT_UP_MS,
    })
}

fn replication(tablet: &TabletView) -> Result<&Replication, Why> {
    tablet.replication.as_ref().ok_or_else(|| Why::ReplicationUnknown { tablet: tablet.alias.clone() })
}

fn draining(tablet: &TabletView) -> Why {
    Why::CandidateDraining { tablet: tablet.alias.clone(), drain: tablet.drain }
}

fn role(tablet: &TabletView) -> Why {
    Why::CandidateRole { tablet: tablet.alias.clone(), role: tablet.role }
}
