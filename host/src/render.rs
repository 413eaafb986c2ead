//! What Kubernetes should hold for each level, as apply configurations.
//!
//! Owns the shape of every object that we write: one module a kind. Each level is rendered
//! from its own object (tablets from the VitessShard, never from the VitessCluster), without
//! asking anybody and the same each time: maps, flags and lists are sorted. Knows nothing of
//! what is there already; [`crate::equality`] compares.
//!
//! Never rendered: the Pod that mirrors a backup location (we do that ourselves: [`backup_records`]) and the hash of a gateway's
//! Secrets, which would have to be read; `docs/differences.md` says why.

mod autoscaler;
mod backup_job;
mod backup_location;
mod child;
mod container;
mod deployment;
mod disruption_budget;
mod etcd_member;
mod external_datastore;
mod flags;
mod levels;
mod mysql;
mod placement;
mod pod;
mod secret;
mod services;
mod tablet;
mod vitess_backup;
mod vtadmin;
mod vtbackup;
mod vtctld;
mod vtgate;
mod vtorc;
mod vttablet_claim;
mod vttablet_pod;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use pilothouse_api::vitess_backup_schedule::BackupStrategy;
use pilothouse_api::{
    EtcdLockserver, VitessBackupSchedule, VitessBackupStorage, VitessCell, VitessCluster, VitessKeyspace,
    VitessShard, defaults, labels,
};
use pilothouse_core::Millis;
use pilothouse_core::action::ObjectRef;
use pilothouse_core::topology::{Cell, Zone};
use pilothouse_core::view::BackupView;
use serde_json::Value;

use child::Owner;
pub(crate) use container::{GRPC as GRPC_PORT, PRIORITY_CLASS};
use tablet::Shard;

pub use vtbackup::RESTORES;
pub(crate) use vtctld::listed_location;

/// One object as it should be: an apply configuration with apiVersion, kind, metadata (name,
/// namespace, labels, annotations, the owner as controller unless it outlives it) and spec.
#[derive(Debug, Clone, PartialEq, Hash)]
pub struct Rendered {
    /// Which object.
    pub object: ObjectRef,
    /// What to apply.
    pub value: Value,
    /// The field that somebody else writes, if there is one.
    pub initial: Option<Initial>,
}

impl Rendered {
    /// What the field that somebody else writes is in an object, else what it begins with.
    #[must_use]
    pub fn initial_in(&self, data: &Value) -> Option<Value> {
        let Initial { at, value } = self.initial.as_ref()?;
        Some(data.pointer(at).unwrap_or(value).clone())
    }
}

/// A field that is not ours to write and must be there before somebody else writes it.
#[derive(Debug, Clone, PartialEq, Hash)]
pub struct Initial {
    /// Where, as a JSON pointer through maps alone.
    pub at: &'static str,
    /// What it begins with.
    pub value: Value,
}

/// The children of a cluster: its lockserver, backup locations and schedules, cells and
/// keyspaces, the Services over all of its gateways, tablets and control daemons, and those daemons.
#[must_use]
pub fn cluster(cluster: &VitessCluster) -> Vec<Rendered> {
    let mut rendered: Vec<Rendered> = levels::lockserver(cluster).into_iter().collect();
    rendered.extend(levels::backup_storages(cluster));
    rendered.extend(levels::backup_schedules(cluster));
    rendered.extend(levels::cells(cluster));
    rendered.extend(levels::keyspaces(cluster));
    let completed = VitessCluster { spec: defaults::cluster(&cluster.spec), ..cluster.clone() };
    rendered
        .extend([services::vtgate, services::vttablet, services::vtctld].map(|service| service(&completed)));
    rendered.extend(vtctld::render(&completed));
    rendered.extend(vtadmin::render(&completed));
    rendered
}

/// The children of a cell: its own lockserver, if it has one, its gateways, their Service, their
/// disruption budget and what scales them.
/// Nothing while the cell does not say which cluster it belongs to. `mysqld` is the image of the
/// cluster's databases, whose version the gateways tell their clients; empty while there are none.
#[must_use]
pub fn cell(cell: &VitessCell, mysqld: &str) -> Vec<Rendered> {
    let Some(cluster) = cell.metadata.labels.as_ref().and_then(|all| all.get(labels::CLUSTER)) else {
        return Vec::new();
    };
    let mut rendered: Vec<Rendered> = levels::local_lockserver(cell).into_iter().collect();
    let replicas = vtgate::replicas(cell);
    let completed = VitessCell { spec: defaults::cell(&cell.spec), ..cell.clone() };
    rendered.push(services::cell_vtgate(&completed, cluster));
    rendered.push(vtgate::render(&completed, cluster, replicas, mysqld));
    rendered.extend(disruption_budget::of_gateways(&completed, cluster));
    rendered.extend(autoscaler::render(&completed, cluster));
    rendered
}

