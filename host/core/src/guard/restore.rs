//! Rule `restore`: a tablet is wiped only for what nobody was told of, and only where two others have the rest.
//!
//! What a primary wrote last and nobody acknowledged is errant once another leads, and its tablet replicates no
//! more. The volume goes when that is shown: it is the end of what this very MySQL wrote, the durability policy
//! says that no client heard of it, and the primary, another replica and a proven backup have all else. Anything
//! more is a human's affair.

use super::claim::is_well;
use super::quorum::LOSS_ACCEPTED;
use super::{Case, Rule, Why, drain, unless};
use crate::action::Action;
use crate::gtid::GtidSet;
use crate::standing::{ackers_left, is_caught_up, is_primary, may_ack, wait_count};
use crate::topology::TabletAlias;
use crate::view::{
    BackupView, ClusterView, Drain, Durability, PodState, Reach, Replication, Role, ShardView, TabletView,
    Wanted,
};

pub(super) const RULE: Rule =
    Rule { name: "restore", keeps: &["S3", "S4", "S14"], judge: |case| check(case).err() };

fn check(case: &Case<'_>) -> Result<(), Why> {
    let Action::RestoreTablet { tablet: alias, backup } = &case.step.action else { return Ok(()) };
    let view = case.view;
    let found = view.tablet(alias).and_then(|tablet| Some((tablet, view.shard(&tablet.shard)?)));
    let Some((tablet, shard)) = found else {
        return Err(Why::NotOurs { named: format!("tablet {alias} in a shard") });
    };
    stands(view, tablet)?;
    let told = tablet.replication.as_ref();
    let told = told.ok_or_else(|| Why::ReplicationUnknown { tablet: alias.clone() })?;
    unless(!told.errant.is_empty(), || Why::NotErrant { tablet: alias.clone() })?;
    let (primary, leading) = primary(view, shard)?;
    wrote_it_last(alias, told, (primary, leading))?;
    nobody_was_told(view, shard, (tablet, primary), &told.errant)?;
    others_have_the_rest(view, shard, (tablet, told), (primary, leading))?;
    drain::alone(case, tablet)?;
    let (left, needed) = (ackers_left(view, shard, alias), wait_count(shard.durability));
    unless(left >= needed, || Why::TooFewAckers { left, needed })?;
    proven(view, shard, backup, &told.errant)
}

/// It is wanted as it stands, answers from this Pod, leads nobody, and its volume is known.
fn stands(view: &ClusterView, tablet: &TabletView) -> Result<(), Why> {
    let alias = || tablet.alias.clone();
    unless(tablet.wanted != Wanted::No, || Why::Unwanted { tablet: alias() })?;
    unless(!is_primary(view, tablet), || Why::IsPrimary { tablet: alias() })?;
    let answers = tablet.pod == PodState::Running && tablet.reach == Reach::Yes;
    unless(answers, || Why::CandidateSilent { tablet: alias() })?;
    unless(tablet.reach_since >= tablet.pod_since, || Why::ToldBefore { tablet: alias() })?;
    unless(tablet.drain == Drain::Not, || Why::CandidateDraining { tablet: alias(), drain: tablet.drain })?;
    let volume = tablet.volume.as_deref().and_then(|claim| view.volume(claim));
    let Some(volume) = volume.filter(|volume| volume.tablet == tablet.alias) else {
        return Err(Why::NotOurs { named: format!("claim of tablet {}", tablet.alias) });
    };
    unless(!volume.uid.is_empty() && !tablet.pod_uid.is_empty(), || Why::NoUid)?;
    match view.zone_of(tablet).filter(|zone| !is_well(zone.health.state)) {
        Some(zone) => Err(Why::ZoneNotWell { zone: zone.name.clone(), state: zone.health.state }),
        None => Ok(()),
    }
}

/// The primary that the topology names, as it says so itself.
fn primary<'a>(view: &'a ClusterView, shard: &ShardView) -> Result<(&'a TabletAlias, &'a Replication), Why> {
    let primary = shard.primary.as_ref().and_then(|alias| view.tablet(alias));
    let primary = primary.ok_or_else(|| Why::PrimaryUnknown { shard: shard.id.clone() })?;
    let TabletView { alias, reach, role, replication, .. } = primary;
    let leads = *reach == Reach::Yes && *role == Role::Primary;
    let told = replication.as_ref().filter(|_| leads);
    told.map(|told| (alias, told)).ok_or_else(|| Why::PrimaryNotServing {
        primary: alias.clone(),
        reach: *reach,
        role: *role,
    })
}

