//! The VitessBackupStorages of a cluster, one for each location.

use pilothouse_api::vitess_backup_storage::VitessBackupStorageSpec;
use pilothouse_api::{VitessCluster, labels, names};
use serde_json::json;

use super::Rendered;
use super::child::{Owner, labels as pairs};

/// Renders them in the order of the manifest.
pub(super) fn render(cluster: &VitessCluster) -> Vec<Rendered> {
    let owner = Owner::of(cluster);
    let Some(backup) = &cluster.spec.backup else { return Vec::new() };
    let locations = backup.locations.iter();
    locations
        .map(|location| {
            let labels = pairs([(labels::CLUSTER, owner.name), (labels::BACKUP_LOCATION, &location.name)]);
            let name = names::backup_storage(owner.name, &location.name);
            let spec = VitessBackupStorageSpec {
                location: location.clone(),
                subcontroller: backup.subcontroller.clone(),
            };
            owner.child("planetscale.com/v2", "VitessBackupStorage", name, labels).with_spec(json!(spec))
        })
        .collect()
}
