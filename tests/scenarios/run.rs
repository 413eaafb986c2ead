//! Carries a script out and tells what is seen after each wait.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, ensure};
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, PatchParams};
use pilothouse::kinds::Kind;
use pilothouse::settings::Settings;
use pilothouse_policy::set::PolicySet;
use pilothouse_sim::vitess::ClusterKey;
use pilothouse_tests::fault::Fault;
use pilothouse_tests::seen::{self, Primary, Teller};
use pilothouse_tests::stage::{Deeds, Setting, Stage};
use pilothouse_tests::{built, repository, truth};
use serde_json::Value;

use crate::script::{Edit, Named, Script, Step, SwitchTraffic, WaitFor};

/// Loads the settings' policies; the default ones once for all scripts.
fn policies(settings: &Settings) -> anyhow::Result<Arc<PolicySet>> {
    static DEFAULT: Mutex<Option<Arc<PolicySet>>> = Mutex::new(None);
    if *settings != Settings::default() {
        return built!().policies(settings);
    }
    let mut default = DEFAULT.lock().unwrap_or_else(PoisonError::into_inner);
    if default.is_none() {
        *default = Some(built!().policies(settings)?);
    }
    default.clone().context("just set")
}

/// Tells what stands in a namespace.
pub(crate) trait Tell {
    fn tell(&mut self, stage: &Stage, namespace: &str) -> String;
}

impl Tell for Teller {
    fn tell(&mut self, stage: &Stage, namespace: &str) -> String {
        Self::tell(self, stage, namespace)
    }
}

/// What came of it, as text: what `teller` tells after each wait.
pub(crate) async fn run(script: &Script, teller: &mut impl Tell) -> anyhow::Result<String> {
    let setting = Setting::three_zones(script.settings.clone(), policies(&script.settings)?);
    let (zones, has_vitess) = (script.zones.clone(), script.vitess);
    let stage = Stage::start(Setting { zones, has_vitess, ..setting })?;
    let mut told = format!("# {}\n", script.about.trim());
    let mut scene = Scene { stage, namespace: script.namespace.clone(), broken: String::new() };
    for step in &script.steps {
        let named = step.to_string();
        let broken = scene.carry_out(step).await.with_context(|| format!("{named}; so far:\n{told}"))?;
        let hit = if broken.is_empty() { String::new() } else { format!(" ({broken})") };
        let _ = write!(told, "\n== {named}{hit}\n");
        if matches!(step, Step::WaitFor(_) | Step::Rest(_)) {
            told.push_str(&teller.tell(&scene.stage, &scene.namespace));
        }
        if matches!(step, Step::TellTopology) {
            let cluster = scene.cluster()?;
            told.push_str(&seen::topology(&scene.stage.embedded.world.vitess().observe(&cluster).topology));
        }
        if matches!(step, Step::TellTruth) {
            told.push_str(&truth::tell(&scene.stage.embedded.world.facts()));
        }
    }
    told.push_str("\n== at rest\n");
    scene.rest(script).await.with_context(|| format!("at the end; so far:\n{told}"))?;
    told.push_str(&teller.tell(&scene.stage, &scene.namespace));
    let broken = scene.stage.broken();
    ensure!(broken.is_empty(), "broken: {broken:#?}; so far:\n{told}");
    scene.stage.end().await?;
    Ok(told)
}

struct Scene {
    stage: Stage,
    namespace: String,
    broken: String,
}

impl Scene {
    /// Answers what a variable stood for, if the step had one.
    async fn carry_out(&mut self, step: &Step) -> anyhow::Result<String> {
        let world = self.stage.embedded.world.clone();
        match step {
            Step::Apply(path) => {
                let manifest = std::fs::read_to_string(repository(path)).with_context(|| path.clone())?;
                self.stage.apply(&manifest).await?;
                Ok(String::new())
            }
            Step::LoseZone(zone) => Ok(self.break_it(zone, |zone| world.lose_zone(zone))?),
            Step::RestoreZone(zone) => Ok(self.break_it(zone, |zone| world.restore_zone(zone))?),
            Step::LoseNode(node) => Ok(self.break_it(node, |node| world.lose_node(node))?),
            Step::RestoreNode(node) => Ok(self.break_it(node, |node| world.restore_node(node))?),
            Step::KillMysqld(tablet) => {
                let cluster = self.cluster()?;
                let mut done = false;
                let hit = self.break_it(tablet, |alias| {
                    done = alias.parse().is_ok_and(|alias| world.kill_mysqld(&cluster, &alias));
                })?;
                ensure!(done, "there is no such mysqld");
                Ok(hit)
            }
            Step::Break(fault) => self.strike(fault),
            Step::Fill(fill) => {
                let cluster = self.cluster()?;
                let mut done = false;
                let hit = self.break_it(&fill.tablet, |alias| {
                    let rate = fill.gib_per_hour << 30;
                    done = alias.parse().is_ok_and(|alias| world.fill_rate(&cluster, &alias, rate));
                })?;
                ensure!(done, "there is no such volume");
                Ok(hit)
            }
            Step::SwitchTraffic(SwitchTraffic { keyspace, to }) => {
                ensure!(
                    world.switch_traffic(&self.cluster()?, keyspace, to),
                    "not all of them have a primary"
                );
                Ok(String::new())
            }
            Step::Edit(edit) => {
                self.edit(edit).await?;
                Ok(String::new())
            }
            Step::Remove(named) => {
                self.remove(named).await?;
                Ok(String::new())
            }
            Step::WaitFor(wait) => {
                self.wait(wait).await?;
                Ok(String::new())
            }
            Step::TellTopology | Step::TellTruth => Ok(String::new()),
            Step::Rest(span) => {
                self.stage.pass_time(span.0).await;
                Ok(String::new())
            }
            Step::RestartHost => {
                self.stage.restart_controller().await?;
                Ok(String::new())
            }
        }
    }

