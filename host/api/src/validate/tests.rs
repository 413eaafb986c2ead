//! What validation takes and what it refuses, by field and reason.

use kube::core::ObjectMeta;
use pilothouse_core::topology::PoolType;
use serde_json::json;

use super::*;
use crate::children;
use crate::partitioning::{CustomPartitioning, EqualPartitioning, KeyRangeShard, KeyRangeSpec, Partitioning};
use crate::tablet_pool::{ExternalDatastore, TabletPool};

/// Two cells, one keyspace, one shard, a pool in each cell.
fn sound() -> VitessCluster {
    let pool = |cell: &str| {
        json!({
            "cell": cell, "type": "replica", "replicas": 1,
            "vttablet": { "resources": {} }, "mysqld": { "resources": {} },
            "dataVolumeClaimTemplate": { "resources": { "requests": { "storage": "10Gi" } } },
        })
    };
    let spec = json!({
        "cells": [{ "name": "east", "zone": "z1" }, { "name": "west", "gateway": { "replicas": 3 } }],
        "backup": { "locations": [{ "volume": { "emptyDir": {} } }] },
        "keyspaces": [{
            "name": "orders", "durabilityPolicy": "cross_cell",
            "partitionings": [{ "equal": { "parts": 2, "shardTemplate": {
                "databaseInitScriptSecret": { "name": "s", "key": "init.sql" },
                "tabletPools": [pool("east"), pool("west")],
            } } }],
        }],
    });
    VitessCluster {
        metadata: ObjectMeta { name: Some("c".into()), namespace: Some("n".into()), ..ObjectMeta::default() },
        spec: serde_json::from_value(spec).unwrap(),
        status: None,
    }
}

fn equal(cluster: &mut VitessCluster) -> &mut EqualPartitioning {
    cluster.spec.keyspaces[0].template.partitionings[0].equal.as_mut().unwrap()
}

fn pools(cluster: &mut VitessCluster) -> &mut Vec<TabletPool> {
    &mut equal(cluster).shard_template.tablet_pools
}

fn custom(cluster: &mut VitessCluster, ranges: &[(&str, &str)]) {
    let template = equal(cluster).shard_template.clone();
    let shards = ranges
        .iter()
        .map(|(start, end)| KeyRangeShard {
            key_range: KeyRangeSpec { start: (*start).to_owned(), end: (*end).to_owned() },
            template: template.clone(),
        })
        .collect();
    let partitioning = Partitioning { custom: Some(CustomPartitioning { shards }), equal: None };
    cluster.spec.keyspaces[0].template.partitionings.push(partitioning);
}

fn make_external(pool: &mut TabletPool) {
    pool.pool_type = PoolType::ExternalMaster;
    pool.external_datastore = Some(ExternalDatastore::default());
    pool.mysqld = None;
    pool.data_volume_claim_template = None;
}

/// Breaks a sound cluster in one way and expects exactly these faults, as `field Reason`.
#[track_caller]
fn check(break_it: impl FnOnce(&mut VitessCluster), expected: &[&str]) {
    let mut cluster = sound();
    break_it(&mut cluster);
    let faults = match validate(&cluster) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(|f| format!("{} {}", f.field, f.reason.as_str())).collect(),
    };
    assert_eq!(faults, expected);
}

const POOLS: &str = "spec.keyspaces[0].partitionings[0].equal.shardTemplate.tabletPools";

#[test]
fn a_sound_cluster_reads_as_written() {
    let desired = validate(&sound()).unwrap();
    let cells: Vec<_> = desired.cells.values().map(|c| (c.name.0.as_str(), c.gateways)).collect();
    assert_eq!(cells, [("east", 2), ("west", 3)]);
    let shards: Vec<_> = desired.keyspaces["orders"].shards.keys().map(ToString::to_string).collect();
    assert_eq!(shards, ["-80", "80-"]);
}

#[test]
fn cells_and_keyspaces() {
    check(
        |c| c.spec.cells.clear(),
        &[
            "spec.cells Missing",
            &format!("{POOLS}[0].cell UnknownCell"),
            &format!("{POOLS}[1].cell UnknownCell"),
        ],
    );
    check(|c| c.spec.cells.push(c.spec.cells[0].clone()), &["spec.cells[2].name Duplicate"]);
    check(|c| c.spec.keyspaces.push(c.spec.keyspaces[0].clone()), &["spec.keyspaces[1].name Duplicate"]);
    check(|c| c.spec.cells[0].gateway.replicas = Some(-1), &["spec.cells[0].gateway.replicas Negative"]);
    check(|c| c.spec.keyspaces[0].template.name = "-x".into(), &["spec.keyspaces[0].name Name"]);
    check(
        |c| c.spec.keyspaces[0].template.durability_policy = "always".into(),
        &["spec.keyspaces[0].durabilityPolicy Durability"],
    );
}

