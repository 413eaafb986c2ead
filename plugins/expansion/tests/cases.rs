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

#[test]
fn the_schema_names_every_field_with_its_default() {
    let schema: serde_json::Value =
        serde_json::from_str(&pilothouse_sdk::schema_of::<Expansion>()).expect("a schema");
    let defaults = serde_json::to_value(expansion::config::Config::default()).expect("JSON");
    for (field, default) in defaults.as_object().expect("an object") {
        let property = &schema["properties"][field];
        assert!(property["description"].is_string(), "{field}");
        assert_eq!(property["default"], *default, "{field}");
    }
    assert_eq!(schema["additionalProperties"], false);
}
