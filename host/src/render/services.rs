//! Services: how gateways, tablets and the control daemon are found.

use pilothouse_api::labels::{self, Component};
use pilothouse_api::orchestrator::VtAdmin;
use pilothouse_api::pod_overrides::ServiceOverrides;
use pilothouse_api::{VitessCell, VitessCluster, names};
use serde_json::{Value, json};

use super::Rendered;
use super::child::{Owner, Strings, labels as pairs};
use super::container::{API, GRPC, METRICS, MYSQL, WEB};

/// A Service port that leads to the container port of the same name.
pub(super) fn port(name: &str, number: u16) -> Value {
    json!({ "name": name, "port": number, "protocol": "TCP", "targetPort": name })
}

/// All gateways of a cluster.
pub(super) fn vtgate(cluster: &VitessCluster) -> Rendered {
    let owner = Owner::of(cluster);
    let labels = of(owner.name, Component::Vtgate);
    let spec = json!({ "ports": gateway_ports(), "selector": labels });
    let given = cluster.spec.gateway_service.as_ref();
    with_overrides(&owner, names::cluster_gateway_service(owner.name), labels, spec, given)
}

/// The gateways of one cell.
pub(super) fn cell_vtgate(cell: &VitessCell, cluster: &str) -> Rendered {
    let owner = Owner::of(cell);
    let template = &cell.spec.template;
    let mut labels = of(cluster, Component::Vtgate);
    labels.insert(labels::CELL.to_owned(), template.name.clone());
    let spec = json!({ "ports": gateway_ports(), "selector": labels });
    let name = names::gateway_service(cluster, &template.name);
    with_overrides(&owner, name, labels, spec, template.gateway.service.as_ref())
}

/// The control daemons of a cluster.
pub(super) fn vtctld(cluster: &VitessCluster) -> Rendered {
    let owner = Owner::of(cluster);
    let labels = of(owner.name, Component::Vtctld);
    let spec = json!({ "ports": [port("web", WEB), port("grpc", GRPC)], "selector": labels });
    let given = cluster.spec.vitess_dashboard.as_ref().and_then(|dashboard| dashboard.service.as_ref());
    with_overrides(&owner, names::vtctld_service(owner.name), labels, spec, given)
}

/// The admin pages of a cluster, with the API that they call.
pub(super) fn vtadmin(cluster: &VitessCluster, given: &VtAdmin) -> Rendered {
    let owner = Owner::of(cluster);
    let labels = of(owner.name, Component::Vtadmin);
    let spec = json!({ "ports": [port("web", WEB), port("api", API)], "selector": labels });
    with_overrides(&owner, names::vtadmin_service(owner.name), labels, spec, given.service.as_ref())
}

/// Every tablet, each under its own address.
pub(super) fn vttablet(cluster: &VitessCluster) -> Rendered {
    let owner = Owner::of(cluster);
    let labels = of(owner.name, Component::Vttablet);
    let spec = json!({
        "clusterIP": "None", "selector": labels,
        "ports": [port("web", WEB), port("grpc", GRPC), port("metrics", METRICS)],
    });
    let given = cluster.spec.tablet_service.as_ref();
    with_overrides(&owner, names::tablet_service(owner.name), labels, spec, given)
}

/// A Service of `spec` with what the manifest adds.
pub(super) fn with_overrides(
    owner: &Owner<'_>,
    name: String,
    labels: Strings,
    mut spec: Value,
    given: Option<&ServiceOverrides>,
) -> Rendered {
    if let Some(ip) = given.map(|given| &given.cluster_ip).filter(|ip| !ip.is_empty()) {
        spec["clusterIP"] = json!(ip);
    }
    let annotations = given.map(|given| given.annotations.clone()).unwrap_or_default();
    owner.child("v1", "Service", name, labels).annotated(annotations).with_spec(spec)
}

fn gateway_ports() -> [Value; 3] {
    [port("web", WEB), port("grpc", GRPC), port("mysql", MYSQL)]
}

fn of(cluster: &str, component: Component) -> Strings {
    pairs([(labels::CLUSTER, cluster), (labels::COMPONENT, component.as_str())])
}
