//! What `deny.toml` says of licences, bans and sources, held against every crate that is built:
//! the same three checks as `cargo deny check licenses bans sources`, where that is not installed.

use std::collections::BTreeSet;
use std::process::Command;

use pilothouse_tests::repository;
use serde_json::Value;
use spdx::{Expression, ParseMode};

/// Every crate that this machine builds.
fn packages() -> Vec<Value> {
    let rustc = Command::new("rustc").arg("-vV").output().unwrap();
    let version = String::from_utf8(rustc.stdout).unwrap();
    let host = version.lines().find_map(|l| l.strip_prefix("host: ")).unwrap();
    let cargo = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", host])
        .current_dir(repository(""))
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&cargo.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap().clone();
    assert!(packages.len() > 100, "the crates are not found");
    packages
}

fn text<'a>(package: &'a Value, field: &str) -> &'a str {
    package[field].as_str().unwrap_or_default()
}

/// The quoted words of a list of `deny.toml`, each line's first.
fn listed(list: &str) -> BTreeSet<String> {
    let settings = std::fs::read_to_string(repository("deny.toml")).unwrap();
    let lines = settings.lines().skip_while(|l| *l != format!("{list} = [")).skip(1);
    let words: BTreeSet<String> =
        lines.take_while(|l| *l != "]").filter_map(|l| Some(l.split('"').nth(1)?.to_owned())).collect();
    assert!(!words.is_empty(), "deny.toml has no list {list}");
    words
}

#[test]
fn every_licence_is_allowed() {
    let allowed = listed("allow");
    for package in packages() {
        let licence = text(&package, "license");
        let expression = Expression::parse_mode(licence, ParseMode::LAX)
            .unwrap_or_else(|e| panic!("{}: licence {licence:?}: {e}", text(&package, "name")));
        let may = expression.evaluate(|asked| allowed.contains(&asked.to_string()));
        assert!(may, "{}: deny.toml does not allow {licence}", text(&package, "name"));
    }
}

#[test]
fn nothing_banned_is_built() {
    let banned = listed("deny");
    for package in packages() {
        assert!(!banned.contains(text(&package, "name")), "{} is banned", text(&package, "name"));
    }
}

#[test]
fn every_crate_is_ours_or_from_the_registry() {
    for package in packages() {
        let source = text(&package, "source");
        let from_registry = source.starts_with("registry+");
        assert!(from_registry || source.is_empty(), "{} is from {source}", text(&package, "name"));
    }
}
