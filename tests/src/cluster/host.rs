//! The host on the real control plane, as a task that may die at any moment.
//!
//! Owns what an installation brings and the controller's life. Must not know what any test expects.

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use pilothouse::clock::Clock;
use pilothouse::controller::{Controller, Parts};
use pilothouse::embedded;
use pilothouse::settings::Settings;
use pilothouse::telemetry::Telemetry;
use pilothouse::vitess::Vitess;
use pilothouse_core::guard::RULES;
use pilothouse_policy::set::PolicySet;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Cluster, LOOK_AGAIN, TOKEN};

/// A manifest that is refused for so long always will be.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);

/// Makes our kinds, and the class of Pods that an installation's manifests make.
///
/// # Errors
/// When one is not taken.
pub async fn install(client: &Client) -> anyhow::Result<()> {
    let definitions: Result<Vec<Value>, _> =
        pilothouse_api::crds::all()?.iter().map(serde_json::to_value).collect();
    embedded::apply(client, &definitions?).await?;
    let class = json!({
        "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": 1000,
        "metadata": { "name": "vitess" },
    });
    Ok(embedded::apply(client, &[class]).await?)
}

/// A default class of volumes that nobody provides, where nobody plays a provider.
#[must_use]
pub fn class_of_volumes() -> Value {
    json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "provisioner": "played.pilothouse",
        "metadata": {
            "name": "standard",
            "annotations": { "storageclass.kubernetes.io/is-default-class": "true" },
        },
    })
}

/// Applies a manifest as `kubectl apply --server-side` would; a definition is served a moment after it was taken.
///
/// # Errors
/// When it is still refused after [`TAKEN_WITHIN`].
pub async fn apply(client: &Client, manifest: &[Value]) -> anyhow::Result<()> {
    let mut refused = None;
    let taken = async {
        while let Err(error) = embedded::apply(client, manifest).await {
            refused = Some(error);
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    if tokio::time::timeout(TAKEN_WITHIN, taken).await.is_err() {
        return Err(refused.map_or_else(|| anyhow::anyhow!("no answer"), Into::into));
    }
    Ok(())
}

/// A host with a way to the API server and one to Vitess.
pub struct Host {
    settings: Settings,
    policies: Arc<PolicySet>,
    vitess: Vitess,
    clock: Clock,
    token: String,
    /// Its numbers, since it was last started.
    pub telemetry: Telemetry,
    life: JoinSet<()>,
}

impl Host {
    /// Starts it; it may do everything.
    ///
    /// # Errors
    /// When there can be no client.
    pub fn start(
        cluster: &Cluster,
        settings: Settings,
        policies: Arc<PolicySet>,
        vitess: Vitess,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        Self::start_as(TOKEN, cluster, settings, policies, vitess, clock)
    }

    /// Starts it; it may do what the bearer of a token may.
    ///
    /// # Errors
    /// When there can be no client.
    pub fn start_as(
        token: &str,
        cluster: &Cluster,
        settings: Settings,
        policies: Arc<PolicySet>,
        vitess: Vitess,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let (token, telemetry) = (token.to_owned(), Telemetry::default());
        let mut host = Self { settings, policies, vitess, clock, token, telemetry, life: JoinSet::new() };
        host.begin(cluster)?;
        Ok(host)
    }

    fn begin(&mut self, cluster: &Cluster) -> anyhow::Result<()> {
        self.telemetry = Telemetry::default();
        let controller = Controller::new(Parts {
            client: cluster.client_of(&self.token)?,
            vitess: self.vitess.clone(),
            policies: Arc::clone(&self.policies),
            rules: RULES.to_vec(),
            clock: self.clock.clone(),
            telemetry: self.telemetry.clone(),
            namespace: self.settings.namespace.clone(),
            judging: (&self.settings).into(),
        });
        self.life.spawn(controller.run(CancellationToken::new()));
        Ok(())
    }

    /// Kills it wherever it is.
    ///
    /// # Errors
    /// When it had ended by itself.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(ended) = self.life.try_join_next() {
            ended?;
            anyhow::bail!("the host ended by itself");
        }
        self.life.shutdown().await;
        Ok(())
    }

    /// Kills it, and starts another that knows nothing of it.
    ///
    /// # Errors
    /// When it had ended by itself, or there can be no client.
    pub async fn kill_and_restart(&mut self, cluster: &Cluster) -> anyhow::Result<()> {
        self.kill().await?;
        self.begin(cluster)
    }
}
