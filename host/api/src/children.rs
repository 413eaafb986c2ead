//! Child objects: each level's spec is the parent's template inlined, plus what it inherits.
//!
//! Owns specs, names, labels and owner of children, nothing of how a difference
//! from a live child is rolled out. Reads completed copies (see [`defaults`]).

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::{Resource, ResourceExt};
use pilothouse_core::topology::ParseError;

use crate::choices::INHERITED;
use crate::etcd_lockserver::{EtcdLockserver, EtcdLockserverSpec, EtcdTemplate};
use crate::images::{CellImages, ClusterImages, KeyspaceImageOverrides, KeyspaceImages};
use crate::labels::{self, Component};
use crate::partitioning::{KeyRangeSpec, ShardTemplate};
use crate::vitess_backup_schedule::{VitessBackupSchedule, VitessBackupScheduleSpec};
use crate::vitess_backup_storage::{VitessBackupStorage, VitessBackupStorageSpec};
use crate::vitess_cell::{VitessCell, VitessCellSpec};
use crate::vitess_cluster::{BackupEngine, ClusterKeyspace, VitessCluster, VitessClusterSpec};
use crate::vitess_keyspace::{VitessKeyspace, VitessKeyspaceSpec};
use crate::vitess_shard::{VitessShard, VitessShardSpec};
use crate::{defaults, key_ranges, names};

/// Why a level has no children.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A child-bearing object does not say what it belongs to.
    #[error("label {0} is missing")]
    NoLabel(&'static str),
    /// An equal partitioning has no key ranges.
    #[error("partitioning {index}: {error}")]
    Partitioning {
        /// Its place in the spec, from 0.
        index: usize,
        /// Why.
        error: key_ranges::Error,
    },
    /// A key range cannot be read.
    #[error("partitioning {index}: {error}")]
    KeyRange {
        /// Its place in the spec, from 0.
        index: usize,
        /// Why.
        error: ParseError,
    },
}

/// Metadata of a child, owned by its parent (once that has a UID), with the annotations that it inherits.
fn child_of<P>(parent: &P, name: String, labels: BTreeMap<String, String>) -> ObjectMeta
where
    P: Resource<DynamicType = ()>,
{
    let owner = parent.controller_owner_ref(&());
    let said = |key: &str| Some((key.to_owned(), parent.annotations().get(key)?.clone()));
    let inherited: BTreeMap<String, String> = INHERITED.into_iter().filter_map(said).collect();
    ObjectMeta {
        name: Some(name),
        namespace: parent.namespace(),
        labels: Some(labels),
        owner_references: owner
            .map(|owner| vec![OwnerReference { block_owner_deletion: Some(true), ..owner }]),
        annotations: Some(inherited).filter(|all| !all.is_empty()),
        ..ObjectMeta::default()
    }
}

/// Adds what a template says; that goes before what is inherited.
fn annotate(metadata: &mut ObjectMeta, annotations: &BTreeMap<String, String>) {
    let mut all = metadata.annotations.take().unwrap_or_default();
    all.extend(annotations.clone());
    metadata.annotations = Some(all).filter(|all| !all.is_empty());
}

