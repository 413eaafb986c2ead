//! The databases alone, inside Pods of a Kubernetes that somebody else runs.
//!
//! Owns what is believed of that Kubernetes, by copies of its objects: a machine has power while its Node
//! says so, a Pod's containers run while its kubelet says that they are ready. Nothing is written: a run to
//! completion that is over is told as [`Ended`], for whoever stands in for the kubelet.
//! Must not play a kubelet, a scheduler, a controller or a volume's provider.

use std::collections::BTreeSet;

use serde_json::Value;

use super::agenda::Look;
use super::kubelet::{Run, Stage};
use super::node::machine;
use super::objects::{Name, bytes_at, condition_status, label, name_of, terminating, text, uid};
use super::state::State;
use super::volume::claims_of;
use super::{World, WorldSettings};
use crate::apiserver::kinds::{CLAIMS, NODES, PODS, VOLUMES};
use crate::apiserver::{ApiServer, ObjectKey, ResourceId};
use crate::clock::Clock;

/// The label of a Node whose machine has power, with the value `on`.
pub const POWER: &str = "played.pilothouse.dev/power";
/// History that nobody asks for again.
const HISTORY_MS: i64 = 60_000;

/// A run to completion that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The Pod's namespace.
    pub namespace: String,
    /// Its name.
    pub pod: String,
    /// Its UID.
    pub uid: String,
    /// Why it failed, if it did.
    pub failed: Option<String>,
}

impl World {
    /// A world without machines and objects of its own: both come by [`World::copy`].
    #[must_use]
    pub fn beside(clock: Clock, seed: u64) -> Self {
        let api = ApiServer::new(clock.clone(), seed);
        api.keep_history(Some(HISTORY_MS));
        let settings = WorldSettings { zones: Vec::new(), ..WorldSettings::default() };
        let mut state = State::new(api.clone(), clock.clone(), seed, settings);
        state.beside = Some(Vec::new());
        Self::of(state, api, clock)
    }

    /// An object as it is there now. What counts are Nodes, Pods, claims, volumes, and the VitessClusters and
    /// VitessKeyspaces.
    pub fn copy(&self, kind: &ResourceId, object: Value) {
        let (namespace, name) = name_of(&object);
        self.api.put_copy(&ObjectKey::new(kind.clone(), &namespace, &name), object);
    }

    /// An object is gone there.
    pub fn copy_gone(&self, kind: &ResourceId, namespace: &str, name: &str) {
        self.api.remove_copy(&ObjectKey::new(kind.clone(), namespace, name));
    }

    /// The UIDs of the copies of a kind.
    #[must_use]
    pub fn copied(&self, kind: &ResourceId) -> BTreeSet<String> {
        self.api.list(kind, None).iter().map(|object| uid(object).to_owned()).collect()
    }

    /// The runs to completion that are over since the last call.
    #[must_use]
    pub fn take_ended(&self) -> Vec<Ended> {
        self.with(|state| state.beside.as_mut().map(std::mem::take).unwrap_or_default())
    }
}

impl State {
    pub(super) fn look_beside(&mut self, look: Look) {
        match look {
            Look::Node(node) => self.believe_node(&node),
            Look::Pod(at) => self.believe_pod(&at),
            Look::Claim(at) => self.believe_claim(&at),
            Look::Volume(volume) => self.believe_volume(&volume),
            Look::Shard(shard) => self.look_at_shard(&shard),
            Look::Lifecycle
            | Look::Evict(_)
            | Look::Job(_)
            | Look::Deployment(_)
            | Look::ReplicaSet(_)
            | Look::Schedule
            | Look::Budget(_)
            | Look::Garbage => {} // theirs
        }
    }

    fn believe_node(&mut self, node: &str) {
        let object = self.objects.get(&NODES, &(String::new(), node.to_owned()));
        let on = object.as_deref().is_some_and(|o| label(o, POWER) == "on");
        if let Some(object) = object
            && !self.places.machines.contains_key(node)
        {
            let zone = label(&object, "topology.kubernetes.io/zone");
            self.places.machines.insert(node.to_owned(), machine(zone, 0));
            self.node_truth_changed(node);
        }
        if let Some(machine) = self.places.machines.get_mut(node) {
            machine.silent_since = (!on).then(|| machine.silent_since.unwrap_or(self.now));
        }
        self.set_power(node, on, false);
    }

