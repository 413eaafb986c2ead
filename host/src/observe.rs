//! Observe: turns what the watches and Vitess said into one immutable view.
//!
//! Owns the reading of Pods, claims, nodes and statuses. Each level is read
//! from its own object: shards from VitessShards, cells from VitessCells. Pure:
//! everything it needs is passed in.

mod backups;
mod levels;
mod records;
mod tablets;
mod volumes;
mod zones;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pilothouse_api::desired::DesiredShard;
use pilothouse_api::labels::Component;
use pilothouse_api::validate::{self, FieldError};
use pilothouse_api::vitess_cell::CellTemplate;
use pilothouse_api::vitess_cluster::ZoneEvidence;
use pilothouse_api::{VitessCell, VitessCluster, VitessKeyspace, VitessShard, labels};
use pilothouse_core::pause::Pause;
use pilothouse_core::topology::{Cell, ShardId, TabletAlias, Zone};
use pilothouse_core::view::{
    BackupView, CellView, ClusterId, ClusterView, Durability, Fact, GatewaySurge, ShardView, TabletView,
    VitessSource, Vtorc,
};
use pilothouse_core::zones::{ZoneHealth, ZoneSettings};
use pilothouse_core::{Millis, mysql};
use serde_json::Value;

use crate::asked::{Asked, AskedShard};
use crate::cache::{Cached, ClusterKey, Members, Typed};
use crate::kinds::Kind;
use crate::vitess::{Observation, Switch};
use volumes::Run;

pub(crate) use backups::{are_told, awaits_record, judge as judge_backups};
pub(crate) use tablets::{condition, is_ready, pod as tablet_pod};
pub(crate) use volumes::{
    backup_pods, backup_run_ended, has_backup_pod_succeeded, requested_bytes, running_backup, volume_changes,
};

/// Why there is no view.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no VitessCluster of that name (any more).
    #[error("VitessCluster {0} is not there")]
    Gone(ClusterKey),
    /// The VitessCluster does not fit its type.
    #[error("VitessCluster {key}: {reason}")]
    Unreadable {
        /// Which.
        key: ClusterKey,
        /// Why.
        reason: String,
    },
}

/// What a view is made from.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// The cluster's objects.
    pub members: &'a Members,
    /// Nodes and storage classes.
    pub shared: &'a BTreeMap<(Kind, String), Arc<Cached>>,
    /// What Vitess said; `None`: nothing is known.
    pub vitess: Option<&'a Observation>,
    /// How it was asked.
    pub source: VitessSource,
    /// Pods that differ from what is rendered now, and what that does to the files of their MySQL.
    pub outdated: &'a BTreeMap<String, mysql::Change>,
    /// VitessShards that release their outdated Pods.
    pub cascading: &'a BTreeSet<String>,
    /// What people paused.
    pub pauses: &'a [Pause],
    /// Levels that their parent asks for no more, with whether the others that it asks for stand.
    pub unwanted: &'a BTreeMap<(Kind, String), bool>,
    /// Whether a policy is bound that replaces lost primaries.
    pub replaces_primaries: bool,
    /// The zone verdicts of the last pass, or of the status.
    pub remembered_zones: &'a BTreeMap<Zone, ZoneHealth>,
    /// What the region allows, as facts of the cluster.
    pub allowances: &'a BTreeMap<String, Fact>,
    /// The time.
    pub as_of: Millis,
}

/// A view, with what had to be left out of it.
#[derive(Debug, Clone)]
pub struct Observed {
    /// The view.
    pub view: ClusterView,
    /// Objects whose spec could not be used: name and errors.
    pub invalid: Vec<(String, Vec<FieldError>)>,
    /// When a verdict on a zone, on a volume that grows, or on a backup, may change by time alone.
    pub recheck_at: Option<Millis>,
    /// What was seen of the zones whose verdict, or what that leans to, is another than the remembered.
    pub zones_turned: BTreeMap<Zone, ZoneEvidence>,
}

/// The cluster object itself.
///
/// # Errors
/// When it is not there or does not fit its type.
pub fn cluster<'a>(key: &ClusterKey, members: &'a Members) -> Result<&'a VitessCluster, Error> {
    let cached = members.get(Kind::VitessCluster, &key.name).ok_or_else(|| Error::Gone(key.clone()))?;
    match cached.typed() {
        Typed::Cluster(cluster) => Ok(cluster),
        Typed::Unreadable(reason) => Err(Error::Unreadable { key: key.clone(), reason: reason.clone() }),
        _ => Err(Error::Gone(key.clone())),
    }
}

