//! S13: no version of what runs is less secure than the manifest asks.
//!
//! Looks at every Deployment and Pod of gateways, tablets and backup runs each time that one is
//! written, so also at what stood between two crashes. Flags are Vitess's, settings those of the
//! VitessCluster itself: what the host makes of either on the way is not asked. A flag that the
//! manifest sets by its own hand (`extraFlags`) is the user's choice. etcd, vtctld and vtorc have
//! no such setting in the manifest.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::Violation;
use crate::apiserver::kinds::{DEPLOYMENTS, PODS};
use crate::apiserver::{ApiServer, ChangeKind, ResourceId, WatchEvent};
use crate::world::objects::{Name, array, label, name, name_of, text};

const CLUSTERS: ResourceId = ResourceId::of("planetscale.com", "vitessclusters");

/// What was looked at already, and the clusters as they were then.
#[derive(Debug, Default)]
pub(super) struct Written {
    rv: u64,
    clusters: BTreeMap<Name, Arc<Value>>,
}

impl Written {
    /// What is broken in versions written since the last call.
    pub(super) fn judge(&mut self, api: &ApiServer) -> Vec<Violation> {
        if api.newest() == self.rv {
            return Vec::new();
        }
        let mut fresh: Vec<(ResourceId, Arc<Value>)> = Vec::new();
        match api.events_since(self.rv) {
            Ok(events) => {
                self.rv = events.last().map_or(self.rv, |event| event.rv);
                // That it is to go is written into what goes; its spec is an earlier version's.
                let goes = |event: &WatchEvent| {
                    event.what == ChangeKind::Deleted
                        || !event.object["metadata"]["deletionTimestamp"].is_null()
                            && event.previous.as_ref().is_some_and(|old| old["spec"] == event.object["spec"])
                };
                let stays = events.into_iter().filter(|event| !goes(event));
                fresh.extend(stays.map(|event| (event.key.kind, event.object)));
            }
            // What came and went in a forgotten history cannot be judged; what stands can.
            Err(_) => {
                self.rv = api.newest();
                for kind in [CLUSTERS, DEPLOYMENTS, PODS] {
                    fresh.extend(api.list(&kind, None).into_iter().map(|object| (kind.clone(), object)));
                }
            }
        }
        let at = api.clock().now_ms();
        let mut broken = Vec::new();
        for (kind, object) in fresh {
            if kind == CLUSTERS {
                self.clusters.insert(name_of(&object), object);
            } else if kind == DEPLOYMENTS || kind == PODS {
                let of = text(&object, "/metadata/namespace").to_owned();
                let of = (of, label(&object, "planetscale.com/cluster").to_owned());
                let lacks = self.clusters.get(&of).map(|cluster| lacks(cluster, &object)).unwrap_or_default();
                let message = |lacking| format!("{} {} was written {lacking}", kind.resource, name(&object));
                broken.extend(lacks.into_iter().map(|l| Violation { id: "S13", message: message(l), at }));
            }
        }
        broken
    }
}

/// What an object lacks of what its cluster asks.
fn lacks(cluster: &Value, object: &Value) -> Vec<String> {
    let pod = object.pointer("/spec/template/spec").unwrap_or(&object["spec"]);
    match label(object, "planetscale.com/component") {
        "vtgate" => gateway(cluster, label(object, "planetscale.com/cell"), pod),
        "vttablet" | "vtbackup" => tablet(cluster, object, pod),
        _ => Vec::new(),
    }
}

fn gateway(cluster: &Value, cell: &str, pod: &Value) -> Vec<String> {
    let cells = array(cluster, "/spec/cells");
    let Some(asked) = cells.iter().find(|c| named(c) == cell).map(|c| &c["gateway"]) else {
        return Vec::new();
    };
    let theirs = |flag: &str| {
        [&asked["extraFlags"], &cluster["spec"]["extraVitessFlags"]].iter().any(|f| sets(f, flag))
    };
    let users = &asked["authentication"]["static"]["secret"];
    let (required, tls) = (&asked["secureTransport"]["required"], &asked["secureTransport"]["tls"]);
    let mut lacks = Vec::new();
    if users.is_object()
        && !theirs("mysql_auth_server_impl")
        && flag(pod, "mysql_auth_server_impl") != Some("static")
    {
        lacks.push("without a list of who may log in".to_owned());
    }
    let secure = flag(pod, "mysql_server_require_secure_transport").is_some_and(|v| v != "false");
    if required == true && !theirs("mysql_server_require_secure_transport") && !secure {
        lacks.push("without turning away clients that have no TLS".to_owned());
    }
    let files = [
        ("mysql_auth_server_static_file", users),
        ("mysql_server_ssl_cert", &tls["certSecret"]),
        ("mysql_server_ssl_key", &tls["keySecret"]),
        ("mysql_server_ssl_ca", &tls["clientCACertSecret"]),
    ];
    lacks.extend(files.into_iter().filter(|(f, _)| !theirs(f)).filter_map(|(f, s)| lacks_file(pod, f, s)));
    lacks
}

