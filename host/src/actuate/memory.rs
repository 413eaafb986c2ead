//! Writes of what must outlive a pass: assigned zones and surge assignments, in
//! the status of the cell or shard that they are about.
//!
//! Each write carries the resourceVersion that it was decided on, so a stale
//! read ends in a conflict and never drops an entry.

use kube::api::{Patch, PatchParams};
use pilothouse_api::names;
use pilothouse_core::topology::{Cell, PoolKey, ShardId, TabletAlias, Zone};
use pilothouse_core::view::ClusterView;
use serde_json::{Value, json};

use super::{Effects, Error, MEMORY_MANAGER};
use crate::cache::ClusterKey;
use crate::kinds::{Kind, Part};

impl Effects {
    pub(super) async fn assign_zone(&self, key: &ClusterKey, cell: &Cell, zone: &Zone) -> Result<(), Error> {
        let name = names::cell(&key.name, &cell.0);
        self.remember(key, Kind::VitessCell, &name, |status| {
            status["assignedZone"] = json!(zone);
        })
        .await
    }

    pub(super) async fn surge_tablet(
        &self,
        key: &ClusterKey,
        view: &ClusterView,
        shard: &ShardId,
        pool: &PoolKey,
        index: u32,
        stands_in_for: &Cell,
    ) -> Result<(), Error> {
        let alias = view
            .shard(shard)
            .and_then(|s| s.pools.iter().find(|p| p.key == *pool))
            .and_then(|p| p.aliases.get(index.checked_sub(1)? as usize))
            .ok_or_else(|| Error::Overtaken(format!("{shard} has no pool {pool} with index {index}")))?;
        let entry = json!({
            "alias": alias,
            "poolType": pool.pool_type,
            "poolName": pool.name,
            "cell": pool.cell,
            "index": index,
            "standsInFor": stands_in_for,
            "since": crate::clock::rfc3339(self.clock.now()),
        });
        let name = names::shard(&key.name, &shard.keyspace, &shard.range);
        self.remember(key, Kind::VitessShard, &name, |status| {
            let list = entries(status, "surgeTablets");
            list.retain(|e| e["alias"] != entry["alias"]);
            list.push(entry);
            list.sort_by_key(|e| e["alias"].to_string());
        })
        .await
    }

    pub(super) async fn return_tablet(
        &self,
        key: &ClusterKey,
        shard: &ShardId,
        tablet: &TabletAlias,
    ) -> Result<(), Error> {
        let name = names::shard(&key.name, &shard.keyspace, &shard.range);
        self.remember(key, Kind::VitessShard, &name, |status| {
            entries(status, "surgeTablets").retain(|e| e["alias"] != json!(tablet));
        })
        .await
    }

    /// Sets how many gateways of `cell` stand in for another cell's; none: `replicas` 0.
    pub(super) async fn surge_gateway(
        &self,
        key: &ClusterKey,
        cell: &Cell,
        stands_in_for: &Cell,
        replicas: u32,
    ) -> Result<(), Error> {
        let name = names::cell(&key.name, &cell.0);
        self.remember(key, Kind::VitessCell, &name, |status| {
            let list = entries(&mut status["gateway"], "surge");
            list.retain(|e| e["standsInFor"] != json!(stands_in_for));
            if replicas > 0 {
                list.push(json!({ "standsInFor": stands_in_for, "replicas": replicas }));
            }
            list.sort_by_key(|e| e["standsInFor"].to_string());
        })
        .await
    }

    /// Changes the remembered part of a status, on the version that was read.
    async fn remember(
        &self,
        key: &ClusterKey,
        kind: Kind,
        name: &str,
        change: impl FnOnce(&mut Value),
    ) -> Result<(), Error> {
        let (version, status) = self
            .with_members(key, |m| {
                let cached = m.get(kind, name)?;
                let status = cached.field("/status").cloned().unwrap_or_else(|| json!({}));
                Some((cached.head().resource_version.clone(), status))
            })
            .ok_or_else(|| Error::Overtaken(format!("{} {name} is gone", kind.as_str())))?;
        let mut kept = json!({});
        for field in ["assignedZone", "surgeTablets"] {
            if let Some(value) = status.get(field) {
                kept[field] = value.clone();
            }
        }
        if let Some(surge) = status.pointer("/gateway/surge") {
            kept["gateway"] = json!({ "surge": surge });
        }
        change(&mut kept);
        let resource = kind.resource();
        let body = json!({
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": { "name": name, "resourceVersion": version },
            "status": kept,
        });
        let params = PatchParams::apply(MEMORY_MANAGER).force();
        let at = (key.namespace.as_str(), name);
        let answer = kind.patch(&self.client, at, Part::Status, &params, &Patch::Apply(&body)).await?;
        self.written(kind, answer);
        Ok(())
    }
}

fn entries<'a>(status: &'a mut Value, field: &str) -> &'a mut Vec<Value> {
    if !status.is_object() {
        *status = json!({});
    }
    if !status[field].is_array() {
        status[field] = json!([]);
    }
    status[field].as_array_mut().expect("made an array above")
}
