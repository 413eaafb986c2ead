//! Keyspaces, shards and cells are taken out of a manifest, and put back, while everything else goes
//! wrong: what is idle goes, and what somebody needs or asks for again never does.

mod policies;

use pilothouse::controller::Controller;
use pilothouse::simulate::{self, Mix, Plan, Verdict};
use serde_json::{Value, json};

const MINUTE_MS: u64 = 60_000;

/// A day of that seed and length with these edits (minutes since its beginning), and what came of it.
fn day(seed: u64, hours: u64, edits: Vec<(u64, Vec<Value>)>) -> Verdict {
    let edits = edits.into_iter().map(|(minute, manifest)| (minute * MINUTE_MS, manifest)).collect();
    let manifest = simulate::manifest().expect("the manifest is good");
    let plan = Plan { seed, hours, mix: Mix::default(), manifest, edits, traced: true };
    let settings = simulate::settings();
    let verdict = simulate::seed(&plan, policies::of(&settings), &settings, Controller::new).expect("a day");
    assert!(verdict.violations.is_empty(), "seed {seed}: {:#?}", verdict.violations);
    assert!(verdict.summary.faults > 0 && verdict.summary.kills > 0, "seed {seed}: {}", verdict.summary);
    verdict
}

/// The manifest with another cell.
fn with_cell() -> Vec<Value> {
    let mut manifest = simulate::manifest().expect("the manifest is good");
    let cells = manifest[0]["spec"]["cells"].as_array_mut().expect("cells");
    let mut cell = cells[0].clone();
    cell["name"] = json!("d");
    cells.push(cell);
    manifest
}

/// The manifest with another cell, and another keyspace of that turndown policy.
fn more(policy: &str) -> Vec<Value> {
    let mut manifest = with_cell();
    let spec = &mut manifest[0]["spec"];
    let mut keyspace = spec["keyspaces"][0].clone();
    keyspace["name"] = json!("ledger");
    keyspace["turndownPolicy"] = json!(policy);
    spec["keyspaces"].as_array_mut().expect("keyspaces").push(keyspace);
    manifest
}

/// How often a step was done.
fn done(verdict: &Verdict, step: &str) -> usize {
    let of = |line: &&str| line.contains(step) && line.contains("outcome=\"done\"");
    verdict.trace.lines().filter(of).count()
}

#[test]
fn what_may_go_goes_through_every_fault() {
    for seed in [1, 2] {
        let less = simulate::manifest().expect("the manifest is good");
        let verdict = day(seed, 7, vec![(60, more("Immediate")), (180, less)]);
        assert!(done(&verdict, "turn-down VitessKeyspace") >= 1, "seed {seed}");
        assert!(done(&verdict, "turn-down VitessCell") >= 1, "seed {seed}");
        assert!(done(&verdict, "prune-record keyspace ledger") >= 1, "seed {seed}");
    }
}

/// A host that starts anew, or whose watch stalls, may read the manifest as it was.
#[test]
fn what_is_asked_for_again_stays_through_every_fault() {
    let less = || simulate::manifest().expect("the manifest is good");
    let edits = (0..30).map(|n| (30 + n * 7, if n % 2 == 0 { with_cell() } else { less() }));
    let verdict = day(3, 7, edits.chain([(239, with_cell())]).collect());
    assert!(done(&verdict, "turn-down VitessCell") >= 5);
    assert!(done(&verdict, "prune-record cell d") >= 5);
}

#[test]
fn a_keyspace_with_pools_stays_through_every_fault() {
    let less = simulate::manifest().expect("the manifest is good");
    let verdict = day(5, 7, vec![(60, more("RequireIdle")), (180, less)]);
    assert_eq!(done(&verdict, "turn-down VitessKeyspace"), 0);
    assert!(verdict.trace.contains("TurndownBlocked"));
}

#[test]
fn a_shard_that_serves_stays_through_every_fault() {
    let mut split = simulate::manifest().expect("the manifest is good");
    split[0]["spec"]["keyspaces"][0]["partitionings"][0]["equal"]["parts"] = json!(2);
    let verdict = day(6, 6, vec![(60, split)]);
    assert_eq!(done(&verdict, "turn-down"), 0);
    assert!(verdict.trace.contains("Serving"));
}
