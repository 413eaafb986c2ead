//! What stands in the store, beside the runs that are known: what of it is whole.

use std::sync::Arc;

use kube::runtime::watcher::Event;
use pilothouse_api::labels::annotations;
use pilothouse_core::topology::TabletAlias;
use pilothouse_core::view::{Reach, Replication, Role};
use serde_json::json;

use super::*;
use crate::cache::{Cache, ClusterKey};
use crate::vitess::{Restore, TabletRecord, Writer};

const FIRST: &str = "2026-01-01.000100.zone1-0000000001";
const SECOND: &str = "2026-01-01.000300.zone1-0000000001";

/// An object of the shard's, made at midnight.
fn object(kind: Kind, name: &str, more: &Value) -> (Kind, Value) {
    let resource = kind.resource();
    let mut object = json!({
        "apiVersion": resource.api_version, "kind": resource.kind,
        "metadata": {
            "name": name, "namespace": "default", "uid": name, "resourceVersion": "1",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {
                labels::CLUSTER: "harbour", labels::KEYSPACE: "commerce", labels::SHARD: "x-x",
                labels::COMPONENT: "vtbackup", labels::BACKUP_LOCATION: "",
            },
        },
    });
    json_patch::merge(&mut object, more);
    (kind, object)
}

fn pod(phase: &str, ended: &str) -> (Kind, Value) {
    let ended = json!({ "state": { "terminated": { "finishedAt": ended } } });
    object(Kind::Pod, "run", &json!({ "status": { "phase": phase, "containerStatuses": [ended] } }))
}

fn job(ended: &str) -> (Kind, Value) {
    let complete = json!({ "type": "Complete", "status": "True" });
    object(Kind::Job, "due", &json!({ "status": { "completionTime": ended, "conditions": [complete] } }))
}

fn record(of: &str, complete: bool) -> (Kind, Value) {
    let status = json!({
        "storageName": of, "complete": complete,
        "startTime": "2026-01-01T00:01:00Z", "finishedTime": "2026-01-01T00:01:30Z",
    });
    object(Kind::VitessBackup, "record", &json!({ "status": status }))
}

fn members(objects: Vec<(Kind, Value)>) -> Arc<Members> {
    let mut cache = Cache::default();
    for (kind, object) in objects {
        cache.absorb(kind, Event::Apply(serde_json::from_value(object).expect("an object")));
    }
    let key = ClusterKey { namespace: "default".to_owned(), name: "harbour".to_owned() };
    cache.members(&key).cloned().unwrap_or_default()
}

/// That minute of the day.
fn minute(minute: u64) -> Millis {
    parse_rfc3339("2026-01-01T00:00:00Z").expect("midnight") + minute * 60_000
}

/// What stands in the store, as vtctld tells.
fn listed() -> [BackupView; 2] {
    [(FIRST, minute(1)), (SECOND, minute(3))].map(|(name, started)| {
        let backup = json!({ "name": name, "shard": "commerce/-", "started": started });
        serde_json::from_value(backup).expect("a backup")
    })
}

/// When each of those in the store was complete, as minutes of the day.
#[track_caller]
fn check(objects: Vec<(Kind, Value)>, only_of: Option<&str>, expected: [Option<u64>; 2]) {
    let backups = listed().to_vec();
    let mut vitess =
        Observation { backups, backups_only_of: only_of.map(str::to_owned), ..Observation::default() };
    judge(&mut vitess, &members(objects));
    let minutes = |backup: &BackupView| backup.finished.map(|at| (at - minute(0)) / 60_000);
    let found: Vec<Option<u64>> = vitess.backups.iter().map(minutes).collect();
    assert_eq!(found, expected);
}

#[test]
fn what_is_only_there_may_be_what_a_killed_run_left() {
    check(Vec::new(), Some(""), [None, None]);
    check(vec![pod("Failed", "2026-01-01T00:05:00Z")], Some(""), [None, None]);
    check(vec![record(FIRST, false)], Some(""), [None, None]);
}

#[test]
fn a_run_that_ended_well_left_the_last_of_its_time() {
    check(vec![pod("Succeeded", "2026-01-01T00:05:00Z")], Some(""), [None, Some(5)]);
    check(vec![pod("Succeeded", "2026-01-01T00:02:00Z")], Some(""), [Some(2), None]);
    check(vec![job("2026-01-01T00:02:00Z")], Some(""), [Some(2), None]);
}

#[test]
fn a_record_keeps_what_was_known() {
    check(vec![record(FIRST, true)], Some(""), [Some(1), None]);
}

#[test]
fn of_a_played_store_is_known_what_is_whole() {
    check(vec![record(FIRST, true)], None, [None, None]);
}

/// What is known of both, with what tablets and their MySQL tell.
fn judged(objects: Vec<(Kind, Value)>, restores: Vec<Restore>, writers: Vec<Writer>) -> [BackupView; 2] {
    let caught_up = Replication { source_connected: true, ..replication() };
    let tablet = |role, replication| TabletRecord {
        role,
        reach: Reach::Yes,
        replication: Some(replication),
        ..TabletRecord::default()
    };
    let tablets = [
        (1, tablet(Role::Primary, replication())),
        (2, tablet(Role::Replica, caught_up)),
        (3, tablet(Role::Replica, replication())),
    ];
    let mut vitess = Observation {
        backups: listed().to_vec(),
        backups_only_of: Some(String::new()),
        tablets: tablets.map(|(uid, record)| (alias(uid), record)).into(),
        restores,
        writers,
        ..Observation::default()
    };
    judge(&mut vitess, &members(objects));
    vitess.backups.try_into().expect("two")
}

/// Says nothing: it hears no source.
fn replication() -> Replication {
    serde_json::from_value(json!({})).expect("a replication")
}

