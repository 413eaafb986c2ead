//! Rule `surge`: what stands in for a lost cell is the next free place of a pool
//! of our own, in a healthy zone, and never more than was lost.

use super::{Case, Rule, Why, unless};
use crate::action::Action;
use crate::topology::{Cell, PoolKey, ShardId};
use crate::view::{ClusterView, PodState, PoolView, TabletView, Wanted, ZoneView};
use crate::zones::ZoneState;

pub(super) const RULE: Rule = Rule { name: "surge", keeps: &["S2", "S12"], judge: |case| check(case).err() };

fn check(case: &Case<'_>) -> Result<(), Why> {
    if let Action::SurgeTablet { shard, pool, index, stands_in_for } = &case.step.action {
        between(case.view, &pool.cell, stands_in_for)?;
        place(case.view, shard, pool, *index)?;
        no_more_than_lost(case, shard, stands_in_for)
    } else if let Action::SurgeGateway { cell, stands_in_for, replicas } = &case.step.action {
        between(case.view, cell, stands_in_for)?;
        gateways(case, cell, stands_in_for, *replicas)
    } else {
        Ok(())
    }
}

/// The zone of the cell that is stood in for is lost, the other's is healthy.
fn between(view: &ClusterView, cell: &Cell, stands_in_for: &Cell) -> Result<(), Why> {
    unless(cell != stands_in_for, || Why::OwnStandIn { cell: cell.clone() })?;
    in_state(zone_of(view, stands_in_for)?, ZoneState::Lost)?;
    in_state(zone_of(view, cell)?, ZoneState::Healthy)
}

/// The zone that a cell stands in.
pub(super) fn zone_of<'a>(view: &'a ClusterView, cell: &Cell) -> Result<&'a ZoneView, Why> {
    let zone = view.cell(cell).and_then(|c| view.zone(c.zone.as_ref()?));
    zone.ok_or_else(|| Why::NoZone { cell: cell.clone() })
}

/// Whether the zone is judged so.
pub(super) fn in_state(zone: &ZoneView, needed: ZoneState) -> Result<(), Why> {
    let state = zone.health.state;
    unless(state == needed, || Why::ZoneState { zone: zone.name.clone(), state, needed })
}

fn place(view: &ClusterView, shard: &ShardId, key: &PoolKey, index: u32) -> Result<(), Why> {
    unless(!key.pool_type.is_external(), || Why::ExternalPool { pool: key.clone() })?;
    let pools = view.shard(shard).map_or(&[][..], |s| &s.pools);
    let Some(pool) = pools.iter().find(|p| p.key == *key) else { return Ok(()) };
    let first = pool.replicas.saturating_add(1);
    let last = u32::try_from(pool.aliases.len()).unwrap_or(u32::MAX);
    let Some(alias) = alias_at(pool, index).filter(|_| index >= first) else {
        return Err(Why::IndexRange { pool: key.clone(), index, first, last });
    };
    unless(view.tablet(alias).is_none(), || Why::InUse { tablet: alias.clone() })
}

fn alias_at(pool: &PoolView, index: u32) -> Option<&crate::topology::TabletAlias> {
    pool.aliases.get(usize::try_from(index.checked_sub(1)?).ok()?)
}

fn no_more_than_lost(case: &Case<'_>, shard: &ShardId, cell: &Cell) -> Result<(), Why> {
    let lost = case.view.tablets_of(shard).filter(|t| t.alias.cell == *cell && is_down(t)).count();
    let standing = case
        .view
        .tablets_of(shard)
        .filter(|t| matches!(&t.wanted, Wanted::Surge { stands_in_for } if stands_in_for == cell));
    let admitted = case.admitted.iter().filter(|s| {
        matches!(&s.action, Action::SurgeTablet { shard: s, stands_in_for, .. } if s == shard && stands_in_for == cell)
    });
    stand_ins(cell, standing.count() + admitted.count() + 1, lost)
}

/// A tablet of the spec that was lost with its cell.
fn is_down(tablet: &TabletView) -> bool {
    tablet.wanted == Wanted::BySpec && !(tablet.pod == PodState::Running && tablet.ready)
}

fn gateways(case: &Case<'_>, cell: &Cell, stands_in_for: &Cell, replicas: u32) -> Result<(), Why> {
    let view = case.view;
    let lost = view.cell(stands_in_for).map_or(0, |c| c.gateways);
    let elsewhere: u32 = view
        .cells
        .iter()
        .filter(|c| c.name != *cell)
        .flat_map(|c| &c.gateway_surge)
        .filter(|s| s.stands_in_for == *stands_in_for)
        .map(|s| s.replicas)
        .chain(case.admitted.iter().filter_map(|s| match &s.action {
            Action::SurgeGateway { stands_in_for: f, replicas, .. } if f == stands_in_for => Some(*replicas),
            _ => None,
        }))
        .fold(0, u32::saturating_add);
    let asked = elsewhere.saturating_add(replicas);
    let fits = replicas > 0 && asked <= lost;
    unless(fits, || Why::TooManyStandIns { cell: stands_in_for.clone(), asked, lost })
}

fn stand_ins(cell: &Cell, asked: usize, lost: usize) -> Result<(), Why> {
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    unless(asked <= lost, || Why::TooManyStandIns {
        cell: cell.clone(),
        asked: count(asked),
        lost: count(lost),
    })
}
