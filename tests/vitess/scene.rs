//! A control plane, machines in three zones, the host, and who looks at them.
//!
//! Must not know what is expected of it.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::{PersistentVolume, Pod};
use kube::ResourceExt as _;
use kube::api::{Api, ListParams, PostParams};
use pilothouse::clock::Clock;
use pilothouse::embedded;
use pilothouse::kinds::Kind;
use pilothouse::settings::Settings;
use pilothouse::vitess::{RealVitess, Vitess};
use pilothouse_policy::binding::Bindings;
use pilothouse_tests::cluster::host::{self, Host};
use pilothouse_tests::cluster::whole::{holds, until};
use pilothouse_tests::processes::images::Images;
use pilothouse_tests::{built, repository};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::{Instant, timeout};

use crate::machines::Machines;

pub(crate) const ZONES: [&str; 3] = ["zone-a", "zone-b", "zone-c"];
pub(crate) const NAMESPACE: &str = "crossing";
const COMPONENT: &str = "planetscale.com/component";
/// A control daemon that is not there lets its client wait for minutes.
const ANSWERS_WITHIN: Duration = Duration::from_secs(20);

/// What there is none of here: the fields of the cluster that are set to something else, and to what. The second, of
/// durability, only where mysqld lacks a plugin for the example's.
const OVERRIDES: [(&str, &str); 2] =
    [("/spec/backup/engine", "builtin"), ("/spec/keyspaces/0/durabilityPolicy", "none")];

/// A cluster on its machines.
pub(crate) struct Scene {
    // In the order in which they end.
    _host: Host,
    pub(crate) machines: Machines,
    pub(crate) images: Images,
    begun: Instant,
}

impl Scene {
    /// Sets it up, as far as that machines are there, the manifest is applied and the host runs.
    pub(crate) async fn set(binary: &Path, images: Images) -> anyhow::Result<Self> {
        let begun = Instant::now();
        let machines = Machines::start(binary, images.clone(), &ZONES, "vitess").await?;
        let client = machines.client();
        host::install(client).await?;
        let share = serde_json::from_value(share())?;
        Api::<PersistentVolume>::all(client.clone()).create(&PostParams::default(), &share).await?;
        let manifest = std::fs::read_to_string(repository("tests/vitess/ferry.yaml"))?;
        let overrides = if images.has_semi_sync() { &OVERRIDES[..1] } else { &OVERRIDES[..] };
        host::apply(client, &overridden(embedded::documents(&manifest)?, overrides)?).await?;
        // The manifest names no zones; the policy for them would put its one cell into one of them.
        let policies = Bindings { placement: None, ..Bindings::default() };
        let settings = Settings { policies, ..Settings::default() };
        let policies = built!().policies(&settings)?;
        let vitess = RealVitess::new(settings.vitess.dialer()?, settings.vitess.clone(), Clock::system());
        let cluster = &machines.whole.cluster;
        let host = Host::start(cluster, settings, policies, Vitess::Real(vitess), Clock::system())?;
        let scene = Self { _host: host, machines, images, begun };
        scene.say("the control plane, machines and the host stand");
        Ok(scene)
    }

    /// The durability policy that the keyspace has.
    pub(crate) fn durability(&self) -> &'static str {
        if self.images.has_semi_sync() { "semi_sync" } else { "none" }
    }

    /// Prints that something is so, and since when the test runs.
    pub(crate) fn say(&self, what: &str) {
        println!("{:6.1} s  {what}", self.begun.elapsed().as_secs_f64());
    }

    /// The Pods of a component, by name.
    pub(crate) async fn pods(&self, component: &str) -> anyhow::Result<Vec<Pod>> {
        let api: Api<Pod> = Api::namespaced(self.machines.client().clone(), NAMESPACE);
        let of = ListParams::default().labels(&format!("{COMPONENT}={component}"));
        Ok(api.list(&of).await?.items)
    }

    /// Waits until so many Pods of a component are Ready, and no others are there.
    pub(crate) async fn ready(&self, component: &str, count: usize, within: Duration) -> anyhow::Result<()> {
        until(within, &format!("{count} of {component} are Ready"), async || {
            let pods = self.pods(component).await?;
            Ok((pods.len() == count && pods.iter().all(|pod| holds(pod, "Ready"))).then_some(()))
        })
        .await?;
        self.say(&format!("{component}: {count} Ready"));
        Ok(())
    }

    /// Asks the control daemon, and gives what it prints.
    pub(crate) async fn vtctldclient(&self, args: &[&str]) -> anyhow::Result<String> {
        let server = format!("{}.{NAMESPACE}.svc:15999", pilothouse_api::names::vtctld_service("ferry"));
        let asked = Command::new(self.images.vitess("vtctldclient"))
            .args(["--server", &server])
            .args(args)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output =
            timeout(ANSWERS_WITHIN, asked).await.with_context(|| format!("{args:?}: no answer"))??;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{args:?}: {error}");
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Prints what stands.
    pub(crate) async fn tell(&self) {
        let api: Api<Pod> = Api::namespaced(self.machines.client().clone(), NAMESPACE);
        for pod in api.list(&ListParams::default()).await.map(|all| all.items).unwrap_or_default() {
            let status = pod.status.clone().unwrap_or_default();
            println!(
                "\n{} {}: {}",
                pod.name_any(),
                status.phase.unwrap_or_default(),
                status.message.unwrap_or_default()
            );
            let inits = status.init_container_statuses.into_iter().flatten();
            for container in inits.chain(status.container_statuses.into_iter().flatten()) {
                println!("  {} {}", container.name, json!(container.state));
            }
        }
        for kind in [Kind::VitessCluster, Kind::EtcdLockserver, Kind::VitessShard] {
            let all = kind.api(self.machines.client(), NAMESPACE).list(&ListParams::default()).await;
            for object in all.map(|all| all.items).unwrap_or_default() {
                println!(
                    "\n{} {}: {:#}",
                    kind.as_str(),
                    object.name_any(),
                    object.data["status"]["conditions"]
                );
            }
        }
        println!("\nwhat the containers printed is in {}", self.machines.logs.display());
    }
}

/// **Played**: a share that all zones reach, for the claim that the manifest keeps backups on.
fn share() -> Value {
    json!({
        "metadata": { "name": "share" },
        "spec": {
            "capacity": { "storage": "1Gi" }, "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
            "storageClassName": "standard", "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": { "namespace": NAMESPACE, "name": "ferry-backups" },
            "csi": { "driver": "played.pilothouse.dev", "volumeHandle": "share" },
        },
    })
}

/// The manifest with what mysqld here needs otherwise; prints each.
fn overridden(mut manifest: Vec<Value>, overrides: &[(&str, &str)]) -> anyhow::Result<Vec<Value>> {
    let cluster = manifest.iter_mut().find(|document| document["kind"] == "VitessCluster");
    let cluster = cluster.context("no cluster")?;
    for (field, value) in overrides {
        let given = cluster.pointer_mut(field).with_context(|| (*field).to_owned())?;
        println!("overridden: {field} is {value}, not {}", given.as_str().unwrap_or_default());
        *given = json!(value);
    }
    Ok(manifest)
}
