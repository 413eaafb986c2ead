//! The host on a bare API server: nobody else is at work, and there is nobody to ask of Vitess.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use kube::api::{DeleteParams, Patch, PatchParams};
use pilothouse::clock::Clock;
use pilothouse::embedded;
use pilothouse::kinds::Kind;
use pilothouse::settings::Settings;
use pilothouse::vitess::Vitess;
use pilothouse_policy::set::PolicySet;
use pilothouse_tests::built;
use pilothouse_tests::cluster::Cluster;
use pilothouse_tests::cluster::host::{self, Host};
use pilothouse_tests::cluster::whole::ever;
use pilothouse_tests::standing::{self, Tree, handed_out};
use serde_json::{Value, json};

const NAMESPACE: &str = "example";
/// What takes longer than this never comes.
const WITHIN: Duration = Duration::from_secs(60);

pub(crate) struct Server {
    cluster: Cluster,
    settings: Settings,
    policies: Arc<PolicySet>,
}

impl Server {
    pub(crate) async fn start(binary: &Path) -> anyhow::Result<Self> {
        // There is no Node, and so no zone to place anything in.
        let settings: Settings = serde_json::from_value(json!({ "policies": { "placement": null } }))?;
        let policies = built!().policies(&settings)?;
        let cluster = Cluster::start(binary).await?;
        host::install(&cluster.client).await?;
        Ok(Self { cluster, settings, policies })
    }

    /// What is wrong with what stands after each manifest: nothing, or what still is when patience ends.
    pub(crate) async fn after(
        &self,
        manifests: &[&str],
        wanted: &Tree,
        mut wrong: impl FnMut(&Tree) -> Vec<String>,
    ) -> anyhow::Result<Vec<String>> {
        let client = &self.cluster.client;
        let (settings, policies) = (self.settings.clone(), Arc::clone(&self.policies));
        let mut host = Host::start(&self.cluster, settings, policies, Vitess::Unknown, Clock::system())?;
        for manifest in manifests {
            let text = std::fs::read_to_string(handed_out("inputs").join(manifest))?;
            let documents = embedded::documents(&text)?;
            host::apply(client, &documents).await?;
            let taken_up =
                async || Ok(is_taken_up(&standing::tree(client, NAMESPACE).await?, wanted).then_some(()));
            ever(WITHIN, taken_up).await?;
        }
        let mut found = Vec::new();
        ever(WITHIN, async || {
            found = wrong(&standing::tree(client, NAMESPACE).await?);
            Ok(found.is_empty().then_some(()))
        })
        .await?;
        host.kill().await?;
        self.clear().await?;
        Ok(found)
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
