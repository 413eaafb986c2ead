//! The statuses of VitessBackupSchedules, and what the cluster says of them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use pilothouse_api::condition::ConditionStatus;
use pilothouse_api::vitess_backup_schedule::VitessBackupScheduleStatus;
use pilothouse_core::Millis;
use pilothouse_core::pass::Report;

use super::{Wanted, set, time};
use crate::cache::Typed;
use crate::kinds::Kind;
use crate::pilot::Pilot;
use crate::schedules::{Judged, Line, Trouble};

/// Troubles that a condition tells.
const TOLD_MOST: usize = 8;
/// The cluster's condition.
const SCHEDULED: &str = "BackupsScheduled";

pub(super) fn statuses(pilot: &Pilot, report: &Report) -> Vec<Wanted> {
    pilot.schedules.all().iter().filter_map(|judged| of_schedule(pilot, report, judged)).collect()
}

fn of_schedule(pilot: &Pilot, report: &Report, judged: &Judged) -> Option<Wanted> {
    let object = pilot.members.get(Kind::VitessBackupSchedule, &judged.name)?;
    let Typed::Schedule(schedule) = object.typed() else { return None };
    let live = schedule.status.as_ref();
    let mut status = live.cloned().unwrap_or_default();
    status.active = judged.active.iter().map(|(name, uid)| reference(pilot, name, uid)).collect();
    let lines = || judged.lines.iter().flatten();
    let times = |of: fn(&Line) -> Option<Millis>| -> BTreeMap<_, _> {
        lines().filter_map(|line| Some((line.name.clone(), time(of(line)?)))).collect()
    };
    let remembered = std::mem::replace(&mut status.last_scheduled_times, times(|line| line.last));
    // What cannot be read now may come back, and its last run with it.
    if judged.lines.is_none() || !pilot.invalid.is_empty() || report.view.shards.is_empty() {
        for (name, last) in remembered {
            status.last_scheduled_times.entry(name).or_insert(last);
        }
    }
    status.last_scheduled_time = status.last_scheduled_times.values().max().cloned();
    status.next_scheduled_times = times(|line| line.next);
    status.generated_schedules =
        lines().filter_map(|line| Some((line.name.clone(), line.generated.clone()?))).collect();
    let generation = object.head().generation;
    let verdict = match judged.troubles.first() {
        None => (ConditionStatus::True, "Scheduled", "every shard's next run is known".to_owned()),
        Some(first) => (ConditionStatus::False, first.as_str(), told(&judged.troubles, "")),
    };
    set(&mut status.conditions, report, generation, ("Ready", verdict.0, verdict.1, &verdict.2));
    Wanted::unless_equal::<VitessBackupScheduleStatus>(
        Kind::VitessBackupSchedule,
        &judged.name,
        live,
        &status,
    )
}

fn reference(pilot: &Pilot, name: &str, uid: &str) -> ObjectReference {
    ObjectReference {
        api_version: Some("batch/v1".to_owned()),
        kind: Some(Kind::Job.as_str().to_owned()),
        name: Some(name.to_owned()),
        namespace: Some(pilot.key.namespace.clone()),
        uid: Some(uid.to_owned()),
        ..ObjectReference::default()
    }
}

fn told(troubles: &[Trouble], of: &str) -> String {
    let told = troubles.iter().take(TOLD_MOST).map(|trouble| format!("{of}{trouble}"));
    told.collect::<Vec<_>>().join("; ")
}

/// Says of the cluster whether its schedules are as they say; of one without schedules nothing.
pub(super) fn of_cluster(
    pilot: &Pilot,
    report: &Report,
    generation: Option<i64>,
    conditions: &mut Vec<Condition>,
) {
    let all = pilot.schedules.all();
    if all.is_empty() {
        conditions.retain(|condition| condition.type_ != SCHEDULED);
        return;
    }
    let troubled: Vec<&Judged> = all.iter().filter(|judged| !judged.troubles.is_empty()).collect();
    let lines =
        troubled.iter().take(TOLD_MOST).map(|judged| told(&judged.troubles, &format!("{}: ", judged.name)));
    let message = lines.collect::<Vec<_>>().join("; ");
    let verdict = match troubled.first().and_then(|judged| judged.troubles.first()) {
        None => (SCHEDULED, ConditionStatus::True, "Scheduled", "the next runs of every schedule are known"),
        Some(first) => (SCHEDULED, ConditionStatus::False, first.as_str(), message.as_str()),
    };
    set(conditions, report, generation, verdict);
}
