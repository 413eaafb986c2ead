//! The deciding crate's view in the contract's records, as the host's own getters answer.

use pilothouse_core::gtid::GtidSet;
use pilothouse_core::topology as core_names;
use pilothouse_core::view::{self as core_view, ClusterView};
use pilothouse_core::zones::ZoneState as CoreZoneState;

use crate::queries::Queries;
use crate::records::{
    Backup, Cell, Drain, Durability, GatewaySurge, PodState, Pool, Reach, Replication, Role, Shard, Tablet,
    VitessSource, Volume, Wanted, Zone,
};
use crate::types::{PoolKey, PoolType, ShardId, TabletAlias, Value, ZoneState};
use crate::view::View;

/// Answers from a `ClusterView`.
struct Answers(ClusterView);

impl Answers {
    fn replication(&self, of: &TabletAlias) -> Option<&core_view::Replication> {
        self.0.tablets.iter().find(|t| alias(&t.alias) == *of)?.replication.as_ref()
    }

    fn core_shard(&self, id: &ShardId) -> Option<&core_view::ShardView> {
        self.0.shards.iter().find(|s| shard_id(&s.id) == *id)
    }
}

impl Queries for Answers {
    fn as_of(&self) -> u64 {
        self.0.as_of
    }

    fn vitess(&self) -> VitessSource {
        match self.0.vitess {
            core_view::VitessSource::Unknown => VitessSource::Unknown,
            core_view::VitessSource::Observed => VitessSource::Observed,
            core_view::VitessSource::Played => VitessSource::Played,
        }
    }

    fn name(&self) -> (String, String) {
        (self.0.cluster.namespace.clone(), self.0.cluster.name.clone())
    }

    fn zones(&self) -> Vec<Zone> {
        self.0.zones.iter().map(zone).collect()
    }

    fn cells(&self) -> Vec<Cell> {
        self.0.cells.iter().map(cell).collect()
    }

    fn shards(&self) -> Vec<Shard> {
        self.0.shards.iter().map(shard).collect()
    }

    fn pools(&self, shard: &ShardId) -> Vec<Pool> {
        self.core_shard(shard).map_or_else(Vec::new, |s| s.pools.iter().map(pool).collect())
    }

    fn tablets(&self) -> Vec<Tablet> {
        self.0.tablets.iter().map(|t| tablet(&self.0, t)).collect()
    }

    fn volumes(&self) -> Vec<Volume> {
        self.0.volumes.iter().map(volume).collect()
    }

    fn backups(&self, shard: &ShardId) -> Vec<Backup> {
        let of = self.core_shard(shard).into_iter().flat_map(|s| self.0.backups_of(&s.id));
        of.map(|b| backup(&self.0, b)).collect()
    }

    fn has_all_of(&self, candidate: &TabletAlias, other: &TabletAlias) -> bool {
        match (self.replication(candidate), self.replication(other)) {
            (Some(has), Some(other)) => {
                has.position.contains(&other.position) && has.position.contains(&other.forgotten)
            }
            (Some(_) | None, None) | (None, Some(_)) => false,
        }
    }

    fn fact(&self, subject: &str, name: &str) -> Option<Value> {
        self.0.facts.get(subject)?.get(name).map(value)
    }
}

/// The view of a `ClusterView`.
#[must_use]
pub fn view(core: &ClusterView) -> View<'static> {
    View::answered_by(Answers(core.clone()))
}

fn value(fact: &core_view::Fact) -> Value {
    match fact {
        core_view::Fact::Flag(b) => Value::Flag(*b),
        core_view::Fact::Integer(n) => Value::Integer(*n),
        core_view::Fact::Text(t) => Value::Text(t.clone()),
    }
}

fn alias(alias: &core_names::TabletAlias) -> TabletAlias {
    TabletAlias { cell: alias.cell.0.clone(), uid: alias.uid }
}

fn shard_id(id: &core_names::ShardId) -> ShardId {
    ShardId { keyspace: id.keyspace.clone(), key_range: id.range.to_string() }
}

fn pool_key(key: &core_names::PoolKey) -> PoolKey {
    let pool_type = match key.pool_type {
        core_names::PoolType::Replica => PoolType::Replica,
        core_names::PoolType::Rdonly => PoolType::Rdonly,
        core_names::PoolType::ExternalMaster => PoolType::ExternalMaster,
        core_names::PoolType::ExternalReplica => PoolType::ExternalReplica,
        core_names::PoolType::ExternalRdonly => PoolType::ExternalRdonly,
    };
    PoolKey { cell: key.cell.0.clone(), pool_type, name: key.name.clone() }
}

fn pool(pool: &core_view::PoolView) -> Pool {
    Pool {
        key: pool_key(&pool.key),
        replicas: pool.replicas,
        aliases: pool.aliases.iter().map(alias).collect(),
    }
}

const fn zone_state(state: CoreZoneState) -> ZoneState {
    match state {
        CoreZoneState::Unknown => ZoneState::Unknown,
        CoreZoneState::Healthy => ZoneState::Healthy,
        CoreZoneState::Suspect => ZoneState::Suspect,
        CoreZoneState::Lost => ZoneState::Lost,
        CoreZoneState::Recovering => ZoneState::Recovering,
    }
}

