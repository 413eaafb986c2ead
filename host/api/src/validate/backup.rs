//! Backup locations and schedules.

use std::collections::BTreeSet;

use super::{Faults, Path, Reason};
use crate::backup_location::BackupLocation;
use crate::vitess_backup_schedule::{BackupScheduleTemplate, BackupScope, BackupStrategy};

/// Reads locations; returns their names.
pub(super) fn locations(
    faults: &mut Faults,
    path: Path<'_>,
    locations: &[BackupLocation],
) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    for (index, location) in locations.iter().enumerate() {
        let path = path.index(index);
        if !location.name.is_empty() {
            faults.name(path.field("name"), &location.name, "-_.");
        }
        faults.unique(path.field("name"), &mut seen, location.name.clone(), &location.name);
        let stores = [
            location.gcs.is_some(),
            location.s3.is_some(),
            location.azblob.is_some(),
            location.ceph.is_some(),
            !location.volume.is_absent(),
        ];
        if stores.into_iter().filter(|s| *s).count() != 1 {
            faults.add(path, Reason::ExactlyOne("gcs, s3, azblob, ceph and volume"));
        }
        faults.shape(path.field("volume"), &location.volume);
    }
    seen
}

/// Reads schedules.
pub(super) fn schedules(
    faults: &mut Faults,
    path: Path<'_>,
    schedules: &[BackupScheduleTemplate],
    keyspaces: &BTreeSet<&str>,
) {
    let mut seen = BTreeSet::new();
    for (index, schedule) in schedules.iter().enumerate() {
        let path = path.index(index);
        faults.name(path.field("name"), &schedule.name, "-");
        faults.unique(path.field("name"), &mut seen, schedule.name.as_str(), &schedule.name);
        if schedule.schedule.is_empty() == schedule.frequency.is_empty() {
            faults.add(path, Reason::ExactlyOne("schedule and frequency"));
        }
        faults.shape(path.field("affinity"), &schedule.affinity);
        faults.shape(path.field("tolerations"), &schedule.tolerations);
        strategies(faults, path.field("strategies"), &schedule.strategies, keyspaces);
    }
}

fn strategies(
    faults: &mut Faults,
    path: Path<'_>,
    strategies: &[BackupStrategy],
    keyspaces: &BTreeSet<&str>,
) {
    if strategies.is_empty() {
        faults.add(path, Reason::Missing);
    }
    let mut names = BTreeSet::new();
    let mut covered = BTreeSet::new();
    for (index, strategy) in strategies.iter().enumerate() {
        let path = path.index(index);
        faults.unique(path.field("name"), &mut names, strategy.name.as_str(), &strategy.name);
        let shard = match strategy.scope.unwrap_or_default() {
            BackupScope::Cluster => continue,
            BackupScope::Keyspace => None,
            BackupScope::Shard => Some(strategy.shard.as_str()),
        };
        if shard == Some("") {
            faults.add(path.field("shard"), Reason::Missing);
        }
        if !keyspaces.contains(strategy.keyspace.as_str()) {
            faults.add(path.field("keyspace"), Reason::UnknownKeyspace(strategy.keyspace.clone()));
        }
        let shown = format!("{}/{}", strategy.keyspace, shard.unwrap_or("*"));
        faults.unique(path, &mut covered, (strategy.keyspace.as_str(), shard), &shown);
    }
}
