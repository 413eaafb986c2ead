//! Keyspaces: partitionings, their key ranges, and the shards that they make.

use std::collections::{BTreeMap, BTreeSet};

use pilothouse_core::topology::{KeyRange, ShardId};
use pilothouse_core::view::Durability;

use super::pool::{self, Scope};
use super::{Faults, Path, Reason};
use crate::desired::{DesiredKeyspace, DesiredPool, DesiredShard};
use crate::key_ranges;
use crate::partitioning::{CustomPartitioning, EqualPartitioning, KeyRangeSpec, Partitioning, ShardTemplate};
use crate::vitess_keyspace::KeyspaceTemplate;

/// A shard template as read: what its shards have in common.
#[derive(Clone)]
pub(super) struct Template {
    may_initialize: bool,
    may_initialize_backup: bool,
    pools: Vec<DesiredPool>,
}

impl Template {
    pub(super) fn shard(
        self,
        keyspace: &str,
        range: KeyRange,
        durability: Option<Durability>,
    ) -> DesiredShard {
        DesiredShard {
            id: ShardId { keyspace: keyspace.to_owned(), range },
            durability,
            may_initialize: self.may_initialize,
            may_initialize_backup: self.may_initialize_backup,
            backup_location: self.pools.first().and_then(|p| p.backup_location.clone()),
            pools: self.pools,
        }
    }
}

pub(super) fn read(
    faults: &mut Faults,
    path: Path<'_>,
    keyspace: &KeyspaceTemplate,
    scope: &Scope<'_>,
) -> DesiredKeyspace {
    faults.name(path.field("name"), &keyspace.name, "-_.");
    if let Some(vtorc) = &keyspace.vitess_orchestrator {
        faults.pod(path.field("vitessOrchestrator"), &vtorc.pod);
    }
    let policy = path.field("durabilityPolicy");
    let durability = faults.take(policy, durability(&keyspace.durability_policy)).unwrap_or_default();
    let partitionings = path.field("partitionings");
    if !matches!(keyspace.partitionings.len(), 1 | 2) {
        faults.add(partitionings, Reason::PartitioningCount(keyspace.partitionings.len()));
    }
    let mut shards = BTreeMap::new();
    for (index, partitioning) in keyspace.partitionings.iter().enumerate() {
        for (range, template) in partition(faults, partitionings.index(index), partitioning, scope) {
            let shard = template.shard(&keyspace.name, range.clone(), Some(durability));
            // A later partitioning wins.
            shards.insert(range, shard);
        }
    }
    DesiredKeyspace { name: keyspace.name.clone(), durability, shards }
}

/// The guard counts acknowledgements of replicas only, so policies that let
/// rdonly tablets acknowledge too are read as their stricter kin.
fn durability(policy: &str) -> Result<Durability, Reason> {
    match policy {
        "" | "none" => Ok(Durability::None),
        "semi_sync" | "semi_sync_with_rdonly_ack" => Ok(Durability::SemiSync),
        "cross_cell" | "cross_cell_with_rdonly_ack" => Ok(Durability::CrossCell),
        other => Err(Reason::Durability(other.to_owned())),
    }
}

fn partition(
    faults: &mut Faults,
    path: Path<'_>,
    partitioning: &Partitioning,
    scope: &Scope<'_>,
) -> Vec<(KeyRange, Template)> {
    match (&partitioning.equal, &partitioning.custom) {
        (Some(equal), None) => equal_shards(faults, path.field("equal"), equal, scope),
        (None, Some(custom)) => custom_shards(faults, path.field("custom"), custom, scope),
        (Some(_), Some(_)) | (None, None) => {
            faults.add(path, Reason::ExactlyOne("equal and custom"));
            Vec::new()
        }
    }
}

fn equal_shards(
    faults: &mut Faults,
    path: Path<'_>,
    equal: &EqualPartitioning,
    scope: &Scope<'_>,
) -> Vec<(KeyRange, Template)> {
    let template = template(faults, path.field("shardTemplate"), &equal.shard_template, scope);
    let ranges = match key_ranges::equal(equal) {
        Ok(ranges) => ranges,
        Err(error) => {
            let field = match &error {
                key_ranges::Error::Parts(_) => "parts",
                key_ranges::Error::HexWidth(_) | key_ranges::Error::TooManyParts { .. } => "hexWidth",
            };
            faults.add(path.field(field), Reason::Partitioning(error));
            return Vec::new();
        }
    };
    let mut shards = Vec::with_capacity(ranges.len());
    for spec in &ranges {
        let range = faults.take(path, spec.read().map_err(Reason::KeyRange));
        shards.extend(range.map(|range| (range, template.clone())));
    }
    shards
}

fn custom_shards(
    faults: &mut Faults,
    path: Path<'_>,
    custom: &CustomPartitioning,
    scope: &Scope<'_>,
) -> Vec<(KeyRange, Template)> {
    let path = path.field("shards");
    if custom.shards.is_empty() {
        faults.add(path, Reason::Missing);
    }
    let mut seen = BTreeSet::new();
    let mut shards = Vec::new();
    for (index, shard) in custom.shards.iter().enumerate() {
        let path = path.index(index);
        let template = template(faults, path, &shard.template, scope);
        if let Some(range) = key_range(faults, path.field("keyRange"), &shard.key_range) {
            faults.unique(path.field("keyRange"), &mut seen, range.clone(), &range.to_string());
            shards.push((range, template));
        }
    }
    shards
}

pub(super) fn key_range(faults: &mut Faults, path: Path<'_>, spec: &KeyRangeSpec) -> Option<KeyRange> {
    let alone = |start: &str, end: &str| KeyRangeSpec { start: start.to_owned(), end: end.to_owned() }.read();
    let start = faults.take(path.field("start"), alone(&spec.start, "").map_err(Reason::KeyRange));
    let end = faults.take(path.field("end"), alone("", &spec.end).map_err(Reason::KeyRange));
    start.and(end)?;
    faults.take(path, spec.read().map_err(Reason::KeyRange))
}

pub(super) fn template(
    faults: &mut Faults,
    path: Path<'_>,
    template: &ShardTemplate,
    scope: &Scope<'_>,
) -> Template {
    let secret = &template.database_init_script_secret;
    if secret.key.is_empty() {
        let field = path.field("databaseInitScriptSecret");
        faults.add(field.field("key"), Reason::Missing);
    }
    Template {
        may_initialize: template.replication.initialize_master.unwrap_or(true),
        may_initialize_backup: template.replication.initialize_backup.unwrap_or(true),
        pools: pool::read_all(faults, path.field("tabletPools"), &template.tablet_pools, scope),
    }
}
