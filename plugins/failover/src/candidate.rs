//! Which tablet: what rules one out, and how those that are left compare.

use std::cmp::Reverse;

use pilothouse_sdk::{Drain, Durability, PodState, Reach, Replication, Role, Tablet, Wanted, ZoneState};

use crate::durable::may_ack;
use crate::obstacle::{Obstacle, Unfit};
use crate::scene::ShardScene;

/// The best tablet of the shard for which `judge` finds nothing against it, or why there is none.
pub(crate) fn best<'a>(
    scene: ShardScene<'_, 'a>,
    old: Option<&Tablet>,
    judge: impl Fn(&Tablet) -> Result<(), Unfit>,
) -> Result<&'a Tablet, Obstacle> {
    let mut unfit = Vec::new();
    let mut fit = Vec::new();
    for &tablet in scene.tablets {
        if !tablet.pool.pool_type.is_primary_eligible() || old.is_some_and(|o| o.alias == tablet.alias) {
            continue;
        }
        match judge(tablet) {
            Ok(()) => fit.push(tablet),
            Err(why) => unfit.push((tablet.alias.clone(), why)),
        }
    }
    let best = fit.into_iter().min_by(|a, b| rank(scene, old, a).cmp(&rank(scene, old, b)));
    best.ok_or(Obstacle::NoCandidate { unfit })
}

/// What any new primary must be: there, answering, wanted, with known and no errant
/// transactions, in a zone that is not dark.
pub(crate) fn sound(tablet: &Tablet) -> Result<&Replication, Unfit> {
    if tablet.pod != PodState::Running {
        return Err(Unfit::NotRunning(tablet.pod));
    }
    if tablet.reach != Reach::Yes {
        return Err(Unfit::Silent);
    }
    if tablet.wanted == Wanted::No {
        return Err(Unfit::Leaving);
    }
    match tablet.role {
        Role::Primary | Role::Replica => {}
        Role::Rdonly | Role::Spare | Role::Restore | Role::Unknown => return Err(Unfit::NotServing),
    }
    match tablet.zone_state {
        ZoneState::Lost | ZoneState::Suspect => return Err(Unfit::ZoneDark),
        ZoneState::Unknown | ZoneState::Healthy | ZoneState::Recovering => {}
    }
    let replication = tablet.replication.as_ref().ok_or(Unfit::PositionUnknown)?;
    if replication.errant > 0 { Err(Unfit::Errant(replication.errant)) } else { Ok(replication) }
}

/// Whether nobody has asked it to go.
pub(crate) fn stays(tablet: &Tablet) -> Result<(), Unfit> {
    match tablet.drain {
        Drain::Not => Ok(()),
        stage @ (Drain::Started | Drain::Acknowledged | Drain::Finished) => Err(Unfit::Draining(stage)),
    }
}

/// Whether a tablet may follow any primary: no errant transactions, and it stays.
pub(crate) fn can_follow(tablet: &Tablet) -> bool {
    tablet.replication.as_ref().is_none_or(|r| r.errant == 0) && tablet.drain != Drain::Finished
}

/// While a tablet that answers calls itself primary, only that one can be: a
/// reparent that was begun and never told is finished, not begun elsewhere.
pub(crate) fn no_rival(
    scene: ShardScene<'_, '_>,
    old: Option<&Tablet>,
    tablet: &Tablet,
) -> Result<(), Unfit> {
    let rival = |t: &&Tablet| t.role == Role::Primary && t.alias != tablet.alias;
    let rivals = scene.answering().filter(|t| old.is_none_or(|o| o.alias != t.alias));
    if rivals.into_iter().any(|t| rival(&t)) { Err(Unfit::Rival) } else { Ok(()) }
}

/// Whether it has every transaction that the primary had, as far as tablets that answer show.
///
/// What it lacks of an errant tablet may be just the errant transactions: then it
/// lacks no more of all others together than the most errant one has.
pub(crate) fn has_all(scene: ShardScene<'_, '_>, tablet: &Tablet) -> Result<(), Unfit> {
    let behind = tablet.replication.as_ref().map_or(u64::MAX, |r| r.behind);
    if behind == 0 {
        return Ok(());
    }
    let others = || {
        let known = scene.answering().filter(|o| o.alias != tablet.alias);
        known.filter_map(|o| Some((o, o.replication.as_ref()?)))
    };
    let most_errant = others().map(|(_, r)| r.errant).max().unwrap_or(0);
    for (other, replication) in others() {
        let only_errant = replication.errant > 0 && behind <= most_errant;
        if !only_errant && !scene.scene.view.has_all_of(&tablet.alias, &other.alias) {
            return Err(Unfit::Behind(behind));
        }
    }
    // What no other has, and it lacks all the same, it told of itself: its relay log is gone.
    if behind > most_errant { Err(Unfit::Behind(behind)) } else { Ok(()) }
}

/// Whether somebody that answers, and is `able`, can acknowledge its writes.
pub(crate) fn keeps_durability(
    scene: ShardScene<'_, '_>,
    tablet: &Tablet,
    able: impl Fn(&Tablet) -> bool,
) -> Result<(), Unfit> {
    let durability = scene.shard.durability;
    let mut others = scene.answering().filter(|t| may_ack(durability, t, &tablet.alias));
    match durability {
        Durability::None => Ok(()),
        Durability::SemiSync | Durability::CrossCell => {
            if others.any(able) {
                Ok(())
            } else {
                Err(Unfit::NoAckerLeft(durability))
            }
        }
    }
}

/// Compares fit tablets: the least is best. Total, since aliases differ.
fn rank<'t>(scene: ShardScene<'_, '_>, old: Option<&Tablet>, tablet: &'t Tablet) -> impl Ord + use<'t> {
    let replication = tablet.replication.as_ref();
    let old_zone = old.and_then(|o| o.zone.as_deref());
    let standing = match tablet.wanted {
        Wanted::BySpec => 0,
        Wanted::Surge(_) => 1,
        Wanted::No => 2,
    };
    let zone = match tablet.zone_state {
        ZoneState::Healthy => 0,
        ZoneState::Recovering => 1,
        ZoneState::Unknown => 2,
        ZoneState::Suspect | ZoneState::Lost => 3,
    };
    let second = |r: &Replication| r.lag_ms / 1_000;
    (
        zone,
        tablet.drain != Drain::Not,
        old_zone.is_some() && tablet.zone.as_deref() == old_zone,
        standing,
        !tablet.ready,
        Reverse(replication.map_or(0, |r| r.transactions)),
        replication.map_or(u64::MAX, second),
        scene.scene.config.preference(&tablet.alias.cell),
        scene.scene.primaries_in(tablet.zone.as_deref()),
        &tablet.alias,
    )
}
