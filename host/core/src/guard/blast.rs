//! Rule `blast`: no mass action while more than one zone is in doubt.
//!
//! When two zones look dead at once it is as likely us, or the network, as them.
//! A single shard's failover on direct evidence needs no judged zone; many in one
//! pass must share the one zone that was lost.

use super::{Case, Rule, Why};
use crate::action::Action;
use crate::topology::{TabletAlias, Zone};
use crate::view::ClusterView;
use crate::zones::ZoneState;

pub(super) const RULE: Rule = Rule { name: "blast", keeps: &["S12"], judge };

fn judge(case: &Case<'_>) -> Option<Why> {
    let view = case.view;
    if let Action::EmergencyReparent { lost, .. } = &case.step.action {
        let mut zones = zones(view, looks_dead);
        let mass = case.admitted.iter().any(|s| matches!(s.action, Action::EmergencyReparent { .. }));
        if zones.len() < 2 && mass {
            let others = case.admitted.iter().filter_map(|s| lost_by(&s.action));
            zones = apart(view, lost, others).unwrap_or_else(|| self::zones(view, in_doubt));
        }
        return (zones.len() >= 2).then_some(Why::ManyZones { zones });
    }
    let mass = matches!(
        case.step.action,
        Action::SurgeTablet { .. }
            | Action::ReturnTablet { .. }
            | Action::SurgeGateway { .. }
            | Action::ReturnGateway { .. }
            | Action::RestoreTablet { .. }
    );
    let zones = zones(view, in_doubt);
    (mass && zones.len() >= 2).then_some(Why::ManyZones { zones })
}

const fn lost_by(action: &Action) -> Option<&TabletAlias> {
    if let Action::EmergencyReparent { lost, .. } = action { Some(lost) } else { None }
}

/// The zones of two lost primaries that are not known to stand in one.
fn apart<'a>(
    view: &ClusterView,
    lost: &TabletAlias,
    others: impl Iterator<Item = &'a TabletAlias>,
) -> Option<Vec<Zone>> {
    let zone = |alias: &TabletAlias| view.tablet(alias).and_then(|t| t.zone.clone());
    let unknown = || Zone("(unknown)".to_owned());
    let mine = zone(lost);
    let other = others.map(zone).find(|z| z.is_none() || *z != mine)?;
    Some(vec![other.unwrap_or_else(unknown), mine.unwrap_or_else(unknown)])
}

fn zones(view: &ClusterView, select: fn(ZoneState) -> bool) -> Vec<Zone> {
    view.zones.iter().filter(|z| select(z.health.state)).map(|z| z.name.clone()).collect()
}

const fn looks_dead(state: ZoneState) -> bool {
    matches!(state, ZoneState::Suspect | ZoneState::Lost)
}

const fn in_doubt(state: ZoneState) -> bool {
    matches!(state, ZoneState::Suspect | ZoneState::Lost | ZoneState::Unknown)
}
