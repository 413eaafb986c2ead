//! Children of our own kinds. What they hold is [`pilothouse_api::children`]'s to say; here
//! they become apply configurations.

use kube::Resource;
use pilothouse_api::{VitessCell, VitessCluster, VitessKeyspace, children, defaults};
use pilothouse_core::action::ObjectRef;
use serde::Serialize;
use serde_json::json;

use super::child::prune;
use super::{Initial, Rendered};

/// A cluster's lockserver, unless its topology is kept elsewhere.
pub(super) fn lockserver(cluster: &VitessCluster) -> Option<Rendered> {
    children::lockserver(cluster).map(whole)
}

/// A cluster's backup locations.
pub(super) fn backup_storages(cluster: &VitessCluster) -> impl Iterator<Item = Rendered> {
    children::backup_storages(cluster).into_iter().map(whole)
}

/// A cluster's backup schedules.
pub(super) fn backup_schedules(cluster: &VitessCluster) -> impl Iterator<Item = Rendered> {
    children::backup_schedules(cluster).into_iter().map(whole)
}

/// A cluster's cells. Where an autoscaler is set, it writes the replicas, and we do not; but it
/// needs some to begin with: without any there is no `/scale` to read.
pub(super) fn cells(cluster: &VitessCluster) -> impl Iterator<Item = Rendered> {
    children::cells(cluster).into_iter().map(|mut cell| {
        let gateway = &mut cell.spec.template.gateway;
        let Some(autoscaler) = &gateway.autoscaler else { return whole(cell) };
        let first = gateway.replicas.or(autoscaler.min_replicas).unwrap_or(defaults::GATEWAYS);
        // Nought would turn the autoscaler off.
        let initial = Initial { at: "/spec/gateway/replicas", value: json!(first.max(1)) };
        gateway.replicas = None;
        Rendered { initial: Some(initial), ..whole(cell) }
    })
}

/// A cluster's keyspaces.
pub(super) fn keyspaces(cluster: &VitessCluster) -> impl Iterator<Item = Rendered> {
    children::keyspaces(cluster).into_iter().map(whole)
}

/// A keyspace's shards; none while validation would refuse it.
pub(super) fn shards(keyspace: &VitessKeyspace) -> Vec<Rendered> {
    children::shards(keyspace).unwrap_or_default().into_iter().map(whole).collect()
}

/// A cell's own lockserver, if it has one.
pub(super) fn local_lockserver(cell: &VitessCell) -> Option<Rendered> {
    children::local_lockserver(cell).ok().flatten().map(whole)
}

fn whole<K: Resource<DynamicType = ()> + Serialize>(object: K) -> Rendered {
    let meta = object.meta();
    let reference = ObjectRef {
        kind: K::kind(&()).into_owned(),
        namespace: meta.namespace.clone().unwrap_or_default(),
        name: meta.name.clone().unwrap_or_default(),
    };
    let mut value = json!(object);
    prune(&mut value);
    Rendered { object: reference, value, initial: None }
}
