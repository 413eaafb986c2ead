//! What is begun, taken away and said of one schedule, case by case.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::runtime::watcher::Event;
use pilothouse_api::children;
use pilothouse_core::guard::{RULES, admit};
use pilothouse_core::plan::Plan;
use pilothouse_core::topology::TabletAlias;
use pilothouse_core::view::{BackupView, ClusterId, Reach, Role};
use pilothouse_core::zones::ZoneSettings;
use serde_json::{Value, json};

use super::*;
use crate::cache::{Cache, ClusterKey};
use crate::clock::parse_rfc3339;
use crate::observe::{Seen, view};
use crate::vitess::{Observation, ShardRecord, TabletRecord};

const SCHEDULE: &str = "harbour-vbsc-nightly-270ab65f";
/// The run that is due at two o'clock of the second day.
const RUN: &str = "harbour-vbsc-nightly-270ab65f-commerce-x-x-1767319200-";

fn at(text: &str) -> Millis {
    parse_rfc3339(&format!("2026-01-{text}Z")).expect("a time")
}

/// The example with a schedule of the whole cluster, stored on New Year's Day.
struct Scene {
    manifest: Value,
    schedule: Value,
    others: Vec<(Kind, Value)>,
    vitess: Option<Observation>,
}

fn scene() -> Scene {
    let text = include_str!("../../../crds/examples/three-zones.yaml");
    let mut manifest = crate::embedded::documents(text).expect("YAML").remove(0);
    manifest["spec"]["backup"]["schedules"] = json!([{
        "name": "nightly", "schedule": "0 2 * * *", "resources": {},
        "strategies": [{ "name": "all", "scope": "Cluster" }],
    }]);
    let schedule = json!({});
    Scene { manifest, schedule, others: Vec::new(), vitess: Some(serving()) }
}

/// Its shard has a primary that answers, and a backup.
fn serving() -> Observation {
    let shard: ShardId = "commerce/-".parse().expect("a shard");
    let alias: TabletAlias = "a-0518946941".parse().expect("an alias");
    let primary = TabletRecord { role: Role::Primary, reach: Reach::Yes, ..TabletRecord::default() };
    let record = ShardRecord { primary: Some(alias.clone()), initialized: true, ..ShardRecord::default() };
    let backup: BackupView = serde_json::from_value(json!({
        "name": "2026-01-01.000100.vtbackup-0000000001", "shard": "commerce/-", "started": 1, "finished": 2,
    }))
    .expect("a backup");
    Observation {
        shards: BTreeMap::from([(shard, record)]),
        tablets: BTreeMap::from([(alias, primary)]),
        backups: vec![backup],
        ..Observation::default()
    }
}

/// As the API server would have stored it.
fn stored(mut object: Value) -> Value {
    let name = object["metadata"]["name"].as_str().expect("named").to_owned();
    let metadata = object["metadata"].as_object_mut().expect("metadata");
    for (field, value) in [
        ("namespace", json!("default")),
        ("uid", json!(format!("uid-of-{name}"))),
        ("resourceVersion", json!("1")),
        ("creationTimestamp", json!("2026-01-01T00:00:00Z")),
    ] {
        metadata.entry(field).or_insert(value);
    }
    object
}

fn typed<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).expect("it reads")
}

impl Scene {
    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// An object of a run: its labels are the schedule's and the shard's.
    fn standing(mut self, kind: Kind, name: &str, more: Value) -> Self {
        let owner = if kind == Kind::Pod {
            json!([])
        } else {
            json!([{
                "apiVersion": "planetscale.com/v2", "kind": "VitessBackupSchedule", "name": SCHEDULE,
                "uid": format!("uid-of-{SCHEDULE}"), "controller": true,
            }])
        };
        let mut object = json!({ "metadata": {
            "name": name, "ownerReferences": owner,
            "labels": {
                "planetscale.com/cluster": "harbour", "planetscale.com/keyspace": "commerce",
                "planetscale.com/shard": "x-x", "planetscale.com/backup-schedule": SCHEDULE,
            },
        } });
        json_patch::merge(&mut object, &more);
        self.others.push((kind, object));
        self
    }

