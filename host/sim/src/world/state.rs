//! The world's whole state and its step: take what the API server committed,
//! look at everything that is due, until nothing is.
//!
//! Owns the dispatch from API events to looks, the trace and the journal. Must
//! not know how any part works.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::Value;

use super::WorldSettings;
use super::agenda::{Agenda, Look};
use super::journal::Journal;
use super::levels::is_level;
use super::objects::{
    Name, Objects, array, controller_uid, label, name, name_of, selects, terminating, text,
};
use super::places::Places;
use super::round::Round;
use super::runs::Runs;
use super::volume::Growth;
use crate::apiserver::kinds::{
    CLAIMS, DEPLOYMENTS, DISRUPTION_BUDGETS, JOBS, NODES, PODS, REPLICA_SETS, VOLUMES,
};
use crate::apiserver::{ApiServer, ChangeKind, ResourceId, Status, WatchEvent, garbage};
use crate::clock::Clock;
use crate::vitess::{ClusterKey, Vitess};

const CLUSTERS: ResourceId = ResourceId::of("planetscale.com", "vitessclusters");

/// More looks than this in one step mean that two played controllers fight.
const LOOKS_PER_STEP: usize = 200_000;

/// Everything behind [`super::World`]'s lock.
pub(crate) struct State {
    pub(crate) objects: Objects,
    pub(crate) clock: Clock,
    pub(crate) seed: u64,
    pub(crate) settings: WorldSettings,
    /// The instant of this step.
    pub(crate) now: i64,
    pub(crate) started: i64,
    pub(crate) agenda: Agenda,
    pub(crate) seen: u64,
    pub(crate) places: Places,
    pub(crate) runs: Runs,
    /// Pods that wait for a node, and the one that volumes are being made for.
    pub(crate) unscheduled: BTreeMap<Name, Option<String>>,
    /// What the scheduler judges by; `None` until it is read anew.
    pub(crate) round: Option<Round>,
    /// Nodes that volumes are attached to, by PersistentVolume.
    pub(crate) attached: BTreeMap<String, String>,
    /// Growth under way, by claim UID.
    pub(crate) growth: BTreeMap<String, Growth>,
    /// When a claim's volume will be provisioned, by claim UID.
    pub(crate) provisioning: BTreeMap<String, i64>,
    pub(crate) next_taint: BTreeMap<String, i64>,
    pub(crate) next_ip: u32,
    pub(crate) vitess: Vitess,
    pub(crate) journal: Journal,
    pub(crate) trace: String,
    /// Changes whenever truth that checkers read may have changed.
    pub(crate) revision: u64,
    /// Beside somebody else's Kubernetes: the runs to completion that are over and were not yet told.
    pub(crate) beside: Option<Vec<super::beside::Ended>>,
    /// UIDs whose deletion the played controllers, or a user whom somebody plays, asked for.
    pub(crate) own_deletes: BTreeSet<String>,
    /// Images whose tablets end as soon as they start.
    pub(crate) broken_images: BTreeSet<String>,
    /// The garbage collector's last commits: after the first, up to the second resourceVersion.
    collected: (u64, u64),
}

impl State {
    pub(crate) fn new(api: ApiServer, clock: Clock, seed: u64, settings: WorldSettings) -> Self {
        let now = clock.now_ms();
        let mut places = Places::default();
        for zone in &settings.zones {
            for index in 1..=zone.nodes {
                let node = format!("{}-{index}", zone.name);
                let phase =
                    super::places::draw(seed, "renewal", &node, (0, super::timing::LEASE_RENEWAL - 1));
                places.machines.insert(node, super::node::machine(&zone.name, phase));
            }
        }
        Self {
            objects: Objects::new(api),
            clock,
            seed,
            settings,
            now,
            started: now,
            agenda: Agenda::default(),
            seen: 0,
            places,
            runs: Runs::default(),
            unscheduled: BTreeMap::new(),
            round: None,
            attached: BTreeMap::new(),
            growth: BTreeMap::new(),
            provisioning: BTreeMap::new(),
            next_taint: BTreeMap::new(),
            next_ip: 0,
            vitess: Vitess::default(),
            journal: Journal::default(),
            trace: String::new(),
            revision: 0,
            beside: None,
            broken_images: BTreeSet::new(),
            own_deletes: BTreeSet::new(),
            collected: (0, 0),
        }
    }

    /// Handles everything due, to quiescence; answers when something is due next.
    pub(crate) fn step(&mut self) -> Option<i64> {
        self.now = self.clock.now_ms();
        for _ in 0..LOOKS_PER_STEP {
            self.take_events();
            let Some(look) = self.agenda.pop(self.now) else {
                self.publish_vitess();
                return self.agenda.next_due();
            };
            self.revision += 1;
            self.look_at(look);
        }
        self.note("step given up: too many looks".to_owned());
        self.agenda.next_due()
    }

