//! What befalls a fleet: a lost zone, cuts that only one side sees, flaps, a partition.

use std::sync::Arc;

use pilothouse::simulate::Draws;
use pilothouse_core::Millis;
use pilothouse_policy::set::PolicySet;

use super::drive::Setting;
use super::timing::{Limits, Timing};
use super::weather::{Cut, Spell, Weather, ZONES};

/// When it begins, since the beginning of a run.
const FROM: Millis = 60_000;
/// A run goes on for so long after that: nobody is surged yet.
const GOES_ON: Millis = 120_000;
/// No run lasts as long.
const FOR_GOOD: Millis = 86_400_000;
/// As long as GitHub's sites were apart on 2018-10-21.
const PARTITION: Millis = 43_000;

/// A fleet whose first zone loses its power for good. So many clusters in a hundred have, within
/// the same twenty seconds, a tablet that the host does not reach for a while.
#[must_use]
pub fn zone_lost(
    clusters: usize,
    seed: u64,
    hiccups: u64,
    timing: Timing,
    limits: Limits,
    policies: &Arc<PolicySet>,
) -> Setting<'static> {
    let weather = move |number: usize| {
        let mut spells = vec![Spell { from: FROM, until: FOR_GOOD, cut: Cut::Power(0) }];
        let mut draws = Draws::new(seed, &format!("hiccup {number}"));
        if draws.chance(hiccups) {
            let from = FROM + draws.range(0, 20_000);
            let until = from + draws.range(1_000, 15_000);
            spells.push(Spell { from, until, cut: Cut::Host(draws.pick(&[0, 1, 2])) });
        }
        Weather::from(spells)
    };
    let of = Setting::of(clusters, seed, policies, weather, FROM + GOES_ON);
    Setting { timing, limits, lost: Some((0, FROM)), ..of }
}

/// One run a cluster: cuts that leave somebody who hears the primary, and flaps that are over
/// before anybody could be sure.
#[must_use]
pub fn one_sided(runs: usize, seed: u64, policies: &Arc<PolicySet>) -> Setting<'static> {
    let weather = move |number: usize| {
        let mut draws = Draws::new(seed, &format!("cut {number}"));
        let from = FROM + draws.range(0, 60_000);
        let primary = number % ZONES;
        let [one, other] = [(primary + 1) % ZONES, (primary + 2) % ZONES];
        let cuts = match number / ZONES % 7 {
            0 => vec![Cut::Host(primary)],
            1 => vec![Cut::Host(primary), Cut::Host(one)],
            2 => vec![Cut::Host(primary), Cut::Host(one), Cut::Host(other)],
            3 => vec![Cut::Between(primary, one)],
            4 => vec![Cut::Host(primary), Cut::Between(primary, one)],
            5 => vec![Cut::Between(primary, one), Cut::Between(primary, other)],
            _ => return flaps(&mut draws, from, &isolated(primary)),
        };
        let until = from + draws.spread(5_000, 100_000);
        cuts.into_iter().map(|cut| Spell { from, until, cut }).collect::<Vec<_>>().into()
    };
    alone(runs, seed, policies, weather)
}

/// All ways of a zone.
fn isolated(zone: usize) -> [Cut; 3] {
    let [one, other] = [(zone + 1) % ZONES, (zone + 2) % ZONES];
    [Cut::Host(zone), Cut::Between(zone, one), Cut::Between(zone, other)]
}

/// Away for up to four seconds, and back for some, again and again.
fn flaps(draws: &mut Draws, from: Millis, cuts: &[Cut]) -> Weather {
    let mut spells = Vec::new();
    let mut at = from;
    for _ in 0..8 {
        let until = at + draws.range(300, 4_000);
        spells.extend(cuts.iter().map(|cut| Spell { from: at, until, cut: *cut }));
        at = until + draws.range(1_500, 12_000);
    }
    spells.into()
}

/// Where the host stands in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// With the two other zones.
    Others,
    /// With the primary's zone.
    Primary,
}

/// One run a cluster: the primary's zone is apart from the others for 43 seconds.
#[must_use]
pub fn partition(runs: usize, seed: u64, host: Side, policies: &Arc<PolicySet>) -> Setting<'static> {
    let weather = move |number: usize| {
        let from = FROM + Draws::new(seed, &format!("partition {number}")).range(0, 60_000);
        let primary = number % ZONES;
        let [_, one, other] = isolated(primary);
        let apart = match host {
            Side::Others => vec![Cut::Host(primary)],
            Side::Primary => (0..ZONES).filter(|zone| *zone != primary).map(Cut::Host).collect(),
        };
        let cuts = apart.into_iter().chain([one, other]);
        cuts.map(|cut| Spell { from, until: from + PARTITION, cut }).collect::<Vec<_>>().into()
    };
    alone(runs, seed, policies, weather)
}

/// Runs that have nothing in common but the host.
fn alone(
    runs: usize,
    seed: u64,
    policies: &Arc<PolicySet>,
    weather: impl Fn(usize) -> Weather + 'static,
) -> Setting<'static> {
    Setting::of(runs, seed, policies, weather, 2 * FROM + 2 * GOES_ON)
}
