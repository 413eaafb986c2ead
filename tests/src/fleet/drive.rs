//! A fleet's course: what changes, who is looked at, and what comes of it, in microseconds.
//!
//! Owns virtual time, the one thread that all passes share, and the bucket of requests. As the
//! controller does it: what a cluster's Vitess tells makes it due, the room says who begins, and
//! whoever is through is due again when its pass asks for it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use pilothouse::cache::ClusterKey;
use pilothouse::queue::Queue;
use pilothouse::room::{Room, Turn};
use pilothouse::simulate::Draws;
use pilothouse_core::Millis;
use pilothouse_core::action::Action;
use pilothouse_core::guard::RULES;
use pilothouse_core::pass::{self, Passed, Report, Settled};
use pilothouse_core::plan::{Diagnostic, Outcome, Severity};
use pilothouse_core::view::ClusterView;
use pilothouse_core::zones::ZoneHealth;
use pilothouse_policy::set::PolicySet;

use super::cluster::{Cluster, Look, Refused};
use super::seat::{self, Mail, Seat};
use super::timing::{Limits, Timing};
use super::weather::{Weather, ZONES};

/// 2026-01-01T00:00:00Z: where virtual time begins.
const EPOCH: Millis = 1_767_225_600_000;
/// Three tablets of one shard in three zones.
const VIEW: &str = include_str!("../../cli/primary-lost.yaml");
/// A cluster at rest is looked at this often.
const REST: Millis = 3_600_000;
/// As the controller and its pilot have it: what a guest found is told within this, and after a
/// reparent another pass comes within that.
const TOLD_WITHIN: Millis = 5_000;
const LOOK_AGAIN: Millis = 1_000;
/// The controller acts on what watches tell after this long.
const ECHO: Millis = 50;
/// The statuses of a shard, its keyspace and its cluster, and of a lost zone's cell and lockserver: about
/// as many requests as the whole path sends.
const STATUSES: u64 = 5;
/// Processor time of a pass over an unchanged view.
const UNCHANGED_US: u64 = 1;

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
    /// Servers that ended with transactions of their own, and follow nobody.
    pub errant: usize,
    /// Reparents that no vtctld heard.
    pub in_vain: u64,
    /// Requests sent to the API server.
    pub requests: u64,
    /// Passes.
    pub passes: u64,
    /// Steps that a model cannot take: none is expected.
    pub unplayed: u64,
}

pub(super) fn name(number: usize) -> String {
    format!("c{number:06}")
}

fn key(number: usize) -> ClusterKey {
    ClusterKey { namespace: "fleet".to_owned(), name: name(number) }
}

