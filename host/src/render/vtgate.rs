//! A cell's gateways.

use pilothouse_api::gateway::Gateway;
use pilothouse_api::labels::{self, Component};
use pilothouse_api::pod_overrides::SecretSource;
use pilothouse_api::{VitessCell, defaults, names};
use pilothouse_core::topology::Zone;
use serde_json::{Value, json};

use super::Rendered;
use super::child::{Owner, labels as pairs, unless_empty};
use super::container::{
    GRPC, MYSQL, PRIORITY_CLASS, WEB, alive_at, as_vitess, go_threads, port, ready_at, topology,
};
use super::deployment::{self, Program};
use super::flags::Flags;
use super::mysql;
use super::pod::{self, unless_blank};
use super::secret::SecretFile;

/// Flags of every gateway. Buffering holds writes back while a primary is handed over.
const GATEWAY_FLAGS: [(&str, &str); 11] = [
    ("buffer_max_failover_duration", "10s"),
    ("buffer_min_time_between_failovers", "20s"),
    ("buffer_size", "1000"),
    ("enable_buffer", "true"),
    ("grpc_max_message_size", "67108864"),
    ("grpc_port", "15999"),
    ("logtostderr", "true"),
    ("mysql_server_port", "3306"),
    ("port", "15000"),
    ("service_map", "grpc-vtgateservice"),
    ("tablet_types_to_wait", "MASTER,REPLICA"),
];

/// How many: those asked for and those that stand in for a lost cell's. `None` where an
/// autoscaler is set and has asked for none yet.
pub(super) fn replicas(cell: &VitessCell) -> Option<i64> {
    let gateway = &cell.spec.template.gateway;
    let surge = cell.status.iter().flat_map(|status| &status.gateway.surge);
    let surge: i64 = surge.map(|surge| i64::from(surge.replicas)).sum();
    let silent = gateway.autoscaler.is_none().then_some(defaults::GATEWAYS);
    gateway.replicas.or(silent).map(|wanted| i64::from(wanted) + surge)
}

/// Renders the Deployment; `mysqld` is the image of the databases behind it, empty while there are none.
pub(super) fn render(cell: &VitessCell, cluster: &str, replicas: Option<i64>, mysqld: &str) -> Rendered {
    let owner = Owner::of(cell);
    let template = &cell.spec.template;
    let gateway = &template.gateway;
    let program = Program {
        name: names::gateway(cluster, &template.name),
        labels: pairs([
            (labels::CLUSTER, cluster),
            (labels::CELL, &template.name),
            (labels::COMPONENT, Component::Vtgate.as_str()),
        ]),
        extra_labels: &gateway.pod.extra_labels,
        annotations: gateway.pod.annotations.clone(),
        replicas,
        strategy: unless_empty(json!(gateway.strategy)),
        pod: pod_spec(cell, mysqld),
    };
    deployment::render(&owner, program)
}

fn pod_spec(cell: &VitessCell, mysqld: &str) -> Value {
    let gateway = &cell.spec.template.gateway;
    let zone = zone(cell);
    let mut pod = pod::spec(
        pod::Parts {
            containers: vec![container(cell, mysqld)],
            init_containers: Vec::new(),
            volumes: secrets(gateway).iter().filter_map(|(_, file)| file.volume()).collect(),
            zones: zone.iter().collect(),
            apart: Vec::new(),
            pull_secrets: &cell.spec.image_pull_secrets,
        },
        &gateway.pod,
    );
    pod["priorityClassName"] = json!(PRIORITY_CLASS);
    pod["terminationGracePeriodSeconds"] = json!(gateway.termination_grace_period_seconds);
    pod["topologySpreadConstraints"] = gateway.topology_spread_constraints.raw().clone();
    pod
}

/// The zone that the manifest names, else the one that a policy chose.
fn zone(cell: &VitessCell) -> Option<Zone> {
    let assigned = || cell.status.as_ref()?.assigned_zone.clone();
    let named = Some(cell.spec.template.zone.clone()).filter(|zone| !zone.is_empty());
    named.or_else(assigned).map(Zone)
}

fn container(cell: &VitessCell, mysqld: &str) -> Value {
    let gateway = &cell.spec.template.gateway;
    let mounts = secrets(gateway).iter().map(|(_, file)| file.mount()).collect();
    json!({
        "name": "vtgate",
        "image": unless_blank(&cell.spec.images.vtgate),
        "imagePullPolicy": unless_blank(&cell.spec.image_pull_policies.vtgate),
        "command": ["/vt/bin/vtgate"],
        "args": flags(cell, mysqld).args(),
        "env": pod::env(go_threads(&gateway.resources).into_iter().collect(), &gateway.pod.extra_env),
        "ports": [port("web", WEB), port("grpc", GRPC), port("mysql", MYSQL)],
        "readinessProbe": ready_at("/debug/health"),
        "livenessProbe": alive_at("/debug/status"),
        "lifecycle": unless_empty(json!(gateway.lifecycle)),
        "resources": unless_empty(json!(gateway.resources)),
        "securityContext": as_vitess(),
        "volumeMounts": pod::mounts(mounts, &gateway.pod.extra_volume_mounts),
    })
}

fn flags(cell: &VitessCell, mysqld: &str) -> Flags {
    let gateway = &cell.spec.template.gateway;
    let mut flags = Flags::default();
    flags
        .set_all(&GATEWAY_FLAGS)
        .set("cell", &cell.spec.template.name)
        .set("cells_to_watch", cell.spec.all_cells.join(","));
    topology(&mut flags, &cell.spec.global_lockserver);
    if gateway.authentication.static_users.as_ref().is_some_and(|users| users.secret.is_some()) {
        flags.set("mysql_auth_server_impl", "static").set("mysql_auth_static_reload_interval", "30s");
    }
    if let Some(secure) =
        gateway.secure_transport.as_ref().filter(|secure| secure.required || secure.tls.is_some())
    {
        flags.set("mysql_server_require_secure_transport", secure.required);
    }
    for (names, file) in secrets(gateway) {
        for name in names {
            flags.set(name, file.path());
        }
    }
    mysql::server_version(&mut flags, mysqld);
    flags.extend(&cell.spec.extra_vitess_flags).extend(&gateway.extra_flags);
    flags
}

/// The secret files of a gateway, each with the flags that take its path. gRPC has no choice: with
/// a certificate it is encrypted.
fn secrets(gateway: &Gateway) -> Vec<(&'static [&'static str], SecretFile<'_>)> {
    let users = gateway.authentication.static_users.as_ref().and_then(|users| users.secret.as_ref());
    let tls = gateway.secure_transport.as_ref().and_then(|secure| secure.tls.as_ref());
    let files: [(&'static [&'static str], &'static str, Option<&SecretSource>); 4] = [
        (&["mysql_auth_server_static_file"], "vtgate-static-auth", users),
        (
            &["mysql_server_ssl_cert", "grpc_cert"],
            "vtgate-tls-cert",
            tls.and_then(|tls| tls.cert_secret.as_ref()),
        ),
        (
            &["mysql_server_ssl_key", "grpc_key"],
            "vtgate-tls-key",
            tls.and_then(|tls| tls.key_secret.as_ref()),
        ),
        (
            &["mysql_server_ssl_ca", "grpc_ca"],
            "vtgate-tls-ca-cert",
            tls.and_then(|tls| tls.client_ca_cert_secret.as_ref()),
        ),
    ];
    files
        .into_iter()
        .filter_map(|(flags, purpose, source)| Some((flags, SecretFile::new(purpose, source?))))
        .collect()
}
