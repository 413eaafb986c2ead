//! What holds for the tree below any manifest: names that Kubernetes takes, owners that stand in
//! it, selectors that find what they are for.
//!
//! The manifests are drawn from numbered seeds, so that the same number is the same manifest.

use std::collections::BTreeMap;

use pilothouse_api::VitessCluster;
use pilothouse_api::validate::validate;
use serde_json::{Value, json};

use super::tree::{Tree, tree};
use crate::simulate::Draws;

const MANIFESTS: u64 = 300;

/// A name that ends in its number, of these letters within, of up to so many characters.
fn name(draws: &mut Draws, number: u64, within: &[u8], most: u64) -> String {
    let letters: Vec<u8> = (5..draws.range(5, most)).map(|_| draws.pick(within)).collect();
    format!("n{}{number}", String::from_utf8(letters).expect("of letters"))
}

fn pool(draws: &mut Draws, cell: &str, kind: &str) -> Value {
    let mut pool = json!({
        "cell": cell, "type": kind, "replicas": draws.range(0, 3),
        "vttablet": { "resources": {} }, "mysqld": { "resources": {} },
        "dataVolumeClaimTemplate": { "resources": { "requests": { "storage": "1Gi" } } },
    });
    if draws.chance(50) {
        pool["extraLabels"] = json!({ "example.com/team": "harbour" });
    }
    pool
}

fn template(draws: &mut Draws, cells: &[String]) -> Value {
    let mut pools = Vec::new();
    for cell in cells {
        for kind in ["replica", "rdonly"] {
            if pools.is_empty() || draws.chance(50) {
                pools.push(pool(draws, cell, kind));
            }
        }
    }
    json!({ "databaseInitScriptSecret": { "name": "s", "key": "k" }, "tabletPools": pools })
}

fn partitioning(draws: &mut Draws, cells: &[String]) -> Value {
    let template = template(draws, cells);
    if draws.chance(50) {
        let parts = draws.pick(&[1, 2, 3, 4, 7]);
        return json!({ "equal": { "parts": parts, "shardTemplate": template } });
    }
    let ranges = [json!({ "end": "40" }), json!({ "start": "40", "end": "c0" }), json!({ "start": "c0" })];
    let shards = ranges.map(|range| {
        let mut shard = template.clone();
        shard["keyRange"] = range;
        shard
    });
    json!({ "custom": { "shards": shards } })
}

fn manifest(seed: u64) -> VitessCluster {
    let draws = &mut Draws::new(seed, "manifest");
    let cells: Vec<String> = (0..=draws.range(0, 2)).map(|n| name(draws, n, b"abcXYZ019_.", 40)).collect();
    let keyspace = |draws: &mut Draws, n| {
        let partitionings: Vec<Value> =
            (0..=draws.range(0, 1)).map(|_| partitioning(draws, &cells)).collect();
        json!({ "name": name(draws, n, b"abcXYZ019-_", 40), "partitionings": partitionings })
    };
    let keyspaces: Vec<Value> = (0..draws.range(0, 2)).map(|n| keyspace(draws, n)).collect();
    let cell = |draws: &mut Draws, name: &String| {
        let mut cell = json!({ "name": name, "gateway": { "replicas": draws.range(0, 2) } });
        if draws.chance(50) {
            cell["zone"] = json!("z");
        }
        if draws.chance(50) {
            cell["lockserver"] = json!({ "etcd": {} });
        }
        cell
    };
    let of_cells: Vec<Value> = cells.iter().map(|name| cell(draws, name)).collect();
    let image = "vitess/lite:v24.0.2-mysql80";
    let mut spec = json!({
        "cells": of_cells, "keyspaces": keyspaces,
        "images": {
            "vtctld": image, "vtgate": image, "vttablet": image, "vtorc": image, "vtbackup": image,
            "mysqld": { "mysql80Compatible": image }, "mysqldExporter": "prom/mysqld-exporter:v0.18.0",
        },
    });
    if draws.chance(50) {
        spec["backup"] = json!({ "engine": "builtin", "locations": [{ "volume": { "emptyDir": {} } }] });
    }
    if draws.chance(50) {
        let external = json!({ "implementation": "etcd2", "address": "etcd:2379", "rootPath": "/r" });
        spec["globalLockserver"] = json!({ "external": external });
    }
    let name = name(draws, 0, b"abc019-", 40);
    serde_json::from_value(json!({
        "apiVersion": "planetscale.com/v2", "kind": "VitessCluster",
        "metadata": { "name": name, "namespace": "default", "uid": format!("uid-of-{name}"), "generation": 1 },
        "spec": spec,
    }))
    .expect("a manifest")
}