/// The script that makes a database's users, and how a tablet trusts a MySQL elsewhere.
fn tablet(cluster: &Value, object: &Value, pod: &Value) -> Vec<String> {
    let of = |template: &&Value| {
        let pools = array(template, "/tabletPools");
        pools.iter().any(|pool| is_of(pool, object))
            || label(object, "planetscale.com/component") == "vtbackup"
    };
    let keyspaces = array(cluster, "/spec/keyspaces").iter();
    let mut keyspaces = keyspaces.filter(|k| named(k) == label(object, "planetscale.com/keyspace"));
    let Some(template) = keyspaces.find_map(|k| templates(k).into_iter().find(of)) else { return Vec::new() };
    let pool = array(template, "/tabletPools").iter().find(|pool| is_of(pool, object));
    let theirs = |flag: &str| {
        let pool = pool.map_or(&Value::Null, |pool| &pool["vttablet"]["extraFlags"]);
        sets(pool, flag) || sets(&cluster["spec"]["extraVitessFlags"], flag)
    };
    let files = match pool.map(|pool| &pool["externalDatastore"]).filter(|d| d.is_object()) {
        Some(datastore) => vec![
            ("db_credentials_file", &datastore["credentialsSecret"]),
            ("db_ssl_ca", &datastore["serverCACertSecret"]),
        ],
        None => vec![("init_db_sql_file", &template["databaseInitScriptSecret"])],
    };
    files.into_iter().filter(|(f, _)| !theirs(f)).filter_map(|(f, s)| lacks_file(pod, f, s)).collect()
}

/// The shard templates of a keyspace.
fn templates(keyspace: &Value) -> Vec<&Value> {
    let partitionings = || array(keyspace, "/partitionings").iter();
    let equal = partitionings().map(|p| &p["equal"]["shardTemplate"]);
    equal.chain(partitionings().flat_map(|p| array(p, "/custom/shards"))).collect()
}

fn is_of(pool: &Value, tablet: &Value) -> bool {
    text(pool, "/cell") == label(tablet, "planetscale.com/cell")
        && text(pool, "/type") == label(tablet, "planetscale.com/tablet-type")
        && text(pool, "/name") == label(tablet, "planetscale.com/pool-name")
}

/// Why a flag does not lead to the file of that Secret; `None` where none is asked for.
fn lacks_file(pod: &Value, flag: &str, secret: &Value) -> Option<String> {
    if !secret.is_object() {
        return None;
    }
    let Some(path) = self::flag(pod, flag) else { return Some(format!("without the flag {flag}")) };
    let mounts = array(pod, "/containers").iter().flat_map(|c| array(c, "/volumeMounts"));
    let volumes = mounts.filter(|m| {
        let folder = text(m, "/mountPath");
        !folder.is_empty() && path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
    });
    let of_secret = |v: &&Value| {
        let items = array(v, "/secret/items");
        text(v, "/secret/secretName") == named(secret)
            && (items.is_empty() || items.iter().any(|i| i["key"] == secret["key"]))
    };
    let found = volumes.into_iter().any(|mount| match text(secret, "/volumeName") {
        "" => array(pod, "/volumes").iter().filter(of_secret).any(|v| v["name"] == mount["name"]),
        given => named(mount) == given,
    });
    (!found).then(|| format!("with {flag} at {path}, where no file of Secret {} is", named(secret)))
}

fn named(value: &Value) -> &str {
    text(value, "/name")
}

/// What a flag of any container says; flags are spelled with `-` or `_`.
fn flag<'a>(pod: &'a Value, name: &str) -> Option<&'a str> {
    let words =
        array(pod, "/containers").iter().flat_map(|c| array(c, "/command").iter().chain(array(c, "/args")));
    words.filter_map(Value::as_str).find_map(|word| {
        let word = word.strip_prefix("--").or_else(|| word.strip_prefix('-'))?;
        let (key, value) = word.split_once('=').unwrap_or((word, "true"));
        same(key, name).then_some(value)
    })
}

fn sets(flags: &Value, name: &str) -> bool {
    flags.as_object().is_some_and(|flags| flags.keys().any(|key| same(key, name)))
}

