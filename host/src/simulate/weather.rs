//! A seed's day: what goes wrong when, drawn before it begins.
//!
//! Owns the plan. Faults of places are planned by the played world; this adds
//! flapping, episodes of bad answers and the host's deaths, mostly near a fault
//! of the world, since a host at rest asks for nothing.

use pilothouse_sim::faults::{self, Fault as Broken, Planned};
use pilothouse_sim::world::ZoneSpec;

use super::draws::Draws;
use super::mix::{Fault, Mix};

/// Bad answers for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Episode {
    pub(super) fault: Fault,
    /// Only this kind's plural name; `None`: every kind.
    pub(super) resource: Option<&'static str>,
    /// So many of a hundred requests.
    pub(super) percent: u64,
    /// Milliseconds.
    pub(super) lasts: i64,
    /// How far back A7 looks, in commits.
    pub(super) lag: u64,
    /// Whether A6 and A7 begin with dropped watches.
    pub(super) drops: bool,
}

/// When the host dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kill {
    /// Before its write number `nth` from now is sent, or after it is committed.
    Write { nth: u64, before: bool },
    /// Once it has asked for a reparent.
    Reparent,
    /// At once.
    Now,
}

/// Something that happens at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Moment {
    Strike(Broken),
    Mend(Broken),
    Begin(Episode),
    /// The host is to die, and again soon after its restart.
    Kill(Kill, bool),
}

/// Moments by milliseconds since the beginning.
pub(super) type Day = Vec<(i64, Moment)>;

/// The kinds that single episodes are about.
const RESOURCES: [&str; 10] = [
    "pods",
    "persistentvolumeclaims",
    "nodes",
    "deployments",
    "vitessclusters",
    "vitessshards",
    "vitesscells",
    "vitesskeyspaces",
    "vitessbackups",
    "services",
];

const MINUTE: i64 = 60_000;

/// Plans a day whose faults are all over after `span` milliseconds.
pub(super) fn plan(seed: u64, zones: &[ZoneSpec], mix: &Mix, span: i64) -> Day {
    let mut day = places(seed, zones, mix, span);
    let anchors: Vec<i64> = day.iter().map(|(at, _)| *at).collect();
    let mut sites = Sites { draws: Draws::new(seed, "episode times"), anchors, span };
    for fault in Fault::ALL.into_iter().filter(|f| mix.has(*f) && is_of_answers(*f)) {
        let mut draws = Draws::new(seed, &format!("episodes of {fault}"));
        for _ in 0..draws.range(0, mix.episodes) {
            let episode = episode(&mut draws, fault);
            day.push((sites.draw(episode.lasts), Moment::Begin(episode)));
        }
    }
    if mix.has(Fault::H1) {
        let mut draws = Draws::new(seed, "kills");
        for _ in 0..draws.range(0, mix.episodes * 2) {
            let kill = kill(&mut draws);
            day.push((sites.draw(MINUTE), Moment::Kill(kill, draws.chance(30))));
        }
    }
    day.sort_by_key(|(at, _)| *at);
    day
}

const fn is_of_answers(fault: Fault) -> bool {
    match fault {
        Fault::A1
        | Fault::A2
        | Fault::A3
        | Fault::A4
        | Fault::A5
        | Fault::A6
        | Fault::A7
        | Fault::A8
        | Fault::A9 => true,
        Fault::H1 | Fault::N1 | Fault::N2 | Fault::N3 | Fault::N4 | Fault::D3 | Fault::D5 => false,
    }
}

/// Where in the day something goes.
struct Sites {
    draws: Draws,
    anchors: Vec<i64>,
    span: i64,
}

impl Sites {
    fn draw(&mut self, lasts: i64) -> i64 {
        let draws = &mut self.draws;
        let latest = (self.span - lasts).max(0);
        let within =
            |draws: &mut Draws, high: i64| draws.range(0, u64::try_from(high).unwrap_or(0)).cast_signed();
        let at = match draws.range(0, 9) {
            0 | 1 => within(draws, 2 * MINUTE),
            2..=7 if !self.anchors.is_empty() => {
                let anchor = draws.pick(&self.anchors);
                anchor - lasts / 2 + within(draws, lasts / 2 + 2 * MINUTE)
            }
            _ => within(draws, latest),
        };
        at.clamp(0, latest)
    }
}

