//! vtorc, one for each cell of a shard.

use std::collections::BTreeMap;

use pilothouse_api::labels::{self, Component};
use pilothouse_api::names;
use pilothouse_api::orchestrator::VitessOrchestrator;
use pilothouse_core::topology::{Cell, Zone};
use serde_json::{Value, json};

use super::Rendered;
use super::child::{Owner, unless_empty};
use super::container::{PRIORITY_CLASS, WEB, alive_at, as_vitess, port, ready_at, topology};
use super::deployment::{self, Program};
use super::flags::Flags;
use super::pod::{self, unless_blank};
use super::tablet::Shard;

/// Renders a Deployment for each cell with a pool, in the order of their names.
pub(super) fn render(owner: &Owner<'_>, shard: &Shard<'_>, zones: &BTreeMap<Cell, Zone>) -> Vec<Rendered> {
    let given = shard.object.spec.vitess_orchestrator.clone().unwrap_or_default();
    shard.cells().iter().map(|cell| deployment(owner, shard, &given, cell, zones)).collect()
}

fn deployment(
    owner: &Owner<'_>,
    shard: &Shard<'_>,
    given: &VitessOrchestrator,
    cell: &Cell,
    zones: &BTreeMap<Cell, Zone>,
) -> Rendered {
    let mut labels = shard.labels(Component::Vtorc);
    labels.insert(labels::CELL.to_owned(), cell.0.clone());
    let mut pod = pod::spec(
        pod::Parts {
            containers: vec![container(shard, given, cell)],
            init_containers: Vec::new(),
            volumes: Vec::new(),
            zones: zones.get(cell).into_iter().collect(),
            apart: Vec::new(),
            pull_secrets: &shard.object.spec.image_pull_secrets,
        },
        &given.pod,
    );
    pod["priorityClassName"] = json!(PRIORITY_CLASS);
    let program = Program {
        name: names::vtorc(shard.cluster, shard.keyspace, &shard.range, &cell.0),
        labels,
        extra_labels: &given.pod.extra_labels,
        annotations: given.pod.annotations.clone(),
        replicas: Some(1),
        strategy: Value::Null,
        pod,
    };
    deployment::render(owner, program)
}

fn container(shard: &Shard<'_>, given: &VitessOrchestrator, cell: &Cell) -> Value {
    let spec = &shard.object.spec;
    let mut flags = Flags::default();
    flags
        .set("cell", cell)
        .set("clusters_to_watch", format!("{}/{}", shard.keyspace, shard.range))
        .set("logtostderr", true)
        .set("port", WEB);
    topology(&mut flags, &spec.global_lockserver);
    flags.extend(&spec.extra_vitess_flags).extend(&given.extra_flags);
    json!({
        "name": "vtorc",
        "image": unless_blank(&spec.images.vtorc),
        "imagePullPolicy": unless_blank(&spec.image_pull_policies.vtorc),
        "command": ["/vt/bin/vtorc"],
        "args": flags.args(),
        "env": pod::env(Vec::new(), &given.pod.extra_env),
        "ports": [port("web", WEB)],
        "readinessProbe": ready_at("/debug/health"),
        "livenessProbe": alive_at("/debug/liveness"),
        "resources": unless_empty(json!(given.resources)),
        "securityContext": as_vitess(),
        "volumeMounts": pod::mounts(Vec::new(), &given.pod.extra_volume_mounts),
    })
}