#[test]
fn partitionings() {
    check(|c| equal(c).parts = 0, &["spec.keyspaces[0].partitionings[0].equal.parts Partitioning"]);
    check(|c| equal(c).hex_width = 3, &["spec.keyspaces[0].partitionings[0].equal.hexWidth Partitioning"]);
    check(
        |c| c.spec.keyspaces[0].template.partitionings.clear(),
        &["spec.keyspaces[0].partitionings PartitioningCount"],
    );
    let third = |c: &mut VitessCluster| {
        custom(c, &[("", "")]);
        custom(c, &[("", "")]);
    };
    check(third, &["spec.keyspaces[0].partitionings PartitioningCount"]);
    check(
        |c| c.spec.keyspaces[0].template.partitionings.push(Partitioning::default()),
        &["spec.keyspaces[0].partitionings[1] ExactlyOne"],
    );
}

#[test]
fn key_ranges_name_the_bad_bound() {
    let shards = "spec.keyspaces[0].partitionings[1].custom.shards";
    check(|c| custom(c, &[("8", "")]), &[&format!("{shards}[0].keyRange.start KeyRange")]);
    check(|c| custom(c, &[("", "A0")]), &[&format!("{shards}[0].keyRange.end KeyRange")]);
    check(|c| custom(c, &[("80", "40")]), &[&format!("{shards}[0].keyRange KeyRange")]);
    check(|c| custom(c, &[("80", "90-a0")]), &[&format!("{shards}[0].keyRange.end KeyRange")]);
    check(|c| custom(c, &[("80", ""), ("80", "")]), &[&format!("{shards}[1].keyRange Duplicate")]);
    check(|c| custom(c, &[]), &[&format!("{shards} Missing")]);
}

#[test]
fn a_later_partitioning_wins() {
    let mut cluster = sound();
    custom(&mut cluster, &[("", "80"), ("80", "c0"), ("c0", "")]);
    let shards = cluster.spec.keyspaces[0].template.partitionings[1].custom.as_mut().unwrap();
    shards.shards[0].template.tablet_pools.truncate(1);
    let desired = validate(&cluster).unwrap();
    let tablets: Vec<_> = desired.keyspaces["orders"]
        .shards
        .iter()
        .map(|(range, shard)| (range.to_string(), shard.tablets()))
        .collect();
    assert_eq!(tablets, [("-80", 1), ("80-", 2), ("80-c0", 2), ("c0-", 2)].map(|(r, n)| (r.to_owned(), n)));
}

#[test]
fn pool_identity_and_references() {
    check(|c| pools(c)[1].cell = "east".into(), &[&format!("{POOLS}[1] Duplicate")]);
    check(|c| pools(c)[1].cell = "north".into(), &[&format!("{POOLS}[1].cell UnknownCell")]);
    check(|c| pools(c)[1].cell.clear(), &[&format!("{POOLS}[1].cell Missing")]);
    check(|c| pools(c)[0].name = "a".into(), &[&format!("{POOLS}[0].name PoolName")]);
    check(|c| pools(c)[0].replicas = -1, &[&format!("{POOLS}[0].replicas Negative")]);
    check(
        |c| pools(c)[0].backup_location_name = "cold".into(),
        &[&format!("{POOLS}[0].backupLocationName UnknownLocation")],
    );
    check(|c| pools(c)[0].pod.tolerations = json!("all").into(), &[&format!("{POOLS}[0].tolerations Shape")]);
}