/// N1 to N4, D3 and D5, each mended before the span ends.
fn places(seed: u64, zones: &[ZoneSpec], mix: &Mix, span: i64) -> Day {
    let weights =
        [(Fault::N1, 3), (Fault::N2, 1), (Fault::N3, 1), (Fault::N4, 1), (Fault::D3, 1), (Fault::D5, 1)];
    let weight: i64 = weights.iter().filter(|(f, _)| mix.has(*f)).map(|(_, w)| w).sum();
    if weight == 0 {
        return Vec::new();
    }
    let overlapping = Draws::new(seed, "overlapping").chance(mix.overlapping_percent);
    let weather = faults::Weather { span, spacing: mix.spacing_ms * weight / 8, overlapping };
    let mut draws = Draws::new(seed, "flapping");
    let mut day = Vec::new();
    for Planned { at, lasts, fault } in faults::plan(seed, zones, weather) {
        if !mix.has(name_of(&fault)) {
            continue;
        }
        let end = (at + lasts).min(span);
        if matches!(fault, Broken::LoseZone(_)) && draws.chance(30) {
            flap(&mut day, &mut draws, at, end, &fault);
        } else {
            day.push((at, Moment::Strike(fault.clone())));
            if lasts > 0 {
                day.push((end, Moment::Mend(fault)));
            }
        }
    }
    day
}

/// Away and back again, 5 s to 10 min each.
fn flap(day: &mut Day, draws: &mut Draws, from: i64, end: i64, fault: &Broken) {
    let period = draws.spread(5_000, 600_000);
    let mut half = || draws.range(period / 2, period).cast_signed();
    let mut at = from;
    while at < end {
        day.push((at, Moment::Strike(fault.clone())));
        at = (at + half()).min(end);
        day.push((at, Moment::Mend(fault.clone())));
        at += half();
    }
}

const fn name_of(fault: &Broken) -> Fault {
    match fault {
        Broken::LoseNode(_) | Broken::KillMysqld(_) => Fault::N1,
        Broken::LoseZone(_) => Fault::N2,
        Broken::CutZone(_) => Fault::N3,
        Broken::CutZones(..) => Fault::N4,
        Broken::StallApplier(_) => Fault::D3,
        Broken::SlowReplica(..) => Fault::D5,
    }
}

fn episode(draws: &mut Draws, fault: Fault) -> Episode {
    let (shortest, longest) = match fault {
        Fault::A5 | Fault::A6 | Fault::A8 => (5_000, 400_000),
        _ => (5_000, 900_000),
    };
    Episode {
        fault,
        resource: draws.chance(60).then(|| draws.pick(&RESOURCES)),
        percent: draws.pick(&[10, 30, 60, 100]),
        lasts: draws.spread(shortest, longest).cast_signed(),
        lag: draws.spread(1, 400),
        drops: draws.chance(60),
    }
}

fn kill(draws: &mut Draws) -> Kill {
    match draws.range(0, 19) {
        0 | 1 => Kill::Now,
        2..=4 => Kill::Reparent,
        _ => Kill::Write { nth: draws.range(1, 8), before: draws.chance(50) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn zones() -> Vec<ZoneSpec> {
        ["zone-a", "zone-b", "zone-c"].map(|z| ZoneSpec { name: z.to_owned(), nodes: 2 }).into()
    }

    const SPAN: i64 = 20 * 3_600_000;

    #[test]
    fn a_seed_plans_the_same_day_and_all_is_over_in_time() {
        for seed in 0..50 {
            let day = plan(seed, &zones(), &Mix::default(), SPAN);
            assert_eq!(day, plan(seed, &zones(), &Mix::default(), SPAN));
            assert!(day.windows(2).all(|w| w[0].0 <= w[1].0));
            let mut lost = BTreeSet::new();
            for (at, moment) in &day {
                assert!((0..=SPAN).contains(at), "{at} {moment:?}");
                match moment {
                    Moment::Strike(Broken::LoseZone(zone)) => drop(lost.insert(zone.clone())),
                    Moment::Mend(Broken::LoseZone(zone)) => drop(lost.remove(zone)),
                    Moment::Begin(episode) => assert!(at + episode.lasts <= SPAN),
                    _ => {}
                }
            }
            assert!(lost.is_empty());
        }
    }

    #[test]
    fn only_what_is_asked_for_comes_up_and_all_of_it() {
        assert!(plan(1, &zones(), &Mix::calm(), SPAN).is_empty());
        for fault in Fault::ALL {
            let mut seen = false;
            for seed in 0..30 {
                for (_, moment) in plan(seed, &zones(), &Mix::only([fault]), SPAN) {
                    seen = true;
                    match moment {
                        Moment::Strike(b) | Moment::Mend(b) => assert_eq!(name_of(&b), fault),
                        Moment::Begin(episode) => assert_eq!(episode.fault, fault),
                        Moment::Kill(..) => assert_eq!(fault, Fault::H1),
                    }
                }
            }
            assert!(seen, "{fault}");
        }
    }
}
