//! What a spec means where it is silent.
//!
//! Completed copies are for the host alone: they flow into child specs and
//! rendered objects, and are never written back to what a user edits. The values
//! never change, since a changed default is a rollout nobody asked for.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    PersistentVolumeClaimSpec, ResourceRequirements, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::etcd_lockserver::EtcdTemplate;
use crate::gateway::Gateway;
use crate::images::{ClusterImages, MysqldImage};
use crate::lockserver::Lockserver;
use crate::orchestrator::{VitessDashboard, VitessOrchestrator, VtAdmin};
use crate::partitioning::{Partitioning, Replication, ShardTemplate};
use crate::update_strategy::{
    ExternalUpdateOptions, TopologyReconciliation, UpdateStrategy, UpdateStrategyType,
};
use crate::vitess_cell::VitessCellSpec;
use crate::vitess_cluster::VitessClusterSpec;
use crate::vitess_keyspace::{KeyspaceTemplate, TurndownPolicy, VitessKeyspaceSpec};
use crate::vitess_shard::VitessShardSpec;

/// Gateways of a cell.
pub const GATEWAYS: i32 = 2;
/// The image of every Vitess component.
pub const VITESS_IMAGE: &str = "vitess/lite:latest";
/// The image of mysqld.
pub const MYSQLD_IMAGE: &str = "mysql:8.0.40";
/// The image of mysqld-exporter.
pub const MYSQLD_EXPORTER_IMAGE: &str = "prom/mysqld-exporter:v0.18.0";
/// The image of etcd.
pub const ETCD_IMAGE: &str = "quay.io/coreos/etcd:v3.5.17";
/// Seconds that a tablet gets to stop.
pub const TABLET_GRACE_SECONDS: i64 = 1800;

fn quantities<const N: usize>(entries: [(&str, &str); N]) -> BTreeMap<String, Quantity> {
    entries.map(|(name, value)| (name.to_owned(), Quantity(value.to_owned()))).into()
}

/// Requests and limits are each filled in only when they name nothing at all.
fn resources(resources: &mut ResourceRequirements, cpu: &str, memory: &str) {
    let requests = resources.requests.get_or_insert_default();
    if requests.is_empty() {
        *requests = quantities([("cpu", cpu), ("memory", memory)]);
    }
    let limits = resources.limits.get_or_insert_default();
    if limits.is_empty() {
        *limits = quantities([("memory", memory)]);
    }
}

fn text(field: &mut String, default: &str) {
    if field.is_empty() {
        default.clone_into(field);
    }
}

/// Completes an etcd cluster.
#[must_use]
pub fn etcd(template: &EtcdTemplate) -> EtcdTemplate {
    let mut etcd = template.clone();
    text(&mut etcd.image, ETCD_IMAGE);
    let claim = etcd.data_volume_claim_template.get_or_insert_with(PersistentVolumeClaimSpec::default);
    if claim.access_modes.as_ref().is_none_or(Vec::is_empty) {
        claim.access_modes = Some(vec!["ReadWriteOnce".to_owned()]);
    }
    let volume = claim.resources.get_or_insert_with(VolumeResourceRequirements::default);
    let requests = volume.requests.get_or_insert_default();
    requests.entry("storage".to_owned()).or_insert_with(|| Quantity("1Gi".to_owned()));
    resources(&mut etcd.resources, "100m", "256Mi");
    for create in [&mut etcd.create_pdb, &mut etcd.create_client_service, &mut etcd.create_peer_service] {
        create.get_or_insert(true);
    }
    etcd.client_service.get_or_insert_default();
    etcd.peer_service.get_or_insert_default();
    etcd
}

fn global_lockserver(lockserver: &mut Lockserver) {
    if lockserver.external.is_none() {
        lockserver.etcd = Some(etcd(&lockserver.etcd.take().unwrap_or_default()));
    }
}

fn images(images: &mut ClusterImages) {
    for image in [
        &mut images.vtctld,
        &mut images.vtgate,
        &mut images.vttablet,
        &mut images.vtbackup,
        &mut images.vtorc,
    ] {
        text(image, VITESS_IMAGE);
    }
    text(&mut images.mysqld_exporter, MYSQLD_EXPORTER_IMAGE);
    images.mysqld.get_or_insert_with(|| MysqldImage {
        mysql80_compatible: MYSQLD_IMAGE.to_owned(),
        ..MysqldImage::default()
    });
}

/// Completes vtctld.
#[must_use]
pub fn dashboard(dashboard: Option<&VitessDashboard>) -> VitessDashboard {
    let mut dashboard = dashboard.cloned().unwrap_or_default();
    dashboard.replicas.get_or_insert(1);
    resources(&mut dashboard.resources, "100m", "128Mi");
    dashboard.service.get_or_insert_default();
    dashboard
}

