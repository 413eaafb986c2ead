//! `pilothouse dev`: the embedded control plane stays up on loopback.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use pilothouse_sim::world::{WorldSettings, ZoneSpec};
use tokio_util::sync::CancellationToken;

use super::SettingsArgs;
use crate::embedded::{self, Embedded};
use crate::{clock::Clock, endpoints, serve};

/// Arguments of `dev`.
#[derive(Debug, Args)]
pub(super) struct DevArgs {
    /// Port of the API server on 127.0.0.1; 0 takes any free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Where the kubeconfig goes (mode 0600); without it, into the temporary directory.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Zones of the played world.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "zone-a,zone-b,zone-c")]
    zones: Vec<String>,
    /// Manifests to apply at the start.
    #[arg(long, value_name = "FILE")]
    file: Vec<PathBuf>,
    /// Seed of the played world.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    settings: SettingsArgs,
}

pub(super) fn main(args: &DevArgs) -> anyhow::Result<ExitCode> {
    let settings = args.settings.load()?;
    let policies = Arc::new(settings.load_policies()?);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let manifests = read(&args.file)?;
        let world = WorldSettings {
            exclusive_volumes: !embedded::shares_a_disk(&manifests),
            zones: args.zones.iter().map(|name| ZoneSpec { name: name.clone(), nodes: 3 }).collect(),
            ..WorldSettings::default()
        };
        let embedded = Embedded::new(Clock::system().now(), args.seed, world)?;
        let stop = CancellationToken::new();
        let tasks = embedded.start(embedded.controller(policies, &settings), &stop);
        let served = serve::serve(embedded.api.clone(), args.port, stop.clone()).await?;
        let path = args.kubeconfig.clone().unwrap_or_else(|| default_kubeconfig(served.address.port()));
        serve::write_kubeconfig(&path, &served.kubeconfig)?;
        let metrics = endpoints::serve(settings.listen, embedded.telemetry.clone(), stop.clone()).await;
        embedded::apply(&embedded.client, &manifests).await?;
        let metrics = match metrics {
            Ok(at) => format!("metrics and health: http://{at}"),
            Err(error) => format!("metrics and health are not served: {}: {error}", settings.listen),
        };
        // It goes on when nobody reads.
        let _ = say!(
            "the embedded control plane serves on https://{}; Kubernetes, disks and Vitess are played\n\
             {metrics}\nexport KUBECONFIG={}\nCtrl-C stops it",
            served.address,
            path.display()
        );
        super::interrupted().await?;
        stop.cancel();
        for task in tasks {
            task.await?;
        }
        let _ = std::fs::remove_file(&path);
        let _ = say!("stopped; the kubeconfig is removed");
        Ok(ExitCode::SUCCESS)
    })
}

fn read(files: &[PathBuf]) -> anyhow::Result<Vec<serde_json::Value>> {
    let mut documents = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        documents.extend(embedded::documents(&text).with_context(|| file.display().to_string())?);
    }
    Ok(documents)
}

fn default_kubeconfig(port: u16) -> PathBuf {
    std::env::temp_dir().join(format!("pilothouse-dev-{port}.kubeconfig"))
}
