//! A Pod's status as a kubelet writes it.
//!
//! Owns the translation from [`Run`] to JSON. Must not decide when anything happens.

use serde_json::{Value, json};

use super::kubelet::{Run, Stage, other_conditions};
use super::objects::{array, condition, text, uid};
use super::state::State;
use crate::apiserver::kinds::PODS;
use crate::clock::timestamp_of;

impl State {
    /// Writes the status of a Pod's containers, if it differs from what is stored.
    pub(crate) fn write_status(&mut self, pod: &Value) {
        let Some(run) = self.runs.get(uid(pod)) else { return };
        let Some(fresh) = self.objects.get(&PODS, &run.at).filter(|p| uid(p) == uid(pod)) else { return };
        let status = self.status_of(run, &fresh);
        self.set_status(&PODS, &fresh, status);
    }

    fn status_of(&self, run: &Run, pod: &Value) -> Value {
        let initialized =
            !matches!(run.stage, Stage::Mounting | Stage::Initializing) || run.started_at.is_some();
        let sandbox = run.stage != Stage::Mounting && !matches!(run.stage, Stage::Ended { .. });
        let ready = run.stage == Stage::Ready;
        let done = matches!(run.stage, Stage::Ended { .. });
        let (phase, unready) = match run.stage {
            Stage::Mounting | Stage::Initializing if run.started_at.is_none() => {
                ("Pending", "ContainersNotReady")
            }
            Stage::Ended { ok: true } => ("Succeeded", "PodCompleted"),
            Stage::Ended { ok: false } => ("Failed", "PodFailed"),
            Stage::Mounting
            | Stage::Initializing
            | Stage::Starting
            | Stage::Ready
            | Stage::Working
            | Stage::Crashed
            | Stage::Stopping => ("Running", "ContainersNotReady"),
        };
        let names: Vec<&str> = array(pod, "/spec/containers").iter().map(|c| text(c, "/name")).collect();
        let message = format!("containers with unready status: [{}]", names.join(" "));
        let why = |ok: bool| if ok { None } else { Some((unready, message.as_str())) };
        let init_why =
            if initialized || done { None } else { Some(("ContainersNotInitialized", message.as_str())) };
        let conditions: Vec<Value> = [
            self.pod_condition(pod, "PodReadyToStartContainers", sandbox, None),
            self.pod_condition(pod, "Initialized", initialized || done, init_why),
            self.pod_condition(pod, "Ready", ready, why(ready)),
            self.pod_condition(pod, "ContainersReady", ready, why(ready)),
            self.pod_condition(pod, "PodScheduled", true, None),
        ]
        .into();
        let mut status = json!({
            "phase": phase, "conditions": conditions,
            "hostIP": self.node_ip(&run.node), "hostIPs": [{ "ip": self.node_ip(&run.node) }],
            "startTime": timestamp_of(run.accepted_at), "qosClass": qos_class(pod),
            "containerStatuses": self.container_statuses(run, pod),
        });
        if run.stage != Stage::Mounting {
            status["podIP"] = json!(run.ip);
            status["podIPs"] = json!([{ "ip": run.ip }]);
        }
        if run.inits > 0 {
            status["initContainerStatuses"] = init_statuses(run, pod, initialized || done);
        }
        if run.stage == (Stage::Ended { ok: false }) && !run.why_ended.is_empty() {
            status["message"] = json!(run.why_ended);
        }
        status
    }

    fn pod_condition(&self, pod: &Value, kind: &str, holds: bool, why: Option<(&str, &str)>) -> Value {
        let status = if holds { "True" } else { "False" };
        let old = condition(pod, kind).filter(|c| c["status"] == status);
        let since = old.map_or_else(|| timestamp_of(self.now), |c| text(c, "/lastTransitionTime").to_owned());
        let mut made =
            json!({ "type": kind, "status": status, "lastProbeTime": null, "lastTransitionTime": since });
        if let Some((reason, message)) = why {
            made["reason"] = json!(reason);
            made["message"] = json!(message);
        }
        made
    }

