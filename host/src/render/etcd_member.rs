//! The members of an etcd cluster, and how they and their clients find each other.

use std::collections::BTreeMap;

use pilothouse_api::etcd_lockserver::{EtcdTemplate, MEMBERS};
use pilothouse_api::labels::{self, Component};
use pilothouse_api::pod_overrides::ServiceOverrides;
use pilothouse_api::{EtcdLockserver, names};
use pilothouse_core::topology::{Cell, Zone};
use serde_json::{Value, json};

use super::Rendered;
use super::child::{Owner, Strings, labels as pairs, unless_empty};
use super::container::{PRIORITY_CLASS, port};
use super::flags::Flags;
use super::placement::{Apart, Domain};
use super::pod::{self, unless_blank};
use super::{services, vttablet_claim};

const CLIENT: u16 = 2379;
const PEER: u16 = 2380;
const DATA: &str = "/var/etcd";

/// Limits of etcd that Vitess needs: history compacted by revisions, 8 GiB of data, requests
/// of 8 MiB (a large vschema).
const ENVIRONMENT: [(&str, &str); 5] = [
    ("ETCD_AUTO_COMPACTION_MODE", "revision"),
    ("ETCD_AUTO_COMPACTION_RETENTION", "1000"),
    ("ETCD_QUOTA_BACKEND_BYTES", "8589934592"),
    ("ETCD_MAX_REQUEST_BYTES", "8388608"),
    ("ETCDCTL_API", "3"),
];

/// Renders Services, the disruption budget, then each member's claim and Pod.
pub(super) fn render(etcd: &EtcdLockserver, zones: &BTreeMap<Cell, Zone>) -> Vec<Rendered> {
    let owner = Owner::of(etcd);
    let template = &etcd.spec.template;
    let zone = zone(etcd, zones);
    let mut rendered = Vec::new();
    if template.create_client_service.unwrap_or(true) {
        rendered.push(client_service(&owner, etcd));
    }
    if template.create_peer_service.unwrap_or(true) {
        rendered.push(peer_service(&owner, etcd));
    }
    if template.create_pdb.unwrap_or(true) {
        rendered.push(disruption_budget(&owner, etcd));
    }
    for index in 1..=MEMBERS {
        if template.local_member_index.is_none_or(|local| i64::from(local) == i64::from(index)) {
            rendered.extend(claim(&owner, etcd, index));
            rendered.push(member(&owner, etcd, index, zone.as_ref()));
        }
    }
    rendered
}

/// The zone that the manifest names, else that of the cell whose topology it holds. The global
/// one has neither, and spreads.
fn zone(etcd: &EtcdLockserver, zones: &BTreeMap<Cell, Zone>) -> Option<Zone> {
    if !etcd.spec.zone.is_empty() {
        return Some(Zone(etcd.spec.zone.clone()));
    }
    let cell = etcd.metadata.labels.as_ref()?.get(labels::CELL)?;
    zones.get(&Cell(cell.clone())).cloned()
}

/// The labels of everything of an etcd cluster.
fn labels_of(owner: &Owner<'_>, etcd: &EtcdLockserver) -> Strings {
    let mut all =
        pairs([(labels::COMPONENT, Component::Etcd.as_str()), (labels::ETCD_LOCKSERVER, owner.name)]);
    for key in [labels::CLUSTER, labels::CELL] {
        if let Some(value) = etcd.metadata.labels.as_ref().and_then(|labels| labels.get(key)) {
            all.insert(key.to_owned(), value.clone());
        }
    }
    all
}

fn member_labels(owner: &Owner<'_>, etcd: &EtcdLockserver, index: u32) -> Strings {
    let mut all = labels_of(owner, etcd);
    all.insert(labels::ETCD_INDEX.to_owned(), index.to_string());
    all
}

fn client_service(owner: &Owner<'_>, etcd: &EtcdLockserver) -> Rendered {
    let labels = labels_of(owner, etcd);
    let spec = json!({ "ports": [services::port("client", CLIENT)], "selector": labels });
    let name = names::etcd_client_service(owner.name);
    services::with_overrides(owner, name, labels, spec, etcd.spec.template.client_service.as_ref())
}

/// Members must find each other before they are ready: readiness needs a quorum.
fn peer_service(owner: &Owner<'_>, etcd: &EtcdLockserver) -> Rendered {
    let labels = labels_of(owner, etcd);
    let spec = json!({
        "clusterIP": "None", "publishNotReadyAddresses": true,
        "ports": [services::port("peer", PEER)], "selector": labels,
    });
    let given: Option<&ServiceOverrides> = etcd.spec.template.peer_service.as_ref();
    services::with_overrides(owner, names::etcd_peer_service(owner.name), labels, spec, given)
}

