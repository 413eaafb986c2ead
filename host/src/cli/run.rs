//! `pilothouse run`: the controller against a Kubernetes cluster, once nobody else has the helm.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use kube::Client;
use pilothouse_core::guard::RULES;
use pilothouse_policy::set::PolicySet;
use tokio_util::sync::CancellationToken;

use super::SettingsArgs;
use crate::clock::Clock;
use crate::controller::{Controller, Parts};
use crate::endpoints;
use crate::observe_only::{self, Look};
use crate::settings::Settings;
use crate::takeover;
use crate::telemetry::Telemetry;
use crate::vitess::Vitess;

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    /// Print what would be done with every cluster that is there, and end: nothing is written.
    #[arg(long)]
    observe_only: bool,
}

pub(super) fn main(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let settings = args.settings.load()?;
    let policies = Arc::new(settings.load_policies()?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = Client::try_default().await.context("the current kubeconfig")?;
        let version = client.apiserver_version().await.context("the API server does not answer")?;
        if args.observe_only {
            return observe(client, &settings, policies).await;
        }
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
        let mut steering = tokio::spawn(steer(client, settings, policies, telemetry, stop.clone()));
        tokio::select! {
            signal = super::interrupted() => signal?,
            ended = &mut steering => return ended?.map(|()| ExitCode::FAILURE),
        }
        stop.cancel();
        steering.await??;
        let _ = say!("stopped");
        Ok(ExitCode::SUCCESS)
    })
}

/// Runs the controller until `stop`, but never while the operator that came before lives.
async fn steer(
    client: Client,
    settings: Settings,
    policies: Arc<PolicySet>,
    telemetry: Telemetry,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let namespace = settings.namespace.as_deref();
    tokio::select! {
        () = stop.cancelled() => return Ok(()),
        gone = takeover::until_gone(&client, namespace) => gone.context("who leads by vitess-operator's lock")?,
    }
    let controller = Controller::new(Parts {
        client: client.clone(),
        vitess: Vitess::Unknown,
        policies,
        rules: RULES.to_vec(),
        clock: Clock::system(),
        telemetry,
        namespace: settings.namespace.clone(),
        judging: (&settings).into(),
    });
    let turn = stop.child_token();
    let mut running = tokio::spawn(controller.run(turn.clone()));
    tokio::select! {
        ended = &mut running => ended.context("the controller"),
        pod = takeover::until_back(&client, namespace) => {
            turn.cancel();
            running.await.context("the controller")?;
            anyhow::bail!("vitess-operator is back ({pod}): two operators must not write the same clusters")
        }
    }
}

async fn observe(client: Client, settings: &Settings, policies: Arc<PolicySet>) -> anyhow::Result<ExitCode> {
    let look = Look {
        client,
        policies,
        rules: RULES.to_vec(),
        clock: Clock::system(),
        namespace: settings.namespace.clone(),
        judging: settings.into(),
    };
    let plans = observe_only::plans(&look).await?;
    for plan in &plans {
        say!("{plan}")?;
    }
    say!("{} clusters, nothing was written", plans.len())?;
    Ok(ExitCode::SUCCESS)
}
