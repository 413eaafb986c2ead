//! A control plane with worlds, controller and policies, to be broken by tests.
//!
//! Owns starting, stopping and waiting. Everything is virtual time: it needs a
//! current-thread runtime that starts paused.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use http::Request;
use kube::Client;
use kube::client::Body;
use pilothouse::controller::{Controller, Parts};
use pilothouse::embedded::{self, Embedded};
use pilothouse::kinds::Kind;
use pilothouse::settings::Settings;
use pilothouse::vitess::Vitess;
use pilothouse_policy::runtime::Runtime;
use pilothouse_policy::set::PolicySet;
use pilothouse_sim::apiserver::{ApiServer, ResourceId};
use pilothouse_sim::checkers::{Checkers, Violation};
use pilothouse_sim::world::{WorldSettings, ZoneSpec};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower::Service as _;

/// 2026-01-01T00:00:00Z.
const EPOCH_MS: u64 = 1_767_225_600_000;
const HOUR: Duration = Duration::from_secs(3_600);

/// Engine, compiler and cache as `settings` have them, with the compiling child that the test names:
/// a test's own program is not the product.
///
/// # Errors
/// When the engine does not start or the cache cannot be used.
pub fn runtime(program: &Path, cache: &Path, settings: &Settings) -> anyhow::Result<Runtime> {
    let settings = Settings { cache_dir: Some(cache.to_owned()), ..settings.clone() };
    Ok(settings.runtime_with(program.to_owned())?)
}

/// Runs a test in virtual time.
///
/// # Panics
/// When there is no runtime.
pub fn virtually<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.expect("a runtime").block_on(test)
}

/// What only a test's own build knows: the product, and where its compiled policies are kept.
pub struct Built {
    /// The program `pilothouse`.
    pub program: PathBuf,
    /// The cache.
    pub cache: PathBuf,
}

/// What this test's build made.
#[macro_export]
macro_rules! built {
    () => {
        $crate::stage::Built {
            program: env!("CARGO_BIN_EXE_pilothouse-under-test").into(),
            cache: std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("policies"),
        }
    };
}

impl Built {
    /// Where a test of that name keeps what people may want to read after it.
    #[must_use]
    pub fn kept(&self, name: &str) -> PathBuf {
        self.cache.with_file_name(name)
    }

    /// The policies that settings name.
    ///
    /// # Errors
    /// When the engine does not start, or one cannot serve.
    pub fn policies(&self, settings: &Settings) -> anyhow::Result<Arc<PolicySet>> {
        let runtime = runtime(&self.program, &self.cache, settings)?;
        Ok(Arc::new(PolicySet::load(&runtime, &settings.policies)?))
    }
}

/// What a stage is made of.
pub struct Setting {
    /// Zones of the played world.
    pub zones: Vec<String>,
    /// Nodes of each.
    pub nodes: u32,
    /// The host's settings.
    pub settings: Settings,
    /// Its policies.
    pub policies: Arc<PolicySet>,
    /// Whether the host has a way to Vitess.
    pub has_vitess: bool,
    /// How long the host's writes of a status take.
    pub telling_takes: Duration,
}

impl Setting {
    /// Three zones of three nodes, and nothing that is slow.
    #[must_use]
    pub fn three_zones(settings: Settings, policies: Arc<PolicySet>) -> Self {
        let zones = ["zone-a", "zone-b", "zone-c"].map(str::to_owned).into();
        Self { zones, nodes: 3, settings, policies, has_vitess: true, telling_takes: Duration::ZERO }
    }
}

/// What the controller wrote, did and refused so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deeds {
    /// Objects written by anybody but kubelets; events apart.
    pub writes: u64,
    /// Kubernetes events sent.
    pub events: u64,
    /// Actions executed.
    pub executed: u64,
    /// Actions refused.
    pub refused: u64,
    /// Passes of any result.
    pub passes: u64,
}

/// The embedded control plane with a running controller.
pub struct Stage {
    /// API server, world, client.
    pub embedded: Embedded,
    setting: Setting,
    stop: CancellationToken,
    world: JoinHandle<()>,
    broken: Arc<Mutex<Vec<Violation>>>,
    stop_controller: CancellationToken,
    controller: JoinHandle<()>,
}

impl Stage {
    /// Starts world and controller on the current runtime.
    ///
    /// # Errors
    /// When a definition of ours is refused.
    pub fn start(setting: Setting) -> anyhow::Result<Self> {
        let zone = |name: &String| ZoneSpec { name: name.clone(), nodes: setting.nodes };
        let world =
            WorldSettings { zones: setting.zones.iter().map(zone).collect(), ..WorldSettings::default() };
        let embedded = Embedded::new(EPOCH_MS, 1, world)?;
        let stop = CancellationToken::new();
        let broken = Arc::new(Mutex::new(Vec::new()));
        let (told, mut checkers) = (Arc::clone(&broken), Checkers::new());
        let judged = embedded.world.clone().run_observed(stop.clone().cancelled_owned(), move |world| {
            told.lock().unwrap_or_else(PoisonError::into_inner).extend(checkers.check(world));
        });
        let world = tokio::spawn(judged);
        let stop_controller = CancellationToken::new();
        let controller = tokio::spawn(controller(&embedded, &setting).run(stop_controller.clone()));
        Ok(Self { embedded, setting, stop, world, broken, stop_controller, controller })
    }

    /// Three zones of three nodes, with the built-in policies and settings.
    ///
    /// # Errors
    /// When the policies cannot be had, or a definition of ours is refused.
    pub fn three_zones(built: &Built) -> anyhow::Result<Self> {
        let settings = Settings::default();
        let policies = built.policies(&settings)?;
        Self::start(Setting::three_zones(settings, policies))
    }