fn same(a: &str, b: &str) -> bool {
    a.replace('-', "_") == b.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cluster() -> Value {
        let file = |key: &str| json!({ "name": "keys", "key": key });
        let tls = json!({ "certSecret": file("crt"), "keySecret": file("key") });
        let gateway = json!({
            "authentication": { "static": { "secret": file("users") } },
            "secureTransport": { "required": true, "tls": tls },
        });
        let elsewhere = json!({ "credentialsSecret": file("login"), "serverCACertSecret": file("ca") });
        let template = json!({
            "databaseInitScriptSecret": file("init"),
            "tabletPools": [
                { "cell": "a", "type": "replica" },
                { "cell": "a", "type": "externalreplica", "name": "x", "externalDatastore": elsewhere },
            ],
        });
        json!({ "spec": {
            "cells": [{ "name": "a", "gateway": gateway }, { "name": "open", "gateway": {} }],
            "keyspaces": [{ "name": "k", "partitionings": [{ "equal": { "shardTemplate": template } }] }],
        } })
    }

    /// A Pod with those flags, whose `/keys` holds these keys of the Secret `keys`.
    fn pod(labels: &[(&str, &str)], flags: &[&str], keys: &[&str]) -> Value {
        let labels = labels.iter().map(|(k, v)| (format!("planetscale.com/{k}"), json!(v)));
        let items: Vec<Value> = keys.iter().map(|key| json!({ "key": key, "path": key })).collect();
        json!({
            "metadata": { "name": "p", "labels": labels.collect::<serde_json::Map<_, _>>() },
            "spec": {
                "containers": [{ "args": flags, "volumeMounts": [{ "name": "v", "mountPath": "/keys" }] }],
                "volumes": [{ "name": "v", "secret": { "secretName": "keys", "items": items } }],
            },
        })
    }

    #[track_caller]
    fn check(cluster: &Value, pod: &Value, expected: &[&str]) {
        let found = lacks(cluster, pod);
        let all = found.len() == expected.len() && found.iter().zip(expected).all(|(f, e)| f.contains(e));
        assert!(all, "{found:?} is not {expected:?}");
    }

    #[test]
    fn gateways() {
        let whole = [
            "--mysql_auth_server_impl=static",
            "--mysql-auth-server-static-file=/keys/users",
            "--mysql_server_require_secure_transport=true",
            "--mysql_server_ssl_cert=/keys/crt",
            "--mysql_server_ssl_key=/keys/key",
        ];
        let (of, keys) = ([("component", "vtgate"), ("cell", "a")], ["users", "crt", "key"]);
        check(&cluster(), &pod(&of, &whole, &keys), &[]);
        check(&cluster(), &pod(&[("component", "vtgate"), ("cell", "open")], &[], &[]), &[]);
        check(&cluster(), &pod(&of, &whole[1..], &keys), &["who may log in"]);
        check(&cluster(), &pod(&of, &whole[..4], &keys), &["mysql_server_ssl_key"]);
        check(&cluster(), &pod(&of, &whole, &keys[..2]), &["ssl_key at /keys/key"]);
        let lax = whole.map(|f| f.replace("=true", "=false"));
        let lax: Vec<&str> = lax.iter().map(String::as_str).collect();
        check(&cluster(), &pod(&of, &lax, &keys), &["turning away"]);
        let mut users_own = cluster();
        users_own["spec"]["extraVitessFlags"] = json!({ "mysql-auth-server-impl": "ldap" });
        check(&users_own, &pod(&of, &whole[1..], &keys), &[]);
    }

    #[test]
    fn tablets() {
        let of = |pool: &'static str, name: &'static str| {
            [
                ("component", "vttablet"),
                ("keyspace", "k"),
                ("cell", "a"),
                ("tablet-type", pool),
                ("pool-name", name),
            ]
        };
        let init = ["--init_db_sql_file=/keys/init"];
        check(&cluster(), &pod(&of("replica", ""), &init, &["init"]), &[]);
        check(&cluster(), &pod(&of("replica", ""), &[], &["init"]), &["init_db_sql_file"]);
        check(&cluster(), &pod(&[("component", "vtbackup"), ("keyspace", "k")], &[], &[]), &["init_db"]);
        let external = ["--db-credentials-file=/keys/login", "--db_ssl_ca=/keys/ca"];
        check(&cluster(), &pod(&of("externalreplica", "x"), &external, &["login", "ca"]), &[]);
        check(&cluster(), &pod(&of("externalreplica", "x"), &external[..1], &["login"]), &["db_ssl_ca"]);
    }

    #[test]
    fn every_version_is_looked_at_once() {
        let api = ApiServer::new(crate::clock::Clock::starting_at(0), 1);
        let mut written = Written::default();
        let namespaced = |mut object: Value| {
            object["metadata"]["namespace"] = json!("default");
            object
        };
        written.clusters.insert(("default".into(), "c".into()), Arc::new(cluster()));
        let labels = [("component", "vtgate"), ("cell", "a"), ("cluster", "c")];
        let mut weak = namespaced(pod(&labels, &[], &[]));
        weak["spec"]["containers"][0]["name"] = json!("vtgate");
        weak["spec"]["containers"][0]["image"] = json!("vitess");
        api.create("test", &PODS, weak).expect("created");
        assert_eq!(written.judge(&api).len(), 5);
        assert!(written.judge(&api).is_empty(), "it was told");
        api.delete(
            &crate::apiserver::ObjectKey::new(PODS, "default", "p"),
            &crate::apiserver::DeleteOptions::default(),
        )
        .expect("deleted");
        assert!(written.judge(&api).is_empty(), "who goes is not written");
    }
}
