//! Rule `claim`: no object goes that could be, or could own, the only copy of a write.
//!
//! A deletion names the UID that it means. A tablet's claim goes only when its
//! Pod and its topology record are gone and another tablet, asked just now,
//! holds all that it held.

use super::{Case, Rule, Why, unless};
use crate::action::Action;
use crate::standing::{is_caught_up, is_primary};
use crate::topology::TabletAlias;
use crate::view::{ClusterView, PodState, Reach, Role, TabletView, VolumeView, Wanted};
use crate::zones::ZoneState;

pub(super) const RULE: Rule =
    Rule { name: "claim", keeps: &["S4", "S7", "S8", "S9"], judge: |case| check(case).err() };

/// Kinds that hold no data and own none.
const DISPOSABLE: [&str; 12] = [
    "ConfigMap",
    "CronJob",
    "Deployment",
    "HorizontalPodAutoscaler",
    "Job",
    "Pod",
    "PodDisruptionBudget",
    "Secret",
    "Service",
    "VitessBackup",
    "VitessBackupSchedule",
    "VitessBackupStorage",
];
/// A flag of a claim that no tablet writes to: the working space of a backup run.
const SCRATCH: &str = "backupScratch";

fn check(case: &Case<'_>) -> Result<(), Why> {
    if let Action::ForgetTablet { tablet } = &case.step.action {
        return record_of(case.view, tablet);
    }
    let Action::Delete { object, uid, of } = &case.step.action else { return Ok(()) };
    unless(!uid.is_empty(), || Why::NoUid)?;
    if DISPOSABLE.contains(&object.kind.as_str()) {
        return Ok(());
    }
    unless(object.kind == "PersistentVolumeClaim", || Why::HoldsData { kind: object.kind.clone() })?;
    match (of, case.view.volume(&object.name)) {
        (Some(alias), Some(volume)) => of_tablet(case.view, alias, volume, uid),
        (None, None) if case.view.flag(&object.name, SCRATCH) == Some(true) => Ok(()),
        (None | Some(_), _) => Err(Why::NotScratch { claim: object.name.clone() }),
    }
}

/// A topology record goes only when the tablet behind it is gone for good.
fn record_of(view: &ClusterView, alias: &TabletAlias) -> Result<(), Why> {
    let Some(tablet) = view.tablet(alias) else {
        return Err(Why::NotOurs { named: format!("tablet {alias}") });
    };
    unless(tablet.wanted == Wanted::No, || Why::StillWanted { tablet: alias.clone() })?;
    unless(tablet.pod == PodState::Absent, || Why::PodExists { tablet: alias.clone() })?;
    unless(!is_primary(view, tablet), || Why::IsPrimary { tablet: alias.clone() })?;
    unless(tablet.reach != Reach::Yes, || Why::StillInTopology { tablet: alias.clone() })
}

fn of_tablet(view: &ClusterView, alias: &TabletAlias, volume: &VolumeView, uid: &str) -> Result<(), Why> {
    unless(volume.uid == uid, || Why::OtherUid { named: uid.to_owned(), found: volume.uid.clone() })?;
    let owner =
        view.tablet(alias).filter(|t| volume.tablet == *alias && t.volume.as_ref() == Some(&volume.claim));
    let Some(tablet) = owner else {
        return Err(Why::NotOurs { named: format!("claim {} of tablet {alias}", volume.claim) });
    };
    unless(tablet.wanted == Wanted::No, || Why::StillWanted { tablet: alias.clone() })?;
    unless(tablet.pod == PodState::Absent, || Why::PodExists { tablet: alias.clone() })?;
    let gone = tablet.role == Role::Unknown && tablet.reach != Reach::Yes && !is_primary(view, tablet);
    unless(gone, || Why::StillInTopology { tablet: alias.clone() })?;
    if let Some(zone) = view.zone_of(tablet).filter(|z| !is_well(z.health.state)) {
        return Err(Why::ZoneNotWell { zone: zone.name.clone(), state: zone.health.state });
    }
    let initialized = view.shard(&tablet.shard).is_none_or(|s| s.initialized);
    unless(!initialized || has_copy(view, tablet), || Why::OnlyCopy { tablet: alias.clone() })
}

/// In a zone in doubt an absent Pod may be one that nobody can see.
pub(super) const fn is_well(state: ZoneState) -> bool {
    match state {
        ZoneState::Healthy | ZoneState::Recovering => true,
        ZoneState::Unknown | ZoneState::Suspect | ZoneState::Lost => false,
    }
}

/// Whether a tablet that stays and answers, the primary or one caught up with
/// it, holds everything that this one last said it had (errant transactions too).
fn has_copy(view: &ClusterView, leaving: &TabletView) -> bool {
    let Some(primary) = view.shard(&leaving.shard).and_then(|s| s.primary.as_ref()) else { return false };
    let mut others =
        view.tablets_of(&leaving.shard).filter(|t| t.alias != leaving.alias && t.wanted != Wanted::No);
    others.any(|t| {
        let current = (t.alias == *primary && t.role == Role::Primary && t.reach == Reach::Yes)
            || is_caught_up(t, primary);
        let position = t.replication.as_ref().map(|r| &r.position);
        let holds = match (&leaving.replication, position) {
            (Some(last), Some(position)) => {
                position.contains(&last.position) && position.contains(&last.errant)
            }
            (Some(_), None) => false,
            (None, _) => true,
        };
        current && holds
    })
}
