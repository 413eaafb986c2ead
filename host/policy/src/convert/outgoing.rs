//! Steps, out to a rule plugin that reviews them.

use pilothouse_core::Millis;
use pilothouse_core::action::{Action, ObjectRef};
use pilothouse_core::plan::{Author, Step};
use pilothouse_core::topology::{Cell, ShardId, TabletAlias, Zone};

use super::view::{alias, pool_key, shard_id};
use crate::bindings::rule::AnyAction as Any;
use crate::bindings::{backup as b, expansion as e, failover as f, placement as p, rule};

pub(crate) fn planned_step(step: &Step) -> rule::PlannedStep {
    rule::PlannedStep {
        action: any_action(&step.action),
        author: match &step.author {
            Author::Host => "host".to_owned(),
            Author::Policy { plugin, .. } => plugin.clone(),
        },
        code: step.reason.code.clone(),
    }
}

fn any_action(action: &Action) -> Any {
    match action {
        Action::AssignZone { cell, zone } => {
            let (cell, zone) = (name(cell), zone_name(zone));
            Any::Placement(p::Action::AssignZone(p::ZoneAssignment { cell, zone }))
        }
        Action::SurgeTablet { shard, pool, index, stands_in_for } => {
            let (shard, pool, stands_in_for) = (shard_id(shard), pool_key(pool), name(stands_in_for));
            let surge = p::TabletSurge { shard, pool, index: *index, stands_in_for };
            Any::Placement(p::Action::SurgeTablet(surge))
        }
        Action::ReturnTablet { shard, tablet } => {
            let (shard, tablet) = (shard_id(shard), alias(tablet));
            Any::Placement(p::Action::ReturnTablet(p::TabletReturn { shard, tablet }))
        }
        Action::SurgeGateway { cell, stands_in_for, replicas } => {
            let (cell, stands_in_for, replicas) = (name(cell), name(stands_in_for), *replicas);
            Any::Placement(p::Action::SurgeGateway(p::GatewayStandIn { cell, stands_in_for, replicas }))
        }
        Action::ReturnGateway { cell, stands_in_for } => {
            let (cell, stands_in_for) = (name(cell), name(stands_in_for));
            Any::Placement(p::Action::ReturnGateway(p::GatewayReturn { cell, stands_in_for }))
        }
        Action::EvacuateCell { cell } => Any::Placement(p::Action::EvacuateCell(name(cell))),
        Action::RelocateTablet { tablet, zone } => {
            let (tablet, zone) = (alias(tablet), zone_name(zone));
            Any::Placement(p::Action::RelocateTablet(p::Relocation { tablet, zone }))
        }
        Action::InitPrimary { shard, to } => {
            let (shard, to) = (shard_id(shard), alias(to));
            Any::Failover(f::Action::InitPrimary(f::FirstPrimary { shard, to }))
        }
        Action::PlannedReparent { shard, from, to } => {
            let (shard, from, to) = (shard_id(shard), alias(from), alias(to));
            Any::Failover(f::Action::PlannedReparent(f::Planned { shard, from, to }))
        }
        Action::EmergencyReparent { shard, lost, to } => {
            let (shard, lost, to) = (shard_id(shard), alias(lost), alias(to));
            Any::Failover(f::Action::EmergencyReparent(f::Emergency { shard, lost, to }))
        }
        Action::QuarantineTablet { tablet } => Any::Failover(f::Action::QuarantineTablet(alias(tablet))),
        Action::ExpandVolume { claim, from, to } => Any::Expansion(expand_volume(claim, *from, *to)),
        Action::ChangeVolumeClass { claim, class } => {
            let change = e::ClassChange { claim: claim.clone(), class: class.clone() };
            Any::Expansion(e::Action::ChangeVolumeClass(change))
        }
        Action::StartBackup { shard, location, restore } => {
            let (shard, location, restore) = (shard_id(shard), location.clone(), restore.clone());
            Any::Backup(b::Action::StartBackup(b::Start { shard, location, restore }))
        }
        Action::VerifyBackup { backup } => Any::Backup(b::Action::VerifyBackup(backup.clone())),
        Action::ExpireBackup { shard, backup, covered_by } => {
            Any::Backup(expire_backup(shard, backup, covered_by))
        }
        Action::CancelBackup { shard } => Any::Backup(b::Action::CancelBackup(shard_id(shard))),
        Action::RestoreTablet { tablet, backup } => Any::Backup(restore_tablet(tablet, backup)),
        Action::RestoreShard { shard, backup, to } => Any::Backup(restore_shard(shard, backup, *to)),
        Action::Apply { object, .. }
        | Action::Delete { object, .. }
        | Action::TurnDown { object, .. }
        | Action::ScheduleChange { object, .. }
        | Action::EndRollout { object, .. } => of_object(action, object),
        Action::RegisterRecord { registration } => of_record(action, registration),
        Action::PruneRecord { record } => of_record(action, record),
        Action::SwitchVtorc { shard, .. } => of_record(action, shard),
        Action::RecreateTablet { tablet, .. }
        | Action::PrepareUpgrade { tablet, .. }
        | Action::ForgetTablet { tablet }
        | Action::ReleaseTablet { tablet, .. }
        | Action::DrainTablet { tablet, .. } => of_tablet(action, tablet),
    }
}

fn expand_volume(claim: &str, from: u64, to: u64) -> e::Action {
    e::Action::ExpandVolume(e::Growth { claim: claim.to_owned(), from, to })
}

fn expire_backup(shard: &ShardId, backup: &str, covered_by: &str) -> b::Action {
    let (backup, covered_by) = (backup.to_owned(), covered_by.to_owned());
    b::Action::ExpireBackup(b::Expiry { shard: shard_id(shard), backup, covered_by })
}

fn restore_tablet(tablet: &TabletAlias, backup: &str) -> b::Action {
    b::Action::RestoreTablet(b::TabletRestore { tablet: alias(tablet), backup: backup.to_owned() })
}

fn restore_shard(shard: &ShardId, backup: &str, to: Millis) -> b::Action {
    b::Action::RestoreShard(b::ShardRestore { shard: shard_id(shard), backup: backup.to_owned(), to })
}

fn name(cell: &Cell) -> String {
    cell.0.clone()
}

fn zone_name(zone: &Zone) -> String {
    zone.0.clone()
}

fn of_object(action: &Action, object: &ObjectRef) -> Any {
    let ObjectRef { kind, namespace, name } = object.clone();
    Any::Host(rule::HostAction { verb: action.verb().to_owned(), kind, namespace, name })
}

/// A verb of the host's on a tablet: kind `Tablet`, its alias as the name, the cluster's own namespace.
fn of_tablet(action: &Action, tablet: &TabletAlias) -> Any {
    Any::Host(rule::HostAction {
        verb: action.verb().to_owned(),
        kind: "Tablet".to_owned(),
        namespace: String::new(),
        name: tablet.to_string(),
    })
}

/// A verb of the host's on a topology record: kind `TopologyRecord`, what it is of as the name.
fn of_record(action: &Action, record: &impl ToString) -> Any {
    Any::Host(rule::HostAction {
        verb: action.verb().to_owned(),
        kind: "TopologyRecord".to_owned(),
        namespace: String::new(),
        name: record.to_string(),
    })
}
