//! One seed from beginning to end: the world, the host and its deaths, the day's faults.

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use pilothouse_policy::set::PolicySet;
use pilothouse_sim::apiserver::ApiServer;
use pilothouse_sim::checkers::Checkers;
use pilothouse_sim::faults::Fault as Broken;
use pilothouse_sim::world::journal::Deed;
use pilothouse_sim::world::{World, WorldSettings};
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::draws::Draws;
use super::layer::Layer;
use super::mix::Fault;
use super::rest::Rest;
use super::sky::Sky;
use super::weather::{self, Day, Moment};
use super::{Error, Plan, Summary, Verdict};
use crate::controller::{Controller, Parts};
use crate::embedded::{self, Embedded};
use crate::pilot::{Pilot, Stages};
use crate::settings::Settings;

const NAMESPACE: &str = "default";
/// 2026-01-01T00:00:00Z: where virtual time begins.
pub(super) const EPOCH_MS: u64 = 1_767_225_600_000;
const HOUR: i64 = 3_600_000;
/// Hours without faults at the end, where the day has them: a zone's return takes two.
const REST_HOURS: i64 = 3;
/// Longer than a server remembers in reality, so that reads can be far behind.
const HISTORY_MS: i64 = HOUR;
/// Disks begin to fill when the databases stand.
const FILL_FROM: i64 = 15 * 60_000;

pub(super) async fn day<W, S>(
    plan: &Plan,
    policies: Arc<PolicySet>,
    settings: &Settings,
    controller: impl Fn(Parts) -> Controller<W> + Send + 'static,
) -> Result<Verdict, Error>
where
    W: Fn(Pilot) -> S + Send + 'static,
    S: Stages,
{
    let hours = i64::try_from(plan.hours).unwrap_or(24);
    let calm = (hours / 6).max(REST_HOURS.min(hours - 2));
    let (end, calm_from) = (hours * HOUR, (hours - calm) * HOUR);
    let mut draws = Draws::new(plan.seed, "setting");
    let world = WorldSettings {
        writes_per_minute: draws.range(1, 12),
        trace: plan.traced,
        ..WorldSettings::default()
    };
    let day = weather::plan(plan.seed, &world.zones, &plan.mix, calm_from);
    let embedded = Embedded::new(EPOCH_MS, plan.seed, world)?;
    embedded.api.keep_history(Some(HISTORY_MS));
    let sky = Arc::new(Sky::new(plan.seed, &embedded.api, plan.traced));
    let _logs = super::logged(&sky, plan.traced);
    let stop = CancellationToken::new();
    let host = Host {
        api: embedded.api.clone(),
        sky: Arc::clone(&sky),
        policies,
        settings: settings.clone(),
        controller,
        watches: [Fault::A5, Fault::A6, Fault::A7, Fault::A8, Fault::A9].iter().any(|f| plan.mix.has(*f)),
        draws: Draws::new(plan.seed, "restarts"),
    };
    let (clean, world) = (embedded.client.clone(), embedded.world.clone());
    let tasks = vec![
        tokio::spawn(observed(world.clone(), Arc::clone(&sky), stop.clone())),
        tokio::spawn(host.live(embedded, stop.clone())),
    ];
    embedded::apply(&clean, &plan.manifest).await?;
    let people = tokio::spawn(edit(plan.edits.clone(), clean.clone(), Arc::clone(&sky)));
    let weather = tokio::spawn(play(day, world.clone(), Arc::clone(&sky)));
    let fill = tokio::spawn(fill(world.clone(), Arc::clone(&sky), Draws::new(plan.seed, "fill")));
    tokio::time::sleep_until(sky.instant_of(calm_from)).await;
    sky.note(|| "faults are over".to_owned());
    if weather.await.is_err() {
        sky.blame_now("panic", "the faults could not be played to their end".to_owned());
    }
    people.abort();
    fill.abort();
    fill_rates(&world, |_| 0);
    sky.clear();
    Rest { sky: &sky, world: &world, client: &clean, namespace: NAMESPACE, calm_from, end }.expect().await;
    stop.cancel();
    for task in tasks {
        if task.await.is_err() {
            sky.blame_now("panic", "the world or the host's keeper ended by a panic".to_owned());
        }
    }
    Ok(verdict(&sky, &world))
}

fn verdict(sky: &Sky, world: &World) -> Verdict {
    let (host, mut violations, [requests, writes, faults, kills]) = sky.end();
    violations.sort_by_key(|v| v.at);
    let begun = |d: &&Deed| matches!(d, Deed::ReparentAsked { refused: None, .. });
    let reparents = world.deeds_since(0).iter().filter(begun).count() as u64;
    let facts = world.facts();
    let acknowledged = facts.shards.values().map(|s| s.acked.count()).sum();
    let servers = facts.shards.values().flat_map(|s| s.servers.values());
    let errant = servers.filter(|s| !s.errant.is_empty()).count() as u64;
    let summary = Summary { faults, kills, requests, writes, reparents, acknowledged, errant };
    Verdict { trace: woven(&host, &world.trace()), summary, violations }
}

