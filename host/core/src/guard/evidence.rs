//! Rule `evidence`: while nothing is known of Vitess, nothing is taken away or moved.
//!
//! Objects may still be created and updated, zones assigned, backups begun (they
//! add), and volumes grown: how full a volume is comes from the kubelet too, and
//! the rule `volume` wants to see it. Surge needs a zone judged lost, which takes
//! the silence of tablets as evidence, so the rule `surge` refuses it anyway. What a scheduled
//! backup run left behind may go: that the run is over is Kubernetes' to say, not Vitess's.

use super::{Case, Rule, Why};
use crate::action::Action;
use crate::view::VitessSource;

pub(super) const RULE: Rule = Rule { name: "evidence", keeps: &["S1", "S2", "S3", "S4", "S5"], judge };

/// A flag of Pods and claims that a schedule's runs made.
const SCHEDULED: &str = "scheduledBackup";

fn judge(case: &Case<'_>) -> Option<Why> {
    match case.view.vitess {
        VitessSource::Observed | VitessSource::Played => None,
        VitessSource::Unknown if is_of_scheduled_run(case) => None,
        VitessSource::Unknown if takes_or_moves(&case.step.action) => Some(Why::NoEvidence),
        VitessSource::Unknown => None,
    }
}

fn is_of_scheduled_run(case: &Case<'_>) -> bool {
    let Action::Delete { object, of: None, .. } = &case.step.action else { return false };
    object.kind == "Job" || case.view.flag(&object.name, SCHEDULED) == Some(true)
}

const fn takes_or_moves(action: &Action) -> bool {
    match action {
        Action::SwitchVtorc { fails_over, .. } => !*fails_over,
        Action::AssignZone { .. }
        | Action::SurgeTablet { .. }
        | Action::SurgeGateway { .. }
        | Action::ExpandVolume { .. }
        | Action::StartBackup { .. }
        | Action::ScheduleChange { .. }
        | Action::EndRollout { .. }
        | Action::Apply { .. } => false,
        Action::ReturnTablet { .. }
        | Action::ReturnGateway { .. }
        | Action::EvacuateCell { .. }
        | Action::RelocateTablet { .. }
        | Action::InitPrimary { .. }
        | Action::PlannedReparent { .. }
        | Action::EmergencyReparent { .. }
        | Action::QuarantineTablet { .. }
        | Action::ChangeVolumeClass { .. }
        | Action::VerifyBackup { .. }
        | Action::ExpireBackup { .. }
        | Action::CancelBackup { .. }
        | Action::RestoreTablet { .. }
        | Action::RestoreShard { .. }
        | Action::Delete { .. }
        | Action::TurnDown { .. }
        | Action::RecreateTablet { .. }
        | Action::PrepareUpgrade { .. }
        | Action::ForgetTablet { .. }
        | Action::RegisterRecord { .. }
        | Action::PruneRecord { .. }
        | Action::ReleaseTablet { .. }
        | Action::DrainTablet { .. } => true,
    }
}
