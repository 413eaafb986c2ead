//! What waits, what goes through, and what people read of it.

use serde_json::{Value, json};

use super::*;
use crate::equality::Change;
use crate::kinds::Read;

/// What stands, with our manager owning `owned` of its spec; null: another engine wrote it.
fn live(kind: &str, spec: &Value, owned: &Value) -> Cached {
    let manager = if owned.is_null() { "another" } else { MANAGER };
    let object = json!({
        "apiVersion": "planetscale.com/v2", "kind": kind,
        "metadata": {
            "name": "one", "namespace": "ns", "uid": "u1",
            "managedFields": [
                { "manager": manager, "operation": "Apply", "fieldsV1": { "f:spec": owned } },
                { "manager": "someone", "operation": "Update", "fieldsV1": { "f:spec": { "f:foreign": {} } } },
            ],
        },
        "spec": spec,
    });
    Cached::new(Kind::Pod, Read::of(object.to_string()).expect("an object"))
}

fn rendered(kind: &str, spec: &Value) -> Rendered {
    let value = json!({
        "apiVersion": "planetscale.com/v2", "kind": kind, "metadata": { "name": "one", "namespace": "ns" },
        "spec": spec,
    });
    let object = pilothouse_core::action::ObjectRef {
        kind: kind.to_owned(),
        namespace: "ns".to_owned(),
        name: "one".to_owned(),
    };
    Rendered { object, value, initial: None }
}

/// The text of what waits and the spec that is applied meanwhile.
#[track_caller]
fn check(kind: &str, (stands, owned): (&Value, &Value), wanted: &Value, lines: &[&str], held: &Value) {
    let waiting = waiting(&rendered(kind, wanted), &live(kind, stands, owned)).expect("something waits");
    assert_eq!(waiting.text.lines().collect::<Vec<_>>(), lines);
    assert_eq!(waiting.held.value["spec"], *held);
    assert_eq!(waiting.held.value["metadata"]["uid"], "u1");
    let ours = owned.as_object().is_some_and(|o| !o.is_empty());
    let same = ours && held.as_object().expect("a spec").iter().all(|(name, value)| stands[name] == *value);
    assert_eq!(waiting.in_place, !same, "held {held}");
}

