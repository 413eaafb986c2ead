//! Backups: what vtbackup Pods do, what vtctldclient asks tablets for, and the store.
//!
//! Played: the first backup of an empty shard; restore of the latest, catch-up,
//! new backup; a backup of a replica as it serves; all take minutes by size. Not
//! played: engines, chunks, a store that fails. Must not know schedules.

use std::collections::BTreeMap;

use jiff::Timestamp;
use pilothouse_core::gtid::GtidSet;
use pilothouse_core::topology::TabletAlias;
use pilothouse_core::view::BackupView;
use serde_json::Value;

use super::{ClusterKey, ShardKey, Stored, VitessError, cluster_of, shard_of};
use crate::world::journal::Deed;
use crate::world::objects::{label, name, text};
use crate::world::places::hash;
use crate::world::state::State;
use crate::world::timing;

/// A vtbackup at work.
#[derive(Debug, Clone)]
pub(crate) struct BackupRun {
    key: ShardKey,
    location: String,
    /// The backup that it writes; absent when there is nothing to do.
    name: Option<String>,
    restores: Option<Stored>,
    node: String,
    first: bool,
    /// A tablet takes it; nothing is restored.
    by_tablet: bool,
    refused: Option<String>,
}

/// Milliseconds for so many bytes at so many bytes a second.
fn takes(bytes: u64, per_second: u64) -> i64 {
    i64::try_from(bytes / (per_second / 1_000)).unwrap_or(i64::MAX / 4)
}

impl State {
    pub(crate) fn backups_of<'a>(&'a self, key: &'a ShardKey) -> impl Iterator<Item = &'a Stored> {
        let cluster = self.vitess.clusters.get(&key.cluster);
        cluster.into_iter().flat_map(|c| &c.backups).filter(|b| b.view.shard == key.shard)
    }

    /// The newest complete backup of a shard, in one location or in any.
    pub(crate) fn latest_backup(&self, key: &ShardKey, location: Option<&str>) -> Option<Stored> {
        let fits = |b: &&Stored| b.view.finished.is_some() && location.is_none_or(|l| b.view.location == l);
        self.backups_of(key).filter(fits).max_by_key(|b| (b.view.finished, b.view.name.clone())).cloned()
    }

    /// A vtbackup container starts; answers how long it will work, in milliseconds.
    pub(crate) fn backup_starts(&mut self, run: &str, pod: &Value) -> i64 {
        let Some(shard) = shard_of(pod) else { return timing::BACKUP_BASE };
        let key = ShardKey { cluster: cluster_of(pod), shard };
        let location = label(pod, "backup.planetscale.com/location").to_owned();
        let first = label(pod, "backup.planetscale.com/type") == "init";
        let latest = self.latest_backup(&key, Some(&location));
        let has_primary = self.vitess.shard(&key).is_some_and(|s| s.primary.is_some());
        let mut work = BackupRun {
            key: key.clone(),
            location: location.clone(),
            name: None,
            restores: None,
            node: text(pod, "/spec/nodeName").to_owned(),
            first,
            by_tablet: label(pod, "planetscale.com/backup-method") == "vtctldclient",
            refused: None,
        };
        let mut duration = timing::BACKUP_BASE;
        if work.by_tablet {
            match self.backed_up(&work) {
                Ok((_, bytes)) => {
                    duration += takes(bytes, timing::BACKUP_BYTES_PER_SECOND);
                    work.name = Some(self.open_backup(&key, &location, pod));
                }
                Err(why) => work.refused = Some(why),
            }
        } else if first && latest.is_some() {
            work.refused = None; // somebody was faster: done
        } else if first && has_primary {
            work.refused =
                Some("the shard already has a primary; refusing to take an initial backup".to_owned());
        } else if let Some(stored) = latest.clone().filter(|_| !first) {
            let bytes = stored.data_bytes;
            duration += timing::RESTORE_BASE
                + takes(bytes, timing::RESTORE_BYTES_PER_SECOND)
                + takes(bytes, timing::BACKUP_BYTES_PER_SECOND);
            work.restores = Some(stored);
            work.name = Some(self.open_backup(&key, &location, pod));
        } else if first {
            duration += takes(timing::EMPTY_DATABASE_BYTES, timing::BACKUP_BYTES_PER_SECOND);
            work.name = Some(self.open_backup(&key, &location, pod));
        } else {
            work.refused = Some("no backup to restore; an initial backup must be taken first".to_owned());
        }
        self.vitess.backup_runs.insert(run.to_owned(), work);
        duration
    }

