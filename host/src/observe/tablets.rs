//! Tablets as the view has them: from the shard's spec, its surge list, Pods, claims and Vitess.

use std::collections::BTreeMap;

use pilothouse_api::desired::DesiredShard;
use pilothouse_api::labels::{Component, annotations};
use pilothouse_api::vitess_shard::SurgeTabletStatus;
use pilothouse_api::{VitessShard, labels};
use pilothouse_core::mysql::Change;
use pilothouse_core::topology::{Cell, PoolKey, PoolType, ShardId, TabletAlias, Zone};
use pilothouse_core::view::{Drain, PodState, Reach, Role, TabletView, Wanted};
use serde_json::Value;

use super::Seen;
use crate::asked::Asked;
use crate::cache::Cached;
use crate::kinds::Kind;
use crate::vitess::Observation;

/// Every tablet of a shard that is wanted or still there, by alias.
pub(super) fn of_shard(
    seen: &Seen<'_>,
    shard: &VitessShard,
    Asked { desired: DesiredShard { id, .. }, pools }: &Asked,
    zones: &BTreeMap<Cell, Zone>,
) -> Vec<TabletView> {
    let mut tablets: BTreeMap<TabletAlias, TabletView> = BTreeMap::new();
    for pool in pools {
        for (alias, index) in pool.aliases.iter().zip(1..=pool.replicas) {
            let tablet = blank(id, alias, &pool.key, index, Wanted::BySpec);
            tablets.insert(alias.clone(), tablet);
        }
    }
    for surge in shard.status.iter().flat_map(|s| &s.surge_tablets) {
        let Some((alias, key, index)) = surge_identity(surge) else { continue };
        let wanted = Wanted::Surge { stands_in_for: Cell(surge.stands_in_for.clone()) };
        tablets.entry(alias.clone()).or_insert_with(|| blank(id, &alias, &key, index, wanted));
    }
    for kind in [Kind::Pod, Kind::PersistentVolumeClaim] {
        for object in seen.members.of(kind).filter(|o| is_tablet_of(o, id)) {
            let Some((alias, key, index)) = identity(object) else { continue };
            let tablet =
                tablets.entry(alias.clone()).or_insert_with(|| blank(id, &alias, &key, index, Wanted::No));
            match kind {
                Kind::Pod => stand(tablet, object, seen),
                _ => tablet.volume = Some(object.name().to_owned()),
            }
        }
    }
    let mut tablets: Vec<TabletView> = tablets.into_values().collect();
    for tablet in &mut tablets {
        if tablet.zone.is_none() {
            tablet.zone = zones.get(&tablet.alias.cell).cloned();
        }
        hear(tablet, seen.vitess);
    }
    tablets
}

/// Alias, pool and index of a surge entry; `None` if somebody wrote nonsense there.
fn surge_identity(surge: &SurgeTabletStatus) -> Option<(TabletAlias, PoolKey, u32)> {
    let key = PoolKey {
        cell: Cell(surge.cell.clone()),
        pool_type: surge.pool_type.parse().ok()?,
        name: surge.pool_name.clone(),
    };
    Some((surge.alias.parse().ok()?, key, u32::try_from(surge.index).ok()?))
}

fn blank(id: &ShardId, alias: &TabletAlias, pool: &PoolKey, index: u32, wanted: Wanted) -> TabletView {
    TabletView {
        alias: alias.clone(),
        shard: id.clone(),
        pool: pool.clone(),
        index,
        wanted,
        zone: None,
        pod: PodState::Absent,
        pod_name: String::new(),
        pod_uid: String::new(),
        pod_since: 0,
        ready: false,
        node_ready: None,
        drain: Drain::Not,
        drain_withdrawn: false,
        drain_ours: false,
        outdated: false,
        mysql_change: Change::None,
        ends_written_out: false,
        released: false,
        role: Role::Unknown,
        reach: Reach::Unknown,
        reach_since: 0,
        replication: None,
        volume: None,
    }
}

