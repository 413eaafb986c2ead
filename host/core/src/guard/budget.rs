//! Rule `budget`: a pass admits a bounded number of policies' steps of each verb, and so of all.
//!
//! The next pass goes on, so a large honest plan is only slowed down, while a
//! million steps from a hostile plugin stay a refusal.

use super::{Case, Rule, Why};
use crate::action::Action;
use crate::plan::{Author, Step};

pub(super) const RULE: Rule = Rule { name: "budget", keeps: &["S3", "S11", "S12"], judge };

fn judge(case: &Case<'_>) -> Option<Why> {
    let by_policy = |s: &Step| matches!(s.author, Author::Policy { .. });
    if !by_policy(case.step) {
        return None;
    }
    let (verb, limit) = (case.step.action.verb(), most(&case.step.action));
    let admitted = case.admitted.iter().filter(|s| by_policy(s) && s.action.verb() == verb).count();
    (admitted >= limit).then(|| Why::OverBudget { of: verb.to_owned(), limit })
}

/// Steps of one verb in one pass. What a lost zone needs at once has room for
/// hundreds of shards; what disturbs a healthy cluster goes in small numbers.
const fn most(action: &Action) -> usize {
    match action {
        Action::EmergencyReparent { .. } => 256,
        Action::SurgeTablet { .. } | Action::AssignZone { .. } | Action::InitPrimary { .. } => 128,
        Action::SurgeGateway { .. } | Action::ReturnGateway { .. } => 64,
        Action::ExpandVolume { .. } | Action::ExpireBackup { .. } => 16,
        Action::PlannedReparent { .. }
        | Action::ReturnTablet { .. }
        | Action::StartBackup { .. }
        | Action::RestoreTablet { .. } => 8,
        Action::EvacuateCell { .. }
        | Action::RelocateTablet { .. }
        | Action::QuarantineTablet { .. }
        | Action::ChangeVolumeClass { .. }
        | Action::VerifyBackup { .. }
        | Action::CancelBackup { .. }
        | Action::RestoreShard { .. }
        | Action::Apply { .. }
        | Action::Delete { .. }
        | Action::TurnDown { .. }
        | Action::RecreateTablet { .. }
        | Action::PrepareUpgrade { .. }
        | Action::ForgetTablet { .. }
        | Action::SwitchVtorc { .. }
        | Action::RegisterRecord { .. }
        | Action::PruneRecord { .. }
        | Action::ScheduleChange { .. }
        | Action::ReleaseTablet { .. }
        | Action::EndRollout { .. }
        | Action::DrainTablet { .. } => 1,
    }
}
