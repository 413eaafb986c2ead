//! Table tests of the comparison; managed fields are written as the API server writes them.

use serde_json::{Value, json};

use super::*;

const MANAGER: &str = "pilothouse";

/// `live` with our manager owning `owned` (FieldsV1).
fn owning(mut live: Value, owned: Value) -> Value {
    live["metadata"]["managedFields"] = json!([
        { "manager": "kubelet", "operation": "Update", "subresource": "status", "fieldsV1": { "f:status": {} } },
        { "manager": "someone", "operation": "Apply", "fieldsV1": { "f:spec": { "f:foreign": {} } } },
        { "manager": MANAGER, "operation": "Apply", "fieldsV1": owned },
    ]);
    live
}

#[track_caller]
fn check(rendered: &Value, live: &Value, expected: &[&str]) {
    let found = differences(rendered, live, MANAGER);
    assert_eq!(found, expected, "rendered {rendered} live {live}");
    assert_eq!(satisfied(rendered, live, MANAGER), expected.is_empty());
}

#[test]
fn what_others_set_is_no_difference() {
    check(
        &json!({ "apiVersion": "v1", "kind": "Pod", "spec": { "nodeName": null, "volumes": [], "replicas": 2 } }),
        &json!({ "metadata": { "uid": "u" }, "spec": { "replicas": 2, "paused": true }, "status": { "x": 1 } }),
        &[],
    );
}

#[test]
fn a_changed_or_missing_field_is_named_with_both_values() {
    check(
        &json!({ "metadata": { "labels": { "planetscale.com/cell": "a" } }, "spec": { "replicas": 3, "x": { "y": [1] } } }),
        &json!({ "metadata": { "labels": { "planetscale.com/cell": "b" } }, "spec": { "replicas": 2 } }),
        &[
            r#"metadata.labels[planetscale.com/cell]: "b", wanted "a""#,
            "spec.replicas: 2, wanted 3",
            r#"spec.x: absent, wanted {"y":[1]}"#,
        ],
    );
}

