//! The VitessBackupStorages' status.

use pilothouse_api::VitessBackupStorage;
use pilothouse_api::condition::ConditionStatus;
use pilothouse_api::vitess_backup_storage::VitessBackupStorageStatus;
use pilothouse_core::pass::Report;

use super::{Wanted, paused, set, told};
use crate::cache::Typed;
use crate::kinds::Kind;
use crate::observe;
use crate::pilot::Pilot;

pub(super) fn statuses(pilot: &Pilot, report: &Report) -> Vec<Wanted> {
    let all = pilot.members.of(Kind::VitessBackupStorage);
    let all =
        all.filter_map(|o| if let Typed::Storage(storage) = o.typed() { Some(&**storage) } else { None });
    all.filter_map(|storage| of_storage(report, storage)).collect()
}

/// Where nobody lists the location's backups, the count is the last that was known.
fn of_storage(report: &Report, storage: &VitessBackupStorage) -> Option<Wanted> {
    let name = storage.metadata.name.as_deref()?;
    let live = storage.status.as_ref();
    let generation = storage.metadata.generation;
    let location = &storage.spec.location.name;
    let here = report.view.backups.iter().filter(|b| b.location == *location).count();
    let listed = observe::are_told(&report.view, location);
    let known = live.map_or(0, |s| s.total_backup_count);
    let mut status = VitessBackupStorageStatus {
        observed_generation: generation,
        total_backup_count: if listed { i32::try_from(here).unwrap_or(i32::MAX) } else { known },
        conditions: live.map(|s| s.conditions.clone()).unwrap_or_default(),
    };
    let (answer, reason, message) = match told(report, true) {
        ConditionStatus::Unknown => (ConditionStatus::Unknown, "VitessUnknown", "Vitess cannot be asked"),
        _ if !listed => (ConditionStatus::Unknown, "NotListed", "vtctld lists another location's backups"),
        answer => (answer, "Listed", "its backups are recorded as VitessBackups"),
    };
    set(&mut status.conditions, report, generation, ("Ready", answer, reason, message));
    paused::tell(&mut status.conditions, report, generation, (Kind::VitessBackupStorage, name));
    Wanted::unless_equal(Kind::VitessBackupStorage, name, live, &status)
}