    /// Puts an incomplete backup into the store.
    fn open_backup(&mut self, key: &ShardKey, location: &str, pod: &Value) -> String {
        let uid = u32::try_from(hash(self.seed, "vtbackup", name(pod)) >> 32).unwrap_or(0);
        let cell = match label(pod, "planetscale.com/cell") {
            "" => "vtbackup",
            cell => cell,
        };
        let at = Timestamp::from_millisecond(self.now).unwrap_or(Timestamp::UNIX_EPOCH);
        let backup = format!("{}.{cell}-{uid:010}", at.strftime("%Y-%m-%d.%H%M%S"));
        let view = BackupView {
            name: backup.clone(),
            shard: key.shard.clone(),
            location: location.to_owned(),
            started: self.now.unsigned_abs(),
            finished: None,
            bytes: 0,
            verified: None,
            position: GtidSet::default(),
            from: None,
            written: BTreeMap::new(),
        };
        self.note(format!("backup {backup} of {} begins", key.shard));
        let cluster = self.vitess.clusters.entry(key.cluster.clone()).or_default();
        cluster.backups.push(Stored { view, data_bytes: 0 });
        cluster.backups.sort_by(|a, b| (&a.view.shard, &a.view.name).cmp(&(&b.view.shard, &b.view.name)));
        self.vitess.touched.insert(key.cluster.clone());
        backup
    }

    /// A vtbackup container has done its work.
    ///
    /// # Errors
    /// Why it failed, as its last log line would say.
    pub(crate) fn backup_ends(&mut self, run: &str, pod: &Value) -> Result<(), String> {
        let Some(work) = self.vitess.backup_runs.remove(run) else {
            return Err(format!("{}: no shard label", name(pod)));
        };
        if let Some(why) = work.refused {
            return Err(why);
        }
        let Some(backup) = work.name.clone() else { return Ok(()) };
        self.settle(&work.key);
        let (position, bytes) = match &work.restores {
            Some(stored) => self.caught_up(&work, stored)?,
            None if work.by_tablet => self.backed_up(&work)?,
            None => (self.first_position(&backup), timing::EMPTY_DATABASE_BYTES),
        };
        let now = self.now.unsigned_abs();
        let restored = work.restores.map(|s| s.view.name);
        let Some(cluster) = self.vitess.clusters.get_mut(&work.key.cluster) else { return Ok(()) };
        for stored in &mut cluster.backups {
            if stored.view.location != work.location || stored.view.shard != work.key.shard {
                continue;
            }
            if stored.view.name == backup {
                stored.view.finished = Some(now);
                stored.view.bytes = bytes / 2; // compressed
                stored.view.position = position.clone();
                stored.data_bytes = bytes;
            } else if Some(&stored.view.name) == restored.as_ref() && stored.view.verified.is_none() {
                stored.view.verified = Some(now);
            }
        }
        self.note(format!("backup {backup} complete"));
        self.vitess.touched.insert(work.key.cluster.clone());
        self.mark_all_shards(); // tablets may wait for a first backup
        debug_assert!(work.first || !position.is_empty());
        Ok(())
    }

    /// The first transaction of a database that vtbackup itself made.
    fn first_position(&self, backup: &str) -> GtidSet {
        let (high, low) =
            (hash(self.seed, "vtbackup-uuid", backup), hash(self.seed, "vtbackup-uuid-low", backup));
        let mut position = GtidSet::default();
        let server =
            format!("{:08x}-{:04x}-4000-8000-{:012x}", high >> 32, high & 0xffff, low & 0xffff_ffff_ffff);
        position.add(&server, 1, 1);
        position
    }

