//! Rule `pace`: a primary is not moved again right after it moved.
//!
//! Two policies, or one that oscillates, could otherwise bounce a primary
//! between tablets, each move a pause in writes.

use super::{Case, Rule, Why};
use crate::Millis;
use crate::action::Action;

pub(super) const RULE: Rule = Rule { name: "pace", keeps: &["S1"], judge };

/// A planned reparent is never urgent: long enough for replicas to follow the last one.
const BETWEEN_PLANNED_MS: Millis = 60_000;
/// An emergency may follow sooner, but not before the last one can have settled:
/// topology, replicas' source and our own probe take some seconds to agree.
const BEFORE_EMERGENCY_MS: Millis = 20_000;

fn judge(case: &Case<'_>) -> Option<Why> {
    let (shard, least_ms) = if let Action::PlannedReparent { shard, .. } = &case.step.action {
        (shard, BETWEEN_PLANNED_MS)
    } else if let Action::EmergencyReparent { shard, .. } = &case.step.action {
        (shard, BEFORE_EMERGENCY_MS)
    } else {
        return None;
    };
    let ago_ms = case.view.as_of.saturating_sub(case.view.shard(shard)?.primary_since);
    (ago_ms < least_ms).then_some(Why::TooSoon { ago_ms, least_ms })
}
