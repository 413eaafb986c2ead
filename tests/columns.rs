//! What `kubectl get` shows of all eight kinds, of a cluster at rest and of one that is paused, beside the
//! conditions that stand on each.
//!
//! `columns.txt` is the outcome; `PILOTHOUSE_ACCEPT=1` writes it. Ages and other times are left out.

use std::fmt::Write as _;

use kube::api::{Patch, PatchParams};
use pilothouse::embedded;
use pilothouse::kinds::Kind;
use pilothouse_tests::seen::text;
use pilothouse_tests::stage::{Stage, virtually};
use pilothouse_tests::{built, repository};
use serde_json::{Value, json};

const KINDS: [Kind; 8] = [
    Kind::VitessCluster,
    Kind::VitessCell,
    Kind::VitessKeyspace,
    Kind::VitessShard,
    Kind::EtcdLockserver,
    Kind::VitessBackupStorage,
    Kind::VitessBackup,
    Kind::VitessBackupSchedule,
];

/// The example, with a schedule.
fn manifest() -> Vec<Value> {
    let example = std::fs::read_to_string(repository("crds/examples/three-zones.yaml")).unwrap();
    let mut documents = embedded::documents(&example).unwrap();
    documents[0]["spec"]["backup"]["schedules"] = json!([{
        "name": "nightly", "schedule": "0 2 * * *", "resources": {},
        "strategies": [{ "name": "all", "scope": "Cluster" }],
    }]);
    documents
}

/// The table that the server makes for kubectl: wide columns in brackets.
async fn table(stage: &Stage, kind: Kind) -> String {
    let resource = kind.resource();
    let path = format!("/apis/{}/namespaces/default/{}", resource.api_version, resource.plural);
    let request = http::Request::get(path).header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io");
    let table: Value = stage.embedded.client.request(request.body(Vec::new()).unwrap()).await.unwrap();
    let columns = table["columnDefinitions"].as_array().unwrap();
    let shown: Vec<usize> = (0..columns.len()).filter(|i| columns[*i]["type"] != "date").collect();
    let head = |i: &usize| {
        let name = text(&columns[*i], "/name");
        if columns[*i]["priority"] == 0 { name.to_owned() } else { format!("[{name}]") }
    };
    let cell = |row: &Value, i: &usize| match &row["cells"][*i] {
        Value::Null => "-".to_owned(),
        Value::String(word) if word.is_empty() => "-".to_owned(),
        Value::String(word) => word.clone(),
        other => other.to_string(),
    };
    let mut told = format!("{}: {}\n", kind.as_str(), shown.iter().map(head).collect::<Vec<_>>().join(" | "));
    for row in table["rows"].as_array().unwrap() {
        let cells: Vec<String> = shown.iter().map(|i| cell(row, i)).collect();
        let _ = writeln!(told, "  {}", cells.join(" | "));
    }
    told
}

/// The conditions of the first object of a kind.
fn conditions(stage: &Stage, kind: Kind) -> String {
    let object = stage.objects(kind, "default").remove(0);
    let all = object.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
    let told = all.map(|c| format!("{}={} {}", text(c, "/type"), text(c, "/status"), text(c, "/reason")));
    let told: Vec<String> = told.collect();
    if told.is_empty() { String::new() } else { format!("  {}\n", told.join(", ")) }
}

async fn show(stage: &Stage, when: &str) -> String {
    let mut told = format!("== {when}\n");
    for kind in KINDS {
        told.push_str(&table(stage, kind).await);
        told.push_str(&conditions(stage, kind));
    }
    told
}

#[test]
fn every_kind_has_columns_that_say_how_it_is() {
    virtually(async {
        let stage = Stage::three_zones(&built!()).unwrap();
        embedded::apply(&stage.embedded.client, &manifest()).await.unwrap();
        stage.settle().await.unwrap();
        let mut told = show(&stage, "at rest").await;

        let paused = Patch::Merge(json!({ "metadata": { "annotations": { "pilothouse.dev/paused": "" } } }));
        let api = Kind::VitessCluster.api(&stage.embedded.client, "default");
        api.patch("harbour", &PatchParams::default(), &paused).await.unwrap();
        stage.settle().await.unwrap();
        told.push_str(&show(&stage, "paused").await);
        stage.end().await.unwrap();

        let file = repository("tests/columns.txt");
        if std::env::var_os("PILOTHOUSE_ACCEPT").is_some() {
            std::fs::write(&file, &told).unwrap();
        }
        assert!(told == std::fs::read_to_string(&file).unwrap_or_default(), "it is otherwise:\n{told}");
    });
}
