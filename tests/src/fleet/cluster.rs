//! One cluster of three tablets under semi-sync: what is true of it, and what the host has heard.
//!
//! Pure: times come in, and each change answers what has to be looked at later. Must not know who
//! decides.

use pilothouse_core::Millis;
use pilothouse_core::standing::{self, Heard};

use super::checks::Checks;
use super::timing::Timing;
use super::weather::{Weather, ZONES};

/// Clients write this often.
const WRITE_EVERY: Millis = 100;
/// Transactions that clients can have waiting for acknowledgement at once.
const IN_FLIGHT: u64 = 3;
/// A replica that still hears a primary which the host does not is asked so many times as often, for so long.
const FASTER_IN_DOUBT: Millis = 4;
const IN_DOUBT_FOR: Millis = 10_000;
/// vttablet sees a newer primary and demotes itself; VTOrc gives who follows the wrong one the right one.
const DEMOTES: Millis = 3_000;
const REPAIRED: Millis = 5_000;

/// Transactions by the server that they came from.
pub(super) type Position = [u64; ZONES];

/// Something about a cluster to be looked at later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Look {
    /// The weather changes.
    Weather,
    /// A replica may notice whether it hears its source.
    Hearing(usize),
    /// A probe of a tablet begins.
    Probe(usize),
    /// The probe that began then is over.
    Silent(usize, Millis),
    /// Whoever is not what the topology says may be put right.
    Repair(usize),
    /// Kubernetes may call nodes of a zone Unknown.
    Nodes,
}

type Later = Vec<(Millis, Look)>;

#[derive(Debug, Clone)]
pub(super) struct Tablet {
    source: Option<usize>,
    /// Whether its receiver's connection leads somewhere, in truth, and since when that has been so.
    connected: bool,
    connected_since: Millis,
    /// Whether it believes so.
    hears: bool,
    writable: bool,
    pub(super) has: Position,
    /// Its probes begin at this much beyond whole polls.
    phase: Millis,
    pub(super) reach: bool,
    pub(super) reach_since: Millis,
    answered_at: Millis,
    pub(super) told: Told,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) source: Option<usize>,
    pub(super) hears: bool,
    pub(super) writable: bool,
}

