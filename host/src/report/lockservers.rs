//! The status of etcd clusters, and what cells and clusters repeat of it.

use pilothouse_api::condition::ConditionStatus;
use pilothouse_api::etcd_lockserver::EtcdLockserverStatus;
use pilothouse_api::lockserver::LockserverStatus;
use pilothouse_api::{EtcdLockserver, labels, names};
use pilothouse_core::pass::Report;

use super::{Wanted, set};
use crate::cache::Typed;
use crate::kinds::Kind;
use crate::observe;
use crate::pilot::Pilot;

pub(super) fn statuses(pilot: &Pilot, report: &Report) -> Vec<Wanted> {
    let lockservers = pilot.members.of(Kind::EtcdLockserver);
    let readable =
        lockservers.filter_map(|o| if let Typed::Lockserver(l) = &o.typed { Some(&**l) } else { None });
    readable.filter_map(|lockserver| of_lockserver(pilot, report, lockserver)).collect()
}

fn of_lockserver(pilot: &Pilot, report: &Report, lockserver: &EtcdLockserver) -> Option<Wanted> {
    let name = lockserver.metadata.name.clone()?;
    let live = lockserver.status.as_ref();
    let generation = lockserver.metadata.generation;
    let (ready, all) = members(pilot, &name);
    let available = available(ready, all);
    let serves = lockserver.spec.template.create_client_service.unwrap_or(true);
    let mut status = EtcdLockserverStatus {
        observed_generation: generation,
        available,
        client_service_name: if serves { names::etcd_client_service(&name) } else { String::new() },
        conditions: live.map(|s| s.conditions.clone()).unwrap_or_default(),
    };
    let reason = if available.is_true() { "Quorum" } else { "NoQuorum" };
    let message = format!("{ready} of {all} members here are ready");
    set(&mut status.conditions, report, generation, ("Ready", available, reason, &message));
    Wanted::unless_equal(Kind::EtcdLockserver, &name, live, &status)
}

/// What the owner of an etcd cluster says of it; nothing where it has none of its own.
pub(super) fn of_owner(pilot: &Pilot, name: &str) -> LockserverStatus {
    let here = pilot.members.get(Kind::EtcdLockserver, name);
    let etcd = here.map(|_| {
        let (ready, all) = members(pilot, name);
        EtcdLockserverStatus { available: available(ready, all), ..EtcdLockserverStatus::default() }
    });
    LockserverStatus { etcd }
}

/// Whether most of the members here are ready.
fn available(ready: usize, all: usize) -> ConditionStatus {
    ConditionStatus::from(ready > all / 2)
}

/// How many members' Pods are ready, and how many there are.
fn members(pilot: &Pilot, lockserver: &str) -> (usize, usize) {
    let pods = || pilot.members.of(Kind::Pod).filter(|pod| pod.label(labels::ETCD_LOCKSERVER) == lockserver);
    (pods().filter(|pod| observe::is_ready(pod)).count(), pods().count())
}
