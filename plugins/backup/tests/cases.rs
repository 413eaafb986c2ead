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
fn a_tablet_that_cannot_replicate_any_more_starts_from_a_proven_one() {
    check("errant");
}

#[test]
fn what_a_human_should_know() {
    check("health");
}

#[test]
fn bad_configurations_name_the_field() {
    check("config");
}

#[test]
fn the_schema_names_every_field_with_its_default() {
    let schema: serde_json::Value =
        serde_json::from_str(&pilothouse_sdk::schema_of::<Backup>()).expect("a schema");
    let defaults = serde_json::to_value(backup::config::Config::default()).expect("JSON");
    for (field, default) in defaults.as_object().expect("an object") {
        let property = &schema["properties"][field];
        assert!(property["description"].is_string(), "{field}");
        assert_eq!(property["default"], *default, "{field}");
    }
    assert_eq!(schema["additionalProperties"], false);
}
