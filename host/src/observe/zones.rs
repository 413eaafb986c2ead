//! Zones as the view has them: nodes, what the provider posts, and the verdict.

use std::collections::BTreeMap;
use std::sync::Arc;

use pilothouse_api::labels::{self, Component};
use pilothouse_api::vitess_cluster::{Witnesses, ZoneEvidence};
use pilothouse_core::Millis;
use pilothouse_core::topology::{Cell, Zone};
use pilothouse_core::view::{CellView, ClusterView, TabletView, ZoneView};
use pilothouse_core::zones::{self, ZoneHealth, ZoneSettings};

use super::Seen;
use super::tablets::condition;
use crate::cache::Cached;
use crate::clock::parse_rfc3339;
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
        nodes_ready_since: None,
        provider_post: None,
    };
    let mut zones: BTreeMap<Zone, ZoneView> = BTreeMap::new();
    for zone in cells.iter().filter_map(|c| c.zone.as_ref()) {
        zones.entry(zone.clone()).or_insert_with(|| blank(zone));
    }
    for node in nodes(seen) {
        let Some(zone) = zone_of_node(node) else { continue };
        let view = zones.entry(zone.clone()).or_insert_with(|| blank(&zone));
        view.nodes += 1;
        if condition(node, "Ready") == Some(true) {
            view.nodes_ready += 1;
            let since = turned_at(node, "Ready");
            view.nodes_ready_since = view.nodes_ready_since.into_iter().chain(since).min();
        }
        if let Some(post) = node.annotation(PROVIDER_POST) {
            view.provider_post = Some(post.to_owned());
        }
    }
    zones.into_values().collect()
}

/// What judging the zones came to, beside their verdicts.
#[derive(Debug, Default)]
pub(super) struct Judged {
    /// When a verdict may change by time alone.
    pub(super) deadline: Option<Millis>,
    /// What was seen of the zones whose verdict, or what that leans to, is another than the remembered.
    pub(super) turned: BTreeMap<Zone, ZoneEvidence>,
}

/// Judges the view's zones in place.
pub(super) fn judge(view: &mut ClusterView, seen: &Seen<'_>, settings: &ZoneSettings) -> Judged {
    let evidence = zones::judged(&zones::evidence(view));
    let (verdicts, deadline) = zones::judge(seen.remembered_zones, &evidence, view.as_of, settings);
    for zone in &mut view.zones {
        if let Some(health) = verdicts.get(&zone.name) {
            zone.health = *health;
        }
    }
    let turned = view.zones.iter().filter(|z| seen.remembered_zones.get(&z.name) != Some(&z.health));
    let turned = turned.filter_map(|zone| {
        let evidence = evidence.get(&zone.name)?;
        Some((zone.name.clone(), with_times(seen, view, zone, evidence)))
    });
    Judged { deadline, turned: turned.collect() }
}

/// Evidence as it is kept.
fn with_times(
    seen: &Seen<'_>,
    view: &ClusterView,
    zone: &ZoneView,
    evidence: &zones::ZoneEvidence,
) -> ZoneEvidence {
    let here = |node: &&Arc<Cached>| zone_of_node(node).as_ref() == Some(&zone.name);
    let nodes = nodes(seen).filter(here).filter_map(|node| turned_at(node, "Ready")).max();
    let heard = |t: &&TabletView| t.zone.as_ref() == Some(&zone.name) && zones::should_answer(t);
    let tablets = view.tablets.iter().filter(heard).map(|t| t.reach_since).max();
    let is_here =
        |cell: &str| view.cells.iter().any(|c| c.name.0 == cell && c.zone.as_ref() == Some(&zone.name));
    let gateways = seen.members.of(Kind::Deployment).filter(|deployment| {
        deployment.label(labels::COMPONENT) == Component::Vtgate.as_str()
            && is_here(deployment.label(labels::CELL))
    });
    let gateways = gateways.filter_map(|deployment| turned_at(deployment, "Available")).max();
    ZoneEvidence {
        at: view.as_of,
        nodes: Witnesses { up: evidence.nodes_ready, of: evidence.nodes, since: nodes },
        tablets: Witnesses { up: evidence.tablets_answering, of: evidence.tablets, since: tablets },
        gateways: Witnesses { up: evidence.gateways_ready, of: evidence.gateways, since: gateways },
        heard_from: evidence.heard_from,
        provider_post: zone.provider_post.clone(),
        blind: evidence.blind,
    }
}

fn nodes<'a>(seen: &Seen<'a>) -> impl Iterator<Item = &'a Arc<Cached>> {
    seen.shared.iter().filter(|((kind, _), _)| *kind == Kind::Node).map(|(_, node)| node)
}

/// When a condition of an object last changed.
fn turned_at(object: &Cached, name: &str) -> Option<Millis> {
    let conditions = object.field("/status/conditions")?.as_array()?;
    let condition = conditions.iter().find(|c| c["type"] == name)?;
    parse_rfc3339(condition["lastTransitionTime"].as_str()?)
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
