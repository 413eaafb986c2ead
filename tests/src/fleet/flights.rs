//! Passes under way: what each asks, waits for, and is told by.
//!
//! As the controller and its pilot have it, but that a report is so many requests.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use pilothouse::cache::ClusterKey;
use pilothouse_core::Millis;
use pilothouse_core::action::Action;
use pilothouse_core::guard::RULES;
use pilothouse_core::pass::{self, Passed, Report, Settled};
use pilothouse_core::plan::{Diagnostic, Outcome, Severity};
use pilothouse_core::view::ClusterView;

use super::cluster::Refused;
use super::drive::{EPOCH, Event, Fleet, key, number};
use super::seat::{Mail, Seat};

/// As the controller and its pilot have it: what a guest found is told within this, and after a
/// reparent another pass comes within that.
const TOLD_WITHIN: Millis = 5_000;
pub(super) const LOOK_AGAIN: Millis = 1_000;
/// The controller acts on what watches tell after this long.
const ECHO: Millis = 50;
/// Another host has the Lease so long after the last one fell silent: its duration, and the next try.
const TAKES_OVER: Millis = 17_000;
/// The statuses of a shard, its keyspace and its cluster, and of a lost zone's cell and lockserver: about
/// as many requests as the whole path sends.
const STATUSES: u64 = 5;
/// Processor time of a pass over an unchanged view.
const UNCHANGED_US: u64 = 1;

/// A reparent that is asked for: whose place is taken, and by whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Call {
    lost: usize,
    to: usize,
}

type Landed = (Seat, Settled, Passed);

/// A pass under way, and what it waits for.
pub(super) struct Flight {
    pass: Option<LocalBoxFuture<'static, Landed>>,
    mail: Arc<Mutex<Mail>>,
    reparent: Option<Call>,
    /// Nobody hears what it asked for.
    in_vain: bool,
    /// It is over, but for its report: when it is due again, and whether there was nothing to do.
    reports: Option<(Millis, bool)>,
    /// A guest of the room: it does only what cannot wait, waits outside, and tells of it later.
    is_hurried: bool,
}