    fn strike(&mut self, fault: &Fault) -> anyhow::Result<String> {
        let (cluster, target) = (self.cluster()?, self.value(fault.target())?);
        fault.strike(&self.stage.embedded.world, &cluster, &target)?;
        self.broken.clone_from(&target);
        Ok(if target == fault.target() { String::new() } else { target })
    }

    async fn remove(&self, named: &Named) -> anyhow::Result<()> {
        let kind = Kind::of(&named.kind).with_context(|| format!("no kind {}", named.kind))?;
        let api = kind.api(&self.stage.embedded.client, &self.namespace);
        let name = self.value(&named.name)?;
        let uid = api.get(&name).await?.uid().unwrap_or_default();
        self.stage.embedded.world.deleted_by_others(&uid);
        api.delete(&name, &DeleteParams::default()).await?;
        Ok(())
    }

    fn break_it(&mut self, named: &str, act: impl FnOnce(&str)) -> anyhow::Result<String> {
        let value = self.value(named)?;
        act(&value);
        self.broken.clone_from(&value);
        Ok(if value == named { String::new() } else { value })
    }

    /// What a variable stands for now.
    fn value(&self, named: &str) -> anyhow::Result<String> {
        if !named.starts_with('$') {
            return Ok(named.to_owned());
        }
        if named == "$broken" {
            return Ok(self.broken.clone());
        }
        let Primary { alias, pod, node, zone } =
            seen::primary(&self.stage, &self.namespace).context("there is no primary")?;
        match named {
            "$primary" => Ok(alias),
            "$primary-pod" => Ok(pod),
            "$primary-node" => Ok(node),
            "$primary-zone" => Ok(zone),
            other => anyhow::bail!("{other} stands for nothing"),
        }
    }

    fn cluster(&self) -> anyhow::Result<ClusterKey> {
        let all = self.stage.objects(Kind::VitessCluster, &self.namespace);
        let cluster = all.first().context("there is no cluster")?;
        Ok(ClusterKey::new(&self.namespace, seen::text(cluster, "/metadata/name")))
    }

    async fn edit(&self, edit: &Edit) -> anyhow::Result<()> {
        let kind = Kind::of(&edit.kind).with_context(|| format!("no kind {}", edit.kind))?;
        let objects = self.stage.objects(kind, &self.namespace);
        let only = || objects.first().map(|o| seen::text(o, "/metadata/name").to_owned());
        let name = edit.name.clone().or_else(only).context("there is no such object")?;
        let name = self.value(&name)?;
        let client = &self.stage.embedded.client;
        let api = if kind.is_namespaced() {
            kind.api(client, &self.namespace)
        } else {
            Api::all_with(client.clone(), &kind.resource())
        };
        api.patch(
            &name,
            &PatchParams { field_manager: Some("kubectl-edit".into()), ..PatchParams::default() },
            &edit.patch()?,
        )
        .await?;
        Ok(())
    }

    async fn wait(&self, wait: &WaitFor) -> anyhow::Result<()> {
        let kind = Kind::of(&wait.kind).with_context(|| format!("no kind {}", wait.kind))?;
        let mut asked = wait.clone();
        for value in [&mut asked.is, &mut asked.is_not] {
            if let Some(Value::String(text)) = value {
                *text = self.value(text)?;
            }
        }
        let mut last = Vec::new();
        let seen = self.stage.until(wait.within.0, |stage| {
            last = stage.objects(kind, &self.namespace);
            asked.is_met(last.clone()).then_some(())
        });
        if seen.await.is_none() {
            let statuses: Vec<String> = last.iter().map(|o| o["status"].to_string()).collect();
            let now = Teller::default().tell(&self.stage, &self.namespace);
            anyhow::bail!(
                "not within {} s; statuses: {}\n{now}",
                wait.within.0.as_secs(),
                statuses.join("\n")
            );
        }
        Ok(())
    }

    /// The fixpoint: nothing is written and nothing planned, also by a controller that knows nothing.
    async fn rest(&mut self, script: &Script) -> anyhow::Result<()> {
        self.stage.settle().await?;
        for controller in ["the controller", "a controller started anew"] {
            let told_again = controller == "a controller started anew";
            if told_again {
                self.stage.restart_controller().await?;
            }
            let Deeds { writes, events, executed, refused, passes } = self.stage.an_hour().await;
            ensure!(passes > 0, "{controller} did not look for an hour");
            let counters = self.stage.embedded.api.counters();
            // A controller that knows nothing of the past says once more what it has to say.
            ensure!(events == 0 || told_again, "{controller} at rest: {events} events in an hour");
            ensure!(
                writes == 0,
                "{controller} at rest: {writes} writes in an hour; all so far: {:?}",
                counters.writes
            );
            ensure!(executed == 0, "{controller} at rest: {executed} actions in an hour");
            match &script.refusals_stay {
                None => ensure!(refused == 0, "{controller} at rest: {refused} refusals in an hour"),
                Some(why) => ensure!(refused > 0, "{controller} at rest: no refusals, though {why}"),
            }
        }
        Ok(())
    }
}
