//! What the policy proposes in any case of its case files, the host's guard admits.

use std::path::Path;

use az_placement::AzPlacement;
use pilothouse_core::action as core;
use pilothouse_core::guard::{RULES, admit};
use pilothouse_core::plan::{Author, Plan, Proposal, Reason, Slot, Step};
use pilothouse_core::topology::{Cell, PoolKey, Zone};
use pilothouse_core::zones::ZoneState as CoreZoneState;
use pilothouse_sdk::placement::Action;
use pilothouse_sdk::testkit::{case, view};
use pilothouse_sdk::{Expectation, Plugin, Policy, ZoneState, validate};

fn parsed<T: std::str::FromStr<Err: std::fmt::Debug>>(name: &impl ToString) -> T {
    name.to_string().parse().expect("a name of the contract")
}

fn cell(name: &str) -> Cell {
    Cell(name.to_owned())
}

fn action(action: &Action) -> core::Action {
    match action {
        Action::AssignZone(a) => core::Action::AssignZone { cell: cell(&a.cell), zone: Zone(a.zone.clone()) },
        Action::SurgeTablet(a) => core::Action::SurgeTablet {
            shard: parsed(&a.shard),
            pool: PoolKey {
                cell: cell(&a.pool.cell),
                pool_type: parsed(&a.pool.pool_type.as_str()),
                name: a.pool.name.clone(),
            },
            index: a.index,
            stands_in_for: cell(&a.stands_in_for),
        },
        Action::ReturnTablet(a) => {
            core::Action::ReturnTablet { shard: parsed(&a.shard), tablet: parsed(&a.tablet) }
        }
        Action::SurgeGateway(a) => core::Action::SurgeGateway {
            cell: cell(&a.cell),
            stands_in_for: cell(&a.stands_in_for),
            replicas: a.replicas,
        },
        Action::ReturnGateway(a) => {
            core::Action::ReturnGateway { cell: cell(&a.cell), stands_in_for: cell(&a.stands_in_for) }
        }
        Action::EvacuateCell(_) | Action::RelocateTablet(_) => {
            panic!("not a verb of this policy: {action:?}")
        }
    }
}

fn expectation(expectation: &Expectation) -> core::Expectation {
    let Expectation::Zone(z) = expectation else { panic!("{expectation:?}") };
    let state = match z.state {
        ZoneState::Unknown => CoreZoneState::Unknown,
        ZoneState::Healthy => CoreZoneState::Healthy,
        ZoneState::Suspect => CoreZoneState::Suspect,
        ZoneState::Lost => CoreZoneState::Lost,
        ZoneState::Recovering => CoreZoneState::Recovering,
    };
    core::Expectation::Zone { zone: Zone(z.zone.clone()), state }
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
        let Ok(config) = validate::<AzPlacement>(&text) else { continue };
        let decision = AzPlacement::decide(&view(&core_view), &config).expect("a decision");
        let plugin = AzPlacement::NAME.to_owned();
        let author = Author::Policy { slot: Slot::Placement, plugin, digest: String::new() };
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
    for name in ["zones.yaml", "lost.yaml", "home.yaml", "odd.yaml"] {
        assert!(admitted(name) > 0, "{name}");
    }
}
