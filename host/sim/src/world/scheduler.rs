//! The scheduler: gives each waiting Pod the node with the fewest Pods that fits.
//!
//! Played: node selector, required node affinity, taints, required Pod (anti-)
//! affinity, DoNotSchedule spread over zones and hostnames, requests against
//! capacity, zones of bound volumes, WaitForFirstConsumer. Not played:
//! preferences, pre-emption, match fields, several schedulers.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::objects::{
    Name, annotation, array, bytes_at, condition, expression_holds, label, name, name_of, number, quantity,
    selects, terminating, text,
};
use super::round::{ANTI_AFFINITY, Placed, Round, requests};
use super::state::State;
use super::volume::{SELECTED_NODE, claims_of};
use crate::apiserver::kinds::{CLAIMS, NODES, PODS, STORAGE_CLASSES, VOLUMES};
use crate::clock::timestamp_of;

/// Why one node does not take a Pod, in the real scheduler's words.
type Misfit = &'static str;

const AFFINITY: &str = "/spec/affinity/podAffinity/requiredDuringSchedulingIgnoredDuringExecution";

impl State {
    /// Tries every Pod without a node, in order of creation, then of name.
    pub(crate) fn schedule(&mut self) {
        let mut waiting: Vec<Arc<Value>> = Vec::new();
        for (at, node) in std::mem::take(&mut self.unscheduled) {
            if let Some(pod) = self.objects.get(&PODS, &at)
                && text(&pod, "/spec/nodeName").is_empty()
                && !terminating(&pod)
            {
                waiting.push(pod);
                self.unscheduled.insert(at, node);
            }
        }
        waiting.sort_by_cached_key(|pod| (text(pod, "/metadata/creationTimestamp").to_owned(), name_of(pod)));
        let kept = self.round.take();
        let mut round = kept.unwrap_or_else(|| Round::of(self.objects.all(&NODES), self.objects.all(&PODS)));
        for pod in waiting {
            if self.waits_for_volumes(&round, &pod) {
                continue;
            }
            match self.choose_node(&round, &pod) {
                Ok(node) => self.bind_when_volumes_are(&mut round, &pod, &node),
                Err(message) => self.tell_unschedulable(&pod, &message),
            }
        }
        self.round = Some(round);
    }

    /// Whether volumes of the Pod are being made for a node that still fits: then there is nothing to do.
    fn waits_for_volumes(&self, round: &Round, pod: &Value) -> bool {
        let Some(Some(node)) = self.unscheduled.get(&name_of(pod)) else { return false };
        let namespace = text(pod, "/metadata/namespace");
        let (mut unbound, mut unasked) = (false, false);
        for claim in claims_of(pod) {
            let Some(object) = self.objects.get(&CLAIMS, &(namespace.to_owned(), claim)) else {
                return false;
            };
            if text(&object, "/status/phase") != "Bound" {
                unbound = true;
                unasked |= annotation(&object, SELECTED_NODE).is_empty();
            }
        }
        let fits = |at: usize| {
            self.volume_homes(pod).is_ok_and(|homes| misfit(round, pod, requests(pod), at, &homes).is_none())
        };
        unbound && !unasked && round.place_of(node).is_some_and(fits)
    }

    /// The node with the fewest Pods, then by name; or the reasons, counted.
    fn choose_node(&self, round: &Round, pod: &Value) -> Result<String, String> {
        let (homes, wants) = (self.volume_homes(pod)?, requests(pod));
        let mut misfits: BTreeMap<Misfit, usize> = BTreeMap::new();
        let mut best: Option<(usize, String)> = None;
        for (at, node) in round.nodes.iter().enumerate() {
            if let Some(why) = misfit(round, pod, wants, at, &homes) {
                *misfits.entry(why).or_default() += 1;
                continue;
            }
            let candidate = (round.load[at].given, name(node).to_owned());
            if best.as_ref().is_none_or(|b| candidate < *b) {
                best = Some(candidate);
            }
        }
        best.map(|(_, node)| node).ok_or_else(|| {
            let reasons: Vec<String> = misfits.iter().map(|(why, n)| format!("{n} {why}")).collect();
            format!("0/{} nodes are available: {}.", round.nodes.len(), reasons.join(", "))
        })
    }