/// The children of a keyspace: its shards.
#[must_use]
pub fn keyspace(keyspace: &VitessKeyspace) -> Vec<Rendered> {
    levels::shards(keyspace)
}

/// The children of a shard: vtorc in each of its cells, the disruption budget of its tablets, then a claim and a Pod for each tablet
/// of its pools and for each that its status lists as standing in for a lost cell's.
///
/// `zones` holds the zone of each cell that has one; `claims` the bytes that each claim asks
/// for now, by name: no claim is rendered with less.
#[must_use]
pub fn shard(
    shard: &VitessShard,
    zones: &BTreeMap<Cell, Zone>,
    claims: &BTreeMap<String, u64>,
) -> Vec<Rendered> {
    let shard = completed(shard);
    let owner = Owner::of(&shard);
    let Some(shard) = Shard::of(&shard) else { return Vec::new() };
    let mut rendered = vtorc::render(&owner, &shard, zones);
    let tablets = shard.tablets();
    rendered.extend(disruption_budget::of_tablets(&owner, &shard, tablets.len()));
    for tablet in tablets {
        rendered.extend(vttablet_claim::render(&owner, &shard, &tablet, claims));
        rendered.push(vttablet_pod::render(&owner, &shard, &tablet, zones));
    }
    rendered
}

/// The children of an etcd cluster: Services, a disruption budget, and a claim and a Pod for
/// each member. `zones` holds the zone of each cell that has one.
#[must_use]
pub fn lockserver(etcd: &EtcdLockserver, zones: &BTreeMap<Cell, Zone>) -> Vec<Rendered> {
    etcd_member::render(etcd, zones)
}

/// The records of the backups that stand in a location, one VitessBackup each.
#[must_use]
pub fn backup_records(storage: &VitessBackupStorage, backups: &[BackupView]) -> Vec<Rendered> {
    vitess_backup::render(storage, backups)
}

/// One run of vtbackup for a shard: a claim and a Pod.
///
/// Without `restore` it is the shard's first backup, under its one name; otherwise a run that
/// restores (the latest backup, named in the annotation [`RESTORES`]), catches up and backs up
/// again, under a name that follows from `at`. The claim is as large as the largest of the
/// shard's tablets in `claims` (bytes asked for now, by name). `zones` holds the zone of each
/// cell that has one.
#[must_use]
pub fn backup(
    shard: &VitessShard,
    location: &str,
    restore: Option<&str>,
    zones: &BTreeMap<Cell, Zone>,
    claims: &BTreeMap<String, u64>,
    at: Millis,
) -> Vec<Rendered> {
    let shard = completed(shard);
    let Some(shard) = Shard::of(&shard) else { return Vec::new() };
    let purpose =
        restore.map_or(vtbackup::Purpose::First, |restore| vtbackup::Purpose::Later { restore, at });
    vtbackup::render(&vtbackup::Run { shard: &shard, location, purpose }, zones, claims)
}

/// A schedule's run for one shard.
#[derive(Debug, Clone, Copy)]
pub struct ScheduledRun<'a> {
    /// The cluster.
    pub cluster: &'a VitessCluster,
    /// The schedule.
    pub schedule: &'a VitessBackupSchedule,
    /// Its strategy.
    pub strategy: &'a BackupStrategy,
    /// The shard.
    pub shard: &'a VitessShard,
    /// The name of the location that the backup goes to.
    pub location: &'a str,
    /// Minutes that it may take.
    pub timeout_minutes: u32,
    /// The time that it was due.
    pub due: Millis,
}

/// A schedule's run: a claim and a Job of vtbackup, or a Job alone that asks vtctld, under a name
/// that follows from the time that it was due. `zones` and `claims` are as for [`backup`]. Nothing
/// where vtbackup has no pool to take its shape from.
#[must_use]
pub fn scheduled_backup(
    run: &ScheduledRun<'_>,
    zones: &BTreeMap<Cell, Zone>,
    claims: &BTreeMap<String, u64>,
) -> Vec<Rendered> {
    let &ScheduledRun { cluster, schedule, strategy, shard, location, timeout_minutes, due } = run;
    let shard = completed(shard);
    let Some(shard) = Shard::of(&shard) else { return Vec::new() };
    let shard = &shard;
    let job = backup_job::Job { cluster, schedule, strategy, shard, location, timeout_minutes, due };
    backup_job::render(&job, zones, claims)
}

fn completed(shard: &VitessShard) -> VitessShard {
    VitessShard { spec: defaults::shard(&shard.spec), ..shard.clone() }
}