#[test]
fn a_cells_replicas_go_through_and_what_others_own_is_left_alone() {
    let stands = json!({ "images": { "vtgate": "a" }, "gateway": { "replicas": 2 }, "foreign": 1 });
    let owned = json!({ "f:images": { "f:vtgate": {} }, "f:gateway": { "f:replicas": {} } });
    let wanted = json!({ "images": { "vtgate": "b" }, "gateway": { "replicas": 3 } });
    let held = json!({ "images": { "vtgate": "a" }, "gateway": { "replicas": 3 } });
    check("VitessCell", (&stands, &owned), &wanted, &["spec.images.vtgate: a -> b"], &held);
    // an autoscaler is set: nobody asks for a number, and the last one asked for stays till then
    let wanted = json!({ "images": { "vtgate": "a" }, "gateway": { "autoscaler": { "maxReplicas": 5 } } });
    let lines =
        [r#"spec.gateway.autoscaler: (absent) -> {"maxReplicas":5}"#, "spec.gateway.replicas: 2 -> (absent)"];
    let held = json!({ "images": { "vtgate": "a" }, "gateway": { "replicas": 2 } });
    check("VitessCell", (&stands, &owned), &wanted, &lines, &held);
}

#[test]
fn what_another_engine_wrote_is_not_taken_over_before_its_release() {
    let stands = json!({ "images": { "vtgate": "a" }, "gateway": { "replicas": 2 } });
    let wanted = json!({ "images": { "vtgate": "b" }, "gateway": { "replicas": 2 } });
    let held = json!({ "gateway": { "replicas": 2 } });
    let waiting = waiting(&rendered("VitessCell", &wanted), &live("VitessCell", &stands, &Value::Null))
        .expect("it waits");
    assert_eq!(waiting.held.value["spec"], held);
    assert!(!waiting.in_place);
    let pod = |image: &str| json!({ "containers": [{ "name": "vttablet", "image": image }] });
    let waiting = super::waiting(&rendered("Pod", &pod("b")), &live("Pod", &pod("a"), &Value::Null));
    assert_eq!(waiting.expect("it waits").held.value.get("spec"), None);
}

fn partitioning(parts: u32, replicas: u32, size: &str) -> Value {
    let pool = json!({
        "cell": "a", "type": "replica", "replicas": replicas,
        "dataVolumeClaimTemplate": { "resources": { "requests": { "storage": size } } },
    });
    let template = json!({
        "databaseInitScriptSecret": { "name": "s", "key": "k" }, "tabletPools": [pool],
    });
    json!({ "equal": { "parts": parts, "shardTemplate": template } })
}

fn keyspace(policy: &str, strategy: &Value, partitionings: &[Value]) -> Value {
    json!({ "turndownPolicy": policy, "updateStrategy": strategy, "partitionings": partitionings })
}

const SIZE: &str = "spec.partitionings[0].equal.shardTemplate.tabletPools[replica]\
                    .dataVolumeClaimTemplate.resources.requests.storage: 10Gi -> 20Gi";
const REPLICAS: &str = "spec.partitionings[0].equal.shardTemplate.tabletPools[replica].replicas: 3 -> 2";

#[test]
fn a_keyspace_takes_a_new_partitioning_and_keeps_what_the_old_one_says() {
    let external = json!({ "type": "External" });
    let stands = keyspace("RequireIdle", &external, &[partitioning(1, 3, "10Gi")]);
    let owned =
        json!({ "f:turndownPolicy": {}, "f:updateStrategy": { "f:type": {} }, "f:partitionings": {} });
    let wanted = keyspace("Immediate", &external, &[partitioning(1, 2, "20Gi"), partitioning(2, 1, "1Gi")]);
    let held = keyspace("Immediate", &external, &[partitioning(1, 3, "10Gi"), partitioning(2, 1, "1Gi")]);
    check("VitessKeyspace", (&stands, &owned), &wanted, &[SIZE, REPLICAS], &held);
    // and gives it up again
    let stands = keyspace("Immediate", &external, &[partitioning(1, 3, "10Gi"), partitioning(2, 1, "1Gi")]);
    let wanted = keyspace("Immediate", &external, &[partitioning(2, 3, "1Gi")]);
    let held = keyspace("Immediate", &external, &[partitioning(2, 1, "1Gi")]);
    check("VitessKeyspace", (&stands, &owned), &wanted, &[&REPLICAS.replace("3 -> 2", "1 -> 3")], &held);
}

#[test]
fn volumes_grow_at_once_only_where_the_strategy_lets_them() {
    let lets = json!({ "type": "External", "external": { "allowResourceChanges": ["storage"] } });
    let owned = json!({
        "f:turndownPolicy": {}, "f:updateStrategy": { "f:type": {}, "f:external": {} }, "f:partitionings": {},
    });
    let stands = keyspace("Immediate", &lets, &[partitioning(1, 3, "10Gi")]);
    let wanted = keyspace("Immediate", &lets, &[partitioning(1, 2, "20Gi")]);
    let held = keyspace("Immediate", &lets, &[partitioning(1, 3, "20Gi")]);
    check("VitessKeyspace", (&stands, &owned), &wanted, &[REPLICAS], &held);
    // all of it restarts nothing
    let wanted = keyspace("Immediate", &lets, &[partitioning(1, 3, "20Gi")]);
    assert!(
        waiting(&rendered("VitessKeyspace", &wanted), &live("VitessKeyspace", &stands, &owned)).is_none()
    );
    let pools = |replicas: u32, size: &str| {
        json!([{ "cell": "a", "type": "replica", "name": "", "replicas": replicas,
                 "dataVolumeClaimTemplate": { "resources": { "requests": { "storage": size } } } }])
    };
    let stands = json!({ "updateStrategy": lets, "tabletPools": pools(3, "10Gi") });
    let owned = json!({
        "f:updateStrategy": { "f:type": {}, "f:external": {} },
        "f:tabletPools": { r#"k:{"cell":"a","name":"","type":"replica"}"#: {
            ".": {}, "f:cell": {}, "f:type": {}, "f:replicas": {}, "f:dataVolumeClaimTemplate": {},
        } },
    });
    let wanted = json!({ "updateStrategy": lets, "tabletPools": pools(2, "20Gi") });
    let held = json!({ "updateStrategy": lets, "tabletPools": pools(3, "20Gi") });
    check("VitessShard", (&stands, &owned), &wanted, &["spec.tabletPools[replica].replicas: 3 -> 2"], &held);
}

