//! Our rendering beside a listing of what the operator of these kinds wrote for a manifest.
//!
//! `PILOTHOUSE_REFERENCE` names the listing, a JSON array of objects with the VitessCluster
//! first; without it there is nothing to compare with, and the test says so.

use std::collections::BTreeMap;

use serde_json::Value;

use super::tree::{stored, tree};
use crate::equality;

/// Where we differ on purpose, as `KIND PATH`, and why.
const ON_PURPOSE: [(&str, &str); 5] = [
    ("Pod metadata.annotations[drain.planetscale.com/supported]", "a text for readers"),
    ("Pod spec.initContainers[init-vt-root].args[0]", "the script is our own"),
    ("Pod spec.initContainers[init-mysql-socket].args[0]", "the script is our own"),
    (
        "Pod spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[1]\
         .podAffinityTerm.topologyKey",
        "the zone label there is deprecated",
    ),
    ("PodDisruptionBudget metadata.labels[planetscale.com/cluster]", "we watch by it"),
];

#[test]
fn names_labels_and_shapes_are_the_operators() {
    let Some(file) = std::env::var_os("PILOTHOUSE_REFERENCE") else {
        eprintln!("PILOTHOUSE_REFERENCE is not set: nothing to compare with");
        return;
    };
    let text = std::fs::read_to_string(&file).expect("PILOTHOUSE_REFERENCE can be read");
    let listing: Vec<Value> = serde_json::from_str(&text).expect("a JSON array");
    let mut ours = tree(&stored(&listing[0]));
    ours.retain(|_, value| {
        value.pointer("/metadata/labels/backup.planetscale.com~1type").and_then(Value::as_str)
            != Some("update")
    });
    let mut wrong = Vec::new();
    // what the manifest itself holds has no owner
    for theirs in listing.iter().filter(|object| object.pointer("/metadata/ownerReferences/0").is_some()) {
        let text =
            |pointer: &str| theirs.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (kind, name) = (text("/kind"), text("/metadata/name"));
        let Some(mut value) = ours.remove(&(kind.clone(), name.clone())) else {
            wrong.push(format!("{kind} {name} is not rendered"));
            continue;
        };
        // uids are each cluster's own
        value["metadata"]["ownerReferences"][0]["uid"] =
            theirs["metadata"]["ownerReferences"][0]["uid"].clone();
        for line in equality::differences(&value, theirs, "") {
            let path = line.split(": ").next().unwrap_or_default();
            if !ON_PURPOSE.iter().any(|(known, _)| *known == format!("{kind} {path}")) {
                wrong.push(format!("{kind} {name} {line}"));
            }
        }
        let labels = |object: &Value| -> BTreeMap<String, String> {
            serde_json::from_value(object["metadata"]["labels"].clone()).unwrap_or_default()
        };
        let ours = labels(&value);
        let missing = labels(theirs).into_keys().filter(|key| !ours.contains_key(key));
        wrong.extend(missing.map(|key| format!("{kind} {name} lacks the label {key}")));
    }
    wrong.extend(ours.keys().map(|(kind, name)| format!("{kind} {name} is rendered and not in the listing")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
