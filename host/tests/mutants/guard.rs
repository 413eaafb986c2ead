//! Guards that lack a rule, each with somebody who asks for just what that rule forbids.
//!
//! The good day has the same asker before the whole guard.

use pilothouse::settings::Settings;
use pilothouse::simulate::{Fault, Mix};
use pilothouse_core::action::{Action, ObjectRef};
use pilothouse_core::view::{
    BackupView, CellView, ClusterView, PodState, Reach, ShardView, TabletView, VolumeView,
};

use crate::day::{Day, frequent};
use crate::faulty::{Asks, Mutant};

/// Who asks wants to be asked at least this often.
const OFTEN_MS: u64 = 600_000;

const fn without(rule: &'static str, asks: Asks) -> Mutant {
    Mutant { lacks: rule, asks, often: Some(OFTEN_MS), ..Mutant::SOUND }
}

#[track_caller]
fn check(rule: &'static str, asks: Asks, day: &Day, broken: &[&str]) {
    let mutant = without(rule, asks);
    day.holds(mutant.guarded());
    day.breaks(mutant, broken);
}

/// Whole minutes of the day. Whoever is refused for hours makes a slow test: each asks in a few of them.
const fn minute(view: &ClusterView) -> u64 {
    view.as_of / 60_000 % 1_440
}

/// Every shard that has a primary, with it.
fn primaries(view: &ClusterView) -> impl Iterator<Item = (&ShardView, &TabletView)> {
    view.shards.iter().filter_map(|s| Some((s, view.tablet(s.primary.as_ref()?)?)))
}

fn others<'a>(view: &'a ClusterView, primary: &'a TabletView) -> impl Iterator<Item = &'a TabletView> {
    view.tablets_of(&primary.shard).filter(|t| t.alias != primary.alias)
}

/// Anybody who answers in the place of a primary that has been silent for so long, asked for one minute.
fn replace(view: &ClusterView, silent_ms: u64) -> Vec<Action> {
    let asked = silent_ms..silent_ms + 60_000;
    let silent = |p: &TabletView| p.reach == Reach::No && asked.contains(&(view.as_of - p.reach_since));
    let replace = |(shard, primary): (&ShardView, &TabletView)| {
        let to = others(view, primary).find(|t| t.reach == Reach::Yes)?.alias.clone();
        Some(Action::EmergencyReparent { shard: shard.id.clone(), lost: primary.alias.clone(), to })
    };
    primaries(view).filter(|(_, p)| silent(p)).filter_map(replace).collect()
}

/// One-sided evidence: the host does not hear the primary, its replicas do.
#[test]
fn without_primary_two_servers_acknowledge() {
    let settings = |s: &mut Settings| s.allowances.loss_accepted = true;
    let day = Day { seed: 2, mix: frequent([Fault::N3]), durability: "none", settings };
    check("primary", |view| replace(view, 0), &day, &["S1"]);
}

/// Replicas that serve are deleted, all at once. Replaced they would be one by one: those go by eviction.
#[test]
fn without_drain_ackers_are_taken_away() {
    let deletes = |view: &ClusterView| {
        let serving = primaries(view).flat_map(|(_, p)| others(view, p)).filter(|t| t.ready);
        let delete = |t: &TabletView| Action::Delete {
            object: ObjectRef {
                kind: "Pod".to_owned(),
                namespace: view.cluster.namespace.clone(),
                name: t.pod_name.clone(),
            },
            uid: t.pod_uid.clone(),
            of: Some(t.alias.clone()),
        };
        serving.filter(|_| minute(view) < 5).map(delete).collect()
    };
    check("drain", deletes, &Day::calm(), &["S3"]);
}

/// A backup is said to be covered by itself.
#[test]
fn without_backup_the_only_one_goes() {
    let expires = |view: &ClusterView| {
        let complete = view.backups.iter().filter(|b| b.finished.is_some() && minute(view) < 1);
        let expire = |b: &BackupView| {
            let (shard, backup, covered_by) = (b.shard.clone(), b.name.clone(), b.name.clone());
            Action::ExpireBackup { shard, backup, covered_by }
        };
        complete.map(expire).collect()
    };
    check("backup", expires, &Day::calm(), &["S5"]);
}

/// A volume grows again and again.
#[test]
fn without_volume_the_provider_is_pressed() {
    let grows = |view: &ClusterView| {
        let small = view.volumes.iter().filter(|v| v.requested < 13 << 30 && minute(view) < 5);
        let grow = |v: &VolumeView| {
            let (from, to) = (v.requested, v.requested + (1 << 30));
            Action::ExpandVolume { claim: v.claim.clone(), from, to }
        };
        small.map(grow).collect()
    };
    check("volume", grows, &Day::calm(), &["S6"]);
}

/// A claim goes as soon as its Pod is gone, whoever asks for its tablet.
#[test]
fn without_claim_a_wanted_volume_goes() {
    let deletes = |view: &ClusterView| {
        let absent = |v: &&VolumeView| view.tablet(&v.tablet).is_some_and(|t| t.pod == PodState::Absent);
        let delete = |v: &VolumeView| Action::Delete {
            object: ObjectRef {
                kind: "PersistentVolumeClaim".to_owned(),
                namespace: view.cluster.namespace.clone(),
                name: v.claim.clone(),
            },
            uid: v.uid.clone(),
            of: Some(v.tablet.clone()),
        };
        view.volumes.iter().filter(absent).map(delete).collect()
    };
    check("claim", deletes, &Day { mix: frequent([Fault::N1]), ..Day::calm() }, &["S8"]);
}

/// Nobody's failover is so slow; this one comes when two zones look dead.
#[test]
fn without_blast_a_primary_moves_while_two_zones_are_dark() {
    let settings = |s: &mut Settings| {
        s.allowances.loss_accepted = true;
        s.policies.failover.as_mut().expect("it is bound").config["confirmAfterMs"] = 90_000.into();
    };
    let mix = Mix { overlapping_percent: 100, ..frequent([Fault::N2]) };
    let day = Day { seed: 7, mix, durability: "none", settings };
    check("blast", |view| replace(view, 60_000), &day, &["S12"]);
}

/// Who came back with transactions of its own is to be primary again.
#[test]
fn without_candidate_an_errant_one_is_chosen() {
    let promotes = |view: &ClusterView| {
        let errant = |t: &&TabletView| t.replication.as_ref().is_some_and(|r| !r.errant.is_empty());
        let promote = |(shard, primary): (&ShardView, &TabletView)| {
            let to = others(view, primary).find(errant)?.alias.clone();
            Some(Action::PlannedReparent { shard: shard.id.clone(), from: primary.alias.clone(), to })
        };
        primaries(view).filter(|_| (60..63).contains(&minute(view))).filter_map(promote).collect()
    };
    let day = Day { seed: 6, mix: frequent([Fault::N1, Fault::N2]), ..Day::calm() };
    check("candidate", promotes, &day, &["S14"]);
}

/// A cell is put where it stands, without end. A refusal is told as well, so nobody asks on the good day.
#[test]
fn without_placement_a_host_at_rest_writes() {
    let assigns = |view: &ClusterView| {
        let cells = view.cells.iter().filter(|_| (155..165).contains(&minute(view)));
        let assign = |c: &CellView| Some(Action::AssignZone { cell: c.name.clone(), zone: c.zone.clone()? });
        cells.filter_map(assign).collect()
    };
    Day::calm().is_good();
    Day::calm().breaks(without("placement", assigns), &["L3"]);
}
