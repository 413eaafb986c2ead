//! Backups as the view has them, and which of them are known to be whole.
//!
//! vtctld lists what stands in a store, and does not tell what of it a run that was killed left
//! behind. So one is whole when the run that made it is seen to have ended well, or a tablet has restored it, and
//! from then on by its record, which keeps that.

mod proof;

use pilothouse_api::labels;
use pilothouse_core::Millis;
use pilothouse_core::topology::ShardId;
use pilothouse_core::view::{BackupView, ClusterView, Fact, VitessSource};
use serde_json::Value;

use super::volumes::{self, Run};
use super::{Seen, condition};
use crate::cache::{Cached, Members};
use crate::clock::parse_rfc3339;
use crate::kinds::Kind;
use crate::vitess::Observation;

/// Says of each backup that vtctld listed when it was complete, what proved it and what it has, as far as that is
/// known.
pub(crate) fn judge(vitess: &mut Observation, members: &Members) {
    if vitess.backups_only_of.is_none() {
        return;
    }
    let listed = vitess.backups.clone();
    let mut runs = Vec::new();
    for (at, backup) in vitess.backups.iter_mut().enumerate() {
        if let Some(record) = record(members, backup) {
            proof::recall(record, backup);
            backup.finished = Some(time(record, "/status/finishedTime").unwrap_or(backup.started));
        } else if let Some(run) = its_run(members, backup, &listed) {
            backup.finished = Some(run.to);
            runs.push((at, run));
        }
    }
    for (at, run) in runs {
        vitess.backups[at].from = proof::restored_by(&run, &vitess.backups[at], &vitess.backups);
    }
    proof::judge(vitess);
}

/// The record that says that a backup is complete.
fn record<'a>(members: &'a Members, backup: &BackupView) -> Option<&'a Cached> {
    members.of(Kind::VitessBackup).map(AsRef::as_ref).find(|record| {
        let name = record.field("/status/storageName").and_then(Value::as_str);
        is_of(record, &backup.shard, &backup.location)
            && name == Some(backup.name.as_str())
            && is_complete(record)
    })
}

/// A run that ended well.
struct Ran {
    from: Millis,
    to: Millis,
    /// Whether it restored the newest backup before.
    restored: bool,
}

/// The run that left a backup: of those of its time it is the newest, since what a run left before it tried again is
/// not whole.
fn its_run(members: &Members, backup: &BackupView, all: &[BackupView]) -> Option<Ran> {
    let mut runs = runs_that_ended_well(members, backup);
    runs.find(|Ran { from, to, .. }| {
        let of_run = |b: &&BackupView| is_beside(b, backup) && (*from..=*to).contains(&b.started);
        of_run(&backup) && all.iter().filter(of_run).all(|b| b.started <= backup.started)
    })
}

/// Whether two are of one shard, in one location.
fn is_beside(one: &BackupView, other: &BackupView) -> bool {
    one.shard == other.shard && one.location == other.location
}

/// The runs that were to make such a backup and ended well.
fn runs_that_ended_well<'a>(members: &'a Members, backup: &'a BackupView) -> impl Iterator<Item = Ran> + 'a {
    let of_place = |object: &&Cached| is_of(object, &backup.shard, &backup.location);
    let pods = volumes::backup_pods(members, &backup.shard).filter(of_place);
    let pods = pods.filter(|pod| matches!(volumes::run(pod), Run::Succeeded(_)));
    let pods = pods.filter_map(|pod| Some((pod, "/spec", volumes::ended(pod)?)));
    let jobs = members.of(Kind::Job).map(AsRef::as_ref).filter(of_place);
    let jobs = jobs.filter(|job| condition(job, "Complete") == Some(true));
    let jobs =
        jobs.filter_map(|job| Some((job, "/spec/template/spec", time(job, "/status/completionTime")?)));
    pods.chain(jobs).map(|(object, spec, to)| Ran {
        from: object.created(),
        to,
        restored: proof::restores(object, spec),
    })
}

fn is_of(object: &Cached, shard: &ShardId, location: &str) -> bool {
    object.label(labels::KEYSPACE) == shard.keyspace
        && object.label(labels::SHARD) == shard.range.safe_name()
        && object.label(labels::BACKUP_LOCATION) == location
}

pub(super) fn is_complete(record: &Cached) -> bool {
    record.field("/status/complete").is_some_and(|complete| *complete == true)
}

/// When what has not been told yet of a backup may be.
pub(super) fn next_told_at(seen: &Seen<'_>) -> Option<Millis> {
    proof::next_told_at(seen.vitess?, seen.as_of)
}

fn time(object: &Cached, pointer: &str) -> Option<Millis> {
    object.field(pointer).and_then(Value::as_str).and_then(parse_rfc3339)
}

/// The fact of a cluster that names the only location whose backups are told of.
const ONLY_OF: &str = "backupsOnlyOf";

/// That fact, if there is such a location.
pub(super) fn only_of(seen: &Seen<'_>) -> Option<(String, Fact)> {
    let only = seen.vitess?.backups_only_of.clone()?;
    Some((ONLY_OF.to_owned(), Fact::Text(only)))
}

/// Whether the backups of a location are told of.
pub(crate) fn are_told(view: &ClusterView, location: &str) -> bool {
    match view.facts.get("cluster").and_then(|facts| facts.get(ONLY_OF)) {
        Some(Fact::Text(only)) => only == location,
        Some(Fact::Flag(_) | Fact::Integer(_)) | None => view.vitess != VitessSource::Unknown,
    }
}

/// Whether what a run that ended well left is still to be listed, or to be written down whole:
/// until then its Pod is the one proof.
pub(crate) fn awaits_record(source: VitessSource, pod: &Cached, members: &Members) -> bool {
    let beside = |record: &&Cached| {
        let same = |key| record.label(key) == pod.label(key);
        [labels::KEYSPACE, labels::SHARD, labels::BACKUP_LOCATION].into_iter().all(same)
    };
    let is_its = |record: &Cached| {
        is_complete(record) && time(record, "/status/startTime").is_some_and(|at| at >= pod.created())
    };
    let mut records = members.of(Kind::VitessBackup).map(AsRef::as_ref).filter(beside);
    let ended_well = matches!(volumes::run(pod), Run::Succeeded(_));
    source == VitessSource::Observed && ended_well && !records.any(is_its)
}

#[cfg(test)]
mod tests;
