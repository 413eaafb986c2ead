//! `pilothouse run`: the controller against a Kubernetes cluster.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use kube::client::ClientBuilder;
use kube::{Client, Config};
use pilothouse_core::guard::RULES;
use pilothouse_policy::set::PolicySet;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::SettingsArgs;
use crate::clock::Clock;
use crate::controller::{Controller, Parts};
use crate::endpoints;
use crate::lease::{self, Candidate, Gate, Lease};
use crate::observe_only::{self, Look};
use crate::settings::Settings;
use crate::takeover;
use crate::telemetry::Telemetry;
use crate::vitess::{RealVitess, Vitess};

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
    let candidate = settings.lease.candidate(|name| std::env::var(name).ok()).context("settings")?;
    let policies = Arc::new(settings.load_policies()?);
    // One for all: several would only hand answers, and the memory that they are in, to each other.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        // Passes, watches and the Lease try again by themselves, when it suits them: a request
        // that the client repeats by itself would pass the gate but once.
        let mut config = Config::infer().await.context("the current kubeconfig")?;
        config.default_retry = false;
        let version = Client::try_from(config.clone())?.apiserver_version().await;
        let version = version.context("the API server does not answer")?;
        if args.observe_only {
            return observe(Client::try_from(config)?, &settings, policies).await;
        }
        let telemetry = Telemetry::default();
        let stop = CancellationToken::new();
        let at = endpoints::serve(settings.listen, telemetry.clone(), stop.clone())
            .await
            .with_context(|| format!("listen: {}", settings.listen))?;
        // It goes on when nobody reads.
        let _ = say!(
            "pilothouse runs against Kubernetes {}; metrics and health: http://{at}",
            version.git_version
        );
        let mut running = start(config, candidate, &settings, policies, telemetry, stop.clone())?;
        tokio::select! {
            signal = super::interrupted() => signal?,
            ended = &mut running => return ended?.map(|()| ExitCode::FAILURE),
        }
        stop.cancel();
        running.await??;
        let _ = say!("stopped");
        Ok(ExitCode::SUCCESS)
    })
}

/// Starts the controller: at once, or whenever the candidate holds the Lease.
fn start(
    config: Config,
    candidate: Option<Candidate>,
    settings: &Settings,
    policies: Arc<PolicySet>,
    telemetry: Telemetry,
    stop: CancellationToken,
) -> anyhow::Result<JoinHandle<anyhow::Result<()>>> {
    let (clock, namespace, judging) = (Clock::system(), settings.namespace.clone(), settings.into());
    let (dialer, asked) = (settings.vitess.dialer().context("settings")?, settings.vitess.clone());
    let gate = Gate::new(clock.clone());
    let (client, lease) = match candidate {
        Some(candidate) => {
            let gated = ClientBuilder::try_from(config.clone())?.with_layer(&gate.layer()).build();
            let own = Client::try_from(config)?;
            (gated, Some(Lease::new(own, candidate, clock.clone(), telemetry.clone(), gate)))
        }
        None => (Client::try_from(config)?, None),
    };
    let ends = stop.clone();
    let lead = move || {
        let parts = Parts {
            client: client.clone(),
            vitess: Vitess::Real(RealVitess::new(dialer.clone(), asked.clone(), clock.clone())),
            policies: Arc::clone(&policies),
            rules: RULES.to_vec(),
            clock: clock.clone(),
            telemetry: telemetry.clone(),
            namespace: namespace.clone(),
            judging: Clone::clone(&judging),
        };
        steer(parts, ends.clone())
    };
    Ok(tokio::spawn(async move {
        let ended = match lease {
            Some(lease) => lease::run(lease, stop, lead).await,
            None => tokio::spawn(lead()).await,
        };
        ended.context("the controller")
    }))
}

/// Runs the controller until `stop`, but never while the operator that came before lives.
async fn steer(parts: Parts, stop: CancellationToken) {
    let (client, namespace) = (parts.client.clone(), parts.namespace.clone());
    let namespace = namespace.as_deref();
    tokio::select! {
        () = stop.cancelled() => return,
        gone = takeover::until_gone(&client, namespace) => if let Err(error) = gone {
            tracing::error!(%error, "who leads by vitess-operator's lock is not known: nothing is written");
            return;
        }
    }
    let turn = stop.child_token();
    let running = Controller::new(parts).run(turn.clone());
    tokio::pin!(running);
    tokio::select! {
        () = &mut running => {}
        pod = takeover::until_back(&client, namespace) => {
            turn.cancel();
            running.await;
            tracing::error!(pod, "vitess-operator is back: two operators must not write the same clusters");
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