#[test]
fn a_pod_keeps_its_spec_until_it_is_made_anew() {
    let spec = |image: &str| json!({ "containers": [{ "name": "vttablet", "image": image, "ports": [] }] });
    let owned =
        json!({ "f:containers": { r#"k:{"name":"vttablet"}"#: { ".": {}, "f:name": {}, "f:image": {} } } });
    let held = json!({ "containers": [{ "name": "vttablet", "image": "a" }] });
    let waiting = waiting(&rendered("Pod", &spec("b")), &live("Pod", &spec("a"), &owned)).expect("it waits");
    assert_eq!((waiting.means, waiting.in_place), (Means::Recreation, false));
    assert_eq!(waiting.text, "spec.containers[vttablet].image: a -> b");
    assert_eq!(waiting.held.value["spec"], held);
}

#[track_caller]
fn reads(changes: &[(&str, Option<Value>, Option<Value>)], expected: &[&str]) {
    let change = |(path, from, to): &(&str, Option<Value>, Option<Value>)| Change {
        path: (*path).to_owned(),
        from: from.clone(),
        to: to.clone(),
    };
    let changes: Vec<Change> = changes.iter().map(change).collect();
    let text = text::of(&changes);
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_line_names_field_old_and_new_value() {
    reads(
        &[
            ("spec.replicas", Some(json!(2)), Some(json!(3))),
            ("spec.image", Some(json!("a")), None),
            ("spec.x", None, Some(json!({ "y": ["1", 2] }))),
            ("spec.script", Some(json!("one\ntwo")), Some(json!(""))),
        ],
        &[
            "spec.replicas: 2 -> 3",
            "spec.image: a -> (absent)",
            r#"spec.x: (absent) -> {"y":["1",2]}"#,
            r#"spec.script: one\ntwo -> """#,
        ],
    );
}

#[test]
fn flags_are_told_by_name_wherever_they_stand() {
    let flag = |text: &str| Some(json!(text));
    reads(
        &[
            ("spec.containers[g].args[1]", flag("--b=1"), flag("--a1=x")),
            ("spec.containers[g].args[2]", flag("--c=2"), flag("--b=1")),
            ("spec.containers[g].args[3]", flag("--old"), flag("--c=3")),
            ("spec.containers[g].args[4]", None, flag("--db_password=hunter2")),
            ("spec.initContainers[i].args[0]", flag("set -e"), flag("set -x")),
        ],
        &[
            "spec.initContainers[i].args[0]: set -e -> set -x",
            "spec.containers[g].args --a1: (absent) -> x",
            "spec.containers[g].args --c: 2 -> 3",
            "spec.containers[g].args --db_password: (absent) -> (not shown)",
            r#"spec.containers[g].args --old: "" -> (absent)"#,
        ],
    );
}

#[test]
fn what_may_be_secret_is_not_told() {
    reads(
        &[
            ("spec.containers[m].env[X].value", Some(json!("hunter1")), Some(json!("hunter2"))),
            ("spec.containers[m].env[Y]", None, Some(json!({ "name": "Y", "value": "hunter2" }))),
            ("spec.gateway.extraEnv[0].value", Some(json!("hunter1")), Some(json!("hunter2"))),
            ("spec.tabletPools[replica].mysqld.configOverrides", None, Some(json!("password = hunter2"))),
            ("spec.extraVitessFlags.mysql_password", Some(json!("hunter1")), None),
            ("spec.x", None, Some(json!({ "authToken": "hunter2", "args": ["--api_secret=hunter2"] }))),
            ("spec.databaseInitScriptSecret.name", Some(json!("one")), Some(json!("two"))),
        ],
        &[
            "spec.containers[m].env[X].value: (not shown) -> (not shown)",
            r#"spec.containers[m].env[Y]: (absent) -> {"name":"Y","value":"(not shown)"}"#,
            "spec.gateway.extraEnv[0].value: (not shown) -> (not shown)",
            "spec.tabletPools[replica].mysqld.configOverrides: (absent) -> (not shown)",
            "spec.extraVitessFlags.mysql_password: (not shown) -> (absent)",
            r#"spec.x: (absent) -> {"args":["--api_secret=(not shown)"],"authToken":"(not shown)"}"#,
            "spec.databaseInitScriptSecret.name: one -> two",
        ],
    );
}

#[test]
fn a_text_is_bounded() {
    let long = "x".repeat(5_000);
    let change = |n: usize| Change { path: format!("spec.f{n}"), from: None, to: Some(json!(long)) };
    let text = text::of(&(0..500).map(change).collect::<Vec<_>>());
    assert_eq!(text.lines().count(), 41);
    assert_eq!(text.lines().last(), Some("and 460 more"));
    assert!(text.lines().all(|line| line.chars().count() < 150));
}
