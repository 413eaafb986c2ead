//! The control loop: watches in, passes over clusters that are due, reports out.
//!
//! Owns the queue and each cluster's memory between passes. Decides nothing;
//! one cluster's failure or slowness never holds another back.

use std::collections::{BTreeMap, BTreeSet};
use std::convert;
use std::sync::{Arc, Mutex};

use futures::stream::{FuturesUnordered, StreamExt};
use futures::{FutureExt, future};
use kube::Client;
use pilothouse_core::Millis;
use pilothouse_core::guard::Rule;
use pilothouse_core::pass::{self, Passed};
use pilothouse_policy::set::PolicySet;
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio_util::sync::CancellationToken;

use crate::actuate::Effects;
use crate::cache::{Cache, ClusterKey};
use crate::clock::Clock;
use crate::pilot::{Judging, Memory, Outside, Pilot, Postponed, Stages};
use crate::queue::Queue;
use crate::report::Told;
use crate::room::{Room, Turn};
use crate::telemetry::{PassLabels, Telemetry};
use crate::vitess::Vitess;
use crate::watch;

/// A change is acted on after this long, so that a burst leads to one pass.
const SETTLE_MS: Millis = 50;
/// A pass whose view could not be made is tried again after this long.
const RETRY_MS: Millis = 5_000;

/// What a controller runs on.
pub struct Parts {
    /// The way to the API server.
    pub client: Client,
    /// The way to Vitess.
    pub vitess: Vitess,
    /// The policies that serve.
    pub policies: Arc<PolicySet>,
    /// The guard's rules; only a test passes another list than the guard's own.
    pub rules: Vec<Rule>,
    /// The host's clock.
    pub clock: Clock,
    /// The host's numbers.
    pub telemetry: Telemetry,
    /// Only clusters of this namespace; `None`: all.
    pub namespace: Option<String>,
    /// How the region judges.
    pub judging: Judging,
}

/// A pass that has ended.
struct Finished {
    key: ClusterKey,
    memory: Memory,
    passed: Result<Passed, crate::pilot::Error>,
    /// When the next one begins at the latest.
    due: Millis,
}

/// The control loop, with what makes stages of a pilot.
pub struct Controller<W = fn(Pilot) -> Pilot> {
    effects: Effects,
    policies: Arc<PolicySet>,
    rules: Arc<[Rule]>,
    namespace: Option<String>,
    judging: Judging,
    queue: Queue,
    memories: BTreeMap<ClusterKey, Memory>,
    room: Room,
    outside: Outside,
    steps_out: UnboundedReceiver<ClusterKey>,
    around: W,
}

impl Controller {
    /// A controller that has seen nothing yet.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self::around(parts, convert::identity)
    }
}

impl<W: Fn(Pilot) -> S, S: Stages> Controller<W> {
    /// A controller whose every pilot is wrapped; only a test wraps any.
    #[must_use]
    pub fn around(parts: Parts, around: W) -> Self {
        let Parts { client, vitess, policies, rules, clock, telemetry, namespace, judging } = parts;
        let cache = Arc::new(Mutex::new(Cache::default()));
        let (outside, steps_out) = mpsc::unbounded_channel();
        Self {
            effects: Effects { client, vitess, cache, clock, telemetry },
            policies,
            rules: rules.into(),
            namespace,
            judging,
            queue: Queue::default(),
            memories: BTreeMap::new(),
            room: Room::default(),
            outside,
            steps_out,
            around,
        }
    }

