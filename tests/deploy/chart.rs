//! The Helm chart, rendered by Helm's own engine: by default it makes what the manifests are.

use std::path::PathBuf;
use std::process::{Command, Output};

use pilothouse::embedded;
use pilothouse_tests::{golang, repository};
use serde_json::{Value, json};

use crate::host::{container, document, settings};
use crate::{kustomized, manifests};

/// Helm's engine; `None` where it cannot be had.
fn engine() -> Option<PathBuf> {
    golang::built("tests/chart").unwrap()
}

fn render(engine: &PathBuf, release: &str, values: &Value) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("values.yaml");
    std::fs::write(&file, values.to_string()).unwrap();
    let chart = repository("host/deploy/chart");
    Command::new(engine).arg(chart).args([release, "pilothouse"]).arg(file).output().unwrap()
}

#[track_caller]
fn rendered(engine: &PathBuf, release: &str, values: &Value) -> Vec<Value> {
    let output = render(engine, release, values);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    embedded::documents(&String::from_utf8(output.stdout).unwrap()).unwrap()
}

/// The same objects but for the Namespace, which a release is put into.
#[track_caller]
fn same(mut chart: Vec<Value>, mut manifests: Vec<Value>) {
    let whose = |d: &Value| (d["kind"].to_string(), d["metadata"].to_string());
    manifests.retain(|d| d["kind"] != "Namespace");
    chart.sort_by_key(whose);
    manifests.sort_by_key(whose);
    for (chart, manifest) in chart.iter().zip(&manifests) {
        assert_eq!(chart, manifest);
    }
    assert_eq!(chart.len(), manifests.len());
}

#[test]
fn by_default_it_makes_what_the_manifests_are() {
    let Some(engine) = engine() else { return };
    same(rendered(&engine, "pilothouse", &json!({})), manifests());
}

#[test]
fn for_one_namespace_it_makes_what_the_overlay_is() {
    let (Some(engine), Some(overlay)) = (engine(), kustomized("namespaced")) else { return };
    same(rendered(&engine, "pilothouse", &json!({ "watchNamespace": "vitess" })), overlay);
}

#[test]
fn values_reach_what_they_are_about() {
    let Some(engine) = engine() else { return };
    let values = json!({
        "image": "elsewhere/pilothouse@sha256:0", "replicas": 3, "priorityClasses": false,
        "imagePullSecrets": [{ "name": "elsewhere" }],
        "settings": { "allowances": { "volumeBudgetBytes": 1_099_511_627_776_u64 } },
    });
    let documents = rendered(&engine, "second", &values);
    assert!(documents.iter().all(|d| d["kind"] != "PriorityClass"));
    let deployment = document(&documents, "Deployment", "second");
    assert_eq!(deployment["spec"]["replicas"], 3);
    assert_eq!(deployment["spec"]["template"]["spec"]["imagePullSecrets"], values["imagePullSecrets"]);
    assert_eq!(container(&documents, "second")["image"], values["image"]);
    let settings = settings(&documents, "second");
    assert_eq!(settings.allowances.volume_budget_bytes, Some(1_099_511_627_776));
    assert_eq!(settings.listen.port(), 8080, "what the chart needs stays");
}

#[test]
fn values_that_cannot_be_are_refused_by_name() {
    let Some(engine) = engine() else { return };
    for (values, words) in [
        (json!({ "replica": 2 }), "replica"),
        (json!({ "replicas": "two" }), "replicas"),
        (json!({ "settings": { "namespace": "vitess" } }), "settings.namespace: the chart sets it"),
        (json!({ "settings": { "listen": "0.0.0.0:80" } }), "settings.listen: the chart sets it"),
    ] {
        let output = render(&engine, "pilothouse", &values);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(words), "{values}: {said}");
    }
}
