//! The statuses of VitessShards and VitessKeyspaces.

use std::collections::BTreeMap;

use pilothouse_api::condition::{ConditionStatus, OrphanStatus};
use pilothouse_api::labels::{self, Component};
use pilothouse_api::names;
use pilothouse_api::orchestrator::ComponentStatus;
use pilothouse_api::partitioning::Partitioning;
use pilothouse_api::vitess_keyspace::{
    KeyspaceShardStatus, KeyspaceSummary, PartitioningStatus, VitessKeyspaceStatus,
};
use pilothouse_api::vitess_shard::{
    BackupLocationStatus, REFUSALS_KEPT, RefusalStatus, ShardSummary, TabletStatus, VitessShardStatus,
};
use pilothouse_core::pass::Report;
use pilothouse_core::standing;
use pilothouse_core::view::{Level, PodState, Role, ShardView, TabletView, VitessSource, Wanted as Why};
use pilothouse_core::{topology::ShardId, turndown};

use super::cluster::{primary, serves_writes};
use super::{Wanted, available, decider, paused, set, time, told, volumes};
use crate::cache::Cached;
use crate::kinds::Kind;
use crate::observe;
use crate::pilot::Pilot;

pub(super) fn statuses(pilot: &Pilot, report: &Report) -> Vec<Wanted> {
    report.view.shards.iter().filter_map(|shard| of_shard(pilot, report, shard)).collect()
}

fn of_shard(pilot: &Pilot, report: &Report, shard: &ShardView) -> Option<Wanted> {
    let object = observe::shard_object(&pilot.members, &shard.id)?;
    let name = object.metadata.name.clone()?;
    let live = object.status.as_ref();
    let generation = object.metadata.generation;
    let tablets: Vec<&TabletView> = report.view.tablets_of(&shard.id).collect();
    let complete = report.view.backups_of(&shard.id).filter(|b| b.finished.is_some()).count();
    let wanted = tablets.iter().filter(|t| t.wanted != Why::No);
    let mut status = VitessShardStatus {
        observed_generation: generation,
        tablets: wanted.clone().map(|t| (t.alias.to_string(), tablet(pilot, report, t))).collect(),
        orphaned_tablets: orphans(report, shard),
        cells: cells(shard),
        has_master: told(report, shard.primary.is_some()),
        master_alias: shard.primary.as_ref().map(ToString::to_string).unwrap_or_default(),
        has_initial_backup: told(report, complete > 0),
        serving_writes: told(report, serves_writes(report, shard)),
        idle: shard.serving.map_or(ConditionStatus::Unknown, |serving| ConditionStatus::from(!serving)),
        vitess_orchestrator: ComponentStatus {
            available: available(pilot, Component::Vtorc, |d| is_of(d, &shard.id)),
            ..ComponentStatus::default()
        },
        backup_locations: backup_locations(report, shard),
        lowest_pod_generation: pilot.rendering.lowest_pod_generation(&name, &pilot.members),
        refusals: refusals(report, shard, live),
        summary: ShardSummary {
            tablets: format!("{}/{}", tablets.iter().filter(|t| t.ready).count(), wanted.count()),
            surge: count(tablets.iter().filter(|t| matches!(t.wanted, Why::Surge { .. })).count()),
            backups: count(complete),
        },
        conditions: live.map(|s| s.conditions.clone()).unwrap_or_default(),
        ..live.cloned().unwrap_or_default()
    };
    let answers = primary(report, shard).is_some_and(standing::serves);
    let (answer, reason, message) = match (report.view.vitess, serves_writes(report, shard)) {
        (VitessSource::Unknown, _) => (ConditionStatus::Unknown, "VitessUnknown", "Vitess cannot be asked"),
        (_, true) => (ConditionStatus::True, "Serving", "its primary answers"),
        (_, false) if answers => {
            (ConditionStatus::False, "ReadOnly", "its primary answers, and takes no writes")
        }
        (_, false) => (ConditionStatus::False, "NoPrimary", "it has no primary that answers"),
    };
    set(&mut status.conditions, report, generation, ("Ready", answer, reason, message));
    volumes::tell(&mut status.conditions, report, generation, Some(&shard.id));
    decider::tell(&mut status.conditions, report, generation, shard.vtorc);
    paused::tell(&mut status.conditions, report, generation, (Kind::VitessShard, &name));
    Wanted::unless_equal(Kind::VitessShard, &name, live, &status).map(|w| w.without(&["surgeTablets"]))
}

fn is_of(object: &Cached, shard: &ShardId) -> bool {
    object.label(labels::KEYSPACE) == shard.keyspace && object.label(labels::SHARD) == shard.range.safe_name()
}