    fn look_at(&mut self, look: Look) {
        if self.beside.is_some() {
            return self.look_beside(look);
        }
        match look {
            Look::Node(node) => self.look_at_node(&node),
            Look::Lifecycle => self.look_at_lifecycle(),
            Look::Evict(at) => self.look_at_eviction(&at),
            Look::Job(at) => self.look_at_job(&at),
            Look::Deployment(at) => self.look_at_deployment(&at),
            Look::ReplicaSet(at) => self.look_at_replica_set(&at),
            Look::Schedule => self.schedule(),
            Look::Claim(at) => self.look_at_claim(&at),
            Look::Volume(volume) => self.look_at_volume(&volume),
            Look::Pod(at) => self.look_at_pod(&at),
            Look::Shard(shard) => self.look_at_shard(&shard),
            Look::Budget(at) => self.look_at_budget(&at),
            Look::Garbage => {
                let before = self.objects.api().newest();
                garbage::collect(self.objects.api());
                self.collected = (before, self.objects.api().newest());
            }
        }
    }

    fn take_events(&mut self) {
        match self.objects.api().events_since(self.seen) {
            Ok(events) => {
                for event in events {
                    self.seen = self.seen.max(event.rv);
                    self.on_event(&event);
                }
            }
            Err(compacted) => {
                self.note(compacted.to_string());
                self.seen = self.objects.api().newest();
                self.round = None;
                self.look_at_everything();
            }
        }
    }

    /// After compaction nothing is known of what happened between.
    fn look_at_everything(&mut self) {
        for kind in [PODS, CLAIMS, VOLUMES, NODES, DEPLOYMENTS, REPLICA_SETS, JOBS, DISRUPTION_BUDGETS] {
            for object in self.objects.all(&kind) {
                self.mark(&kind, &object);
            }
        }
        let forgotten: Vec<Name> = self.runs.values().map(|run| run.at.clone()).collect();
        for at in forgotten {
            self.agenda.now(Look::Pod(at));
        }
        self.agenda.now(Look::Garbage);
        self.agenda.now(Look::Lifecycle);
    }

    fn on_event(&mut self, event: &WatchEvent) {
        let (kind, object) = (&event.key.kind, &event.object);
        if self.settings.trace {
            let what = format!("{:?}", event.what).to_lowercase();
            let (namespace, name) = (&event.key.namespace, &event.key.name);
            self.note(format!("rv {} {what} {} {namespace}/{name}", event.rv, kind.resource));
        }
        self.judge_deletion(event);
        self.follow_round(event);
        self.mark(kind, object);
        if *kind == PODS {
            self.mark_budgets(event);
        }
        if event.what == ChangeKind::Deleted {
            self.forget_unkept_topology(event);
        }
        if event.what == ChangeKind::Deleted || terminating(object) {
            self.agenda.now(Look::Garbage);
        }
    }

    /// What the scheduler judges by is kept as of this event.
    fn follow_round(&mut self, event: &WatchEvent) {
        let at = || (event.key.namespace.clone(), event.key.name.clone());
        if event.key.kind == NODES {
            self.round = None;
        } else if event.key.kind == PODS
            && let Some(round) = &mut self.round
        {
            match event.what {
                ChangeKind::Deleted => round.remove(&at()),
                ChangeKind::Added | ChangeKind::Modified => round.put(at(), Arc::clone(&event.object)),
            }
        }
    }

    /// Budgets that count a Pod, or counted it before.
    fn mark_budgets(&mut self, event: &WatchEvent) {
        let labels = |pod: &Value| pod.pointer("/metadata/labels").cloned();
        let before = event.previous.as_deref().filter(|before| labels(before) != labels(&event.object));
        for budget in self.objects.within(&DISRUPTION_BUDGETS, &event.key.namespace) {
            let counts = |pod: &Value| selects(&budget["spec"]["selector"], pod);
            if counts(&event.object) || before.is_some_and(counts) {
                self.agenda.now(Look::Budget(name_of(&budget)));
            }
        }
    }

    /// A topology is on the volumes of its cluster's lock servers. Without any it is kept elsewhere, and
    /// taken for gone with the cluster.
    fn forget_unkept_topology(&mut self, gone: &WatchEvent) {
        let is_of_etcd = |claim: &Value| label(claim, "planetscale.com/component") == "etcd";
        let namespace = gone.key.namespace.as_str();
        let name = match &*gone.key.kind.resource {
            "vitessclusters" => gone.key.name.as_str(),
            "persistentvolumeclaims" if is_of_etcd(&gone.object) => {
                label(&gone.object, "planetscale.com/cluster")
            }
            _ => return,
        };
        let lives = self.objects.get(&CLUSTERS, &(namespace.to_owned(), name.to_owned())).is_some();
        let keeps = |claim: &Value| {
            is_of_etcd(claim)
                && text(claim, "/metadata/namespace") == namespace
                && label(claim, "planetscale.com/cluster") == name
        };
        if !lives && !self.objects.all(&CLAIMS).iter().any(|claim| keeps(claim)) {
            self.vitess.forget_topology(&ClusterKey::new(namespace, name));
        }
    }

