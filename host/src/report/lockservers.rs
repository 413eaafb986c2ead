//! The EtcdLockservers' status.

use pilothouse_api::EtcdLockserver;
use pilothouse_api::condition::ConditionStatus;
use pilothouse_api::etcd_lockserver::{EtcdLockserverStatus, MEMBERS};
use pilothouse_api::labels::{self, Component};
use pilothouse_core::pass::Report;

use super::{Wanted, paused, set};
use crate::cache::Typed;
use crate::kinds::Kind;
use crate::observe;
use crate::pilot::Pilot;

pub(super) fn statuses(pilot: &Pilot, report: &Report) -> Vec<Wanted> {
    let all = pilot.members.of(Kind::EtcdLockserver);
    let all = all.filter_map(|o| if let Typed::Lockserver(etcd) = &o.typed { Some(&**etcd) } else { None });
    all.filter_map(|etcd| of_lockserver(pilot, report, etcd)).collect()
}

/// A member is ready only while it is one of a quorum; so where one runs here and the others
/// elsewhere, it speaks for all.
fn of_lockserver(pilot: &Pilot, report: &Report, etcd: &EtcdLockserver) -> Option<Wanted> {
    let name = etcd.metadata.name.as_deref()?;
    let live = etcd.status.as_ref();
    let generation = etcd.metadata.generation;
    let here = if etcd.spec.template.local_member_index.is_some() { 1 } else { MEMBERS as usize };
    let members = pilot.members.of(Kind::Pod).filter(|pod| {
        pod.label(labels::COMPONENT) == Component::Etcd.as_str() && pod.label(labels::ETCD_LOCKSERVER) == name
    });
    let ready = members.filter(|pod| observe::is_ready(pod)).count();
    let serves = ready >= (here / 2 + 1);
    let mut status = EtcdLockserverStatus {
        observed_generation: generation,
        available: ConditionStatus::from(serves),
        conditions: live.map(|s| s.conditions.clone()).unwrap_or_default(),
        ..live.cloned().unwrap_or_default()
    };
    let reason = if serves { "Quorum" } else { "NoQuorum" };
    let message = format!("{ready} of {here} members here are ready");
    set(&mut status.conditions, report, generation, ("Ready", status.available, reason, &message));
    paused::tell(&mut status.conditions, report, generation, (Kind::EtcdLockserver, name));
    Wanted::unless_equal(Kind::EtcdLockserver, name, live, &status)
}