/// Makes the view.
#[must_use]
pub fn view(cluster: ClusterId, seen: &Seen<'_>, settings: &ZoneSettings) -> Observed {
    let mut invalid = Vec::new();
    let cells = cells(seen);
    let zones_of_cells = zones::by_cell(&cells);
    let mut shards = Vec::new();
    let mut tablets: Vec<TabletView> = Vec::new();
    for AskedShard { object, asked } in shards_asked(seen.members) {
        match asked {
            Ok(asked) => {
                tablets.extend(tablets::of_shard(seen, object, asked, &zones_of_cells));
                shards.push(shard_view(seen, object, asked));
            }
            Err(errors) => {
                invalid.push((object.metadata.name.clone().unwrap_or_default(), errors.clone()));
            }
        }
    }
    shards.sort_by(|a, b| a.id.cmp(&b.id));
    tablets.sort_by(|a, b| a.alias.cmp(&b.alias));
    let volumes = volumes::of_tablets(seen, &tablets);
    let mut backups = seen.vitess.map(|v| v.backups.clone()).unwrap_or_default();
    backups.sort_by(|a, b| a.name.cmp(&b.name));
    let mut view = ClusterView {
        as_of: seen.as_of,
        cluster,
        vitess: if seen.vitess.is_some() { seen.source } else { VitessSource::Unknown },
        replaces_primaries: seen.replaces_primaries,
        zones: zones::list(seen, &cells),
        keyspaces: levels::keyspaces(seen.members),
        unwanted: levels::unwanted(seen),
        records: seen.vitess.and_then(|vitess| records::view(seen.members, vitess)),
        cells,
        shards,
        tablets,
        volumes,
        backups,
        pauses: seen.pauses.to_vec(),
        facts: BTreeMap::new(),
    };
    view.facts = facts(seen, &view);
    let zones = zones::judge(&mut view, seen, settings);
    let restart_at = pilothouse_core::volumes::next_restart_at(&view);
    let recheck_at = [zones.deadline, restart_at, backups::next_told_at(seen)].into_iter().flatten().min();
    Observed { view, invalid, recheck_at, zones_turned: zones.turned }
}

/// What has no field of its own: the region's allowances, whose backups are told of, which shards
/// have a schedule of their own, which claims are only the working space of backup runs, and what of that is a schedule's.
fn facts(seen: &Seen<'_>, view: &ClusterView) -> BTreeMap<String, BTreeMap<String, Fact>> {
    let mut facts: BTreeMap<String, BTreeMap<String, Fact>> = BTreeMap::new();
    let mut flag = |subject: &str, name: &str| {
        facts.entry(subject.to_owned()).or_default().insert(name.to_owned(), Fact::Flag(true));
    };
    for kind in [Kind::PersistentVolumeClaim, Kind::Pod] {
        for object in seen.members.of(kind) {
            let is_scheduled = !object.label(labels::BACKUP_SCHEDULE).is_empty();
            let is_of_run = object.label(labels::COMPONENT) == Component::Vtbackup.as_str() || is_scheduled;
            if kind == Kind::PersistentVolumeClaim && is_of_run {
                flag(object.name(), "backupScratch");
            }
            if is_scheduled {
                flag(object.name(), "scheduledBackup");
            }
        }
    }
    let shards = view.shards.iter().map(|shard| shard.id.clone()).collect();
    for shard in crate::schedules::covered(seen.members, &shards) {
        flag(&shard.to_string(), "backupScheduled");
    }
    for tablet in view.tablets.iter().filter(|tablet| is_gone(seen, &tablet.alias)) {
        flag(&tablet.alias.to_string(), "gone");
    }
    let of_cluster: BTreeMap<String, Fact> =
        seen.allowances.clone().into_iter().chain(backups::only_of(seen)).collect();
    if !of_cluster.is_empty() {
        facts.insert("cluster".to_owned(), of_cluster);
    }
    facts
}

/// Whether somebody who is there says that the tablet's MySQL is not.
fn is_gone(seen: &Seen<'_>, alias: &TabletAlias) -> bool {
    seen.vitess.and_then(|vitess| vitess.tablets.get(alias)).is_some_and(|tablet| tablet.gone)
}

