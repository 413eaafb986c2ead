//! The status of etcd clusters, and what cells and clusters repeat of it.

use pilothouse_api::EtcdLockserver;
use pilothouse_api::condition::ConditionStatus;
use pilothouse_api::etcd_lockserver::{EtcdLockserverStatus, MEMBERS};
use pilothouse_api::labels::{self, Component};
use pilothouse_api::lockserver::LockserverStatus;
use pilothouse_api::names;
use pilothouse_core::pass::Report;

use super::{Wanted, paused, set};
use crate::cache::Typed;
use crate::kinds::Kind;
use crate::observe;
use crate::pilot::Pilot;

pub(super) fn statuses(pilot: &Pilot, report: &Report) -> Vec<Wanted> {
    let all = pilot.members.of(Kind::EtcdLockserver);
    let all = all.filter_map(|o| if let Typed::Lockserver(etcd) = o.typed() { Some(&**etcd) } else { None });
    all.filter_map(|etcd| of_lockserver(pilot, report, etcd)).collect()
}

fn of_lockserver(pilot: &Pilot, report: &Report, etcd: &EtcdLockserver) -> Option<Wanted> {
    let name = etcd.metadata.name.as_deref()?;
    let live = etcd.status.as_ref();
    let generation = etcd.metadata.generation;
    let quorum = Quorum::of(pilot, etcd);
    let has_service = etcd.spec.template.create_client_service.unwrap_or(true);
    let mut status = EtcdLockserverStatus {
        observed_generation: generation,
        available: quorum.available(),
        client_service_name: if has_service { names::etcd_client_service(name) } else { String::new() },
        conditions: live.map(|s| s.conditions.clone()).unwrap_or_default(),
    };
    let reason = if status.available.is_true() { "Quorum" } else { "NoQuorum" };
    let message = format!("{} of {} members here are ready", quorum.ready, quorum.here);
    set(&mut status.conditions, report, generation, ("Ready", status.available, reason, &message));
    paused::tell(&mut status.conditions, report, generation, (Kind::EtcdLockserver, name));
    Wanted::unless_equal(Kind::EtcdLockserver, name, live, &status)
}

/// What the owner of an etcd cluster says of it; nothing where it has none of its own.
pub(super) fn of_owner(pilot: &Pilot, name: &str) -> LockserverStatus {
    let Some(Typed::Lockserver(etcd)) = pilot.members.get(Kind::EtcdLockserver, name).map(|o| o.typed())
    else {
        return LockserverStatus::default();
    };
    let available = Quorum::of(pilot, etcd).available();
    LockserverStatus { etcd: Some(EtcdLockserverStatus { available, ..EtcdLockserverStatus::default() }) }
}

/// The members that run here. A member is ready only while it is one of a quorum; so where one
/// runs here and the others elsewhere, it speaks for all.
struct Quorum {
    ready: usize,
    here: usize,
}

impl Quorum {
    fn of(pilot: &Pilot, etcd: &EtcdLockserver) -> Self {
        let name = etcd.metadata.name.as_deref().unwrap_or_default();
        let here = if etcd.spec.template.local_member_index.is_some() { 1 } else { MEMBERS as usize };
        let members = pilot.members.of(Kind::Pod).filter(|pod| {
            pod.label(labels::COMPONENT) == Component::Etcd.as_str()
                && pod.label(labels::ETCD_LOCKSERVER) == name
        });
        Self { ready: members.filter(|pod| observe::is_ready(pod)).count(), here }
    }

    fn available(&self) -> ConditionStatus {
        ConditionStatus::from(self.ready > self.here / 2)
    }
}
