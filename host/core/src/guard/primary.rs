//! Rule `primary`: whose place is taken, and whether it may be taken.
//!
//! A planned reparent wants a live primary, an emergency one a dead primary by
//! two-sided evidence: the host cannot reach it, and no replica that answers
//! hears it. A first primary wants a shard where no data can be overlooked.

use super::{Case, Rule, Why, unless};
use crate::action::Action;
use crate::topology::{ShardId, TabletAlias};
use crate::view::{ClusterView, Reach, Role, ShardView, TabletView, Wanted};

pub(super) const RULE: Rule = Rule { name: "primary", keeps: &["S1", "S2"], judge: |case| check(case).err() };

fn check(case: &Case<'_>) -> Result<(), Why> {
    let view = case.view;
    if let Action::PlannedReparent { shard, from, to } = &case.step.action {
        planned(view, shard, from, to)
    } else if let Action::EmergencyReparent { shard, lost, to } = &case.step.action {
        emergency(view, shard, lost, to)
    } else if let Action::InitPrimary { shard, to } = &case.step.action {
        first(view, shard, to)
    } else {
        Ok(())
    }
}

fn planned(view: &ClusterView, shard: &ShardId, from: &TabletAlias, to: &TabletAlias) -> Result<(), Why> {
    let primary = named(view, shard, from, to)?;
    unless(primary.reach == Reach::Yes && primary.role == Role::Primary, || Why::PrimaryNotServing {
        primary: from.clone(),
        reach: primary.reach,
        role: primary.role,
    })?;
    no_other_primary(view, shard, &[from])
}

fn emergency(view: &ClusterView, shard: &ShardId, lost: &TabletAlias, to: &TabletAlias) -> Result<(), Why> {
    let primary = named(view, shard, lost, to)?;
    match primary.reach {
        Reach::No => {}
        Reach::Yes => return Err(Why::PrimaryAnswers { primary: lost.clone() }),
        Reach::Unknown => return Err(Why::PrimaryNotProbed { primary: lost.clone() }),
    }
    // `to` may have been promoted by an earlier try that died before the topology was written.
    no_other_primary(view, shard, &[lost, to])?;
    let mut witnesses = 0_usize;
    for tablet in view.tablets_of(shard).filter(|t| t.alias != *lost && t.reach == Reach::Yes) {
        let promoted = tablet.alias == *to && tablet.role == Role::Primary;
        let hears = tablet.replication.as_ref().filter(|r| r.source.as_ref() == Some(lost));
        if hears.is_some_and(|r| r.source_connected) {
            return Err(Why::PrimaryHeard { primary: lost.clone(), by: tablet.alias.clone() });
        }
        witnesses += usize::from(promoted || hears.is_some());
    }
    unless(witnesses > 0, || Why::NoWitness { primary: lost.clone() })
}

fn first(view: &ClusterView, shard: &ShardId, to: &TabletAlias) -> Result<(), Why> {
    let Some(record) = view.shard(shard) else { return Ok(()) };
    if let Some(primary) = &record.primary {
        return Err(Why::HasPrimary { primary: primary.clone() });
    }
    unless(record.may_initialize, || Why::MayNotInitialize { shard: shard.clone() })?;
    no_other_primary(view, shard, &[to])?;
    let silent = view.tablets_of(shard).filter(|t| t.reach != Reach::Yes);
    match silent.into_iter().find(|t| may_hold_data(record, t)) {
        None => Ok(()),
        Some(tablet) => Err(Why::DataUnseen { tablet: tablet.alias.clone() }),
    }
}

/// An initialised shard's data may be on any volume; one that is not yet
/// initialised has none, but every tablet that may become primary is waited for,
/// so that it is one election among all.
fn may_hold_data(shard: &ShardView, tablet: &TabletView) -> bool {
    let eligible = tablet.pool.pool_type.is_primary_eligible();
    eligible && if shard.initialized { tablet.volume.is_some() } else { tablet.wanted == Wanted::BySpec }
}

fn named<'a>(
    view: &'a ClusterView,
    shard: &ShardId,
    old: &TabletAlias,
    to: &TabletAlias,
) -> Result<&'a TabletView, Why> {
    let found = view.shard(shard).and_then(|s| s.primary.clone());
    unless(found.as_ref() == Some(old), || Why::NotThePrimary { named: old.clone(), found })?;
    unless(old != to, || Why::AlreadyPrimary { tablet: to.clone() })?;
    view.tablet(old).ok_or_else(|| Why::PrimaryNotProbed { primary: old.clone() })
}

fn no_other_primary(view: &ClusterView, shard: &ShardId, but: &[&TabletAlias]) -> Result<(), Why> {
    let mut answering = view.tablets_of(shard).filter(|t| t.role == Role::Primary && t.reach == Reach::Yes);
    match answering.find(|t| !but.contains(&&t.alias)) {
        None => Ok(()),
        Some(tablet) => Err(Why::AnotherPrimary { tablet: tablet.alias.clone() }),
    }
}
