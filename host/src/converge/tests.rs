//! A keyspace and its shards for the tests here, and what rendered objects are known by after they
//! were let go of.

use kube::runtime::watcher::Event;
use serde_json::json;

use super::*;
use crate::cache::{Cache, ClusterKey};

/// A keyspace `k` of the cluster `c` that asks for shards split as `equal` says.
pub(super) fn keyspace(equal: &Value) -> (Kind, Value) {
    let spec = json!({ "name": "k", "partitionings": [{ "equal": equal }] });
    object(Kind::VitessKeyspace, &pilothouse_api::names::keyspace("c", "k"), "uid-c", "1", spec)
}

/// One of its shards as it stands, its secret's key being `key`.
pub(super) fn shard(name: &str, range: Value, version: &str, key: &str) -> (Kind, Value) {
    let at = pilothouse_api::names::shard("c", "k", &name.parse().expect("a range"));
    let secret = json!({ "name": "s", "key": key });
    let spec = json!({ "name": name, "keyRange": range, "databaseInitScriptSecret": secret });
    object(Kind::VitessShard, &at, &pilothouse_api::names::keyspace("c", "k"), version, spec)
}

pub(super) fn members(objects: Vec<(Kind, Value)>) -> Arc<Members> {
    let mut cache = Cache::default();
    for (kind, object) in objects {
        cache.absorb(kind, Event::Apply(serde_json::from_value(object).expect("an object")));
    }
    let key = ClusterKey { namespace: "n".to_owned(), name: "c".to_owned() };
    Arc::clone(cache.members(&key).expect("members"))
}

fn object(kind: Kind, name: &str, owner: &str, version: &str, mut spec: Value) -> (Kind, Value) {
    spec["globalLockserver"] = json!({ "implementation": "etcd2", "address": "e:2379", "rootPath": "/" });
    spec["zoneMap"] = json!({});
    let object = json!({
        "apiVersion": "planetscale.com/v2",
        "kind": kind.as_str(),
        "metadata": {
            "name": name, "namespace": "n", "uid": name, "resourceVersion": version,
            "labels": { "planetscale.com/cluster": "c", "planetscale.com/keyspace": "k" },
            "ownerReferences": [{
                "apiVersion": "planetscale.com/v2", "kind": "x", "name": "x", "uid": owner, "controller": true,
            }],
        },
        "spec": spec,
    });
    (kind, object)
}

#[test]
fn what_was_applied_is_not_compared_again_though_it_was_put_away() {
    let secret = json!({ "databaseInitScriptSecret": { "name": "s", "key": "k" } });
    let asked = keyspace(&json!({ "parts": 1, "shardTemplate": secret }));
    let found = |version: &str| {
        let mut rendering = Rendering::default();
        rendering.refresh("n", &members(vec![asked.clone()]), None);
        let at = rendering.objects.keys().next().expect("a shard").clone();
        rendering.applied(&at, "7".to_owned());
        let mut rendering = rendering.put_away().put_away();
        let stands = shard("-", json!({}), version, "another");
        rendering.refresh("n", &members(vec![asked.clone(), stands]), None);
        matches!(rendering.compared[&at].found, Found::Same)
    };
    assert!(found("7"), "whoever answered said that it stands as it is rendered");
    assert!(!found("8"), "it was written since");
}
