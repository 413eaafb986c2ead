//! The control daemon, in each of its cells.

use pilothouse_api::backup_location::BackupLocation;
use pilothouse_api::labels::{self, Component};
use pilothouse_api::orchestrator::VitessDashboard;
use pilothouse_api::vitess_cell::CellTemplate;
use pilothouse_api::vitess_cluster::{BackupEngine, ClusterBackup};
use pilothouse_api::{VitessCluster, defaults, names};
use pilothouse_core::topology::Zone;
use serde_json::{Value, json};

use super::Rendered;
use super::backup_location::{self, Storage};
use super::child::{Owner, labels as pairs, unless_empty};
use super::container::{GRPC, PRIORITY_CLASS, WEB, alive_at, as_vitess, port, ready_at, topology};
use super::deployment::{self, Program};
use super::flags::Flags;
use super::mysql;
use super::pod::{self, unless_blank};

/// Flags of every control daemon.
const DAEMON_FLAGS: [(&str, &str); 4] = [
    ("grpc_port", "15999"),
    ("logtostderr", "true"),
    ("port", "15000"),
    ("service_map", "grpc-vtctl,grpc-vtctld"),
];

/// Renders one Deployment for each cell that should have it, in the order of the manifest.
pub(super) fn render(cluster: &VitessCluster) -> Vec<Rendered> {
    let given = defaults::dashboard(cluster.spec.vitess_dashboard.as_ref());
    let cells = cluster.spec.cells.iter();
    cells
        .filter(|cell| given.cells.is_empty() || given.cells.contains(&cell.name))
        .map(|cell| deployment(cluster, &given, cell))
        .collect()
}

fn deployment(cluster: &VitessCluster, given: &VitessDashboard, cell: &CellTemplate) -> Rendered {
    let owner = Owner::of(cluster);
    let storage = storage(cluster, owner.name);
    let zone = Zone(cell.zone.clone());
    let mut annotations = storage.annotations.clone();
    annotations.extend(given.pod.annotations.clone());
    let mut pod = pod::spec(
        pod::Parts {
            containers: vec![container(cluster, given, &cell.name, &storage)],
            init_containers: Vec::new(),
            volumes: storage.volumes,
            zones: Some(&zone).filter(|zone| !zone.0.is_empty()).into_iter().collect(),
            apart: Vec::new(),
            pull_secrets: &cluster.spec.image_pull_secrets,
        },
        &given.pod,
    );
    pod["priorityClassName"] = json!(PRIORITY_CLASS);
    let program = Program {
        name: names::vtctld(owner.name, &cell.name),
        labels: pairs([
            (labels::CLUSTER, owner.name),
            (labels::CELL, &cell.name),
            (labels::COMPONENT, Component::Vtctld.as_str()),
        ]),
        extra_labels: &given.pod.extra_labels,
        annotations,
        replicas: Some(i64::from(given.replicas.unwrap_or(1))),
        strategy: Value::Null,
        pod,
    };
    deployment::render(&owner, program)
}

/// The name of the location whose backups vtctld lists and removes; `None`: the manifest has none.
pub(crate) fn listed_location(cluster: &VitessCluster) -> Option<String> {
    cluster.spec.backup.as_ref().and_then(location).map(|location| location.name.clone())
}

/// The default location, else the first.
fn location(backup: &ClusterBackup) -> Option<&BackupLocation> {
    backup_location::named(&backup.locations, "").or_else(|| backup.locations.first())
}

fn storage(cluster: &VitessCluster, name: &str) -> Storage {
    let Some(backup) = &cluster.spec.backup else { return Storage::default() };
    let location = location(backup);
    backup_location::storage(location, backup.engine.unwrap_or_default().as_str(), name)
}

fn container(cluster: &VitessCluster, given: &VitessDashboard, cell: &str, storage: &Storage) -> Value {
    let owner = Owner::of(cluster);
    let mut flags = Flags::default();
    flags.set_all(&DAEMON_FLAGS).set("cell", cell).merge(storage.flags.clone());
    topology(&mut flags, &cluster.spec.global_lockserver.global_params(owner.namespace, owner.name));
    if cluster.spec.backup.as_ref().and_then(|backup| backup.engine) == Some(BackupEngine::Xtrabackup) {
        flags.set("backup_storage_compress", true);
    }
    let mysqld = cluster.spec.images.mysqld.as_ref().and_then(|image| image.chosen());
    mysql::server_version(&mut flags, mysqld.map_or("", |(_, image)| image));
    flags.extend(&cluster.spec.extra_vitess_flags).extend(&given.extra_flags);
    json!({
        "name": "vtctld",
        "image": unless_blank(&cluster.spec.images.vtctld),
        "imagePullPolicy": unless_blank(&cluster.spec.image_pull_policies.vtctld),
        "command": ["/vt/bin/vtctld"],
        "args": flags.args(),
        "env": pod::env(storage.env.clone(), &given.pod.extra_env),
        "ports": [port("web", WEB), port("grpc", GRPC)],
        "readinessProbe": ready_at("/debug/health"),
        "livenessProbe": alive_at("/debug/status"),
        "resources": unless_empty(json!(given.resources)),
        "securityContext": as_vitess(),
        "volumeMounts": pod::mounts(storage.mounts.clone(), &given.pod.extra_volume_mounts),
    })
}