fn text<'a>(object: &'a Value, at: &str) -> &'a str {
    object.pointer(at).and_then(Value::as_str).unwrap_or_default()
}

fn strings(value: &Value) -> BTreeMap<String, String> {
    serde_json::from_value(value.clone()).unwrap_or_default()
}

fn finds(selector: &BTreeMap<String, String>, labels: &BTreeMap<String, String>) -> bool {
    !selector.is_empty() && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// The labels of every Pod that is, or will be, of the tree.
fn pods(tree: &Tree) -> Vec<BTreeMap<String, String>> {
    let own = tree.iter().filter(|((kind, _), _)| kind == "Pod").map(|(_, pod)| &pod["metadata"]["labels"]);
    let made = tree.values().map(|object| &object["spec"]["template"]["metadata"]["labels"]);
    own.chain(made).map(strings).filter(|labels| !labels.is_empty()).collect()
}

/// What is wrong with the names of an object.
fn names(kind: &str, object: &Value, wrong: &mut Vec<String>) {
    let name = text(object, "/metadata/name");
    let most = if kind == "Service" { 63 } else { 253 };
    let is_lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let ends_well = name.starts_with(is_lower) && name.ends_with(is_lower);
    if name.len() > most || !ends_well || !name.chars().all(|c| is_lower(c) || c == '-' || c == '.') {
        wrong.push(format!("{kind} {name}: Kubernetes takes no such name"));
    }
    if kind == "Service" && !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        wrong.push(format!("{kind} {name}: a Service begins with a letter"));
    }
    for (key, value) in strings(&object["metadata"]["labels"]) {
        let is_label = value.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if value.len() > 63 || !is_label {
            wrong.push(format!("{kind} {name}: {key}={value} is no label"));
        }
    }
}

/// What is wrong with who owns an object, and with whom it selects.
fn relations(tree: &Tree, cluster: &str, kind: &str, object: &Value, wrong: &mut Vec<String>) {
    let name = text(object, "/metadata/name");
    let owner = &object["metadata"]["ownerReferences"][0];
    let of = (text(owner, "/kind").to_owned(), text(owner, "/name").to_owned());
    let stands = tree.contains_key(&of) || of == ("VitessCluster".to_owned(), cluster.to_owned());
    let outlives = kind == "PersistentVolumeClaim" && owner.is_null();
    if !stands && !outlives {
        wrong.push(format!("{kind} {name}: its owner {of:?} is not there"));
    }
    let of_template = strings(&object["spec"]["template"]["metadata"]["labels"]);
    let selector = match kind {
        "Service" => strings(&object["spec"]["selector"]),
        "Deployment" | "PodDisruptionBudget" => strings(&object["spec"]["selector"]["matchLabels"]),
        _ => return,
    };
    let found = match kind {
        "Deployment" => finds(&selector, &of_template),
        _ => pods(tree).iter().any(|labels| finds(&selector, labels)),
    };
    // A cluster without tablets has their Service all the same.
    let is_for_nobody = selector.get("planetscale.com/component").is_some_and(|c| c == "vttablet");
    if !found && !is_for_nobody {
        wrong.push(format!("{kind} {name}: {selector:?} finds nothing"));
    }
}

#[test]
fn names_owners_and_selectors_hold_below_any_manifest() {
    let (mut trees, mut objects) = (0, 0);
    for seed in 0..MANIFESTS {
        let cluster = manifest(seed);
        if let Err(errors) = validate(&cluster) {
            panic!("manifest {seed} is not valid: {errors:?}");
        }
        let tree = tree(&cluster);
        let name = cluster.metadata.name.as_deref().unwrap_or_default();
        let mut wrong = Vec::new();
        for ((kind, _), object) in &tree {
            names(kind, object, &mut wrong);
            relations(&tree, name, kind, object, &mut wrong);
        }
        assert!(wrong.is_empty(), "manifest {seed}:\n{}", wrong.join("\n"));
        (trees, objects) = (trees + 1, objects + tree.len());
    }
    assert!(objects > 20 * trees, "{objects} objects of {trees} manifests are too few to tell");
}
