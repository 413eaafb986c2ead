//! Node objects: what kubelets post of their machines, and the node lifecycle controller.
//!
//! Played: Ready, the zone and hostname labels, Leases (written once, never
//! renewed in the store: renewal is derived from the machine's truth), Unknown
//! after the grace, taints, taint-based eviction with the zone rule. Not played:
//! pressure conditions, images, volumes in use. Must not know what runs on a node.

use serde_json::{Value, json};

use super::agenda::Look;
use super::objects::{Name, array, condition_status, name, name_of, number, terminating, text};
use super::places::Machine;
use super::state::State;
use super::timing;
use crate::apiserver::kinds::{LEASES, NODES, PODS};
use crate::clock::timestamp_of;

const UNREACHABLE: &str = "node.kubernetes.io/unreachable";

impl State {
    /// Creates the Node and Lease objects of every machine.
    pub(crate) fn create_nodes(&mut self) {
        let machines: Vec<(String, String)> =
            self.places.machines.iter().map(|(n, m)| (n.clone(), m.zone.clone())).collect();
        for (node, zone) in machines {
            let labels = json!({
                "kubernetes.io/hostname": node, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
                "topology.kubernetes.io/zone": zone, "topology.kubernetes.io/region": self.settings.region,
            });
            let object = json!({
                "apiVersion": "v1", "kind": "Node",
                "metadata": { "name": node, "labels": labels },
                "spec": { "providerID": format!("played:///{zone}/{node}") },
            });
            if let Some(created) = self.create(&NODES, object) {
                let status = self.posted_status(&node, &created);
                self.set_status(&NODES, &created, status);
            }
            let lease = json!({
                "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                "metadata": { "name": node, "namespace": "kube-node-lease" },
                "spec": {
                    "holderIdentity": node, "leaseDurationSeconds": 40,
                    "renewTime": self.clock.micro_timestamp(),
                },
            });
            self.create(&LEASES, lease);
        }
    }

    fn posted_status(&self, node: &str, object: &Value) -> Value {
        let room = json!({
            "cpu": self.settings.node_cpu.to_string(),
            "memory": super::objects::quantity_of(self.settings.node_memory),
            "pods": self.settings.node_pods.to_string(),
            "ephemeral-storage": "100Gi",
        });
        let ready = self.node_condition(object, "True", "KubeletReady", "kubelet is posting ready status");
        json!({
            "capacity": room, "allocatable": room, "conditions": [ready],
            "addresses": [{ "type": "InternalIP", "address": self.node_ip(node) }, { "type": "Hostname", "address": node }],
            "nodeInfo": {
                "kubeletVersion": "v1.36.0", "operatingSystem": "linux", "architecture": "amd64",
                "containerRuntimeVersion": "played://1.0", "osImage": "played", "kernelVersion": "played",
                "kubeProxyVersion": "", "machineID": node, "systemUUID": node, "bootID": node,
            },
        })
    }

    /// A node's address: its place among all nodes.
    pub(crate) fn node_ip(&self, node: &str) -> String {
        let place = self.places.machines.keys().position(|n| n == node).unwrap_or(0);
        format!("192.168.{}.{}", place / 250, place % 250 + 1)
    }

    fn node_condition(&self, object: &Value, status: &str, reason: &str, message: &str) -> Value {
        let since = super::objects::condition(object, "Ready").filter(|c| c["status"] == status);
        let since =
            since.map_or_else(|| timestamp_of(self.now), |c| text(c, "/lastTransitionTime").to_owned());
        let heard = if status == "True" { timestamp_of(self.now) } else { self.last_heard(name(object)) };
        json!({
            "type": "Ready", "status": status, "reason": reason, "message": message,
            "lastHeartbeatTime": heard, "lastTransitionTime": since,
        })
    }

    fn last_heard(&self, node: &str) -> String {
        let machine = self.places.machines.get(node);
        let renewal = machine.and_then(|m| m.silent_since.map(|at| m.last_renewal(at)));
        timestamp_of(renewal.unwrap_or(self.now))
    }