/// A tablet that was primary has of its own writes all that the next one has, and beyond these the end. A write
/// past the gateways looks the same where it came later, but the tablet replicates then.
fn wrote_it_last(
    alias: &TabletAlias,
    told: &Replication,
    (primary, leading): (&TabletAlias, &Replication),
) -> Result<(), Why> {
    let errant = || told.errant.to_string();
    let replicates = told.source_connected && told.source.as_ref() == Some(primary);
    unless(!replicates, || Why::StillReplicates { tablet: alias.clone(), errant: errant() })?;
    let is_tail = told.errant.is_of(&told.server) && told.errant.follows_on(&leading.position);
    unless(is_tail, || Why::NotATail { tablet: alias.clone(), errant: errant() })
}

/// A client hears of a write once another tablet acknowledged it, and whoever did has it. Without a durability
/// policy it hears of it at once.
fn nobody_was_told(
    view: &ClusterView,
    shard: &ShardView,
    (tablet, primary): (&TabletView, &TabletAlias),
    errant: &GtidSet,
) -> Result<(), Why> {
    let accepted = view.flag("cluster", LOSS_ACCEPTED) == Some(true);
    unless(shard.durability != Durability::None || accepted, || Why::ToldAlone {
        tablet: tablet.alias.clone(),
        errant: errant.to_string(),
    })?;
    let others = || view.tablets_of(&shard.id).filter(|t| t.alias != tablet.alias && t.alias != *primary);
    let has_some = |t: &&TabletView| t.replication.as_ref().is_some_and(|r| r.position.meets(errant));
    if let Some(other) = others().find(has_some) {
        return Err(Why::MayBeTold { other: other.alias.clone(), errant: errant.to_string() });
    }
    let unseen: Vec<TabletAlias> = others()
        .filter(|t| may_ack(shard.durability, t, &tablet.alias))
        .filter(|t| t.reach != Reach::Yes || t.replication.is_none())
        .map(|t| t.alias.clone())
        .collect();
    unless(unseen.is_empty(), || Why::LossPossible { durability: shard.durability, unseen })
}

fn others_have_the_rest(
    view: &ClusterView,
    shard: &ShardView,
    (tablet, told): (&TabletView, &Replication),
    (primary, leading): (&TabletAlias, &Replication),
) -> Result<(), Why> {
    let rest = told.position.minus(&told.errant);
    let lacks = rest.minus(&leading.position);
    unless(lacks.is_empty(), || Why::Behind {
        tablet: primary.clone(),
        other: tablet.alias.clone(),
        lacks: lacks.to_string(),
    })?;
    let others = view.tablets_of(&shard.id).filter(|t| t.alias != tablet.alias && t.wanted != Wanted::No);
    let has = |t: &TabletView| t.replication.as_ref().is_some_and(|r| r.position.contains(&rest));
    unless(others.into_iter().any(|t| is_caught_up(t, primary) && has(t)), || Why::NoSecondCopy {
        tablet: tablet.alias.clone(),
        errant: told.errant.to_string(),
    })
}

/// The step names the newest backup that a restore has proven, and neither that nor a newer one, which would be
/// restored in its stead, may have what the tablet is rebuilt for.
fn proven(view: &ClusterView, shard: &ShardView, named: &str, errant: &GtidSet) -> Result<(), Why> {
    let here = |b: &&BackupView| shard.backup_location.as_ref() == Some(&b.location) && b.finished.is_some();
    let complete = || view.backups_of(&shard.id).filter(here);
    let age = |b: &&BackupView| (b.started, b.name.clone());
    let newest = complete().filter(|b| b.verified.is_some()).max_by_key(age);
    let Some(backup) = newest.filter(|b| b.name == named) else {
        return Err(Why::NotTheProven { named: named.to_owned(), newest: newest.map(|b| b.name.clone()) });
    };
    let restorable = complete().filter(|b| age(b) >= age(&backup));
    match restorable.into_iter().find(|b| b.may_have(errant)) {
        Some(b) => Err(Why::BackupErrant { backup: b.name.clone(), errant: errant.to_string() }),
        None => Ok(()),
    }
}