fn disruption_budget(owner: &Owner<'_>, etcd: &EtcdLockserver) -> Rendered {
    let members = pairs([(labels::ETCD_LOCKSERVER, owner.name)]);
    let mut labels = members.clone();
    if let Some(cluster) = labels_of(owner, etcd).remove(labels::CLUSTER) {
        labels.insert(labels::CLUSTER.to_owned(), cluster);
    }
    owner
        .child("policy/v1", "PodDisruptionBudget", names::etcd_disruption_budget(owner.name), labels)
        .with_spec(json!({ "minAvailable": MEMBERS / 2 + 1, "selector": { "matchLabels": members } }))
}

fn claim(owner: &Owner<'_>, etcd: &EtcdLockserver, index: u32) -> Option<Rendered> {
    let template = etcd.spec.template.data_volume_claim_template.as_ref()?;
    let name = names::etcd_member(owner.name, index);
    let labels = member_labels(owner, etcd, index);
    let spec = vttablet_claim::at_least(template, 0);
    let claim = owner.child("v1", "PersistentVolumeClaim", name, labels);
    Some(claim.outliving(vttablet_claim::is_retained(&etcd.metadata)).with_spec(spec))
}

fn member(owner: &Owner<'_>, etcd: &EtcdLockserver, index: u32, zone: Option<&Zone>) -> Rendered {
    let template = &etcd.spec.template;
    let name = names::etcd_member(owner.name, index);
    let of_members = pairs([(labels::ETCD_LOCKSERVER, owner.name)]);
    let mut apart = vec![Apart { weight: 2, labels: &of_members, by: Domain::Host }];
    if zone.is_none() {
        apart.push(Apart { weight: 1, labels: &of_members, by: Domain::Zone });
    }
    let mut pod = pod::spec(
        pod::Parts {
            containers: vec![container(owner, template, index)],
            init_containers: Vec::new(),
            volumes: vec![json!({ "name": "data", "persistentVolumeClaim": { "claimName": name } })],
            zones: zone.into_iter().collect(),
            apart,
            pull_secrets: &template.image_pull_secrets,
        },
        &template.pod,
    );
    pod["priorityClassName"] = json!(PRIORITY_CLASS);
    pod["hostname"] = json!(name);
    pod["subdomain"] = json!(names::etcd_peer_service(owner.name));
    let mut labels = template.pod.extra_labels.clone();
    labels.extend(member_labels(owner, etcd, index));
    owner.child("v1", "Pod", name, labels).annotated(template.pod.annotations.clone()).with_spec(pod)
}

fn container(owner: &Owner<'_>, template: &EtcdTemplate, index: u32) -> Value {
    let env = ENVIRONMENT.map(|(name, value)| json!({ "name": name, "value": value })).into();
    let mount = json!({ "name": "data", "mountPath": DATA, "subPath": "etcd" });
    json!({
        "name": "etcd",
        "image": unless_blank(&template.image),
        "imagePullPolicy": unless_blank(&template.image_pull_policy),
        "command": ["/usr/local/bin/etcd"],
        "args": flags(owner, template, index).args(),
        "env": pod::env(env, &template.pod.extra_env),
        "ports": [port("client", CLIENT), port("peer", PEER)],
        "readinessProbe": {
            "exec": { "command": ["etcdctl", "endpoint", "health"] },
            "initialDelaySeconds": 1, "periodSeconds": 5, "timeoutSeconds": 5,
        },
        "livenessProbe": {
            "exec": { "command": ["etcdctl", "endpoint", "status"] },
            "initialDelaySeconds": 300, "periodSeconds": 5, "timeoutSeconds": 5, "failureThreshold": 30,
        },
        "resources": unless_empty(json!(template.resources)),
        "volumeMounts": pod::mounts(vec![mount], &template.pod.extra_volume_mounts),
    })
}

fn flags(owner: &Owner<'_>, template: &EtcdTemplate, index: u32) -> Flags {
    let name = |index| names::etcd_member(owner.name, index);
    let host = |index| format!("http://{}.{}", name(index), names::etcd_peer_service(owner.name));
    // Fewer would name some members by another network than the rest.
    let given = Some(&template.advertise_peer_urls).filter(|urls| urls.len() == MEMBERS as usize);
    let peer = |index: u32| match given.and_then(|urls| urls.get(index as usize - 1)) {
        Some(url) => url.clone(),
        None => format!("{}:{PEER}", host(index)),
    };
    let members: Vec<String> = (1..=MEMBERS).map(|i| format!("{}={}", name(i), peer(i))).collect();
    let mut flags = Flags::default();
    flags
        .set("name", name(index))
        .set("data-dir", DATA)
        .set("initial-cluster", members.join(","))
        .set("initial-cluster-state", "new")
        .set("initial-cluster-token", owner.name)
        .set("advertise-client-urls", format!("{}:{CLIENT}", host(index)))
        .set("initial-advertise-peer-urls", peer(index))
        .set("listen-client-urls", format!("http://0.0.0.0:{CLIENT}"))
        .set("listen-peer-urls", format!("http://0.0.0.0:{PEER}"))
        .extend(&template.extra_flags);
    flags
}
