//! The whole decision: enough zones, cells into zones, stand-ins for a lost one, and home again.

use pilothouse_sdk::{Decision, View, Zone, ZoneState, placement::Action};

use crate::config::Config;
use crate::{assign, gateways, home, surge, zones};

/// The decision for one view.
pub(crate) fn decide(view: &View<'_>, config: &Config) -> Decision<Action> {
    let mut decision = Decision::default();
    if !zones::enough(view, config, &mut decision) {
        return decision;
    }
    let lost: Vec<&Zone> = view.zones().iter().filter(|z| z.state == ZoneState::Lost).collect();
    let dark = zones::dark(view);
    let judged_dark = view.zones().iter().filter(|z| z.is_dark()).count();
    if judged_dark < 2 {
        assign::decide(view, config, &mut decision);
    }
    let stood_in = view.tablets().iter().any(|t| t.stands_in_for().is_some())
        || view.cells().iter().any(|c| !c.gateway_surge.is_empty());
    let concerned = lost.iter().any(|z| !zones::cells_in(view, z).is_empty()) || stood_in;
    if dark.len() >= 2 && (concerned || judged_dark >= 2) {
        let message = format!(
            "zones {} are lost, suspect or unknown: nothing is surged, returned or assigned on such evidence",
            zones::names(dark)
        );
        decision.warn("TwoZonesDark", "", message);
        return decision;
    }
    for zone in lost.into_iter().filter(|z| !zones::cells_in(view, z).is_empty()) {
        let wait = config.surge_after_ms.saturating_sub(view.since(zone.since));
        if wait > 0 {
            decision.again_in(wait);
            let message = format!("it is lost; stand-ins begin after {} ms", config.surge_after_ms);
            decision.info("ZoneLost", &zone.name, message);
            continue;
        }
        surge::decide(view, config, zone, &mut decision);
        gateways::surge(view, config, zone, &mut decision);
    }
    home::decide(view, config, &mut decision);
    gateways::give_back(view, config, &mut decision);
    decision
}
