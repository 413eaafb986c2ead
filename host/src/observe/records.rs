//! The topology records that a cluster's objects ask for, beside those that were found.

use std::collections::BTreeSet;

use pilothouse_api::update_strategy::TopologyReconciliation;
use pilothouse_api::validate::{validate, validate_keyspace};
use pilothouse_api::{VitessCluster, children};
use pilothouse_core::topology::{Cell, ShardId};
use pilothouse_core::view::{CellInfo, RecordsView, Switches};

use super::{cell_objects, cluster_objects, keyspace_objects};
use crate::cache::{Members, Typed};
use crate::kinds::Kind;
use crate::vitess::Observation;

/// Both; `None` while the records are not known, or the manifest cannot be read: then nobody knows what is asked for.
pub(super) fn view(members: &Members, vitess: &Observation) -> Option<RecordsView> {
    let cluster = cluster_objects(members).next().filter(|cluster| validate(cluster).is_ok())?;
    let mut view = RecordsView {
        found: vitess.topology.clone()?,
        switches: switches(cluster.spec.topology_reconciliation.as_ref()),
        ..RecordsView::default()
    };
    let (namespace, name) = (
        cluster.metadata.namespace.clone().unwrap_or_default(),
        cluster.metadata.name.clone().unwrap_or_default(),
    );
    let asked = children::cells(cluster);
    // What stands and is asked for no more keeps its record until it is gone.
    for cell in cell_objects(members).chain(&asked) {
        let template = &cell.spec.template;
        let params =
            template.lockserver.local_params(&cell.spec.global_lockserver, &namespace, &name, &template.name);
        let info = CellInfo { address: params.address, root: params.root_path };
        view.cells.insert(Cell(template.name.clone()), info);
    }
    keyspaces(members, cluster, &mut view);
    Some(view)
}

fn keyspaces(members: &Members, cluster: &VitessCluster, view: &mut RecordsView) {
    for keyspace in &cluster.spec.keyspaces {
        let template = &keyspace.template;
        view.keyspaces.insert(template.name.clone(), template.durability_policy.clone());
    }
    let mut unread = BTreeSet::new();
    for object in members.of(Kind::VitessKeyspace).filter(|o| matches!(o.typed(), Typed::Unreadable(_))) {
        unread.insert(object.label(pilothouse_api::labels::KEYSPACE).to_owned());
    }
    for keyspace in keyspace_objects(members) {
        let template = &keyspace.spec.template;
        view.keyspaces.insert(template.name.clone(), template.durability_policy.clone());
        match validate_keyspace(keyspace) {
            Ok(desired) => view.shards.extend(desired.shards.into_values().map(|shard| shard.id)),
            Err(_) => {
                unread.insert(template.name.clone());
            }
        }
    }
    for shard in members.of(Kind::VitessShard) {
        match shard.typed() {
            Typed::Shard(read) if read.asked.is_ok() => {
                view.shards.extend(read.asked.as_ref().map(|asked| asked.desired.id.clone()));
            }
            _ => {
                unread.insert(shard.label(pilothouse_api::labels::KEYSPACE).to_owned());
            }
        }
    }
    // Of what cannot be read everything that is there is asked for.
    let kept: Vec<ShardId> =
        view.found.shards.keys().filter(|shard| unread.contains(&shard.keyspace)).cloned().collect();
    for keyspace in unread {
        if let Some(policy) = view.found.keyspaces.get(&keyspace) {
            view.keyspaces.entry(keyspace).or_insert_with(|| policy.clone());
        }
    }
    view.shards.extend(kept);
}

fn switches(chosen: Option<&TopologyReconciliation>) -> Switches {
    let chosen = chosen.cloned().unwrap_or_default();
    let on = |switch: Option<bool>| switch.unwrap_or(true);
    Switches {
        register_cells_aliases: on(chosen.register_cells_aliases),
        register_cells: on(chosen.register_cells),
        prune_cells: on(chosen.prune_cells),
        prune_keyspaces: on(chosen.prune_keyspaces),
        prune_srv_keyspaces: on(chosen.prune_srv_keyspaces),
        prune_shards: on(chosen.prune_shards),
        prune_shard_cells: on(chosen.prune_shard_cells),
        prune_tablets: on(chosen.prune_tablets),
    }
}
