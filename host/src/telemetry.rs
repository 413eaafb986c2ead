//! What operators of the host read: metrics, health, logs.
//!
//! Owns the metric names and the two endpoints' content. Must not know how a
//! number came about.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pilothouse_core::plan::Slot;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Labels of an action's counter.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ActionLabels {
    /// The verb.
    pub verb: String,
    /// `done`, `overtaken`, `failed` or `in-doubt`.
    pub outcome: String,
}

/// Labels of a refusal's counter.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RefusalLabels {
    /// The verb.
    pub verb: String,
    /// The guard rule or rule plugin.
    pub rule: String,
}

/// Labels of a pass's counter.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PassLabels {
    /// `ran`, `unchanged` or `failed`.
    pub result: String,
}

/// Labels of a plugin's counters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PluginLabels {
    /// The slot.
    pub slot: String,
    /// The plugin's name.
    pub plugin: String,
    /// `ok` or the error's code.
    pub result: String,
}

/// Every number that the host counts.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// Passes by result.
    pub passes: Family<PassLabels, Counter>,
    /// Executed actions by verb and outcome.
    pub actions: Family<ActionLabels, Counter>,
    /// Refused actions by verb and rule.
    pub refusals: Family<RefusalLabels, Counter>,
    /// Plugin calls by slot, plugin and result.
    pub plugin_calls: Family<PluginLabels, Counter>,
    /// Fuel burnt by plugins.
    pub plugin_fuel: Family<PluginLabels, Counter>,
    /// Writes sent to the API server.
    pub api_writes: Counter,
    /// Watch failures.
    pub watch_errors: Counter,
    /// Clusters known.
    pub clusters: Gauge,
    /// Whether this host acts: 1 while it holds the Lease, or needs none.
    pub leading: Gauge,
}

/// One call of a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// Wall-clock time.
    pub wall: Duration,
    /// Fuel.
    pub fuel: u64,
}

/// The last calls of each plugin, by slot and name.
type Calls = BTreeMap<(Slot, String), VecDeque<Call>>;

/// How many calls of a plugin are kept for its median.
const CALLS_KEPT: usize = 4_096;

/// Metrics, the registry that prints them, and whether the host is ready.
#[derive(Debug, Clone)]
pub struct Telemetry {
    /// The numbers.
    pub metrics: Metrics,
    registry: Arc<Registry>,
    ready: Arc<AtomicBool>,
    admitted: Arc<AtomicU64>,
    refused: Arc<AtomicU64>,
    calls: Arc<Mutex<Calls>>,
}

impl Default for Telemetry {
    fn default() -> Self {
        let metrics = Metrics::default();
        metrics.leading.set(1);
        let mut registry = Registry::with_prefix("pilothouse");
        registry.register("passes", "Passes by result", metrics.passes.clone());
        registry.register("actions", "Executed actions by verb and outcome", metrics.actions.clone());
        registry.register("refusals", "Refused actions by verb and rule", metrics.refusals.clone());
        registry.register(
            "plugin_calls",
            "Plugin calls by slot, plugin and result",
            metrics.plugin_calls.clone(),
        );
        registry.register("plugin_fuel", "Fuel burnt by plugins", metrics.plugin_fuel.clone());
        registry.register("api_writes", "Writes sent to the API server", metrics.api_writes.clone());
        registry.register(
            "watch_errors",
            "Watches that failed and were tried again",
            metrics.watch_errors.clone(),
        );
        registry.register("clusters", "Clusters known", metrics.clusters.clone());
        registry.register("leading", "Whether this host acts", metrics.leading.clone());
        Self {
            metrics,
            registry: Arc::new(registry),
            ready: Arc::default(),
            admitted: Arc::default(),
            refused: Arc::default(),
            calls: Arc::default(),
        }
    }
}

impl Telemetry {
    /// Says that every watch has been listed once, or that the host stands by (or, at the end, that it stops).
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }

    /// Says whether this host acts.
    pub fn set_leading(&self, leading: bool) {
        self.metrics.leading.set(leading.into());
    }

    /// Notes a plugin's call.
    pub fn called(&self, slot: Slot, plugin: &str, wall: Duration, fuel: u64) {
        let mut all = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let calls = all.entry((slot, plugin.to_owned())).or_default();
        if calls.len() == CALLS_KEPT {
            calls.pop_front();
        }
        calls.push_back(Call { wall, fuel });
    }

    /// The last calls of every plugin.
    #[must_use]
    pub fn calls(&self) -> BTreeMap<(Slot, String), Vec<Call>> {
        let all = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|(who, calls)| (who.clone(), calls.iter().copied().collect())).collect()
    }

    /// How many actions were admitted and executed, and how many refused.
    #[must_use]
    pub fn judged(&self) -> (u64, u64) {
        (self.admitted.load(Ordering::Relaxed), self.refused.load(Ordering::Relaxed))
    }

    /// Counts an executed action.
    pub fn executed(&self, labels: &ActionLabels) {
        self.admitted.fetch_add(1, Ordering::Relaxed);
        self.metrics.actions.get_or_create(labels).inc();
    }

    /// Counts a refused action.
    pub fn refused(&self, labels: &RefusalLabels) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        self.metrics.refusals.get_or_create(labels).inc();
    }

    /// The answer to `GET path`: status and body.
    #[must_use]
    pub fn answer(&self, path: &str) -> (u16, String) {
        match path {
            "/metrics" => {
                let mut out = String::new();
                match text::encode(&mut out, &self.registry) {
                    Ok(()) => (200, out),
                    Err(e) => (500, format!("metrics cannot be written: {e}\n")),
                }
            }
            "/healthz" => (200, "ok\n".to_owned()),
            "/readyz" if self.ready.load(Ordering::Relaxed) => (200, "ok\n".to_owned()),
            "/readyz" => (503, "not every watch has been listed yet\n".to_owned()),
            other => (404, format!("{other}: not one of /metrics, /healthz, /readyz\n")),
        }
    }
}