    /// A node changed, or its machine did, or a deadline of it passed.
    pub(crate) fn look_at_node(&mut self, node: &str) {
        let now = self.now;
        let connected = self.places.is_connected(node, now);
        let Some(machine) = self.places.machines.get_mut(node) else { return };
        if let Some(since) = machine.powered_since
            && !machine.is_up(now)
        {
            self.agenda.at(since + timing::NODE_BOOT, Look::Node(node.to_owned()));
        }
        let was_silent = machine.silent_since;
        if connected {
            machine.silent_since = None;
            self.node_posts(node, was_silent.is_some());
        } else {
            let since = *machine.silent_since.get_or_insert(now);
            let judged = machine.last_renewal(since) + timing::NODE_MONITOR_GRACE;
            if now < judged {
                self.agenda.at(judged, Look::Node(node.to_owned()));
            } else {
                self.node_unknown(node);
            }
        }
        if was_silent.is_some() == connected {
            self.node_truth_changed(node);
        }
    }

    fn node_posts(&mut self, node: &str, returned: bool) {
        let Some(object) = self.objects.get(&NODES, &(String::new(), node.to_owned())) else { return };
        if condition_status(&object, "Ready") != "True" {
            let ready =
                self.node_condition(&object, "True", "KubeletReady", "kubelet is posting ready status");
            self.set_status(&NODES, &object, json!({ "conditions": [ready] }));
            self.note(format!("node {node} ready"));
            self.agenda.now(Look::Lifecycle);
        }
        if returned {
            self.taint(&object, None);
        }
    }

    fn node_unknown(&mut self, node: &str) {
        let Some(object) = self.objects.get(&NODES, &(String::new(), node.to_owned())) else { return };
        if condition_status(&object, "Ready") == "Unknown" {
            return;
        }
        let why = "Kubelet stopped posting node status.";
        let unknown = self.node_condition(&object, "Unknown", "NodeStatusUnknown", why);
        self.set_status(&NODES, &object, json!({ "conditions": [unknown] }));
        self.note(format!("node {node} unknown"));
        self.taint(&object, Some("NoSchedule"));
        for pod in self.objects.pods_on(node) {
            self.mark_unready(&pod, "NodeNotReady");
        }
        self.agenda.now(Look::Lifecycle);
    }

    /// Adds one of our taints, or with `None` takes both away.
    fn taint(&mut self, object: &Value, effect: Option<&str>) {
        let current = array(object, "/spec/taints");
        let mut taints: Vec<Value> = match effect {
            None => current.iter().filter(|t| t["key"] != UNREACHABLE).cloned().collect(),
            Some(_) => current.to_vec(),
        };
        if let Some(effect) = effect
            && !current.iter().any(|t| t["key"] == UNREACHABLE && t["effect"] == effect)
        {
            taints.push(json!({ "key": UNREACHABLE, "effect": effect, "timeAdded": timestamp_of(self.now) }));
        }
        if taints != current {
            let wanted = if taints.is_empty() { Value::Null } else { Value::Array(taints) };
            self.patch(&NODES, &name_of(object), json!({ "spec": { "taints": wanted } }));
        }
    }

    /// The zone rule: a node at a time per zone is tainted NoExecute; none while most
    /// of a small zone, or every zone, is down.
    pub(crate) fn look_at_lifecycle(&mut self) {
        let nodes = self.objects.all(&NODES);
        let down = |n: &Value| condition_status(n, "Ready") != "True";
        let zones: Vec<String> = self.places.zones().into_iter().map(str::to_owned).collect();
        let of = |zone: &str| -> Vec<&Value> {
            let in_zone =
                |n: &&std::sync::Arc<Value>| super::objects::label(n, "topology.kubernetes.io/zone") == zone;
            nodes.iter().filter(in_zone).map(|n| &**n).collect()
        };
        let all_dark = zones.iter().all(|z| of(z).iter().all(|n| down(n)));
        for zone in &zones {
            let members = of(zone);
            let bad: Vec<&Value> = members.iter().copied().filter(|n| down(n)).collect();
            let partly = bad.len() > 2 && bad.len() < members.len() && bad.len() * 100 >= members.len() * 55;
            for node in bad {
                if all_dark {
                    self.stop_evicting(node);
                } else if !partly && !evicting(node) {
                    let next = self.next_taint.get(zone).copied().unwrap_or(i64::MIN);
                    if self.now < next {
                        self.agenda.at(next, Look::Lifecycle);
                        break;
                    }
                    self.next_taint.insert(zone.clone(), self.now + timing::NODE_EVICTION_SPACING);
                    self.note(format!("node {} tainted NoExecute", name(node)));
                    self.taint(node, Some("NoExecute"));
                }
            }
        }
    }