fn zone(zone: &core_view::ZoneView) -> Zone {
    Zone {
        name: zone.name.0.clone(),
        state: zone_state(zone.health.state),
        since: zone.health.since,
        nodes: zone.nodes,
        nodes_ready: zone.nodes_ready,
    }
}

fn cell(cell: &core_view::CellView) -> Cell {
    let surge = |s: &core_view::GatewaySurge| GatewaySurge {
        stands_in_for: s.stands_in_for.0.clone(),
        replicas: s.replicas,
    };
    Cell {
        name: cell.name.0.clone(),
        zone: cell.zone.as_ref().map(|z| z.0.clone()),
        zone_pinned: cell.zone_pinned,
        gateways: cell.gateways,
        gateways_ready: cell.gateways_ready,
        gateway_surge: cell.gateway_surge.iter().map(surge).collect(),
    }
}

fn shard(shard: &core_view::ShardView) -> Shard {
    Shard {
        id: shard_id(&shard.id),
        durability: match shard.durability {
            core_view::Durability::None => Durability::None,
            core_view::Durability::SemiSync => Durability::SemiSync,
            core_view::Durability::CrossCell => Durability::CrossCell,
        },
        primary: shard.primary.as_ref().map(alias),
        primary_since: shard.primary_since,
        initialized: shard.initialized,
        may_initialize: shard.may_initialize,
        backup_location: shard.backup_location.clone(),
        backup_running_since: shard.backup_running_since,
        backup_failed_at: shard.backup_failed_at,
    }
}

fn tablet(core: &ClusterView, tablet: &core_view::TabletView) -> Tablet {
    Tablet {
        alias: alias(&tablet.alias),
        shard: shard_id(&tablet.shard),
        pool: pool_key(&tablet.pool),
        index: tablet.index,
        wanted: match &tablet.wanted {
            core_view::Wanted::BySpec => Wanted::BySpec,
            core_view::Wanted::Surge { stands_in_for } => Wanted::Surge(stands_in_for.0.clone()),
            core_view::Wanted::No => Wanted::No,
        },
        zone: tablet.zone.as_ref().map(|z| z.0.clone()),
        zone_state: core.zone_of(tablet).map_or(ZoneState::Unknown, |z| zone_state(z.health.state)),
        pod: match tablet.pod {
            core_view::PodState::Absent => PodState::Absent,
            core_view::PodState::Pending => PodState::Pending,
            core_view::PodState::Running => PodState::Running,
            core_view::PodState::Terminating => PodState::Terminating,
            core_view::PodState::Ended => PodState::Ended,
        },
        ready: tablet.ready,
        node_ready: tablet.node_ready,
        drain: match tablet.drain {
            core_view::Drain::Not => Drain::Not,
            core_view::Drain::Started => Drain::Started,
            core_view::Drain::Acknowledged => Drain::Acknowledged,
            core_view::Drain::Finished => Drain::Finished,
        },
        role: role(tablet.role),
        reach: reach(tablet.reach),
        reach_since: tablet.reach_since,
        replication: tablet.replication.as_ref().map(|r| replication(core, tablet, r)),
        volume: tablet.volume.clone(),
    }
}

const fn role(role: core_view::Role) -> Role {
    match role {
        core_view::Role::Primary => Role::Primary,
        core_view::Role::Replica => Role::Replica,
        core_view::Role::Rdonly => Role::Rdonly,
        core_view::Role::Spare => Role::Spare,
        core_view::Role::Restore => Role::Restore,
        core_view::Role::Unknown => Role::Unknown,
    }
}

const fn reach(reach: core_view::Reach) -> Reach {
    match reach {
        core_view::Reach::Yes => Reach::Yes,
        core_view::Reach::No => Reach::No,
        core_view::Reach::Unknown => Reach::Unknown,
    }
}

fn replication(core: &ClusterView, of: &core_view::TabletView, r: &core_view::Replication) -> Replication {
    let mut others = GtidSet::default();
    for other in core.tablets_of(&of.shard) {
        if let Some(replication) = &other.replication
            && other.reach == core_view::Reach::Yes
        {
            others.union_with(&replication.position);
            others.union_with(&replication.forgotten);
        }
    }
    Replication {
        source: r.source.as_ref().map(alias),
        source_connected: r.source_connected,
        applying: r.applying,
        lag_ms: r.lag_ms,
        transactions: r.position.count(),
        behind: others.minus(&r.position).count(),
        errant: r.errant.count(),
        acks: r.acks,
    }
}

fn volume(volume: &core_view::VolumeView) -> Volume {
    Volume {
        claim: volume.claim.clone(),
        tablet: alias(&volume.tablet),
        requested: volume.requested,
        capacity: volume.capacity,
        used: volume.used,
        fill_per_hour: volume.fill_per_hour,
        expandable: volume.expandable,
        changes: volume.changes.clone(),
        maximum: volume.maximum,
    }
}

fn backup(core: &ClusterView, backup: &core_view::BackupView) -> Backup {
    let others = core.backups_of(&backup.shard).filter(|o| o.name != backup.name);
    let mut older = others.filter(|o| o.started <= backup.started && o.finished.is_some());
    Backup {
        name: backup.name.clone(),
        shard: shard_id(&backup.shard),
        location: backup.location.clone(),
        started: backup.started,
        finished: backup.finished,
        bytes: backup.bytes,
        verified: backup.verified,
        covers_older: older.all(|o| core.covers(backup, o)),
    }
}
