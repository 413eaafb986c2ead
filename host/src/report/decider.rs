//! The condition that says who replaces a lost primary of a shard, where VTOrc could.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use pilothouse_api::condition::ConditionStatus;
use pilothouse_core::pass::Report;
use pilothouse_core::view::Vtorc;

use super::set;

const POLICY_DECIDES: &str = "PolicyFailsOver";

/// Says it, or takes it away where nobody else could.
pub(super) fn tell(conditions: &mut Vec<Condition>, report: &Report, generation: Option<i64>, vtorc: Vtorc) {
    let (answer, reason, message) = match vtorc {
        Vtorc::Absent => return conditions.retain(|condition| condition.type_ != POLICY_DECIDES),
        Vtorc::StandsBy => {
            (ConditionStatus::True, "VtorcStandsBy", "the policy replaces a lost primary; VTOrc stands by")
        }
        Vtorc::Decides if report.view.replaces_primaries => (
            ConditionStatus::False,
            "VtorcDecides",
            "VTOrc replaces a lost primary until the host takes over",
        ),
        Vtorc::Decides => (ConditionStatus::False, "NoPolicy", "VTOrc replaces a lost primary"),
        Vtorc::Unswitchable => (
            ConditionStatus::False,
            "VtorcCannotBeSwitched",
            "VTOrc replaces a lost primary: Vitess before 23 cannot keep it from that",
        ),
    };
    set(conditions, report, generation, (POLICY_DECIDES, answer, reason, message));
}