    fn believe_pod(&mut self, at: &Name) {
        let pod = self.objects.get(&PODS, at);
        let current = pod.as_deref().map_or("", uid).to_owned();
        for gone in self.runs.others_of(at, &current) {
            self.end_processes(&gone, false);
            self.runs.remove(&gone);
        }
        let Some(pod) = pod else { return };
        let node = text(&pod, "/spec/nodeName");
        let Some(since) = self.places.machines.get(node).map(|m| m.powered_since) else { return };
        if !self.places.is_up(node, self.now) {
            if let Some(since) = since {
                self.agenda.at(since + super::timing::NODE_BOOT, Look::Pod(at.clone()));
            }
            return; // its containers ended with the power, whatever the API still says
        }
        let over = terminating(&pod) || matches!(text(&pod, "/status/phase"), "Succeeded" | "Failed");
        if over || condition_status(&pod, "ContainersReady") != "True" {
            self.end_processes(&current, !over);
            self.runs.remove(&current);
            return;
        }
        match self.runs.get(&current) {
            Some(run) if run.has_processes() => self.work_on(&current, &pod),
            Some(run) if matches!(run.stage, Stage::Ended { .. }) => {} // told, and not yet believed there
            Some(_) | None => self.begin(&pod),
        }
    }

    /// A Pod's containers run; those of tablets and backups are played.
    fn begin(&mut self, pod: &Value) {
        let (id, component) = (uid(pod).to_owned(), label(pod, "planetscale.com/component"));
        let run = |stage, due| Run {
            at: name_of(pod),
            uid: id.clone(),
            node: text(pod, "/spec/nodeName").to_owned(),
            component: component.to_owned(),
            stage,
            due,
            ip: text(pod, "/status/podIP").to_owned(),
            accepted_at: self.now,
            started_at: Some(self.now),
            ended_at: None,
            why_ended: String::new(),
            restarts: 0,
            backoff: 0,
            claims: claims_of(pod),
            inits: 0,
            restart_always: true,
            restart_never: false,
            blocked_since: None,
        };
        match component {
            "vttablet" => {
                let run = run(Stage::Ready, None);
                self.runs.insert(run);
                self.tablet_starts(&id, pod);
            }
            "vtbackup" => {
                let run = run(Stage::Working, None);
                self.runs.insert(run);
                let due = self.now + self.backup_starts(&id, pod);
                self.set_stage(&id, Stage::Working, Some(due));
            }
            _ => {}
        }
    }

    fn work_on(&mut self, id: &str, pod: &Value) {
        let Some(due) = self.runs.get(id).filter(|r| r.stage == Stage::Working).and_then(|r| r.due) else {
            return;
        };
        if self.now < due {
            self.agenda.at(due, Look::Pod(name_of(pod)));
            return;
        }
        let failed = self.backup_ends(id, pod).err();
        if let Some(run) = self.runs.get_mut(id) {
            run.stage = Stage::Ended { ok: failed.is_none() };
        }
        let (namespace, pod) = name_of(pod);
        let ended = Ended { namespace, pod, uid: id.to_owned(), failed };
        self.beside.get_or_insert_default().push(ended);
    }

    fn believe_claim(&mut self, at: &Name) {
        let Some(claim) = self.objects.get(&CLAIMS, at) else { return };
        let (volume, has) = (text(&claim, "/spec/volumeName"), bytes_at(&claim, "/status/capacity/storage"));
        if self.vitess.data.get(volume).is_some_and(|data| has > data.capacity) {
            self.volume_grown(volume, has);
        }
    }

    fn believe_volume(&mut self, volume: &str) {
        let there = self.objects.get(&VOLUMES, &(String::new(), volume.to_owned()));
        if there.is_none() && self.vitess.data.contains_key(volume) {
            self.volume_destroyed(volume);
        }
    }
}
