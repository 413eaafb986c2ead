//! What the API and the metrics show of a namespace, as text for people and tests.
//!
//! Owns the words. Numbers that only tell of pace or of how much is rendered are
//! left out; what was decided is not.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use pilothouse::kinds::Kind;
use pilothouse_core::view::Topology;
use pilothouse_sim::apiserver::kinds::EVENTS;
use serde_json::Value;

use crate::stage::Stage;

/// The text at a JSON pointer; empty when there is none.
#[must_use]
pub fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// An object's condition.
#[must_use]
pub fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    list(object, "/status/conditions").iter().find(|c| c["type"] == kind)
}

fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn label<'a>(object: &'a Value, key: &str) -> &'a str {
    text(object, &format!("/metadata/labels/planetscale.com~1{key}"))
}

/// Something that has objects to show.
pub trait Shown {
    /// Every object of a kind in a namespace, by name.
    fn objects(&self, kind: Kind, namespace: &str) -> Vec<Arc<Value>>;
}

impl Shown for Stage {
    fn objects(&self, kind: Kind, namespace: &str) -> Vec<Arc<Value>> {
        Self::objects(self, kind, namespace)
    }
}

/// A primary as the VitessShard's status and the Pods show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Primary {
    /// Its alias.
    pub alias: String,
    /// Its Pod.
    pub pod: String,
    /// The node of its Pod.
    pub node: String,
    /// The zone of that node.
    pub zone: String,
}

/// The first shard's primary.
#[must_use]
pub fn primary(stage: &impl Shown, namespace: &str) -> Option<Primary> {
    let shard = stage.objects(Kind::VitessShard, namespace).into_iter().next()?;
    let alias = text(&shard, "/status/masterAlias").to_owned();
    let (cell, uid) = alias.rsplit_once('-')?;
    let pods = stage.objects(Kind::Pod, namespace);
    let pod = pods.iter().find(|p| label(p, "cell") == cell && label(p, "tablet-uid") == uid)?;
    let node = text(pod, "/spec/nodeName").to_owned();
    let pod = text(pod, "/metadata/name").to_owned();
    Some(Primary { zone: zone_of(stage, &node), pod, node, alias })
}

fn zone_of(stage: &impl Shown, node: &str) -> String {
    let nodes = stage.objects(Kind::Node, "");
    let found = nodes.iter().find(|n| text(n, "/metadata/name") == node);
    found.map(|n| text(n, "/metadata/labels/topology.kubernetes.io~1zone").to_owned()).unwrap_or_default()
}

/// The topology's records, a line a keyspace.
#[must_use]
pub fn topology(topology: &Topology) -> String {
    fn words<T: ToString>(all: impl IntoIterator<Item = T>) -> String {
        all.into_iter().map(|one| one.to_string()).collect::<Vec<_>>().join(" ")
    }
    let (cells, alias) = (words(topology.cells.keys()), words(&topology.alias));
    let mut out = format!("cells: {cells}; in the alias: {alias}\n");
    for (keyspace, policy) in &topology.keyspaces {
        let graphs = topology.graphs.iter().filter_map(|(cell, graphs)| Some((cell, graphs.get(keyspace)?)));
        let served = graphs.map(|(cell, ranges)| format!("{cell} ({})", words(ranges)));
        let _ = writeln!(out, "keyspace {keyspace} {policy:?}, served in {}", words(served));
        for (shard, cells) in topology.shards.iter().filter(|(shard, _)| shard.keyspace == *keyspace) {
            let tablets = topology.tablets.iter().filter(|(_, t)| t.shard == *shard).map(|(alias, _)| alias);
            let _ = writeln!(out, "shard {shard} in {}: {}", words(cells), words(tablets));
        }
    }
    out
}

/// What stands in a namespace.
#[must_use]
pub fn state(shown: &impl Shown, namespace: &str) -> String {
    let mut out = String::new();
    for kind in [Kind::VitessCluster, Kind::VitessShard, Kind::VitessBackupSchedule] {
        for object in shown.objects(kind, namespace) {
            conditions(&mut out, kind, &object);
        }
    }
    shards(&mut out, shown, namespace);
    orphans(&mut out, shown, namespace);
    tablets(&mut out, shown, namespace);
    waiting(&mut out, shown, namespace);
    backups(&mut out, shown, namespace);
    jobs(&mut out, shown, namespace);
    out
}

