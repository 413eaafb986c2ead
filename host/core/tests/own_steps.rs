//! Proves the host's own steps (drain, turndown, rollout) by small cases, and that the
//! guard agrees with every one of them that is proposed.

mod fixture;

use std::fmt::Write as _;

use fixture::{approve, read, typed, world};
use pilothouse_core::guard::{self, RULES};
use pilothouse_core::plan::{Plan, Step};
use pilothouse_core::rollout::{self, Child, Means, Member, Strategy};
use pilothouse_core::view::ClusterView;
use pilothouse_core::{decider, drain, levels, records, turndown};
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
        for unwanted in view.unwanted.iter().filter(|u| levels::kept(&view, u).is_none()) {
            writeln!(out, "may go: {}", unwanted.object).expect("write");
        }
        for (unwanted, kept) in levels::orphans(&view) {
            writeln!(out, "orphan {} {}: {kept}", unwanted.object, kept.as_str()).expect("write");
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
fn who_decides_is_as_approved() {
    let text = render("decider", |view| decider::steps(view, true));
    assert!(!text.contains("REFUSED"), "the guard disagrees:\n{text}");
    let failed = render("decider", |view| decider::steps(view, false));
    approve("own/decider.txt", &format!("{text}\n# The policy failed when it was asked\n\n{failed}"));
}

#[test]
fn turndown_moves_as_approved() {
    let text = render("turndown", turndown::steps);
    assert!(!text.contains("REFUSED"), "the guard disagrees:\n{text}");
    approve("own/turndown.txt", &text);
}

#[test]
fn levels_go_as_approved() {
    approve("own/levels.txt", &render("levels", turndown::steps));
}

#[test]
fn records_are_kept_as_approved() {
    let mut text = render("records", records::steps);
    assert!(!text.contains("REFUSED"), "the guard disagrees:\n{text}");
    for (name, view) in cases("records") {
        for (record, held) in records::unneeded(&view).into_iter().filter_map(|(r, h)| Some((r, h?))) {
            writeln!(text, "{name}: {record} stays: {held}").expect("write");
        }
    }
    approve("own/records.txt", &text);
}

#[test]
fn rollouts_move_as_approved() {
    let mut text = render("rollout", turndown::steps);
    assert!(!text.contains("REFUSED"), "the guard disagrees:\n{text}");
    for (name, view) in cases("rollout") {
        for (shard, pause) in rollout::pauses(&view) {
            writeln!(text, "{name}: {shard} {}: {pause}", pause.as_str()).expect("write");
        }
        if rollout::is_complete(&view, &view.shards[0].id) {
            writeln!(text, "{name}: complete").expect("write");
        }
    }
    approve("own/rollout.txt", &text);
}

#[test]
fn children_are_changed_as_approved() {
    let mut text = String::new();
    for case in read("own/children.yaml").as_sequence().expect("cases") {
        let word = |key: &str| case.get(key).and_then(Value::as_str);
        let flag = |key: &str| case.get(key).and_then(Value::as_bool).unwrap_or(false);
        let verdict = rollout::child(&Child {
            in_place: flag("inPlace"),
            waits: word("waits").unwrap_or_default(),
            means: if word("means") == Some("recreation") { Means::Recreation } else { Means::Update },
            strategy: if word("strategy") == Some("immediate") {
                Strategy::Immediate
            } else {
                Strategy::External
            },
            cascading: flag("cascading"),
            released: flag("released"),
            scheduled: word("scheduled"),
        });
        let schedule = if verdict.schedule { ", written down" } else { "" };
        let name = word("name").expect("a name");
        writeln!(text, "{name}: {:?}{schedule}, ended {:?}", verdict.apply, verdict.ended).expect("write");
    }
    approve("own/children.txt", &text);
}

#[test]
fn members_are_replaced_as_approved() {
    let mut text = String::new();
    for case in read("own/members.yaml").as_sequence().expect("cases") {
        let all = case["members"].as_mapping().expect("members");
        let member = |(name, marks): (&'_ Value, &'_ Value)| -> (String, String) {
            let text = |value: &Value| value.as_str().expect("a text").to_owned();
            (text(name), text(marks))
        };
        let all: Vec<(String, String)> = all.iter().map(member).collect();
        let members: Vec<Member<'_>> = all
            .iter()
            .map(|(name, marks)| Member {
                name,
                ready: !marks.contains("down"),
                outdated: marks.contains("old"),
                released: marks.contains("released"),
            })
            .collect();
        let cascading = case.get("cascading").and_then(Value::as_bool).unwrap_or(false);
        let next = rollout::next_member(&members, cascading).unwrap_or("nobody");
        writeln!(text, "{}: {next}", case["name"].as_str().expect("a name")).expect("write");
    }
    approve("own/members.txt", &text);
}
