//! The demo: applies a manifest, breaks things, and waits for what the API shows.
//!
//! Owns the order of the show. It never writes what a controller should: it
//! applies the manifest, breaks the world, and reads.

mod scene;
mod table;

use std::time::Duration;

use pilothouse_core::Millis;
use pilothouse_core::topology::TabletAlias;
use pilothouse_sim::vitess::ClusterKey;
use serde_json::Value;

use crate::embedded::Embedded;
pub use scene::Scene;
pub use table::render;

/// What became of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// Seen through the API: what.
    Observed(String),
    /// Not seen within its time: what was seen last.
    Missed(String),
    /// It does not apply: why.
    NotApplicable(String),
}

/// One step of the demo with what it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What it is.
    pub title: String,
    /// What became of it.
    pub shown: Shown,
    /// Virtual milliseconds from breaking to seeing.
    pub virtual_ms: Millis,
    /// Real time.
    pub real: Duration,
}

/// Told of progress.
pub trait Progress {
    /// A step begins.
    fn begin(&mut self, title: &str);
    /// Something was seen on the way.
    fn note(&mut self, text: &str);
    /// A step ended.
    fn end(&mut self, step: &Step);
}

/// A predicate over what the API shows: seen, or what is still missing.
type Seen<'a> = &'a dyn Fn(&Scene) -> Result<String, String>;

const MINUTE: Millis = 60_000;
const HOUR: Millis = 60 * MINUTE;

/// Runs the demo over an embedded control plane that already has the manifest.
pub struct Show<'a, P> {
    embedded: &'a Embedded,
    cluster: ClusterKey,
    progress: P,
    stopwatch: &'a dyn Fn() -> Duration,
    steps: Vec<Step>,
}

impl<'a, P: Progress> Show<'a, P> {
    /// A show of that cluster; `stopwatch` tells real time.
    pub fn new(
        embedded: &'a Embedded,
        cluster: ClusterKey,
        progress: P,
        stopwatch: &'a dyn Fn() -> Duration,
    ) -> Self {
        Self { embedded, cluster, progress, stopwatch, steps: Vec::new() }
    }

    /// Runs every step in order; a cluster that does not come up ends it.
    pub async fn run(mut self) -> Vec<Step> {
        self.step("bring the cluster up", 30 * MINUTE, || (), &scene::is_up).await;
        if self.steps.iter().any(|s| matches!(s.shown, Shown::Missed(_))) {
            self.skip("everything else", "the cluster is not up");
            return self.steps;
        }
        self.step("take the first backup", 2 * HOUR, || (), &scene::has_backup).await;
        let scene = self.look().await;
        if scene.zones().len() > 1 {
            self.lose_a_zone(&scene).await;
        } else {
            for title in
                ["lose a zone: writes go on", "surge tablets and gateways", "zone back: surge returned"]
            {
                self.skip(title, "one zone");
            }
            self.lose_a_node(&scene).await;
        }
        self.grow_a_volume().await;
        self.step("prove a backup by restoring it", 30 * HOUR, || (), &scene::has_verified_backup).await;
        self.steps
    }

    async fn lose_a_zone(&mut self, scene: &Scene) {
        let Some(zone) = scene.primary_zone() else {
            return self.skip("lose a zone: writes go on", "no primary");
        };
        let world = &self.embedded.world;
        let title = format!("lose zone {zone}: writes go on");
        self.step(&title, 5 * MINUTE, || world.lose_zone(&zone), &|s| s.serves_outside(&zone)).await;
        self.step("surge tablets and gateways", 30 * MINUTE, || (), &|s| s.has_surge(&zone)).await;
        self.step("zone back: surge returned", 4 * HOUR, || world.restore_zone(&zone), &|s| s.is_back())
            .await;
    }

    async fn lose_a_node(&mut self, scene: &Scene) {
        let Some(node) = scene.primary_node() else {
            return self.skip("lose a node: writes go on", "no primary");
        };
        let world = &self.embedded.world;
        let title = format!("lose node {node}: writes go on");
        self.step(&title, 10 * MINUTE, || world.lose_node(&node), &|s| s.serves_off_node(&node)).await;
        self.step("the lost node is noticed", 10 * MINUTE, || (), &|s| s.misses_node(&node)).await;
        self.step("node back: every tablet ready", HOUR, || world.restore_node(&node), &|s| s.is_back())
            .await;
    }

    async fn grow_a_volume(&mut self) {
        let scene = self.look().await;
        let Some((claim, before)) = scene.primary_volume() else {
            return self.skip("fill a disk: its volume grows", "no volume");
        };
        let Some(alias) = scene.primary_alias().and_then(|a| a.parse::<TabletAlias>().ok()) else {
            return self.skip("fill a disk: its volume grows", "no primary");
        };
        let (world, cluster) = (&self.embedded.world, self.cluster.clone());
        let fill = |rate| {
            let _ = world.fill_rate(&cluster, &alias, rate);
        };
        let title = format!("fill the disk of {alias}: its volume grows");
        self.step(&title, 24 * HOUR, || fill(before / 12), &|s| s.has_grown(&claim, before)).await;
        fill(0);
    }

    /// Breaks something, then waits until the API shows what should follow.
    async fn step(&mut self, title: &str, within: Millis, act: impl FnOnce(), seen: Seen<'_>) {
        self.progress.begin(title);
        let (begun, real) = (self.embedded.clock.now(), (self.stopwatch)());
        act();
        let mut changes = self.embedded.api.subscribe();
        let deadline = tokio::time::Instant::now() + Duration::from_millis(within);
        let mut last = String::new();
        let shown = loop {
            match seen(&self.look().await) {
                Ok(what) => break Shown::Observed(what),
                Err(missing) if missing != last => {
                    self.progress.note(&missing);
                    last = missing;
                }
                Err(_) => {}
            }
            let changed = tokio::time::timeout_at(deadline, changes.changed()).await;
            if !matches!(changed, Ok(Ok(()))) {
                break Shown::Missed(last);
            }
        };
        let virtual_ms = self.embedded.clock.now() - begun;
        let step = Step { title: title.to_owned(), shown, virtual_ms, real: (self.stopwatch)() - real };
        self.progress.end(&step);
        self.steps.push(step);
    }

    fn skip(&mut self, title: &str, why: &str) {
        let shown = Shown::NotApplicable(why.to_owned());
        let step = Step { title: title.to_owned(), shown, virtual_ms: 0, real: Duration::ZERO };
        self.progress.end(&step);
        self.steps.push(step);
    }

    async fn look(&self) -> Scene {
        Scene::read(&self.embedded.client, &self.cluster.namespace).await
    }
}

/// The zones that the cells of a manifest stand in: those it names, else one a cell.
#[must_use]
pub fn zones_of(cluster: &Value) -> Vec<String> {
    let cells = cluster.pointer("/spec/cells").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut zones: Vec<String> = cells
        .iter()
        .enumerate()
        .map(|(i, cell)| match cell.get("zone").and_then(Value::as_str) {
            Some(zone) if !zone.is_empty() => zone.to_owned(),
            Some(_) | None => format!("zone-{}", i + 1),
        })
        .collect();
    zones.sort();
    zones.dedup();
    zones
}