fn label_map<const N: usize>(entries: [(&str, &str); N]) -> BTreeMap<String, String> {
    entries.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

fn label_of<P: Resource>(parent: &P, key: &'static str) -> Result<String, Error> {
    parent.labels().get(key).cloned().ok_or(Error::NoLabel(key))
}

/// The cells of a cluster, in the manifest's order.
#[must_use]
pub fn cells(cluster: &VitessCluster) -> Vec<VitessCell> {
    let spec = defaults::cluster(&cluster.spec);
    let (name, namespace) = (cluster.name_any(), cluster.namespace().unwrap_or_default());
    let all_cells: Vec<String> = spec.cells.iter().map(|c| c.name.clone()).collect();
    spec.cells
        .iter()
        .map(|template| {
            let labels = label_map([(labels::CLUSTER, &name), (labels::CELL, &template.name)]);
            VitessCell {
                metadata: child_of(cluster, names::cell(&name, &template.name), labels),
                spec: VitessCellSpec {
                    template: template.clone(),
                    global_lockserver: spec.global_lockserver.global_params(&namespace, &name),
                    all_cells: all_cells.clone(),
                    images: CellImages { vtgate: spec.images.vtgate.clone() },
                    image_pull_policies: spec.image_pull_policies.clone(),
                    image_pull_secrets: spec.image_pull_secrets.clone(),
                    extra_vitess_flags: spec.extra_vitess_flags.clone(),
                    topology_reconciliation: spec.topology_reconciliation.clone(),
                },
                status: None,
            }
        })
        .collect()
}

/// The keyspaces of a cluster, in the manifest's order.
#[must_use]
pub fn keyspaces(cluster: &VitessCluster) -> Vec<VitessKeyspace> {
    let spec = defaults::cluster(&cluster.spec);
    spec.keyspaces.iter().map(|keyspace| keyspace_of(cluster, &spec, keyspace)).collect()
}

fn keyspace_of(
    cluster: &VitessCluster,
    spec: &VitessClusterSpec,
    keyspace: &ClusterKeyspace,
) -> VitessKeyspace {
    let (name, namespace) = (cluster.name_any(), cluster.namespace().unwrap_or_default());
    let template = keyspace.template.clone();
    let labels = label_map([(labels::CLUSTER, &name), (labels::KEYSPACE, &template.name)]);
    let mut metadata = child_of(cluster, names::keyspace(&name, &template.name), labels);
    annotate(&mut metadata, &template.annotations);
    VitessKeyspace {
        metadata,
        spec: VitessKeyspaceSpec {
            template,
            global_lockserver: spec.global_lockserver.global_params(&namespace, &name),
            images: keyspace_images(&spec.images, &keyspace.images),
            image_pull_policies: spec.image_pull_policies.clone(),
            image_pull_secrets: spec.image_pull_secrets.clone(),
            zone_map: spec.cells.iter().map(|c| (c.name.clone(), c.zone.clone())).collect(),
            backup_locations: spec.backup.iter().flat_map(|b| b.locations.clone()).collect(),
            backup_engine: spec
                .backup
                .as_ref()
                .and_then(|b| b.engine)
                .map_or("", BackupEngine::as_str)
                .to_owned(),
            extra_vitess_flags: spec.extra_vitess_flags.clone(),
            topology_reconciliation: spec.topology_reconciliation.clone(),
            update_strategy: spec.update_strategy.clone(),
        },
        status: None,
    }
}

fn keyspace_images(cluster: &ClusterImages, own: &KeyspaceImageOverrides) -> KeyspaceImages {
    let or = |own: &String, cluster: &String| if own.is_empty() { cluster.clone() } else { own.clone() };
    let mut mysqld = cluster.mysqld.clone();
    if let Some(own) = &own.mysqld {
        let mysqld = mysqld.get_or_insert_default();
        mysqld.mysql56_compatible.clone_from(&own.mysql56_compatible);
        mysqld.mysql80_compatible.clone_from(&own.mysql80_compatible);
    }
    KeyspaceImages {
        vttablet: or(&own.vttablet, &cluster.vttablet),
        vtorc: or(&own.vtorc, &cluster.vtorc),
        vtbackup: or(&own.vtbackup, &cluster.vtbackup),
        mysqld,
        mysqld_exporter: or(&own.mysqld_exporter, &cluster.mysqld_exporter),
    }
}

/// The shards of a keyspace, in key-range order: the union of its
/// partitionings, a later one winning where key ranges are equal.
///
/// # Errors
/// When the keyspace's cluster is not known, or a key range cannot be had.
pub fn shards(keyspace: &VitessKeyspace) -> Result<Vec<VitessShard>, Error> {
    let cluster = label_of(keyspace, labels::CLUSTER)?;
    let spec = defaults::keyspace(&keyspace.spec);
    shard_templates(&spec)?
        .into_iter()
        .map(|(range, (index, template))| {
            let range = range.read().map_err(|error| Error::KeyRange { index, error })?;
            let labels = label_map([
                (labels::CLUSTER, &cluster),
                (labels::KEYSPACE, &spec.template.name),
                (labels::SHARD, &labels::shard(&range)),
            ]);
            let name = names::shard(&cluster, &spec.template.name, &range);
            let mut metadata = child_of(keyspace, name, labels);
            annotate(&mut metadata, &template.annotations);
            Ok(VitessShard {
                metadata,
                spec: shard_spec(&spec, KeyRangeSpec::from(&range), range.to_string(), template),
                status: None,
            })
        })
        .collect()
}

type Templates<'a> = BTreeMap<KeyRangeSpec, (usize, &'a ShardTemplate)>;

fn shard_templates(spec: &VitessKeyspaceSpec) -> Result<Templates<'_>, Error> {
    let mut templates = BTreeMap::new();
    for (index, partitioning) in spec.template.partitionings.iter().enumerate() {
        let shards = partitioning.shards().map_err(|error| Error::Partitioning { index, error })?;
        templates.extend(shards.into_iter().map(|(range, template)| (range, (index, template))));
    }
    Ok(templates)
}

