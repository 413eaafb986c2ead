//! Rule `supported`: verbs that the host has no way to do are refused, not ignored.

use super::{Case, Rule, Why};
use crate::action::Action;

pub(super) const RULE: Rule = Rule { name: "supported", keeps: &["S11"], judge };

const fn judge(case: &Case<'_>) -> Option<Why> {
    match case.step.action {
        Action::EvacuateCell { .. }
        | Action::RelocateTablet { .. }
        | Action::QuarantineTablet { .. }
        | Action::ChangeVolumeClass { .. }
        | Action::VerifyBackup { .. }
        | Action::CancelBackup { .. }
        | Action::RestoreShard { .. } => Some(Why::Unsupported),
        Action::AssignZone { .. }
        | Action::SurgeTablet { .. }
        | Action::ReturnTablet { .. }
        | Action::SurgeGateway { .. }
        | Action::ReturnGateway { .. }
        | Action::InitPrimary { .. }
        | Action::PlannedReparent { .. }
        | Action::EmergencyReparent { .. }
        | Action::ExpandVolume { .. }
        | Action::StartBackup { .. }
        | Action::ExpireBackup { .. }
        | Action::RestoreTablet { .. }
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
        | Action::DrainTablet { .. } => None,
    }
}
