//! `pilothouse demo`.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use pilothouse_sim::vitess::ClusterKey;
use pilothouse_sim::world::{WorldSettings, ZoneSpec};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{SettingsArgs, stopwatch};
use crate::demo::{self, Progress, Show, Shown, Step};
use crate::embedded::{self, Embedded};

/// Our own manifest: three cells in three zones.
const THREE_ZONES: &str = include_str!("../../../crds/examples/three-zones.yaml");
/// 2026-01-01T00:00:00Z: where virtual time begins.
pub(super) const EPOCH_MS: u64 = 1_767_225_600_000;

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// A manifest with one VitessCluster; without it, our own of three zones.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Zones that the placement policy asks for; fewer are refused.
    #[arg(long, value_name = "N")]
    min_zones: Option<u32>,
    /// Seed of the played world.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    settings: SettingsArgs,
}

pub(super) fn main(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    let text = match &args.file {
        Some(path) => std::fs::read_to_string(path).with_context(|| path.display().to_string())?,
        None => THREE_ZONES.to_owned(),
    };
    let documents = embedded::documents(&text)?;
    let clusters: Vec<_> = documents.iter().filter(|d| d["kind"] == "VitessCluster").collect();
    let [cluster] = clusters.as_slice() else { return Err(embedded::Error::Clusters(clusters.len()).into()) };
    let zones = demo::zones_of(cluster);
    let text_at = |pointer| cluster.pointer(pointer).and_then(serde_json::Value::as_str);
    let namespace = text_at("/metadata/namespace").unwrap_or("default");
    let key = ClusterKey::new(namespace, text_at("/metadata/name").unwrap_or_default());
    let mut settings = args.settings.load()?;
    if let (Some(zones), Some(placement)) = (args.min_zones, &mut settings.policies.placement) {
        placement.config["minZones"] = json!(zones);
    }
    say!(
        "pilothouse demo: {} zone(s) on the embedded control plane; Kubernetes, disks and Vitess are played, \
         the controller and its policies are real",
        zones.len()
    )?;
    let policies = Arc::new(settings.load_policies()?);
    let shared = embedded::shares_a_disk(&documents);
    if shared {
        say!("the manifest's Pods share a ReadWriteOnce claim: volumes are played as network file shares")?;
    }
    let world = WorldSettings {
        zones: zones.iter().map(|name| ZoneSpec { name: name.clone(), nodes: 3 }).collect(),
        exclusive_volumes: !shared,
        ..WorldSettings::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
    let elapsed = stopwatch();
    let (steps, telemetry) = runtime.block_on(async {
        let embedded = Embedded::new(EPOCH_MS, args.seed, world)?;
        let stop = CancellationToken::new();
        let tasks = embedded.start(embedded.controller(policies, &settings), &stop);
        embedded::apply(&embedded.client, &documents).await?;
        let steps = Show::new(&embedded, key, Told::new(), &elapsed).run().await;
        stop.cancel();
        for task in tasks {
            task.await?;
        }
        anyhow::Ok((steps, embedded.telemetry))
    })?;
    say!("\n{}", demo::render(&steps, &telemetry))?;
    let missed = steps.iter().any(|s| matches!(s.shown, Shown::Missed(_)));
    Ok(if missed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Live on a terminal, plain lines elsewhere. The show goes on when nobody reads them.
struct Told {
    bar: Option<ProgressBar>,
    title: String,
}

impl Told {
    fn new() -> Self {
        Self { bar: std::io::stdout().is_terminal().then(spinner), title: String::new() }
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => drop(say!("{text}")),
        }
    }
}

fn spinner() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    ProgressBar::new_spinner().with_style(style)
}

impl Progress for Told {
    fn begin(&mut self, title: &str) {
        title.clone_into(&mut self.title);
        match &self.bar {
            Some(bar) => bar.set_message(title.to_owned()),
            None => drop(say!("- {title}")),
        }
    }

    fn note(&mut self, text: &str) {
        match &self.bar {
            Some(bar) => {
                bar.set_message(format!("{}: {text}", self.title));
                bar.tick();
            }
            None => drop(say!("    {text}")),
        }
    }

    fn end(&mut self, step: &Step) {
        let after = Duration::from_millis(step.virtual_ms).as_secs_f64();
        match &step.shown {
            Shown::Observed(what) => {
                self.line(&format!("✓ {}: {what} (after {after:.1} virtual seconds)", step.title))
            }
            Shown::Missed(last) => self.line(&format!("✗ {}: not observed; last: {last}", step.title)),
            Shown::NotApplicable(why) => self.line(&format!("· {}: not applicable: {why}", step.title)),
        }
    }
}
