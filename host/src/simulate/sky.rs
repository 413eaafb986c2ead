//! What is wrong right now, as requests and watches meet it.
//!
//! Owns the episodes under way, the host's pending death, the trace and the
//! violations found. Clones of the handle share one state.

use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pilothouse_sim::apiserver::ApiServer;
use pilothouse_sim::checkers::Violation;
use pilothouse_sim::clock::Clock;
use tokio::sync::watch;
use tokio::time::Instant;

use super::bell::{Bell, Ear};
use super::draws::Draws;
use super::mix::Fault;
use super::request::{Asked, Verb};
use super::weather::{Episode, Kill};

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is served.
    Served,
    /// It is refused with that status, and seconds to wait.
    Refused(u16, Option<u64>),
    /// It is committed, and the answer lost after so many milliseconds.
    AnswerLost { after: u64, how: Lost },
    /// It is answered as lost after `answer` milliseconds and applied after `apply`.
    Delayed { answer: u64, how: Lost, apply: u64 },
    /// It is answered as of that resourceVersion.
    AsOf(u64),
}

/// How a lost answer looks to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// 504.
    Timeout,
    /// The connection breaks.
    Broken,
}

/// What a request meets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Met {
    pub(super) fate: Fate,
    /// Milliseconds on the way there, and back.
    pub(super) latency: (u64, u64),
    /// The host dies before it is sent (true), or after it is committed.
    pub(super) kill: Option<bool>,
}

/// What an open watch meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Open,
    /// Tells nothing until then.
    Stalled(Instant),
    /// Tells late, merged and twice, until then.
    Jumbled,
    /// It is over: cleanly, or broken.
    Dropped(Lost),
}

struct Active {
    episode: Episode,
    until: i64,
    /// A7: as of this resourceVersion.
    as_of: u64,
}

struct Drop {
    resource: Option<&'static str>,
    number: u64,
    how: Lost,
}

struct State {
    active: Vec<Active>,
    drops: Vec<Drop>,
    kill: Option<(Kill, bool)>,
    draws: Draws,
    trace: Option<String>,
    violations: Vec<Violation>,
    writes: Vec<(i64, String)>,
    requests: u64,
    struck: u64,
}

/// The handle.
pub(super) struct Sky {
    state: Mutex<State>,
    api: ApiServer,
    clock: Clock,
    began: i64,
    /// Counts up when an open watch has to look again.
    news: Bell,
    /// How many incarnations of the host are dead.
    dead: watch::Sender<u64>,
}