fn number(key: &ClusterKey) -> usize {
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
enum Event {
    Look(Look),
    /// What a pass waits for is there.
    Answered,
}

type Landed = (Seat, Settled, Passed);

/// A pass under way, and what it waits for.
struct Flight {
    pass: Option<LocalBoxFuture<'static, Landed>>,
    mail: Arc<Mutex<Mail>>,
    reparent: Option<(usize, usize)>,
    /// Nobody hears what it asked for.
    in_vain: bool,
    /// It is over, but for its report: when it is due again, and whether there was nothing to do.
    reports: Option<(Millis, bool)>,
    is_guest: bool,
}

struct Entry {
    cluster: Cluster,
    verdicts: [ZoneHealth; ZONES],
    settled: Settled,
    told: u64,
    untold_since: Option<Millis>,
    packed: bool,
    was_lost: bool,
    replaced: u32,
    flight: Option<Flight>,
}

struct Fleet<'a> {
    setting: &'a Setting<'a>,
    template: Arc<ClusterView>,
    aliases: std::collections::BTreeMap<String, usize>,
    entries: Vec<Entry>,
    queue: Queue,
    room: Room,
    agenda: BinaryHeap<Reverse<(u64, u64, usize, Event)>>,
    pushed: u64,
    draws: Draws,
    now: u64,
    thread_free: u64,
    /// Whether somebody made place since the last turn.
    news: bool,
    last_turn: u64,
    bucket: u64,
    run: Run,
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
            let view = cluster.view(&fleet.template, number, EPOCH, &verdicts);
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
                flight: None,
            });
            let spread = REST * number as u64 / setting.clusters as u64;
            fleet.queue.push(key(number), EPOCH + spread);
        }
        fleet
    }

    fn push(&mut self, at: u64, number: usize, event: Event) {
        self.pushed += 1;
        self.agenda.push(Reverse((at, self.pushed, number, event)));
    }

    const fn now_ms(&self) -> Millis {
        self.now / 1_000
    }

    /// When something happens, or somebody is due and the thread is free.
    fn next(&self) -> Option<u64> {
        let happens = self.agenda.peek().map(|Reverse((at, ..))| *at);
        let due = self.queue.next_idle(|key| self.room.is_busy(key));
        let wake = [due, self.room.look_again(self.now_ms())].into_iter().flatten().min();
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
            }
        }
    }

    /// As a touch of the controller: what differs makes the cluster due.
    fn heard(&mut self, number: usize, before: u64, later: Vec<(Millis, Look)>) {
        for (at, look) in later {
            self.push(at * 1_000, number, Event::Look(look));
        }
        if self.entries[number].cluster.heard != before {
            self.queue.push(key(number), self.now_ms());
        }
    }

    /// Whether a turn could find what the last one did not. The controller takes one whenever it wakes.
    fn has_reason(&self) -> bool {
        let is_due = |at: Millis| at <= self.now_ms();
        self.news
            || self.queue.next_idle(|key| self.room.is_busy(key)).is_some_and(is_due)
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

    fn begin(&mut self, key: &ClusterKey) {
        let number = number(key);
        let as_of = self.now_ms();
        let entry = &mut self.entries[number];
        if std::mem::take(&mut entry.packed) {
            self.thread_free += self.setting.limits.open_us;
        }
        let mail = Arc::<Mutex<Mail>>::default();
        let mut seat = Seat {
            number,
            cluster: entry.cluster.clone(),
            template: Arc::clone(&self.template),
            policies: Arc::clone(&self.setting.policies),
            verdicts: entry.verdicts,
            mail: Arc::clone(&mail),
            recheck_at: None,
        };
        let mut settled = std::mem::take(&mut entry.settled);
        let pass = async move {
            let Ok(passed) = pass::run(&mut seat, &mut settled, RULES, as_of).await;
            (seat, settled, passed)
        };
        let is_guest = self.room.is_guest(key);
        let pass = Some(pass.boxed_local());
        entry.flight = Some(Flight { pass, mail, reparent: None, in_vain: false, reports: None, is_guest });
        self.run.passes += 1;
        let landed = self.poll(number);
        let ran = !matches!(landed, Some((_, _, Passed::Unchanged { .. })));
        self.thread_free += if ran { self.setting.limits.pass_us } else { UNCHANGED_US };
        self.go_on(number, landed, self.thread_free);
    }

    /// Carries a pass on as far as it goes by itself.
    fn poll(&mut self, number: usize) -> Option<Landed> {
        loop {
            let flight = self.entries[number].flight.as_mut()?;
            let mut context = Context::from_waker(Waker::noop());
            match flight.pass.as_mut()?.poll_unpin(&mut context) {
                Poll::Ready(landed) => {
                    flight.pass = None;
                    return Some(landed);
                }
                Poll::Pending => {}
            }
            let mut mail = flight.mail.lock().expect("no panic under the lock");
            match mail.asked.take()? {
                Action::EmergencyReparent { lost, to, .. } => {
                    let of = |alias: &dyn ToString| self.aliases[&alias.to_string()];
                    flight.reparent = Some((of(&lost), of(&to)));
                    return None;
                }
                other => {
                    let message = other.verb().to_owned();
                    mail.answer = Some(Outcome::Failed { code: "NotPlayed".to_owned(), message });
                    self.run.unplayed += 1;
                }
            }
        }
    }

    /// What a pass that was carried on by then needs next.
    fn go_on(&mut self, number: usize, landed: Option<Landed>, at: u64) {
        match landed {
            Some(landed) => self.land(number, landed),
            None => {
                let (timing, draws, entry) =
                    (self.setting.timing, &mut self.draws, &mut self.entries[number]);
                let in_vain =
                    entry.cluster.calls_in_vain(at / 1_000, &timing, |percent| draws.chance(percent));
                if let Some(flight) = &mut entry.flight {
                    flight.in_vain = in_vain.is_some();
                }
                let takes = in_vain.unwrap_or_else(|| draws.range(timing.reparent.0, timing.reparent.1));
                self.push(at + takes * 1_000, number, Event::Answered);
            }
        }
    }

    fn answered(&mut self, number: usize) {
        let now = self.now_ms();
        let Some(flight) = self.entries[number].flight.as_mut() else { return };
        if let Some((requeue, rests)) = flight.reports {
            return self.settle(number, requeue, rests);
        }
        let Some((lost, to)) = flight.reparent.take() else { return };
        let (mail, in_vain) = (Arc::clone(&flight.mail), flight.in_vain);
        let outcome = if in_vain {
            self.run.in_vain += 1;
            Outcome::InDoubt { message: String::new() }
        } else {
            self.replace(number, lost, to, now)
        };
        mail.lock().expect("no panic under the lock").answer = Some(outcome);
        let landed = self.poll(number);
        self.go_on(number, landed, self.now);
    }

    fn replace(&mut self, number: usize, lost: usize, to: usize, now: Millis) -> Outcome {
        let entry = &mut self.entries[number];
        let (lived, heard) = (entry.cluster.lives(now), entry.cluster.heard);
        match entry.cluster.promote(lost, to, now, &self.setting.timing) {
            Ok(later) => {
                entry.replaced += 1;
                self.run.reparents += 1;
                self.run.needless += u64::from(lived);
                self.run.twice += usize::from(entry.replaced == 2);
                if let Some((_, at)) = self.setting.lost.filter(|_| entry.was_lost && entry.replaced == 1) {
                    self.run.took.push(now - EPOCH - at);
                }
                self.heard(number, heard, later);
                Outcome::Done
            }
            Err(Refused(code)) => {
                self.run.refused += 1;
                Outcome::Failed { code: code.to_owned(), message: String::new() }
            }
        }
    }

    /// The pass is over: what it found is told, or waits for the next one.
    fn land(&mut self, number: usize, (seat, settled, passed): Landed) {
        let limits = self.setting.limits;
        let entry = &mut self.entries[number];
        (entry.verdicts, entry.settled) = (seat.verdicts, settled);
        let report = match passed {
            Passed::Unchanged { requeue_after_ms } => return self.settle(number, requeue_after_ms, true),
            Passed::Ran(report) => report,
        };
        self.run.refused += report.refusals.len() as u64;
        let Report { view, outcomes, refusals, diagnostics, mut requeue_after_ms } = *report;
        let is_guest = entry.flight.as_ref().is_some_and(|flight| flight.is_guest);
        let since = *entry.untold_since.get_or_insert(view.as_of);
        let is_replaced = outcomes.iter().any(|(_, outcome)| *outcome == Outcome::Done);
        if limits.guests && (is_replaced || is_guest && view.as_of < since + TOLD_WITHIN) {
            if !outcomes.is_empty() {
                requeue_after_ms = requeue_after_ms.min(LOOK_AGAIN);
            }
            entry.settled = Settled::default();
            return self.settle(number, requeue_after_ms, outcomes.is_empty());
        }
        entry.untold_since = None;
        let rules: Vec<&str> = refusals.iter().map(|refusal| refusal.rule.as_str()).collect();
        let told = told(&view, &diagnostics, &rules, entry.replaced);
        if std::mem::replace(&mut entry.told, told) == told {
            return self.settle(number, requeue_after_ms, outcomes.is_empty());
        }
        let warnings = diagnostics.iter().filter(|d| d.severity != Severity::Info).count();
        let requests = STATUSES + (warnings + outcomes.len()) as u64;
        if let Some(flight) = &mut entry.flight {
            // Its writes come back by the watches a moment later.
            flight.reports = Some((requeue_after_ms.min(ECHO), outcomes.is_empty()));
        }
        let at = self.spend(requests);
        self.push(at, number, Event::Answered);
    }

    /// When so many requests, one after the other, are answered.
    fn spend(&mut self, requests: u64) -> u64 {
        let limits = self.setting.limits;
        let each = 1_000_000 / limits.requests_per_second;
        self.run.requests += requests;
        self.bucket = self.bucket.max(self.now) + requests * each;
        let granted = self.bucket.saturating_sub(limits.burst * each).max(self.now);
        granted.max(self.thread_free) + requests * limits.request * 1_000
    }

    fn settle(&mut self, number: usize, requeue: Millis, rests: bool) {
        self.entries[number].flight = None;
        self.news = true;
        self.room.done(&key(number), rests);
        self.queue.push(key(number), self.now_ms() + requeue.max(1));
    }

    fn end(mut self) -> Run {
        self.run.took.sort_unstable();
        let bad = |entry: &&Entry| entry.cluster.diverged || entry.cluster.missing > 0;
        self.run.diverged = self.entries.iter().filter(bad).count();
        self.run.errant = self.entries.iter().map(|entry| entry.cluster.aside()).sum();
        self.run
    }
}

/// What statuses say of a pass: another number, another status.
fn told(view: &ClusterView, diagnostics: &[Diagnostic], rules: &[&str], replaced: u32) -> u64 {
    let mut h = DefaultHasher::new();
    (&view.shards, rules, replaced).hash(&mut h);
    for zone in &view.zones {
        (zone.health.state, zone.nodes_ready).hash(&mut h);
    }
    for tablet in &view.tablets {
        (tablet.reach, tablet.role, tablet.ready).hash(&mut h);
    }
    for Diagnostic { code, subject, severity, .. } in diagnostics {
        (code, subject, *severity as u8).hash(&mut h);
    }
    h.finish()
}
