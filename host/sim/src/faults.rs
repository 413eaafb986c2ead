//! Faults of the world, planned by a seed and played on the virtual clock.
//!
//! Owns which, where, when and for how long: N1–N4 (nodes, zones, networks), D1
//! (a killed primary's unsent tail), D3, D5 (appliers that stop or lag). Faults of the API's answers are
//! injected at the host's client, not here. Must not know the host.

use std::fmt;

use crate::clock::Clock;
use crate::world::places::draw;
use crate::world::{World, ZoneSpec};

/// One fault with its target. A tablet is named by its place in the list of all
/// tablets at that time, so that a plan needs no knowledge of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// N1: a node loses power.
    LoseNode(String),
    /// N2: a zone loses power.
    LoseZone(String),
    /// N3: a zone is cut off from the control plane only.
    CutZone(String),
    /// N4: two zones do not reach each other.
    CutZones(String, String),
    /// D1: a mysqld is killed.
    KillMysqld(usize),
    /// D3: a replica receives and acknowledges but does not apply.
    StallApplier(usize),
    /// D5: a replica applies so many milliseconds late.
    SlowReplica(usize, u32),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LoseNode(node) => write!(f, "N1 node {node} lost"),
            Self::LoseZone(zone) => write!(f, "N2 zone {zone} lost"),
            Self::CutZone(zone) => write!(f, "N3 zone {zone} cut off from the control plane"),
            Self::CutZones(a, b) => write!(f, "N4 zones {a} and {b} cut off from each other"),
            Self::KillMysqld(n) => write!(f, "D1 mysqld of tablet #{n} killed"),
            Self::StallApplier(n) => write!(f, "D3 applier of tablet #{n} stopped"),
            Self::SlowReplica(n, ms) => write!(f, "D5 applier of tablet #{n} {ms} ms late"),
        }
    }
}

/// A fault at its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// Milliseconds after the plan begins.
    pub at: i64,
    /// Milliseconds until it is mended.
    pub lasts: i64,
    /// What.
    pub fault: Fault,
}

/// How rough the weather is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weather {
    /// Milliseconds that the plan covers.
    pub span: i64,
    /// Mean milliseconds between two faults' beginnings.
    pub spacing: i64,
    /// Whether a fault of a place may begin while another of a place lasts.
    pub overlapping: bool,
}

impl Default for Weather {
    /// A day with a fault every two hours or so, one place at a time.
    fn default() -> Self {
        Self { span: 24 * 3_600_000, spacing: 2 * 3_600_000, overlapping: false }
    }
}

/// The faults of one seed, by time.
#[must_use]
pub fn plan(seed: u64, zones: &[ZoneSpec], weather: Weather) -> Vec<Planned> {
    let mut planned = Vec::new();
    let (mut at, mut free_at) = (0, 0);
    for n in 0_u32.. {
        let key = n.to_string();
        at += draw(seed, "fault-gap", &key, (weather.spacing / 4, weather.spacing * 7 / 4));
        if at >= weather.span || zones.is_empty() {
            break;
        }
        let (fault, lasts) = pick(seed, &key, zones);
        if fault.is_of_a_place() && !weather.overlapping {
            if at < free_at {
                continue;
            }
            // Nodes boot and databases rejoin before the next one.
            free_at = at + lasts + 600_000;
        }
        planned.push(Planned { at, lasts, fault });
    }
    planned
}

fn pick(seed: u64, key: &str, zones: &[ZoneSpec]) -> (Fault, i64) {
    let below = |purpose: &str, n: usize| {
        let high = i64::try_from(n.max(1)).unwrap_or(1) - 1;
        usize::try_from(draw(seed, purpose, key, (0, high))).unwrap_or(0)
    };
    let lasting = |low: i64, high: i64| draw(seed, "fault-lasts", key, (low, high));
    let zone = &zones[below("fault-zone", zones.len())];
    let tablet = below("fault-tablet", 64);
    match below("fault-kind", 8) {
        0 | 1 => {
            let node = format!("{}-{}", zone.name, below("fault-node", zone.nodes as usize) + 1);
            (Fault::LoseNode(node), lasting(30_000, 3_600_000))
        }
        2 => (Fault::LoseZone(zone.name.clone()), lasting(5_000, 3 * 3_600_000)),
        3 => (Fault::CutZone(zone.name.clone()), lasting(10_000, 2 * 3_600_000)),
        4 if zones.len() > 1 => {
            let other = &zones[(below("fault-zone", zones.len()) + 1) % zones.len()];
            (Fault::CutZones(zone.name.clone(), other.name.clone()), lasting(10_000, 1_800_000))
        }
        5 => (Fault::StallApplier(tablet), lasting(10_000, 1_800_000)),
        6 => {
            let late = u32::try_from(draw(seed, "fault-late", key, (500, 60_000))).unwrap_or(500);
            (Fault::SlowReplica(tablet, late), lasting(60_000, 3_600_000))
        }
        _ => (Fault::KillMysqld(tablet), 0),
    }
}