    fn job(self, name: &str, due: &str, state: &str) -> Self {
        let conditions =
            if state.is_empty() { json!([]) } else { json!([{ "type": state, "status": "True" }]) };
        let due = format!("2026-01-{due}Z");
        let notes = json!({ "planetscale.com/backup-scheduled-at": due });
        self.standing(
            Kind::Job,
            name,
            json!({ "metadata": { "annotations": notes }, "status": { "conditions": conditions } }),
        )
    }

    fn claim(self, name: &str) -> Self {
        self.standing(Kind::PersistentVolumeClaim, name, json!({}))
    }

    fn pod(self, job: &str, phase: &str) -> Self {
        let labels = json!({ "batch.kubernetes.io/job-name": job });
        let more = json!({ "metadata": { "labels": labels }, "status": { "phase": phase } });
        self.standing(Kind::Pod, &format!("{job}-pod"), more)
    }

    fn judge(&self, as_of: &str) -> (Schedules, ClusterView) {
        let mut cache = Cache::default();
        let mut put = |kind: Kind, object: Value| {
            cache.absorb(kind, Event::Apply(typed(&object)));
        };
        let cluster = stored(self.manifest.clone());
        put(Kind::VitessCluster, cluster.clone());
        let cluster: VitessCluster = typed(&cluster);
        for keyspace in children::keyspaces(&cluster) {
            let keyspace = stored(json!(keyspace));
            for shard in children::shards(&typed(&keyspace)).expect("shards") {
                put(Kind::VitessShard, stored(json!(shard)));
            }
            put(Kind::VitessKeyspace, keyspace);
        }
        for schedule in children::backup_schedules(&cluster) {
            let mut schedule = json!(schedule);
            json_patch::merge(&mut schedule, &self.schedule);
            put(Kind::VitessBackupSchedule, stored(schedule));
        }
        for (kind, object) in &self.others {
            let mut object = stored(object.clone());
            let resource = kind.resource();
            object["apiVersion"] = json!(resource.api_version);
            object["kind"] = json!(resource.kind);
            put(*kind, object);
        }
        let key = ClusterKey { namespace: "default".to_owned(), name: "harbour".to_owned() };
        let members = Arc::clone(cache.members(&key).expect("members"));
        let id =
            ClusterId { namespace: "default".to_owned(), name: "harbour".to_owned(), uid: String::new() };
        let seen = Seen {
            members: &members,
            shared: cache.shared(),
            vitess: self.vitess.as_ref(),
            source: VitessSource::Played,
            outdated: &BTreeMap::new(),
            cascading: &BTreeSet::new(),
            replaces_primaries: false,
            remembered_zones: &BTreeMap::new(),
            allowances: &BTreeMap::new(),
            pauses: &[],
            unwanted: &BTreeMap::new(),
            as_of: at(as_of),
        };
        let view = view(id, &seen, &ZoneSettings::default()).view;
        (Schedules::judge(&cluster, &members, &view), view)
    }

    /// Steps, which the guard admits, then troubles, at a time.
    #[track_caller]
    fn comes_to(&self, as_of: &str, expected: &[&str]) {
        let (schedules, view) = self.judge(as_of);
        let plan = Plan::merge(&[], schedules.steps().collect());
        assert_eq!(admit(&view, plan.reviewed(&[]), RULES).refusals, []);
        let mut told: Vec<String> = schedules.steps().map(|step| step.action.to_string()).collect();
        let troubles = schedules.all().iter().flat_map(|judged| &judged.troubles);
        told.extend(troubles.map(|trouble| format!("{}: {trouble}", trouble.as_str())));
        let hidden =
            |line: &String| line.replace(&format!("default/{RUN}"), "RUN-").replace(SCHEDULE, "SCHEDULE");
        assert_eq!(told.iter().map(hidden).collect::<Vec<_>>(), expected);
    }

    /// The name of the run that is due.
    fn run(&self) -> String {
        let step = self.judge(DUE).0.rendered().next().expect("a claim is begun").object.name.clone();
        assert!(step.starts_with(RUN), "{step}");
        step
    }
}

/// Without the hash of its name.
const CLAIM: &str = "apply PersistentVolumeClaim RUN-e06f42d9 (Create)";
const JOB: &str = "apply Job RUN-e06f42d9 (Create)";
const DUE: &str = "02T02:00:00";

