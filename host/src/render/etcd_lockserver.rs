//! The EtcdLockservers that we run: one for the global topology, one for each cell that asks.

use pilothouse_api::etcd_lockserver::EtcdLockserverSpec;
use pilothouse_api::labels::{self, Component};
use pilothouse_api::{VitessCell, VitessCluster, children, names};
use serde_json::json;

use super::Rendered;
use super::child::{Owner, Strings, labels as pairs};

/// The global topology's; `None` when it is kept elsewhere.
pub(super) fn global(cluster: &VitessCluster) -> Option<Rendered> {
    let owner = Owner::of(cluster);
    let spec = children::global_etcd(cluster)?;
    Some(render(&owner, names::global_etcd(owner.name), of(owner.name), &spec))
}

/// A cell's own; `None` when it shares the global one or its topology is kept elsewhere.
pub(super) fn local(cell: &VitessCell, cluster: &str) -> Option<Rendered> {
    let owner = Owner::of(cell);
    let spec = children::local_etcd(cell)?;
    let name = &cell.spec.template.name;
    let mut labels = of(cluster);
    labels.insert(labels::CELL.to_owned(), name.clone());
    Some(render(&owner, names::local_etcd(cluster, name), labels, &spec))
}

fn of(cluster: &str) -> Strings {
    pairs([(labels::CLUSTER, cluster), (labels::COMPONENT, Component::Etcd.as_str())])
}

fn render(owner: &Owner<'_>, name: String, labels: Strings, spec: &EtcdLockserverSpec) -> Rendered {
    owner.child("planetscale.com/v2", "EtcdLockserver", name, labels).with_spec(json!(spec))
}