fn alias(uid: u32) -> TabletAlias {
    format!("zone1-{uid}").parse().expect("an alias")
}

/// A tablet tells, at ten past, that it began with the first.
fn restore(uid: u32, position: &str) -> Restore {
    Restore {
        tablet: alias(uid),
        shard: "commerce/-".parse().expect("a shard"),
        started: minute(1),
        position: position.parse().expect("a position"),
        at: minute(10),
    }
}

#[test]
fn a_tablet_that_caught_up_has_proven_what_it_began_with() {
    for (uid, caught_up) in [(1, true), (2, true), (3, false), (4, false)] {
        let [first, second] = judged(Vec::new(), vec![restore(uid, "s:1-3")], Vec::new());
        let proven = caught_up.then(|| minute(10));
        assert_eq!((first.finished, first.verified), (Some(minute(10)), proven), "{uid}");
        assert_eq!(first.position.to_string(), "s:1-3", "{uid}");
        assert_eq!((second.finished, second.verified, second.position.count()), (None, None, 0), "{uid}");
    }
    let of_another_time = Restore { started: minute(2), ..restore(1, "s:1-3") };
    let of_another_shard = Restore { shard: "commerce/-80".parse().expect("one"), ..restore(1, "s:1-3") };
    assert_eq!(judged(Vec::new(), vec![of_another_time, of_another_shard], Vec::new()), listed());
}

/// A vtbackup that ended well, whose Pod was made in that minute.
fn run(from: u64, args: &Value, kind: &str) -> (Kind, Value) {
    let (at, mut run) = pod("Succeeded", "2026-01-01T00:05:00Z");
    run["metadata"]["creationTimestamp"] = json!(format!("2026-01-01T00:0{from}:00Z"));
    run["metadata"]["labels"][labels::BACKUP_TYPE] = json!(kind);
    run["spec"] = json!({ "containers": [{ "name": "vtbackup", "args": args }] });
    (at, run)
}

#[test]
fn a_run_has_proven_the_newest_that_was_whole_when_it_began() {
    let first = || record(FIRST, true);
    let proven = |objects| {
        let [first, second] = judged(objects, Vec::new(), Vec::new());
        (first.verified, second.from)
    };
    let plain = json!(["--initial_backup=false"]);
    let yes = (Some(minute(5)), Some(FIRST.to_owned()));
    assert_eq!(proven(vec![first(), run(2, &plain, "update")]), yes);
    assert_eq!(proven(vec![first(), run(1, &plain, "update")]), (None, None), "it was not whole yet");
    assert_eq!(proven(vec![run(2, &plain, "update")]), (None, None), "nobody knows it to be whole");
    assert_eq!(proven(vec![first(), run(2, &plain, "init")]), (None, None), "one that restores nothing");
    let clones = json!(["--restore-with-clone"]);
    assert_eq!(proven(vec![first(), run(2, &clones, "update")]), (None, None), "one that clones instead");
    assert_eq!(proven(vec![first(), pod("Failed", "2026-01-01T00:05:00Z")]), (None, None));
}

#[test]
fn a_record_keeps_what_was_proven() {
    let (kind, mut kept) = record(SECOND, true);
    kept["status"]["position"] = json!("MySQL56/s:1-9");
    kept["metadata"]["annotations"] = json!({
        annotations::BACKUP_VERIFIED: "2026-01-01T00:07:00Z",
        annotations::BACKUP_FROM: FIRST,
        annotations::BACKUP_WRITTEN: "s:9,t:0",
    });
    let [first, second] = judged(vec![(kind, kept), record(FIRST, true)], Vec::new(), Vec::new());
    assert_eq!((second.verified, second.from.as_deref()), (Some(minute(7)), Some(FIRST)));
    assert_eq!(second.position.to_string(), "s:1-9");
    assert_eq!(second.written, [("s".to_owned(), 9), ("t".to_owned(), 0)].into());
    assert_eq!(first.verified, second.finished, "by the run that went on from it");
}

#[test]
fn what_was_written_is_told_after_a_backup_was_complete_and_never_again() {
    let (kind, mut kept) = record(FIRST, true); // complete at 1:30
    kept["metadata"]["annotations"] = json!({ annotations::BACKUP_WRITTEN: "s:9" });
    let writer = |server: &str, last, at| Writer {
        shard: "commerce/-".parse().expect("a shard"),
        server: server.to_owned(),
        last,
        at,
    };
    let told = vec![
        writer("s", 11, minute(3)),
        writer("t", 0, minute(3)),
        writer("u", 5, minute(2)),
        Writer { shard: "commerce/-80".parse().expect("one"), ..writer("v", 5, minute(3)) },
    ];
    let [first, second] = judged(vec![(kind, kept)], Vec::new(), told);
    assert_eq!(first.written, [("s".to_owned(), 9), ("t".to_owned(), 0)].into());
    assert_eq!(second.written, [].into(), "nobody knows it to be whole");
}

#[test]
fn a_runs_pod_waits_until_what_it_left_is_written_down() {
    let ended = || pod("Succeeded", "2026-01-01T00:02:00Z");
    let waits = |objects: Vec<(Kind, Value)>, source| {
        let members = members(objects);
        let pod = members.get(Kind::Pod, "run").expect("it stands");
        awaits_record(source, pod, &members)
    };
    assert!(waits(vec![ended()], VitessSource::Observed));
    assert!(waits(vec![ended(), record(FIRST, false)], VitessSource::Observed));
    assert!(!waits(vec![ended(), record(FIRST, true)], VitessSource::Observed));
    assert!(!waits(vec![ended()], VitessSource::Played));
    assert!(!waits(vec![pod("Failed", "2026-01-01T00:02:00Z")], VitessSource::Observed));
}