/// The zone verdicts that a cluster's status remembers.
#[must_use]
pub fn remembered_zones(cluster: &VitessCluster) -> BTreeMap<Zone, ZoneHealth> {
    zones::remembered(cluster)
}

/// The cells that stand, and those that the manifest names and that do not stand yet.
fn cells(seen: &Seen<'_>) -> Vec<CellView> {
    let mut cells: BTreeMap<Cell, CellView> = cell_objects(seen.members)
        .map(|cell| (Cell(cell.spec.template.name.clone()), cell_view(seen, cell)))
        .collect();
    for template in cluster_objects(seen.members).flat_map(|c| &c.spec.cells) {
        let name = Cell(template.name.clone());
        cells.entry(name.clone()).or_insert_with(|| CellView {
            name,
            zone: pinned(template).map(Zone),
            zone_pinned: pinned(template).is_some(),
            gateways: template.gateway.replicas.and_then(|n| u32::try_from(n).ok()).unwrap_or(0),
            gateways_ready: 0,
            gateway_surge: Vec::new(),
            serves: None,
        });
    }
    cells.into_values().collect()
}

fn pinned(template: &CellTemplate) -> Option<String> {
    Some(template.zone.clone()).filter(|zone| !zone.is_empty())
}

/// A cell's zone: the manifest's, else the one assigned.
#[must_use]
pub fn cell_zone(cell: &VitessCell) -> Option<Zone> {
    let assigned = || cell.status.as_ref().and_then(|s| s.assigned_zone.clone());
    pinned(&cell.spec.template).or_else(assigned).map(Zone)
}

fn cell_view(seen: &Seen<'_>, cell: &VitessCell) -> CellView {
    let name = Cell(cell.spec.template.name.clone());
    let deployment = seen.members.of(Kind::Deployment).find(|d| {
        d.label(labels::COMPONENT) == Component::Vtgate.as_str() && d.label(labels::CELL) == name.0
    });
    let count = |pointer| {
        let value = deployment.and_then(|d| d.field(pointer)).and_then(Value::as_u64);
        value.and_then(|n| u32::try_from(n).ok())
    };
    let surge: Vec<GatewaySurge> = cell
        .status
        .iter()
        .flat_map(|s| &s.gateway.surge)
        .map(|s| GatewaySurge {
            stands_in_for: Cell(s.stands_in_for.clone()),
            replicas: u32::try_from(s.replicas).unwrap_or(0),
        })
        .collect();
    let surged: u32 = surge.iter().map(|s| s.replicas).sum();
    let asked = validate::validate_cell(cell).ok().filter(|c| !c.autoscaled).map(|c| c.gateways);
    CellView {
        serves: seen.vitess.and_then(|vitess| levels::served(vitess, &name)),
        name,
        zone: cell_zone(cell),
        zone_pinned: pinned(&cell.spec.template).is_some(),
        gateways: asked.unwrap_or_else(|| count("/spec/replicas").unwrap_or(0).saturating_sub(surged)),
        gateways_ready: count("/status/readyReplicas").unwrap_or(0),
        gateway_surge: surge,
    }
}

fn shard_view(seen: &Seen<'_>, object: &VitessShard, Asked { desired, pools }: &Asked) -> ShardView {
    let id = &desired.id;
    let record = seen.vitess.and_then(|v| v.shards.get(id));
    let pods = backup_pods(seen.members, id);
    let runs: Vec<(Run, &Cached)> = pods.map(|pod| (volumes::run(pod), pod)).collect();
    ShardView {
        id: id.clone(),
        durability: durability(seen.members, id),
        primary: record.and_then(|r| r.primary.clone()),
        primary_since: record.map_or(0, |r| r.primary_since),
        initialized: match seen.vitess {
            Some(_) => record.is_some_and(|r| r.initialized),
            None => has_recorded_backup(seen.members, id) || has_older_claim(seen.members, object),
        },
        serving: seen.vitess.and_then(|vitess| levels::serving(vitess, id)),
        may_initialize: desired.may_initialize,
        vtorc: record.map_or(Vtorc::Absent, |r| vtorc(r.vtorc)),
        backup_location: desired.backup_location.clone().filter(|_| may_back_up(seen, desired)),
        // While nobody tells whether a run that ended well left a backup, it stays the shard's run,
        // and no other is begun.
        backup_running_since: runs
            .iter()
            .filter_map(|(run, pod)| match *run {
                Run::Running(since) => Some(since),
                Run::Succeeded(since) if seen.vitess.is_none() => Some(since),
                Run::Succeeded(since) => awaits_record(seen.source, pod, seen.members).then_some(since),
                Run::Failed(_) => None,
            })
            .min(),
        backup_failed_at: runs
            .iter()
            .filter_map(|(run, _)| if let Run::Failed(t) = run { Some(*t) } else { None })
            .max(),
        cascading: object.metadata.name.as_ref().is_some_and(|name| seen.cascading.contains(name)),
        pools: pools.clone(),
    }
}