impl Fleet<'_> {
    /// A pass begins, and goes as far as it goes by itself.
    pub(super) fn begin(&mut self, key: &ClusterKey) {
        let number = number(key);
        let as_of = self.setting.wall.told(self.now_ms());
        let (is_guest, limits) = (self.room.is_guest(key), self.setting.limits);
        let entry = &mut self.entries[number];
        let is_hurried = is_guest && entry.untold_since.is_none_or(|since| as_of < since + TOLD_WITHIN);
        if std::mem::take(&mut entry.packed) {
            self.thread_free += if is_hurried { limits.open_guest_us } else { limits.open_us };
        }
        let mail = Arc::<Mutex<Mail>>::default();
        let mut seat = Seat {
            number,
            cluster: entry.cluster.clone(),
            template: Arc::clone(&self.template),
            policies: Arc::clone(&self.setting.policies),
            verdicts: entry.verdicts,
            wall: self.setting.wall,
            mail: Arc::clone(&mail),
            recheck_at: None,
        };
        let mut settled = std::mem::take(&mut entry.settled);
        let pass = async move {
            let Ok(passed) = pass::run(&mut seat, &mut settled, RULES, as_of).await;
            (seat, settled, passed)
        };
        let pass = Some(pass.boxed_local());
        entry.flight = Some(Flight { pass, mail, reparent: None, in_vain: false, reports: None, is_hurried });
        self.run.passes += 1;
        let landed = self.poll(number);
        let ran = !matches!(landed, Some((_, _, Passed::Unchanged { .. })));
        self.thread_free += if ran { limits.pass_us } else { UNCHANGED_US };
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
                    let call = Call { lost: of(&lost), to: of(&to) };
                    flight.reparent = Some(call);
                    drop(mail);
                    if flight.is_hurried {
                        self.room.step_out(&key(number));
                        self.news = true;
                    }
                    let now = self.now_ms();
                    self.entries[number].cluster.asked(call.to, now);
                    return None;
                }
                other => {
                    let message = other.verb().to_owned();
                    mail.answer = Some(Outcome::Failed { code: "NotPlayed".to_owned(), message });
                    self.run.unplayed +=
                        u64::from(!matches!(other, Action::SurgeTablet { .. } | Action::SurgeGateway { .. }));
                }
            }
        }
    }

    /// What a pass that was carried on by then needs next.
    fn go_on(&mut self, number: usize, landed: Option<Landed>, at: u64) {
        match landed {
            Some(landed) => self.land(number, landed),
            None if self.stands_still(number) => {}
            None => {
                let (timing, draws, entry) =
                    (self.setting.timing, &mut self.draws, &mut self.entries[number]);
                let in_vain =
                    entry.cluster.calls_in_vain(at / 1_000, &timing, |percent| draws.chance(percent));
                if let Some(flight) = &mut entry.flight {
                    flight.in_vain = in_vain.is_some();
                }
                let given_up =
                    if entry.cluster.has_given_up(at / 1_000) { timing.reparent_given_up } else { 0 };
                let takes =
                    in_vain.unwrap_or_else(|| draws.range(timing.reparent.0, timing.reparent.1) + given_up);
                self.push(at + takes * 1_000, number, Event::Answered);
            }
        }
    }

    /// Whether the host stands still now, with a call in its hands; another takes over without its memory.
    fn stands_still(&mut self, number: usize) -> bool {
        let (now, entry) = (self.now_ms(), &mut self.entries[number]);
        let still = (self.setting.stands_still)(number).filter(|_| !entry.stood_still);
        let call = entry.flight.as_ref().and_then(|flight| flight.reparent);
        let Some((still, call)) = still.zip(call) else { return false };
        (entry.stood_still, entry.unled_until) = (true, now + TAKES_OVER);
        (entry.settled, entry.untold_since) = (Settled::default(), None);
        self.push((now + still) * 1_000, number, Event::GoesOn(call));
        self.settle(number, TAKES_OVER, true);
        true
    }

    /// Its call is under way before it knows that it has lost the Lease.
    pub(super) fn goes_on(&mut self, number: usize, call: Call) {
        self.run.stale += 1;
        let _ = self.replace(number, call, self.now_ms());
    }

    /// What a pass waited for is there.
    pub(super) fn answered(&mut self, number: usize) {
        let now = self.now_ms();
        let Some(flight) = self.entries[number].flight.as_mut() else { return };
        if let Some((requeue, rests)) = flight.reports {
            return self.settle(number, requeue, rests);
        }
        let Some(call) = flight.reparent.take() else { return };
        let (mail, in_vain) = (Arc::clone(&flight.mail), flight.in_vain);
        let outcome = if in_vain {
            self.run.in_vain += 1;
            Outcome::InDoubt { message: String::new() }
        } else {
            self.replace(number, call, now)
        };
        mail.lock().expect("no panic under the lock").answer = Some(outcome);
        let landed = self.poll(number);
        self.go_on(number, landed, self.now);
    }

    fn replace(&mut self, number: usize, Call { lost, to }: Call, now: Millis) -> Outcome {
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
        let is_hurried = entry.flight.as_ref().is_some_and(|flight| flight.is_hurried);
        entry.untold_since.get_or_insert(view.as_of);
        let is_replaced = outcomes.iter().any(|(_, outcome)| *outcome == Outcome::Done);
        if limits.guests && (is_replaced || is_hurried) {
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
        self.room.done(&key(number), rests, &mut self.queue);
        let wait = self.setting.wall.wait(self.now_ms(), requeue.max(1));
        self.queue.push(key(number), self.now_ms() + wait);
    }
}

/// What statuses say of a pass: another number, another status.
pub(super) fn told(view: &ClusterView, diagnostics: &[Diagnostic], rules: &[&str], replaced: u32) -> u64 {
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
