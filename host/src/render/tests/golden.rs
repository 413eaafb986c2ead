//! Rendered objects of our own manifest as texts, one of a kind each.
//! `PILOTHOUSE_ACCEPT=1` writes what is rendered now.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use serde_json::{Value, json};

use super::tree::{folder, manifest, tree};

/// One representative of each kind and component, by the start of its name.
const SHOWN: [(&str, &str, &str); 33] = [
    ("etcd-lockserver", "EtcdLockserver", "harbour-etcd-"),
    ("backup-storage", "VitessBackupStorage", "harbour-"),
    ("backup-schedule", "VitessBackupSchedule", "harbour-vbsc-"),
    ("cell", "VitessCell", "harbour-east-"),
    ("keyspace", "VitessKeyspace", "harbour-orders-"),
    ("shard", "VitessShard", "harbour-orders-x-80-"),
    ("service-vtgate", "Service", "harbour-vtgate-"),
    ("service-vttablet", "Service", "harbour-vttablet-"),
    ("service-vtctld", "Service", "harbour-vtctld-"),
    ("service-vtadmin", "Service", "harbour-vtadmin-"),
    ("service-cell-vtgate", "Service", "harbour-east-vtgate-"),
    ("service-etcd-peer", "Service", "harbour-etcd-"),
    ("vtctld", "Deployment", "harbour-east-vtctld-"),
    ("vtadmin", "Deployment", "harbour-east-vtadmin-"),
    ("vtadmin-clusters", "Secret", "harbour-east-vtadmin-clusterconfig-"),
    ("vtadmin-discovery", "Secret", "harbour-east-vtadmin-discovery-"),
    ("vtadmin-pages", "Secret", "harbour-east-vtadmin-webconfig-"),
    ("vtgate", "Deployment", "harbour-east-vtgate-"),
    ("autoscaler", "HorizontalPodAutoscaler", "harbour-south-"),
    ("vtgate-autoscaled", "Deployment", "harbour-south-vtgate-"),
    ("vtorc", "Deployment", "harbour-orders-x-80-east-vtorc-"),
    ("etcd-budget", "PodDisruptionBudget", "etcd-lockserver-"),
    ("gateways-budget", "PodDisruptionBudget", "harbour-east-vtgate-"),
    ("tablets-budget", "PodDisruptionBudget", "harbour-orders-x-80-vttablet-"),
    ("etcd-member", "Pod", "harbour-etcd-"),
    ("vttablet", "Pod", "harbour-vttablet-east-"),
    ("vttablet-external", "Pod", "harbour-vttablet-south-"),
    ("vttablet-claim", "PersistentVolumeClaim", "harbour-vttablet-east-"),
    ("vtbackup-init", "Pod", "harbour-orders-x-80-vtbackup-init-"),
    ("vtbackup-job", "Job", "harbour-vbsc-nightly-"),
    ("vtbackup-job-claim", "PersistentVolumeClaim", "harbour-vbsc-nightly-"),
    ("vtctldclient-job", "Job", "harbour-vbsc-hourly-"),
    ("vtbackup-claim", "PersistentVolumeClaim", "harbour-orders-x-80-vtbackup-init-"),
];

/// The object as people would write it: the files of a Secret as texts.
fn readable(value: &Value) -> Value {
    let mut value = value.clone();
    if let Some(data) = value.as_object_mut().and_then(|fields| fields.remove("data")) {
        let files: BTreeMap<String, ByteString> = serde_json::from_value(data).expect("base64");
        let texts = files
            .into_iter()
            .map(|(key, ByteString(bytes))| (key, String::from_utf8(bytes).expect("a text")));
        value["stringData"] = json!(texts.collect::<BTreeMap<_, _>>());
    }
    value
}

#[test]
fn rendered_objects_read_as_accepted() {
    let tree = tree(&manifest());
    let accept = std::env::var_os("PILOTHOUSE_ACCEPT").is_some();
    let mut wrong = Vec::new();
    for (title, kind, start) in SHOWN {
        let (_, value) = tree
            .iter()
            .rfind(|((of, name), _)| of == kind && name.starts_with(start))
            .unwrap_or_else(|| panic!("no {kind} {start}… is rendered"));
        let text = serde_yaml_ng::to_string(&readable(value)).expect("JSON is YAML");
        let file = folder().join(format!("golden/{title}.yaml"));
        if accept {
            std::fs::write(&file, &text).expect("the folder can be written");
        } else if std::fs::read_to_string(&file).ok().as_deref() != Some(text.as_str()) {
            wrong.push(format!("--- {title}.yaml should read\n{text}"));
        }
    }
    assert!(wrong.is_empty(), "PILOTHOUSE_ACCEPT=1 accepts:\n{}", wrong.join("\n"));
}
