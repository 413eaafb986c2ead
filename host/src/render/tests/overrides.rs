//! Every addition that a manifest may make to a component's Pods reaches them.

use std::collections::BTreeMap;

use pilothouse_api::VitessCluster;
use serde_json::{Value, json};

use super::tree::{manifest, tree};

/// Additions with words that appear nowhere else.
fn additions() -> Value {
    json!({
        "affinity": { "podAffinity": { "preferredDuringSchedulingIgnoredDuringExecution": [
            { "weight": 7, "podAffinityTerm": { "topologyKey": "marked" } },
        ] } },
        "annotations": { "marked": "annotation" },
        "extraEnv": [{ "name": "MARKED", "value": "variable" }],
        "extraLabels": { "marked": "label" },
        "extraVolumeMounts": [{ "name": "marked", "mountPath": "/marked" }],
        "extraVolumes": [{ "name": "marked", "emptyDir": {} }],
        "initContainers": [{ "name": "marked-init", "image": "init" }],
        "sidecarContainers": [{ "name": "marked-sidecar", "image": "sidecar" }],
        "tolerations": [{ "key": "marked", "operator": "Exists" }],
        "extraFlags": { "--marked": "flag" },
    })
}

/// The manifest with all of them, wherever it takes any.
fn marked() -> VitessCluster {
    let mut value = serde_json::to_value(manifest()).expect("serialises");
    let with = |place: &mut Value| {
        if place.is_null() {
            *place = json!({});
        }
        for (field, addition) in additions().as_object().expect("a map") {
            place[field] = addition.clone();
        }
    };
    let spec = &mut value["spec"];
    with(&mut spec["vitessDashboard"]);
    with(&mut spec["vtadmin"]);
    with(&mut spec["globalLockserver"]["etcd"]);
    with(&mut spec["cells"][0]["gateway"]);
    let keyspace = &mut spec["keyspaces"][0];
    with(&mut keyspace["vitessOrchestrator"]);
    let pool = &mut keyspace["partitionings"][0]["equal"]["shardTemplate"]["tabletPools"][0];
    with(pool);
    pool.as_object_mut().expect("a map").remove("extraFlags");
    pool["vttablet"]["extraFlags"] = json!({ "--marked": "flag" });
    pool["vttablet"]["vtbackupExtraFlags"] = json!({ "--marked": "flag" });
    pool["mysqldExporter"] = json!({ "extraFlags": { "--marked": "flag" } });
    serde_json::from_value(value).expect("a cluster")
}

/// Which additions a Pod of `metadata` and `spec` has; of a container, by its name.
fn found(metadata: &Value, spec: &Value) -> Vec<String> {
    let has = |value: &Value, words: &str| value.to_string().contains(words);
    let named = |list: &str, name: &str| has(&spec[list], &format!("\"name\":\"{name}\""));
    let of_pod = [
        ("affinity", has(&spec["affinity"], "marked")),
        ("annotation", metadata["annotations"]["marked"] == "annotation"),
        ("label", metadata["labels"]["marked"] == "label"),
        ("volume", named("volumes", "marked")),
        ("init container", named("initContainers", "marked-init")),
        ("sidecar", named("containers", "marked-sidecar")),
        ("toleration", has(&spec["tolerations"], "marked")),
    ];
    let mut all: Vec<String> =
        of_pod.iter().filter(|(_, has)| *has).map(|(what, _)| (*what).to_owned()).collect();
    for container in spec["containers"].as_array().into_iter().flatten() {
        let name = container["name"].as_str().unwrap_or_default();
        let of_container = [
            ("variable", has(&container["env"], "MARKED")),
            ("mount", has(&container["volumeMounts"], "/marked")),
            ("flag", has(&container["args"], "\"--marked=flag\"")),
        ];
        let words: Vec<&str> = of_container.iter().filter(|(_, has)| *has).map(|(what, _)| *what).collect();
        if !words.is_empty() {
            all.push(format!("{name}: {}", words.join(" ")));
        }
    }
    all
}

