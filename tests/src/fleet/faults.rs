//! One run a cluster with a fault of the fault model that a lost zone, a cut and a flap are not.

use std::sync::Arc;

use pilothouse::simulate::Draws;
use pilothouse_core::Millis;
use pilothouse_policy::set::PolicySet;

use super::clock::Wall;
use super::drive::{EPOCH, Setting};
use super::weather::{Cut, Spell, ZONES};

/// When faults begin at the earliest, and the span within which each run's is drawn.
const FROM: Millis = 60_000;
const WITHIN: Millis = 60_000;
/// No run lasts as long.
const FOR_GOOD: Millis = 86_400_000;
/// Runs end so long after that.
const GOES_ON: Millis = 240_000;
const HOUR: i64 = 3_600_000;

/// A fault, as the fault model names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// N2: two zones are gone for a while, the primary's and another.
    TwoZones,
    /// N8: the primary's zone is lost while labels of zones are missing or wrong.
    Labels,
    /// D1: the old primary comes back with a tail that nobody had; then the new one's zone is lost.
    Tail,
    /// D9: the primary's disk stands still, and whoever asks is answered.
    Disk,
    /// H2: the host stands still with a reparent in its hands, and goes on when another has taken over.
    TwoHosts,
    /// H3: the host's clock is set by so much while primaries are lost, in milliseconds.
    ClockSet(i64),
    /// H3: it goes at so many hundredths of the right pace.
    ClockRate(u64),
}

impl Fault {
    /// All that are played.
    pub const ALL: [Self; 9] = [
        Self::TwoZones,
        Self::Labels,
        Self::Tail,
        Self::Disk,
        Self::TwoHosts,
        Self::ClockSet(HOUR),
        Self::ClockSet(-HOUR),
        Self::ClockRate(50),
        Self::ClockRate(200),
    ];

    /// Its name and what it is, for people.
    #[must_use]
    pub fn told(self) -> String {
        match self {
            Self::TwoZones => "N2 two of three zones gone, and back".to_owned(),
            Self::Labels => "N8 zone lost, labels missing or wrong".to_owned(),
            Self::Tail => "D1 a tail kept aside, then the next zone lost".to_owned(),
            Self::Disk => "D9 the primary's disk stands still".to_owned(),
            Self::TwoHosts => "H2 a host stands still in a reparent, and goes on".to_owned(),
            Self::ClockSet(by) => format!("H3 zone lost, the clock set by {} min", by / 60_000),
            Self::ClockRate(percent) => format!("H3 zone lost, the clock at {percent} %"),
        }
    }

    /// Whether a primary is lost for good that somebody can replace.
    #[must_use]
    pub const fn replaces(self) -> bool {
        match self {
            Self::Labels | Self::ClockSet(_) | Self::ClockRate(_) | Self::TwoHosts => true,
            Self::TwoZones | Self::Tail | Self::Disk => false,
        }
    }

    /// So many runs of it.
    #[must_use]
    pub fn runs(self, runs: usize, seed: u64, policies: &Arc<PolicySet>) -> Setting<'static> {
        let weather = move |number: usize| {
            let mut draws = Draws::new(seed, &format!("fault {number}"));
            self.spells(number % ZONES, &mut draws).into()
        };
        let of = Setting::of(runs, seed, policies, weather, FROM + WITHIN + GOES_ON);
        let middle = EPOCH + FROM + WITHIN / 2;
        match self {
            Self::TwoZones | Self::Labels | Self::Tail | Self::Disk => of,
            Self::TwoHosts => {
                let still = move |n: usize| Draws::new(seed, &format!("still {n}")).range(100, 40_000);
                Setting { stands_still: Box::new(move |number| Some(still(number))), ..of }
            }
            Self::ClockSet(by) => {
                Setting { wall: Wall { set: Some((middle, by)), since: EPOCH, percent: 100 }, ..of }
            }
            Self::ClockRate(percent) => Setting { wall: Wall { set: None, since: EPOCH, percent }, ..of },
        }
    }

    fn spells(self, primary: usize, draws: &mut Draws) -> Vec<Spell> {
        let from = FROM + draws.range(0, WITHIN);
        let [one, other] = [(primary + 1) % ZONES, (primary + 2) % ZONES];
        let power = |zone, from, until| Spell { from, until, cut: Cut::Power(zone) };
        let lost = power(primary, from, FOR_GOOD);
        match self {
            Self::TwoZones => {
                let until = from + draws.spread(20_000, 120_000);
                vec![power(primary, from, until), power(one, from, until)]
            }
            Self::Labels => {
                let (skip, take) = draws.pick(&[(0, 1), (1, 1), (1, 2), (0, 3)]);
                let zones = [primary, one, other].into_iter().skip(skip).take(take);
                let label = draws.pick(&[None, Some(primary), Some(one)]);
                let (from, until) = (from - draws.range(0, 30_000), from + draws.range(10_000, 120_000));
                let cuts = zones.map(|zone| Cut::Labels(zone, label));
                cuts.map(|cut| Spell { from, until, cut }).chain([lost]).collect()
            }
            Self::Tail => {
                let until = from + draws.range(20_000, 43_000);
                let cuts = [Cut::Host(primary), Cut::Between(primary, one), Cut::Between(primary, other)];
                let apart = cuts.map(|cut| Spell { from, until, cut });
                // Whoever of the two leads now, its zone is lost in every second run.
                let next = power(draws.pick(&[one, other]), until + draws.range(30_000, 60_000), FOR_GOOD);
                apart.into_iter().chain([next]).collect()
            }
            Self::Disk => {
                let until = from + draws.spread(1_000, 120_000);
                vec![Spell { from, until, cut: Cut::Disks(primary) }]
            }
            Self::TwoHosts => {
                // In every second run the primary is back before the host goes on, at times.
                let back = from + draws.range(10_000, 43_000);
                vec![if draws.chance(50) { lost } else { power(primary, from, back) }]
            }
            Self::ClockSet(_) | Self::ClockRate(_) => vec![lost],
        }
    }
}
