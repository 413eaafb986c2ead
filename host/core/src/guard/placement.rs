//! Rule `placement`: a cell is put into a zone once, and only when the manifest leaves it open.

use super::{Case, Rule, Why, unless};
use crate::action::Action;
use crate::zones::ZoneState;

pub(super) const RULE: Rule = Rule { name: "placement", keeps: &["S12"], judge: |case| check(case).err() };

fn check(case: &Case<'_>) -> Result<(), Why> {
    let Action::AssignZone { cell, zone } = &case.step.action else { return Ok(()) };
    let (Some(cell), Some(zone)) = (case.view.cell(cell), case.view.zone(zone)) else { return Ok(()) };
    unless(!cell.zone_pinned, || Why::ZonePinned { cell: cell.name.clone() })?;
    if let Some(assigned) = &cell.zone {
        // Moving a cell would strand its volumes; that is what evacuation is for.
        return Err(Why::ZoneAssigned { cell: cell.name.clone(), zone: assigned.clone() });
    }
    unless(zone.nodes > 0, || Why::ZoneEmpty { zone: zone.name.clone() })?;
    let state = zone.health.state;
    let doubtful = matches!(state, ZoneState::Suspect | ZoneState::Lost);
    unless(!doubtful, || Why::ZoneNotWell { zone: zone.name.clone(), state })
}
