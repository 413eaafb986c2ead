//! Rule `volume`: volumes only grow, within their maximum, the budget and the provider's limits.

use super::{Case, Rule, Why, unless};
use crate::Millis;
use crate::action::Action;
use crate::view::{ClusterView, VolumeView};

pub(super) const RULE: Rule = Rule { name: "volume", keeps: &["S6"], judge: |case| check(case).err() };

/// The provider takes one change of a volume in six hours (source: EC2 ModifyVolume) …
const BETWEEN_CHANGES_MS: Millis = 6 * 3_600_000;
/// … or, by its newer rule, this many …
const MOST_CHANGES: usize = 4;
/// … in a rolling day, each completed first. Both rules are kept: they differ by provider and age.
const WITHIN_MS: Millis = 24 * 3_600_000;
/// The cluster's fact that bounds what all its claims together may ask for.
const BUDGET: &str = "volumeBudgetBytes";

fn check(case: &Case<'_>) -> Result<(), Why> {
    let Action::ExpandVolume { claim, from, to } = &case.step.action else { return Ok(()) };
    let Some(volume) = case.view.volume(claim) else { return Ok(()) };
    let (from, to, requested) = (*from, *to, volume.requested);
    unless(to > from, || Why::NotLarger { from, to })?;
    unless(from == requested, || Why::OtherRequest { requested, from })?;
    unless(volume.expandable, || Why::NotExpandable)?;
    unless(volume.used.is_some(), || Why::UseUnknown)?;
    if let Some(maximum) = volume.maximum.filter(|&maximum| to > maximum) {
        return Err(Why::OverMaximum { to, maximum });
    }
    let capacity = volume.capacity;
    unless(capacity >= requested, || Why::ChangeRunning { capacity, requested })?;
    limits(volume, case.view.as_of)?;
    budget(case, to - from)
}

fn limits(volume: &VolumeView, as_of: Millis) -> Result<(), Why> {
    let ago = |at: &Millis| as_of.saturating_sub(*at);
    if let Some(ago_ms) = volume.changes.iter().map(ago).min().filter(|&ago| ago < BETWEEN_CHANGES_MS) {
        return Err(Why::ChangedLately { ago_ms, least_ms: BETWEEN_CHANGES_MS });
    }
    let count = volume.changes.iter().map(ago).filter(|&ago| ago < WITHIN_MS).count();
    unless(count < MOST_CHANGES, || Why::ChangedOften { count, within_ms: WITHIN_MS })
}

fn budget(case: &Case<'_>, more: u64) -> Result<(), Why> {
    let Some(budget) = case.view.integer("cluster", BUDGET) else { return Ok(()) };
    let budget = u64::try_from(budget).unwrap_or(0);
    let growing = case.admitted.iter().filter_map(|s| match &s.action {
        Action::ExpandVolume { from, to, .. } => Some(to.saturating_sub(*from)),
        _ => None,
    });
    let total = growing.fold(requested(case.view).saturating_add(more), u64::saturating_add);
    unless(total <= budget, || Why::OverVolumeBudget { total, budget })
}

fn requested(view: &ClusterView) -> u64 {
    view.volumes.iter().map(|v| v.requested).fold(0, u64::saturating_add)
}
