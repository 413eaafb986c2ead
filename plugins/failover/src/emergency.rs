//! A primary that does not answer: wait, doubt, prove, replace.

use pilothouse_sdk::failover::{Action, Emergency};
use pilothouse_sdk::types::PrimaryExpectation;
use pilothouse_sdk::{Decision, Drain, Expectation, Role, Step, Tablet};

use crate::candidate::{self, best};
use crate::durable;
use crate::obstacle::{Obstacle, Unfit};
use crate::scene::ShardScene;

/// Decides for a shard whose primary is silent; answers the tablet that takes over.
pub(crate) fn decide<'a>(
    scene: ShardScene<'_, 'a>,
    primary: &Tablet,
    decision: &mut Decision<Action>,
) -> Option<&'a Tablet> {
    let (view, config) = (scene.scene.view, scene.scene.config);
    let gone = view.flag(&primary.alias.to_string(), "gone");
    let confirm = if gone { config.confirm_gone_ms } else { config.confirm_after_ms };
    let unconfirmed = confirm.saturating_sub(view.since(primary.reach_since));
    let unsettled = config.settle_ms.saturating_sub(view.since(scene.shard.primary_since));
    let wait = unconfirmed.max(unsettled);
    if wait > 0 {
        decision.again_in(wait);
        let message = format!(
            "{} does not answer; it is replaced if that lasts {} ms, and not before {} ms after it became primary",
            primary.alias, confirm, config.settle_ms
        );
        decision.info("PrimarySilent", &scene.shard.id, message);
        return None;
    }
    match replacement(scene, primary) {
        Ok(to) => {
            decision.propose(step(scene, primary, to));
            Some(to)
        }
        Err(obstacle) => {
            obstacle.tell(scene.shard, decision);
            None
        }
    }
}

fn replacement<'a>(scene: ShardScene<'_, 'a>, primary: &Tablet) -> Result<&'a Tablet, Obstacle> {
    two_sided(scene, primary)?;
    one_zone_at_most(scene)?;
    durable::proof(scene, primary)?;
    best(scene, Some(primary), |tablet| {
        candidate::no_rival(scene, Some(primary), tablet)?;
        // A drain that has not finished can wait: writes cannot.
        if tablet.drain == Drain::Finished {
            return Err(Unfit::Draining(tablet.drain));
        }
        if !candidate::sound(tablet)?.applying {
            return Err(Unfit::Stalled);
        }
        candidate::has_all(scene, tablet)?;
        candidate::keeps_durability(scene, tablet, candidate::can_follow)
    })
}

/// Nobody hears it, and somebody answers to say so: a replica of it, or a tablet
/// that an earlier try has promoted.
fn two_sided(scene: ShardScene<'_, '_>, primary: &Tablet) -> Result<(), Obstacle> {
    let witnesses: Vec<_> = scene
        .answering()
        .filter(|t| t.alias != primary.alias)
        .filter_map(|t| Some((t, t.replication.as_ref()?)))
        .filter(|(t, r)| t.role == Role::Primary || r.source.as_ref() == Some(&primary.alias))
        .collect();
    let heard_by: Vec<_> = witnesses
        .iter()
        .filter(|(_, r)| r.source_connected && r.source.as_ref() == Some(&primary.alias))
        .map(|(t, _)| t.alias.clone())
        .collect();
    if !heard_by.is_empty() {
        return Err(Obstacle::OneSidedEvidence { primary: primary.alias.clone(), heard_by });
    }
    if witnesses.is_empty() {
        return Err(Obstacle::NoWitness { primary: primary.alias.clone() });
    }
    Ok(())
}

/// One dark zone is an outage; two are more likely our own blindness.
pub(crate) fn one_zone_at_most(scene: ShardScene<'_, '_>) -> Result<(), Obstacle> {
    let zones: Vec<String> = scene.scene.dark().map(str::to_owned).collect();
    if zones.len() < 2 { Ok(()) } else { Err(Obstacle::TwoZonesDark { zones }) }
}

fn step(scene: ShardScene<'_, '_>, lost: &Tablet, to: &Tablet) -> Step<Action> {
    let shard = &scene.shard.id;
    let action = Emergency { shard: shard.clone(), lost: lost.alias.clone(), to: to.alias.clone() };
    let message = format!(
        "{} answers neither us nor any replica; {} has every transaction that the others have",
        lost.alias, to.alias
    );
    Step::new(Action::EmergencyReparent(action), "primary-lost", message)
        .expecting(Expectation::Primary(PrimaryExpectation {
            shard: shard.clone(),
            is: Some(lost.alias.clone()),
        }))
        .living(scene.scene.config.ttl_ms)
}
