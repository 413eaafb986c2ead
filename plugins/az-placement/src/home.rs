//! The way back: a surge tablet goes when those it stood in for are home and caught up.

use std::cmp::Reverse;

use pilothouse_sdk::placement::{Action, TabletReturn};
use pilothouse_sdk::types::ZoneExpectation;
use pilothouse_sdk::{
    Decision, Drain, Durability, Expectation, PodState, PoolType, Reach, Role, Shard, Step, Tablet,
    TabletAlias, View, Wanted, Zone, ZoneState,
};

use crate::config::Config;

/// Lag enters the host's digest in coarse buckets, so a lagging tablet is looked at again after this long.
const LOOK_AT_LAG_MS: u64 = 10_000;

/// How it stands with a cell that something stands in for.
pub(crate) enum Home<'a> {
    /// Its zone has been healthy for long enough.
    Back(&'a Zone),
    /// Its zone is healthy; long enough in this many milliseconds.
    BackIn(u64),
    /// Its zone is not healthy.
    Away,
    /// There is no such cell, or nobody knows its zone.
    Gone,
}

/// How it stands with that cell.
pub(crate) fn home_of<'a>(view: &'a View<'_>, config: &Config, cell: &str) -> Home<'a> {
    let Some(zone) = view.zone_of_cell(cell) else { return Home::Gone };
    match zone.state {
        ZoneState::Unknown | ZoneState::Suspect | ZoneState::Lost | ZoneState::Recovering => Home::Away,
        ZoneState::Healthy => match config.return_after_ms.saturating_sub(view.since(zone.since)) {
            0 => Home::Back(zone),
            ms => Home::BackIn(ms),
        },
    }
}

/// Why a surge tablet stays although its home zone is back.
enum Stay {
    Leaving(TabletAlias),
    NotServing(TabletAlias),
    NobodyHome,
    NoPrimary,
    Behind(TabletAlias),
    TooFewAckers { left: usize, needed: usize },
}

impl Stay {
    /// Whether it holds every other surge tablet of the shard back too; the state of one home does not.
    const fn is_of_the_shard(&self) -> bool {
        match self {
            Self::Leaving(_) | Self::NotServing(_) | Self::NoPrimary | Self::TooFewAckers { .. } => true,
            Self::NobodyHome | Self::Behind(_) => false,
        }
    }
}

/// Proposes the return of one surge tablet, of one shard, at a time.
pub(crate) fn decide(view: &View<'_>, config: &Config, decision: &mut Decision<Action>) {
    let on_the_way = |t: &&Tablet| t.wanted == Wanted::No && is_beyond_spec(view, t);
    if let Some(going) = view.tablets().iter().find(on_the_way) {
        if view.tablets().iter().any(|t| t.stands_in_for().is_some()) {
            let message = format!("surge tablet {} is on its way out; others follow one by one", going.alias);
            decision.info("ReturnWaits", &going.shard, message);
        }
        return;
    }
    for shard in view.shards() {
        let mut surged: Vec<&Tablet> = view
            .tablets_of(&shard.id)
            .filter(|t| t.stands_in_for().is_some() && is_beyond_spec(view, t))
            .collect();
        // A primary last: it has to be moved first. Then the highest index, as a pool shrinks.
        let order = |t: &Tablet| (is_primary(shard, t), Reverse(t.index));
        surged.sort_unstable_by(|a, b| order(a).cmp(&order(b)).then_with(|| a.alias.cmp(&b.alias)));
        for tablet in surged {
            let Some(cell) = tablet.stands_in_for() else { continue };
            match home_of(view, config, cell) {
                Home::Back(zone) => match may_go(view, config, shard, tablet, cell) {
                    Ok(()) => {
                        decision.propose(step(shard, tablet, cell, zone, config));
                        return;
                    }
                    Err(stay) => {
                        tell(&stay, shard, tablet, decision);
                        if stay.is_of_the_shard() {
                            break;
                        }
                    }
                },
                Home::BackIn(ms) => decision.again_in(ms),
                Home::Away => {}
                Home::Gone => {
                    let message =
                        format!("{} stands in for {cell}, which has no zone any more", tablet.alias);
                    decision.warn("HomeCellGone", &shard.id, message);
                }
            }
        }
    }
}

/// Whether its index is beyond the pool's replicas: a later scale-up adopts the others.
fn is_beyond_spec(view: &View<'_>, tablet: &Tablet) -> bool {
    view.pool(&tablet.shard, &tablet.pool).is_none_or(|p| tablet.index > p.replicas)
}

fn is_primary(shard: &Shard, tablet: &Tablet) -> bool {
    tablet.role == Role::Primary || shard.primary.as_ref() == Some(&tablet.alias)
}

