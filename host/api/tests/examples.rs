//! The example manifests are known to the schemas, valid, and ask for what they say.

mod schema_walk;

use std::collections::BTreeMap;
use std::fs;

use kube::ResourceExt;
use pilothouse_api::desired::DesiredCluster;
use pilothouse_api::validate::{validate, validate_cell, validate_keyspace, validate_shard};
use pilothouse_api::{VitessCluster, children, labels};
use pilothouse_core::topology::KeyRange;
use pilothouse_core::view::Durability;
use serde_json::Value;

fn manifest(name: &str) -> Vec<Value> {
    let text = fs::read_to_string(schema_walk::folder().join("examples").join(name)).unwrap();
    schema_walk::documents(&text)
}

#[track_caller]
fn cluster(documents: &[Value]) -> (VitessCluster, DesiredCluster) {
    let document = documents.iter().find(|d| d["kind"] == "VitessCluster").expect("a VitessCluster");
    let unknown = schema_walk::unknown(&schema_walk::schema_of("VitessCluster"), document);
    assert_eq!(unknown, Vec::<String>::new());
    let cluster: VitessCluster = serde_json::from_value(document.clone()).unwrap();
    let desired = validate(&cluster).unwrap();
    (cluster, desired)
}

/// Secrets' keys and claims that a manifest brings along.
fn brought_along(documents: &[Value]) -> BTreeMap<String, Vec<String>> {
    let name = |d: &Value| d["metadata"]["name"].as_str().unwrap().to_owned();
    let keys =
        |d: &Value| d["stringData"].as_object().map(|s| s.keys().cloned().collect()).unwrap_or_default();
    documents.iter().filter(|d| d["kind"] != "VitessCluster").map(|d| (name(d), keys(d))).collect()
}

#[test]
fn three_zones() {
    let documents = manifest("three-zones.yaml");
    let (cluster, desired) = cluster(&documents);
    assert_eq!((cluster.name_any().as_str(), cluster.namespace().as_deref()), ("harbour", Some("default")));
    let zones: Vec<_> = desired.cells.values().map(|c| c.zone.as_ref().unwrap().0.as_str()).collect();
    assert_eq!(zones, ["zone-a", "zone-b", "zone-c"]);
    assert!(desired.cells.values().all(|c| c.gateways == 1 && !c.autoscaled));
    let keyspace = &desired.keyspaces["commerce"];
    let shard = &keyspace.shards[&KeyRange::whole()];
    assert_eq!((keyspace.durability, keyspace.shards.len()), (Durability::SemiSync, 1));
    assert_eq!((shard.tablets(), shard.cells().len()), (3, 3));
    assert!(shard.pools.iter().all(|p| p.replicas == 1 && p.volume_request == Some(10 << 30)));
    assert_eq!(shard.backup_location.as_deref(), Some(""));
    let along = brought_along(&documents);
    assert_eq!(along["harbour-config"], ["init_db.sql", "users.json"]);
    assert!(along.contains_key("harbour-backups"));
}

#[test]
fn one_zone() {
    let documents = manifest("one-zone.yaml");
    let (_, desired) = cluster(&documents);
    let shard = &desired.keyspaces["commerce"].shards[&KeyRange::whole()];
    assert_eq!((desired.cells.len(), shard.tablets(), shard.backup_location.clone()), (1, 1, None));
    assert_eq!(brought_along(&documents)["dinghy-config"], ["init_db.sql"]);
}

#[test]
fn children_are_known_to_the_schemas_and_ask_for_the_same() {
    let (cluster, desired) = cluster(&manifest("three-zones.yaml"));
    let known = |kind: &str, value: Value| {
        assert_eq!(
            schema_walk::unknown(&schema_walk::schema_of(kind), &value),
            Vec::<String>::new(),
            "{kind}"
        );
    };
    for cell in children::cells(&cluster) {
        known("VitessCell", serde_json::to_value(&cell).unwrap());
        let read = validate_cell(&cell).unwrap();
        assert_eq!(read, desired.cells[&read.name]);
    }
    for keyspace in children::keyspaces(&cluster) {
        known("VitessKeyspace", serde_json::to_value(&keyspace).unwrap());
        let read = validate_keyspace(&keyspace).unwrap();
        assert_eq!(read, desired.keyspaces[&read.name]);
        for shard in children::shards(&keyspace).unwrap() {
            known("VitessShard", serde_json::to_value(&shard).unwrap());
            let mut of_shard = validate_shard(&shard).unwrap();
            of_shard.durability = Some(read.durability);
            assert_eq!(of_shard, read.shards[&of_shard.id.range]);
            assert_eq!(shard.labels()[labels::SHARD], labels::shard(&of_shard.id.range));
        }
    }
    known("EtcdLockserver", serde_json::to_value(children::lockserver(&cluster).unwrap()).unwrap());
    for storage in children::backup_storages(&cluster) {
        known("VitessBackupStorage", serde_json::to_value(&storage).unwrap());
    }
}

#[test]
fn objects_survive_reading_and_writing() {
    let (cluster, _) = cluster(&manifest("three-zones.yaml"));
    let written = serde_json::to_value(&cluster).unwrap();
    let read: VitessCluster = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(read, cluster);
    assert_eq!(serde_json::to_value(&read).unwrap(), written);
}
