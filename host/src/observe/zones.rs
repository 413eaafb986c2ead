//! Zones as the view has them: nodes, what the provider posts, and the verdict.

use std::collections::BTreeMap;

use pilothouse_core::Millis;
use pilothouse_core::topology::{Cell, Zone};
use pilothouse_core::view::{CellView, ClusterView, ZoneView};
use pilothouse_core::zones::{self, ZoneHealth, ZoneSettings};

use super::Seen;
use super::tablets::condition;
use crate::cache::Cached;
use crate::kinds::Kind;

const ZONE_LABEL: &str = "topology.kubernetes.io/zone";
const DEPRECATED_ZONE_LABEL: &str = "failure-domain.beta.kubernetes.io/zone";
/// Set on nodes by whatever relays the provider's messages.
const PROVIDER_POST: &str = "pilothouse.dev/provider-post";

/// The zone that a node's labels name.
pub(super) fn zone_of_node(node: &Cached) -> Option<Zone> {
    let by = |key| Some(node.label(key)).filter(|v| !v.is_empty()).map(|v| Zone(v.to_owned()));
    by(ZONE_LABEL).or_else(|| by(DEPRECATED_ZONE_LABEL))
}

/// Every zone that a node stands in or a cell names, not yet judged.
pub(super) fn list(seen: &Seen<'_>, cells: &[CellView]) -> Vec<ZoneView> {
    let blank = |name: &Zone| ZoneView {
        name: name.clone(),
        health: ZoneHealth::default(),
        nodes: 0,
        nodes_ready: 0,
        provider_post: None,
    };
    let mut zones: BTreeMap<Zone, ZoneView> = BTreeMap::new();
    for zone in cells.iter().filter_map(|c| c.zone.as_ref()) {
        zones.entry(zone.clone()).or_insert_with(|| blank(zone));
    }
    for node in seen.shared.iter().filter(|((kind, _), _)| *kind == Kind::Node).map(|(_, node)| node) {
        let Some(zone) = zone_of_node(node) else { continue };
        let view = zones.entry(zone.clone()).or_insert_with(|| blank(&zone));
        view.nodes += 1;
        view.nodes_ready += u32::from(condition(node, "Ready") == Some(true));
        if let Some(post) = node.annotation(PROVIDER_POST) {
            view.provider_post = Some(post.to_owned());
        }
    }
    zones.into_values().collect()
}

/// Judges the view's zones in place; answers when a verdict may change by time alone.
pub(super) fn judge(
    view: &mut ClusterView,
    remembered: &BTreeMap<Zone, ZoneHealth>,
    settings: &ZoneSettings,
) -> Option<Millis> {
    let evidence = zones::evidence(view);
    let (verdicts, deadline) = zones::judge(remembered, &evidence, view.as_of, settings);
    for zone in &mut view.zones {
        if let Some(health) = verdicts.get(&zone.name) {
            zone.health = *health;
        }
    }
    deadline
}

/// The verdicts that the cluster's status remembers.
pub(super) fn remembered(cluster: &pilothouse_api::VitessCluster) -> BTreeMap<Zone, ZoneHealth> {
    let zones = cluster.status.iter().flat_map(|s| &s.zones);
    zones.filter_map(|z| Some((Zone(z.name.clone()), z.recall()?))).collect()
}

/// Each cell's zone, where it has one.
pub(crate) fn by_cell(cells: &[CellView]) -> BTreeMap<Cell, Zone> {
    cells.iter().filter_map(|c| Some((c.name.clone(), c.zone.clone()?))).collect()
}