/// Whether the shard is whole without it, and stays durable.
fn may_go(view: &View<'_>, config: &Config, shard: &Shard, surge: &Tablet, home: &str) -> Result<(), Stay> {
    let all: Vec<&Tablet> = view.tablets_of(&shard.id).collect();
    if let Some(leaving) = all.iter().find(|t| t.drain != Drain::Not || t.wanted == Wanted::No) {
        return Err(Stay::Leaving(leaving.alias.clone()));
    }
    let serves = |t: &Tablet| t.pod == PodState::Running && t.ready && t.reach == Reach::Yes;
    if let Some(down) = all.iter().find(|t| t.wanted == Wanted::BySpec && !serves(t)) {
        return Err(Stay::NotServing(down.alias.clone()));
    }
    let at_home: Vec<&&Tablet> = all
        .iter()
        .filter(|t| {
            t.wanted == Wanted::BySpec && t.pool.cell == home && t.pool.pool_type == PoolType::Replica
        })
        .collect();
    let asked_for =
        view.pools_of(&shard.id).filter(|p| p.key.cell == home && p.key.pool_type == PoolType::Replica);
    let asked_for: u32 = asked_for.map(|p| p.replicas).fold(0, u32::saturating_add);
    if u32::try_from(at_home.len()).is_ok_and(|n| n < asked_for) {
        return Err(Stay::NobodyHome);
    }
    let Some(primary) = &shard.primary else { return Err(Stay::NoPrimary) };
    let caught_up = |t: &Tablet| t.alias == *primary || follows(t, primary, config.max_lag_ms);
    if let Some(behind) = at_home.iter().find(|t| !caught_up(t)) {
        return Err(Stay::Behind(behind.alias.clone()));
    }
    let needed = wait_count(shard.durability) + usize::from(is_primary(shard, surge));
    let left = all
        .iter()
        .filter(|t| t.alias != surge.alias && may_ack(shard.durability, t, primary))
        .filter(|t| follows(t, primary, config.max_lag_ms) && t.replication.as_ref().is_some_and(|r| r.acks))
        .count();
    if left >= needed { Ok(()) } else { Err(Stay::TooFewAckers { left, needed }) }
}

fn follows(tablet: &Tablet, primary: &TabletAlias, max_lag_ms: u64) -> bool {
    tablet.replication.as_ref().is_some_and(|r| {
        let attached = r.source.as_ref() == Some(primary) && r.source_connected && r.applying;
        attached && r.lag_ms <= max_lag_ms && r.errant == 0
    })
}

const fn wait_count(durability: Durability) -> usize {
    match durability {
        Durability::None => 0,
        Durability::SemiSync | Durability::CrossCell => 1,
    }
}

fn may_ack(durability: Durability, tablet: &Tablet, primary: &TabletAlias) -> bool {
    let apart = match durability {
        Durability::None => false,
        Durability::SemiSync => true,
        Durability::CrossCell => tablet.alias.cell != primary.cell,
    };
    apart
        && tablet.pool.pool_type.is_primary_eligible()
        && tablet.alias != *primary
        && tablet.reach == Reach::Yes
}

fn tell(stay: &Stay, shard: &Shard, surge: &Tablet, decision: &mut Decision<Action>) {
    let why = match stay {
        Stay::Leaving(alias) => format!("{alias} is leaving"),
        Stay::NotServing(alias) => format!("{alias} does not serve yet"),
        Stay::NobodyHome => "its home tablets are not back yet".to_owned(),
        Stay::NoPrimary => "the shard has no primary".to_owned(),
        Stay::Behind(alias) => {
            decision.again_in(LOOK_AT_LAG_MS);
            format!("{alias} is not caught up yet")
        }
        Stay::TooFewAckers { left, needed } => {
            decision.again_in(LOOK_AT_LAG_MS);
            format!("{left} tablets would be left to acknowledge, {needed} are needed")
        }
    };
    decision.info("ReturnWaits", &shard.id, format!("surge tablet {} stays: {why}", surge.alias));
}

fn step(shard: &Shard, tablet: &Tablet, cell: &str, zone: &Zone, config: &Config) -> Step<Action> {
    let action = TabletReturn { shard: shard.id.clone(), tablet: tablet.alias.clone() };
    let message =
        format!("zone {} is healthy again, and the tablets of {cell} serve and are caught up", zone.name);
    Step::new(Action::ReturnTablet(action), "zone-back", message)
        .expecting(Expectation::Zone(ZoneExpectation { zone: zone.name.clone(), state: ZoneState::Healthy }))
        .living(config.ttl_ms)
}
