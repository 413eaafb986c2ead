//! Of two hosts one acts: whatever happens to them or to their way to the API server, nothing is
//! written by a host that the Lease does not name, and somebody acts again soon.

mod wire;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kube::Client;
use kube::api::{Patch, PatchParams};
use pilothouse::controller::{Controller, Parts};
use pilothouse::embedded::{self, Embedded};
use pilothouse::kinds::Kind;
use pilothouse::lease::{self, Gate, Lease, LeaseSettings};
use pilothouse::settings::Settings;
use pilothouse::simulate::Draws;
use pilothouse::telemetry::Telemetry;
use pilothouse::vitess::Vitess;
use pilothouse_policy::set::PolicySet;
use pilothouse_sim::world::WorldSettings;
use pilothouse_tests::repository;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tower::Layer as _;
use wire::{Record, Weather, Wire, holder};

/// 2026-01-01T00:00:00Z.
const EPOCH_MS: u64 = 1_767_225_600_000;
/// The Lease's defaults.
const DURATION: Duration = Duration::from_secs(15);
const RENEW_WITHIN: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_secs(2);
/// How often a user changes the cluster, so that whoever leads has something to write.
const CHANGE: Duration = Duration::from_millis(800);
/// A change is acted on by then.
const ACTED_ON: Duration = Duration::from_secs(2);

/// A host that takes part, with all of `run` but the sockets.
struct Host {
    wire: Wire,
    telemetry: Telemetry,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

/// A control plane with one cluster.
struct Scene {
    embedded: Embedded,
    record: Arc<Mutex<Record>>,
}

impl Scene {
    async fn open() -> Self {
        let embedded = Embedded::new(EPOCH_MS, 1, WorldSettings::default()).unwrap();
        let example = std::fs::read_to_string(repository("crds/examples/one-zone.yaml")).unwrap();
        embedded::apply(&embedded.client, &embedded::documents(&example).unwrap()).await.unwrap();
        Self { embedded, record: Arc::default() }
    }

    /// A host with the controller that `run` starts.
    fn host(&self, name: &'static str) -> Host {
        let clock = self.embedded.clock.clone();
        let policies = Arc::new(PolicySet::new(Vec::new()));
        self.join(name, move |client, telemetry, stop| {
            let parts = Parts {
                client,
                vitess: Vitess::Unknown,
                policies: Arc::clone(&policies),
                rules: pilothouse_core::guard::RULES.to_vec(),
                clock: clock.clone(),
                telemetry,
                namespace: None,
                judging: (&Settings::default()).into(),
            };
            Controller::new(parts).run(stop)
        })
    }

    /// A host that only writes, and sees to its end whatever it began: hours of it cost little.
    fn writer(&self, name: &'static str) -> Host {
        self.join(name, move |client, _, stop| async move {
            let api = Kind::VitessCluster.api(&client, "default");
            while !stop.is_cancelled() {
                let patch = Patch::Merge(json!({ "metadata": { "annotations": { "by": name } } }));
                let _ = api.patch("dinghy", &PatchParams::default(), &patch).await;
                sleep(CHANGE).await;
            }
        })
    }

    fn join<F>(
        &self,
        name: &'static str,
        lead: impl Fn(Client, Telemetry, CancellationToken) -> F + Send + 'static,
    ) -> Host
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let wire = Wire::new(name, &self.embedded.api, &self.record);
        let (clock, telemetry) = (self.embedded.clock.clone(), Telemetry::default());
        let gate = Gate::new(clock.clone());
        let gated = Client::new(gate.layer().layer(wire.service()), "default");
        let settings = LeaseSettings {
            required: Some(true),
            identity: Some(name.to_owned()),
            ..LeaseSettings::default()
        };
        let candidate = settings.candidate(|_| None).unwrap().unwrap();
        let own = Client::new(wire.service(), "default");
        let lease = Lease::new(own, candidate, clock, telemetry.clone(), gate);
        let stop = CancellationToken::new();
        let (until, ends, shown) = (stop.clone(), stop.clone(), telemetry.clone());
        let lead = move || lead(gated.clone(), shown.clone(), ends.clone());
        let running = tokio::spawn(async move { lease::run(lease, until, lead).await.unwrap() });
        Host { wire, telemetry, stop, running }
    }

