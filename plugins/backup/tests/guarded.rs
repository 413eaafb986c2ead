//! What the policy proposes in any case of `tests/cases`, the host's guard admits.

use std::path::Path;

use backup::Backup;
use pilothouse_core::action as core;
use pilothouse_core::guard::{RULES, admit};
use pilothouse_core::plan::{Author, Plan, Proposal, Reason, Slot, Step};
use pilothouse_core::topology as core_names;
use pilothouse_sdk::backup::Action;
use pilothouse_sdk::testkit::{case, view};
use pilothouse_sdk::{Expectation, Plugin, Policy, ShardId, validate};

fn shard(id: &ShardId) -> core_names::ShardId {
    id.to_string().parse().expect("a shard")
}

fn action(proposed: &Action) -> core::Action {
    match proposed {
        Action::StartBackup(start) => core::Action::StartBackup {
            shard: shard(&start.shard),
            location: start.location.clone(),
            restore: start.restore.clone(),
        },
        Action::ExpireBackup(expiry) => core::Action::ExpireBackup {
            shard: shard(&expiry.shard),
            backup: expiry.backup.clone(),
            covered_by: expiry.covered_by.clone(),
        },
        Action::RestoreTablet(restore) => core::Action::RestoreTablet {
            tablet: restore.tablet.to_string().parse().expect("an alias"),
            backup: restore.backup.clone(),
        },
        Action::VerifyBackup(_) | Action::CancelBackup(_) | Action::RestoreShard(_) => {
            panic!("not a verb of this policy: {proposed:?}")
        }
    }
}

fn expectation(expected: &Expectation) -> core::Expectation {
    match expected {
        Expectation::BackupIdle(id) => core::Expectation::BackupIdle { shard: shard(id) },
        Expectation::BackupPresent(b) => {
            core::Expectation::BackupPresent { shard: shard(&b.shard), backup: b.backup.clone() }
        }
        Expectation::Primary(p) => {
            let is = p.is.as_ref().map(|alias| alias.to_string().parse().expect("an alias"));
            core::Expectation::Primary { shard: shard(&p.shard), is }
        }
        Expectation::Zone(_) | Expectation::VolumeRequest(_) => panic!("{expected:?}"),
    }
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

/// How many steps of one case file were proposed; all are admitted.
fn admitted(file: &Path) -> usize {
    let mut proposed = 0;
    for case in case::cases(file).expect("cases") {
        let core_view = case.cluster_view(file).expect("a view");
        let text = serde_json::to_string(&case.config).expect("JSON");
        let config = validate::<Backup>(&text).expect("a usable configuration");
        let decision = Backup::decide(&view(&core_view), &config).expect("a decision");
        let plugin = Backup::NAME.to_owned();
        let author = Author::Policy { slot: Slot::Backup, plugin, digest: String::new() };
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
    for name in ["start", "initial", "expire", "health", "errant"] {
        assert!(admitted(&cases.join(format!("{name}.yaml"))) > 0, "{name}");
    }
}
