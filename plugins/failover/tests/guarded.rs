//! What the policy proposes in any case of its case files, the host's guard admits.

use std::path::Path;

use failover::Failover;
use pilothouse_core::action as core;
use pilothouse_core::guard::{RULES, admit};
use pilothouse_core::plan::{Author, Plan, Proposal, Reason, Slot, Step};
use pilothouse_sdk::failover::Action;
use pilothouse_sdk::testkit::{case, view};
use pilothouse_sdk::{Expectation, Plugin, Policy, validate};

fn parsed<T: std::str::FromStr<Err: std::fmt::Debug>>(name: &impl ToString) -> T {
    name.to_string().parse().expect("a name of the contract")
}

fn action(action: &Action) -> core::Action {
    match action {
        Action::InitPrimary(a) => core::Action::InitPrimary { shard: parsed(&a.shard), to: parsed(&a.to) },
        Action::PlannedReparent(a) => core::Action::PlannedReparent {
            shard: parsed(&a.shard),
            from: parsed(&a.from),
            to: parsed(&a.to),
        },
        Action::EmergencyReparent(a) => core::Action::EmergencyReparent {
            shard: parsed(&a.shard),
            lost: parsed(&a.lost),
            to: parsed(&a.to),
        },
        Action::QuarantineTablet(_) => panic!("not a verb of this policy: {action:?}"),
    }
}

fn expectation(expectation: &Expectation) -> core::Expectation {
    let Expectation::Primary(p) = expectation else { panic!("{expectation:?}") };
    core::Expectation::Primary { shard: parsed(&p.shard), is: p.is.as_ref().map(parsed) }
}

fn step(proposed: &pilothouse_sdk::Step<Action>, author: &Author, as_of: u64) -> Step {
    Step {
        action: action(&proposed.action),
        author: author.clone(),
        reason: Reason { code: proposed.reason.code.clone(), message: proposed.reason.message.clone() },
        expect: proposed.expect.iter().map(expectation).collect(),
        expires: as_of + proposed.ttl_ms,
    }
}

/// How many steps one case file leads to; all are admitted.
fn admitted(name: &str) -> usize {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name);
    let mut proposed = 0;
    for case in case::cases(&file).expect("cases") {
        let core_view = case.cluster_view(&file).expect("a view");
        let text = serde_json::to_string(&case.config).expect("JSON");
        let Ok(config) = validate::<Failover>(&text) else { continue };
        let decision = Failover::decide(&view(&core_view), &config).expect("a decision");
        let plugin = Failover::NAME.to_owned();
        let author = Author::Policy { slot: Slot::Failover, plugin, digest: String::new() };
        let steps: Vec<Step> = decision.steps.iter().map(|s| step(s, &author, core_view.as_of)).collect();
        proposed += steps.len();
        let proposal = Proposal { author, steps, diagnostics: Vec::new(), requeue_after_ms: None };
        let plan = Plan::merge(&[proposal], Vec::new()).reviewed(&[]);
        let refusals = admit(&core_view, plan, RULES).refusals;
        assert!(refusals.is_empty(), "{name}: {}: {refusals:#?}", case.case);
    }
    proposed
}

#[test]
fn the_guard_admits_every_proposal() {
    for name in ["emergency.yaml", "planned.yaml", "first.yaml"] {
        assert!(admitted(name) > 0, "{name}");
    }
    assert_eq!(admitted("odd.yaml"), 0, "odd shapes lead to nothing");
}