    /// The moments at which a host acted, in order.
    fn acts(&self, host: &Host) -> Vec<Instant> {
        self.record.lock().unwrap().acts(host.wire.host).collect()
    }

    fn last_renewal(&self, host: &Host) -> Instant {
        self.record.lock().unwrap().renewals(host.wire.host).next_back().unwrap()
    }

    #[track_caller]
    fn nobody_acted_unled(&self) {
        let record = self.record.lock().unwrap();
        assert!(record.unled.is_empty(), "{}", record.unled.join("\n"));
    }
}

/// Sets the number of gateways anew, again and again.
async fn user(client: Client) {
    let api = Kind::VitessCluster.api(&client, "default");
    for replicas in (1..=2).cycle() {
        let cells = json!([{ "name": "dev", "gateway": { "replicas": replicas } }]);
        let patch = Patch::Merge(json!({ "spec": { "cells": cells } }));
        api.patch("dinghy", &PatchParams::default(), &patch).await.unwrap();
        sleep(CHANGE).await;
    }
}

fn leads(host: &Host) -> bool {
    host.telemetry.answer("/metrics").1.contains("pilothouse_leading 1")
}

/// How many passes a host's controllers ended.
fn passes(host: &Host) -> u64 {
    let (_, metrics) = host.telemetry.answer("/metrics");
    let counted = metrics.lines().filter(|l| l.starts_with("pilothouse_passes_total{"));
    counted.filter_map(|l| l.rsplit_once(' ')?.1.parse::<u64>().ok()).sum()
}

/// Two hosts, the first of which has led for half a minute.
async fn two() -> (Scene, Host, Host) {
    let scene = Scene::open().await;
    tokio::spawn(user(scene.embedded.client.clone()));
    let first = scene.host("first");
    sleep(RETRY / 2).await;
    let second = scene.host("second");
    sleep(Duration::from_secs(30)).await;
    assert!(scene.acts(&first).len() > 30, "the first host acts");
    assert!(scene.acts(&second).is_empty(), "the second does not");
    assert!(leads(&first) && !leads(&second));
    assert_eq!(second.telemetry.answer("/readyz").0, 200, "who stands by is ready");
    (scene, first, second)
}

#[tokio::test(start_paused = true)]
async fn after_a_clean_stop_the_other_leads_at_once() {
    let (scene, first, second) = two().await;
    let stopped = Instant::now();
    first.stop.cancel();
    first.running.await.unwrap();
    sleep(RETRY + ACTED_ON).await;
    let acts = scene.acts(&second);
    assert!(!acts.is_empty() && acts[0] > stopped, "within two looks of the other");
    assert!(leads(&second) && holder(&scene.embedded.api).as_deref() == Some("second"));
    scene.nobody_acted_unled();
}

#[tokio::test(start_paused = true)]
async fn after_a_crash_the_other_leads_when_the_lease_ran_out_and_not_before() {
    let (scene, first, second) = two().await;
    first.running.abort();
    let last = scene.last_renewal(&first);
    sleep(DURATION + RETRY * 2 + ACTED_ON).await;
    let acts = scene.acts(&second);
    assert!(acts[0] >= last + DURATION, "{:?} after the last renewal", acts[0] - last);
    scene.nobody_acted_unled();
}

#[tokio::test(start_paused = true)]
async fn who_cannot_renew_stops_before_the_lease_runs_out_though_all_else_is_answered() {
    let (scene, first, second) = two().await;
    first.wire.turns(Weather::LeaseRefused);
    let last = scene.last_renewal(&first);
    sleep(RENEW_WITHIN).await;
    assert!(!leads(&first) && !leads(&second), "for a while nobody acts");
    sleep(DURATION).await;
    let (before, after) = (scene.acts(&first), scene.acts(&second));
    assert!(*before.last().unwrap() < last + RENEW_WITHIN, "the first stopped by itself");
    assert!(after[0] >= last + DURATION, "and the second began after that");
    let ended = passes(&first);
    first.wire.turns(Weather::Fair);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(scene.acts(&first).len(), before.len(), "back, the first stands by");
    assert_eq!(passes(&first), ended, "its controller is gone");
    assert_ne!(passes(&second), 0);
    scene.nobody_acted_unled();
}

