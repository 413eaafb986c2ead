//! Rule `expectation`: what a step expects is what the view shows.
//!
//! `actuate` checks the same on fresh state; here a step that was built on
//! another picture than this one is stopped before it costs a read.

use super::{Case, Rule, Why};
use crate::action::Expectation;
use crate::view::ClusterView;

pub(super) const RULE: Rule = Rule { name: "expectation", keeps: &["S7", "S8"], judge };

fn judge(case: &Case<'_>) -> Option<Why> {
    let unmet = case.step.expect.iter().find(|e| !holds(case.view, e))?;
    Some(Why::Unexpected { expected: unmet.clone() })
}

fn holds(view: &ClusterView, expected: &Expectation) -> bool {
    match expected {
        Expectation::Primary { shard, is } => view.shard(shard).is_some_and(|s| s.primary == *is),
        Expectation::Zone { zone, state } => view.zone(zone).is_some_and(|z| z.health.state == *state),
        Expectation::VolumeRequest { claim, bytes } => {
            view.volume(claim).is_some_and(|v| v.requested == *bytes)
        }
        Expectation::BackupPresent { shard, backup } => {
            view.backups_of(shard).any(|b| b.name == *backup && b.finished.is_some())
        }
        Expectation::BackupIdle { shard } => {
            view.shard(shard).is_some_and(|s| s.backup_running_since.is_none())
        }
    }
}