#[test]
fn volumes() {
    let storage = |c: &mut VitessCluster, size: &str| {
        let claim = pools(c)[0].data_volume_claim_template.as_mut().unwrap();
        let requests = claim.resources.as_mut().unwrap().requests.as_mut().unwrap();
        requests.get_mut("storage").unwrap().0 = size.to_owned();
    };
    let claim = format!("{POOLS}[0].dataVolumeClaimTemplate");
    check(|c| storage(c, "10GB"), &[&format!("{claim}.resources.requests.storage Quantity")]);
    check(|c| pools(c)[0].data_volume_claim_template = None, &[&format!("{claim} Missing")]);
    let no_request = |c: &mut VitessCluster| {
        pools(c)[0].data_volume_claim_template.as_mut().unwrap().resources = None;
    };
    check(no_request, &[&format!("{claim}.resources.requests.storage Missing")]);
    let limit = |c: &mut VitessCluster| {
        let key = crate::labels::annotations::VOLUME_MAXIMUM.to_owned();
        pools(c)[0].pod.annotations.insert(key, "lots".to_owned());
    };
    check(limit, &[&format!("{POOLS}[0].annotations[pilothouse.dev/volume-maximum] Quantity")]);
}

#[test]
fn external_pools() {
    check(|c| pools(c).iter_mut().for_each(make_external), &[]);
    check(|c| make_external(&mut pools(c)[0]), &[&format!("{POOLS} ExternalMix")]);
    check(
        |c| pools(c)[0].external_datastore = Some(ExternalDatastore::default()),
        &[&format!("{POOLS}[0].externalDatastore ExternalOnly")],
    );
    let bare = |c: &mut VitessCluster| {
        pools(c).iter_mut().for_each(|p| p.pool_type = PoolType::ExternalReplica);
        pools(c).truncate(1);
    };
    check(
        bare,
        &[
            &format!("{POOLS}[0].externalDatastore Missing"),
            &format!("{POOLS}[0].mysqld ManagedOnly"),
            &format!("{POOLS}[0].dataVolumeClaimTemplate ManagedOnly"),
        ],
    );
}

#[test]
fn backups() {
    let locations = |c: &mut VitessCluster, value: serde_json::Value| {
        c.spec.backup.as_mut().unwrap().locations = serde_json::from_value(value).unwrap();
    };
    check(|c| locations(c, json!([{}])), &["spec.backup.locations[0] ExactlyOne"]);
    let two = json!([{ "volume": {} }, { "volume": {} }]);
    check(|c| locations(c, two), &["spec.backup.locations[1].name Duplicate"]);
    let schedules = |c: &mut VitessCluster, value: serde_json::Value| {
        c.spec.backup.as_mut().unwrap().schedules = serde_json::from_value(value).unwrap();
    };
    let timeless = json!([{ "name": "s", "strategies": [{ "name": "all", "scope": "Cluster" }] }]);
    check(|c| schedules(c, timeless), &["spec.backup.schedules[0] ExactlyOne"]);
    let twice = json!([{ "name": "s", "frequency": "24h", "strategies": [
        { "name": "a", "scope": "Shard", "keyspace": "orders", "shard": "-80" },
        { "name": "b", "keyspace": "orders", "shard": "-80" },
        { "name": "c", "scope": "Keyspace", "keyspace": "none" },
    ] }]);
    check(
        |c| schedules(c, twice),
        &[
            "spec.backup.schedules[0].strategies[2].keyspace UnknownKeyspace",
            "spec.backup.schedules[0].strategies[1] Duplicate",
        ],
    );
}

