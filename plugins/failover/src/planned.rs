//! A primary that answers: move it only when it is leaving, or when a better cell is asked for.

use pilothouse_sdk::failover::{Action, Planned};
use pilothouse_sdk::types::PrimaryExpectation;
use pilothouse_sdk::{
    Decision, Drain, Expectation, PodState, Reach, Replication, Role, Step, Tablet, Wanted, ZoneState,
};

use crate::candidate::{self, best};
use crate::emergency::one_zone_at_most;
use crate::obstacle::{Obstacle, Unfit};
use crate::scene::ShardScene;

/// Lag enters the host's digest in coarse buckets, so a lagging candidate is looked at again after this long.
const LOOK_AT_LAG_MS: u64 = 10_000;

/// Decides for a shard whose primary answers; answers the tablet that takes over.
pub(crate) fn decide<'a>(
    scene: ShardScene<'_, 'a>,
    primary: &Tablet,
    decision: &mut Decision<Action>,
) -> Option<&'a Tablet> {
    match leaving(primary) {
        Some((code, why)) => leave(scene, primary, (code, why), decision),
        None => prefer(scene, primary, decision),
    }
}

/// Why the primary cannot stay, if so: a reason's code and its half sentence.
const fn leaving(primary: &Tablet) -> Option<(&'static str, &'static str)> {
    match (primary.drain, primary.pod) {
        (Drain::Started | Drain::Acknowledged | Drain::Finished, _) => Some(("primary-drains", "drains")),
        (Drain::Not, PodState::Terminating) => Some(("primary-terminates", "is being terminated")),
        (Drain::Not, PodState::Absent | PodState::Pending | PodState::Running | PodState::Ended) => None,
    }
}

fn leave<'a>(
    scene: ShardScene<'_, 'a>,
    primary: &Tablet,
    (code, why): (&str, &str),
    decision: &mut Decision<Action>,
) -> Option<&'a Tablet> {
    let (view, config) = (scene.scene.view, scene.scene.config);
    let unsettled = config.planned_pace_ms.saturating_sub(view.since(scene.shard.primary_since));
    if unsettled > 0 {
        decision.again_in(unsettled);
        let pace = config.planned_pace_ms;
        let message = format!("{} {why}; it is moved {pace} ms after it became primary", primary.alias);
        decision.info("PrimaryMovedRecently", &scene.shard.id, message);
        return None;
    }
    let successor = || best(scene, Some(primary), |t| successor(scene, primary, t));
    match serving(primary).and_then(|()| one_zone_at_most(scene)).and_then(|()| successor()) {
        Ok(to) => {
            let message = format!("{} {why}; {} is caught up", primary.alias, to.alias);
            decision.propose(step(scene, primary, to, code, message));
            Some(to)
        }
        Err(obstacle) => {
            if is_about_lag(&obstacle) {
                decision.again_in(LOOK_AT_LAG_MS);
            }
            obstacle.tell(scene.shard, decision);
            None
        }
    }
}

fn serving(primary: &Tablet) -> Result<(), Obstacle> {
    if primary.role == Role::Primary {
        Ok(())
    } else {
        Err(Obstacle::NotServing { primary: primary.alias.clone() })
    }
}

fn is_about_lag(obstacle: &Obstacle) -> bool {
    match obstacle {
        Obstacle::NoCandidate { unfit } => unfit.iter().any(|(_, why)| matches!(why, Unfit::Lagging(_))),
        Obstacle::OneSidedEvidence { .. }
        | Obstacle::NoWitness { .. }
        | Obstacle::TwoZonesDark { .. }
        | Obstacle::Unproven { .. }
        | Obstacle::NotServing { .. }
        | Obstacle::LossNotAccepted { .. } => false,
    }
}