    fn container_statuses(&self, run: &Run, pod: &Value) -> Vec<Value> {
        let ready = run.stage == Stage::Ready;
        let at = |t: Option<i64>| timestamp_of(t.unwrap_or(run.accepted_at));
        let ended = |code: i64, reason: &str| {
            json!({ "terminated": {
                "exitCode": code, "reason": reason, "message": run.why_ended,
                "startedAt": at(run.started_at), "finishedAt": at(run.ended_at),
            } })
        };
        let state = match run.stage {
            Stage::Starting | Stage::Ready | Stage::Working | Stage::Stopping => {
                json!({ "running": { "startedAt": at(run.started_at) } })
            }
            Stage::Crashed => json!({ "waiting": {
                "reason": "CrashLoopBackOff",
                "message": format!("back-off restarting failed container: {}", run.why_ended),
            } }),
            Stage::Ended { ok: true } => ended(0, "Completed"),
            Stage::Ended { ok: false } => ended(1, "Error"),
            Stage::Mounting if run.inits == 0 => json!({ "waiting": { "reason": "ContainerCreating" } }),
            Stage::Mounting | Stage::Initializing => json!({ "waiting": { "reason": "PodInitializing" } }),
        };
        let last = if run.restarts > 0 { ended(1, "Error") } else { json!({}) };
        let started = matches!(run.stage, Stage::Ready | Stage::Working | Stage::Stopping);
        let each = |c: &Value| {
            json!({
                "name": c["name"], "image": c["image"], "imageID": format!("played://{}", text(c, "/image")),
                "ready": ready, "started": started, "restartCount": run.restarts, "state": state, "lastState": last,
            })
        };
        array(pod, "/spec/containers").iter().map(each).collect()
    }

    /// The node lifecycle controller says that nobody can vouch for the Pod.
    pub(crate) fn mark_unready(&mut self, pod: &Value, reason: &str) {
        if condition(pod, "Ready").is_none_or(|c| c["status"] == "False") {
            return;
        }
        let mut conditions = other_conditions(pod, "Ready");
        conditions.push(self.pod_condition(pod, "Ready", false, Some((reason, "the node does not answer"))));
        self.set_status(&PODS, pod, json!({ "conditions": conditions }));
    }
}

fn init_statuses(run: &Run, pod: &Value, done: bool) -> Value {
    let at = timestamp_of(run.accepted_at);
    let each = |c: &Value| {
        let state = if done {
            json!({ "terminated": { "exitCode": 0, "reason": "Completed", "startedAt": at, "finishedAt": at } })
        } else {
            json!({ "waiting": { "reason": "PodInitializing" } })
        };
        json!({
            "name": c["name"], "image": c["image"], "imageID": format!("played://{}", text(c, "/image")),
            "ready": done, "started": false, "restartCount": 0, "state": state, "lastState": {},
        })
    };
    array(pod, "/spec/initContainers").iter().map(each).collect()
}

/// Guaranteed, Burstable or BestEffort by the containers' requests and limits.
fn qos_class(pod: &Value) -> &'static str {
    let containers = array(pod, "/spec/containers");
    let empty = |c: &Value, which: &str| {
        c.pointer(&format!("/resources/{which}"))
            .and_then(Value::as_object)
            .is_none_or(serde_json::Map::is_empty)
    };
    if containers.iter().all(|c| empty(c, "requests") && empty(c, "limits")) {
        return "BestEffort";
    }
    let guaranteed = |c: &Value| {
        ["cpu", "memory"].iter().all(|r| {
            let limit = &c["resources"]["limits"][r];
            !limit.is_null()
                && (c["resources"]["requests"][r].is_null() || c["resources"]["requests"][r] == *limit)
        })
    };
    if containers.iter().all(guaranteed) { "Guaranteed" } else { "Burstable" }
}