/// Completes vtadmin.
#[must_use]
pub fn vtadmin(vtadmin: &VtAdmin) -> VtAdmin {
    let mut vtadmin = vtadmin.clone();
    vtadmin.replicas.get_or_insert(1);
    resources(&mut vtadmin.web_resources, "100m", "128Mi");
    resources(&mut vtadmin.api_resources, "100m", "128Mi");
    text(&mut vtadmin.fetch_credentials, "omit");
    vtadmin.service.get_or_insert_default();
    vtadmin
}

/// Completes vtorc: absent and empty mean the same.
#[must_use]
pub fn orchestrator(vtorc: Option<&VitessOrchestrator>) -> VitessOrchestrator {
    let mut vtorc = vtorc.cloned().unwrap_or_default();
    resources(&mut vtorc.resources, "100m", "128Mi");
    vtorc.service.get_or_insert_default();
    vtorc
}

/// Completes a cell's gateways.
#[must_use]
pub fn gateway(gateway: &Gateway) -> Gateway {
    let mut gateway = gateway.clone();
    gateway.replicas.get_or_insert(GATEWAYS);
    resources(&mut gateway.resources, "500m", "1Gi");
    gateway.service.get_or_insert_default();
    gateway
}

fn topology(topology: &mut Option<TopologyReconciliation>) {
    let t = topology.get_or_insert_default();
    for switch in [
        &mut t.register_cells_aliases,
        &mut t.register_cells,
        &mut t.prune_cells,
        &mut t.prune_keyspaces,
        &mut t.prune_srv_keyspaces,
        &mut t.prune_shards,
        &mut t.prune_shard_cells,
        &mut t.prune_tablets,
    ] {
        switch.get_or_insert(true);
    }
}

fn update_strategy(strategy: &mut Option<UpdateStrategy>) {
    let strategy = strategy.get_or_insert_default();
    match strategy.kind.get_or_insert_default() {
        UpdateStrategyType::External => {
            strategy.external.get_or_insert_with(ExternalUpdateOptions::default);
        }
        UpdateStrategyType::Immediate => {}
    }
}

fn replication(replication: &mut Replication) {
    for switch in [
        &mut replication.initialize_master,
        &mut replication.initialize_backup,
        &mut replication.recover_restarted_master,
    ] {
        switch.get_or_insert(true);
    }
}

fn partitioning(partitioning: &mut Partitioning) {
    let equal = partitioning.equal.iter_mut().map(|e| &mut e.shard_template);
    let custom = partitioning.custom.iter_mut().flat_map(|c| &mut c.shards).map(|s| &mut s.template);
    equal.chain(custom).for_each(|template: &mut ShardTemplate| replication(&mut template.replication));
}

fn keyspace_template(template: &mut KeyspaceTemplate) {
    template.turndown_policy.get_or_insert(TurndownPolicy::RequireIdle);
    template.partitionings.iter_mut().for_each(partitioning);
}

/// Completes a VitessCluster. Its cells stay as they are: each VitessCell completes its own.
#[must_use]
pub fn cluster(spec: &VitessClusterSpec) -> VitessClusterSpec {
    let mut spec = spec.clone();
    global_lockserver(&mut spec.global_lockserver);
    images(&mut spec.images);
    spec.vitess_dashboard = Some(dashboard(spec.vitess_dashboard.as_ref()));
    spec.vtadmin = spec.vtadmin.as_ref().map(vtadmin);
    spec.keyspaces.iter_mut().for_each(|k| keyspace_template(&mut k.template));
    if let Some(backup) = &mut spec.backup {
        backup.engine.get_or_insert_default();
    }
    topology(&mut spec.topology_reconciliation);
    update_strategy(&mut spec.update_strategy);
    spec.gateway_service.get_or_insert_default();
    spec.tablet_service.get_or_insert_default();
    spec
}

/// Completes a VitessCell.
#[must_use]
pub fn cell(spec: &VitessCellSpec) -> VitessCellSpec {
    let mut spec = spec.clone();
    spec.template.gateway = gateway(&spec.template.gateway);
    let lockserver = &mut spec.template.lockserver;
    if lockserver.external.is_none() {
        lockserver.etcd = lockserver.etcd.as_ref().map(etcd);
    }
    topology(&mut spec.topology_reconciliation);
    spec
}

/// Completes a VitessKeyspace.
#[must_use]
pub fn keyspace(spec: &VitessKeyspaceSpec) -> VitessKeyspaceSpec {
    let mut spec = spec.clone();
    keyspace_template(&mut spec.template);
    spec.template.vitess_orchestrator = Some(orchestrator(spec.template.vitess_orchestrator.as_ref()));
    topology(&mut spec.topology_reconciliation);
    update_strategy(&mut spec.update_strategy);
    spec
}

/// Completes a VitessShard.
#[must_use]
pub fn shard(spec: &VitessShardSpec) -> VitessShardSpec {
    let mut spec = spec.clone();
    replication(&mut spec.template.replication);
    spec.vitess_orchestrator = Some(orchestrator(spec.vitess_orchestrator.as_ref()));
    topology(&mut spec.topology_reconciliation);
    update_strategy(&mut spec.update_strategy);
    spec
}