fn tablet(pilot: &Pilot, report: &Report, tablet: &TabletView) -> TabletStatus {
    let pod = pilot.members.get(Kind::Pod, &tablet.pod_name);
    // A kubelet that was never heard has said neither.
    let ready = match (tablet.pod, pod) {
        (PodState::Absent, _) | (_, None) => ConditionStatus::False,
        (_, Some(pod)) => observe::condition(pod, "Ready").map_or(ConditionStatus::Unknown, From::from),
    };
    TabletStatus {
        pool_type: tablet.pool.pool_type.to_string(),
        index: i32::try_from(tablet.index).unwrap_or(0),
        running: ConditionStatus::from(tablet.pod == PodState::Running),
        ready,
        available: told(report, standing::serves(tablet)),
        data_volume_bound: ConditionStatus::from(
            report.view.volumes.iter().any(|v| v.tablet == tablet.alias && v.capacity > 0),
        ),
        tablet_type: match tablet.role {
            Role::Primary => "primary",
            Role::Replica => "replica",
            Role::Rdonly => "rdonly",
            Role::Spare => "spare",
            Role::Restore => "restore",
            Role::Unknown => "",
        }
        .to_owned(),
        pending_changes: pilot.pending(Kind::Pod, &tablet.pod_name),
    }
}

fn orphans(report: &Report, shard: &ShardView) -> BTreeMap<String, OrphanStatus> {
    turndown::orphans(&report.view)
        .into_iter()
        .filter(|o| report.view.tablet(&o.tablet).is_some_and(|t| t.shard == shard.id))
        .map(|o| {
            let orphan = OrphanStatus {
                reason: o.blocked.as_str().to_owned(),
                message: o.blocked.message().to_owned(),
            };
            (o.tablet.to_string(), orphan)
        })
        .collect()
}

fn cells(shard: &ShardView) -> Vec<String> {
    let mut cells: Vec<String> = shard.pools.iter().map(|p| p.key.cell.0.clone()).collect();
    cells.sort();
    cells.dedup();
    cells
}

fn backup_locations(report: &Report, shard: &ShardView) -> Vec<BackupLocationStatus> {
    let Some(location) = &shard.backup_location else { return Vec::new() };
    let here = || report.view.backups_of(&shard.id).filter(|b| b.location == *location);
    vec![BackupLocationStatus {
        name: location.clone(),
        complete_backups: count(here().filter(|b| b.finished.is_some()).count()),
        incomplete_backups: count(here().filter(|b| b.finished.is_none()).count()),
        latest_complete_backup_time: here().filter_map(|b| b.finished).max().map(time),
    }]
}

/// The last few refusals about the shard; one that repeats keeps its time.
fn refusals(report: &Report, shard: &ShardView, live: Option<&VitessShardStatus>) -> Vec<RefusalStatus> {
    let known = live.map(|s| s.refusals.as_slice()).unwrap_or_default();
    let about = |id: &ShardId, action: &str| action.contains(&id.to_string());
    let mut all: Vec<RefusalStatus> = report
        .refusals
        .iter()
        .map(|r| (r.step.action.to_string(), r))
        .filter(|(action, _)| about(&shard.id, action))
        .map(|(action, refusal)| {
            let message = refusal.why.to_string();
            let same =
                known.iter().find(|k| k.action == action && k.rule == refusal.rule && k.message == message);
            let since = same.map_or_else(|| time(report.view.as_of), |k| k.since.clone());
            RefusalStatus { action, rule: refusal.rule.clone(), message, since }
        })
        .collect();
    all.truncate(REFUSALS_KEPT);
    all
}

pub(super) fn keyspaces(pilot: &Pilot, report: &Report) -> Vec<Wanted> {
    observe::keyspace_objects(&pilot.members)
        .filter_map(|keyspace| of_keyspace(pilot, report, keyspace))
        .collect()
}