#[test]
fn every_addition_reaches_its_pods() {
    let tree = tree(&marked());
    let of = |kind: &str, start: &str| {
        let ((_, _), value) =
            tree.iter().find(|((k, name), _)| k == kind && name.starts_with(start)).expect("rendered");
        match kind {
            "Pod" => found(&value["metadata"], &value["spec"]),
            _ => found(&value["spec"]["template"]["metadata"], &value["spec"]["template"]["spec"]),
        }
    };
    let pod = ["affinity", "annotation", "label", "volume", "init container", "sidecar", "toleration"];
    let expect = |kind: &str, start: &str, without: &[&str], containers: &[&str]| {
        let expected: Vec<String> = pod
            .iter()
            .filter(|what| !without.contains(what))
            .chain(containers)
            .map(|s| (*s).to_owned())
            .collect();
        assert_eq!(of(kind, start), expected, "{kind} {start}");
    };
    expect("Deployment", "harbour-east-vtctld-", &[], &["vtctld: variable mount flag"]);
    expect("Deployment", "harbour-east-vtgate-", &[], &["vtgate: variable mount flag"]);
    expect("Deployment", "harbour-orders-x-80-east-vtorc-", &[], &["vtorc: variable mount flag"]);
    let admin = ["vtadmin-api: variable mount flag", "vtadmin-web: variable mount"];
    expect("Deployment", "harbour-east-vtadmin-", &[], &admin);
    expect("Pod", "harbour-etcd-", &[], &["etcd: variable mount flag"]);
    let tablet =
        ["vttablet: variable mount flag", "mysqld: variable mount", "mysqld-exporter: variable mount flag"];
    expect("Pod", "harbour-vttablet-east-", &[], &tablet);
    // A sidecar would keep the run from ending, and its labels are not the pool's.
    let run = ["vtbackup: variable mount flag"];
    expect("Pod", "harbour-orders-x-80-vtbackup-init-", &["label", "sidecar"], &run);
}

#[test]
fn an_addition_of_the_same_name_takes_the_place_of_ours() {
    let mut value = serde_json::to_value(manifest()).expect("serialises");
    let pool =
        &mut value["spec"]["keyspaces"][0]["partitionings"][0]["equal"]["shardTemplate"]["tabletPools"][0];
    pool["extraEnv"] = json!([{ "name": "EXTRA_MY_CNF", "value": "/mine.cnf" }]);
    pool["extraVolumeMounts"] = json!([{ "name": "vt-root", "mountPath": "/vt/config", "subPath": "mine" }]);
    pool["extraVolumes"] = json!([{ "name": "vt-root", "hostPath": { "path": "/mine" } }]);
    let tree = tree(&serde_json::from_value(value).expect("a cluster"));
    let is_tablet =
        |(kind, name): &(String, String)| kind == "Pod" && name.starts_with("harbour-vttablet-east-");
    let (_, tablet) = tree.iter().find(|(key, _)| is_tablet(key)).expect("rendered");
    let spec = &tablet["spec"];
    let items = |list: &Value, key: &str| -> BTreeMap<String, Vec<Value>> {
        let mut all = BTreeMap::new();
        for item in list.as_array().into_iter().flatten() {
            all.entry(item[key].as_str().unwrap_or_default().to_owned())
                .or_insert_with(Vec::new)
                .push(item.clone());
        }
        all
    };
    assert_eq!(
        items(&spec["volumes"], "name")["vt-root"],
        [json!({ "name": "vt-root", "hostPath": { "path": "/mine" } })]
    );
    for container in &spec["containers"].as_array().expect("a list")[..2] {
        assert_eq!(
            items(&container["env"], "name")["EXTRA_MY_CNF"],
            [json!({ "name": "EXTRA_MY_CNF", "value": "/mine.cnf" })]
        );
        let mount = json!({ "name": "vt-root", "mountPath": "/vt/config", "subPath": "mine" });
        assert_eq!(items(&container["volumeMounts"], "mountPath")["/vt/config"], [mount]);
    }
}