    /// Node selector terms of the volumes already bound; an error if a claim is missing.
    fn volume_homes(&self, pod: &Value) -> Result<Vec<Value>, String> {
        let namespace = text(pod, "/metadata/namespace");
        let mut homes = Vec::new();
        for claim in claims_of(pod) {
            let Some(object) = self.objects.get(&CLAIMS, &(namespace.to_owned(), claim.clone())) else {
                return Err(format!("persistentvolumeclaim \"{claim}\" not found"));
            };
            if terminating(&object) {
                return Err(format!("persistentvolumeclaim \"{claim}\" is being deleted"));
            }
            let volume = text(&object, "/spec/volumeName").to_owned();
            if let Some(volume) = self.objects.get(&VOLUMES, &(String::new(), volume.clone())) {
                homes.extend(array(&volume, "/spec/nodeAffinity/required/nodeSelectorTerms").iter().cloned());
            } else if !volume.is_empty() {
                return Err(format!("persistentvolume \"{volume}\" not found"));
            } else if !self.waits_for_consumer(&object) {
                return Err("pod has unbound immediate PersistentVolumeClaims".to_owned());
            }
        }
        Ok(homes)
    }

    fn waits_for_consumer(&self, claim: &Value) -> bool {
        let class =
            self.objects.get(&STORAGE_CLASSES, &(String::new(), super::volume::class_of(claim).to_owned()));
        class.is_some_and(|c| text(&c, "/volumeBindingMode") == "WaitForFirstConsumer")
    }

    /// Binds the Pod once all its claims are bound; tells the provisioner where until then.
    fn bind_when_volumes_are(&mut self, round: &mut Round, pod: &Value, node: &str) {
        let namespace = text(pod, "/metadata/namespace").to_owned();
        let mut unbound = false;
        for claim in claims_of(pod) {
            let at = (namespace.clone(), claim);
            let Some(object) = self.objects.get(&CLAIMS, &at) else { return };
            if text(&object, "/status/phase") == "Bound" {
                continue;
            }
            unbound = true;
            if annotation(&object, SELECTED_NODE).is_empty() {
                self.patch(&CLAIMS, &at, json!({ "metadata": { "annotations": { SELECTED_NODE: node } } }));
            }
        }
        let at = name_of(pod);
        if unbound {
            self.unscheduled.insert(at, Some(node.to_owned()));
            return;
        }
        match self.objects.bind(&at, node) {
            Ok(()) => {
                self.unscheduled.remove(&at);
                self.note(format!("bind {}/{} to {node}", at.0, at.1));
                self.tell_scheduled(&at);
                if let Some(bound) = self.objects.get(&PODS, &at) {
                    round.put(at, bound);
                }
            }
            Err(status) => self.note(format!("bind {}/{}: {status}", at.0, at.1)),
        }
    }

    fn tell_scheduled(&mut self, at: &Name) {
        let Some(pod) = self.objects.get(&PODS, at) else { return };
        if condition(&pod, "PodScheduled").is_none_or(|c| c["status"] != "True") {
            let mut conditions = super::kubelet::other_conditions(&pod, "PodScheduled");
            conditions.push(json!({
                "type": "PodScheduled", "status": "True", "lastProbeTime": null,
                "lastTransitionTime": timestamp_of(self.now),
            }));
            self.set_status(&PODS, &pod, json!({ "conditions": conditions }));
        }
    }

    fn tell_unschedulable(&mut self, pod: &Value, message: &str) {
        let told = condition(pod, "PodScheduled").is_some_and(|c| c["message"] == message);
        if told {
            return;
        }
        let since = condition(pod, "PodScheduled").filter(|c| c["status"] == "False");
        let since =
            since.map_or_else(|| timestamp_of(self.now), |c| text(c, "/lastTransitionTime").to_owned());
        let mut conditions = super::kubelet::other_conditions(pod, "PodScheduled");
        conditions.push(json!({
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message,
            "lastProbeTime": null, "lastTransitionTime": since,
        }));
        self.note(format!("unschedulable {}: {message}", name(pod)));
        self.set_status(&PODS, pod, json!({ "phase": "Pending", "conditions": conditions }));
        self.event(pod, "Warning", "FailedScheduling", message);
    }
}

/// The first reason for which a node does not take a Pod.
fn misfit(round: &Round, pod: &Value, wants: (f64, f64), at: usize, homes: &[Value]) -> Option<Misfit> {
    let node = &*round.nodes[at];
    if node["spec"]["unschedulable"] == true {
        return Some("node(s) were unschedulable");
    }
    let tolerations = array(pod, "/spec/tolerations");
    let untolerated = array(node, "/spec/taints").iter().filter(|t| t["effect"] != "PreferNoSchedule");
    if untolerated.into_iter().any(|t| !tolerations.iter().any(|tol| super::node::tolerates(tol, t))) {
        return Some("node(s) had untolerated taint(s)");
    }
    if super::objects::condition_status(node, "Ready") != "True" {
        return Some("node(s) were not ready");
    }
    if !selector_fits(pod, node) {
        return Some("node(s) didn't match Pod's node affinity/selector");
    }
    if !homes.is_empty() && !homes.iter().all(|term| term_fits(term, node)) {
        return Some("node(s) had volume node affinity conflict");
    }
    if !affinity_fits(round, pod, node) {
        return Some("node(s) didn't match pod affinity rules");
    }
    if !anti_affinity_fits(round, pod, node) {
        return Some("node(s) didn't match pod anti-affinity rules");
    }
    if !spread_fits(round, pod, node) {
        return Some("node(s) didn't match pod topology spread constraints");
    }
    room_misfit(round, wants, at)
}

