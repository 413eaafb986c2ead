//! Watches Pods through a rollout, every state that the API server had, and judges each.
//!
//! Owns what must hold between any two writes: of the tablets of a shard, and of the members of an etcd, one at
//! most is away; a tablet that goes is not its shard's primary; and who goes in which order.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{BoxStream, StreamExt as _};
use kube::Client;
use kube::api::DynamicObject;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt as _, watcher as watch};
use pilothouse::kinds::Kind;
use pilothouse_sim::world::World;
use pilothouse_tests::seen::{condition, text};
use serde_json::Value;

/// Pods that are of the same use: a shard's tablets, a lock server's members.
type Group = String;

/// A Pod, as far as it matters.
#[derive(Debug, Clone)]
struct Standing {
    uid: String,
    group: Group,
    /// The tablet's alias, if it is one.
    alias: String,
    ready: bool,
    terminating: bool,
    images: BTreeSet<String>,
}

/// What was seen.
pub(crate) struct Rollout {
    changes: BoxStream<'static, Result<Event<DynamicObject>, watcher::Error>>,
    world: World,
    pods: BTreeMap<String, Standing>,
    /// Every group's Pods at the beginning, by name.
    expected: BTreeMap<Group, BTreeSet<String>>,
    /// Who led each shard at the beginning, as the name of its Pod.
    led: BTreeMap<Group, String>,
    /// UIDs of Pods that were seen to go.
    gone: BTreeSet<String>,
    /// Names of Pods in the order in which they went.
    pub(crate) order: BTreeMap<Group, Vec<String>>,
    /// Those Pods as they were then, for whoever has to find out what was wrong.
    went: BTreeMap<Group, Vec<String>>,
    /// What must not be.
    pub(crate) wrong: Vec<String>,
}

fn label<'a>(pod: &'a Value, key: &str) -> &'a str {
    text(pod, &format!("/metadata/labels/{}", key.replace('/', "~1")))
}

impl Standing {
    fn of(pod: &Value) -> Self {
        let of = |key: &str| label(pod, &format!("planetscale.com/{key}"));
        let is_tablet = of("component") == "vttablet";
        let group = match is_tablet {
            true => format!("{}/{}", of("keyspace"), of("shard")),
            false => format!("etcd {}", label(pod, "etcd.planetscale.com/lockserver")),
        };
        let containers = pod["spec"]["containers"].as_array().cloned().unwrap_or_default();
        let counts = |c: &&Value| matches!(text(c, "/name"), "vttablet" | "mysqld" | "etcd");
        Self {
            uid: text(pod, "/metadata/uid").to_owned(),
            group,
            alias: if is_tablet { format!("{}-{}", of("cell"), of("tablet-uid")) } else { String::new() },
            ready: condition(pod, "Ready").is_some_and(|c| c["status"] == "True"),
            terminating: !pod["metadata"]["deletionTimestamp"].is_null(),
            images: containers.iter().filter(counts).map(|c| text(c, "/image").to_owned()).collect(),
        }
    }

    const fn serves(&self) -> bool {
        self.ready && !self.terminating
    }
}

impl Rollout {
    /// Watches the tablets and etcd members that stand now, all of which must serve.
    pub(crate) async fn watch(client: &Client, namespace: &str, world: World) -> anyhow::Result<Self> {
        let config = watcher::Config::default().labels("planetscale.com/component in (vttablet, etcd)");
        let changes = watch(Kind::Pod.api(client, namespace), config).default_backoff().boxed();
        let mut seen = Self {
            changes,
            world,
            pods: BTreeMap::new(),
            expected: BTreeMap::new(),
            led: BTreeMap::new(),
            gone: BTreeSet::new(),
            order: BTreeMap::new(),
            went: BTreeMap::new(),
            wrong: Vec::new(),
        };
        while seen.next().await? {}
        for (name, pod) in &seen.pods {
            anyhow::ensure!(pod.serves(), "{name} does not serve before the rollout");
            seen.expected.entry(pod.group.clone()).or_default().insert(name.clone());
            if !pod.alias.is_empty() && seen.primary(&pod.group).as_deref() == Some(&pod.alias) {
                seen.led.insert(pod.group.clone(), name.clone());
            }
        }
        Ok(seen)
    }

