//! Scheduled backups while everything else goes wrong: the host is killed anywhere, answers are lost
//! or late, watches tell an older state, nodes and zones go.

mod policies;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use kube::api::{Patch, PatchParams, PostParams};
use pilothouse::actuate::Effects;
use pilothouse::cache::{Cache, ClusterKey};
use pilothouse::controller::Controller;
use pilothouse::embedded::Embedded;
use pilothouse::kinds::Kind;
use pilothouse::simulate::{self, Mix, Plan, Verdict};
use pilothouse::telemetry::Telemetry;
use pilothouse::vitess::Vitess;
use pilothouse_core::action::{Action, ObjectRef};
use pilothouse_core::plan::{Author, Outcome, Reason, Step};
use pilothouse_sim::world::WorldSettings;
use serde_json::{Value, json};

const HOUR_MS: u64 = 3_600_000;

/// The manifest with a schedule of four runs an hour that keeps no Jobs.
fn scheduled(suspend: bool) -> Vec<Value> {
    let mut manifest = simulate::manifest().expect("the manifest is good");
    manifest[0]["spec"]["backup"]["schedules"] = json!([{
        "name": "often", "schedule": "*/15 * * * *", "suspend": suspend, "resources": {},
        "successfulJobsHistoryLimit": 0, "failedJobsHistoryLimit": 0,
        "strategies": [{ "name": "all", "scope": "Cluster" }],
    }]);
    manifest
}

/// The names of the objects of a kind that a step was done to, as often as it was done.
fn done<'a>(verdict: &'a Verdict, step: &str) -> Vec<&'a str> {
    let of_step = verdict.trace.lines().filter(|line| line.contains("outcome=\"done\""));
    of_step.filter_map(|line| line.split(step).nth(1)?.split_whitespace().next()).collect()
}

/// The names of the Jobs that ended, each as often as it did.
fn ended(verdict: &Verdict) -> Vec<&str> {
    let of_world = verdict.trace.lines().filter_map(|line| {
        match line.split_whitespace().collect::<Vec<_>>().as_slice() {
            [_, "job", name, "Complete" | "Failed"] => Some(*name),
            _ => None,
        }
    });
    of_world.collect()
}

#[test]
fn each_run_begins_once_and_leaves_nothing_through_every_fault() {
    for seed in [1, 2, 3] {
        let edits = vec![(4 * HOUR_MS, scheduled(true))];
        let manifest = scheduled(false);
        let plan = Plan { seed, hours: 8, mix: Mix::default(), manifest, edits, traced: true };
        let settings = simulate::settings();
        let verdict =
            simulate::seed(&plan, policies::of(&settings), &settings, Controller::new).expect("a day");
        assert!(verdict.violations.is_empty(), "seed {seed}: {:#?}", verdict.violations);
        assert!(verdict.summary.faults > 0 && verdict.summary.kills > 0, "seed {seed}: {}", verdict.summary);
        let begun: BTreeSet<&str> = done(&verdict, "apply Job ").into_iter().collect();
        assert!((4..=16).contains(&begun.len()), "seed {seed}: {begun:?}");
        let ended = ended(&verdict);
        let once: BTreeSet<&str> = ended.iter().copied().collect();
        assert_eq!(ended.len(), once.len(), "seed {seed}: a run was repeated: {ended:?}");
        assert!(once.len() >= 4 && !done(&verdict, "delete Job ").is_empty(), "seed {seed}: {once:?}");
    }
}

/// A cache may lack a Job whose claim it knows: whoever deletes the claim asks once more.
#[test]
fn no_claim_goes_under_a_job_that_runs() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let embedded = Embedded::new(1_767_225_600_000, 1, WorldSettings::default()).expect("a server");
        let api = |kind: Kind| kind.api(&embedded.client, "default");
        let metadata = json!({ "name": "run", "labels": {
            "planetscale.com/cluster": "harbour", "planetscale.com/backup-schedule": "nightly",
        } });
        let pod = json!({ "restartPolicy": "Never", "containers": [{ "name": "c", "image": "i" }] });
        let job = json!({ "metadata": metadata, "spec": { "template": { "spec": pod } } });
        let claim = json!({ "metadata": metadata, "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } },
        } });
        let mut uid = String::new();
        for (kind, mut object) in [(Kind::Job, job), (Kind::PersistentVolumeClaim, claim)] {
            let resource = kind.resource();
            object["apiVersion"] = json!(resource.api_version);
            object["kind"] = json!(resource.kind);
            let object = serde_json::from_value(object).expect("an object");
            let made = api(kind).create(&PostParams::default(), &object).await.expect("made");
            uid = made.metadata.uid.expect("a UID");
        }
        let effects = Effects {
            client: embedded.client.clone(),
            vitess: Vitess::Unknown,
            cache: Arc::new(Mutex::new(Cache::default())),
            clock: embedded.clock.clone(),
            telemetry: Telemetry::default(),
        };
        let (kind, namespace, name) =
            ("PersistentVolumeClaim".to_owned(), "default".to_owned(), "run".to_owned());
        let step = Step {
            action: Action::Delete { object: ObjectRef { kind, namespace, name }, uid, of: None },
            author: Author::Host,
            reason: Reason { code: "backup-run-over".to_owned(), message: String::new() },
            expect: Vec::new(),
            expires: u64::MAX,
        };
        let key = ClusterKey { namespace: "default".to_owned(), name: "harbour".to_owned() };
        let id = json!({ "namespace": "default", "name": "harbour", "uid": "u" });
        let view = json!({ "asOf": 0, "cluster": id, "vitess": "unknown" });
        let view = serde_json::from_value(view).expect("a view");
        let delete = async || effects.actuate(&key, &view, &step, &BTreeMap::new()).await;
        assert_eq!(delete().await.0, Outcome::Overtaken { found: "Job run has not ended".to_owned() });
        let ended = json!({ "status": { "conditions": [{ "type": "Failed", "status": "True" }] } });
        let ended = Patch::Merge(&ended);
        api(Kind::Job).patch_status("run", &PatchParams::default(), &ended).await.expect("it ends");
        assert_eq!(delete().await.0, Outcome::Done);
    });
}