    /// What the simulator's checkers found broken so far.
    #[must_use]
    pub fn broken(&self) -> Vec<Violation> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends the controller and starts another that knows nothing of it.
    ///
    /// # Errors
    /// When the old one panicked.
    pub async fn restart_controller(&mut self) -> anyhow::Result<()> {
        self.stop_controller.cancel();
        let stop = CancellationToken::new();
        let next = tokio::spawn(controller(&self.embedded, &self.setting).run(stop.clone()));
        self.stop_controller = stop;
        std::mem::replace(&mut self.controller, next).await.context("the controller panicked")
    }

    /// As [`Stage::restart_controller`], with other settings and policies.
    ///
    /// # Errors
    /// When the old one panicked.
    pub async fn restart_as(&mut self, settings: Settings, policies: Arc<PolicySet>) -> anyhow::Result<()> {
        self.setting.settings = settings;
        self.setting.policies = policies;
        self.restart_controller().await
    }

    /// Applies a manifest as `kubectl apply --server-side` would.
    ///
    /// # Errors
    /// The first document that is refused.
    pub async fn apply(&self, manifest: &str) -> Result<(), embedded::Error> {
        embedded::apply(&self.embedded.client, &embedded::documents(manifest)?).await
    }

    /// Every object of a kind in a namespace, by name.
    #[must_use]
    pub fn objects(&self, kind: Kind, namespace: &str) -> Vec<Arc<Value>> {
        let resource = kind.resource();
        self.embedded.api.list(&ResourceId::new(&resource.group, &resource.plural), Some(namespace))
    }

    /// Waits until `seen` answers something, at most so much virtual time.
    pub async fn until<T>(&self, within: Duration, mut seen: impl FnMut(&Self) -> Option<T>) -> Option<T> {
        let mut changes = self.embedded.api.subscribe();
        let deadline = tokio::time::Instant::now() + within;
        loop {
            if let Some(found) = seen(self) {
                return Some(found);
            }
            let changed = tokio::time::timeout_at(deadline, changes.changed()).await;
            if !matches!(changed, Ok(Ok(()))) {
                return seen(self);
            }
        }
    }

    /// What was written, executed and refused so far.
    #[must_use]
    pub fn deeds(&self) -> Deeds {
        let apart = ["leases.coordination.k8s.io", "nodes", "events"];
        let all = self.embedded.api.counters().writes;
        let writes = all.iter().filter(|(kind, _)| !apart.contains(&kind.as_str())).map(|(_, n)| n).sum();
        let events = all.get("events").copied().unwrap_or(0);
        let (executed, refused) = self.embedded.telemetry.judged();
        let (_, metrics) = self.embedded.telemetry.answer("/metrics");
        let passes = metrics.lines().filter(|l| l.starts_with("pilothouse_passes_total{"));
        let passes = passes.filter_map(|l| l.rsplit_once(' ')?.1.parse::<u64>().ok()).sum();
        Deeds { writes, events, executed, refused, passes }
    }

    /// Lets virtual time pass.
    pub async fn pass_time(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// Waits until a quarter of an hour brings nothing new.
    ///
    /// # Errors
    /// When a day goes by and something still happens: what, by kind.
    pub async fn settle(&self) -> anyhow::Result<()> {
        for _ in 0..96 {
            let before = self.deeds();
            self.pass_time(HOUR / 4).await;
            let after = self.deeds();
            if (before.writes, before.executed) == (after.writes, after.executed) {
                return Ok(());
            }
        }
        anyhow::bail!("after a day it is not quiet: {:?}", self.embedded.api.counters().writes)
    }

    /// What the next hour brings: all zero at a fixpoint.
    pub async fn an_hour(&self) -> Deeds {
        let before = self.deeds();
        self.pass_time(HOUR).await;
        let after = self.deeds();
        Deeds {
            writes: after.writes - before.writes,
            events: after.events - before.events,
            executed: after.executed - before.executed,
            refused: after.refused - before.refused,
            passes: after.passes - before.passes,
        }
    }

    /// Ends controller and world.
    ///
    /// # Errors
    /// When one of them panicked, or the API server refused what the world or the host wrote.
    pub async fn end(self) -> anyhow::Result<()> {
        self.stop_controller.cancel();
        self.controller.await.context("the controller panicked")?;
        self.stop.cancel();
        self.world.await.context("the world panicked")?;
        let refused = self.embedded.world.refused_writes();
        anyhow::ensure!(refused.is_empty(), "writes of the world that were refused: {refused:?}");
        let unsupported = self.embedded.api.counters().unsupported;
        anyhow::ensure!(unsupported.is_empty(), "asked of the API server and not played: {unsupported:?}");
        Ok(())
    }
}

fn controller(embedded: &Embedded, setting: &Setting) -> Controller {
    let mut parts = embedded.parts(Arc::clone(&setting.policies), &setting.settings);
    if !setting.telling_takes.is_zero() {
        parts.client = slow_to_tell(&embedded.api, setting.telling_takes);
    }
    Controller::new(if setting.has_vitess { parts } else { Parts { vitess: Vitess::Unknown, ..parts } })
}

/// A client whose writes of a status take so long; nothing else does.
fn slow_to_tell(api: &ApiServer, takes: Duration) -> Client {
    let at_once = api.service();
    let slow = tower::service_fn(move |request: Request<Body>| {
        let mut at_once = at_once.clone();
        async move {
            if request.uri().path().ends_with("/status") {
                tokio::time::sleep(takes).await;
            }
            at_once.call(request).await
        }
    });
    Client::new(slow, "default")
}