/// Two traces as one, by time; of the same time the host's lines first.
fn woven(host: &str, world: &str) -> String {
    let at = |line: &str| line.split_whitespace().next().and_then(|n| n.parse::<i64>().ok()).unwrap_or(0);
    let mut out = String::with_capacity(host.len() + world.len());
    let (mut host, mut world) = (host.lines().peekable(), world.lines().peekable());
    loop {
        let line = match (host.peek(), world.peek()) {
            (Some(h), Some(w)) if at(h) <= at(w) => host.next(),
            (_, Some(_)) => world.next(),
            (_, None) => host.next(),
        };
        let Some(line) = line else { return out };
        out.push_str(line);
        out.push('\n');
    }
}

/// People at their manifests; no fault meets their requests.
async fn edit(edits: Vec<(u64, Vec<Value>)>, clean: Client, sky: Arc<Sky>) {
    for (at, manifest) in edits {
        tokio::time::sleep_until(sky.instant_of(i64::try_from(at).unwrap_or(i64::MAX))).await;
        sky.note(|| "people apply another manifest".to_owned());
        if let Err(error) = embedded::apply(&clean, &manifest).await {
            sky.blame_now("panic", format!("an edit was refused: {error}"));
        }
    }
}

/// The world, with every checker looking after each of its steps.
async fn observed(world: World, sky: Arc<Sky>, stop: CancellationToken) {
    let mut checkers = Checkers::new();
    let mut deeds = 0;
    let watched = Arc::clone(&sky);
    let after = move |world: &World| {
        watched.blame(checkers.check(world));
        let fresh = world.deeds_since(deeds);
        deeds += fresh.len();
        if fresh.iter().any(|d| matches!(d, Deed::ReparentAsked { refused: None, .. })) {
            watched.reparent_asked();
        }
    };
    world.run_observed(stop.cancelled_owned(), after).await;
}

async fn play(day: Day, world: World, sky: Arc<Sky>) {
    for (at, moment) in day {
        tokio::time::sleep_until(sky.instant_of(at)).await;
        match moment {
            Moment::Strike(fault) => {
                sky.note(|| format!("fault {fault}"));
                sky.struck();
                fault.strike(&world);
            }
            Moment::Mend(fault) => {
                sky.note(|| format!("mended: {fault}"));
                Broken::mend(&fault, &world);
            }
            Moment::Begin(episode) => {
                if episode.fault == Fault::A6 {
                    let ends = Duration::from_millis(episode.lasts.unsigned_abs().saturating_sub(1));
                    tokio::spawn(compact(ends, world.clone(), Arc::clone(&sky)));
                }
                sky.begin(episode);
            }
            Moment::Kill(kill, again) => sky.arm(kill, again),
        }
    }
}

/// History goes while watches stall. The played controllers have their own, faultless, watches.
async fn compact(after: Duration, world: World, sky: Arc<Sky>) {
    tokio::time::sleep(after).await;
    let _ = world.step();
    sky.compact();
}

async fn fill(world: World, sky: Arc<Sky>, mut draws: Draws) {
    tokio::time::sleep_until(sky.instant_of(FILL_FROM)).await;
    let mib = 1_u64 << 20;
    let mut drawn = || if draws.chance(50) { draws.range(1, 700) * mib } else { 0 };
    fill_rates(&world, |_| drawn());
}

fn fill_rates(world: &World, mut rate: impl FnMut(&str) -> u64) {
    for (key, shard) in &world.facts().shards {
        for alias in shard.servers.keys() {
            world.fill_rate(&key.cluster, alias, rate(&alias.to_string()));
        }
    }
}

async fn death(deaths: &mut watch::Receiver<u64>, incarnation: u64) {
    if deaths.wait_for(|dead| *dead > incarnation).await.is_err() {
        std::future::pending().await
    }
}

/// The host and everything that it needs to be born again.
struct Host<C> {
    api: ApiServer,
    sky: Arc<Sky>,
    policies: Arc<PolicySet>,
    settings: Settings,
    controller: C,
    watches: bool,
    draws: Draws,
}

impl<C, W, S> Host<C>
where
    C: Fn(Parts) -> Controller<W>,
    W: Fn(Pilot) -> S + Send + 'static,
    S: Stages,
{
    /// Lives, dies when the sky says so, and comes again without a memory, until `stop`.
    async fn live(mut self, mut embedded: Embedded, stop: CancellationToken) {
        let mut deaths = self.sky.deaths();
        for incarnation in 0_u64.. {
            let layer = Layer {
                api: self.api.clone(),
                sky: Arc::clone(&self.sky),
                incarnation,
                namespace: NAMESPACE.to_owned(),
                watches: self.watches,
            };
            embedded.client = Client::new(layer, NAMESPACE);
            let controller = (self.controller)(embedded.parts(Arc::clone(&self.policies), &self.settings));
            let ends = CancellationToken::new();
            let mut life = tokio::spawn(controller.run(ends.clone()));
            tokio::select! {
                biased;
                () = stop.cancelled() => {
                    ends.cancel();
                    let _ = life.await;
                    return;
                }
                () = death(&mut deaths, incarnation) => {
                    life.abort();
                    let _ = life.await;
                }
                ended = &mut life => {
                    let how = if ended.is_err() { "by a panic" } else { "by itself" };
                    self.sky.blame_now("panic", format!("the host ended {how}"));
                    self.sky.bury(incarnation);
                }
            }
            let pause = self.draws.spread(10, 120_000);
            tokio::time::sleep(Duration::from_millis(pause)).await;
            self.sky.note(|| "host starts again".to_owned());
        }
    }
}