#[test]
fn schedules_name_times_and_each_shard_once() {
    let schedule = |faults: &[&str], value: serde_json::Value| {
        let all = json!([{ "name": "other", "frequency": "24h", "strategies": [
            { "name": "orders", "scope": "Keyspace", "keyspace": "orders" }] }, value]);
        let change = |c: &mut VitessCluster| {
            c.spec.backup.as_mut().unwrap().schedules = serde_json::from_value(all).unwrap();
        };
        let faults: Vec<String> = faults.iter().map(|f| format!("spec.backup.schedules[1]{f}")).collect();
        check(change, &faults.iter().map(String::as_str).collect::<Vec<_>>());
    };
    let cluster = json!([{ "name": "all", "scope": "Cluster" }]);
    let at = |time: &str| json!({ "name": "s", "schedule": time, "strategies": cluster });
    let every = |span: &str| json!({ "name": "s", "frequency": span, "strategies": cluster });
    schedule(&[], at("30 2 * * sun"));
    schedule(&[".schedule Cron"], at("2 o'clock"));
    schedule(&[], every("6h"));
    schedule(&[".frequency Span"], every("7h"));
    let bounds = json!({ "name": "s", "frequency": "6h", "strategies": cluster, "jobTimeoutMinute": -1,
        "startingDeadlineSeconds": -1, "successfulJobsHistoryLimit": -1, "failedJobsHistoryLimit": -1,
        "allowedMissedRun": -1 });
    let negative = |field: &str| format!(".{field} Negative");
    let negative = [
        "allowedMissedRun",
        "successfulJobsHistoryLimit",
        "failedJobsHistoryLimit",
        "startingDeadlineSeconds",
        "jobTimeoutMinute",
    ]
    .map(negative);
    schedule(&negative.each_ref().map(String::as_str), bounds);
    let of =
        |strategies: serde_json::Value| json!({ "name": "s", "frequency": "6h", "strategies": strategies });
    schedule(
        &[
            ".strategies[0].keyspace Missing",
            ".strategies[1].shard OfScope",
            ".strategies[2].keyspace OfScope",
        ],
        of(json!([{ "name": "a", "shard": "-" },
            { "name": "b", "scope": "Keyspace", "keyspace": "orders", "shard": "-" },
            { "name": "c", "scope": "Cluster", "keyspace": "orders" }])),
    );
    schedule(
        &[".strategies[0].shard KeyRange"],
        of(json!([{ "name": "a", "keyspace": "orders", "shard": "80" }])),
    );
    // The other schedule backs up the keyspace as a whole, so this one's cluster is without it.
    let shard = json!({ "name": "a", "keyspace": "orders", "shard": "-80" });
    schedule(&[], of(json!([{ "name": "all", "scope": "Cluster" }, shard])));
    let whole = json!({ "name": "b", "scope": "Keyspace", "keyspace": "orders" });
    schedule(&[".strategies[1] Duplicate"], of(json!([whole, shard])));
}

#[test]
fn levels_read_their_own_spec() {
    let cluster = sound();
    let mut keyspace = children::keyspaces(&cluster).remove(0);
    let mut shard = children::shards(&keyspace).unwrap().remove(0);
    assert!(validate_shard(&shard).is_ok());
    shard.spec.template.tablet_pools[0].cell = "north".into();
    shard.spec.name = "-".into();
    shard.metadata.labels = None;
    let faults = validate_shard(&shard).unwrap_err();
    let fields: Vec<_> = faults.iter().map(|f| f.field.as_str()).collect();
    assert_eq!(
        fields,
        ["metadata.labels[planetscale.com/keyspace]", "spec.name", "spec.tabletPools[0].cell",]
    );
    keyspace.spec.zone_map.remove("west");
    let faults = validate_keyspace(&keyspace).unwrap_err();
    assert_eq!(faults[0].field, "spec.partitionings[0].equal.shardTemplate.tabletPools[1].cell");
}

#[test]
fn vtadmin_needs_an_image_and_addresses() {
    let admin = |cells: &[&str], addresses: &[&str]| {
        let vtadmin = json!({ "cells": cells, "apiAddresses": addresses });
        move |cluster: &mut VitessCluster| {
            cluster.spec.images.vtadmin = "vtadmin".to_owned();
            cluster.spec.vtadmin = serde_json::from_value(vtadmin).unwrap();
        }
    };
    check(admin(&["east"], &["a"]), &[]);
    check(admin(&[], &["a", "b"]), &[]);
    check(admin(&["east", "west"], &["a"]), &[]);
    check(admin(&["east"], &[]), &["spec.vtadmin.apiAddresses Missing"]);
    check(admin(&["east"], &["a", "b"]), &["spec.vtadmin.apiAddresses Addresses"]);
    check(admin(&["east", "east"], &["a"]), &["spec.vtadmin.cells[1] Duplicate"]);
    check(admin(&["south"], &["a"]), &["spec.vtadmin.cells[0] UnknownCell"]);
    check(
        |cluster| {
            admin(&["east"], &["a"])(cluster);
            cluster.spec.images.vtadmin.clear();
        },
        &["spec.images.vtadmin Missing"],
    );
}

#[test]
fn an_autoscaler_has_bounds() {
    let scaled = |autoscaler: serde_json::Value| {
        move |cluster: &mut VitessCluster| {
            cluster.spec.cells[1].gateway.autoscaler = serde_json::from_value(autoscaler).unwrap();
        }
    };
    let at = "spec.cells[1].gateway.autoscaler";
    check(scaled(json!({ "minReplicas": 2, "maxReplicas": 2 })), &[]);
    check(scaled(json!({ "minReplicas": 2 })), &[&format!("{at}.maxReplicas Missing")]);
    check(scaled(json!({ "minReplicas": 3, "maxReplicas": 2 })), &[&format!("{at}.minReplicas Bounds")]);
}
