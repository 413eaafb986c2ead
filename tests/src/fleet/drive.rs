//! A fleet's course: what changes, who is looked at, and what comes of it, in microseconds.
//!
//! Owns virtual time, the one thread that all passes share, and the bucket of requests. As the
//! controller does it: what a cluster's Vitess tells makes it due, the room says who begins, and
//! whoever is through is due again when its pass asks for it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use pilothouse::cache::ClusterKey;
use pilothouse::queue::Queue;
use pilothouse::room::{Room, Turn};
use pilothouse::simulate::Draws;
use pilothouse_core::Millis;
use pilothouse_core::pass::Settled;
use pilothouse_core::view::ClusterView;
use pilothouse_core::zones::ZoneHealth;
use pilothouse_policy::set::PolicySet;

use super::checks::FAILS_OVER_WITHIN;
use super::clock::Wall;
use super::cluster::{Cluster, Look};
use super::flights::{Call, Flight, LOOK_AGAIN, told};
use super::seat;
use super::timing::{Limits, Timing};
use super::weather::{Weather, ZONES};

/// 2026-01-01T00:00:00Z: where virtual time begins.
pub(super) const EPOCH: Millis = 1_767_225_600_000;
/// Three tablets of one shard in three zones.
const VIEW: &str = include_str!("../../cli/primary-lost.yaml");
/// A cluster at rest is looked at this often.
const REST: Millis = 3_600_000;

/// What is played.
pub struct Setting<'a> {
    /// How many clusters.
    pub clusters: usize,
    /// Primaries stand in so many zones alike.
    pub primaries_in: usize,
    /// All that is drawn is drawn by this.
    pub seed: u64,
    /// Spans of clusters.
    pub timing: Timing,
    /// What host and API server can do.
    pub limits: Limits,
    /// The policies that serve.
    pub policies: Arc<PolicySet>,
    /// What is broken around a cluster, in milliseconds since the beginning.
    pub weather: Box<dyn Fn(usize) -> Weather + 'a>,
    /// The run ends after so many milliseconds.
    pub span: Millis,
    /// A zone that is lost, and when: from then on clusters with their primaries there are waited for.
    pub lost: Option<(usize, Millis)>,
    /// How the host's clock goes.
    pub wall: Wall,
    /// How long the host stands still once, as it is about to ask for a cluster's next primary. Another has the
    /// Lease after 17 s and goes on; then this one does.
    pub stands_still: Box<dyn Fn(usize) -> Option<Millis> + 'a>,
}