    /// Runs until `stop`; passes under way then finish the step that they are at.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut changes = watch::all(&self.effects.client, self.namespace.as_deref());
        let mut vitess = self.effects.vitess.changes();
        let mut flying = FuturesUnordered::new();
        while !stop.is_cancelled() {
            while let Ok(key) = self.steps_out.try_recv() {
                self.room.step_out(&key);
            }
            while let Some(Some(change)) = changes.next().now_or_never() {
                self.absorb(change);
            }
            for key in self.due() {
                flying.push(self.pass(key));
            }
            let wake = self.wake().filter(|_| self.is_synced());
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                Some(change) = changes.next() => self.absorb(change),
                Some(finished) = flying.next() => self.settle(finished),
                Some(key) = self.steps_out.recv() => self.room.step_out(&key),
                touched = vitess.changed() => self.touch(touched),
                () = until(&self.effects.clock, wake) => {}
            }
        }
        self.effects.telemetry.set_ready(false);
        while let Some(finished) = flying.next().await {
            self.settle(finished);
        }
        self.effects.vitess.hand_back().await;
    }

    /// When somebody is due, or may have a place at last.
    fn wake(&self) -> Option<Millis> {
        let look_again = self.room.look_again(self.effects.clock.now());
        self.queue.next_due().into_iter().chain(look_again).min()
    }

    fn is_synced(&self) -> bool {
        self.effects.cache.lock().expect("no panic under the lock").is_synced()
    }

    fn absorb(&mut self, (kind, change): watch::Change) {
        match change {
            Ok(event) => {
                let (touched, synced) = {
                    let mut cache = self.effects.cache.lock().expect("no panic under the lock");
                    (cache.absorb(kind, event), cache.is_synced())
                };
                self.effects.telemetry.set_ready(synced);
                let at = self.effects.clock.now() + SETTLE_MS;
                for key in touched {
                    self.queue.push(key, at);
                }
            }
            Err(error) => {
                self.effects.telemetry.metrics.watch_errors.inc();
                tracing::warn!(kind = kind.as_str(), %error, "watch failed; it is tried again");
            }
        }
    }

    fn touch(&mut self, touched: BTreeSet<ClusterKey>) {
        let now = self.effects.clock.now();
        for key in touched {
            self.queue.push(key, now);
        }
    }

    fn due(&mut self) -> Vec<ClusterKey> {
        if !self.is_synced() {
            return Vec::new();
        }
        let presses = |key: &ClusterKey| self.effects.vitess.lost_primary(key);
        let Turn { begin, pack } = self.room.turn(&mut self.queue, self.effects.clock.now(), presses);
        if !pack.is_empty() {
            let mut cache = self.effects.cache.lock().expect("no panic under the lock");
            for key in &pack {
                cache.pack(key);
                self.memories.entry(key.clone()).and_modify(Memory::rest);
            }
        }
        begin
    }

    fn pass(&mut self, key: ClusterKey) -> impl Future<Output = Finished> + use<W, S> {
        let memory = self.memories.remove(&key).unwrap_or_default();
        let rules = Arc::clone(&self.rules);
        let pilot =
            Pilot::new(key.clone(), self.effects.clone(), Arc::clone(&self.policies), self.judging.clone());
        let clock = self.effects.clock.clone();
        let as_of = clock.now();
        let may_step_aside = self.room.may_step_aside(&key);
        let aside_until = memory.aside_until();
        let (mut settled, mut unwritten) = (memory.settled, memory.unwritten);
        if aside_until.is_some_and(|until| as_of >= until || !may_step_aside) {
            // What waited is told now, also where nothing has changed since.
            settled.unsettle();
        }
        let pilot = pilot.remembering(memory);
        let pilot = if self.room.is_guest(&key) { pilot.as_guest(self.outside.clone()) } else { pilot };
        let mut stages = (self.around)(pilot);
        async move {
            let mut passed = pass::run(&mut stages, &mut settled, &rules, as_of).await;
            let mut pilot: Pilot = stages.into();
            let mut rests = match &passed {
                Ok(Passed::Unchanged { .. }) => true,
                Ok(Passed::Ran(report)) => report.outcomes.is_empty(),
                Err(_) => false,
            };
            let postponed = match &mut passed {
                Ok(Passed::Ran(report)) => pilot.postpones(report, may_step_aside),
                Ok(Passed::Unchanged { requeue_after_ms }) => {
                    if let Some(until) = aside_until {
                        *requeue_after_ms = until.saturating_sub(as_of).min(*requeue_after_ms);
                    }
                    None
                }
                Err(_) => None,
            };
            if postponed == Some(Postponed::ToTheNextPass) {
                // It tells, also where it sees the same.
                settled.unsettle();
            } else if postponed.is_none()
                && let Ok(Passed::Ran(report)) = &mut passed
            {
                let told = pilot.report(report).await;
                if let Told::Alone(objects) = told {
                    settled.told(objects);
                    pilot.told(objects);
                }
                // What else has changed is seen at once: whoever makes place for another first would come back.
                rests &= matches!(told, Told::Nothing | Told::Alone(_));
                unwritten = if told == Told::InPart { unwritten.saturating_add(1) } else { 0 };
                if unwritten > 0 {
                    // The view is the same next time, but what it says does not stand yet.
                    settled.unsettle();
                    report.requeue_after_ms = report.requeue_after_ms.min(RETRY_MS << unwritten.min(6));
                }
            }
            let due = due(&passed, unwritten == 0, as_of, clock.now());
            let mut memory = pilot.into_memory();
            memory.settled = settled;
            memory.unwritten = unwritten;
            memory.rests = rests;
            Finished { key, memory, passed, due }
        }
    }

    fn settle(&mut self, Finished { key, memory, passed, due }: Finished) {
        self.room.done(&key, memory.rests, &mut self.queue);
        // One whose pass failed keeps its place: it is tried again in a while, and not as soon as it is calm.
        if memory.aside_until().is_some() && passed.is_ok() {
            self.room.step_aside(&key);
        }
        let result = match passed {
            Ok(Passed::Unchanged { .. }) => "unchanged",
            Ok(Passed::Ran(_)) => "ran",
            Err(crate::pilot::Error::Observe(crate::observe::Error::Gone(_))) => "gone",
            Err(error) => {
                tracing::warn!(cluster = %key, %error, "no pass; it is tried again");
                "failed"
            }
        };
        self.effects.telemetry.metrics.passes.get_or_create(&PassLabels { result: result.to_owned() }).inc();
        if result == "gone" {
            self.queue.remove(&key);
            self.room.forget(&key);
        } else {
            self.queue.push(key.clone(), due.max(self.effects.clock.now() + 1));
            self.memories.insert(key, memory);
        }
        let clusters = i64::try_from(self.memories.len()).unwrap_or(i64::MAX);
        self.effects.telemetry.metrics.clusters.set(clusters);
    }
}

/// When the next pass begins at the latest. A view asks for it by a time, however long it took to tell what was found;
/// what was tried, was told in part, or failed, is given a pause.
fn due(passed: &Result<Passed, crate::pilot::Error>, is_told: bool, as_of: Millis, now: Millis) -> Millis {
    match passed {
        Ok(Passed::Unchanged { requeue_after_ms }) => as_of + requeue_after_ms,
        Ok(Passed::Ran(report)) if is_told && report.outcomes.is_empty() => as_of + report.requeue_after_ms,
        Ok(Passed::Ran(report)) => now + report.requeue_after_ms,
        Err(_) => now + RETRY_MS,
    }
}

async fn until(clock: &Clock, at: Option<Millis>) {
    match at {
        Some(at) => tokio::time::sleep_until(clock.instant_of(at)).await,
        None => future::pending().await,
    }
}
