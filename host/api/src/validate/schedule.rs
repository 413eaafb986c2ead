//! Backup schedules.

use std::collections::BTreeSet;

use pilothouse_core::Millis;
use pilothouse_core::schedule::cron::Cron;
use pilothouse_core::schedule::targets::{Scope, Twice, targets};
use pilothouse_core::schedule::{self, Terms, span};
use pilothouse_core::topology::{KeyRange, ShardId};

use super::{Faults, FieldError, Path, Reason, SPEC};
use crate::desired::{DesiredKeyspace, DesiredSchedule, DesiredStrategy, Timing};
use crate::vitess_backup_schedule::{
    self, BackupScheduleTemplate, BackupScope, BackupStrategy, ConcurrencyPolicy, VitessBackupSchedule,
};

/// Reads the schedules of a cluster that has these keyspaces.
pub(super) fn schedules<'a>(
    faults: &mut Faults,
    path: Path<'_>,
    schedules: &[BackupScheduleTemplate],
    keyspaces: impl Iterator<Item = &'a DesiredKeyspace> + Clone,
) {
    let mut seen = BTreeSet::new();
    let mut read = Vec::new();
    for (index, schedule) in schedules.iter().enumerate() {
        let path = path.index(index);
        faults.unique(path.field("name"), &mut seen, schedule.name.as_str(), &schedule.name);
        let desired = template(faults, path, schedule);
        for (at, strategy) in desired.strategies.iter().enumerate() {
            let named = match &strategy.scope {
                Scope::Shard(shard) => &shard.keyspace,
                Scope::Keyspace(keyspace) => keyspace,
                Scope::Cluster => continue,
            };
            if !named.is_empty() && keyspaces.clone().all(|k| k.name != *named) {
                let path = path.field("strategies");
                faults.add(path.index(at).field("keyspace"), Reason::UnknownKeyspace(named.clone()));
            }
        }
        read.push(desired);
    }
    let shards = keyspaces.flat_map(|k| k.shards.values().map(|shard| shard.id.clone())).collect();
    let apart = read.iter().flat_map(DesiredSchedule::keyspaces_apart).cloned().collect();
    for (index, desired) in read.iter().enumerate() {
        let scopes: Vec<Scope> = desired.strategies.iter().map(|s| s.scope.clone()).collect();
        if let Err(Twice { strategy, shard }) = targets(&scopes, &shards, &apart) {
            let path = path.index(index);
            let path = path.field("strategies");
            faults.add(path.index(strategy), Reason::Duplicate(shard.to_string()));
        }
    }
}

/// Reads a VitessBackupSchedule.
///
/// # Errors
/// Everything that is wrong with its spec.
pub fn validate_schedule(schedule: &VitessBackupSchedule) -> Result<DesiredSchedule, Vec<FieldError>> {
    let mut faults = Faults::default();
    let desired = template(&mut faults, SPEC, &schedule.spec.template);
    faults.finish(desired)
}

impl From<&Twice> for FieldError {
    /// In the words of a VitessBackupSchedule's spec.
    fn from(Twice { strategy, shard }: &Twice) -> Self {
        let strategies = SPEC.field("strategies");
        let field = strategies.index(*strategy).to_string();
        Self { field, reason: Reason::Duplicate(shard.to_string()) }
    }
}

