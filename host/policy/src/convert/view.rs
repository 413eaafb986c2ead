//! The view's records, out to the guest.

use pilothouse_core::gtid::GtidSet;
use pilothouse_core::plan::Severity;
use pilothouse_core::topology::{Cell, PoolKey, PoolType, ShardId, TabletAlias};
use pilothouse_core::view as core;
use pilothouse_core::zones::ZoneState;

use crate::bindings::{types, view as wit};
use crate::snapshot::Snapshot;

pub(crate) fn alias(a: &TabletAlias) -> types::TabletAlias {
    types::TabletAlias { cell: a.cell.0.clone(), uid: a.uid }
}

pub(crate) fn shard_id(s: &ShardId) -> types::ShardId {
    types::ShardId { keyspace: s.keyspace.clone(), key_range: s.range.to_string() }
}

/// The tablet that a question names; a question needs no error, an unknown name has no answer.
pub(crate) fn from_alias(a: types::TabletAlias) -> TabletAlias {
    TabletAlias { cell: Cell(a.cell), uid: a.uid }
}

/// The shard that a question names; none when its range is not one.
pub(crate) fn from_shard_id(s: types::ShardId) -> Option<ShardId> {
    Some(ShardId { range: s.key_range.parse().ok()?, keyspace: s.keyspace })
}

pub(crate) const fn pool_type(t: PoolType) -> types::PoolType {
    match t {
        PoolType::Replica => types::PoolType::Replica,
        PoolType::Rdonly => types::PoolType::Rdonly,
        PoolType::ExternalMaster => types::PoolType::ExternalMaster,
        PoolType::ExternalReplica => types::PoolType::ExternalReplica,
        PoolType::ExternalRdonly => types::PoolType::ExternalRdonly,
    }
}

pub(crate) fn pool_key(k: &PoolKey) -> types::PoolKey {
    types::PoolKey { cell: k.cell.0.clone(), pool_type: pool_type(k.pool_type), name: k.name.clone() }
}

pub(crate) const fn zone_state(s: ZoneState) -> types::ZoneState {
    match s {
        ZoneState::Unknown => types::ZoneState::Unknown,
        ZoneState::Healthy => types::ZoneState::Healthy,
        ZoneState::Suspect => types::ZoneState::Suspect,
        ZoneState::Lost => types::ZoneState::Lost,
        ZoneState::Recovering => types::ZoneState::Recovering,
    }
}

pub(crate) const fn severity(s: types::Severity) -> Severity {
    match s {
        types::Severity::Info => Severity::Info,
        types::Severity::Warning => Severity::Warning,
        types::Severity::Error => Severity::Error,
    }
}

pub(crate) const fn vitess(v: core::VitessSource) -> wit::VitessSource {
    match v {
        core::VitessSource::Unknown => wit::VitessSource::Unknown,
        core::VitessSource::Observed => wit::VitessSource::Observed,
        core::VitessSource::Played => wit::VitessSource::Played,
    }
}

pub(crate) fn fact(f: &core::Fact) -> types::Value {
    match f {
        core::Fact::Flag(b) => types::Value::Flag(*b),
        core::Fact::Integer(n) => types::Value::Integer(*n),
        core::Fact::Text(t) => types::Value::Text(t.clone()),
    }
}

pub(crate) fn zone(z: &core::ZoneView) -> wit::Zone {
    wit::Zone {
        name: z.name.0.clone(),
        state: zone_state(z.health.state),
        since: z.health.since,
        nodes: z.nodes,
        nodes_ready: z.nodes_ready,
    }
}

pub(crate) fn cell(c: &core::CellView) -> wit::Cell {
    let surge = |s: &core::GatewaySurge| wit::GatewaySurge {
        stands_in_for: s.stands_in_for.0.clone(),
        replicas: s.replicas,
    };
    wit::Cell {
        name: c.name.0.clone(),
        zone: c.zone.as_ref().map(|z| z.0.clone()),
        zone_pinned: c.zone_pinned,
        gateways: c.gateways,
        gateways_ready: c.gateways_ready,
        gateway_surge: c.gateway_surge.iter().map(surge).collect(),
    }
}

pub(crate) fn shard(s: &core::ShardView) -> wit::Shard {
    wit::Shard {
        id: shard_id(&s.id),
        durability: match s.durability {
            core::Durability::None => wit::Durability::None,
            core::Durability::SemiSync => wit::Durability::SemiSync,
            core::Durability::CrossCell => wit::Durability::CrossCell,
        },
        primary: s.primary.as_ref().map(alias),
        primary_since: s.primary_since,
        initialized: s.initialized,
        may_initialize: s.may_initialize,
        backup_location: s.backup_location.clone(),
        backup_running_since: s.backup_running_since,
        backup_failed_at: s.backup_failed_at,
    }
}