fn shard_spec(
    keyspace: &VitessKeyspaceSpec,
    key_range: KeyRangeSpec,
    name: String,
    template: &ShardTemplate,
) -> VitessShardSpec {
    VitessShardSpec {
        template: template.clone(),
        name,
        database_name: keyspace.template.database_name.clone(),
        zone_map: keyspace.zone_map.clone(),
        images: keyspace.images.clone(),
        image_pull_policies: keyspace.image_pull_policies.clone(),
        image_pull_secrets: keyspace.image_pull_secrets.clone(),
        key_range,
        global_lockserver: keyspace.global_lockserver.clone(),
        vitess_orchestrator: keyspace.template.vitess_orchestrator.clone(),
        backup_locations: keyspace.backup_locations.clone(),
        backup_engine: keyspace.backup_engine.clone(),
        extra_vitess_flags: keyspace.extra_vitess_flags.clone(),
        topology_reconciliation: keyspace.topology_reconciliation.clone(),
        update_strategy: keyspace.update_strategy.clone(),
    }
}

fn etcd_lockserver(metadata: ObjectMeta, template: &EtcdTemplate, zone: &str) -> EtcdLockserver {
    EtcdLockserver {
        metadata,
        spec: EtcdLockserverSpec { template: defaults::etcd(template), zone: zone.to_owned() },
        status: None,
    }
}

/// The etcd of a cluster's global topology; `None` when an external one is named.
#[must_use]
pub fn lockserver(cluster: &VitessCluster) -> Option<EtcdLockserver> {
    let name = cluster.name_any();
    if cluster.spec.global_lockserver.external.is_some() {
        return None;
    }
    let template = cluster.spec.global_lockserver.etcd.clone().unwrap_or_default();
    let labels = label_map([(labels::CLUSTER, &name), (labels::COMPONENT, Component::Etcd.as_str())]);
    Some(etcd_lockserver(child_of(cluster, names::global_etcd(&name), labels), &template, ""))
}

/// The etcd of a cell's own topology; `None` when it shares the global one or names an external one.
///
/// # Errors
/// When the cell's cluster is not known.
pub fn local_lockserver(cell: &VitessCell) -> Result<Option<EtcdLockserver>, Error> {
    let lockserver = &cell.spec.template.lockserver;
    let Some(template) = lockserver.etcd.as_ref().filter(|_| lockserver.external.is_none()) else {
        return Ok(None);
    };
    let (cluster, name) = (label_of(cell, labels::CLUSTER)?, &cell.spec.template.name);
    let labels = label_map([
        (labels::CLUSTER, &cluster),
        (labels::CELL, name),
        (labels::COMPONENT, Component::Etcd.as_str()),
    ]);
    let metadata = child_of(cell, names::local_etcd(&cluster, name), labels);
    Ok(Some(etcd_lockserver(metadata, template, &cell.spec.template.zone)))
}

/// The backup locations of a cluster, in the manifest's order.
#[must_use]
pub fn backup_storages(cluster: &VitessCluster) -> Vec<VitessBackupStorage> {
    let name = cluster.name_any();
    let Some(backup) = &cluster.spec.backup else { return Vec::new() };
    backup
        .locations
        .iter()
        .map(|location| {
            let labels = label_map([(labels::CLUSTER, &name), (labels::BACKUP_LOCATION, &location.name)]);
            VitessBackupStorage {
                metadata: child_of(cluster, names::backup_storage(&name, &location.name), labels),
                spec: VitessBackupStorageSpec {
                    location: location.clone(),
                    subcontroller: backup.subcontroller.clone(),
                },
                status: None,
            }
        })
        .collect()
}

/// The backup schedules of a cluster, in the manifest's order; those that name no time are left out.
#[must_use]
pub fn backup_schedules(cluster: &VitessCluster) -> Vec<VitessBackupSchedule> {
    let spec = defaults::cluster(&cluster.spec);
    let name = cluster.name_any();
    spec.backup
        .iter()
        .flat_map(|backup| &backup.schedules)
        .filter(|template| !(template.schedule.is_empty() && template.frequency.is_empty()))
        .map(|template| VitessBackupSchedule {
            metadata: child_of(
                cluster,
                names::backup_schedule(&name, &template.name),
                label_map([(labels::CLUSTER, &name)]),
            ),
            spec: VitessBackupScheduleSpec {
                template: template.clone(),
                cluster: name.clone(),
                image: spec.images.vtctld.clone(),
                image_pull_policy: spec.image_pull_policies.vtctld.clone(),
            },
            status: None,
        })
        .collect()
}
