//! Scheduled backups while everything else goes wrong: the host is killed anywhere, answers are lost
//! or late, watches tell an older state, nodes and zones go.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use pilothouse::controller::Controller;
use pilothouse::settings::Settings;
use pilothouse::simulate::{self, Mix, Plan, Verdict};
use pilothouse_policy::set::PolicySet;
use serde_json::{Value, json};

const HOUR_MS: u64 = 3_600_000;

fn policies(settings: &Settings) -> Arc<PolicySet> {
    let cache_dir = Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("policies"));
    let settings = Settings { cache_dir, ..settings.clone() };
    let runtime =
        settings.runtime_with(env!("CARGO_BIN_EXE_pilothouse").into()).expect("an engine and a cache");
    Arc::new(PolicySet::load(&runtime, &settings.policies).expect("the default policies"))
}

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
        let verdict = simulate::seed(&plan, policies(&settings), &settings, Controller::new).expect("a day");
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
