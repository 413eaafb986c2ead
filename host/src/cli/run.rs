//! `pilothouse run`: the controller against a Kubernetes cluster.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use pilothouse_core::guard::RULES;
use tokio_util::sync::CancellationToken;

use super::SettingsArgs;
use crate::clock::Clock;
use crate::controller::{Controller, Parts};
use crate::endpoints;
use crate::telemetry::Telemetry;
use crate::vitess::Vitess;

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    settings: SettingsArgs,
}

pub(super) fn main(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let settings = args.settings.load()?;
    let policies = Arc::new(settings.load_policies()?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = kube::Client::try_default().await.context("the current kubeconfig")?;
        let version = client.apiserver_version().await.context("the API server does not answer")?;
        let telemetry = Telemetry::default();
        let stop = CancellationToken::new();
        let at = endpoints::serve(settings.listen, telemetry.clone(), stop.clone())
            .await
            .with_context(|| format!("listen: {}", settings.listen))?;
        // It goes on when nobody reads.
        let _ = say!(
            "pilothouse runs against Kubernetes {}; metrics and health: http://{at}\n\
             without a Vitess client it creates and reports; drains, deletes and reparents are refused",
            version.git_version
        );
        let controller = Controller::new(Parts {
            client,
            vitess: Vitess::Unknown,
            policies,
            rules: RULES.to_vec(),
            clock: Clock::system(),
            telemetry,
            namespace: settings.namespace.clone(),
            judging: (&settings).into(),
        });
        let mut running = tokio::spawn(controller.run(stop.clone()));
        tokio::select! {
            signal = super::interrupted() => signal?,
            ended = &mut running => return ended.context("the controller").map(|()| ExitCode::FAILURE),
        }
        stop.cancel();
        running.await?;
        let _ = say!("stopped");
        Ok(ExitCode::SUCCESS)
    })
}
