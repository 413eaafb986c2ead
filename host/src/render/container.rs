//! What the containers of several kinds share: ports, probes, user, topology flags.

use k8s_openapi::api::core::v1::ResourceRequirements;
use pilothouse_api::lockserver::LockserverParams;
use pilothouse_api::quantity;
use serde_json::{Value, json};

use super::flags::Flags;

/// Vitess' images run as this user and group.
pub(super) const VITESS_USER: u32 = 999;
/// The priority class of everything that serves; the installer creates it.
pub(crate) const PRIORITY_CLASS: &str = "vitess";
/// The web port of every Vitess program.
pub(super) const WEB: u16 = 15000;
/// The port of vtadmin's API.
pub(super) const API: u16 = 15001;
/// The gRPC port of every Vitess program.
pub(crate) const GRPC: u16 = 15999;
/// MySQL's own protocol.
pub(super) const MYSQL: u16 = 3306;
/// Metrics of mysqld.
pub(super) const METRICS: u16 = 9104;

/// A named container port.
pub(super) fn port(name: &str, number: u16) -> Value {
    json!({ "name": name, "containerPort": number, "protocol": "TCP" })
}

/// Ready when the web port answers at `path`.
pub(super) fn ready_at(path: &str) -> Value {
    ready_on("web", path)
}

/// Ready when the port of that name answers at `path`.
pub(super) fn ready_on(port: &str, path: &str) -> Value {
    json!({ "httpGet": { "path": path, "port": port } })
}

/// Alive while the web port answers at `path`; five minutes to begin with, and five minutes of
/// silence before a restart, since a restart costs more than waiting.
pub(super) fn alive_at(path: &str) -> Value {
    alive_on("web", path)
}

/// As [`alive_at`], for the port of that name.
pub(super) fn alive_on(port: &str, path: &str) -> Value {
    json!({ "httpGet": { "path": path, "port": port }, "initialDelaySeconds": 300, "failureThreshold": 30 })
}

/// The user that a container runs as.
pub(super) fn as_vitess() -> Value {
    json!({ "runAsUser": VITESS_USER })
}

/// How many threads Go may run: as many as the CPUs that the container is held to, if it is.
/// Otherwise it would count those of the node, and be throttled.
pub(super) fn go_threads(resources: &ResourceRequirements) -> Option<Value> {
    let cpus = quantity::bytes(resources.limits.as_ref()?.get("cpu")?).ok()?;
    Some(json!({ "name": "GOMAXPROCS", "value": cpus.to_string() }))
}

/// Flags that lead to the global topology.
pub(super) fn topology(flags: &mut Flags, lockserver: &LockserverParams) {
    flags
        .set("topo_implementation", &lockserver.implementation)
        .set("topo_global_server_address", &lockserver.address)
        .set("topo_global_root", &lockserver.root_path);
}
