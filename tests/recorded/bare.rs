//! The host on a bare API server: nobody else is at work, and there is nobody to ask of Vitess.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use kube::api::{DeleteParams, Patch, PatchParams};
use pilothouse::clock::Clock;
use pilothouse::controller::{Controller, Parts};
use pilothouse::embedded;
use pilothouse::kinds::Kind;
use pilothouse::settings::Settings;
use pilothouse::telemetry::Telemetry;
use pilothouse::vitess::Vitess;
use pilothouse_core::guard::RULES;
use pilothouse_policy::set::PolicySet;
use pilothouse_tests::cluster::{Cluster, host};
use pilothouse_tests::stage;
use pilothouse_tests::standing::{self, Tree, handed_out};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

const NAMESPACE: &str = "example";
/// What takes longer than this never comes.
const WITHIN: Duration = Duration::from_secs(60);
/// Other processes work; what they made is asked for again until it is there, or [`WITHIN`] is over.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

pub(crate) struct Server {
    cluster: Cluster,
    policies: Arc<PolicySet>,
}

impl Server {
    pub(crate) async fn start(binary: &Path) -> anyhow::Result<Self> {
        // There is no Node, and so no zone to place anything in.
        let settings: Settings = serde_json::from_value(json!({ "policies": { "placement": null } }))?;
        let program = env!("CARGO_BIN_EXE_pilothouse-under-test").as_ref();
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("policies");
        let runtime = stage::runtime(program, &cache, &settings)?;
        let policies = Arc::new(PolicySet::load(&runtime, &settings.policies)?);
        let cluster = Cluster::start(binary).await?;
        host::install(&cluster.client).await?;
        Ok(Self { cluster, policies })
    }

    /// What is wrong with what stands after each manifest: nothing, or what still is when patience ends.
    pub(crate) async fn after(
        &self,
        manifests: &[&str],
        wanted: &Tree,
        mut wrong: impl FnMut(&Tree) -> Vec<String>,
    ) -> anyhow::Result<Vec<String>> {
        let client = &self.cluster.client;
        let stop = CancellationToken::new();
        let controller = tokio::spawn(self.controller().run(stop.clone()));
        for manifest in manifests {
            let text = std::fs::read_to_string(handed_out("inputs").join(manifest))?;
            let documents = embedded::documents(&text)?;
            host::apply(client, &documents).await?;
            until(async || Ok(is_taken_up(&standing::tree(client, NAMESPACE).await?, wanted))).await?;
        }
        let mut found = Vec::new();
        until(async || {
            found = wrong(&standing::tree(client, NAMESPACE).await?);
            Ok(found.is_empty())
        })
        .await?;
        stop.cancel();
        controller.await?;
        self.clear().await?;
        Ok(found)
    }

    fn controller(&self) -> Controller {
        Controller::new(Parts {
            client: self.cluster.client.clone(),
            vitess: Vitess::Unknown,
            policies: Arc::clone(&self.policies),
            rules: RULES.to_vec(),
            clock: Clock::system(),
            telemetry: Telemetry::default(),
            namespace: None,
            judging: (&Settings::default()).into(),
        })
    }

    /// Nobody collects garbage here, and nobody lets go of claims.
    async fn clear(&self) -> anyhow::Result<()> {
        for (kind, name) in standing::tree(&self.cluster.client, NAMESPACE).await?.keys() {
            let kind = Kind::of(kind).context("listed by the same table")?;
            let api = kind.api(&self.cluster.client, NAMESPACE);
            if kind == Kind::PersistentVolumeClaim {
                let released = json!({ "metadata": { "finalizers": null } });
                api.patch(name, &PatchParams::default(), &Patch::Merge(&released)).await?;
            }
            api.delete(name, &DeleteParams::default().grace_period(0)).await?;
        }
        Ok(())
    }
}

/// Whether all that is wanted is there, and every status speaks of the present spec.
fn is_taken_up(tree: &Tree, wanted: &Tree) -> bool {
    let speaks = |object: &Value| object["status"]["observedGeneration"] == object["metadata"]["generation"];
    let reports =
        |kind: &str| matches!(kind, "VitessCluster" | "VitessCell" | "VitessKeyspace" | "VitessShard");
    wanted.keys().all(|key| tree.contains_key(key))
        && tree.iter().filter(|((kind, _), _)| reports(kind)).all(|(_, object)| speaks(object))
}

/// Asks again until it is so, or patience ends.
async fn until(mut is_so: impl AsyncFnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let asked = async {
        while !is_so().await? {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(WITHIN, asked).await.unwrap_or(Ok(()))
}