#[test]
fn the_claim_is_begun_before_the_job_and_the_job_once() {
    scene().comes_to("01T01:59:59", &[]);
    scene().comes_to(DUE, &[CLAIM]);
    let run = scene().run();
    scene().claim(&run).comes_to(DUE, &[JOB]);
    let leaving = json!({ "metadata": { "deletionTimestamp": "2026-01-02T02:00:00Z" } });
    scene().standing(Kind::PersistentVolumeClaim, &run, leaving).comes_to(DUE, &[]);
    scene().claim(&run).job(&run, DUE, "").comes_to(DUE, &[]);
    // What the status remembers is not done again, though no Job is left of it.
    let remembered =
        json!({ "status": { "lastScheduledTimes": { "all-commerce-x-x": "2026-01-02T02:00:00Z" } } });
    scene().with(|s| s.schedule = remembered).comes_to(DUE, &[]);
}

#[test]
fn nothing_was_missed_before_the_shard_stood() {
    let schedule = json!({ "metadata": { "creationTimestamp": "2025-12-01T00:00:00Z" } });
    scene().with(|s| s.schedule = schedule).comes_to("01T01:00:00", &[]);
}

#[test]
fn a_run_that_could_not_end_well_waits() {
    let nowhere = scene().with(|s| s.manifest["spec"]["backup"]["locations"][0]["name"] = json!("far"));
    nowhere.comes_to("01T00:00:01", &["NoBackupLocation: commerce/- has no backup location"]);
    let template = "/spec/keyspaces/0/partitionings/0/equal/shardTemplate";
    let unwanted = |s: &mut Scene| {
        let template = s.manifest.pointer_mut(template).expect("there");
        template["replication"] = json!({ "initializeBackup": false });
    };
    let empty = |s: &mut Scene| s.vitess.as_mut().expect("known").backups.clear();
    scene().with(unwanted).with(empty).comes_to(
        "01T00:00:01",
        &["InitialBackupNotAllowed: commerce/- has no backup to begin with, and initializeBackup is false"],
    );
    scene().with(unwanted).comes_to(DUE, &[CLAIM]);
    scene().with(empty).comes_to("01T00:00:01", &[]);
    let waits = "NoFirstBackup: commerce/-: a run is due and waits for the first backup";
    scene().with(empty).comes_to(DUE, &[waits]);
    let silent = |s: &mut Scene| s.vitess.as_mut().expect("known").tablets.clear();
    scene()
        .with(silent)
        .comes_to(DUE, &["NoPrimary: commerce/-: a run is due and waits for a primary that answers"]);
    // Where Vitess cannot be asked, the Pod of the first backup is all there is to go by.
    let unknown = |s: &mut Scene| s.vitess = None;
    scene().with(unknown).comes_to(DUE, &[waits]);
    let first = json!({
        "metadata": { "labels": {
            "planetscale.com/component": "vtbackup", "planetscale.com/backup-schedule": null,
        } },
        "status": { "phase": "Succeeded" },
    });
    scene().with(unknown).standing(Kind::Pod, "first", first).comes_to(DUE, &[CLAIM]);
}

#[test]
fn vtctldclient_needs_no_claim_but_an_image() {
    let asked = |image: &str| json!({ "spec": { "backupMethod": "vtctldclient", "image": image } });
    scene().with(|s| s.schedule = asked("vitess/lite")).comes_to(DUE, &[JOB]);
    scene()
        .with(|s| s.schedule = asked(""))
        .comes_to("01T00:00:01", &["NoImage: the cluster names no image of vtctld"]);
}

#[test]
fn what_cannot_be_used_says_where() {
    let strategies = |of: Value| json!({ "spec": { "strategies": of } });
    let gone = strategies(json!([{ "name": "a", "keyspace": "commerce", "shard": "-80" }]));
    scene()
        .with(|s| s.schedule = gone)
        .comes_to("01T00:00:01", &["NoSuchShard: commerce/-80 is no shard of the cluster"]);
    let twice = strategies(json!([
        { "name": "a", "scope": "Cluster" }, { "name": "b", "keyspace": "commerce", "shard": "-" },
    ]));
    let message = "InvalidSpec: spec.strategies[1]: \"commerce/-\" is there twice";
    scene().with(|s| s.schedule = twice).comes_to(DUE, &[message]);
    let external = |s: &mut Scene| {
        let at = "/spec/keyspaces/0/partitionings/0/equal/shardTemplate/tabletPools";
        for pool in s.manifest.pointer_mut(at).and_then(Value::as_array_mut).expect("pools") {
            pool.as_object_mut()
                .expect("a pool")
                .retain(|field, _| !["mysqld", "dataVolumeClaimTemplate"].contains(&field.as_str()));
            pool["type"] = json!("externalreplica");
            pool["externalDatastore"] = json!({
                "host": "h", "port": 3306, "user": "u", "database": "d",
                "credentialsSecret": { "name": "c", "key": "k" },
            });
        }
        s.vitess = None;
    };
    let record = json!({ "status": { "complete": true } });
    scene()
        .with(external)
        .standing(Kind::VitessBackup, "b", record)
        .comes_to(DUE, &["NoMysqld: commerce/- has no pool with a mysqld and a volume to take the shape of"]);
}

