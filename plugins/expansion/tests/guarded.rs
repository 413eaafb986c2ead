//! What the policy proposes in any case of `tests/cases`, the host's guard admits.

use std::path::Path;

use expansion::Expansion;
use pilothouse_core::action as core;
use pilothouse_core::guard::{RULES, admit};
use pilothouse_core::plan::{Author, Plan, Proposal, Reason, Slot, Step};
use pilothouse_sdk::expansion::Action;
use pilothouse_sdk::testkit::{case, view};
use pilothouse_sdk::{Expectation, Plugin, Policy, validate};

fn step(proposed: &pilothouse_sdk::Step<Action>, author: &Author, as_of: u64) -> Step {
    let Action::ExpandVolume(growth) = &proposed.action else {
        panic!("not a verb of this policy: {proposed:?}")
    };
    let expect = proposed.expect.iter().map(|e| {
        let Expectation::VolumeRequest(v) = e else { panic!("{e:?}") };
        core::Expectation::VolumeRequest { claim: v.claim.clone(), bytes: v.bytes }
    });
    Step {
        action: core::Action::ExpandVolume { claim: growth.claim.clone(), from: growth.from, to: growth.to },
        author: author.clone(),
        reason: Reason { code: proposed.reason.code.clone(), message: proposed.reason.message.clone() },
        expect: expect.collect(),
        expires: as_of + proposed.ttl_ms,
    }
}

/// How many steps of one case file were proposed; all are admitted.
fn admitted(file: &Path) -> usize {
    let mut proposed = 0;
    for case in case::cases(file).expect("cases") {
        let core_view = case.cluster_view(file).expect("a view");
        let text = serde_json::to_string(&case.config).expect("JSON");
        let config = validate::<Expansion>(&text).expect("a usable configuration");
        let decision = Expansion::decide(&view(&core_view), &config).expect("a decision");
        let plugin = Expansion::NAME.to_owned();
        let author = Author::Policy { slot: Slot::Expansion, plugin, digest: String::new() };
        let steps: Vec<Step> = decision.steps.iter().map(|s| step(s, &author, core_view.as_of)).collect();
        proposed += steps.len();
        let proposal = Proposal { author, steps, diagnostics: Vec::new(), requeue_after_ms: None };
        let plan = Plan::merge(&[proposal], Vec::new()).reviewed(&[]);
        let refusals = admit(&core_view, plan, RULES).refusals;
        assert!(refusals.is_empty(), "{}: {}: {refusals:#?}", file.display(), case.case);
    }
    proposed
}

#[test]
fn the_guard_admits_every_proposal() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    for name in ["use", "rate", "limits", "budget", "even"] {
        assert!(admitted(&cases.join(format!("{name}.yaml"))) > 0, "{name}");
    }
}
