//! Every field that we render is one that its type knows.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use pilothouse_api::{
    EtcdLockserver, VitessBackup, VitessBackupSchedule, VitessBackupStorage, VitessCell, VitessKeyspace,
    VitessShard,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::tree::{manifest, stored, tree};
use crate::render;

/// Paths of `value` that a round trip through `T` loses or changes.
fn lost<T: Serialize + DeserializeOwned>(value: &Value) -> Vec<String> {
    let typed: T = match serde_json::from_value(value.clone()) {
        Ok(typed) => typed,
        Err(error) => return vec![error.to_string()],
    };
    let back = serde_json::to_value(typed).expect("serialises");
    let mut paths = Vec::new();
    differ("", value, &back, &mut paths);
    paths
}

fn differ(path: &str, value: &Value, back: &Value, paths: &mut Vec<String>) {
    match (value, back) {
        (Value::Object(map), back) if back.is_object() || back.is_null() => {
            for (key, inner) in map {
                let there = back.get(key).unwrap_or(&Value::Null);
                differ(&format!("{path}/{key}"), inner, there, paths);
            }
        }
        (Value::Array(list), Value::Array(back)) if list.len() == back.len() => {
            for (index, (inner, there)) in list.iter().zip(back).enumerate() {
                differ(&format!("{path}/{index}"), inner, there, paths);
            }
        }
        (value, back) if value == back => {}
        (value, back) => paths.push(format!("{path}: {value} comes back as {back}")),
    }
}

fn lost_of(kind: &str, value: &Value) -> Vec<String> {
    match kind {
        "Deployment" => lost::<Deployment>(value),
        "Job" => lost::<Job>(value),
        "Pod" => lost::<Pod>(value),
        "PersistentVolumeClaim" => lost::<PersistentVolumeClaim>(value),
        "HorizontalPodAutoscaler" => lost::<HorizontalPodAutoscaler>(value),
        "Secret" => lost::<Secret>(value),
        "Service" => lost::<Service>(value),
        "PodDisruptionBudget" => lost::<PodDisruptionBudget>(value),
        "VitessCell" => lost::<VitessCell>(value),
        "VitessKeyspace" => lost::<VitessKeyspace>(value),
        "VitessShard" => lost::<VitessShard>(value),
        "EtcdLockserver" => lost::<EtcdLockserver>(value),
        "VitessBackupStorage" => lost::<VitessBackupStorage>(value),
        "VitessBackupSchedule" => lost::<VitessBackupSchedule>(value),
        "VitessBackup" => lost::<VitessBackup>(value),
        other => vec![format!("{other} is no kind that we render")],
    }
}

#[test]
fn every_rendered_field_is_known_to_its_type() {
    let mut all = tree(&manifest());
    let storage = all.iter().find(|((kind, _), _)| kind == "VitessBackupStorage").expect("rendered").1;
    for record in render::backup_records(&stored(storage), &[super::cases::backup()]) {
        all.insert((record.object.kind, record.object.name), record.value);
    }
    let mut kinds = std::collections::BTreeSet::new();
    for ((kind, name), value) in &all {
        assert_eq!(lost_of(kind, value), Vec::<String>::new(), "{kind} {name}");
        kinds.insert(kind.as_str());
    }
    assert_eq!(kinds.len(), 15, "{kinds:?}");
}

#[test]
fn an_unknown_field_is_seen() {
    let value =
        serde_json::json!({ "metadata": {}, "spec": { "containers": [{ "name": "a", "imgae": "x" }] } });
    assert_eq!(lost_of("Pod", &value), [r#"/spec/containers/0/imgae: "x" comes back as null"#]);
}

#[test]
fn what_is_rendered_satisfies_itself() {
    for ((kind, name), value) in &tree(&manifest()) {
        assert_eq!(crate::equality::differences(value, value, "us"), Vec::<String>::new(), "{kind} {name}");
        if kind == "Pod" {
            assert!(!crate::equality::pod_needs_recreation(value, value, "us"), "{name}");
        }
    }
}