impl Sky {
    pub(super) fn new(seed: u64, api: &ApiServer, traced: bool) -> Self {
        let state = State {
            active: Vec::new(),
            drops: Vec::new(),
            kill: None,
            draws: Draws::new(seed, "requests"),
            trace: traced.then(String::new),
            violations: Vec::new(),
            writes: Vec::new(),
            requests: 0,
            struck: 0,
        };
        let clock = api.clock();
        let began = clock.now_ms();
        Self {
            state: Mutex::new(state),
            api: api.clone(),
            clock,
            began,
            news: Bell::default(),
            dead: watch::Sender::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Milliseconds since the beginning.
    pub(super) fn elapsed(&self) -> i64 {
        self.clock.now_ms() - self.began
    }

    /// The moment of so many milliseconds since the beginning.
    pub(super) fn instant_of(&self, elapsed: i64) -> Instant {
        self.clock.instant_of(self.began + elapsed)
    }

    /// Adds a line to the trace, if there is one.
    pub(super) fn note(&self, line: impl FnOnce() -> String) {
        let at = self.elapsed();
        if let Some(trace) = &mut self.lock().trace {
            let _ = writeln!(trace, "{at:>9} {}", line());
        }
    }

    /// Adds what a checker found.
    pub(super) fn blame(&self, violations: impl IntoIterator<Item = Violation>) {
        for violation in violations {
            self.note(|| format!("VIOLATION {} {}", violation.id, violation.message));
            self.lock().violations.push(violation);
        }
    }

    /// Adds what is broken now.
    pub(super) fn blame_now(&self, id: &'static str, message: String) {
        self.blame([Violation { id, message, at: self.clock.now_ms() }]);
    }

    /// Begins an episode.
    pub(super) fn begin(&self, episode: Episode) {
        self.note(|| format!("fault {}", told(&episode)));
        let until = self.clock.now_ms() + episode.lasts;
        let as_of = self.api.newest().saturating_sub(episode.lag).max(1);
        let mut state = self.lock();
        state.struck += 1;
        if episode.drops && matches!(episode.fault, Fault::A5 | Fault::A6 | Fault::A7) {
            let how = if state.draws.chance(50) { Lost::Timeout } else { Lost::Broken };
            let number = self.news.rung() + 1;
            state.drops.push(Drop { resource: episode.resource, number, how });
        }
        state.active.push(Active { episode, until, as_of });
        drop(state);
        self.news.ring();
    }

    /// Ends every episode and disarms.
    pub(super) fn clear(&self) {
        let mut state = self.lock();
        state.active.clear();
        state.kill = None;
        drop(state);
        self.news.ring();
    }

    /// Counts a fault of the world.
    pub(super) fn struck(&self) {
        self.lock().struck += 1;
    }

    /// Prepares the host's death.
    pub(super) fn arm(&self, kill: Kill, again: bool) {
        self.note(|| format!("fault H1 armed: {kill:?}{}", if again { ", twice" } else { "" }));
        let mut state = self.lock();
        state.struck += 1;
        if kill == Kill::Now {
            drop(state);
            return self.kill_now(again);
        }
        state.kill = Some((kill, again));
    }

    /// The host dies now.
    pub(super) fn kill(&self) {
        self.kill_now(false);
    }

    fn kill_now(&self, again: bool) {
        let nth = {
            let mut state = self.lock();
            let nth = state.draws.range(1, 4);
            state.kill = again.then_some((Kill::Write { nth, before: nth.is_multiple_of(2) }, false));
            nth
        };
        self.note(|| {
            format!(
                "host killed{}",
                if again { format!(", and again at write {nth}") } else { String::new() }
            )
        });
        self.dead.send_modify(|n| *n += 1);
    }

    /// The host asked Vitess for a reparent.
    pub(super) fn reparent_asked(&self) {
        let armed = self.lock().kill;
        if let Some((Kill::Reparent, again)) = armed {
            self.kill_now(again);
        }
    }

    /// The host ended by itself.
    pub(super) fn bury(&self, incarnation: u64) {
        self.dead.send_modify(|n| *n = (*n).max(incarnation + 1));
    }

    /// History is forgotten, up to now.
    pub(super) fn compact(&self) {
        let newest = self.api.newest();
        self.note(|| format!("history forgotten up to {newest}"));
        self.api.compact(newest);
    }

    /// Whether that incarnation of the host is dead.
    pub(super) fn is_dead(&self, incarnation: u64) -> bool {
        *self.dead.borrow() > incarnation
    }

    /// Tells of deaths.
    pub(super) fn deaths(&self) -> watch::Receiver<u64> {
        self.dead.subscribe()
    }

    /// The host dies at this request.
    pub(super) fn kill_at_request(&self) {
        let again = self.lock().kill.is_some_and(|(_, again)| again);
        self.kill_now(again);
    }

    /// Tells when an open watch has to look again.
    pub(super) fn news(&self) -> Ear {
        self.news.ear()
    }

    /// What this request meets.
    pub(super) fn meet(&self, asked: &Asked, path: &str) -> Met {
        let now = self.clock.now_ms();
        let mut state = self.lock();
        state.requests += 1;
        if asked.is_write() {
            state.writes.push((now, format!("{:?} {path}", asked.verb)));
        }
        state.meet(asked, now)
    }

    /// What a watch of that kind meets that was opened at `opened`.
    pub(super) fn mood(&self, resource: &str, opened: u64) -> Mood {
        let now = self.clock.now_ms();
        let state = self.lock();
        let about = |of: Option<&'static str>| of.is_none_or(|r| r == resource);
        if let Some(dropped) = state.drops.iter().find(|d| d.number > opened && about(d.resource)) {
            return Mood::Dropped(dropped.how);
        }
        let mine = || state.active.iter().filter(|a| a.until > now && about(a.episode.resource));
        let stalls = |f: Fault| matches!(f, Fault::A5 | Fault::A6 | Fault::A7 | Fault::A8);
        let stalled = mine().filter(|a| stalls(a.episode.fault) && !dropped_only(&a.episode));
        if let Some(until) = stalled.map(|a| a.until).max() {
            return Mood::Stalled(self.clock.instant_of(until));
        }
        if mine().any(|a| a.episode.fault == Fault::A9) { Mood::Jumbled } else { Mood::Open }
    }

    /// One draw for a watch's events.
    pub(super) fn draw(&self, low: u64, high: u64) -> u64 {
        self.lock().draws.range(low, high)
    }

    /// Every write that the host sent since `elapsed`, by milliseconds since the beginning.
    pub(super) fn writes_since(&self, elapsed: i64) -> Vec<(i64, String)> {
        let state = self.lock();
        let of = |(at, what): &(i64, String)| (at - self.began, what.clone());
        state.writes.iter().filter(|(at, _)| at - self.began >= elapsed).map(of).collect()
    }

    /// Trace, violations; requests, writes, faults, deaths.
    pub(super) fn end(&self) -> (String, Vec<Violation>, [u64; 4]) {
        let mut state = self.lock();
        let writes = u64::try_from(state.writes.len()).unwrap_or(u64::MAX);
        let counts = [state.requests, writes, state.struck, *self.dead.borrow()];
        (state.trace.take().unwrap_or_default(), std::mem::take(&mut state.violations), counts)
    }
}

/// A5 with dropped watches does not stall them besides.
fn dropped_only(episode: &Episode) -> bool {
    episode.fault == Fault::A5 && episode.drops
}

fn told(episode: &Episode) -> String {
    let Episode { fault, resource, percent, lasts, lag, drops } = episode;
    let of = resource.unwrap_or("every kind");
    let drops = if *drops { ", watches dropped" } else { "" };
    format!("{fault} of {of} for {lasts} ms, {percent} %, lag {lag}{drops}")
}

impl State {
    fn meet(&mut self, asked: &Asked, now: i64) -> Met {
        let mut met = Met { fate: Fate::Served, latency: (0, 0), kill: None };
        if !self.active.is_empty() {
            self.active.retain(|a| a.until > now);
            let resource = asked.kind.resource.clone();
            let draws = &mut self.draws;
            for active in &self.active {
                let Episode { fault, resource: only, percent, .. } = &active.episode;
                if only.is_some_and(|r| r != resource) {
                    continue;
                }
                met.latency = (draws.range(0, 150), draws.range(0, 150));
                if draws.chance(*percent)
                    && let Some(fate) = fate(*fault, asked, active.as_of, draws)
                {
                    met.fate = fate;
                    break;
                }
            }
        }
        if asked.is_write() {
            met.kill = self.count_down();
        }
        met
    }

    /// One write nearer to the host's death; answers how it dies at this one.
    fn count_down(&mut self) -> Option<bool> {
        let (Kill::Write { nth, before }, again) = self.kill? else { return None };
        if nth > 1 {
            self.kill = Some((Kill::Write { nth: nth - 1, before }, again));
            return None;
        }
        Some(before)
    }
}

fn fate(fault: Fault, asked: &Asked, as_of: u64, draws: &mut Draws) -> Option<Fate> {
    let write = asked.is_write();
    let mut lost = || if draws.chance(50) { Lost::Timeout } else { Lost::Broken };
    match fault {
        Fault::A1 => write.then_some(Fate::Refused(409, None)),
        Fault::A2 => {
            let code = draws.pick(&[429, 429, 500, 503, 504]);
            let wait = (code == 429 && draws.chance(50)).then(|| draws.range(1, 10));
            Some(Fate::Refused(code, wait))
        }
        Fault::A3 | Fault::A8 => {
            let how = lost();
            write.then(|| Fate::AnswerLost { after: draws.spread(1, 30_000), how })
        }
        Fault::A4 => {
            let how = lost();
            write.then(|| Fate::Delayed {
                answer: draws.spread(1, 30_000),
                how,
                apply: draws.spread(10, 300_000),
            })
        }
        Fault::A7 => matches!(asked.verb, Verb::Get | Verb::List).then_some(Fate::AsOf(as_of)),
        Fault::A5
        | Fault::A6
        | Fault::A9
        | Fault::H1
        | Fault::N1
        | Fault::N2
        | Fault::N3
        | Fault::N4
        | Fault::D3
        | Fault::D5 => None,
    }
}
