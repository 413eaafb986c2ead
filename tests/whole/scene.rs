//! A script's cluster on a control plane of its own, and how each step is carried out there.
//!
//! Must not know what is expected of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures::StreamExt as _;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, PatchParams};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt as _, watcher as watch};
use pilothouse::embedded;
use pilothouse::kinds::Kind;
use pilothouse::settings::Settings;
use pilothouse::vitess::Vitess;
use pilothouse_sim::vitess::ClusterKey;
use pilothouse_tests::cluster::databases::Databases;
use pilothouse_tests::cluster::host::{self, Host};
use pilothouse_tests::cluster::whole::Whole;
use pilothouse_tests::seen::{self, Shown, text};
use pilothouse_tests::{built, repository};
use serde_json::Value;

use crate::script::{Edit, Fill, Script, Step, SwitchTraffic, WaitFor};

/// As the simulator's stage has it.
const NODES: usize = 3;
/// A real cluster does in less what it ever does, however long the script would wait.
pub(crate) const LONGEST: Duration = Duration::from_secs(600);
/// Nothing announces that nobody will write: it is looked at after this long.
pub(crate) const QUIET: Duration = Duration::from_secs(8);

/// Objects as they stood a moment ago.
pub(crate) struct Snapshot(BTreeMap<Kind, Vec<Arc<Value>>>);

impl Shown for Snapshot {
    fn objects(&self, kind: Kind, _namespace: &str) -> Vec<Arc<Value>> {
        self.0.get(&kind).cloned().unwrap_or_default()
    }
}

/// A cluster, and who works on it.
pub(crate) struct Scene {
    // In the order in which they end: a server waits for those who watch it.
    pub(crate) host: Host,
    pub(crate) databases: Databases,
    pub(crate) whole: Whole,
    pub(crate) namespace: String,
    broken: String,
}

impl Scene {
    pub(crate) async fn start(binary: &Path, settings: Settings, script: &Script) -> anyhow::Result<Self> {
        let zones: Vec<&str> = script.zones.iter().map(String::as_str).collect();
        let whole = Whole::start(binary, &zones, NODES).await?;
        host::install(&whole.cluster.client).await?;
        let databases = Databases::play(&whole.cluster.client, 1);
        let vitess = if script.vitess { Vitess::Played(databases.world.vitess()) } else { Vitess::Unknown };
        let policies = built!().policies(&settings)?;
        let host = Host::start(&whole.cluster, settings, policies, vitess, databases.clock.clone())?;
        Ok(Self { host, databases, whole, namespace: script.namespace.clone(), broken: String::new() })
    }

    fn api(&self, kind: Kind) -> Api<DynamicObject> {
        let client = &self.whole.cluster.client;
        if kind.is_namespaced() {
            kind.api(client, &self.namespace)
        } else {
            Api::all_with(client.clone(), &kind.resource())
        }
    }

    async fn objects(&self, kind: Kind) -> anyhow::Result<Vec<Arc<Value>>> {
        let all = self.api(kind).list(&ListParams::default()).await?;
        let mut values: Vec<Value> = all.iter().map(serde_json::to_value).collect::<Result<_, _>>()?;
        values.sort_by(|a, b| text(a, "/metadata/name").cmp(text(b, "/metadata/name")));
        Ok(values.into_iter().map(Arc::new).collect())
    }

    pub(crate) async fn snapshot(&self) -> anyhow::Result<Snapshot> {
        let mut all = BTreeMap::new();
        for kind in Kind::ALL {
            all.insert(kind, self.objects(kind).await?);
        }
        Ok(Snapshot(all))
    }

    pub(crate) async fn carry_out(&mut self, step: &Step) -> anyhow::Result<()> {
        match step {
            Step::Apply(path) => {
                let manifest = std::fs::read_to_string(repository(path)).with_context(|| path.clone())?;
                host::apply(&self.whole.cluster.client, &embedded::documents(&manifest)?).await
            }
            Step::LoseZone(zone) => self.power(zone, true, false).await,
            Step::RestoreZone(zone) => self.power(zone, true, true).await,
            Step::LoseNode(node) => self.power(node, false, false).await,
            Step::RestoreNode(node) => self.power(node, false, true).await,
            Step::KillMysqld(tablet) => self.kill(tablet).await,
            Step::Fill(fill) => self.fill(fill).await,
            Step::Edit(edit) => self.edit(edit).await,
            Step::Remove(named) => {
                let kind = Kind::of(&named.kind).with_context(|| format!("no kind {}", named.kind))?;
                let api = self.api(kind);
                let name = self.value(&named.name).await?;
                let uid = api.get(&name).await?.uid().unwrap_or_default();
                self.databases.world.deleted_by_others(&uid);
                api.delete(&name, &DeleteParams::default()).await?;
                Ok(())
            }
            Step::WaitFor(wait) => self.wait(wait).await,
            Step::SwitchTraffic(SwitchTraffic { keyspace, to }) => {
                let cluster = self.cluster().await?;
                let switched = self.databases.world.switch_traffic(&cluster, keyspace, to);
                ensure!(switched, "not all of them have a primary");
                Ok(())
            }
            Step::RestartHost => self.host.kill_and_restart(&self.whole.cluster).await,
            // What is told on the way is the simulator's alone.
            Step::TellTopology | Step::TellTruth | Step::Rest(_) => Ok(()),
            Step::Break(fault) => anyhow::bail!("nobody can here: {fault}"),
        }
    }