/// What the Pod and its node say.
fn stand(tablet: &mut TabletView, pod: &Cached, seen: &Seen<'_>) {
    tablet.pod = pod_state(pod);
    pod.name().clone_into(&mut tablet.pod_name);
    pod.uid().clone_into(&mut tablet.pod_uid);
    tablet.pod_since = pod.created();
    tablet.ready = is_ready(pod);
    (tablet.drain, tablet.drain_withdrawn) = drain(pod);
    let started = pod.annotation(annotations::DRAIN_STARTED).unwrap_or_default();
    tablet.drain_ours = started.starts_with(annotations::DRAIN_STARTED_BY_US);
    let outdated = seen.outdated.get(pod.name());
    tablet.outdated = outdated.is_some();
    tablet.mysql_change = outdated.copied().unwrap_or_default();
    tablet.released = pod.annotation(annotations::ROLLOUT_RELEASED).is_some();
    let node = pod.field("/spec/nodeName").and_then(Value::as_str);
    if let Some(node) = node.and_then(|n| seen.shared.get(&(Kind::Node, n.to_owned()))) {
        tablet.node_ready = Some(condition(node, "Ready") == Some(true));
        tablet.zone = super::zones::zone_of_node(node);
    }
}

/// What Vitess says.
fn hear(tablet: &mut TabletView, vitess: Option<&Observation>) {
    let Some(record) = vitess.and_then(|v| v.tablets.get(&tablet.alias)) else { return };
    tablet.role = record.role;
    tablet.reach = record.reach;
    tablet.reach_since = record.reach_since;
    tablet.ends_written_out = record.ends_written_out;
    tablet.replication.clone_from(&record.replication);
}

fn pod_state(pod: &Cached) -> PodState {
    if pod.is_terminating() {
        return PodState::Terminating;
    }
    match pod.field("/status/phase").and_then(Value::as_str) {
        Some("Running") => PodState::Running,
        Some("Succeeded" | "Failed") => PodState::Ended,
        Some(_) | None => PodState::Pending,
    }
}

/// The stage, and whether whoever asked for it has taken that back.
fn drain(pod: &Cached) -> (Drain, bool) {
    let has = |key| pod.annotation(key).is_some();
    let stage = if has(annotations::DRAIN_FINISHED) {
        Drain::Finished
    } else if has(annotations::DRAIN_ACKNOWLEDGED) {
        Drain::Acknowledged
    } else if has(annotations::DRAIN_STARTED) {
        Drain::Started
    } else {
        Drain::Not
    };
    (stage, stage != Drain::Not && !has(annotations::DRAIN_STARTED))
}

/// A condition of Pods, Nodes and Deployments: whether it is True; `None` while absent.
pub(crate) fn condition(object: &Cached, name: &str) -> Option<bool> {
    let conditions = object.field("/status/conditions")?.as_array()?;
    let condition = conditions.iter().find(|c| c["type"] == name)?;
    Some(condition["status"] == "True")
}

/// Whether a Pod's Ready condition is True.
pub(crate) fn is_ready(pod: &Cached) -> bool {
    condition(pod, "Ready") == Some(true)
}

/// Whether an object is a tablet's Pod or claim of that shard.
fn is_tablet_of(object: &Cached, id: &ShardId) -> bool {
    object.label(labels::COMPONENT) == Component::Vttablet.as_str()
        && object.label(labels::KEYSPACE) == id.keyspace
        && object.label(labels::SHARD) == id.range.safe_name()
}

/// Alias, pool and index by the labels that the contract puts on tablets.
fn identity(object: &Cached) -> Option<(TabletAlias, PoolKey, u32)> {
    let cell = Cell(object.label(labels::CELL).to_owned());
    let uid = object.label(labels::TABLET_UID).parse().ok()?;
    let pool_type: PoolType = object.label(labels::TABLET_TYPE).parse().ok()?;
    let index = object.label(labels::TABLET_INDEX).parse().ok()?;
    let name = object.label(labels::POOL_NAME).to_owned();
    Some((TabletAlias { cell: cell.clone(), uid }, PoolKey { cell, pool_type, name }, index))
}

/// The Pod of a tablet.
pub(crate) fn pod<'a>(members: &'a crate::cache::Members, alias: &TabletAlias) -> Option<&'a Cached> {
    let pods = members.of(Kind::Pod).map(AsRef::as_ref);
    pods.filter(|p| p.label(labels::COMPONENT) == Component::Vttablet.as_str())
        .find(|p| identity(p).is_some_and(|(found, _, _)| found == *alias))
}
