//! Backup locations.

use std::collections::BTreeSet;

use super::{Faults, Path, Reason};
use crate::backup_location::BackupLocation;

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
