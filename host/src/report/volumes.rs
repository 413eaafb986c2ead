//! The condition that says which volumes are not of the size that the manifest asks for, and why. It
//! stands only meanwhile.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use pilothouse_api::condition::ConditionStatus;
use pilothouse_core::pass::Report;
use pilothouse_core::topology::ShardId;
use pilothouse_core::volumes::unlike;

use super::set;

const AS_ASKED: &str = "VolumesAsAsked";
/// Volumes that a condition tells.
const TOLD_MOST: usize = 8;

/// Says it of a shard, or of the whole cluster, or takes it away.
pub(super) fn tell(
    conditions: &mut Vec<Condition>,
    report: &Report,
    generation: Option<i64>,
    shard: Option<&ShardId>,
) {
    let all = unlike(&report.view, shard);
    let Some((_, first)) = all.first() else {
        return conditions.retain(|condition| condition.type_ != AS_ASKED);
    };
    let told = all.iter().take(TOLD_MOST).map(|(volume, unlike)| format!("{}: {unlike}", volume.claim));
    let mut message = told.collect::<Vec<_>>().join("; ");
    if all.len() > TOLD_MOST {
        message.push_str(&format!("; and {} more", all.len() - TOLD_MOST));
    }
    set(conditions, report, generation, (AS_ASKED, ConditionStatus::False, first.as_str(), &message));
}
