//! Rule `contradiction`: one plan does at most one thing to one object.
//!
//! The first step (in slot order) stands; a later, different one on the same
//! object is refused, so two policies that fight cannot both be obeyed.

use super::{Case, Rule, Why};
use crate::action::Action;
use crate::topology::{Cell, ShardId, TabletAlias};
use crate::view::{ClusterView, Level, TabletView};

pub(super) const RULE: Rule = Rule { name: "contradiction", keeps: &["S1", "S6", "S11"], judge };

fn judge(case: &Case<'_>) -> Option<Why> {
    let mine = subjects(case.view, &case.step.action);
    let other = case.admitted.iter().find(|a| {
        a.action != case.step.action && subjects(case.view, &a.action).iter().any(|s| mine.contains(s))
    })?;
    Some(Why::Contradicts { other: other.action.to_string() })
}

/// What a step changes or relies on staying as it is.
#[derive(PartialEq)]
enum Subject<'a> {
    Zone(&'a Cell),
    Gateways(&'a Cell, &'a Cell),
    Primary(&'a ShardId),
    Tablet(&'a TabletAlias),
    Volume(&'a str),
    BackupRun(&'a ShardId),
    Backup(&'a ShardId, &'a str),
    Object(&'a str, &'a str),
    Cell(&'a Cell),
}

fn subjects<'a>(view: &'a ClusterView, action: &'a Action) -> Vec<Subject<'a>> {
    match action {
        Action::AssignZone { cell, .. } => vec![Subject::Zone(cell)],
        Action::SurgeTablet { shard, pool, index, .. } => {
            let pools = view.shard(shard).map_or(&[][..], |s| &s.pools);
            let aliases = pools.iter().find(|p| p.key == *pool).map_or(&[][..], |p| &p.aliases);
            let place = index.checked_sub(1).and_then(|i| aliases.get(usize::try_from(i).ok()?));
            place.map(Subject::Tablet).into_iter().collect()
        }
        Action::ReturnTablet { tablet, .. }
        | Action::RelocateTablet { tablet, .. }
        | Action::QuarantineTablet { tablet }
        | Action::RecreateTablet { tablet, .. }
        | Action::PrepareUpgrade { tablet, .. }
        | Action::ForgetTablet { tablet }
        | Action::ReleaseTablet { tablet, .. }
        | Action::DrainTablet { tablet, .. } => vec![Subject::Tablet(tablet)],
        Action::RestoreTablet { tablet, .. } => rebuilt(view, tablet),
        Action::SurgeGateway { cell, stands_in_for, .. } | Action::ReturnGateway { cell, stands_in_for } => {
            vec![Subject::Gateways(cell, stands_in_for)]
        }
        Action::EvacuateCell { cell } => vec![Subject::Cell(cell)],
        Action::InitPrimary { shard, to } => vec![Subject::Primary(shard), Subject::Tablet(to)],
        Action::PlannedReparent { shard, to, .. } | Action::EmergencyReparent { shard, to, .. } => {
            vec![Subject::Primary(shard), Subject::Tablet(to)]
        }
        Action::ExpandVolume { claim, .. } | Action::ChangeVolumeClass { claim, .. } => {
            vec![Subject::Volume(claim)]
        }
        Action::StartBackup { shard, restore, .. } => {
            let restored = restore.iter().map(|b| Subject::Backup(shard, b));
            restored.chain([Subject::BackupRun(shard)]).collect()
        }
        Action::SwitchVtorc { shard, .. } => vec![Subject::Primary(shard)],
        Action::RegisterRecord { .. }
        | Action::PruneRecord { .. }
        | Action::VerifyBackup { .. }
        | Action::ScheduleChange { .. }
        | Action::EndRollout { .. } => Vec::new(),
        Action::ExpireBackup { shard, backup, .. } => vec![Subject::Backup(shard, backup)],
        Action::CancelBackup { shard } | Action::RestoreShard { shard, .. } => {
            vec![Subject::BackupRun(shard)]
        }
        Action::Apply { object, .. } => vec![Subject::Object(&object.kind, &object.name)],
        Action::TurnDown { object, .. } => {
            let level = view.unwanted.iter().find(|u| u.object == *object).map(|u| &u.level);
            let primary =
                if let Some(Level::Shard(shard)) = level { Some(Subject::Primary(shard)) } else { None };
            primary.into_iter().chain([Subject::Object(&object.kind, &object.name)]).collect()
        }
        Action::Delete { object, of, .. } => {
            let tablet = of.iter().map(Subject::Tablet);
            tablet.chain([Subject::Object(&object.kind, &object.name)]).collect()
        }
    }
}

/// A tablet that is made anew, with all that goes.
fn rebuilt<'a>(view: &'a ClusterView, alias: &'a TabletAlias) -> Vec<Subject<'a>> {
    let tablet = view.tablet(alias);
    let pod = tablet.and_then(TabletView::pod_name).map(|name| Subject::Object("Pod", name));
    let volume = tablet.and_then(|t| t.volume.as_deref());
    let claim = volume.map(|name| Subject::Object("PersistentVolumeClaim", name));
    [Some(Subject::Tablet(alias)), volume.map(Subject::Volume), claim, pod].into_iter().flatten().collect()
}
