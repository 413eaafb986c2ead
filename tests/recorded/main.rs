//! Every manifest that has a recording of what the operator of these kinds made of it on a bare
//! API server, applied to such a server under our host: the same objects and the same statuses.
//!
//! Runs where the recordings and their manifests are; they are no part of this repository.

mod bare;

use std::collections::BTreeSet;

use pilothouse_tests::beside::{self, Known};
use pilothouse_tests::cluster;
use pilothouse_tests::standing::{Tree, children, handed_out};
use serde_json::Value;

const SCHEDULED: &str = "rollout.planetscale.com/scheduled";

/// A recording, and the manifests that were applied one after the other before it.
const RECORDED: [(&str, &[&str]); 5] = [
    ("101_initial_cluster.json", &["101_initial_cluster.yaml"]),
    ("201_customer_tablets.json", &["201_customer_tablets.yaml"]),
    ("302_new_shards.json", &["302_new_shards.yaml"]),
    ("306_down_shard_0.json", &["306_down_shard_0.yaml"]),
    ("transitions/external_change.json", &["external_1.yaml", "external_2.yaml"]),
];

fn recording(name: &str) -> Vec<Value> {
    let path = handed_out("reference").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).expect("a JSON array")
}

fn waiting(tree: &Tree) -> BTreeSet<&(String, String)> {
    let waits = |object: &Value| object["metadata"]["annotations"].get(SCHEDULED).is_some();
    tree.iter().filter(|(_, object)| waits(object)).map(|(key, _)| key).collect()
}

fn wrong_with(ours: &Tree, theirs: &[Value], known: &mut Known) -> Vec<String> {
    let (there, here) = (children(theirs.to_vec()), children(ours.values().cloned()));
    let mut found = beside::objects(&here, &there, known);
    for theirs in theirs {
        let key = ["/kind", "/metadata/name"]
            .map(|at| theirs.pointer(at).and_then(Value::as_str).unwrap_or_default());
        let ours = ours.get(&(key[0].to_owned(), key[1].to_owned())).unwrap_or(&Value::Null);
        found.extend(beside::statuses(ours, theirs, known));
    }
    if waiting(&here) != waiting(&there) {
        found.push(format!("{:?} wait, there {:?}", waiting(&here), waiting(&there)));
    }
    found
}

#[test]
fn what_stands_after_each_manifest_is_the_operators() {
    if !handed_out("reference").is_dir() {
        println!("not run here: there are no recordings to compare with");
        return;
    }
    let Some(binary) = cluster::binary().unwrap() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut wrong = Vec::new();
    let mut known = beside::on_purpose();
    runtime.block_on(async {
        let bare = bare::Server::start(&binary).await.unwrap();
        for (name, manifests) in RECORDED {
            let theirs = recording(name);
            let children = children(theirs.clone());
            assert!(children.len() > 20, "{name} has a tree: {:?}", children.keys());
            let found = bare.after(manifests, &children, |ours| wrong_with(ours, &theirs, &mut known));
            let found = found.await.unwrap();
            wrong.extend(found.into_iter().map(|line| format!("{name}: {line}")));
        }
    });
    wrong.extend(known.unseen().map(|row| format!("no recording shows a difference in {row}")));
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}