fn of_keyspace(pilot: &Pilot, report: &Report, keyspace: &pilothouse_api::VitessKeyspace) -> Option<Wanted> {
    let live = keyspace.status.as_ref();
    let shards: Vec<&ShardView> =
        super::wanted_shards(report).filter(|s| s.id.keyspace == keyspace.spec.template.name).collect();
    let statuses: BTreeMap<String, KeyspaceShardStatus> =
        shards.iter().map(|s| (s.id.range.to_string(), shard_line(pilot, report, s))).collect();
    let sum = |of: fn(&KeyspaceShardStatus) -> i32| statuses.values().map(of).sum::<i32>();
    let serving = shards.iter().filter(|s| serves_writes(report, s)).count();
    let template = &keyspace.spec.template;
    let partitionings: Vec<PartitioningStatus> =
        template.partitionings.iter().map(|p| partitioning(p, &statuses)).collect();
    let mut status = VitessKeyspaceStatus {
        observed_generation: keyspace.metadata.generation,
        summary: KeyspaceSummary {
            shards: format!("{serving}/{}", shards.len()),
            tablets: format!("{}/{}", sum(|s| s.ready_tablets), sum(|s| s.desired_tablets)),
            updated: format!("{}/{}", sum(|s| s.updated_tablets), sum(|s| s.tablets)),
        },
        partitionings,
        shards: statuses,
        orphaned_shards: super::orphans(report, |level| match level {
            Level::Shard(shard) if shard.keyspace == keyspace.spec.template.name => {
                Some(shard.range.to_string())
            }
            Level::Shard(_) | Level::Cell(_) | Level::Keyspace(_) => None,
        }),
        idle: ConditionStatus::from(
            report.view.keyspace(&keyspace.spec.template.name).is_some_and(|k| k.cells.is_empty()),
        ),
        conditions: live.map(|s| s.conditions.clone()).unwrap_or_default(),
        ..live.cloned().unwrap_or_default()
    };
    let ready = told(report, !shards.is_empty() && serving == shards.len());
    let (reason, message) = match ready {
        ConditionStatus::True => ("Serving", "every shard takes writes"),
        ConditionStatus::False => ("NoServingPartitioning", "not every shard takes writes"),
        ConditionStatus::Unknown => ("VitessUnknown", "Vitess cannot be asked"),
    };
    set(&mut status.conditions, report, keyspace.metadata.generation, ("Ready", ready, reason, message));
    for kind in ["ReshardingActive", "ReshardingInSync"] {
        let verdict =
            (kind, ConditionStatus::Unknown, "NotAsked", "this host does not ask about workflows yet");
        set(&mut status.conditions, report, keyspace.metadata.generation, verdict);
    }
    let name = keyspace.metadata.name.clone()?;
    let generation = keyspace.metadata.generation;
    paused::tell(&mut status.conditions, report, generation, (Kind::VitessKeyspace, &name));
    Wanted::unless_equal(Kind::VitessKeyspace, &name, live, &status)
}

/// What is known of a partitioning, by what is known of its shards.
fn partitioning(
    partitioning: &Partitioning,
    known: &BTreeMap<String, KeyspaceShardStatus>,
) -> PartitioningStatus {
    let shards = partitioning.shards().unwrap_or_default();
    let mut names: Vec<String> =
        shards.iter().map(|(range, _)| format!("{}-{}", range.start, range.end)).collect();
    names.sort();
    let there: Vec<&KeyspaceShardStatus> = names.iter().filter_map(|name| known.get(name)).collect();
    let sum = |of: fn(&KeyspaceShardStatus) -> i32| there.iter().map(|shard| of(shard)).sum::<i32>();
    let is_ready = |shard: &&&KeyspaceShardStatus| shard.ready_tablets >= shard.desired_tablets;
    // Serving only if all do; not known if one that may spoil it is not.
    let serving = if there.len() < names.len() { ConditionStatus::False } else { ConditionStatus::True };
    PartitioningStatus {
        serving_writes: there.iter().map(|shard| shard.serving_writes).fold(serving, ConditionStatus::and),
        desired_tablets: sum(|s| s.desired_tablets),
        tablets: sum(|s| s.tablets),
        ready_tablets: sum(|s| s.ready_tablets),
        updated_tablets: sum(|s| s.updated_tablets),
        desired_shards: count(names.len()),
        ready_shards: count(there.iter().filter(is_ready).count()),
        shard_names: names,
    }
}

fn shard_line(pilot: &Pilot, report: &Report, shard: &ShardView) -> KeyspaceShardStatus {
    let tablets: Vec<&TabletView> = report.view.tablets_of(&shard.id).collect();
    let object = names::shard(&pilot.key.name, &shard.id.keyspace, &shard.id.range);
    KeyspaceShardStatus {
        has_master: told(report, shard.primary.is_some()),
        serving_writes: told(report, serves_writes(report, shard)),
        desired_tablets: count(tablets.iter().filter(|t| t.wanted == Why::BySpec).count()),
        tablets: count(tablets.len()),
        ready_tablets: count(tablets.iter().filter(|t| t.ready).count()),
        updated_tablets: count(tablets.iter().filter(|t| !t.outdated).count()),
        pending_changes: pilot.pending(Kind::VitessShard, &object),
        cells: cells(shard),
    }
}

fn count(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}
