//! Proves the host's own steps (drain, turndown) by small cases, and that the
//! guard agrees with every one of them that is proposed.

mod fixture;

use std::fmt::Write as _;

use fixture::{approve, read, typed, world};
use pilothouse_core::guard::{self, RULES};
use pilothouse_core::plan::{Plan, Step};
use pilothouse_core::view::ClusterView;
use pilothouse_core::{drain, turndown};
use serde_yaml_ng::Value;

fn cases(file: &str) -> Vec<(String, ClusterView)> {
    let list = read(&format!("own/{file}.yaml"));
    let list = list.as_sequence().expect("cases");
    list.iter()
        .map(|case| {
            let from = case.get("world").and_then(Value::as_str).unwrap_or("three-zones");
            (case["name"].as_str().expect("a name").to_owned(), typed(&world(from, Some(case))))
        })
        .collect()
}

fn render(file: &str, steps: fn(&ClusterView) -> Vec<Step>) -> String {
    let mut out = String::new();
    for (name, view) in cases(file) {
        writeln!(out, "# {name}").expect("write");
        let verdict = guard::admit(&view, Plan::merge(&[], steps(&view)).reviewed(&[]), RULES);
        for step in verdict.admitted.steps() {
            writeln!(out, "{} ({})", step.action, step.reason.code).expect("write");
        }
        for no in &verdict.refusals {
            writeln!(out, "REFUSED {}: {}", no.step.action, no.why).expect("write");
        }
        for orphan in turndown::orphans(&view) {
            writeln!(out, "orphan {} {}", orphan.tablet, orphan.blocked.as_str()).expect("write");
        }
    }
    out
}

#[test]
fn drains_move_as_approved() {
    let text = render("drain", drain::steps);
    assert!(!text.contains("REFUSED"), "the guard disagrees:\n{text}");
    approve("own/drain.txt", &text);
}

#[test]
fn turndown_moves_as_approved() {
    let text = render("turndown", turndown::steps);
    assert!(!text.contains("REFUSED"), "the guard disagrees:\n{text}");
    approve("own/turndown.txt", &text);
}
