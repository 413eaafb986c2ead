//! What stands in the store, beside the runs that are known: what of it is whole.

use std::sync::Arc;

use kube::runtime::watcher::Event;
use serde_json::json;

use super::*;
use crate::cache::{Cache, ClusterKey};

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

/// When each of those in the store was complete, as minutes of the day.
#[track_caller]
fn check(objects: Vec<(Kind, Value)>, only_of: Option<&str>, expected: [Option<u64>; 2]) {
    let at = |text: &str| parse_rfc3339(text).expect("a time");
    let backup = |(name, started): (&str, &str)| -> BackupView {
        let backup = json!({ "name": name, "shard": "commerce/-", "started": at(started) });
        serde_json::from_value(backup).expect("a backup")
    };
    let backups = [(FIRST, "2026-01-01T00:01:00Z"), (SECOND, "2026-01-01T00:03:00Z")].map(backup).to_vec();
    let mut vitess =
        Observation { backups, backups_only_of: only_of.map(str::to_owned), ..Observation::default() };
    judge(&mut vitess, &members(objects));
    let midnight = at("2026-01-01T00:00:00Z");
    let minutes = |backup: &BackupView| backup.finished.map(|at| (at - midnight) / 60_000);
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
