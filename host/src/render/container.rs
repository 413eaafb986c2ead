//! What the containers of several kinds share: ports, probes, user, topology flags.

use serde_json::{Value, json};

use super::flags::Flags;
use pilothouse_api::lockserver::LockserverParams;

/// Vitess' images run as this user and group.
pub(super) const VITESS_USER: u32 = 999;
/// The priority class of everything that serves; the installer creates it.
pub(crate) const PRIORITY_CLASS: &str = "vitess";
/// The web port of every Vitess program.
pub(super) const WEB: u16 = 15000;
/// The gRPC port of every Vitess program.
pub(super) const GRPC: u16 = 15999;
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
    json!({ "httpGet": { "path": path, "port": "web" } })
}

/// Alive while the web port answers at `path`; five minutes to begin with, and five minutes of
/// silence before a restart, since a restart costs more than waiting.
pub(super) fn alive_at(path: &str) -> Value {
    json!({ "httpGet": { "path": path, "port": "web" }, "initialDelaySeconds": 300, "failureThreshold": 30 })
}

/// The user that a container runs as.
pub(super) fn as_vitess() -> Value {
    json!({ "runAsUser": VITESS_USER })
}

/// Flags that lead to the global topology.
pub(super) fn topology(flags: &mut Flags, lockserver: &LockserverParams) {
    flags
        .set("topo_implementation", &lockserver.implementation)
        .set("topo_global_server_address", &lockserver.address)
        .set("topo_global_root", &lockserver.root_path);
}
