//! Rule `return`: stand-ins go only when what they stand in for is back for good,
//! and the shard can do without them.

use super::surge::{in_state, zone_of};
use super::{Case, Rule, Why, unless};
use crate::action::Action;
use crate::standing::{ackers_left, is_primary, serves, wait_count};
use crate::topology::TabletAlias;
use crate::view::{ClusterView, Wanted};
use crate::zones::ZoneState;

pub(super) const RULE: Rule =
    Rule { name: "return", keeps: &["S2", "S3", "S12"], judge: |case| check(case).err() };

fn check(case: &Case<'_>) -> Result<(), Why> {
    if let Action::ReturnTablet { tablet, .. } = &case.step.action {
        tablet_home(case.view, tablet)
    } else if let Action::ReturnGateway { cell, stands_in_for } = &case.step.action {
        let surges = case.view.cell(cell).map_or(&[][..], |c| &c.gateway_surge);
        unless(surges.iter().any(|s| s.stands_in_for == *stands_in_for), || Why::NoGatewaySurge {
            cell: cell.clone(),
            stands_in_for: stands_in_for.clone(),
        })?;
        in_state(zone_of(case.view, stands_in_for)?, ZoneState::Healthy)
    } else {
        Ok(())
    }
}

fn tablet_home(view: &ClusterView, alias: &TabletAlias) -> Result<(), Why> {
    let Some(tablet) = view.tablet(alias) else { return Ok(()) };
    let Wanted::Surge { stands_in_for } = &tablet.wanted else {
        return Err(Why::NotSurge { tablet: alias.clone() });
    };
    in_state(zone_of(view, stands_in_for)?, ZoneState::Healthy)?;
    // Other surge tablets may be stuck for want of capacity; those of the spec must be back.
    let spec = view.tablets_of(&tablet.shard).filter(|t| t.wanted == Wanted::BySpec);
    if let Some(down) = spec.into_iter().find(|t| !serves(t)) {
        return Err(Why::MemberDown { tablet: down.alias.clone() });
    }
    let Some(shard) = view.shard(&tablet.shard) else { return Ok(()) };
    let left = ackers_left(view, shard, alias);
    // One of them becomes primary in its stead, if it is the primary.
    let needed = wait_count(shard.durability) + usize::from(is_primary(view, tablet));
    unless(left >= needed, || Why::TooFewAckers { left, needed })
}
