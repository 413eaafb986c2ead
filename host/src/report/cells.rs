//! The VitessCells' status.

use pilothouse_api::condition::ConditionStatus;
use pilothouse_api::labels::{self, Component};
use pilothouse_api::vitess_cell::{CellKeyspaceStatus, GatewayStatus, VitessCellStatus};
use pilothouse_api::{VitessCell, names};
use pilothouse_core::levels;
use pilothouse_core::pass::Report;
use pilothouse_core::topology::Cell;

use super::{Wanted, lockservers, paused, set};
use crate::kinds::Kind;
use crate::observe;
use crate::pilot::Pilot;

pub(super) fn statuses(pilot: &Pilot, report: &Report) -> Vec<Wanted> {
    observe::cell_objects(&pilot.members).filter_map(|cell| of_cell(pilot, report, cell)).collect()
}

fn of_cell(pilot: &Pilot, report: &Report, cell: &VitessCell) -> Option<Wanted> {
    let live = cell.status.as_ref();
    let name = &cell.spec.template.name;
    let view = report.view.cell(&Cell(name.clone()))?;
    let surge: u32 = view.gateway_surge.iter().map(|s| s.replicas).sum();
    let cluster = &pilot.key.name;
    let keyspaces = levels::keyspaces_in(&report.view, &view.name);
    let selector = format!(
        "{}={},{}={name},{}={cluster}",
        labels::COMPONENT,
        Component::Vtgate.as_str(),
        labels::CELL,
        labels::CLUSTER
    );
    let mut status = VitessCellStatus {
        observed_generation: cell.metadata.generation,
        gateway: GatewayStatus {
            available: super::gateways(pilot, name),
            service_name: names::gateway_service(cluster, name),
            label_selector: selector,
            replicas: i32::try_from(view.gateways + surge).unwrap_or(i32::MAX),
            surge: live.map(|s| s.gateway.surge.clone()).unwrap_or_default(),
        },
        keyspaces: keyspaces.iter().flatten().map(|k| (k.clone(), CellKeyspaceStatus {})).collect(),
        idle: keyspaces.map_or(ConditionStatus::Unknown, |all| ConditionStatus::from(all.is_empty())),
        lockserver: lockservers::of_owner(pilot, &names::local_etcd(cluster, name)),
        ..live.cloned().unwrap_or_default()
    };
    let object = cell.metadata.name.clone()?;
    let generation = cell.metadata.generation;
    let (reason, message) = match status.gateway.available {
        ConditionStatus::True => ("Serving", "a gateway is ready"),
        ConditionStatus::False => ("NoGateway", "no gateway is ready"),
        ConditionStatus::Unknown => ("NotSaid", "its Deployment has no status yet"),
    };
    let ready = ("Ready", status.gateway.available, reason, message);
    set(&mut status.conditions, report, generation, ready);
    paused::tell(&mut status.conditions, report, generation, (Kind::VitessCell, &object));
    Wanted::unless_equal(Kind::VitessCell, &object, live, &status)
        .map(|w| w.without(&["gateway", "surge"]).without(&["assignedZone"]))
}
