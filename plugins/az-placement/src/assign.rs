//! Cells that have no zone: each goes to the healthy zone with the fewest cells.

use pilothouse_sdk::placement::{Action, ZoneAssignment};
use pilothouse_sdk::types::ZoneExpectation;
use pilothouse_sdk::{Cell, Decision, Expectation, Step, View, Zone, ZoneState};

use crate::config::Config;
use crate::counts::Counts;
use crate::zones::names;

/// Assigns a zone to every cell that has none. An assignment is for good, so it
/// waits until every zone that could be used has been judged.
pub(crate) fn decide(view: &View<'_>, config: &Config, decision: &mut Decision<Action>) {
    let mut open: Vec<&Cell> = view.cells().iter().filter(|c| c.zone.is_none() && !c.zone_pinned).collect();
    open.dedup_by(|a, b| a.name == b.name);
    if open.is_empty() {
        return;
    }
    let allowed =
        |z: &&Zone| z.nodes > 0 && (config.spread.zones.is_empty() || config.spread.zones.contains(&z.name));
    let usable: Vec<&Zone> = view.zones().iter().filter(allowed).collect();
    let unknown = usable.iter().filter(|z| z.state == ZoneState::Unknown).map(|z| z.name.as_str());
    let unknown: Vec<&str> = unknown.collect();
    if !unknown.is_empty() {
        let message = format!("cells wait for a zone until the health of {} is known", names(unknown));
        decision.info("ZonesUnknown", "", message);
        return;
    }
    let mut cells = Counts::default();
    for zone in view.cells().iter().filter_map(|c| c.zone.as_deref()) {
        cells.add(zone);
    }
    let healthy: Vec<&Zone> =
        usable.into_iter().filter(|z| z.state == ZoneState::Healthy && z.nodes_ready > 0).collect();
    let fresh = healthy.iter().filter(|z| cells.of(&z.name) == 0).count();
    let wanted = usize::try_from(config.min_zones).unwrap_or(usize::MAX);
    if cells.names() + fresh.min(open.len()) < wanted {
        let message = format!(
            "healthy zones that cells may use: {}; too few for minZones, {wanted}: cells without a zone wait",
            names(healthy.iter().map(|z| z.name.as_str()))
        );
        decision.warn("TooFewHealthyZones", "", message);
        return;
    }
    for cell in open {
        let room = |z: &&&Zone| {
            let most = config.spread.max_cells_per_zone.unwrap_or(u32::MAX);
            cells.of(&z.name) < most
        };
        let emptiest = |z: &&&Zone| (cells.of(&z.name), z.name.clone());
        let Some(zone) = healthy.iter().filter(room).min_by_key(emptiest) else {
            let message = format!(
                "every healthy zone has its most cells (spread.maxCellsPerZone); {} waits",
                cell.name
            );
            decision.warn("NoRoomInZones", &cell.name, message);
            continue;
        };
        cells.add(&zone.name);
        decision.propose(step(cell, zone, config));
    }
}

fn step(cell: &Cell, zone: &Zone, config: &Config) -> Step<Action> {
    let action = ZoneAssignment { cell: cell.name.clone(), zone: zone.name.clone() };
    let message =
        format!("{} has no zone, and {} is the healthy one with the fewest cells", cell.name, zone.name);
    Step::new(Action::AssignZone(action), "even-spread", message)
        .expecting(Expectation::Zone(ZoneExpectation { zone: zone.name.clone(), state: ZoneState::Healthy }))
        .living(config.ttl_ms)
}
