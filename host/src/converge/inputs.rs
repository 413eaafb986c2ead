//! What a parent's children are rendered from.
//!
//! Owns which parts of the cluster's objects those are: as long as they are the same, nothing is
//! rendered again. Must not know what is made of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use pilothouse_api::defaults::MYSQLD_IMAGE;
use pilothouse_api::images::MysqldImage;
use pilothouse_api::labels::{self, Component};
use pilothouse_api::vitess_cell::SurgeGatewayStatus;
use pilothouse_api::vitess_shard::SurgeTabletStatus;
use pilothouse_core::topology::{Cell, Zone};
use pilothouse_core::view::BackupView;

use crate::asked::AskedShard;
use crate::cache::{Cached, Members, Typed};
use crate::kinds::Kind;
use crate::observe;

/// What a parent's children are rendered from. Of its status only what remembers a decision:
/// the rest of it is our own report.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Inputs {
    pub(super) generation: Option<i64>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    surge_tablets: Vec<SurgeTabletStatus>,
    surge_gateways: Vec<SurgeGatewayStatus>,
    assigned_zone: Option<String>,
    pub(super) zones: BTreeMap<Cell, Zone>,
    /// Claims that may ask for more than the manifest does.
    pub(super) claims: BTreeMap<String, u64>,
    pub(super) backups: Vec<BackupView>,
    /// The image of the cluster's databases: that of the first shard by name.
    pub(super) mysqld: String,
}

/// Reads them.
pub(super) fn of(
    object: &Cached,
    members: &Members,
    zones: &BTreeMap<Cell, Zone>,
    backups: &[BackupView],
) -> Inputs {
    let mut inputs = Inputs {
        generation: object.head().generation,
        labels: object.head().labels.clone(),
        annotations: object.head().annotations.clone(),
        ..Inputs::default()
    };
    match object.typed() {
        Typed::Shard(shard) => {
            inputs.surge_tablets = shard.object.status.iter().flat_map(|s| s.surge_tablets.clone()).collect();
            inputs.zones = zones.clone();
            inputs.claims = grown_claims(shard, members);
        }
        Typed::Cell(cell) => {
            let status = cell.status.as_ref();
            inputs.surge_gateways = status.map(|s| s.gateway.surge.clone()).unwrap_or_default();
            inputs.assigned_zone = status.and_then(|s| s.assigned_zone.clone());
            inputs.mysqld = mysqld_of_databases(members);
        }
        Typed::Lockserver(_) => inputs.zones = zones.clone(),
        Typed::Storage(_) => inputs.backups = backups.to_vec(),
        Typed::Cluster(_) | Typed::Keyspace(_) | Typed::Schedule(_) | Typed::Raw | Typed::Unreadable(_) => {}
    }
    inputs
}

/// Claims of tablets that may ask for more than the shard does. One that asks for no more than the
/// smallest of its pools changes nothing that is rendered.
fn grown_claims(shard: &AskedShard, members: &Members) -> BTreeMap<String, u64> {
    let pools = shard.asked.iter().flat_map(|asked| &asked.desired.pools);
    let smallest = pools.map(|pool| pool.volume_request.unwrap_or(0)).min().unwrap_or(0);
    let claims = members.of(Kind::PersistentVolumeClaim);
    let of_tablets = claims.filter(|c| c.label(labels::COMPONENT) == Component::Vttablet.as_str());
    let size = |c: &Arc<Cached>| Some((c.name().to_owned(), observe::requested_bytes(c)?));
    of_tablets.filter_map(size).filter(|(_, bytes)| *bytes > smallest).collect()
}

/// The image of the first shard by name that has one; what the cluster asks for while its shards do
/// not stand yet, so that gateways are not made for one MySQL and changed for another at once.
fn mysqld_of_databases(members: &Members) -> String {
    let chosen = |image: &MysqldImage| image.chosen().map(|(_, image)| image.to_owned());
    let mut of_shards = observe::shards_asked(members)
        .filter_map(|shard| shard.object.spec.images.mysqld.as_ref().and_then(chosen));
    let mut of_clusters = members.of(Kind::VitessCluster).filter_map(|object| match object.typed() {
        Typed::Cluster(cluster) if !cluster.spec.keyspaces.is_empty() => {
            cluster.spec.images.mysqld.as_ref().map_or_else(|| Some(MYSQLD_IMAGE.to_owned()), chosen)
        }
        _ => None,
    });
    of_shards.next().or_else(|| of_clusters.next()).unwrap_or_default()
}

/// The zones of the cells that have one.
pub(super) fn zones_of_cells(members: &Members) -> BTreeMap<Cell, Zone> {
    observe::cell_objects(members)
        .filter_map(|c| Some((Cell(c.spec.template.name.clone()), observe::cell_zone(c)?)))
        .collect()
}