/// What was told before, so that only what is new is told again.
#[derive(Debug, Default)]
pub struct Teller {
    events: BTreeSet<String>,
    counts: BTreeMap<String, u64>,
}

impl Teller {
    /// What stands in a namespace, and what was done and said since the last call.
    #[must_use]
    pub fn tell(&mut self, stage: &Stage, namespace: &str) -> String {
        let mut out = state(stage, namespace);
        line(&mut out, "events", self.new_events(stage, namespace));
        line(&mut out, "executed", self.new_counts(stage, "actions", &["verb", "outcome"]));
        line(&mut out, "refused", self.new_counts(stage, "refusals", &["verb", "rule"]));
        out
    }

    /// Reasons of events that came since, sorted; warnings are marked.
    fn new_events(&mut self, stage: &Stage, namespace: &str) -> Vec<String> {
        let mut reasons = BTreeSet::new();
        for event in stage.embedded.api.list(&EVENTS, Some(namespace)) {
            let is_ours = text(&event, "/source/component") == "pilothouse";
            if is_ours && self.events.insert(text(&event, "/metadata/name").to_owned()) {
                let mark = if event["type"] == "Warning" { " (warning)" } else { "" };
                reasons.insert(format!("{}{mark}", text(&event, "/reason")));
            }
        }
        reasons.into_iter().collect()
    }

    /// Labels of a counter that grew since.
    fn new_counts(&mut self, stage: &Stage, name: &str, labels: &[&str]) -> Vec<String> {
        let (_, metrics) = stage.embedded.telemetry.answer("/metrics");
        let mut grown = Vec::new();
        for line in metrics.lines().filter(|l| l.starts_with(&format!("pilothouse_{name}_total{{"))) {
            let Some((series, count)) = line.rsplit_once(' ') else { continue };
            let count = count.parse().unwrap_or(0);
            let before = self.counts.insert(series.to_owned(), count).unwrap_or(0);
            if count > before {
                let value = |label: &&str| series.split(&format!("{label}=\"")).nth(1)?.split('"').next();
                let values: Vec<&str> = labels.iter().filter_map(value).collect();
                grown.push(told(&values, count - before));
            }
        }
        grown.sort();
        grown
    }
}

/// How many objects are rendered, and how often a refusal is repeated, is nobody's decision.
fn told(values: &[&str], count: u64) -> String {
    match values {
        ["apply" | "delete", "done"] => values[0].to_owned(),
        [verb, "done"] => format!("{verb} ×{count}"),
        values => values.join(" "),
    }
}

fn line(out: &mut String, what: &str, values: Vec<String>) {
    if !values.is_empty() {
        let _ = writeln!(out, "{what}: {}", values.join(", "));
    }
}

fn conditions(out: &mut String, kind: Kind, object: &Value) {
    let _ = writeln!(out, "{}:", kind.as_str());
    for condition in list(object, "/status/conditions") {
        let of = |field| text(condition, field);
        let _ = write!(out, "  {} {} {}", of("/type"), of("/status"), of("/reason"));
        if condition["status"] != "True" {
            let _ = write!(out, ": {}", of("/message"));
        }
        out.push('\n');
    }
}

fn shards(out: &mut String, stage: &impl Shown, namespace: &str) {
    for shard in stage.objects(Kind::VitessShard, namespace) {
        let name = format!("{}/{}", label(&shard, "keyspace"), text(&shard, "/spec/name"));
        let primary = text(&shard, "/status/masterAlias");
        let primary = if primary.is_empty() { "none known" } else { primary };
        let _ = writeln!(out, "primary of {name}: {primary}");
        for surge in list(&shard, "/status/surgeTablets") {
            let _ = writeln!(out, "surge of {name}: {surge}");
        }
        for (tablet, orphan) in
            shard.pointer("/status/orphanedTablets").and_then(Value::as_object).into_iter().flatten()
        {
            let _ = writeln!(out, "orphan of {name}: {tablet}: {}", text(orphan, "/reason"));
        }
    }
}