    /// Takes one change in and judges what stands; false at the end of the first list.
    pub(crate) async fn next(&mut self) -> anyhow::Result<bool> {
        match self.changes.next().await {
            Some(Ok(Event::Apply(pod) | Event::InitApply(pod))) => self.take(&serde_json::to_value(pod)?),
            Some(Ok(Event::Delete(pod))) => {
                let pod = serde_json::to_value(pod)?;
                self.pods.remove(text(&pod, "/metadata/name"));
                self.goes(&pod);
            }
            Some(Ok(Event::InitDone)) => return Ok(false),
            Some(Ok(Event::Init)) => {}
            Some(Err(error)) => anyhow::bail!("the watch of Pods: {error}"),
            None => anyhow::bail!("the watch of Pods has ended"),
        }
        self.judge();
        Ok(true)
    }

    fn take(&mut self, pod: &Value) {
        let standing = Standing::of(pod);
        if standing.terminating {
            self.goes(pod);
        }
        self.pods.insert(text(pod, "/metadata/name").to_owned(), standing);
    }

    fn goes(&mut self, pod: &Value) {
        let standing = Standing::of(pod);
        if !self.gone.insert(standing.uid) {
            return;
        }
        let name = text(pod, "/metadata/name").to_owned();
        self.went.entry(standing.group.clone()).or_default().push(at_its_end(pod, &standing.images));
        if !standing.alias.is_empty() && self.primary(&standing.group).as_deref() == Some(&standing.alias) {
            self.wrong.push(format!("{name} goes while it is the primary of {}", standing.group));
        }
        self.order.entry(standing.group).or_default().push(name);
    }

    fn judge(&mut self) {
        for (group, names) in &self.expected {
            let serves = |name: &&String| self.pods.get(*name).is_some_and(Standing::serves);
            let away: Vec<&String> = names.iter().filter(|name| !serves(name)).collect();
            if away.len() > 1 {
                self.wrong.push(format!("of {group}, {away:?} are away at once"));
            }
        }
    }

    /// The alias of the primary that a shard's topology record names, by the label spelling of the shard.
    fn primary(&self, group: &str) -> Option<String> {
        let safe = |bound: &str| if bound.is_empty() { "x".to_owned() } else { bound.to_owned() };
        let spelled = |shard: &str| {
            let (keyspace, range) = shard.split_once('/')?;
            let (start, end) = range.split_once('-')?;
            Some(format!("{keyspace}/{}-{}", safe(start), safe(end)))
        };
        let facts = self.world.facts();
        let found =
            facts.shards.iter().find(|(k, _)| spelled(&k.shard.to_string()).as_deref() == Some(group));
        found.and_then(|(_, shard)| shard.primary.as_ref()).map(ToString::to_string)
    }

    /// Whether everybody serves with images of that tag and no other.
    pub(crate) fn is_over(&self, tag: &str) -> bool {
        let names = self.expected.values().flatten();
        let done =
            |pod: &Standing| pod.serves() && pod.images.iter().all(|i| i.ends_with(&format!(":{tag}")));
        names.into_iter().all(|name| self.pods.get(name).is_some_and(done))
    }

    /// What must not have been, at the end of a rollout in which everybody was to go once.
    pub(crate) fn verdict(&self) -> Vec<String> {
        let mut wrong = self.wrong.clone();
        for (group, names) in &self.expected {
            let order = self.order.get(group).cloned().unwrap_or_default();
            let before = wrong.len();
            if order.len() != names.len() || order.iter().cloned().collect::<BTreeSet<_>>() != *names {
                wrong.push(format!("of {group}, not everybody went once: {order:?}"));
            }
            if let Some(led) = self.led.get(group)
                && order.last() != Some(led)
            {
                wrong.push(format!("of {group}, {led} led and was not the last to go: {order:?}"));
            }
            if wrong.len() > before {
                wrong.extend(self.went.get(group).into_iter().flatten().cloned());
            }
        }
        wrong
    }
}

/// What tells who ended a Pod, and why, in a line.
fn at_its_end(pod: &Value, images: &BTreeSet<String>) -> String {
    let at = |pointer| pod.pointer(pointer).unwrap_or(&Value::Null);
    let conditions = at("/status/conditions").as_array().into_iter().flatten();
    let conditions: Vec<String> =
        conditions.map(|c| format!("{}={}", text(c, "/type"), text(c, "/status"))).collect();
    let waited: String =
        text(pod, "/metadata/annotations/rollout.planetscale.com~1scheduled").chars().take(200).collect();
    format!(
        "{} {} went with {images:?}, grace {}, {conditions:?}; waited: {waited:?}",
        text(pod, "/metadata/name"),
        text(pod, "/metadata/uid"),
        at("/metadata/deletionGracePeriodSeconds"),
    )
}
