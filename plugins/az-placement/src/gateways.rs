//! Gateways of a lost cell: as many more, spread over the surviving cells; home again when it is back.

use pilothouse_sdk::placement::{Action, GatewayReturn, GatewayStandIn};
use pilothouse_sdk::types::ZoneExpectation;
use pilothouse_sdk::{Cell, Decision, Expectation, Step, View, Zone, ZoneState};

use crate::config::Config;
use crate::home::{Home, home_of};
use crate::zones::{cells_in, survivors};

/// Proposes the stand-ins that a lost zone's gateways lack.
pub(crate) fn surge(view: &View<'_>, config: &Config, lost: &Zone, decision: &mut Decision<Action>) {
    let survivors = survivors(view);
    let serving: Vec<&Cell> = survivors.iter().copied().filter(|c| c.gateways > 0).collect();
    let takers = if serving.is_empty() { survivors } else { serving };
    for home in cells_in(view, lost).into_iter().filter(|c| c.gateways > 0) {
        let Ok(count) = u32::try_from(takers.len()) else { continue };
        if count == 0 {
            let message = format!("no surviving cell can run gateways for {}", home.name);
            decision.warn("NoCellForGateways", &home.name, message);
            continue;
        }
        for (taker, place) in takers.iter().zip(0_u32..) {
            let share = home.gateways / count + u32::from(place < home.gateways % count);
            let standing = taker.gateway_surge.iter().find(|s| s.stands_in_for == home.name);
            if share > 0 && standing.map(|s| s.replicas) != Some(share) {
                decision.propose(stand_in(home, taker, share, lost, config));
            }
        }
    }
}

fn stand_in(home: &Cell, taker: &Cell, replicas: u32, lost: &Zone, config: &Config) -> Step<Action> {
    let action = GatewayStandIn { cell: taker.name.clone(), stands_in_for: home.name.clone(), replicas };
    let message = format!("zone {} is lost with the {} gateways of {}", lost.name, home.gateways, home.name);
    let zone = |name: &str, state| Expectation::Zone(ZoneExpectation { zone: name.to_owned(), state });
    let step = Step::new(Action::SurgeGateway(action), "zone-lost", message)
        .expecting(zone(&lost.name, ZoneState::Lost))
        .living(config.ttl_ms);
    match taker.zone.as_deref() {
        Some(name) => step.expecting(zone(name, ZoneState::Healthy)),
        None => step,
    }
}

/// Proposes the return of stand-ins whose home cell serves again.
pub(crate) fn give_back(view: &View<'_>, config: &Config, decision: &mut Decision<Action>) {
    for cell in view.cells() {
        for surge in &cell.gateway_surge {
            match home_of(view, config, &surge.stands_in_for) {
                Home::Back(zone) => {
                    let Some(home) = view.cell(&surge.stands_in_for) else { continue };
                    if home.gateways_ready >= home.gateways {
                        decision.propose(step(cell, home, zone, config));
                    } else {
                        let message = format!(
                            "{} of {} gateways are ready at home",
                            home.gateways_ready, home.gateways
                        );
                        decision.info("ReturnWaits", &home.name, message);
                    }
                }
                Home::BackIn(ms) => decision.again_in(ms),
                Home::Away => {}
                Home::Gone => {
                    let message =
                        format!("gateways in {} stand in for a cell that has no zone any more", cell.name);
                    decision.warn("HomeCellGone", &surge.stands_in_for, message);
                }
            }
        }
    }
}

fn step(cell: &Cell, home: &Cell, zone: &Zone, config: &Config) -> Step<Action> {
    let action = GatewayReturn { cell: cell.name.clone(), stands_in_for: home.name.clone() };
    let message = format!("zone {} is healthy again and the gateways of {} are ready", zone.name, home.name);
    Step::new(Action::ReturnGateway(action), "zone-back", message)
        .expecting(Expectation::Zone(ZoneExpectation { zone: zone.name.clone(), state: ZoneState::Healthy }))
        .living(config.ttl_ms)
}
