//! The record of each backup in a location.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use pilothouse_api::labels::{self, annotations};
use pilothouse_api::vitess_backup::VitessBackupStatus;
use pilothouse_api::{VitessBackupStorage, names};
use pilothouse_core::Millis;
use pilothouse_core::topology::TabletAlias;
use pilothouse_core::view::BackupView;
use serde_json::json;

use super::Rendered;
use super::child::{Owner, labels as pairs};

/// Renders one record for each of `backups` that stands in the location, in their order.
pub(super) fn render(storage: &VitessBackupStorage, backups: &[BackupView]) -> Vec<Rendered> {
    let owner = Owner::of(storage);
    let location = &storage.spec.location.name;
    let label = |key: &str| storage.metadata.labels.as_ref()?.get(key).map(String::as_str);
    let Some(cluster) = label(labels::CLUSTER) else { return Vec::new() };
    let here = backups.iter().filter(|backup| backup.location == *location);
    here.filter_map(|backup| record(&owner, cluster, backup)).collect()
}

/// `None` for a folder that is not named as Vitess names backups.
fn record(owner: &Owner<'_>, cluster: &str, backup: &BackupView) -> Option<Rendered> {
    let (started, alias) = parts(&backup.name)?;
    let range = &backup.shard.range;
    let of_shard = (backup.shard.keyspace.as_str(), range);
    let name = names::backup(cluster, &backup.location, of_shard, &started, alias.uid);
    let labels = pairs([
        (labels::CLUSTER, cluster),
        (labels::KEYSPACE, &backup.shard.keyspace),
        (labels::SHARD, &labels::shard(range)),
        (labels::BACKUP_LOCATION, &backup.location),
    ]);
    let status = VitessBackupStatus {
        start_time: time(backup.started),
        finished_time: backup.finished.and_then(time),
        complete: backup.finished.is_some(),
        position: backup.position.to_string(),
        storage_directory: backup.shard.to_string(),
        storage_name: backup.name.clone(),
        ..VitessBackupStatus::default()
    };
    let mut rendered = owner
        .child("planetscale.com/v2", "VitessBackup", name, labels)
        .annotated(notes(backup))
        .with_spec(json!({}));
    // the kind has no status subresource: what is applied is all there is
    rendered.value["status"] = json!(status);
    Some(rendered)
}

/// What Vitess's own record has no field for.
fn notes(backup: &BackupView) -> impl Iterator<Item = (String, String)> {
    let verified = backup.verified.and_then(time).map(|at| at.0.to_string());
    let written: Vec<String> =
        backup.written.iter().map(|(server, last)| format!("{server}:{last}")).collect();
    let written = Some(written.join(",")).filter(|written| !written.is_empty());
    let notes = [
        (annotations::BACKUP_VERIFIED, verified),
        (annotations::BACKUP_FROM, backup.from.clone()),
        (annotations::BACKUP_WRITTEN, written),
    ];
    notes.into_iter().filter_map(|(key, note)| Some((key.to_owned(), note?)))
}

/// `2026-11-23.021017.zone1-0790125915` as `20261123-021017` and the alias.
fn parts(name: &str) -> Option<(String, TabletAlias)> {
    let mut parts = name.splitn(3, '.');
    let (date, time, alias) = (parts.next()?, parts.next()?, parts.next()?);
    Some((format!("{}-{time}", date.replace('-', "")), alias.parse().ok()?))
}

/// Whole seconds, as Kubernetes keeps times.
fn time(at: Millis) -> Option<Time> {
    Timestamp::from_second(i64::try_from(at / 1000).ok()?).ok().map(Time)
}