fn selector_fits(pod: &Value, node: &Value) -> bool {
    let simple = pod.pointer("/spec/nodeSelector").and_then(Value::as_object);
    let simple = simple.is_none_or(|wanted| wanted.iter().all(|(k, v)| v.as_str() == Some(label(node, k))));
    let required =
        "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
    let terms = pod.pointer(required).and_then(Value::as_array);
    simple && terms.is_none_or(|terms| terms.iter().any(|term| term_fits(term, node)))
}

/// A node selector term: all its expressions; an empty term fits nothing.
fn term_fits(term: &Value, node: &Value) -> bool {
    let expressions = array(term, "/matchExpressions");
    !expressions.is_empty() && expressions.iter().all(|e| expression_holds(e, node))
}

/// Whether a term of `owner` speaks of `other`: its selector, within its namespaces (own one if none is named).
fn term_selects(term: &Value, owner: &Value, other: &Value) -> bool {
    let namespaces = array(term, "/namespaces");
    let in_scope = if namespaces.is_empty() {
        text(owner, "/metadata/namespace") == text(other, "/metadata/namespace")
    } else {
        namespaces.iter().any(|n| n == text(other, "/metadata/namespace"))
    };
    in_scope && selects(&term["labelSelector"], other)
}

fn anti_affinity_fits(round: &Round, pod: &Value, node: &Value) -> bool {
    let own = array(pod, ANTI_AFFINITY);
    let clash = |term: &Value, owner: &Value, other: &Value, placed: &Placed| {
        let key = text(term, "/topologyKey");
        let here = label(node, key);
        !here.is_empty() && here == round.domain(placed, key) && term_selects(term, owner, other)
    };
    let theirs = |placed: &Placed| {
        let other = &*placed.pod;
        array(other, ANTI_AFFINITY).iter().any(|t| clash(t, other, pod, placed))
    };
    !round.repelling().any(theirs)
        && (own.is_empty()
            || !round.placed().any(|placed| own.iter().any(|t| clash(t, pod, &placed.pod, placed))))
}

fn affinity_fits(round: &Round, pod: &Value, node: &Value) -> bool {
    array(pod, AFFINITY).iter().all(|term| {
        let key = text(term, "/topologyKey");
        let selected = round.placed().filter(|other| term_selects(term, pod, &other.pod));
        let mut any = selected.peekable();
        if any.peek().is_none() {
            return term_selects(term, pod, pod); // the first of its group
        }
        any.any(|other| !label(node, key).is_empty() && label(node, key) == round.domain(other, key))
    })
}

fn spread_fits(round: &Round, pod: &Value, node: &Value) -> bool {
    let hard = |c: &&Value| text(c, "/whenUnsatisfiable") != "ScheduleAnyway";
    array(pod, "/spec/topologySpreadConstraints").iter().filter(hard).all(|constraint| {
        let key = text(constraint, "/topologyKey");
        let here = label(node, key);
        if here.is_empty() {
            return false;
        }
        let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
        for candidate in &round.nodes {
            if !label(candidate, key).is_empty() && selector_fits(pod, candidate) {
                counts.entry(label(candidate, key)).or_default();
            }
        }
        let counted = |p: &&Placed| !terminating(&p.pod) && selects(&constraint["labelSelector"], &p.pod);
        for other in round.placed().filter(counted) {
            if text(&other.pod, "/metadata/namespace") == text(pod, "/metadata/namespace")
                && let Some(count) = counts.get_mut(round.domain(other, key))
            {
                *count += 1;
            }
        }
        let own = i64::from(selects(&constraint["labelSelector"], pod));
        let least = counts.values().min().copied().unwrap_or(0);
        let skew = number(constraint, "/maxSkew").unwrap_or(1);
        counts.get(here).copied().unwrap_or(0) + own - least <= skew
    })
}

fn room_misfit(round: &Round, (cpu, memory): (f64, f64), at: usize) -> Option<Misfit> {
    let (node, load) = (&*round.nodes[at], &round.load[at]);
    if load.held >= bytes_at(node, "/status/allocatable/pods") {
        return Some("Too many pods");
    }
    let (cpu, memory) = (load.cpu + cpu, load.memory + memory);
    let cores = quantity(text(node, "/status/allocatable/cpu")).unwrap_or(0.0);
    if cpu > cores + 1e-9 {
        return Some("Insufficient cpu");
    }
    (memory > bytes_at(node, "/status/allocatable/memory") as f64).then_some("Insufficient memory")
}
