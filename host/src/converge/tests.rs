//! What rendered objects are known by after they were let go of.

use kube::runtime::watcher::Event;
use serde_json::json;

use super::*;
use crate::cache::{Cache, ClusterKey};

/// A keyspace that asks for one shard, and as `version` that shard, with another secret than is asked for.
fn members(version: Option<&str>) -> Arc<Members> {
    let global = json!({ "implementation": "etcd2", "address": "e:2379", "rootPath": "/" });
    let metadata = |name: String, owner: &str, version: &str| {
        json!({
            "name": name, "namespace": "n", "uid": name, "resourceVersion": version,
            "labels": { "planetscale.com/cluster": "c", "planetscale.com/keyspace": "k" },
            "ownerReferences": [{
                "apiVersion": "planetscale.com/v2", "kind": "x", "name": "x", "uid": owner, "controller": true,
            }],
        })
    };
    let secret = json!({ "databaseInitScriptSecret": { "name": "s", "key": "k" } });
    let keyspace = pilothouse_api::names::keyspace("c", "k");
    let shard = pilothouse_api::names::shard("c", "k", &"-".parse().expect("a range"));
    let mut objects = vec![(
        Kind::VitessKeyspace,
        json!({
            "metadata": metadata(keyspace.clone(), "uid-c", "1"),
            "spec": {
                "name": "k", "globalLockserver": global, "zoneMap": {},
                "partitionings": [{ "equal": { "parts": 1, "shardTemplate": secret } }],
            },
        }),
    )];
    if let Some(version) = version {
        objects.push((
            Kind::VitessShard,
            json!({
                "metadata": metadata(shard, &keyspace, version),
                "spec": {
                    "name": "-", "keyRange": {}, "globalLockserver": global, "zoneMap": {},
                    "databaseInitScriptSecret": { "name": "s", "key": "another" },
                },
            }),
        ));
    }
    let mut cache = Cache::default();
    for (kind, mut object) in objects {
        object["apiVersion"] = json!("planetscale.com/v2");
        object["kind"] = json!(kind.as_str());
        cache.absorb(kind, Event::Apply(serde_json::from_value(object).expect("an object")));
    }
    let key = ClusterKey { namespace: "n".to_owned(), name: "c".to_owned() };
    Arc::clone(cache.members(&key).expect("members"))
}

#[test]
fn what_was_applied_is_not_compared_again_though_it_was_put_away() {
    let found = |version: &str| {
        let mut rendering = Rendering::default();
        rendering.refresh("n", &members(None), None);
        let shard = rendering.objects.keys().next().expect("a shard").clone();
        rendering.applied(&shard, "7".to_owned());
        let mut rendering = rendering.put_away().put_away();
        rendering.refresh("n", &members(Some(version)), None);
        matches!(rendering.compared[&shard].found, Found::Same)
    };
    assert!(found("7"), "whoever answered said that it stands as it is rendered");
    assert!(!found("8"), "it was written since");
}
