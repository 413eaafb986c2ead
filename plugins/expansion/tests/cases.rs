//! Views in, decisions out, as texts: `tests/cases/*.yaml` beside `*.txt`.

use expansion::Expansion;
use pilothouse_sdk::testkit::case;

#[track_caller]
fn check(name: &str) {
    case::run::<Expansion>(format!("{}/tests/cases/{name}.yaml", env!("CARGO_MANIFEST_DIR")));
}

#[test]
fn by_use() {
    check("use");
}

#[test]
fn by_fill_rate() {
    check("rate");
}

#[test]
fn within_limits() {
    check("limits");
}

#[test]
fn within_the_budget() {
    check("budget");
}

#[test]
fn replicas_grow_along() {
    check("even");
}

#[test]
fn bad_configurations_name_the_field() {
    check("config");
}
