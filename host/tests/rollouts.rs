//! A new image on its way through a cluster while everything else goes wrong: the host is killed
//! anywhere, answers are lost, nodes and zones go. What must never be is looked for all day.

mod policies;

use pilothouse::controller::Controller;
use pilothouse::simulate::{self, Mix, Plan, Verdict};
use serde_json::{Value, json};

const HOUR_MS: u64 = 3_600_000;

/// Another image an hour into the day of that seed, and what came of it.
fn day(seed: u64, strategy: &str, annotations: &Value) -> Verdict {
    let mut manifest = simulate::manifest().expect("the manifest is good");
    manifest[0]["spec"]["updateStrategy"]["type"] = json!(strategy);
    let mut changed = manifest.clone();
    changed[0]["spec"]["images"]["vttablet"] = json!("vitess/lite:next");
    changed[0]["metadata"]["annotations"] = annotations.clone();
    let plan =
        Plan { seed, hours: 6, mix: Mix::default(), manifest, edits: vec![(HOUR_MS, changed)], traced: true };
    let settings = simulate::settings();
    simulate::seed(&plan, policies::of(&settings), &settings, Controller::new).expect("a day")
}

/// How often a step was done.
fn done(verdict: &Verdict, step: &str) -> usize {
    let of = |line: &&str| line.contains(step) && line.contains("outcome=\"done\"");
    verdict.trace.lines().filter(of).count()
}

#[track_caller]
fn holds(seed: u64, verdict: &Verdict) {
    assert!(verdict.violations.is_empty(), "seed {seed}: {:#?}", verdict.violations);
    assert!(verdict.summary.faults > 0 && verdict.summary.kills > 0, "seed {seed}: {}", verdict.summary);
}

#[test]
fn immediate_rolls_through_every_fault() {
    for seed in [1, 2] {
        let verdict = day(seed, "Immediate", &json!({}));
        holds(seed, &verdict);
        assert!(done(&verdict, "recreate-tablet") >= 1, "seed {seed}");
    }
}

#[test]
fn a_cascade_ends_through_every_fault() {
    // 6: an errant tablet acknowledges nothing, so that the others cannot go before it is made anew. 14: a
    // stand-in was still restoring when the tablet of a zone that was cut off went.
    for (seed, rebuilt) in [(4, 0), (6, 1), (14, 0)] {
        let verdict = day(seed, "External", &json!({ "rollout.planetscale.com/cascade": "by hand" }));
        holds(seed, &verdict);
        assert_eq!(verdict.summary.errant, 0, "seed {seed}: {}", verdict.summary);
        assert_eq!(done(&verdict, "restore-tablet"), rebuilt, "seed {seed}");
        assert_eq!(done(&verdict, "end-rollout VitessCluster default/harbour [Cascade]"), 1, "seed {seed}");
    }
}

#[test]
fn what_nobody_releases_waits_through_every_fault() {
    let verdict = day(7, "External", &json!({}));
    holds(7, &verdict);
    assert!(done(&verdict, "schedule-change VitessKeyspace") >= 1);
    assert_eq!(done(&verdict, "release-tablet"), 0);
}
