//! Tablet pools: identities, cells, volumes, and whose MySQL it is.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::PersistentVolumeClaimSpec;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::{Faults, Path, Reason};
use crate::desired::DesiredPool;
use crate::labels::annotations;
use crate::quantity;
use crate::tablet_pool::TabletPool;

/// What pools may refer to.
pub(super) struct Scope<'a> {
    pub(super) cells: &'a BTreeSet<&'a str>,
    pub(super) locations: &'a BTreeSet<String>,
}

pub(super) fn read_all(
    faults: &mut Faults,
    path: Path<'_>,
    pools: &[TabletPool],
    scope: &Scope<'_>,
) -> Vec<DesiredPool> {
    let external = pools.iter().filter(|p| p.pool_type.is_external()).count();
    if external != 0 && external != pools.len() {
        faults.add(path, Reason::ExternalMix);
    }
    let mut seen = BTreeSet::new();
    let mut desired = Vec::new();
    for (index, pool) in pools.iter().enumerate() {
        let path = path.index(index);
        let key = pool.key();
        faults.unique(path, &mut seen, key.clone(), &key.to_string());
        desired.push(read(faults, path, pool, scope));
    }
    desired
}

fn read(faults: &mut Faults, path: Path<'_>, pool: &TabletPool, scope: &Scope<'_>) -> DesiredPool {
    if pool.cell.is_empty() {
        faults.add(path.field("cell"), Reason::Missing);
    } else if !scope.cells.contains(pool.cell.as_str()) {
        faults.add(path.field("cell"), Reason::UnknownCell(pool.cell.clone()));
    }
    faults.pod(path, &pool.pod);
    faults.shape(path.field("topologySpreadConstraints"), &pool.topology_spread_constraints);
    let vttablet = path.field("vttablet");
    faults.shape(vttablet.field("lifecycle"), &pool.vttablet.lifecycle);
    if !pool.name.is_empty() && pool.external_datastore.is_none() {
        faults.add(path.field("name"), Reason::PoolName);
    }
    let volume_request = if pool.pool_type.is_external() {
        external(faults, path, pool);
        None
    } else {
        managed(faults, path, pool)
    };
    DesiredPool {
        key: pool.key(),
        replicas: faults.count(path.field("replicas"), pool.replicas),
        volume_request,
        volume_maximum: maximum(faults, path.field("annotations"), pool),
        backup_location: location(faults, path.field("backupLocationName"), pool, scope),
        external: pool.pool_type.is_external(),
    }
}

fn external(faults: &mut Faults, path: Path<'_>, pool: &TabletPool) {
    if pool.external_datastore.is_none() {
        faults.add(path.field("externalDatastore"), Reason::Missing);
    }
    if pool.mysqld.is_some() {
        faults.add(path.field("mysqld"), Reason::ManagedOnly);
    }
    if pool.data_volume_claim_template.is_some() {
        faults.add(path.field("dataVolumeClaimTemplate"), Reason::ManagedOnly);
    }
}

/// Reads what only pools with a MySQL of our own have; returns the bytes of each volume.
fn managed(faults: &mut Faults, path: Path<'_>, pool: &TabletPool) -> Option<u64> {
    if pool.external_datastore.is_some() {
        faults.add(path.field("externalDatastore"), Reason::ExternalOnly);
    }
    if pool.mysqld.is_none() {
        faults.add(path.field("mysqld"), Reason::Missing);
    }
    let path = path.field("dataVolumeClaimTemplate");
    let Some(claim) = &pool.data_volume_claim_template else {
        faults.add(path, Reason::Missing);
        return None;
    };
    let bytes = storage_request(faults, path, claim);
    if bytes.is_none() && storage(claim).is_none() {
        let resources = path.field("resources");
        let requests = resources.field("requests");
        faults.add(requests.field("storage"), Reason::Missing);
    }
    bytes
}

fn storage(claim: &PersistentVolumeClaimSpec) -> Option<&Quantity> {
    claim.resources.as_ref()?.requests.as_ref()?.get("storage")
}

/// The bytes that a claim asks for, if it says so.
pub(super) fn storage_request(
    faults: &mut Faults,
    path: Path<'_>,
    claim: &PersistentVolumeClaimSpec,
) -> Option<u64> {
    let resources = path.field("resources");
    let requests = resources.field("requests");
    faults.take(requests.field("storage"), quantity::bytes(storage(claim)?).map_err(Reason::Quantity))
}

fn maximum(faults: &mut Faults, path: Path<'_>, pool: &TabletPool) -> Option<u64> {
    let text = pool.pod.annotations.get(annotations::VOLUME_MAXIMUM)?;
    let bytes = quantity::bytes(&Quantity(text.clone())).map_err(Reason::Quantity);
    faults.take(path.key(annotations::VOLUME_MAXIMUM), bytes)
}

/// An empty name asks for the default location, which need not exist.
fn location(faults: &mut Faults, path: Path<'_>, pool: &TabletPool, scope: &Scope<'_>) -> Option<String> {
    let name = &pool.backup_location_name;
    let known = scope.locations.contains(name);
    if !known && !name.is_empty() {
        faults.add(path, Reason::UnknownLocation(name.clone()));
    }
    known.then(|| name.clone())
}
