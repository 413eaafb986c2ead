//! What holds for the tree below any manifest: names that Kubernetes takes, owners that stand in
//! it, selectors that find what they are for.
//!
//! The manifests are drawn from numbered seeds, so that the same number is the same manifest.

use std::collections::BTreeMap;

use pilothouse_api::VitessCluster;
use pilothouse_api::validate::validate;
use serde_json::{Value, json};

use super::tree::{Tree, tree};

const MANIFESTS: u64 = 300;

/// Draws, one after the other, from a seed (Steele et al., SplitMix, OOPSLA 2014).
struct Draws(u64);

impl Draws {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % most
    }

    fn chance(&mut self) -> bool {
        self.below(2) == 0
    }

    /// A name that ends in its number, of these letters within, of up to so many characters.
    fn name(&mut self, number: u64, within: &[u8], most: u64) -> String {
        let mut name: Vec<u8> = (0..self.below(most - 4)).map(|_| within[self.pick(within.len())]).collect();
        name.insert(0, b'n');
        String::from_utf8(name).expect("of letters") + &format!("{number}")
    }

    fn pick(&mut self, of: usize) -> usize {
        usize::try_from(self.below(of as u64)).expect("below a length")
    }
}

fn pool(draws: &mut Draws, cell: &str, kind: &str) -> Value {
    let mut pool = json!({
        "cell": cell, "type": kind, "replicas": draws.below(4),
        "vttablet": { "resources": {} }, "mysqld": { "resources": {} },
        "dataVolumeClaimTemplate": { "resources": { "requests": { "storage": "1Gi" } } },
    });
    if draws.chance() {
        pool["extraLabels"] = json!({ "example.com/team": "harbour" });
    }
    pool
}

fn template(draws: &mut Draws, cells: &[String]) -> Value {
    let mut pools = Vec::new();
    for cell in cells {
        for kind in ["replica", "rdonly"] {
            if pools.is_empty() || draws.chance() {
                pools.push(pool(draws, cell, kind));
            }
        }
    }
    json!({ "databaseInitScriptSecret": { "name": "s", "key": "k" }, "tabletPools": pools })
}

fn partitioning(draws: &mut Draws, cells: &[String]) -> Value {
    let template = template(draws, cells);
    if draws.chance() {
        let parts = [1, 2, 3, 4, 7][draws.pick(5)];
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
    let draws = &mut Draws(seed);
    let cells: Vec<String> = (0..=draws.below(3)).map(|n| draws.name(n, b"abcXYZ019_.", 40)).collect();
    let keyspace = |draws: &mut Draws, n| {
        let partitionings: Vec<Value> = (0..=draws.below(2)).map(|_| partitioning(draws, &cells)).collect();
        json!({ "name": draws.name(n, b"abcXYZ019-_", 40), "partitionings": partitionings })
    };
    let keyspaces: Vec<Value> = (0..draws.below(3)).map(|n| keyspace(draws, n)).collect();
    let cell = |draws: &mut Draws, name: &String| {
        let mut cell = json!({ "name": name, "gateway": { "replicas": draws.below(3) } });
        if draws.chance() {
            cell["zone"] = json!("z");
        }
        if draws.chance() {
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
    if draws.chance() {
        spec["backup"] = json!({ "engine": "builtin", "locations": [{ "volume": { "emptyDir": {} } }] });
    }
    if draws.chance() {
        let external = json!({ "implementation": "etcd2", "address": "etcd:2379", "rootPath": "/r" });
        spec["globalLockserver"] = json!({ "external": external });
    }
    let name = draws.name(0, b"abc019-", 40);
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