    fn stop_evicting(&mut self, node: &Value) {
        if evicting(node) {
            let keep: Vec<Value> = array(node, "/spec/taints")
                .iter()
                .filter(|t| t["key"] != UNREACHABLE || t["effect"] != "NoExecute")
                .cloned()
                .collect();
            self.note(format!("node {} no longer evicting", name(node)));
            self.patch(&NODES, &name_of(node), json!({ "spec": { "taints": keep } }));
        }
    }

    /// Deletes a Pod whose toleration of its node's NoExecute taints has run out.
    pub(crate) fn look_at_eviction(&mut self, at: &Name) {
        let Some(pod) = self.objects.get(&PODS, at) else { return };
        let node = text(&pod, "/spec/nodeName").to_owned();
        let Some(object) = self.objects.get(&NODES, &(String::new(), node)) else { return };
        if terminating(&pod) {
            return;
        }
        for taint in array(&object, "/spec/taints").iter().filter(|t| t["effect"] == "NoExecute") {
            let added = crate::clock::parse_timestamp(text(taint, "/timeAdded")).unwrap_or(self.now);
            match tolerated_for(&pod, taint) {
                Tolerated::Always => {}
                Tolerated::Seconds(s) if self.now < added + s * 1_000 => {
                    self.agenda.at(added + s * 1_000, Look::Evict(at.clone()));
                }
                Tolerated::Seconds(_) | Tolerated::Never => {
                    self.note(format!("evict {}/{}", at.0, at.1));
                    self.delete(&PODS, &pod, None);
                    return;
                }
            }
        }
    }
}

fn evicting(node: &Value) -> bool {
    array(node, "/spec/taints").iter().any(|t| t["key"] == UNREACHABLE && t["effect"] == "NoExecute")
}

enum Tolerated {
    Always,
    Seconds(i64),
    Never,
}

/// How long a Pod stays on a node with that taint.
fn tolerated_for(pod: &Value, taint: &Value) -> Tolerated {
    let found = array(pod, "/spec/tolerations").iter().find(|t| tolerates(t, taint));
    match found {
        Some(t) => {
            number(t, "/tolerationSeconds").map_or(Tolerated::Always, |s| Tolerated::Seconds(s.max(0)))
        }
        None if taint["key"] == UNREACHABLE => Tolerated::Seconds(timing::DEFAULT_TOLERATION_SECONDS),
        None => Tolerated::Never,
    }
}

/// Whether one toleration matches one taint.
pub(crate) fn tolerates(toleration: &Value, taint: &Value) -> bool {
    let (key, operator) = (text(toleration, "/key"), text(toleration, "/operator"));
    let effect = text(toleration, "/effect");
    let effect_fits = effect.is_empty() || taint["effect"] == effect;
    let key_fits = if key.is_empty() { operator == "Exists" } else { taint["key"] == key };
    let value_fits = operator == "Exists" || text(toleration, "/value") == text(taint, "/value");
    effect_fits && key_fits && value_fits
}

/// A machine with power from the start.
pub(crate) fn machine(zone: &str, renewal_phase: i64) -> Machine {
    Machine {
        zone: zone.to_owned(),
        powered_since: Some(-timing::NODE_BOOT),
        renewal_phase,
        silent_since: None,
        lost_alone: false,
    }
}