fn template(faults: &mut Faults, path: Path<'_>, given: &BackupScheduleTemplate) -> DesiredSchedule {
    faults.name(path.field("name"), &given.name, "-");
    faults.shape(path.field("affinity"), &given.affinity);
    faults.shape(path.field("tolerations"), &given.tolerations);
    let deadline = given.starting_deadline_seconds;
    let missed = given.allowed_missed_run.and_then(|n| number(faults, path.field("allowedMissedRun"), n));
    let mut kept = |field, limit: Option<i32>| {
        limit.and_then(|n| usize::try_from(number(faults, path.field(field), n.into())?).ok())
    };
    let kept_successful = kept("successfulJobsHistoryLimit", given.successful_jobs_history_limit);
    let kept_failed = kept("failedJobsHistoryLimit", given.failed_jobs_history_limit);
    let deadline = deadline.and_then(|n| number(faults, path.field("startingDeadlineSeconds"), n));
    DesiredSchedule {
        timing: timing(faults, path, given),
        strategies: strategies(faults, path.field("strategies"), &given.strategies),
        timeout_minutes: match faults.count(path.field("jobTimeoutMinute"), given.job_timeout_minute) {
            // Left out of the object, so that its default holds.
            0 => vitess_backup_schedule::JOB_TIMEOUT_MINUTES,
            minutes => minutes,
        },
        terms: Terms {
            suspended: given.suspend.unwrap_or(false),
            deadline: deadline.map(|seconds: Millis| seconds.saturating_mul(1_000)),
            may_overlap: given.concurrency_policy == ConcurrencyPolicy::Allow,
            missed_allowed: missed.unwrap_or(schedule::MISSED_RUNS_ALLOWED),
            kept_successful,
            kept_failed,
        },
    }
}

fn number(faults: &mut Faults, path: Path<'_>, number: i64) -> Option<u64> {
    faults.take(path, u64::try_from(number).map_err(|_| Reason::Negative(number)))
}

fn timing(faults: &mut Faults, path: Path<'_>, given: &BackupScheduleTemplate) -> Option<Timing> {
    match (given.schedule.as_str(), given.frequency.as_str()) {
        (text, "") if !text.is_empty() => {
            faults.take(path.field("schedule"), Cron::parse(text).map(Timing::At).map_err(Reason::Cron))
        }
        ("", text) if !text.is_empty() => {
            let every = span::frequency(text).map(Timing::Every).map_err(Reason::Span);
            faults.take(path.field("frequency"), every)
        }
        _ => {
            faults.add(path, Reason::ExactlyOne("schedule and frequency"));
            None
        }
    }
}

fn strategies(faults: &mut Faults, path: Path<'_>, given: &[BackupStrategy]) -> Vec<DesiredStrategy> {
    if given.is_empty() {
        faults.add(path, Reason::Missing);
    }
    let mut names = BTreeSet::new();
    let read = given.iter().enumerate().map(|(index, strategy)| {
        let path = path.index(index);
        faults.unique(path.field("name"), &mut names, strategy.name.as_str(), &strategy.name);
        DesiredStrategy { name: strategy.name.clone(), scope: scope(faults, path, strategy) }
    });
    read.collect()
}

fn scope(faults: &mut Faults, path: Path<'_>, strategy: &BackupStrategy) -> Scope {
    let (keyspace, shard) = (path.field("keyspace"), path.field("shard"));
    let scope = strategy.scope.unwrap_or_default();
    match (scope, strategy.keyspace.is_empty()) {
        (BackupScope::Cluster, false) => faults.add(keyspace, Reason::OfScope("Shard and Keyspace")),
        (BackupScope::Shard | BackupScope::Keyspace, true) => faults.add(keyspace, Reason::Missing),
        (_, _) => {}
    }
    match (scope, strategy.shard.is_empty()) {
        (BackupScope::Cluster | BackupScope::Keyspace, false) => {
            faults.add(shard, Reason::OfScope("Shard"));
        }
        (BackupScope::Shard, true) => faults.add(shard, Reason::Missing),
        (_, _) => {}
    }
    match scope {
        BackupScope::Cluster => Scope::Cluster,
        BackupScope::Keyspace => Scope::Keyspace(strategy.keyspace.clone()),
        BackupScope::Shard => {
            let range = match strategy.shard.as_str() {
                "" => None,
                range => faults.take(shard, range.parse().map_err(Reason::KeyRange)),
            };
            let range = range.unwrap_or_else(KeyRange::whole);
            Scope::Shard(ShardId { keyspace: strategy.keyspace.clone(), range })
        }
    }
}