    async fn cluster(&self) -> anyhow::Result<ClusterKey> {
        let clusters = self.objects(Kind::VitessCluster).await?;
        let name = text(clusters.first().context("there is no cluster")?, "/metadata/name");
        Ok(ClusterKey::new(&self.namespace, name))
    }

    async fn power(&mut self, named: &str, is_zone: bool, on: bool) -> anyhow::Result<()> {
        let place = self.value(named).await?;
        if is_zone {
            for n in 1..=NODES {
                self.whole.power(&format!("{place}-{n}"), on).await?;
            }
        } else {
            self.whole.power(&place, on).await?;
        }
        self.broken = place;
        Ok(())
    }

    async fn kill(&mut self, tablet: &str) -> anyhow::Result<()> {
        let alias = self.value(tablet).await?;
        let (cell, uid) = alias.rsplit_once('-').context("no alias")?;
        let pods = self.objects(Kind::Pod).await?;
        let of = |p: &Value, label: &str| {
            text(p, &format!("/metadata/labels/planetscale.com~1{label}")).to_owned()
        };
        let pod = pods.iter().find(|p| of(p, "cell") == cell && of(p, "tablet-uid") == uid);
        let pod = text(pod.context("there is no such tablet")?, "/metadata/name").to_owned();
        self.databases.kill(&self.namespace, &pod, "mysqld was killed").await?;
        self.broken = alias;
        Ok(())
    }

    async fn fill(&mut self, fill: &Fill) -> anyhow::Result<()> {
        let alias = self.value(&fill.tablet).await?;
        let cluster = self.cluster().await?;
        let filled = self.databases.world.fill_rate(&cluster, &alias.parse()?, fill.gib_per_hour << 30);
        ensure!(filled, "there is no such volume");
        self.broken = alias;
        Ok(())
    }

    /// What a variable stands for now.
    async fn value(&self, named: &str) -> anyhow::Result<String> {
        match named {
            "$broken" => Ok(self.broken.clone()),
            named if !named.starts_with('$') => Ok(named.to_owned()),
            variable => {
                let primary = seen::primary(&self.snapshot().await?, &self.namespace);
                let primary = primary.context("there is no primary")?;
                Ok(match variable {
                    "$primary" => primary.alias,
                    "$primary-pod" => primary.pod,
                    "$primary-node" => primary.node,
                    "$primary-zone" => primary.zone,
                    other => anyhow::bail!("{other} stands for nothing"),
                })
            }
        }
    }

    async fn edit(&self, edit: &Edit) -> anyhow::Result<()> {
        let kind = Kind::of(&edit.kind).with_context(|| format!("no kind {}", edit.kind))?;
        let objects = self.objects(kind).await?;
        let only = || objects.first().map(|o| text(o, "/metadata/name").to_owned());
        let name = edit.name.clone().or_else(only).context("there is no such object")?;
        let name = self.value(&name).await?;
        let by = PatchParams { field_manager: Some("kubectl-edit".into()), ..PatchParams::default() };
        self.api(kind).patch(&name, &by, &edit.patch()?).await?;
        Ok(())
    }

    async fn wait(&self, wait: &WaitFor) -> anyhow::Result<()> {
        let kind = Kind::of(&wait.kind).with_context(|| format!("no kind {}", wait.kind))?;
        let mut wait = wait.clone();
        for value in [&mut wait.is, &mut wait.is_not] {
            if let Some(Value::String(text)) = value {
                *text = self.value(text).await?;
            }
        }
        let api: Api<DynamicObject> = self.api(kind);
        let mut changes = watch(api, watcher::Config::default()).default_backoff().boxed();
        let met = async {
            let mut objects = BTreeMap::new();
            let mut listed = false;
            // Every state that there was is seen, however short.
            while !(listed && wait.is_met(objects.values().cloned().collect())) {
                match changes.next().await {
                    Some(Ok(Event::Apply(object) | Event::InitApply(object))) => {
                        objects.insert(object.name_any(), Arc::new(serde_json::to_value(object)?));
                    }
                    Some(Ok(Event::Delete(object))) => drop(objects.remove(&object.name_any())),
                    Some(Ok(Event::Init)) => (listed, objects) = (false, BTreeMap::new()),
                    Some(Ok(Event::InitDone)) => listed = true,
                    Some(Err(_)) => {} // it is listed anew
                    None => anyhow::bail!("the watch has ended"),
                }
            }
            anyhow::Ok(())
        };
        match tokio::time::timeout(wait.within.0.clamp(QUIET, LONGEST), met).await {
            // What follows in the script follows for the played Vitess, too.
            Ok(met) => {
                met?;
                self.databases.know_what_is_gone(kind).await
            }
            Err(_) => {
                let stands = seen::state(&self.snapshot().await?, &self.namespace);
                anyhow::bail!("never; what stands:\n{stands}")
            }
        }
    }

    pub(crate) async fn versions(&self) -> anyhow::Result<BTreeMap<String, String>> {
        let mut versions = BTreeMap::new();
        for kind in Kind::ALL.into_iter().filter(|kind| kind.is_namespaced()) {
            for object in self.objects(kind).await? {
                let name = format!("{} {}", kind.as_str(), text(&object, "/metadata/name"));
                versions.insert(name, text(&object, "/metadata/resourceVersion").to_owned());
            }
        }
        Ok(versions)
    }
}