impl Fault {
    /// Whether it takes a machine or a way away.
    fn is_of_a_place(&self) -> bool {
        match self {
            Self::LoseNode(_) | Self::LoseZone(_) | Self::CutZone(_) | Self::CutZones(..) => true,
            Self::KillMysqld(_) | Self::StallApplier(_) | Self::SlowReplica(..) => false,
        }
    }

    /// Begins.
    pub fn strike(&self, world: &World) {
        match self {
            Self::LoseNode(node) => world.lose_node(node),
            Self::LoseZone(zone) => world.lose_zone(zone),
            Self::CutZone(zone) => world.cut_zone_from_control_plane(zone),
            Self::CutZones(a, b) => world.cut_zones(a, b),
            Self::KillMysqld(n) => {
                world.on_nth_tablet(*n, |cluster, tablet| world.kill_mysqld(cluster, tablet));
            }
            Self::StallApplier(n) => {
                world.on_nth_tablet(*n, |cluster, tablet| world.stall_applier(cluster, tablet, true));
            }
            Self::SlowReplica(n, late) => {
                world.on_nth_tablet(*n, |cluster, tablet| world.slow_replica(cluster, tablet, *late));
            }
        }
    }

    /// Ends. Whatever ails an applier ends for all: the list may have changed since.
    pub fn mend(&self, world: &World) {
        match self {
            Self::LoseNode(node) => world.restore_node(node),
            Self::LoseZone(zone) => world.restore_zone(zone),
            Self::CutZone(zone) => world.join_zone_to_control_plane(zone),
            Self::CutZones(a, b) => world.join_zones(a, b),
            Self::KillMysqld(_) => {}
            Self::StallApplier(_) => world.on_every_tablet(|cluster, tablet| {
                world.stall_applier(cluster, tablet, false);
            }),
            Self::SlowReplica(..) => world.on_every_tablet(|cluster, tablet| {
                world.slow_replica(cluster, tablet, 0);
            }),
        }
    }
}

/// Plays a plan from now on, and returns when its last fault is mended.
pub async fn play(world: &World, clock: &Clock, planned: &[Planned]) {
    let began = clock.now_ms();
    let mut moments: Vec<(i64, bool, &Fault)> = Vec::new();
    for p in planned {
        moments.push((p.at, true, &p.fault));
        if p.lasts > 0 {
            moments.push((p.at + p.lasts, false, &p.fault));
        }
    }
    moments.sort_by_key(|(at, strikes, _)| (*at, *strikes));
    for (at, strikes, fault) in moments {
        tokio::time::sleep_until(clock.instant_of(began + at)).await;
        if strikes {
            fault.strike(world);
        } else {
            fault.mend(world);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zones() -> Vec<ZoneSpec> {
        ["a", "b", "c"].map(|z| ZoneSpec { name: z.to_owned(), nodes: 2 }).into()
    }

    #[test]
    fn a_seed_plans_the_same_day() {
        let day = plan(5, &zones(), Weather::default());
        assert_eq!(day, plan(5, &zones(), Weather::default()));
        assert_ne!(day, plan(6, &zones(), Weather::default()));
        assert!(day.len() > 3 && day.windows(2).all(|w| w[0].at < w[1].at), "{day:?}");
    }

    #[test]
    fn every_kind_comes_up_and_places_do_not_overlap() {
        let mut kinds = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let mut free_at = 0;
            for p in plan(seed, &zones(), Weather::default()) {
                kinds.insert(p.fault.to_string()[..2].to_owned());
                if p.fault.is_of_a_place() {
                    assert!(p.at >= free_at);
                    free_at = p.at + p.lasts;
                }
            }
        }
        let all: Vec<&str> = kinds.iter().map(String::as_str).collect();
        assert_eq!(all, ["D1", "D3", "D5", "N1", "N2", "N3", "N4"]);
    }
}