#[tokio::test(start_paused = true)]
async fn who_is_cut_off_stops_and_leads_again_only_when_its_turn_comes() {
    let (scene, first, second) = two().await;
    first.wire.turns(Weather::Cut);
    sleep(RENEW_WITHIN).await;
    assert!(!leads(&first), "it stops without hearing anything");
    sleep(DURATION * 2).await;
    assert!(leads(&second));
    first.wire.turns(Weather::Fair);
    sleep(Duration::from_secs(10)).await;
    let before = scene.acts(&first).len();
    second.stop.cancel();
    second.running.await.unwrap();
    sleep(RETRY + ACTED_ON).await;
    assert!(leads(&first) && scene.acts(&first).len() > before);
    scene.nobody_acted_unled();
}

#[tokio::test(start_paused = true)]
async fn a_renewal_of_which_it_never_heard_is_known_again() {
    let (scene, first, second) = two().await;
    first.wire.turns(Weather::LeaseAnswersLost);
    sleep(RETRY * 2).await;
    first.wire.turns(Weather::Fair);
    sleep(Duration::from_secs(60)).await;
    assert!(leads(&first) && scene.acts(&second).is_empty(), "no host stopped for it");
    scene.nobody_acted_unled();
}

#[tokio::test(start_paused = true)]
async fn two_hosts_of_one_name_do_not_both_act() {
    let (scene, first, second) = two().await;
    second.stop.cancel();
    let twin = scene.host("first");
    sleep(DURATION * 2).await;
    assert!(leads(&first) && !leads(&twin), "the twin stands by");
    first.wire.turns(Weather::Cut);
    sleep(DURATION + RETRY * 2).await;
    assert!(!leads(&first) && leads(&twin));
    first.wire.turns(Weather::Fair);
    sleep(DURATION * 2).await;
    assert!(!leads(&first) && leads(&twin), "what it once held under that name is another's now");
}

/// Hours of weather that changes every few seconds for each host; crashes and clean stops between.
async fn rough(seed: u64) {
    let mut draws = Draws::new(seed, "weather");
    let scene = Scene::open().await;
    let mut hosts = [scene.writer("first"), scene.writer("second")];
    for _ in 0..200 {
        let n = usize::from(draws.range(0, 1) == 1);
        let host = &mut hosts[n];
        match draws.range(0, 11) {
            0 => {
                host.running.abort();
                *host = scene.writer(host.wire.host);
            }
            1 => {
                host.stop.cancel();
                sleep(Duration::from_secs(draws.range(0, 7))).await;
                host.running.abort();
                *host = scene.writer(host.wire.host);
            }
            2 | 3 => host.wire.turns(Weather::Cut),
            4 | 5 => host.wire.turns(Weather::LeaseRefused),
            6 | 7 => host.wire.turns(Weather::LeaseAnswersLost),
            _ => host.wire.turns(Weather::Fair),
        }
        sleep(Duration::from_millis(draws.range(0, 19_999))).await;
    }
    hosts.iter().for_each(|h| h.wire.turns(Weather::Fair));
    sleep(DURATION + RETRY * 2 + ACTED_ON).await;
    let before = hosts.each_ref().map(|h| scene.acts(h).len());
    sleep(Duration::from_secs(30)).await;
    let acting = hosts.iter().zip(before).filter(|(h, before)| scene.acts(h).len() > *before).count();
    assert_eq!(acting, 1, "seed {seed}: in fair weather one acts");
    assert!(hosts.iter().all(|h| scene.acts(h).len() > 100), "each led for a while");
    scene.nobody_acted_unled();
}

#[test]
fn in_rough_weather_nobody_ever_acts_unled() {
    for seed in 1..=3 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(rough(seed));
    }
}