    /// Notes who asked for a deletion; the checkers tell the host's from the world's.
    fn judge_deletion(&mut self, event: &WatchEvent) {
        let object = &event.object;
        let uid = super::objects::uid(object).to_owned();
        let gone = event.what == ChangeKind::Deleted;
        let kind = &event.key.kind;
        if !(gone || terminating(object)) || !(*kind == PODS || *kind == CLAIMS || is_level(kind)) {
            return;
        }
        let by_collector = event.rv > self.collected.0 && event.rv <= self.collected.1;
        if by_collector {
            self.own_deletes.insert(uid.clone());
        }
        let ours = self.own_deletes.contains(&uid);
        if !self.journal.saw_deletion(&uid, gone) && !ours {
            self.note_deletion(kind, object, gone);
        }
        if gone {
            self.own_deletes.remove(&uid);
        }
    }

    /// What a changed object makes us look at.
    fn mark(&mut self, kind: &ResourceId, object: &Value) {
        let at = name_of(object);
        if *kind == PODS {
            self.mark_pod(object, at);
        } else if *kind == NODES {
            self.agenda.now(Look::Node(at.1.clone()));
            if !array(object, "/spec/taints").is_empty() {
                for pod in self.objects.pods_on(&at.1) {
                    self.agenda.now(Look::Evict(name_of(&pod)));
                }
            }
            self.wake_scheduler();
        } else if *kind == CLAIMS {
            self.agenda.now(Look::Claim(at));
            self.wake_scheduler();
        } else if *kind == VOLUMES {
            self.agenda.now(Look::Volume(at.1));
            self.wake_scheduler();
        } else if *kind == DEPLOYMENTS {
            self.agenda.now(Look::Deployment(at));
        } else if *kind == REPLICA_SETS {
            if let Some(owner) = owner_named(object, "Deployment") {
                self.agenda.now(Look::Deployment((at.0.clone(), owner)));
            }
            self.agenda.now(Look::ReplicaSet(at));
        } else if *kind == JOBS {
            self.agenda.now(Look::Job(at));
        } else if *kind == DISRUPTION_BUDGETS {
            self.agenda.now(Look::Budget(at));
        }
    }

    fn mark_pod(&mut self, pod: &Value, at: Name) {
        if let Some(owner) = owner_named(pod, "ReplicaSet") {
            self.agenda.now(Look::ReplicaSet((at.0.clone(), owner)));
        }
        if let Some(owner) = owner_named(pod, "Job") {
            self.agenda.now(Look::Job((at.0.clone(), owner)));
        }
        for claim in super::volume::claims_of(pod) {
            self.agenda.now(Look::Claim((at.0.clone(), claim)));
        }
        if !text(pod, "/spec/nodeName").is_empty() {
            self.agenda.now(Look::Evict(at.clone()));
        }
        if label(pod, "planetscale.com/component") == "vtorc" {
            self.mark_cluster_of(pod);
        }
        self.agenda.now(Look::Pod(at));
        if terminating(pod) {
            self.wake_scheduler();
        }
    }

    pub(crate) fn wake_scheduler(&mut self) {
        if !self.unscheduled.is_empty() {
            self.agenda.now(Look::Schedule);
        }
    }

    /// A line of the trace: milliseconds since the start, then the text.
    pub(crate) fn note(&mut self, line: String) {
        if self.settings.trace {
            let _ = writeln!(self.trace, "{:>10} {line}", self.now - self.started);
        }
    }

    // What follows writes to the API server. A refusal is traced; the object's own
    // next event, or the retry, looks at it again.

    pub(crate) fn create(&mut self, kind: &ResourceId, object: Value) -> Option<Arc<Value>> {
        let what = format!("create {} {}", kind.resource, name(&object));
        let result = self.objects.create(kind, object);
        self.written(&what, result)
    }

    pub(crate) fn patch(&mut self, kind: &ResourceId, at: &Name, patch: Value) -> Option<Arc<Value>> {
        let result = self.objects.patch(kind, at, patch);
        self.written(&format!("patch {} {}", kind.resource, at.1), result)
    }

    pub(crate) fn set_status(&mut self, kind: &ResourceId, old: &Value, status: Value) -> bool {
        let result = self.objects.set_status(kind, old, status);
        self.written(&format!("status of {} {}", kind.resource, name(old)), result).is_some()
    }

    pub(crate) fn delete(&mut self, kind: &ResourceId, object: &Value, grace: Option<i64>) {
        self.own_deletes.insert(super::objects::uid(object).to_owned());
        let result = self.objects.delete(kind, object, grace);
        self.written(&format!("delete {} {}", kind.resource, name(object)), result);
    }

    fn written<T>(&mut self, what: &str, result: Result<T, Status>) -> Option<T> {
        match result {
            Ok(done) => Some(done),
            Err(status) => {
                self.note(format!("{what}: {status}"));
                self.journal.refused.push(format!("{what}: {status}"));
                None
            }
        }
    }
}

/// The name of the controller of that kind.
pub(crate) fn owner_named(object: &Value, kind: &str) -> Option<String> {
    if controller_uid(object).is_empty() {
        return None;
    }
    let owners = array(object, "/metadata/ownerReferences");
    let owner = owners.iter().find(|o| o["controller"] == true && o["kind"] == kind)?;
    Some(text(owner, "/name").to_owned())
}
