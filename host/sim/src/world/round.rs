//! What the scheduler judges by: the nodes, and the Pods that hold a place on them.
//!
//! Owns what each node bears, kept as Pods come and go: a round costs by the Pods that wait, not by
//! all that there are. Must not judge.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::objects::{Name, array, bytes_at, label, name, name_of, quantity, text};

pub(crate) const ANTI_AFFINITY: &str =
    "/spec/affinity/podAntiAffinity/requiredDuringSchedulingIgnoredDuringExecution";

/// A Pod that was bound.
pub(crate) struct Placed {
    pub(crate) pod: Arc<Value>,
    /// Its node, if that is still there.
    pub(crate) node: Option<usize>,
    /// Whether it has ended, and holds its place no more.
    ended: bool,
}

/// What a node bears.
#[derive(Default)]
pub(crate) struct Load {
    /// How many Pods it was given, ended ones among them.
    pub(crate) given: usize,
    /// How many hold a place.
    pub(crate) held: u64,
    /// What those request: cores and bytes.
    pub(crate) cpu: f64,
    pub(crate) memory: f64,
}

/// What every judgement of one round reads.
pub(crate) struct Round {
    /// By name.
    pub(crate) nodes: Vec<Arc<Value>>,
    pub(crate) load: Vec<Load>,
    places: BTreeMap<String, usize>,
    bound: BTreeMap<Name, Placed>,
    /// Those with required anti-affinity terms of their own.
    repelling: BTreeSet<Name>,
}

impl Round {
    pub(crate) fn of(nodes: Vec<Arc<Value>>, pods: Vec<Arc<Value>>) -> Self {
        let places = nodes.iter().enumerate().map(|(at, node)| (name(node).to_owned(), at)).collect();
        let load = nodes.iter().map(|_| Load::default()).collect();
        let mut round = Self { nodes, load, places, bound: BTreeMap::new(), repelling: BTreeSet::new() };
        for pod in pods {
            round.put(name_of(&pod), pod);
        }
        round
    }

    /// A Pod as it is now.
    pub(crate) fn put(&mut self, at: Name, pod: Arc<Value>) {
        self.remove(&at);
        let bound_to = text(&pod, "/spec/nodeName");
        if bound_to.is_empty() {
            return;
        }
        let node = self.place_of(bound_to);
        let ended = matches!(text(&pod, "/status/phase"), "Succeeded" | "Failed");
        if let Some(load) = node.map(|node| &mut self.load[node]) {
            load.given += 1;
            if !ended {
                let (cpu, memory) = requests(&pod);
                (load.held, load.cpu, load.memory) = (load.held + 1, load.cpu + cpu, load.memory + memory);
            }
        }
        if !ended && !array(&pod, ANTI_AFFINITY).is_empty() {
            self.repelling.insert(at.clone());
        }
        self.bound.insert(at, Placed { pod, node, ended });
    }

    /// A Pod is gone.
    pub(crate) fn remove(&mut self, at: &Name) {
        let Some(Placed { pod, node, ended }) = self.bound.remove(at) else { return };
        self.repelling.remove(at);
        if let Some(load) = node.map(|node| &mut self.load[node]) {
            load.given -= 1;
            if !ended {
                let (cpu, memory) = requests(&pod);
                (load.held, load.cpu, load.memory) = (load.held - 1, load.cpu - cpu, load.memory - memory);
            }
        }
    }

    /// The number of a node.
    pub(crate) fn place_of(&self, node: &str) -> Option<usize> {
        self.places.get(node).copied()
    }

    /// Pods that hold a place: bound and not ended.
    pub(crate) fn placed(&self) -> impl Iterator<Item = &Placed> {
        self.bound.values().filter(|placed| !placed.ended)
    }

    /// Those of them that have required anti-affinity terms of their own.
    pub(crate) fn repelling(&self) -> impl Iterator<Item = &Placed> {
        self.repelling.iter().filter_map(|at| self.bound.get(at))
    }

    /// A label of the node that a Pod is on; empty if there is none.
    pub(crate) fn domain(&self, placed: &Placed, key: &str) -> &str {
        placed.node.map_or("", |node| label(&self.nodes[node], key))
    }
}

/// Requests of all containers: cores and bytes.
pub(crate) fn requests(pod: &Value) -> (f64, f64) {
    array(pod, "/spec/containers").iter().fold((0.0, 0.0), |(cpu, memory), container| {
        let cores = container
            .pointer("/resources/requests/cpu")
            .map_or(0.0, |v| v.as_str().map_or_else(|| v.as_f64(), quantity).unwrap_or(0.0));
        (cpu + cores, memory + bytes_at(container, "/resources/requests/memory") as f64)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_node_bears_what_is_bound_and_has_not_ended() {
        let node = Arc::new(json!({ "metadata": { "name": "a-1" } }));
        let at = || ("n".to_owned(), "p".to_owned());
        let pod = |node: &str, phase: &str| {
            let requests = json!({ "cpu": "500m", "memory": "1Ki" });
            Arc::new(json!({
                "metadata": { "namespace": "n", "name": "p" }, "status": { "phase": phase },
                "spec": { "nodeName": node, "containers": [{ "resources": { "requests": requests } }] },
            }))
        };
        let bears = |round: &Round| {
            let load = &round.load[0];
            (load.given, load.held, load.cpu, load.memory, round.placed().count())
        };
        let mut round = Round::of(vec![node], vec![pod("", "Pending")]);
        assert_eq!(bears(&round), (0, 0, 0.0, 0.0, 0));
        round.put(at(), pod("a-1", "Running"));
        round.put(at(), pod("a-1", "Running"));
        assert_eq!(bears(&round), (1, 1, 0.5, 1024.0, 1));
        round.put(at(), pod("a-1", "Succeeded"));
        assert_eq!(bears(&round), (1, 0, 0.0, 0.0, 0));
        round.put(at(), pod("gone", "Running"));
        assert_eq!(bears(&round), (0, 0, 0.0, 0.0, 1), "its node is not there any more");
        round.remove(&at());
        assert_eq!(bears(&round), (0, 0, 0.0, 0.0, 0));
    }
}
