//! A Pod's status as a kubelet writes it.

use k8s_openapi::api::core::v1::{Container, Pod};
use kube::ResourceExt as _;
use serde_json::{Value, json};

use super::containers::{Seen, State, now};
use super::network::MIDDLE;
use super::pods::Told;

/// What is told of a Pod that is found here: restarts are counted on.
pub(super) fn taken_up(pod: &Pod) -> Told {
    let spec = pod.spec.clone().unwrap_or_default();
    let status = pod.status.clone().unwrap_or_default();
    let inits = status.init_container_statuses.unwrap_or_default();
    let mains = status.container_statuses.unwrap_or_default();
    let known: Vec<_> = inits.into_iter().chain(mains).collect();
    let names = spec.init_containers.unwrap_or_default().into_iter().chain(spec.containers).map(|c| c.name);
    let containers = names.map(|name| {
        let before = known.iter().find(|status| status.name == name && status.container_id.is_some());
        Seen { restarts: before.map_or(0, |status| status.restart_count + 1), ..Seen::default() }
    });
    Told { containers: containers.collect(), ..Told::default() }
}

/// The patch that says all of it.
pub(super) fn of(pod: &Pod, told: &Told) -> Value {
    let spec = pod.spec.clone().unwrap_or_default();
    let inits = spec.init_containers.unwrap_or_default();
    let (init, main) = told.containers.split_at(inits.len().min(told.containers.len()));
    let ready = told.succeeded.is_none() && main.iter().all(|c| c.ready);
    let phase = match told.succeeded {
        Some(true) => "Succeeded",
        Some(false) => "Failed",
        None if main.iter().any(|c| !matches!(c.state, State::Waiting { .. }) || c.restarts > 0) => "Running",
        None => "Pending",
    };
    let statuses = |containers: &[Container], seen: &[Seen]| -> Vec<Value> {
        containers.iter().zip(seen).map(|(container, seen)| container_status(pod, container, seen)).collect()
    };
    json!({
        "metadata": { "uid": pod.uid() },
        "status": {
            "phase": phase,
            "message": Some(&told.problem).filter(|problem| !problem.is_empty()),
            "hostIP": MIDDLE, "hostIPs": [{ "ip": MIDDLE }],
            "podIP": told.address, "podIPs": told.address.map(|ip| json!([{ "ip": ip }])),
            "startTime": pod.status.as_ref().and_then(|s| s.start_time.clone()).map_or_else(|| json!(now()), |t| json!(t)),
            "conditions": conditions(pod, told, ready),
            "initContainerStatuses": statuses(&inits, init),
            "containerStatuses": statuses(&spec.containers, main),
        },
    })
}

fn conditions(pod: &Pod, told: &Told, ready: bool) -> Vec<Value> {
    let now = now();
    let of = |kind: &str, holds: bool, reason: &str| {
        let mut condition = json!({
            "type": kind, "status": if holds { "True" } else { "False" }, "lastTransitionTime": now,
        });
        if !holds {
            condition["reason"] = json!(reason);
        }
        condition
    };
    // Not ours: that it is bound.
    let theirs = pod.status.iter().flat_map(|s| s.conditions.iter().flatten());
    let mut all: Vec<Value> = theirs.filter(|c| c.type_ == "PodScheduled").map(|c| json!(c)).collect();
    let unready = match told.succeeded {
        Some(true) => "PodCompleted",
        Some(false) => "PodFailed",
        None => "ContainersNotReady",
    };
    all.extend([
        of("PodReadyToStartContainers", told.address.is_some(), "NoSandbox"),
        of("Initialized", told.initialized, "ContainersNotInitialized"),
        of("ContainersReady", ready, unready),
        of("Ready", ready, unready),
    ]);
    all
}

fn container_status(pod: &Pod, container: &Container, seen: &Seen) -> Value {
    let begun = !matches!(seen.state, State::Waiting { .. }) || seen.restarts > 0;
    let id = format!("process://{}/{}/{}", pod.uid().unwrap_or_default(), container.name, seen.restarts);
    json!({
        "name": container.name, "image": container.image, "imageID": container.image,
        "containerID": begun.then_some(id),
        "ready": seen.ready, "started": matches!(seen.state, State::Running { .. }),
        "restartCount": seen.restarts,
        "state": state(Some(&seen.state)), "lastState": state(seen.last.as_ref()),
    })
}

fn state(state: Option<&State>) -> Value {
    match state {
        None => json!({}),
        Some(State::Waiting { reason, message }) => {
            json!({ "waiting": { "reason": reason, "message": message } })
        }
        Some(State::Running { since }) => json!({ "running": { "startedAt": since } }),
        Some(State::Ended { code, since, at }) => {
            let reason = if *code == 0 { "Completed" } else { "Error" };
            let ended = json!({ "exitCode": code, "reason": reason, "startedAt": since, "finishedAt": at });
            json!({ "terminated": ended })
        }
    }
}
