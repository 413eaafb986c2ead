//! Rule `budget`: a pass admits a bounded number of a policy's steps, of each verb and in all.
//!
//! The next pass goes on, so a large honest plan is only slowed down, while a
//! million steps from a hostile plugin stay a refusal.

use super::{Case, Rule, Why};
use crate::action::Action;
use crate::plan::{Author, Step};

pub(super) const RULE: Rule = Rule { name: "budget", keeps: &["S3", "S11", "S12"], judge };

/// Policy steps of all verbs in one pass.
const MOST_STEPS: usize = 512;

fn judge(case: &Case<'_>) -> Option<Why> {
    let by_policy = |s: &&Step| matches!(s.author, Author::Policy { .. });
    if !by_policy(&case.step) {
        return None;
    }
    let (verb, limit) = (case.step.action.verb(), most(&case.step.action));
    let policies = || case.admitted.iter().filter(by_policy);
    if policies().filter(|s| s.action.verb() == verb).count() >= limit {
        return Some(Why::OverBudget { of: verb.to_owned(), limit });
    }
    (policies().count() >= MOST_STEPS)
        .then(|| Why::OverBudget { of: "all verbs".to_owned(), limit: MOST_STEPS })
}

/// Steps of one verb in one pass. What a lost zone needs at once has room for
/// hundreds of shards; what disturbs a healthy cluster goes in small numbers.
const fn most(action: &Action) -> usize {
    match action {
        Action::EmergencyReparent { .. } => 256,
        Action::SurgeTablet { .. } | Action::AssignZone { .. } | Action::InitPrimary { .. } => 128,
        Action::SurgeGateway { .. } | Action::ReturnGateway { .. } => 64,
        Action::ExpandVolume { .. } | Action::ExpireBackup { .. } => 16,
        Action::PlannedReparent { .. } | Action::ReturnTablet { .. } | Action::StartBackup { .. } => 8,
        Action::EvacuateCell { .. }
        | Action::RelocateTablet { .. }
        | Action::QuarantineTablet { .. }
        | Action::ChangeVolumeClass { .. }
        | Action::VerifyBackup { .. }
        | Action::CancelBackup { .. }
        | Action::RestoreTablet { .. }
        | Action::RestoreShard { .. }
        | Action::Apply { .. }
        | Action::Delete { .. }
        | Action::RecreateTablet { .. }
        | Action::DrainTablet { .. } => 1,
    }
}
