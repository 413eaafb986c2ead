//! Which fields of a spec change at once even where changes wait, by the contract's list.
//!
//! Pure edits of JSON: of a configuration to apply, or of a copy of what stands.

use std::collections::BTreeSet;

use pilothouse_api::key_ranges;
use pilothouse_api::partitioning::{EqualPartitioning, KeyRangeSpec};
use pilothouse_api::update_strategy::UpdateStrategy;
use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::kinds::Kind;

/// Puts into `spec` what changes at once between `stands` and `wanted`.
pub(super) fn put(kind: Kind, wanted: &Value, stands: &Value, spec: &mut Value) {
    match kind {
        // where an autoscaler is set, nobody asks for a number
        Kind::VitessCell => replicas(&["gateway", "replicas"], wanted, spec),
        Kind::Deployment => replicas(&["replicas"], wanted, spec),
        Kind::VitessKeyspace => {
            replace(&["turndownPolicy", "updateStrategy", "annotations"], wanted, spec);
            partitionings(wanted, stands, spec);
        }
        Kind::VitessShard => {
            replace(&["updateStrategy", "annotations"], wanted, spec);
            if lets_storage_change(wanted) {
                let mut pools = spec.get("tabletPools").cloned().unwrap_or_else(|| json!([]));
                grow(&mut pools, wanted, stands);
                spec["tabletPools"] = pools;
            }
        }
        _ => {} // their metadata alone
    }
}

fn replicas(path: &[&str], wanted: &Value, spec: &mut Value) {
    let number = path.iter().try_fold(wanted, |value, name| value.get(name));
    if let Some(number) = number {
        *path.iter().fold(spec, |value, name| &mut value[*name]) = number.clone();
    }
}

fn replace(names: &[&str], wanted: &Value, spec: &mut Value) {
    let Some(spec) = spec.as_object_mut() else { return };
    for name in names {
        match wanted.get(name) {
            Some(value) => spec.insert((*name).to_owned(), value.clone()),
            None => spec.remove(*name),
        };
    }
}

fn lets_storage_change(spec: &Value) -> bool {
    let strategy = spec.get("updateStrategy").and_then(|s| UpdateStrategy::deserialize(s).ok());
    UpdateStrategy::lets_storage_change(strategy.as_ref())
}

/// Those that are wanted; one of the same shards as one that stands keeps what that says.
fn partitionings(wanted: &Value, stands: &Value, spec: &mut Value) {
    let list =
        |spec: &Value| spec.get("partitionings").and_then(Value::as_array).cloned().unwrap_or_default();
    let (standing, grows) = (list(stands), lets_storage_change(wanted));
    let kept: Vec<Value> = list(wanted)
        .into_iter()
        .map(|wanted| {
            let shards = shards(&wanted);
            // a later one wins where both have the same shards
            let same = |s: &&Value| shards.is_some() && self::shards(s) == shards;
            let Some(mut kept) = standing.iter().rev().find(same).cloned() else { return wanted };
            if grows {
                grow_templates(&mut kept, &wanted);
            }
            kept
        })
        .collect();
    spec["partitionings"] = Value::Array(kept);
}

/// The key ranges of a partitioning; `None` if they cannot be read.
fn shards(partitioning: &Value) -> Option<BTreeSet<KeyRangeSpec>> {
    let number = |pointer: &str| {
        let found = partitioning.pointer(pointer).map_or(Some(0), Value::as_i64);
        found.and_then(|number| i32::try_from(number).ok())
    };
    if partitioning.get("equal").is_some() {
        let (parts, hex_width) = (number("/equal/parts")?, number("/equal/hexWidth")?);
        let equal = EqualPartitioning { parts, hex_width, ..EqualPartitioning::default() };
        return Some(key_ranges::equal(&equal).ok()?.into_iter().collect());
    }
    let shards = partitioning.pointer("/custom/shards").and_then(Value::as_array)?;
    shards.iter().map(|shard| KeyRangeSpec::deserialize(shard.get("keyRange")?).ok()).collect()
}

fn grow_templates(kept: &mut Value, wanted: &Value) {
    if let (Some(kept), Some(wanted)) =
        (kept.pointer_mut("/equal/shardTemplate"), wanted.pointer("/equal/shardTemplate"))
    {
        grow(&mut kept["tabletPools"], wanted, &Value::Null);
    }
    let wanted = wanted.pointer("/custom/shards").and_then(Value::as_array);
    let kept = kept.pointer_mut("/custom/shards").and_then(Value::as_array_mut);
    for kept in kept.into_iter().flatten() {
        let same = wanted.into_iter().flatten().find(|w| w.get("keyRange") == kept.get("keyRange"));
        if let Some(wanted) = same {
            grow(&mut kept["tabletPools"], wanted, &Value::Null);
        }
    }
}

/// Gives each pool the volume size that is wanted for it; a pool that `pools` lacks comes from `stands`.
fn grow(pools: &mut Value, wanted: &Value, stands: &Value) {
    const SIZE: [&str; 4] = ["dataVolumeClaimTemplate", "resources", "requests", "storage"];
    let size = |pool: &Value| SIZE.iter().try_fold(pool, |value, name| value.get(name)).cloned();
    let of = |spec: &Value| spec.get("tabletPools").and_then(Value::as_array).cloned().unwrap_or_default();
    let Some(pools) = pools.as_array_mut() else { return };
    let standing = of(stands);
    for wanted in of(wanted) {
        let Some(size) = size(&wanted) else { continue };
        let known = pools.iter().position(|pool| is_same_pool(pool, &wanted)).or_else(|| {
            pools.push(standing.iter().find(|pool| is_same_pool(pool, &wanted))?.clone());
            pools.len().checked_sub(1)
        });
        let claim = known.map(|at| &mut pools[at]).filter(|pool| pool.get(SIZE[0]).is_some());
        if let Some(pool) = claim {
            *SIZE.iter().fold(pool, |value, name| &mut value[*name]) = size;
        }
    }
}

fn is_same_pool(a: &Value, b: &Value) -> bool {
    let text =
        |pool: &Value, name: &str| pool.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    ["cell", "type", "name"].iter().all(|name| text(a, name) == text(b, name))
}