pub(crate) fn pool(p: &core::PoolView) -> wit::Pool {
    wit::Pool { key: pool_key(&p.key), replicas: p.replicas, aliases: p.aliases.iter().map(alias).collect() }
}

const fn role(r: core::Role) -> wit::Role {
    match r {
        core::Role::Primary => wit::Role::Primary,
        core::Role::Replica => wit::Role::Replica,
        core::Role::Rdonly => wit::Role::Rdonly,
        core::Role::Spare => wit::Role::Spare,
        core::Role::Restore => wit::Role::Restore,
        core::Role::Unknown => wit::Role::Unknown,
    }
}

const fn reach(r: core::Reach) -> wit::Reach {
    match r {
        core::Reach::Yes => wit::Reach::Yes,
        core::Reach::No => wit::Reach::No,
        core::Reach::Unknown => wit::Reach::Unknown,
    }
}

const fn pod(p: core::PodState) -> wit::PodState {
    match p {
        core::PodState::Absent => wit::PodState::Absent,
        core::PodState::Pending => wit::PodState::Pending,
        core::PodState::Running => wit::PodState::Running,
        core::PodState::Terminating => wit::PodState::Terminating,
        core::PodState::Ended => wit::PodState::Ended,
    }
}

const fn drain(d: core::Drain) -> wit::Drain {
    match d {
        core::Drain::Not => wit::Drain::Not,
        core::Drain::Started => wit::Drain::Started,
        core::Drain::Acknowledged => wit::Drain::Acknowledged,
        core::Drain::Finished => wit::Drain::Finished,
    }
}

fn replication(snapshot: &Snapshot, shard: &ShardId, r: &core::Replication) -> wit::Replication {
    wit::Replication {
        source: r.source.as_ref().map(alias),
        source_connected: r.source_connected,
        applying: r.applying,
        lag_ms: r.lag_ms,
        transactions: r.position.count(),
        behind: snapshot.behind(shard, &r.position),
        errant: GtidSet::count(&r.errant),
        acks: r.acks,
    }
}

pub(crate) fn tablet(snapshot: &Snapshot, t: &core::TabletView) -> wit::Tablet {
    wit::Tablet {
        alias: alias(&t.alias),
        shard: shard_id(&t.shard),
        pool: pool_key(&t.pool),
        index: t.index,
        wanted: match &t.wanted {
            core::Wanted::BySpec => wit::Wanted::BySpec,
            core::Wanted::Surge { stands_in_for } => wit::Wanted::Surge(stands_in_for.0.clone()),
            core::Wanted::No => wit::Wanted::No,
        },
        zone: t.zone.as_ref().map(|z| z.0.clone()),
        zone_state: zone_state(
            snapshot.view().zone_of(t).map_or(ZoneState::Unknown, |zone| zone.health.state),
        ),
        pod: pod(t.pod),
        ready: t.ready,
        node_ready: t.node_ready,
        drain: drain(t.drain),
        role: role(t.role),
        reach: reach(t.reach),
        reach_since: t.reach_since,
        replication: t.replication.as_ref().map(|r| replication(snapshot, &t.shard, r)),
        volume: t.volume.clone(),
    }
}

pub(crate) fn volume(v: &core::VolumeView) -> wit::Volume {
    wit::Volume {
        claim: v.claim.clone(),
        tablet: alias(&v.tablet),
        requested: v.requested,
        capacity: v.capacity,
        used: v.used,
        fill_per_hour: v.fill_per_hour,
        expandable: v.expandable,
        changes: v.changes.clone(),
        maximum: v.maximum,
    }
}

pub(crate) fn backup(snapshot: &Snapshot, b: &core::BackupView) -> wit::Backup {
    wit::Backup {
        name: b.name.clone(),
        shard: shard_id(&b.shard),
        location: b.location.clone(),
        started: b.started,
        finished: b.finished,
        bytes: b.bytes,
        verified: b.verified,
        covers_older: snapshot.covers_older(b),
    }
}

/// The filter as a predicate; none when it names a shard that cannot exist.
pub(crate) fn tablet_filter(f: wit::TabletFilter) -> Option<impl Fn(&core::TabletView) -> bool> {
    let shard = match f.shard {
        Some(s) => Some(from_shard_id(s)?),
        None => None,
    };
    Some(move |t: &core::TabletView| {
        shard.as_ref().is_none_or(|s| t.shard == *s)
            && f.cell.as_ref().is_none_or(|c| t.alias.cell.0 == *c)
            && f.role.is_none_or(|r| role(t.role) == r)
            && f.reach.is_none_or(|r| reach(t.reach) == r)
    })
}
