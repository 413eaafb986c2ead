//! Proves each rule of the guard by small cases: a view and steps in, verdicts out;
//! and that each rule is needed: without it, some step would be admitted.

mod fixture;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use fixture::{approve, dir, read, typed, world};
use pilothouse_core::action::{Action, Expectation};
use pilothouse_core::guard::{self, Case, RULES, Rule, Verdict};
use pilothouse_core::plan::{Author, Plan, Reason, Slot, Step};
use pilothouse_core::view::ClusterView;
use serde_yaml_ng::Value;

struct Given {
    name: String,
    view: ClusterView,
    steps: Vec<Step>,
}

fn files() -> Vec<String> {
    let listed = std::fs::read_dir(dir().join("guard")).expect("tests/guard");
    let names = listed.map(|e| e.expect("entry").file_name().into_string().expect("UTF-8"));
    let mut names: Vec<String> = names.filter_map(|n| n.strip_suffix(".yaml").map(str::to_owned)).collect();
    names.sort();
    names
}

fn cases(file: &str) -> Vec<Given> {
    let yaml = read(&format!("guard/{file}.yaml"));
    let list = yaml.as_sequence().expect("a list of cases");
    list.iter().map(|case| given(&expand(case))).collect()
}

/// Writes out `{n}` in paths and steps for 1 to `repeat`.
fn expand(case: &Value) -> Value {
    let Some(times) = case.get("repeat").and_then(Value::as_u64) else { return case.clone() };
    let numbered = |value: &Value, n: u64| -> Value {
        let text = serde_yaml_ng::to_string(value).expect("YAML").replace("{n}", &n.to_string());
        serde_yaml_ng::from_str(&text).expect("YAML")
    };
    let mut out = case.clone();
    let steps = case.get("steps").and_then(Value::as_sequence).expect("steps");
    out["steps"] = steps.iter().flat_map(|s| (1..=times).map(|n| numbered(s, n))).collect::<Vec<_>>().into();
    if let Some(set) = case.get("set").and_then(Value::as_mapping) {
        let one = |(k, v): (&Value, &Value)| {
            (1..=times).map(|n| (numbered(k, n), numbered(v, n))).collect::<Vec<_>>()
        };
        out["set"] = Value::Mapping(set.iter().flat_map(one).collect());
    }
    out
}

fn given(case: &Value) -> Given {
    let name = case["name"].as_str().expect("a name").to_owned();
    let from = case.get("world").and_then(Value::as_str).unwrap_or("three-zones");
    let view = typed(&world(from, Some(case)));
    let steps = case["steps"].as_sequence().expect("steps");
    let steps = steps.iter().map(|s| step(s, &view).unwrap_or_else(|e| panic!("{name}: {e}"))).collect();
    Given { name, view, steps }
}

/// A step is its action, with `by`, `expires` and `expect` beside the verb.
fn step(value: &Value, view: &ClusterView) -> Result<Step, serde_yaml_ng::Error> {
    let mut map = value.as_mapping().expect("a step").clone();
    let by: Option<Slot> = map.remove("by").map(serde_yaml_ng::from_value).transpose()?;
    let expires = map.remove("expires").and_then(|v| v.as_u64()).unwrap_or(view.as_of + 60_000);
    let expect: Vec<Expectation> =
        map.remove("expect").map(serde_yaml_ng::from_value).transpose()?.unwrap_or_default();
    let action: Action = serde_yaml_ng::from_value(Value::Mapping(map))?;
    let policy = |slot| Author::Policy { slot, plugin: slot.to_string(), digest: String::new() };
    let author = by.or(action.slot()).map_or(Author::Host, policy);
    let reason = Reason { code: "test".to_owned(), message: "a test".to_owned() };
    Ok(Step { action, author, reason, expect, expires })
}

fn judge(given: &Given, rules: &[Rule]) -> Verdict {
    guard::admit(&given.view, Plan::merge(&[], given.steps.clone()).reviewed(&[]), rules)
}

fn render(given: &Given) -> String {
    let verdict = judge(given, RULES);
    let mut out = format!("# {}\n", given.name);
    for step in verdict.admitted.steps() {
        writeln!(out, "admitted {}", step.action).expect("write");
    }
    for no in &verdict.refusals {
        writeln!(out, "refused  {}\n         {} {}: {}", no.step.action, no.rule, no.why.code(), no.why)
            .expect("write");
    }
    out
}