#[test]
fn a_failed_runs_pod_stays_until_a_later_run_stands() {
    let failed = "RunFailed: commerce/-: Job one failed";
    let scene = || scene().job("one", "01T02:00:00", "Failed").claim("one").pod("one", "Failed");
    scene().comes_to("01T03:00:00", &[failed]);
    let later = scene().job("two", DUE, "").claim("two").pod("two", "Running");
    later.comes_to("02T03:00:00", &["delete Pod default/one-pod"]);
    let hung = self::scene().job("one", "01T02:00:00", "Failed").claim("one");
    hung.comes_to("01T03:00:00", &["delete PersistentVolumeClaim default/one", failed]);
}

#[test]
fn of_a_run_that_succeeded_the_pod_goes_and_then_the_claim() {
    let ended = || scene().job("one", "01T02:00:00", "Complete").claim("one");
    ended().pod("one", "Succeeded").comes_to("01T03:00:00", &["delete Pod default/one-pod"]);
    ended().comes_to("01T03:00:00", &["delete PersistentVolumeClaim default/one"]);
    // So too where Vitess cannot be asked.
    let unknown = |s: &mut Scene| s.vitess = None;
    ended().with(unknown).comes_to("01T03:00:00", &["delete PersistentVolumeClaim default/one"]);
    let pod = ended().with(unknown).pod("one", "Succeeded");
    pod.comes_to("01T03:00:00", &["delete Pod default/one-pod"]);
    scene().claim("one").comes_to("01T01:00:00", &["delete PersistentVolumeClaim default/one"]);
    let of_other = json!({ "metadata": { "ownerReferences": [] } });
    scene().standing(Kind::PersistentVolumeClaim, "one", of_other).comes_to("01T01:00:00", &[]);
}

#[test]
fn jobs_beyond_the_limit_go_once_their_time_is_written_down() {
    let none = json!({ "spec": { "successfulJobsHistoryLimit": 0 } });
    let ended = |schedule: &Value| {
        let schedule = schedule.clone();
        scene().with(|s| s.schedule = schedule).job("one", "01T02:00:00", "Complete").pod("one", "Succeeded")
    };
    ended(&none).comes_to("01T03:00:00", &["delete Pod default/one-pod"]);
    let mut remembered = none.clone();
    remembered["status"]["lastScheduledTimes"] = json!({ "all-commerce-x-x": "2026-01-01T02:00:00Z" });
    ended(&remembered).comes_to("01T03:00:00", &["delete Job default/one"]);
    // Of a shard that is not backed up any more nothing needs to be remembered.
    let elsewhere = json!({ "metadata": { "labels": { "planetscale.com/shard": "x-80" } },
        "status": { "conditions": [{ "type": "Complete", "status": "True" }] } });
    let gone = scene().with(|s| s.schedule = none).standing(Kind::Job, "two", elsewhere);
    gone.comes_to("01T01:00:00", &["delete Job default/two"]);
}

#[test]
fn frequencies_have_times_of_their_own_and_the_next_is_when_to_look_again() {
    let every = json!({ "spec": { "schedule": null, "frequency": "6h" } });
    let schedules = scene().with(|s| s.schedule = every).judge("01T00:00:01").0;
    let lines = schedules.all()[0].lines.as_ref().expect("usable");
    let line = &lines[0];
    assert_eq!((line.name.as_str(), line.generated.as_deref()), ("all-commerce-x-x", Some("13 1/6 * * *")));
    assert_eq!(schedules.next_at(), Some(at("01T01:13:00")));
    let suspended = json!({ "spec": { "suspend": true } });
    let schedules = scene().with(|s| s.schedule = suspended).judge("01T00:00:01").0;
    assert_eq!(schedules.next_at(), None);
}