/// Every shard is given a VTOrc, whether or not it runs just now.
const fn vtorc(switch: Switch) -> Vtorc {
    match switch {
        Switch::None => Vtorc::Absent,
        Switch::On => Vtorc::Decides,
        Switch::Off => Vtorc::StandsBy,
        Switch::Stuck => Vtorc::Unswitchable,
    }
}

/// Whether somebody recorded a complete backup of the shard: then it had a database once, also
/// where Vitess cannot be asked.
fn has_recorded_backup(members: &Members, id: &ShardId) -> bool {
    members.of(Kind::VitessBackup).any(|backup| {
        backup.label(labels::KEYSPACE) == id.keyspace
            && backup.label(labels::SHARD) == id.range.safe_name()
            && backups::is_complete(backup)
    })
}

/// Whether a tablet's claim is older than the VitessShard: then it outlived an earlier one, and may have
/// a database on it.
fn has_older_claim(members: &Members, shard: &VitessShard) -> bool {
    let label = |key: &str| shard.metadata.labels.as_ref().and_then(|all| all.get(key)).map(String::as_str);
    members.of(Kind::PersistentVolumeClaim).any(|claim| {
        claim.label(labels::COMPONENT) == Component::Vttablet.as_str()
            && [labels::KEYSPACE, labels::SHARD].into_iter().all(|key| label(key) == Some(claim.label(key)))
            && claim.head().creation_timestamp < shard.metadata.creation_timestamp
    })
}

/// Where the manifest wants no first backup, none is begun; once there is one, more may follow.
fn may_back_up(seen: &Seen<'_>, desired: &DesiredShard) -> bool {
    let of_shard = |backup: &BackupView| backup.shard == desired.id && backup.finished.is_some();
    desired.may_initialize_backup || seen.vitess.is_some_and(|vitess| vitess.backups.iter().any(of_shard))
}

fn durability(members: &Members, id: &ShardId) -> Durability {
    let keyspace = keyspace_objects(members).find(|k| k.spec.template.name == id.keyspace);
    keyspace.and_then(|k| validate::validate_keyspace(k).ok()).map_or(Durability::None, |k| k.durability)
}

/// Each cell's zone.
#[must_use]
pub fn zones_by_cell(view: &ClusterView) -> BTreeMap<Cell, Zone> {
    zones::by_cell(&view.cells)
}

fn cluster_objects(members: &Members) -> impl Iterator<Item = &VitessCluster> {
    members
        .of(Kind::VitessCluster)
        .filter_map(|o| if let Typed::Cluster(c) = o.typed() { Some(&**c) } else { None })
}

/// The VitessCells of a cluster, by name.
pub fn cell_objects(members: &Members) -> impl Iterator<Item = &VitessCell> {
    members
        .of(Kind::VitessCell)
        .filter_map(|o| if let Typed::Cell(c) = o.typed() { Some(&**c) } else { None })
}

/// The VitessKeyspaces of a cluster, by name.
pub fn keyspace_objects(members: &Members) -> impl Iterator<Item = &VitessKeyspace> {
    members
        .of(Kind::VitessKeyspace)
        .filter_map(|o| if let Typed::Keyspace(k) = o.typed() { Some(&**k) } else { None })
}

/// The VitessShards of a cluster with what they ask for, by name.
pub fn shards_asked(members: &Members) -> impl Iterator<Item = &AskedShard> {
    members
        .of(Kind::VitessShard)
        .filter_map(|o| if let Typed::Shard(s) = o.typed() { Some(&**s) } else { None })
}

/// The VitessShard of that id.
#[must_use]
pub fn shard_object<'a>(members: &'a Members, id: &ShardId) -> Option<&'a VitessShard> {
    let is_it = |s: &&AskedShard| s.asked.as_ref().is_ok_and(|a| a.desired.id == *id);
    shards_asked(members).find(is_it).map(|s| &s.object)
}