#[test]
fn verdicts_are_as_approved() {
    for file in files() {
        let texts: Vec<String> = cases(&file).iter().map(render).collect();
        approve(&format!("guard/{file}.txt"), &texts.join("\n"));
    }
}

#[test]
fn every_rule_has_a_file_of_cases_with_both_answers() {
    for rule in RULES {
        let cases = cases(rule.name);
        let verdicts: Vec<Verdict> = cases.iter().map(|c| judge(c, RULES)).collect();
        let refuses = verdicts.iter().flat_map(|v| &v.refusals).any(|r| r.rule == rule.name);
        assert!(refuses, "{}: no case is refused by it", rule.name);
        let admits = verdicts.iter().any(|v| !v.admitted.steps().is_empty());
        assert!(admits, "{}: no case is admitted", rule.name);
    }
}

#[test]
fn without_a_rule_something_is_admitted_that_was_not() {
    let all: Vec<Given> = files().iter().flat_map(|f| cases(f)).collect();
    for rule in RULES {
        let mutant: Vec<Rule> = RULES.iter().filter(|r| r.name != rule.name).copied().collect();
        let missed = all.iter().filter(|c| judge(c, &mutant).admitted != judge(c, RULES).admitted).count();
        assert!(missed > 0, "no case goes red without the rule {}", rule.name);
    }
}

#[test]
fn every_reason_is_seen_and_serialises() {
    let all: Vec<Given> = files().iter().flat_map(|f| cases(f)).collect();
    let refusals: Vec<_> = all.iter().flat_map(|c| judge(c, RULES).refusals).collect();
    let seen: BTreeSet<&str> = refusals.iter().map(|r| r.why.code()).collect();
    let source = include_str!("../src/guard/why.rs");
    let arms = source.lines().filter_map(|l| l.trim().strip_prefix("Self::")?.split('"').nth(1));
    // Said by rule plugins, not by a rule of the guard.
    let unseen: Vec<&str> = arms.filter(|code| *code != "Vetoed" && !seen.contains(code)).collect();
    assert!(unseen.is_empty(), "no case is refused as {unseen:?}");
    for refusal in refusals {
        let text = serde_yaml_ng::to_string(&refusal).expect("YAML");
        assert_eq!(
            serde_yaml_ng::from_str::<guard::Why>(&serde_yaml_ng::to_string(&refusal.why).expect("YAML"))
                .expect("back"),
            refusal.why
        );
        assert!(text.contains("rule:"));
    }
}

/// All steps of all cases, thrown at every view in changing order: nothing is
/// admitted that a rule refuses alone, nor that a rule refuses where it stands.
#[test]
fn nothing_is_admitted_that_a_rule_refuses() {
    let all: Vec<Given> = files().iter().flat_map(|f| cases(f)).filter(|c| c.steps.len() < 6).collect();
    let steps: Vec<Step> = all.iter().flat_map(|c| c.steps.clone()).collect();
    let mut seed: u64 = 7;
    for given in &all {
        let mut shuffled = steps.clone();
        for i in (1..shuffled.len()).rev() {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let bound = u64::try_from(i).expect("small") + 1;
            shuffled.swap(i, usize::try_from((seed >> 33) % bound).expect("small"));
        }
        let verdict = guard::admit(&given.view, Plan::merge(&[], shuffled).reviewed(&[]), RULES);
        let admitted = verdict.admitted.steps();
        for (i, step) in admitted.iter().enumerate() {
            for before in [&[][..], &admitted[..i]] {
                let case = Case { view: &given.view, admitted: before, step };
                let no = RULES.iter().find_map(|r| (r.judge)(&case).map(|why| (r.name, why)));
                assert_eq!(no, None, "{}: {} was admitted", given.name, step.action);
            }
        }
    }
}

/// Two shards do not wait for each other: the order of their steps changes no verdict.
#[test]
fn steps_of_unrelated_objects_commute() {
    let admitted = |given: &Given, steps: Vec<Step>| -> BTreeSet<String> {
        let verdict = guard::admit(&given.view, Plan::merge(&[], steps).reviewed(&[]), RULES);
        verdict.admitted.steps().iter().map(|s| s.action.to_string()).collect()
    };
    let given = cases("commuting").remove(0);
    let forward = admitted(&given, given.steps.clone());
    let backward = admitted(&given, given.steps.iter().rev().cloned().collect());
    assert_eq!(forward, backward);
    assert_eq!(forward.len(), given.steps.len());
}
