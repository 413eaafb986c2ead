//! What proves a backup, and what it has: that somebody restored it, and went on from it.
//!
//! Vitess has no call that tells what was restored. A tablet shows the time and the position of the backup that it
//! began with. A vtbackup that ended well restored the newest backup that was whole when it began, and caught up from
//! it; which one that was is known where no other was begun since. What a backup has is told by the first alone. Of
//! any other only its bounds are known: all that the one has that it goes on from, and nothing that a MySQL wrote
//! after the backup was complete.

use std::collections::{BTreeMap, BTreeSet};

use pilothouse_api::labels::{self, annotations};
use pilothouse_core::Millis;
use pilothouse_core::standing::CAUGHT_UP_MS;
use pilothouse_core::view::{BackupView, Reach, Role};
use serde_json::Value;

use super::{Ran, is_beside};
use crate::cache::Cached;
use crate::clock::parse_rfc3339;
use crate::vitess::{Observation, Restore, TabletRecord, Writer};

/// A machine's clock, by which a run ended, may be so far from ours.
const CLOCKS_APART_MS: Millis = 60_000;
/// Within it each tablet that answers is probed.
const PROBED_WITHIN_MS: Millis = 5_000;

/// How vtbackup is told not to restore a backup.
const CLONES: [&str; 2] = ["--restore-with-clone", "--restore_with_clone"];

/// Takes up what a record keeps.
pub(super) fn recall(record: &Cached, backup: &mut BackupView) {
    let note = |key| record.annotation(key).filter(|note| !note.is_empty());
    let position = record.field("/status/position").and_then(Value::as_str).unwrap_or_default();
    backup.position = position.strip_prefix("MySQL56/").unwrap_or(position).parse().unwrap_or_default();
    backup.verified = note(annotations::BACKUP_VERIFIED).and_then(parse_rfc3339);
    backup.from = note(annotations::BACKUP_FROM).map(str::to_owned);
    let of_server = |text: &str| {
        let (server, last) = text.rsplit_once(':')?;
        Some((server.to_owned(), last.parse().ok()?))
    };
    let written = note(annotations::BACKUP_WRITTEN).unwrap_or_default();
    backup.written = written.split(',').filter_map(of_server).collect();
}

/// Whether a run's Pod restores a backup before it takes one: not the first run of a shard, not one that has a tablet
/// take it, and not one that clones instead.
pub(super) fn restores(run: &Cached, spec: &str) -> bool {
    let args = run.field(&format!("{spec}/containers/0/args")).and_then(Value::as_array);
    let clones =
        |arg: &Value| arg.as_str().is_some_and(|arg| CLONES.iter().any(|flag| arg.starts_with(flag)));
    run.label(labels::BACKUP_TYPE) == labels::BACKUP_TYPE_UPDATE
        && run.label(labels::COMPONENT) == labels::Component::Vtbackup.as_str()
        && args.is_some_and(|args| !args.iter().any(clones))
}

/// The name of the backup that the run which left `backup` restored: the newest that is older, if that was whole
/// before the run was made. With another between them that may have been restored in its stead, nobody knows.
pub(super) fn restored_by(run: &Ran, backup: &BackupView, all: &[BackupView]) -> Option<String> {
    let older = all.iter().filter(|b| is_beside(b, backup) && b.started < backup.started);
    let newest = older.max_by_key(|b| (b.started, &b.name)).filter(|_| run.restored)?;
    newest.finished.filter(|finished| *finished <= run.from)?;
    Some(newest.name.clone())
}

/// Says of each what its proof is, and what it has.
pub(super) fn judge(vitess: &mut Observation) {
    let Observation { backups, tablets, restores, writers, .. } = vitess;
    for restore in &*restores {
        let mut of_time = backups
            .iter_mut()
            .filter(|b| b.shard == restore.shard && b.started / 1_000 == restore.started / 1_000);
        if let (Some(backup), None) = (of_time.next(), of_time.next()) {
            by_tablet(backup, restore, tablets.get(&restore.tablet));
        }
    }
    let gone_on_from: Vec<(String, BackupView)> =
        backups.iter().filter_map(|b| Some((b.from.clone()?, b.clone()))).collect();
    for (from, next) in gone_on_from {
        let before = backups.iter_mut().find(|b| is_beside(b, &next) && b.name == from);
        if let (Some(before), Some(finished)) = (before, next.finished) {
            before.verified.get_or_insert(finished);
        }
    }
    for at in untold(backups) {
        let backup = &mut backups[at];
        let later = writers.iter().filter(|writer| is_later(writer, backup));
        let new: BTreeMap<String, u64> = later.map(|w| (w.server.clone(), w.last)).collect();
        for (server, last) in new {
            backup.written.entry(server).or_insert(last);
        }
    }
}

/// Whoever restored it has shown that it is whole, and, having caught up, that it can be gone on from.
fn by_tablet(backup: &mut BackupView, restore: &Restore, tablet: Option<&TabletRecord>) {
    if backup.position.is_empty() {
        backup.position = restore.position.clone();
    }
    backup.finished.get_or_insert(restore.at);
    if tablet.is_some_and(has_caught_up) {
        backup.verified.get_or_insert(restore.at);
    }
}

fn has_caught_up(tablet: &TabletRecord) -> bool {
    let follows = tablet.replication.as_ref().is_some_and(|replication| {
        replication.source_connected && replication.applying && replication.lag_ms <= CAUGHT_UP_MS
    });
    let serves = matches!(tablet.role, Role::Replica | Role::Rdonly) && follows;
    tablet.reach == Reach::Yes && (tablet.role == Role::Primary || serves)
}

/// Places of those of which nobody tells what they have, and that a restore may take: of each shard the newest proven,
/// and what is newer.
fn untold(backups: &[BackupView]) -> Vec<usize> {
    let is_older = |one: &BackupView| {
        let newer = |b: &&BackupView| is_beside(b, one) && b.started > one.started;
        backups.iter().filter(newer).any(|b| b.finished.is_some() && b.verified.is_some())
    };
    let complete = |b: &BackupView| b.finished.is_some() && b.position.is_empty();
    let complete = backups.iter().enumerate().filter(|(_, b)| complete(b));
    complete.filter(|(_, b)| !is_older(b)).map(|(at, _)| at).collect()
}

/// Whether it told of what it has written after the backup was complete.
fn is_later(writer: &Writer, backup: &BackupView) -> bool {
    writer.shard == backup.shard
        && backup.finished.is_some_and(|finished| writer.at >= finished.saturating_add(CLOCKS_APART_MS))
}

/// When that can next be told of one by a MySQL that has not told yet.
pub(super) fn next_told_at(vitess: &Observation, as_of: Millis) -> Option<Millis> {
    vitess.backups_only_of.as_ref()?;
    let servers = |backup: &BackupView| -> BTreeSet<&str> {
        vitess.writers.iter().filter(|w| w.shard == backup.shard).map(|w| w.server.as_str()).collect()
    };
    let lacks_some = |b: &&BackupView| servers(b).iter().any(|server| !b.written.contains_key(*server));
    let due = untold(&vitess.backups).into_iter().map(|at| &vitess.backups[at]).filter(lacks_some);
    // A moment later, so that all have answered since.
    let due = due.filter_map(|b| Some(b.finished?.saturating_add(CLOCKS_APART_MS + PROBED_WITHIN_MS)));
    due.filter(|at| *at > as_of).min()
}
