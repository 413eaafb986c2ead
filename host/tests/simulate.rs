//! What the simulation promises: days that hold, and the same day to the byte.

use std::process::{Command, Output};

fn simulate(args: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_pilothouse");
    Command::new(program).arg("simulate").args(args).output().expect("the program starts")
}

/// What it printed, without the last line, which tells real time.
fn told(output: &Output) -> String {
    let text = String::from_utf8(output.stdout.clone()).expect("text");
    let (lines, _figures) = text.trim_end().rsplit_once('\n').expect("more than a line");
    lines.to_owned()
}

#[track_caller]
fn holds(args: &[&str]) -> String {
    let output = simulate(args);
    let told = told(&output);
    assert!(output.status.success(), "{args:?}:\n{told}\n{}", String::from_utf8_lossy(&output.stderr));
    told
}

#[test]
fn a_calm_day_holds() {
    let told = holds(&["--seed", "1", "--hours", "6", "--calm"]);
    assert!(told.contains("seed 1: 0 faults"), "{told}");
}

#[test]
fn days_of_every_fault_hold() {
    let told = holds(&["--seed", "1", "--count", "3", "--hours", "6"]);
    assert_eq!(told.lines().count(), 3, "{told}");
}

/// 973: two backup Pods were created late, when their claims had gone again, and waited for ever.
#[test]
fn days_that_once_broke_hold() {
    holds(&["--seed", "973"]);
}

#[test]
fn the_same_seed_gives_the_same_trace_in_one_process_and_in_another() {
    let alone = holds(&["--seed", "2", "--hours", "3", "--trace"]);
    let after_another = holds(&["--seed", "1", "--count", "2", "--hours", "3", "--trace"]);
    assert!(alone.lines().count() > 500, "a trace tells something");
    assert!(after_another.ends_with(&alone), "seed 2 after seed 1 is another day than seed 2 alone");
    assert_eq!(alone, holds(&["--seed", "2", "--hours", "3", "--trace"]));
}

#[test]
fn other_seeds_and_other_faults_are_other_days() {
    let day = |args: &[&str]| told(&simulate(&[&["--hours", "3", "--trace"], args].concat()));
    assert_ne!(day(&["--seed", "3"]), day(&["--seed", "4"]));
    let only = day(&["--seed", "3", "--only", "A2"]);
    assert!(only.contains("fault A2") && !only.contains("fault N"), "{only}");
}

#[test]
fn what_cannot_be_simulated_is_refused_by_name() {
    for (args, word) in [(["--seed", "1", "--hours", "2"], "hours"), (["--seed", "1", "--only", "B7"], "B7")]
    {
        let output = simulate(&args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(word), "{args:?}: {said}");
    }
}
