//! Views in, decisions out, as texts: `tests/cases/*.yaml` beside `*.txt`.

use backup::Backup;
use pilothouse_sdk::testkit::case;

#[track_caller]
fn check(name: &str) {
    case::run::<Backup>(format!("{}/tests/cases/{name}.yaml", env!("CARGO_MANIFEST_DIR")));
}

#[test]
fn runs_start_when_due_and_safe() {
    check("start");
}

#[test]
fn an_empty_shard_gets_its_first_backup() {
    check("initial");
}

#[test]
fn only_what_a_newer_proven_one_covers_goes() {
    check("expire");
}

#[test]
fn what_a_human_should_know() {
    check("health");
}

#[test]
fn bad_configurations_name_the_field() {
    check("config");
}
