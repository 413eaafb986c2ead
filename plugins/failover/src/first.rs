//! A shard without a primary: choose its first one when every tablet that counts is there.

use pilothouse_sdk::failover::{Action, FirstPrimary};
use pilothouse_sdk::types::PrimaryExpectation;
use pilothouse_sdk::{Decision, Expectation, PodState, Reach, Role, Step, Tablet, Wanted, ZoneState};

use crate::candidate::{self, best};
use crate::durable::never_replicated;
use crate::emergency::one_zone_at_most;
use crate::obstacle::{Obstacle, Unfit, names};
use crate::scene::ShardScene;

/// Decides for a shard for which the topology names no primary; answers the tablet that becomes it.
pub(crate) fn decide<'a>(scene: ShardScene<'_, 'a>, decision: &mut Decision<Action>) -> Option<&'a Tablet> {
    let shard = scene.shard;
    if scene.tablets.iter().any(|t| t.pool.pool_type.is_external()) {
        return None; // its primary is elected elsewhere
    }
    if !shard.may_initialize {
        decision.info(
            "InitializationOff",
            &shard.id,
            "there is no primary, and the manifest lets us choose none",
        );
        return None;
    }
    let eligible = || scene.tablets.iter().copied().filter(|t| t.pool.pool_type.is_primary_eligible());
    // Once there was data, a tablet that nothing asks for any more may hold the latest of it.
    let old = |t: &Tablet| t.volume.is_some() || !never_replicated(t);
    let counts = |t: &Tablet| t.wanted == Wanted::BySpec || (shard.initialized && old(t));
    let missing: Vec<_> = eligible().filter(|t| counts(t) && !is_there(t)).map(|t| t.alias.clone()).collect();
    if !missing.is_empty() {
        let message = format!("the first primary waits for {}", names(&missing));
        decision.info("WaitingForTablets", &shard.id, message);
        return None;
    }
    match one_zone_at_most(scene).and_then(|()| best(scene, None, |t| starter(scene, t))) {
        Ok(to) => {
            decision.propose(step(scene, to));
            Some(to)
        }
        Err(obstacle) => {
            tell(&obstacle, scene, decision);
            None
        }
    }
}

fn tell(obstacle: &Obstacle, scene: ShardScene<'_, '_>, decision: &mut Decision<Action>) {
    match obstacle {
        Obstacle::NoCandidate { unfit } if unfit.is_empty() => {
            let message = "there is no primary, and no tablet of a replica pool yet";
            decision.info("WaitingForTablets", &scene.shard.id, message);
        }
        Obstacle::NoCandidate { .. }
        | Obstacle::OneSidedEvidence { .. }
        | Obstacle::NoWitness { .. }
        | Obstacle::TwoZonesDark { .. }
        | Obstacle::Unproven { .. }
        | Obstacle::NotServing { .. }
        | Obstacle::LossNotAccepted { .. } => obstacle.tell(scene.shard, decision),
    }
}

/// Whether it runs, answers and is not in the middle of a restore.
fn is_there(tablet: &Tablet) -> bool {
    tablet.pod == PodState::Running && tablet.reach == Reach::Yes && tablet.role != Role::Restore
}

/// What a first primary must be. An empty shard's tablets need not know a position yet.
fn starter(scene: ShardScene<'_, '_>, tablet: &Tablet) -> Result<(), Unfit> {
    candidate::no_rival(scene, None, tablet)?;
    let empty = scene.answering().all(|t| t.replication.as_ref().is_none_or(|r| r.transactions == 0));
    if !scene.shard.initialized && empty {
        if !is_there(tablet) {
            return Err(Unfit::NotServing);
        }
        if tablet.wanted == Wanted::No {
            return Err(Unfit::Leaving);
        }
        candidate::stays(tablet)?;
        match tablet.zone_state {
            ZoneState::Lost | ZoneState::Suspect => return Err(Unfit::ZoneDark),
            ZoneState::Unknown | ZoneState::Healthy | ZoneState::Recovering => {}
        }
    } else {
        candidate::sound(tablet)?;
        candidate::stays(tablet)?;
        candidate::has_all(scene, tablet)?;
    }
    candidate::keeps_durability(scene, tablet, candidate::can_follow)
}

fn step(scene: ShardScene<'_, '_>, to: &Tablet) -> Step<Action> {
    let shard = &scene.shard.id;
    let (code, message) = if scene.shard.initialized {
        (
            "shard-without-primary",
            format!("no primary is named, every tablet answers, and {} lacks nothing", to.alias),
        )
    } else {
        ("first-primary", format!("the shard is new and every tablet answers; {} begins", to.alias))
    };
    let action = FirstPrimary { shard: shard.clone(), to: to.alias.clone() };
    Step::new(Action::InitPrimary(action), code, message)
        .expecting(Expectation::Primary(PrimaryExpectation { shard: shard.clone(), is: None }))
        .living(scene.scene.config.ttl_ms)
}