impl<'a> Setting<'a> {
    /// A host whose clock is right and who never stands still, over clusters as Vitess is asked and answers.
    #[must_use]
    pub fn of(
        clusters: usize,
        seed: u64,
        policies: &Arc<PolicySet>,
        weather: impl Fn(usize) -> Weather + 'a,
        span: Millis,
    ) -> Self {
        Self {
            clusters,
            primaries_in: ZONES,
            seed,
            timing: Timing::real(),
            limits: Limits::default(),
            policies: Arc::clone(policies),
            weather: Box::new(weather),
            span,
            lost: None,
            wall: Wall::default(),
            stands_still: Box::new(|_| None),
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Run {
    /// Primaries that were lost with the zone.
    pub lost: usize,
    /// Milliseconds from the zone's loss to each new primary, least first.
    pub took: Vec<Millis>,
    /// Primaries that were replaced.
    pub reparents: u64,
    /// Of them, those that could still have a write acknowledged.
    pub needless: u64,
    /// Clusters whose primary was replaced more than once.
    pub twice: usize,
    /// Steps that the guard refused, and reparents that Vitess did.
    pub refused: u64,
    /// Clusters in which two servers could have a write acknowledged at one time, or a new primary
    /// lacked one that was.
    pub diverged: usize,
    /// Clusters in which somebody was to lead while two zones were dark (S12).
    pub blind: usize,
    /// Clusters in which a server with transactions of its own was to lead (S14).
    pub stray: usize,
    /// Clusters that nobody could write to for longer than [`FAILS_OVER_WITHIN`] although somebody could lead (L2).
    pub late: usize,
    /// The longest that nobody could.
    pub headless: Millis,
    /// Calls of hosts that had lost the Lease meanwhile.
    pub stale: u64,
    /// Servers that ended with transactions of their own, and follow nobody.
    pub errant: usize,
    /// Reparents that no vtctld heard.
    pub in_vain: u64,
    /// Requests sent to the API server.
    pub requests: u64,
    /// Passes.
    pub passes: u64,
    /// Steps that a model cannot take: none is expected but surges, a minute after a loss, which are not counted.
    pub unplayed: u64,
}

pub(super) fn name(number: usize) -> String {
    format!("c{number:06}")
}

pub(super) fn key(number: usize) -> ClusterKey {
    ClusterKey { namespace: "fleet".to_owned(), name: name(number) }
}

pub(super) fn number(key: &ClusterKey) -> usize {
    key.name[1..].parse().expect("a name of ours")
}

/// Plays it.
///
/// # Panics
/// When the template of all views is none: a defect.
#[must_use]
pub fn run(setting: &Setting<'_>) -> Run {
    let mut fleet = Fleet::new(setting);
    let end = (EPOCH + setting.span) * 1_000;
    while let Some(at) = fleet.next().filter(|at| *at <= end) {
        fleet.now = at;
        fleet.happen();
        if at >= fleet.thread_free && fleet.has_reason() {
            fleet.turn();
        }
    }
    fleet.end()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Event {
    Look(Look),
    /// What a pass waits for is there.
    Answered,
    /// A host goes on that stood still.
    GoesOn(Call),
}

pub(super) struct Entry {
    pub(super) cluster: Cluster,
    pub(super) verdicts: [ZoneHealth; ZONES],
    pub(super) settled: Settled,
    pub(super) told: u64,
    pub(super) untold_since: Option<Millis>,
    pub(super) packed: bool,
    pub(super) was_lost: bool,
    pub(super) replaced: u32,
    /// Whether a host has stood still over it.
    pub(super) stood_still: bool,
    /// Nobody looks at it before that: no host has the Lease.
    pub(super) unled_until: Millis,
    pub(super) flight: Option<Flight>,
}

pub(super) struct Fleet<'a> {
    pub(super) setting: &'a Setting<'a>,
    pub(super) template: Arc<ClusterView>,
    pub(super) aliases: std::collections::BTreeMap<String, usize>,
    pub(super) entries: Vec<Entry>,
    pub(super) queue: Queue,
    pub(super) room: Room,
    pub(super) agenda: BinaryHeap<Reverse<(u64, u64, usize, Event)>>,
    pub(super) pushed: u64,
    pub(super) draws: Draws,
    pub(super) now: u64,
    pub(super) thread_free: u64,
    /// Whether somebody made place since the last turn.
    pub(super) news: bool,
    pub(super) last_turn: u64,
    pub(super) bucket: u64,
    pub(super) run: Run,
}

impl<'a> Fleet<'a> {
    fn new(setting: &'a Setting<'a>) -> Self {
        let template: Arc<ClusterView> = Arc::new(serde_yaml_ng::from_str(VIEW).expect("a view"));
        let mut fleet = Self {
            setting,
            aliases: seat::index(&template),
            template,
            entries: Vec::with_capacity(setting.clusters),
            queue: Queue::default(),
            room: Room::default(),
            agenda: BinaryHeap::new(),
            pushed: 0,
            draws: Draws::new(setting.seed, "reparents"),
            now: EPOCH * 1_000,
            thread_free: 0,
            news: false,
            last_turn: 0,
            bucket: 0,
            run: Run::default(),
        };
        let mut phases = Draws::new(setting.seed, "probes");
        let mut connections = Draws::new(setting.seed, "connections");
        let mut graces = Draws::new(setting.seed, "nodes");
        // Nodes are the region's, and the same for all clusters.
        let grace = graces.range(setting.timing.node_grace.0, setting.timing.node_grace.1);
        for number in 0..setting.clusters {
            let weather = (setting.weather)(number).later_by(EPOCH);
            for at in weather.changes() {
                fleet.push(at * 1_000, number, Event::Look(Look::Weather));
            }
            let primary = number % setting.primaries_in;
            let phase = |_| phases.range(0, setting.timing.poll - 1);
            let vtctld = connections.pick(&[0, 1, 2]);
            let cluster = Cluster::new(primary, weather, grace, EPOCH, (vtctld, phase));
            let verdicts = seat::healthy();
            let view = cluster.view(&fleet.template, number, EPOCH, (&verdicts, setting.wall));
            let was_lost = setting.lost.is_some_and(|(zone, _)| zone == primary);
            fleet.run.lost += usize::from(was_lost);
            fleet.entries.push(Entry {
                cluster,
                verdicts,
                settled: Settled::default(),
                told: told(&view, &[], &[], 0),
                untold_since: None,
                packed: true,
                was_lost,
                replaced: 0,
                stood_still: false,
                unled_until: 0,
                flight: None,
            });
            let spread = REST * number as u64 / setting.clusters as u64;
            fleet.queue.push(key(number), EPOCH + spread);
        }
        fleet
    }

    pub(super) fn push(&mut self, at: u64, number: usize, event: Event) {
        self.pushed += 1;
        self.agenda.push(Reverse((at, self.pushed, number, event)));
    }

    pub(super) const fn now_ms(&self) -> Millis {
        self.now / 1_000
    }

    /// When something happens, or somebody is due and the thread is free.
    fn next(&self) -> Option<u64> {
        let happens = self.agenda.peek().map(|Reverse((at, ..))| *at);
        let look_again = self.room.look_again(self.now_ms());
        let wake = self.queue.next_due().into_iter().chain(look_again).min();
        let turns = wake.map(|at| (at * 1_000).max(self.thread_free));
        happens.into_iter().chain(turns).min()
    }

    fn happen(&mut self) {
        while let Some(Reverse((at, ..))) = self.agenda.peek()
            && *at <= self.now
        {
            let Some(Reverse((_, _, number, event))) = self.agenda.pop() else { return };
            match event {
                Event::Look(look) => {
                    let (now, timing) = (self.now_ms(), self.setting.timing);
                    let cluster = &mut self.entries[number].cluster;
                    let heard = cluster.heard;
                    let later = cluster.look(look, now, &timing);
                    self.heard(number, heard, later);
                }
                Event::Answered => self.answered(number),
                Event::GoesOn(call) => self.goes_on(number, call),
            }
        }
    }

    /// As a touch of the controller: what differs makes the cluster due.
    pub(super) fn heard(&mut self, number: usize, before: u64, later: Vec<(Millis, Look)>) {
        for (at, look) in later {
            self.push(at * 1_000, number, Event::Look(look));
        }
        if self.entries[number].cluster.heard != before {
            self.queue.push(key(number), self.now_ms().max(self.entries[number].unled_until));
        }
    }

    /// Whether a turn could find what the last one did not. The controller takes one whenever it wakes.
    fn has_reason(&self) -> bool {
        let is_due = |at: Millis| at <= self.now_ms();
        self.news
            || self.queue.next_due().is_some_and(is_due)
            || self.now >= self.last_turn + LOOK_AGAIN * 1_000
    }

    fn turn(&mut self) {
        (self.news, self.last_turn) = (false, self.now);
        let (entries, template) = (&self.entries, &self.template);
        let guests = self.setting.limits.guests;
        let presses =
            |key: &ClusterKey| guests && entries[number(key)].cluster.observation(template).lost_primary();
        let Turn { begin, pack } = self.room.turn(&mut self.queue, self.now / 1_000, presses);
        for key in &pack {
            self.entries[number(key)].packed = true;
        }
        self.thread_free = self.thread_free.max(self.now);
        for key in begin {
            self.begin(&key);
        }
    }

    fn end(mut self) -> Run {
        self.run.took.sort_unstable();
        for entry in &mut self.entries {
            entry.cluster.check(EPOCH + self.setting.span);
            let checks = &entry.cluster.checks;
            self.run.diverged += usize::from(checks.two_writers || checks.missing > 0);
            self.run.blind += usize::from(checks.blind);
            self.run.stray += usize::from(checks.stray_leads);
            self.run.late += usize::from(checks.headless > FAILS_OVER_WITHIN);
            self.run.headless = self.run.headless.max(checks.headless);
        }
        self.run.errant = self.entries.iter().map(|entry| entry.cluster.aside()).sum();
        self.run
    }
}
