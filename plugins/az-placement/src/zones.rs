//! What zones there are, whether they are enough, and which of them are dark.

use pilothouse_sdk::{Cell, Decision, View, Zone, ZoneState, placement::Action};

use crate::config::Config;

/// Names in a row, for a message.
pub(crate) fn names<'a>(all: impl IntoIterator<Item = &'a str>) -> String {
    let all: Vec<&str> = all.into_iter().collect();
    if all.is_empty() { "none".to_owned() } else { all.join(", ") }
}

/// Each name once, in order.
fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut all: Vec<&str> = names.collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Zones that nodes stand in or cells name.
fn known<'a>(view: &'a View<'_>) -> Vec<&'a str> {
    let with_nodes = view.zones().iter().filter(|z| z.nodes > 0).map(|z| z.name.as_str());
    distinct(with_nodes.chain(view.cells().iter().filter_map(|c| c.zone.as_deref())))
}

/// Whether nodes and cells have enough zones; tells it when they have not.
pub(crate) fn enough(view: &View<'_>, config: &Config, decision: &mut Decision<Action>) -> bool {
    let known = known(view);
    let wanted = usize::try_from(config.min_zones).unwrap_or(usize::MAX);
    let taken = distinct(view.cells().iter().filter_map(|c| c.zone.as_deref()));
    let open = view.cells().iter().filter(|c| c.zone.is_none()).count();
    let reachable = taken.len() + open.min(known.len() - taken.len());
    let seen = names(known.iter().copied());
    if known.len() < wanted {
        let message = format!("zones seen: {seen} ({}); the setting minZones asks for {wanted}", known.len());
        decision.error("TooFewZones", "", message);
    } else if reachable < wanted {
        let cells = names(view.cells().iter().map(|c| c.name.as_str()));
        let message = format!(
            "the cells ({cells}) can stand in at most {reachable} zones of {seen}; the setting minZones asks for {wanted}"
        );
        decision.error("TooFewZones", "", message);
    }
    reachable >= wanted
}

/// Zones of this cluster, or with nodes, that are not known to be well.
pub(crate) fn dark<'a>(view: &'a View<'_>) -> Vec<&'a str> {
    let known = known(view);
    let doubtful = |z: &&Zone| match z.state {
        ZoneState::Unknown | ZoneState::Suspect | ZoneState::Lost => known.contains(&z.name.as_str()),
        ZoneState::Healthy | ZoneState::Recovering => false,
    };
    view.zones().iter().filter(doubtful).map(|z| z.name.as_str()).collect()
}

/// Cells in a healthy zone: what may take more.
pub(crate) fn survivors<'a>(view: &'a View<'_>) -> Vec<&'a Cell> {
    let healthy = |c: &&Cell| view.zone_of_cell(&c.name).is_some_and(|z| z.state == ZoneState::Healthy);
    view.cells().iter().filter(healthy).collect()
}

/// Cells in that zone.
pub(crate) fn cells_in<'a>(view: &'a View<'_>, zone: &Zone) -> Vec<&'a Cell> {
    view.cells().iter().filter(|c| c.zone.as_deref() == Some(&zone.name)).collect()
}