/// What a living primary's successor must be besides sound: ready, attached, caught up, staying.
fn successor(scene: ShardScene<'_, '_>, primary: &Tablet, tablet: &Tablet) -> Result<(), Unfit> {
    candidate::no_rival(scene, Some(primary), tablet)?;
    let replication = candidate::sound(tablet)?;
    candidate::stays(tablet)?;
    if tablet.role == Role::Primary {
        return Err(Unfit::NotServing);
    }
    if !tablet.ready {
        return Err(Unfit::NotReady);
    }
    let max_lag_ms = scene.scene.config.max_lag_ms;
    attached(replication, primary, max_lag_ms)?;
    candidate::keeps_durability(scene, tablet, |t| {
        let follows = t.replication.as_ref().is_some_and(|r| attached(r, primary, max_lag_ms).is_ok());
        t.alias == primary.alias || (follows && candidate::can_follow(t))
    })
}

/// Whether a tablet replicates from the primary, applies, and is close behind.
fn attached(replication: &Replication, primary: &Tablet, max_lag_ms: u64) -> Result<(), Unfit> {
    if replication.source.as_ref() != Some(&primary.alias) || !replication.source_connected {
        return Err(Unfit::Detached);
    }
    if !replication.applying {
        return Err(Unfit::Stalled);
    }
    if replication.lag_ms > max_lag_ms { Err(Unfit::Lagging(max_lag_ms)) } else { Ok(()) }
}

/// Back to a preferred cell, once everything has been well for long.
fn prefer<'a>(
    scene: ShardScene<'_, 'a>,
    primary: &Tablet,
    decision: &mut Decision<Action>,
) -> Option<&'a Tablet> {
    let (view, config) = (scene.scene.view, scene.scene.config);
    let now = config.preference(&primary.alias.cell);
    let better = scene
        .tablets
        .iter()
        .filter(|t| t.pool.pool_type.is_primary_eligible() && t.wanted == Wanted::BySpec)
        .map(|t| config.preference(&t.alias.cell))
        .filter(|&p| p < now)
        .min()?;
    let cell = &config.preferred_cells[better];
    let whole =
        |t: &Tablet| t.wanted != Wanted::No && t.ready && t.reach == Reach::Yes && t.drain == Drain::Not;
    let zone = view.zone_of_cell(cell);
    let healthy = zone.filter(|z| z.state == ZoneState::Healthy && scene.scene.dark().next().is_none());
    let Some(zone) = healthy.filter(|_| scene.tablets.iter().all(|t| whole(t))) else {
        let message = format!("the primary is wanted in {cell}, but not every tablet and zone is well");
        decision.info("PreferredCellNotReady", &scene.shard.id, message);
        return None;
    };
    let stable_for = view.since(zone.since).min(view.since(scene.shard.primary_since));
    let wait = config.prefer_after_ms.saturating_sub(stable_for);
    if wait > 0 {
        decision.again_in(wait);
        return None;
    }
    let there = |t: &Tablet| if t.alias.cell == *cell { Ok(()) } else { Err(Unfit::NotServing) };
    match best(scene, Some(primary), |t| there(t).and_then(|()| successor(scene, primary, t))) {
        Ok(to) => {
            let message = format!("{cell} is preferred to {}; {} is caught up", primary.alias.cell, to.alias);
            decision.propose(step(scene, primary, to, "preferred-cell", message));
            Some(to)
        }
        Err(obstacle) => {
            if is_about_lag(&obstacle) {
                decision.again_in(LOOK_AT_LAG_MS);
            }
            let message = format!("the primary is wanted in {cell}, but no tablet there can take over yet");
            decision.info("PreferredCellNotReady", &scene.shard.id, message);
            None
        }
    }
}

fn step(scene: ShardScene<'_, '_>, from: &Tablet, to: &Tablet, code: &str, message: String) -> Step<Action> {
    let shard = &scene.shard.id;
    let action = Planned { shard: shard.clone(), from: from.alias.clone(), to: to.alias.clone() };
    Step::new(Action::PlannedReparent(action), code, message)
        .expecting(Expectation::Primary(PrimaryExpectation {
            shard: shard.clone(),
            is: Some(from.alias.clone()),
        }))
        .living(scene.scene.config.ttl_ms)
}