/// A reparent that Vitess refused.
pub(super) struct Refused(pub(super) &'static str);

#[derive(Debug, Clone)]
pub(super) struct Cluster {
    pub(super) primary: usize,
    pub(super) primary_since: Millis,
    pub(super) tablets: [Tablet; ZONES],
    acked: Position,
    settled_at: Millis,
    pub(super) weather: Weather,
    grace: Millis,
    /// The zone that the connection to vtctld leads to.
    vtctld: usize,
    pub(super) nodes_ready: [bool; ZONES],
    /// Counts what the host has heard that differs.
    pub(super) heard: u64,
    /// The zones that nodes are labelled with, as Kubernetes tells.
    pub(super) labels: [Option<usize>; ZONES],
    pub(super) checks: Checks,
}

impl Cluster {
    /// One that has been well for long; `phase` draws when its tablets are probed.
    pub(super) fn new(
        primary: usize,
        weather: Weather,
        grace: Millis,
        now: Millis,
        (vtctld, phase): (usize, impl FnMut(usize) -> Millis),
    ) -> Self {
        let mut has = [0; ZONES];
        has[primary] = 100;
        let tablet = |(zone, phase): (usize, Millis)| Tablet {
            source: (zone != primary).then_some(primary),
            connected: zone != primary,
            connected_since: 0,
            hears: zone != primary,
            writable: zone == primary,
            has,
            phase,
            reach: true,
            reach_since: 0,
            answered_at: now,
            told: Told {
                source: (zone != primary).then_some(primary),
                hears: zone != primary,
                writable: zone == primary,
            },
        };
        let mut phase = phase;
        Self {
            primary,
            primary_since: 0,
            tablets: std::array::from_fn(|zone| tablet((zone, phase(zone)))),
            acked: has,
            settled_at: now,
            weather,
            grace,
            vtctld,
            nodes_ready: [true; ZONES],
            heard: 0,
            labels: std::array::from_fn(Some),
            checks: Checks::default(),
        }
    }

    /// Looks; answers what to look at later. [`Cluster::heard`] counts up if the host heard something.
    pub(super) fn look(&mut self, look: Look, now: Millis, timing: &Timing) -> Later {
        self.settle(now);
        let mut later = Later::new();
        match look {
            Look::Weather => {
                self.relabel(now);
                (0..ZONES).for_each(|zone| self.relink(zone, now, timing, &mut later));
                later.push((now + self.grace, Look::Nodes));
                later.push((now + 10_000, Look::Nodes));
                later.extend((0..ZONES).map(|zone| (now + DEMOTES, Look::Repair(zone))));
            }
            Look::Hearing(zone) => self.notice(zone, now, timing, &mut later),
            Look::Probe(zone) => self.probe(zone, now, timing, &mut later),
            Look::Silent(zone, began) => {
                let tablet = &mut self.tablets[zone];
                if tablet.answered_at <= began && tablet.reach {
                    (tablet.reach, tablet.reach_since) = (false, began);
                    self.heard += 1;
                    self.hurry(zone, now, timing, &mut later);
                }
            }
            Look::Repair(zone) => self.repair(zone, now, timing, &mut later),
            Look::Nodes => self.judge_nodes(now),
        }
        self.check(now);
        later
    }

    fn relabel(&mut self, now: Millis) {
        let labels = std::array::from_fn(|zone| self.weather.label(zone, now));
        self.heard += u64::from(labels != self.labels);
        self.labels = labels;
    }

    /// A kubelet that is back says so within its Lease's renewal; one that is silent is Unknown after the grace.
    fn judge_nodes(&mut self, now: Millis) {
        for zone in 0..ZONES {
            let ready = match self.weather.silent_since(zone, now) {
                Some(since) => self.nodes_ready[zone] && now < since + self.grace,
                None => true,
            };
            self.heard += u64::from(ready != self.nodes_ready[zone]);
            self.nodes_ready[zone] = ready;
        }
    }

    fn next_probe(&self, zone: usize, now: Millis, timing: &Timing) -> (Millis, Look) {
        let primary = &self.tablets[self.primary];
        let in_doubt = self.is_witness(zone) && now < primary.reach_since + IN_DOUBT_FOR;
        let pace = if in_doubt { (timing.poll / FASTER_IN_DOUBT).max(1) } else { timing.poll };
        let phase = self.tablets[zone].phase % pace;
        let polls = (now + pace - phase - 1) / pace;
        (polls * pace + phase, Look::Probe(zone))
    }

    /// One that is worse than before makes all others be probed at once, and from then on.
    fn hurry(&mut self, worse: usize, now: Millis, timing: &Timing, later: &mut Later) {
        for zone in (0..ZONES).filter(|zone| *zone != worse) {
            self.tablets[zone].phase = now % timing.poll;
            later.push((now, Look::Probe(zone)));
        }
    }

    /// Whether a replica is asked when it last heard its source: that one is silent to the host.
    fn is_witness(&self, zone: usize) -> bool {
        let tablet = &self.tablets[zone];
        tablet.hears && tablet.source == Some(self.primary) && !self.tablets[self.primary].reach
    }

    /// What a tablet that is probed now tells, as the host's client of Vitess reads it.
    fn answer(&self, zone: usize, now: Millis, timing: &Timing) -> Told {
        let tablet = &self.tablets[zone];
        // The last of the clients' writes came before the way was gone.
        let last = if tablet.connected { now } else { tablet.connected_since / WRITE_EVERY * WRITE_EVERY };
        let heard = Heard { ago_ms: Some(now - last), heartbeat_ms: timing.heartbeat };
        let hears = standing::hears(tablet.hears, self.is_witness(zone).then_some(heard));
        Told { source: tablet.source, hears, writable: tablet.writable }
    }

    /// Whether a replica that a reparent waits for has given its source up, and is connecting anew.
    pub(super) fn has_given_up(&self, now: Millis) -> bool {
        let reached = (0..ZONES).filter(|zone| self.weather.answers(*zone, now));
        let mut tablets = reached.map(|zone| &self.tablets[zone]);
        tablets.any(|tablet| tablet.source == Some(self.primary) && !tablet.hears)
    }

    /// The ways to and from a tablet are as the weather has them.
    fn relink(&mut self, zone: usize, now: Millis, timing: &Timing, later: &mut Later) {
        later.push(self.next_probe(zone, now, timing));
        let source = self.tablets[zone].source;
        let connected = source.is_some_and(|source| self.weather.linked(zone, source, now));
        let tablet = &mut self.tablets[zone];
        if connected != tablet.connected {
            (tablet.connected, tablet.connected_since) = (connected, now);
            let wait = if connected { timing.source_connect } else { timing.source_timeout };
            later.push((now + wait, Look::Hearing(zone)));
        }
        self.replicate();
    }

    fn notice(&mut self, zone: usize, now: Millis, timing: &Timing, later: &mut Later) {
        let next = self.next_probe(zone, now, timing);
        let tablet = &mut self.tablets[zone];
        let wait = if tablet.connected { timing.source_connect } else { timing.source_timeout };
        if now >= tablet.connected_since + wait && tablet.hears != tablet.connected {
            tablet.hears = tablet.connected;
            later.push(next);
        }
    }

    fn probe(&mut self, zone: usize, now: Millis, timing: &Timing, later: &mut Later) {
        if !self.weather.answers(zone, now) {
            later.push((now + timing.probe, Look::Silent(zone, now)));
            return;
        }
        let told = self.answer(zone, now, timing);
        if self.is_witness(zone) && told.hears && !self.tablets[zone].connected {
            later.push(self.next_probe(zone, now + 1, timing));
        }
        let tablet = &mut self.tablets[zone];
        let news = !tablet.reach || told != tablet.told;
        (tablet.told, tablet.answered_at) = (told, now);
        if !tablet.reach {
            (tablet.reach, tablet.reach_since) = (true, now);
        }
        self.heard += u64::from(news);
    }

    /// Once it hears of a newer primary, an old one demotes itself; who may follow, follows.
    fn repair(&mut self, zone: usize, now: Millis, timing: &Timing, later: &mut Later) {
        let primary = self.primary;
        let is_wrong = zone != primary && self.tablets[zone].source != Some(primary);
        if !is_wrong || !self.weather.answers(zone, now) {
            return;
        }
        self.tablets[zone].writable = false;
        if self.errant(zone) == [0; ZONES] {
            self.follow(zone, now, timing, later);
        }
    }

    fn follow(&mut self, zone: usize, now: Millis, timing: &Timing, later: &mut Later) {
        let tablet = &mut self.tablets[zone];
        (tablet.source, tablet.writable, tablet.hears) = (Some(self.primary), false, false);
        tablet.connected = false;
        self.relink(zone, now, timing, later);
    }

    /// Transactions of a tablet that the primary never had; what came from its own server it had.
    pub(super) fn errant(&self, zone: usize) -> Position {
        let (own, primary) = (self.tablets[zone].has, self.tablets[self.primary].has);
        std::array::from_fn(|s| if s == self.primary { 0 } else { own[s].saturating_sub(primary[s]) })
    }

    /// How many servers have transactions of their own and follow nobody.
    pub(super) fn aside(&self) -> usize {
        let is_errant = |zone: &usize| self.errant(*zone) != [0; ZONES];
        (0..ZONES).filter(is_errant).filter(|zone| self.tablets[*zone].source.is_none()).count()
    }

    /// Servers that can have a write acknowledged now, by their own state alone.
    pub(super) fn able(&self) -> impl Iterator<Item = usize> {
        (0..ZONES).filter(|zone| self.is_able(*zone, self.settled_at))
    }

    fn is_able(&self, zone: usize, now: Millis) -> bool {
        let stands = |zone: usize| self.weather.powered(zone, now) && self.weather.writes(zone, now);
        let acks = |other: usize| self.follows(other, zone) && stands(other);
        self.tablets[zone].writable && stands(zone) && (0..ZONES).any(acks)
    }

    /// Whether the primary can have a write acknowledged.
    pub(super) fn lives(&self, now: Millis) -> bool {
        self.is_able(self.primary, now)
    }

    /// Whether a server is connected to that one, in truth.
    pub(super) fn follows(&self, zone: usize, source: usize) -> bool {
        self.tablets[zone].connected && self.tablets[zone].source == Some(source)
    }

    /// Clients' writes up to now.
    fn settle(&mut self, now: Millis) {
        let writes = now / WRITE_EVERY - self.settled_at / WRITE_EVERY;
        self.settled_at = now;
        let able: Vec<usize> = self.able().collect();
        let stands = |zone: &usize| self.weather.powered(*zone, now) && self.weather.writes(*zone, now);
        for zone in (0..ZONES).filter(stands).collect::<Vec<_>>() {
            let waiting = self.tablets[zone].has[zone].saturating_sub(self.acked[zone]);
            let most = if able.contains(&zone) { writes } else { IN_FLIGHT.saturating_sub(waiting) };
            if self.tablets[zone].writable {
                self.tablets[zone].has[zone] += writes.min(most);
            }
        }
        self.replicate();
    }

    /// Whoever is connected has all, and what somebody has is acknowledged.
    fn replicate(&mut self) {
        for zone in 0..ZONES {
            let takes = self.tablets[zone].connected && self.weather.writes(zone, self.settled_at);
            let Some(source) = self.tablets[zone].source.filter(|_| takes) else { continue };
            let all = self.tablets[source].has;
            for (own, theirs) in self.tablets[zone].has.iter_mut().zip(all) {
                *own = theirs.max(*own);
            }
            if self.tablets[source].writable {
                self.acked[source] = all[source];
            }
        }
    }

    /// How long a call of vtctld waits in vain that begins now; `None`: it is heard.
    pub(super) fn calls_in_vain(
        &self,
        now: Millis,
        timing: &Timing,
        chance: impl FnOnce(u64) -> bool,
    ) -> Option<Millis> {
        let calls = timing.vtctld?;
        let silent = now - self.weather.silent_since(self.vtctld, now)?;
        if silent < calls.shared {
            return Some(calls.call);
        }
        let alone = silent < calls.shared + calls.call;
        (alone && chance(calls.astray_percent)).then_some(calls.connect)
    }

    /// `EmergencyReparentShard` at its end: vtctld reaches whom the host reaches.
    pub(super) fn promote(
        &mut self,
        lost: usize,
        to: usize,
        now: Millis,
        timing: &Timing,
    ) -> Result<Later, Refused> {
        self.settle(now);
        let reached: Vec<usize> = (0..ZONES).filter(|zone| self.weather.answers(*zone, now)).collect();
        if lost != self.primary {
            return Err(Refused("NotThePrimary"));
        }
        if !reached.contains(&to) || reached.len() + 1 < ZONES {
            return Err(Refused("NotSafe"));
        }
        let mut all = [0; ZONES];
        for &zone in reached.iter().filter(|zone| self.errant(**zone) == [0; ZONES]) {
            all = std::array::from_fn(|s| self.tablets[zone].has[s].max(all[s]));
        }
        self.checks.missing += (0..ZONES).map(|s| self.acked[s].saturating_sub(all[s])).sum::<u64>();
        let mut later = Later::new();
        (self.primary, self.primary_since) = (to, now);
        let tablet = &mut self.tablets[to];
        (tablet.has, tablet.source, tablet.writable) = (all, None, true);
        (tablet.connected, tablet.hears) = (false, false);
        tablet.has[to] += 1; // the journal's entry of the reparent
        self.acked[to] = self.tablets[to].has[to];
        for zone in reached.into_iter().filter(|zone| *zone != to) {
            self.follow(zone, now, timing, &mut later);
        }
        self.heard += 1; // vtctld is listed at once after a reparent
        later.push(self.next_probe(to, now, timing));
        later.extend((0..ZONES).map(|zone| (now + REPAIRED, Look::Repair(zone))));
        self.check(now);
        Ok(later)
    }
}