#[test]
fn quantities_are_numbers_where_quantities_stand() {
    let with = |memory: Value, cpu: Value, size: &str| {
        json!({ "spec": { "resources": { "limits": { "memory": memory }, "requests": { "cpu": cpu } },
                          "emptyDir": { "sizeLimit": size } } })
    };
    check(&with(json!("1024Mi"), json!("0.1"), "1Gi"), &with(json!("1Gi"), json!("100m"), "1073741824"), &[]);
    check(&with(json!("1G"), json!(1), "1Ki"), &with(json!("1e9"), json!("1000m"), "1.0Ki"), &[]);
    check(
        &with(json!("1Gi"), json!("100m"), "1Gi"),
        &with(json!("1G"), json!("100m"), "1Gi"),
        &[r#"spec.resources.limits.memory: "1G", wanted "1Gi""#],
    );
    // elsewhere "1k" is a word
    check(
        &json!({ "spec": { "word": "1k" } }),
        &json!({ "spec": { "word": "1000" } }),
        &[r#"spec.word: "1000", wanted "1k""#],
    );
}

#[test]
fn keyed_lists_match_by_key_in_any_order() {
    let rendered = json!({ "spec": {
        "containers": [{ "name": "a", "image": "1" }, { "name": "b", "ports": [{ "containerPort": 80 }] }],
        "volumeMounts": [{ "mountPath": "/x", "name": "v" }] } });
    let live = json!({ "spec": {
        "containers": [
            { "name": "sidecar" },
            { "name": "b", "ports": [{ "containerPort": 80, "protocol": "UDP" }, { "containerPort": 80, "protocol": "TCP" }] },
            { "name": "a", "image": "1", "imagePullPolicy": "Always" } ],
        "volumeMounts": [{ "mountPath": "/y", "name": "v" }, { "mountPath": "/x", "name": "v" }] } });
    check(&rendered, &live, &[]);
    let mut other = rendered.clone();
    other["spec"]["containers"][0]["image"] = json!("2");
    check(&other, &live, &[r#"spec.containers[a].image: "1", wanted "2""#]);
}

#[test]
fn order_counts_where_it_means_something() {
    let of = |names: [&str; 2]| json!({ "spec": { "initContainers": names.map(|n| json!({ "name": n })) } });
    check(&of(["a", "b"]), &of(["b", "a"]), &["spec.initContainers[b]: in another order"]);
}

#[test]
fn atomic_lists_agree_as_a_whole() {
    let of = |args: Value| json!({ "spec": { "args": args } });
    check(&of(json!(["--a", "--b"])), &of(json!(["--a", "--b"])), &[]);
    check(&of(json!(["--a"])), &of(json!(["--a", "--b"])), &["spec.args[1]: no longer wanted"]);
    check(&of(json!(["--b"])), &of(json!(["--a"])), &[r#"spec.args[0]: "--a", wanted "--b""#]);
    check(&of(json!([])), &json!({ "spec": {} }), &[]);
    check(&of(json!([])), &of(json!(["--a"])), &["spec.args[0]: no longer wanted"]);
}

#[test]
fn an_owned_field_no_longer_rendered_is_a_difference() {
    let live = owning(
        json!({ "metadata": { "labels": { "a": "1", "b": "2" }, "finalizers": ["x/y"] },
                "spec": { "foreign": 1, "mine": { "deep": 2 }, "gone": {},
                          "containers": [{ "name": "c", "env": [{ "name": "E", "value": "1" }], "tty": true },
                                         { "name": "d\"q" }],
                          "ports": [{ "port": 80, "protocol": "TCP" }] } }),
        json!({ "f:metadata": { "f:labels": { ".": {}, "f:a": {}, "f:b": {} }, "f:finalizers": { "v:\"x/y\"": {} } },
                "f:spec": { "f:mine": { "f:deep": {} }, "f:gone": {}, "f:stale": {},
                            "f:containers": { "k:{\"name\":\"c\"}": { ".": {}, "f:name": {}, "f:tty": {},
                                              "f:env": { "k:{\"name\":\"E\"}": { ".": {}, "f:name": {}, "f:value": {} } } },
                                              "k:{\"name\":\"d\\\"q\"}": { ".": {}, "f:name": {} } },
                            "f:ports": { "k:{\"port\":80,\"protocol\":\"TCP\"}": { ".": {}, "f:port": {} } } } }),
    );
    let mut rendered = json!({ "metadata": { "labels": { "a": "1", "b": "2" }, "finalizers": ["x/y"] },
        "spec": { "mine": { "deep": 2 }, "ports": [{ "port": 80 }],
                  "containers": [{ "name": "c", "tty": true, "env": [{ "name": "E", "value": "1" }] }, { "name": "d\"q" }] } });
    check(&rendered, &live, &[]);
    rendered["metadata"] = json!({ "labels": { "a": "1" } });
    rendered["spec"] =
        json!({ "mine": {}, "ports": [{ "port": 81 }], "containers": [{ "name": "c", "env": [] }] });
    check(
        &rendered,
        &live,
        &[
            r#"spec.ports[0]: absent, wanted {"port":81}"#,
            r#"metadata.finalizers: no longer wanted"#,
            "metadata.labels.b: no longer wanted",
            r#"spec.containers[{"name":"c"}].env[{"name":"E"}]: no longer wanted"#,
            r#"spec.containers[{"name":"c"}].tty: no longer wanted"#,
            r#"spec.containers[{"name":"d\"q"}]: no longer wanted"#,
            "spec.mine.deep: no longer wanted",
            r#"spec.ports[{"port":80,"protocol":"TCP"}]: no longer wanted"#,
        ],
    );
}

#[test]
fn an_owned_leaf_agrees_as_a_whole_up_to_defaults() {
    let owned = json!({ "f:spec": { "f:partitionings": {}, "f:selector": {} } });
    let rendered = json!({ "spec": { "selector": { "a": "1" },
        "partitionings": [{ "equal": { "parts": 1, "pools": [{ "cell": "z", "replicas": 3 }] } }] } });
    let live = |extra: Value| {
        let mut pool = json!({ "cell": "z", "replicas": 3, "name": "" });
        pool.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        owning(
            json!({ "spec": { "selector": { "a": "1" },
                              "partitionings": [{ "equal": { "parts": 1, "hexWidth": 0, "pools": [pool] } }] } }),
            owned.clone(),
        )
    };
    check(&rendered, &live(json!({})), &[]);
    check(
        &rendered,
        &live(json!({ "affinity": { "x": 1 } })),
        &["spec.partitionings[0].equal.pools[0].affinity: no longer wanted"],
    );
    let mut selector = live(json!({}));
    selector["spec"]["selector"]["b"] = json!("2");
    check(&rendered, &selector, &["spec.selector.b: no longer wanted"]);
}

#[test]
fn a_pod_is_recreated_for_its_spec_only() {
    let pod =
        |spec: Value| json!({ "kind": "Pod", "metadata": { "annotations": { "a": "1" } }, "spec": spec });
    let live = owning(
        json!({ "metadata": { "annotations": { "a": "2" } },
                "spec": { "nodeName": "n", "containers": [{ "name": "c", "image": "1", "stdin": true }],
                          "tolerations": [{ "key": "mine", "operator": "Exists" },
                                          { "key": "node.kubernetes.io/not-ready", "operator": "Exists" }] } }),
        json!({ "f:spec": { "f:containers": { "k:{\"name\":\"c\"}": { "f:name": {}, "f:image": {}, "f:stdin": {} } },
                            "f:tolerations": {} } }),
    );
    let container = |image: &str| json!([{ "name": "c", "image": image, "stdin": true }]);
    let mine = json!({ "key": "mine", "operator": "Exists" });
    for (spec, expected, why) in [
        (json!({ "containers": container("1"), "tolerations": [mine] }), false, "metadata only"),
        (
            json!({ "containers": container("1"), "tolerations": [mine, { "key": "new" }] }),
            false,
            "toleration added",
        ),
        (
            json!({ "containers": container("1"), "tolerations": [{ "key": "new" }] }),
            true,
            "toleration dropped",
        ),
        (json!({ "containers": container("1") }), true, "all tolerations dropped"),
        (json!({ "containers": container("2"), "tolerations": [mine] }), true, "image"),
        (
            json!({ "containers": [{ "name": "c", "image": "1" }], "tolerations": [mine] }),
            true,
            "dropped field",
        ),
    ] {
        assert_eq!(pod_needs_recreation(&pod(spec), &live, MANAGER), expected, "{why}");
    }
}

#[test]
fn what_stands_as_well_is_no_difference() {
    let with = |script: &str, label: &str| {
        json!({ "spec": {
            "initContainers": [{ "name": "init-vt-root", "args": [script], "image": "a" }],
            "affinity": { "podAntiAffinity": { "preferred": [{ "topologyKey": label }] } } } })
    };
    let (new, old) = ("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone");
    check(&with("ours", new), &with("theirs", old), &[]);
    assert!(!pod_needs_recreation(&with("ours", new), &with("theirs", old), MANAGER));
    check(
        &with("ours", new),
        &with("ours", "kubernetes.io/hostname"),
        &[
            r#"spec.affinity.podAntiAffinity.preferred[0].topologyKey: "kubernetes.io/hostname", wanted "topology.kubernetes.io/zone""#,
        ],
    );
    // A script of the manifest's own is not ours to let stand.
    let other =
        |script: &str| json!({ "spec": { "initContainers": [{ "name": "warm-up", "args": [script] }] } });
    check(&other("a"), &other("b"), &[r#"spec.initContainers[warm-up].args[0]: "b", wanted "a""#]);
}

#[test]
fn what_is_applied_speaks_the_words_of_what_is_there() {
    let live = json!({ "metadata": { "labels": { "a": "1" } }, "spec": {
        "containers": [
            { "name": "b", "resources": { "limits": { "memory": "1024Mi" } } },
            { "name": "a", "image": "old" } ],
        "initContainers": [{ "name": "init-vt-root", "args": ["theirs"] }],
        "partitionings": [{ "equal": { "parts": 1, "hexWidth": 0, "lifecycle": {} } }] } });
    let rendered = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "labels": { "a": "1" } }, "spec": {
        "containers": [
            { "name": "new" },
            { "name": "a", "image": "new" },
            { "name": "b", "resources": { "limits": { "memory": "1Gi" } } } ],
        "initContainers": [{ "name": "init-vt-root", "args": ["ours"] }],
        "partitionings": [{ "equal": { "parts": 2 } }] } });
    let conformed = conformed(&rendered, &live);
    assert_eq!(
        conformed,
        json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "labels": { "a": "1" } }, "spec": {
            "containers": [
                { "name": "b", "resources": { "limits": { "memory": "1024Mi" } } },
                { "name": "a", "image": "new" },
                { "name": "new" } ],
            "initContainers": [{ "name": "init-vt-root", "args": ["theirs"] }],
            "partitionings": [{ "equal": { "parts": 2, "hexWidth": 0, "lifecycle": {} } }] } })
    );
    assert_eq!(differences(&rendered, &conformed, MANAGER), Vec::<String>::new());
}