/// Levels that nobody asks for and that are still there.
fn orphans(out: &mut String, stage: &impl Shown, namespace: &str) {
    let of = [
        (Kind::VitessCluster, "orphanedCells"),
        (Kind::VitessCluster, "orphanedKeyspaces"),
        (Kind::VitessKeyspace, "orphanedShards"),
    ];
    for (kind, list) in of {
        for object in stage.objects(kind, namespace) {
            let orphans = object.pointer(&format!("/status/{list}")).and_then(Value::as_object);
            for (name, orphan) in orphans.into_iter().flatten() {
                let _ = writeln!(
                    out,
                    "{list}: {name}: {}: {}",
                    text(orphan, "/reason"),
                    text(orphan, "/message")
                );
            }
        }
    }
}

fn tablets(out: &mut String, stage: &impl Shown, namespace: &str) {
    let claims = stage.objects(Kind::PersistentVolumeClaim, namespace);
    for pod in stage.objects(Kind::Pod, namespace).iter().filter(|p| label(p, "component") == "vttablet") {
        let ready = condition(pod, "Ready").is_some_and(|c| c["status"] == "True");
        let zone = zone_of(stage, text(pod, "/spec/nodeName"));
        let room = claims.iter().find(|c| c.pointer("/metadata/name") == pod.pointer("/metadata/name"));
        let _ = write!(
            out,
            "tablet {}-{} {} {}: {} in {}, {}",
            label(pod, "cell"),
            label(pod, "tablet-uid"),
            label(pod, "tablet-type"),
            label(pod, "tablet-index"),
            if ready { "ready" } else { "not ready" },
            if zone.is_empty() { "no zone" } else { &zone },
            room.map_or("no claim", |c| text(c, "/status/capacity/storage")),
        );
        match text(pod, "/metadata/annotations/pilothouse.dev~1stands-in-for") {
            "" => out.push('\n'),
            cell => {
                let _ = writeln!(out, ", stands in for {cell}");
            }
        }
    }
}

/// What waits for its release, and whose children are released.
fn waiting(out: &mut String, stage: &impl Shown, namespace: &str) {
    for kind in Kind::ALL.into_iter().filter(|kind| kind.is_namespaced()) {
        for object in stage.objects(kind, namespace) {
            let name = format!("{} {}", kind.as_str(), text(&object, "/metadata/name"));
            let mark =
                |mark: &str| text(&object, &format!("/metadata/annotations/rollout.planetscale.com~1{mark}"));
            for (mark, is_there) in ["released", "cascade"].map(|m| (m, !mark(m).is_empty())) {
                if is_there {
                    let _ = writeln!(out, "{mark}: {name}");
                }
            }
            if !mark("scheduled").is_empty() {
                let _ = writeln!(out, "waits at {name}:");
                mark("scheduled").lines().for_each(|line| {
                    let _ = writeln!(out, "  {line}");
                });
            }
        }
    }
}

/// Scheduled runs: when they were due, how they stand, and what they have.
fn jobs(out: &mut String, stage: &impl Shown, namespace: &str) {
    let claims = stage.objects(Kind::PersistentVolumeClaim, namespace);
    let pods = stage.objects(Kind::Pod, namespace);
    for job in stage.objects(Kind::Job, namespace) {
        let name = text(&job, "/metadata/name");
        let ended = ["Complete", "Failed"].into_iter().find_map(|kind| condition(&job, kind));
        let state = ended.map_or("active", |c| text(c, "/type"));
        let why = ended.filter(|_| state == "Failed").map_or("", |c| text(c, "/reason"));
        let has_claim = claims.iter().any(|claim| text(claim, "/metadata/name") == name);
        let of_job = |pod: &&Arc<Value>| text(pod, "/metadata/labels/batch.kubernetes.io~1job-name") == name;
        let _ = writeln!(
            out,
            "job of {}: {state}{}{why}, {} pods, {} claim",
            text(&job, "/metadata/annotations/planetscale.com~1backup-scheduled-at"),
            if why.is_empty() { "" } else { " " },
            pods.iter().filter(of_job).count(),
            if has_claim { "a" } else { "no" },
        );
    }
}

fn backups(out: &mut String, stage: &impl Shown, namespace: &str) {
    let backups = stage.objects(Kind::VitessBackup, namespace);
    let is_verified =
        |b: &&Arc<Value>| !text(b, "/metadata/annotations/pilothouse.dev~1backup-verified").is_empty();
    let complete =
        backups.iter().filter(|b| b.pointer("/status/complete") == Some(&Value::Bool(true))).count();
    if !backups.is_empty() {
        let verified = backups.iter().filter(is_verified).count();
        let _ = writeln!(out, "backups: {complete} complete, {verified} verified");
    }
}
