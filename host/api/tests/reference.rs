//! Children compared with what the reference operator wrote for the same clusters.
//!
//! The dumps (JSON lists of objects) are not part of this repository: the
//! comparison runs where `shared/reference` stands beside it.

mod schema_walk;

use std::collections::BTreeMap;
use std::fs;

use kube::Resource;
use pilothouse_api::validate::validate;
use pilothouse_api::{VitessCell, VitessCluster, VitessKeyspace, children};
use serde::Serialize;
use serde_json::{Map, Value};

fn dumps() -> Vec<(String, Vec<Value>)> {
    let Ok(folder) = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/reference")) else {
        println!("no shared/reference stands beside the repository: nothing compared");
        return Vec::new();
    };
    let mut dumps = Vec::new();
    for entry in folder {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "json") {
            let text = fs::read_to_string(&path).unwrap();
            dumps.push((path.display().to_string(), serde_json::from_str(&text).unwrap()));
        }
    }
    assert!(!dumps.is_empty(), "no dumps in the folder");
    dumps
}

/// Drops what says nothing: nulls, empty objects, empty lists, empty strings.
fn bare(value: &Value) -> Value {
    let says = |v: &Value| match v {
        Value::Null => false,
        Value::Object(o) => !o.is_empty(),
        Value::Array(a) => !a.is_empty(),
        Value::String(s) => !s.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    };
    match value {
        Value::Object(o) => {
            let kept = o.iter().map(|(k, v)| (k.clone(), bare(v))).filter(|(_, v)| says(v));
            Value::Object(kept.collect::<Map<_, _>>())
        }
        Value::Array(a) => Value::Array(a.iter().map(bare).collect()),
        other => other.clone(),
    }
}

/// Kind and name → spec and labels.
type Specs = BTreeMap<(String, String), (Value, Value)>;

fn note<K: Resource<DynamicType = ()> + Serialize>(specs: &mut Specs, objects: impl IntoIterator<Item = K>) {
    for object in objects {
        let value = serde_json::to_value(&object).unwrap();
        let key = (K::kind(&()).into_owned(), object.meta().name.clone().unwrap());
        specs.insert(key, (bare(&value["spec"]), value["metadata"]["labels"].clone()));
    }
}

fn ours(cluster: &VitessCluster) -> Specs {
    let mut specs = Specs::new();
    note::<VitessCell>(&mut specs, children::cells(cluster));
    let keyspaces: Vec<VitessKeyspace> = children::keyspaces(cluster);
    for keyspace in &keyspaces {
        note(&mut specs, children::shards(keyspace).unwrap());
    }
    note(&mut specs, keyspaces);
    note(&mut specs, children::lockserver(cluster));
    note(&mut specs, children::backup_storages(cluster));
    note(&mut specs, children::backup_schedules(cluster));
    specs
}

fn theirs(dump: &[Value]) -> Specs {
    dump.iter()
        .filter(|o| o["apiVersion"] == "planetscale.com/v2" && o["kind"] != "VitessCluster")
        .map(|o| {
            let text = |v: &Value| v.as_str().unwrap().to_owned();
            let key = (text(&o["kind"]), text(&o["metadata"]["name"]));
            (key, (bare(&o["spec"]), o["metadata"]["labels"].clone()))
        })
        .collect()
}

#[test]
fn children_are_those_of_the_reference() {
    for (path, dump) in dumps() {
        let cluster = dump.iter().find(|o| o["kind"] == "VitessCluster").expect("a cluster");
        let cluster: VitessCluster = serde_json::from_value(cluster.clone()).unwrap();
        validate(&cluster).unwrap();
        let (ours, theirs) = (ours(&cluster), theirs(&dump));
        for (key, spec) in &ours {
            assert_eq!(Some(spec), theirs.get(key), "{path}: {key:?}");
        }
        // Children that a turndown still holds back are the only ones that we do not want.
        let orphans: Vec<_> = theirs.keys().filter(|k| !ours.contains_key(*k)).collect();
        println!("{path}: {} children are equal; the reference also holds {orphans:?}", ours.len());
    }
}

#[test]
fn objects_of_the_reference_are_known_to_the_schemas() {
    for (path, dump) in dumps() {
        for object in dump.iter().filter(|o| o["apiVersion"] == "planetscale.com/v2") {
            let kind = object["kind"].as_str().unwrap();
            let unknown = schema_walk::unknown(&schema_walk::schema_of(kind), object);
            assert_eq!(unknown, Vec::<String>::new(), "{path}: {kind}");
        }
    }
}