    /// Position and bytes after the catch-up from the shard's primary.
    fn caught_up(&self, work: &BackupRun, stored: &Stored) -> Result<(GtidSet, u64), String> {
        let shard = self.vitess.shard(&work.key);
        let Some(primary) = shard.and_then(|s| s.primary.clone()) else {
            return Err(format!(
                "can't start replication after restore: shard {} has no primary",
                work.key.shard
            ));
        };
        let tablet = self.vitess.tablet(&work.key.cluster, &primary);
        let Some(tablet) = tablet.filter(|t| t.serves() && self.places.reach(&work.node, &t.node)) else {
            return Err(format!("can't get the primary's position: {primary} does not answer"));
        };
        let at_primary = self.vitess.position(&work.key.cluster, &primary);
        if !at_primary.contains(&stored.view.position) {
            return Err(format!("{} holds transactions that {primary} lacks", stored.view.name));
        }
        let bytes = self.vitess.data.get(&tablet.data).map_or(stored.data_bytes, |d| d.used);
        Ok((at_primary, bytes))
    }

    /// Position and bytes of the replica that has most, as long as one serves.
    fn backed_up(&self, work: &BackupRun) -> Result<(GtidSet, u64), String> {
        let primary = self.vitess.shard(&work.key).and_then(|s| s.primary.clone());
        let cluster = self.vitess.clusters.get(&work.key.cluster);
        let tablets = cluster.into_iter().flat_map(|c| &c.tablets);
        let replicas = tablets.filter(|(alias, tablet)| {
            tablet.shard == work.key.shard && tablet.serves() && Some(*alias) != primary.as_ref()
        });
        let found = replicas.map(|(alias, tablet)| {
            let used = self.vitess.data.get(&tablet.data).map_or(0, |data| data.used);
            (self.vitess.position(&work.key.cluster, alias), used)
        });
        let most = found.max_by_key(|(position, _)| position.count());
        most.ok_or_else(|| format!("no tablet of shard {} is available for a backup", work.key.shard))
    }

    /// A vtbackup container died; what it wrote stays incomplete.
    pub(crate) fn backup_aborted(&mut self, run: &str) {
        if let Some(work) = self.vitess.backup_runs.remove(run) {
            self.note(format!("backup {} of {} aborted", work.name.unwrap_or_default(), work.key.shard));
        }
    }

    /// Removes a backup from its store.
    ///
    /// # Errors
    /// `not-found`.
    pub(crate) fn remove_backup(&mut self, cluster: &ClusterKey, backup: &str) -> Result<(), VitessError> {
        let found = self.vitess.clusters.get_mut(cluster);
        let Some(at) = found.as_ref().and_then(|c| c.backups.iter().position(|b| b.view.name == backup))
        else {
            return Err(VitessError::new("not-found", format!("backup {backup}")));
        };
        let Some(cluster_state) = found else { return Ok(()) };
        let removed = cluster_state.backups.remove(at).view;
        let left: Vec<BackupView> = cluster_state
            .backups
            .iter()
            .filter(|b| b.view.shard == removed.shard)
            .map(|b| b.view.clone())
            .collect();
        self.note(format!("backup {backup} removed"));
        self.journal.push(Deed::BackupRemoved { at: self.now, cluster: cluster.clone(), removed, left });
        self.vitess.touched.insert(cluster.clone());
        Ok(())
    }

    /// Removes a tablet's record from the topology.
    ///
    /// # Errors
    /// `not-found`; `expectation` for a shard's primary.
    pub(crate) fn delete_tablet_record(
        &mut self,
        cluster: &ClusterKey,
        alias: &TabletAlias,
    ) -> Result<(), VitessError> {
        let Some(tablet) = self.vitess.tablet(cluster, alias) else {
            return Err(VitessError::new("not-found", format!("tablet {alias}")));
        };
        let key = ShardKey { cluster: cluster.clone(), shard: tablet.shard.clone() };
        if self.vitess.shard(&key).is_some_and(|s| s.primary.as_ref() == Some(alias)) {
            return Err(VitessError::new(
                "expectation",
                format!("tablet {alias} is the primary of {}", key.shard),
            ));
        }
        self.settle(&key);
        if let Some(found) = self.vitess.clusters.get_mut(cluster) {
            found.tablets.remove(alias);
        }
        self.note(format!("tablet record {alias} deleted"));
        self.agenda.now(crate::world::agenda::Look::Shard(key));
        self.vitess.touched.insert(cluster.clone());
        Ok(())
    }
}
