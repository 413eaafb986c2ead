//! Rule `backup`: a run proves the newest backup, and none goes that is not covered.

use super::{Case, Cover, Rule, Why, unless};
use crate::Millis;
use crate::action::Action;
use crate::topology::ShardId;
use crate::view::{BackupView, ClusterView};

pub(super) const RULE: Rule = Rule { name: "backup", keeps: &["S5"], judge: |case| check(case).err() };

/// The cluster's fact that says how far back in time a restore must stay possible.
const RETENTION: &str = "backupRetentionMs";

fn check(case: &Case<'_>) -> Result<(), Why> {
    if let Action::StartBackup { shard, location, restore } = &case.step.action {
        start(case.view, shard, location, restore.as_ref())
    } else if let Action::ExpireBackup { shard, backup, covered_by } = &case.step.action {
        let find = |name: &str| case.view.backups_of(shard).find(|b| b.name == name);
        let (Some(old), Some(cover)) = (find(backup), find(covered_by)) else { return Ok(()) };
        match lacks(case, old, cover) {
            None => Ok(()),
            Some(lacks) => {
                let (backup, covered_by) = (backup.clone(), covered_by.clone());
                Err(Why::NotCovered { backup, covered_by, lacks })
            }
        }
    } else {
        Ok(())
    }
}

fn start(view: &ClusterView, shard: &ShardId, location: &str, restore: Option<&String>) -> Result<(), Why> {
    let Some(record) = view.shard(shard) else { return Ok(()) };
    unless(record.backup_running_since.is_none(), || Why::BackupRunning { shard: shard.clone() })?;
    unless(record.backup_location.as_deref() == Some(location), || Why::OtherLocation {
        named: location.to_owned(),
        found: record.backup_location.clone(),
    })?;
    let here = view.backups_of(shard).filter(|b| b.location == location);
    let complete = here.filter(|b| b.finished.is_some());
    let newest = complete.max_by_key(|b| (b.started, &b.name)).map(|b| &b.name);
    unless(newest == restore, || Why::NotTheNewest { named: restore.cloned(), newest: newest.cloned() })
}

/// Since the cover began later and was restored, what goes is never the newest
/// verified backup, nor the newest at all.
fn lacks(case: &Case<'_>, old: &BackupView, cover: &BackupView) -> Option<Cover> {
    if old.name == cover.name {
        return Some(Cover::Itself);
    }
    if cover.started <= old.started {
        return Some(Cover::NotNewer);
    }
    let (Some(finished), Some(_)) = (cover.finished, cover.verified) else { return Some(Cover::Unverified) };
    if !case.view.covers(cover, old) {
        return Some(Cover::Transactions);
    }
    let leaving = case.admitted.iter().any(|s| {
        matches!(&s.action, Action::ExpireBackup { shard, backup, .. } if *shard == cover.shard && *backup == cover.name)
    });
    if leaving {
        return Some(Cover::Leaving);
    }
    let retention = case.view.integer("cluster", RETENTION).unwrap_or(0);
    let within = Millis::try_from(retention).unwrap_or(0);
    (finished.saturating_add(within) > case.view.as_of).then_some(Cover::Retention)
}
