//! A control plane, machines in three zones, hosts, and who looks at them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::cluster::process::Process;
use crate::cluster::whole::{holds, until};
use crate::cluster::{HOST, host};
use crate::processes::images::Images;
use crate::repository;
use crate::stage::Built;
use anyhow::{Context as _, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{PersistentVolume, Pod};
use kube::ResourceExt as _;
use kube::api::{Api, ListParams, PostParams};
use pilothouse::embedded;
use pilothouse::kinds::Kind;
use pilothouse::lease::LeaseSettings;
use pilothouse::settings::{Allowances, Settings};
use pilothouse_policy::binding::Bindings;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::{Instant, timeout};

use super::machines::Machines;

/// The zones, each with one machine.
pub const ZONES: [&str; 3] = ["zone-a", "zone-b", "zone-c"];
/// Where the cluster is.
pub const NAMESPACE: &str = "crossing";
const COMPONENT: &str = "planetscale.com/component";
/// A control daemon that is not there lets its client wait for minutes.
const ANSWERS_WITHIN: Duration = Duration::from_secs(20);

/// What there is none of here: the fields of the cluster that are set to something else, and to what. The second, of
/// durability, only where mysqld lacks a plugin for the example's.
const OVERRIDES: [(&str, &str); 2] =
    [("/spec/backup/engine", "builtin"), ("/spec/keyspaces/0/durabilityPolicy", "none")];

/// A cluster on its machines.
pub struct Scene {
    // In the order in which they end.
    hosts: BTreeMap<String, Process>,
    /// The machines.
    pub machines: Machines,
    /// What runs on them.
    pub images: Images,
    built: Built,
    dir: tempfile::TempDir,
    begun: Instant,
}

impl Scene {
    /// Sets it up, as far as that machines are there and the manifest is applied, with fields of the cluster set to
    /// something else. What containers print is kept under that name.
    ///
    /// # Errors
    /// When it cannot be.
    pub async fn set(
        binary: &Path,
        images: Images,
        built: Built,
        name: &str,
        fields: &[(&str, Value)],
    ) -> anyhow::Result<Self> {
        let begun = Instant::now();
        let machines = Machines::start(binary, images.clone(), &ZONES, built.kept(name)).await?;
        let client = machines.client();
        host::install(client).await?;
        let share = serde_json::from_value(share())?;
        Api::<PersistentVolume>::all(client.clone()).create(&PostParams::default(), &share).await?;
        let manifest = std::fs::read_to_string(repository("tests/vitess/ferry.yaml"))?;
        let overrides = if images.has_semi_sync() { &OVERRIDES[..1] } else { &OVERRIDES[..] };
        let overrides = overrides.iter().map(|(field, value)| (*field, json!(value)));
        let overrides: Vec<(&str, Value)> = overrides.chain(fields.iter().cloned()).collect();
        host::apply(client, &overridden(embedded::documents(&manifest)?, &overrides)?).await?;
        let scene =
            Self { hosts: BTreeMap::new(), machines, images, built, dir: tempfile::tempdir()?, begun };
        scene.say("the control plane and machines stand");
        Ok(scene)
    }

    /// What hosts run with here. The manifest names no zones: the policy for them would put its one cell into one of
    /// them. Under `none` nobody promises what is lost with a primary, so that is accepted, or none was ever replaced.
    #[must_use]
    pub fn settings(&self) -> Settings {
        let loss_accepted = self.durability() == "none";
        Settings {
            listen: ([127, 0, 0, 1], 0).into(),
            cache_dir: Some(self.built.cache.clone()),
            policies: Bindings { placement: None, ..Bindings::default() },
            allowances: Allowances { loss_accepted, ..Allowances::default() },
            lease: LeaseSettings {
                required: Some(true),
                namespace: Some(NAMESPACE.to_owned()),
                ..LeaseSettings::default()
            },
            ..Settings::default()
        }
    }

    /// Starts the product's own process, which takes part under that name.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_host(&mut self, name: &str, settings: &Settings) -> anyhow::Result<()> {
        let file = |what: &str| self.dir.path().join(format!("{name}.{what}"));
        let mut settings = settings.clone();
        settings.lease.identity = Some(name.to_owned());
        std::fs::write(file("settings"), settings.to_yaml())?;
        std::fs::write(file("kubeconfig"), self.machines.whole.cluster.kubeconfig(HOST, NAMESPACE))?;
        let mut command = Command::new(&self.built.program);
        command.args(["--log", "info", "run", "--settings"]).arg(file("settings"));
        command.env_clear().env("KUBECONFIG", file("kubeconfig"));
        let log = self.machines.logs.join(format!("{name}.log"));
        let process = Process::start(command.as_std_mut(), file("out"), log)?;
        self.hosts.insert(name.to_owned(), process);
        Ok(())
    }

    /// Kills a host without a word, for good.
    ///
    /// # Errors
    /// When it had ended by itself.
    pub fn kill_host(&mut self, name: &str) -> anyhow::Result<()> {
        self.hosts.remove(name).with_context(|| format!("there is no host {name}"))?.kill()
    }

    /// Asks a host to end, and waits until it has.
    ///
    /// # Errors
    /// When it does not, or does not end well.
    pub async fn stop_host(&mut self, name: &str) -> anyhow::Result<()> {
        self.hosts.remove(name).with_context(|| format!("there is no host {name}"))?.stop().await
    }

    /// The name of the host that leads, if any does.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn leader(&self) -> anyhow::Result<Option<String>> {
        let leases: Api<Lease> = Api::namespaced(self.machines.client().clone(), NAMESPACE);
        let lease = leases.get_opt(&LeaseSettings::default().name).await?;
        let holder = lease.and_then(|lease| lease.spec).and_then(|spec| spec.holder_identity);
        Ok(holder.filter(|holder| !holder.is_empty()))
    }

    /// Whether VTOrc stands by, as the topology has it.
    ///
    /// # Errors
    /// When the control daemon does not answer.
    pub async fn vtorc_stands_by(&self) -> anyhow::Result<bool> {
        let keyspace: Value = serde_json::from_str(&self.vtctldclient(&["GetKeyspace", "commerce"]).await?)?;
        Ok(keyspace["keyspace"]["vtorc_state"]["disable_emergency_reparent"] == true)
    }

    /// The durability policy that the keyspace has.
    pub fn durability(&self) -> &'static str {
        if self.images.has_semi_sync() { "semi_sync" } else { "none" }
    }

    /// Prints that something is so, and since when the test runs.
    pub fn say(&self, what: &str) {
        println!("{:6.1} s  {what}", self.begun.elapsed().as_secs_f64());
    }

    /// The Pods of a component, by name.
    pub async fn pods(&self, component: &str) -> anyhow::Result<Vec<Pod>> {
        let api: Api<Pod> = Api::namespaced(self.machines.client().clone(), NAMESPACE);
        let of = ListParams::default().labels(&format!("{COMPONENT}={component}"));
        Ok(api.list(&of).await?.items)
    }

    /// Waits until so many Pods of a component are Ready, and no others are there.
    pub async fn ready(&self, component: &str, count: usize, within: Duration) -> anyhow::Result<()> {
        until(within, &format!("{count} of {component} are Ready"), async || {
            let pods = self.pods(component).await?;
            Ok((pods.len() == count && pods.iter().all(|pod| holds(pod, "Ready"))).then_some(()))
        })
        .await?;
        self.say(&format!("{component}: {count} Ready"));
        Ok(())
    }

    /// Where the control daemon is called.
    #[must_use]
    pub fn vtctld(&self) -> String {
        format!("{}.{NAMESPACE}.svc:15999", pilothouse_api::names::vtctld_service("ferry"))
    }

    /// Asks the control daemon, and gives what it prints.
    pub async fn vtctldclient(&self, args: &[&str]) -> anyhow::Result<String> {
        let asked = Command::new(self.images.vitess("vtctldclient"))
            .args(["--server", &self.vtctld()])
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
    pub async fn tell(&self) {
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
fn overridden(mut manifest: Vec<Value>, overrides: &[(&str, Value)]) -> anyhow::Result<Vec<Value>> {
    let cluster = manifest.iter_mut().find(|document| document["kind"] == "VitessCluster");
    let cluster = cluster.context("no cluster")?;
    for (field, value) in overrides {
        let (parent, name) = field.rsplit_once('/').context("a field")?;
        let parent = cluster.pointer_mut(parent).and_then(Value::as_object_mut);
        let given = parent.with_context(|| (*field).to_owned())?.entry(name).or_insert(Value::Null);
        println!("overridden: {field} is {value}, not {given}");
        *given = value.clone();
    }
    Ok(manifest)
}
