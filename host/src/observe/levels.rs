//! Keyspaces as wholes, what of them serves, and levels that nobody asks for any more.

use std::collections::BTreeMap;

use pilothouse_api::partitioning::{Partitioning, ShardTemplate};
use pilothouse_api::vitess_keyspace::TurndownPolicy;
use pilothouse_core::action::ObjectRef;
use pilothouse_core::topology::{Cell, ShardId};
use pilothouse_core::view::{KeyspaceView, Level, UnwantedLevel};

use super::{Seen, keyspace_objects, shards_asked};
use crate::cache::{Cached, Members, Typed};
use crate::kinds::Kind;
use crate::vitess::Observation;

/// The keyspaces that stand, by name.
pub(super) fn keyspaces(members: &Members) -> Vec<KeyspaceView> {
    let mut all: BTreeMap<String, KeyspaceView> = keyspace_objects(members)
        .map(|object| {
            let template = &object.spec.template;
            let keyspace = KeyspaceView {
                name: template.name.clone(),
                cells: template.partitionings.iter().flat_map(templates).flat_map(cells).collect(),
                goes_at_once: template.turndown_policy == Some(TurndownPolicy::Immediate),
            };
            (keyspace.name.clone(), keyspace)
        })
        .collect();
    // A shard may not have what its keyspace asks for by now: that can wait for a release.
    for shard in shards_asked(members) {
        let keyspace =
            shard.object.metadata.labels.as_ref().and_then(|l| l.get(pilothouse_api::labels::KEYSPACE));
        if let Some(keyspace) = keyspace.and_then(|name| all.get_mut(name)) {
            keyspace.cells.extend(cells(&shard.object.spec.template));
        }
    }
    for keyspace in all.values_mut() {
        keyspace.cells.sort();
        keyspace.cells.dedup();
    }
    all.into_values().collect()
}

fn templates(partitioning: &Partitioning) -> impl Iterator<Item = &ShardTemplate> {
    let custom = partitioning.custom.iter().flat_map(|c| &c.shards).map(|shard| &shard.template);
    custom.chain(partitioning.equal.iter().map(|equal| &equal.shard_template))
}

fn cells(template: &ShardTemplate) -> impl Iterator<Item = Cell> {
    template.tablet_pools.iter().map(|pool| Cell(pool.cell.clone()))
}

/// The levels that nobody asks for, those that stand lowest first.
pub(super) fn unwanted(seen: &Seen<'_>) -> Vec<UnwantedLevel> {
    let of = |kind: Kind| seen.unwanted.iter().filter(move |((k, _), _)| *k == kind);
    let kinds = [Kind::VitessShard, Kind::VitessKeyspace, Kind::VitessCell];
    let all = kinds.into_iter().flat_map(of).filter_map(|((kind, name), others_stand)| {
        let object = seen.members.get(*kind, name)?;
        Some(UnwantedLevel {
            level: level(object)?,
            object: ObjectRef {
                kind: kind.as_str().to_owned(),
                namespace: object.head().namespace.clone().unwrap_or_default(),
                name: name.clone(),
            },
            uid: object.uid().to_owned(),
            others_stand: *others_stand,
        })
    });
    all.collect()
}

/// What an object stands for; `None` where its spec cannot be read: such a one stays.
fn level(object: &Cached) -> Option<Level> {
    match object.typed() {
        Typed::Cell(cell) => Some(Level::Cell(Cell(cell.spec.template.name.clone()))),
        Typed::Keyspace(keyspace) => Some(Level::Keyspace(keyspace.spec.template.name.clone())),
        Typed::Shard(shard) => Some(Level::Shard(shard.asked.as_ref().ok()?.desired.id.clone())),
        Typed::Cluster(_)
        | Typed::Lockserver(_)
        | Typed::Storage(_)
        | Typed::Schedule(_)
        | Typed::Raw
        | Typed::Unreadable(_) => None,
    }
}

/// Keyspaces that a cell has a serving graph of; `None` while the graphs are not known.
pub(super) fn served(vitess: &Observation, cell: &Cell) -> Option<Vec<String>> {
    let graphs = vitess.topology.as_ref()?.graphs.get(cell);
    Some(graphs.into_iter().flat_map(|graphs| graphs.keys().cloned()).collect())
}

/// Whether a partition that serves has the shard, by the graphs of any cell; `None` while they
/// are not known. Without a graph of its keyspace only a shard that never had a database is known not to serve.
pub(super) fn serving(vitess: &Observation, id: &ShardId) -> Option<bool> {
    let graphs = vitess.topology.as_ref()?.graphs.values();
    let mut graphs = graphs.filter_map(|graphs| graphs.get(&id.keyspace)).peekable();
    if graphs.peek().is_some() {
        return Some(graphs.any(|ranges| ranges.contains(&id.range)));
    }
    let record = vitess.shards.get(id);
    let has_database = record.is_some_and(|r| r.primary.is_some() || r.initialized);
    (!has_database).then_some(false)
}
