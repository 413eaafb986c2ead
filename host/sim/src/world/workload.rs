//! Deployments, ReplicaSets, Jobs and disruption budgets.
//!
//! Played: rolling updates by maxSurge and maxUnavailable, Recreate, counts and
//! conditions, scaling down the unready and the youngest first; Jobs by
//! completions, parallelism and backoffLimit, activeDeadlineSeconds and time to
//! live; budgets' status. Not played: rollback, pause, progress deadlines,
//! indexed Jobs, StatefulSets. Must not know nodes.

use std::sync::Arc;

use serde_json::{Value, json};

use super::agenda::Look;
use super::objects::{
    Name, array, condition, condition_status, label, name, name_of, number, terminating, text, uid,
};
use super::places::{hash, suffix};
use super::state::State;
use super::timing;
use crate::apiserver::kinds::{DEPLOYMENTS, DISRUPTION_BUDGETS, JOBS, PODS, REPLICA_SETS};
use crate::clock::{parse_timestamp, timestamp_of};

const TEMPLATE_HASH: &str = "pod-template-hash";
const REVISION: &str = "deployment.kubernetes.io/revision";

fn is_ready(pod: &Value) -> bool {
    condition_status(pod, "Ready") == "True"
}

fn is_over(pod: &Value) -> bool {
    matches!(text(pod, "/status/phase"), "Succeeded" | "Failed")
}

fn owner_reference(owner: &Value, api_version: &str, kind: &str) -> Value {
    json!([{
        "apiVersion": api_version, "kind": kind, "name": name(owner), "uid": uid(owner),
        "controller": true, "blockOwnerDeletion": true,
    }])
}

/// A count that may be a percentage of `of`.
fn share(value: Option<&Value>, of: i64, default: &str, round_up: bool) -> i64 {
    let default = json!(default);
    let value = value.unwrap_or(&default);
    let Some(percent) = value.as_str().and_then(|t| t.strip_suffix('%')) else {
        return value.as_i64().unwrap_or(0);
    };
    let hundredfold = percent.parse::<i64>().unwrap_or(0) * of;
    if round_up { (hundredfold + 99) / 100 } else { hundredfold / 100 }
}

impl State {
    /// A Deployment, one of its ReplicaSets or Pods changed.
    pub(crate) fn look_at_deployment(&mut self, at: &Name) {
        let Some(deployment) = self.objects.get(&DEPLOYMENTS, at).filter(|d| !terminating(d)) else { return };
        let template =
            format!("{:x}", hash(0, "template", &deployment["spec"]["template"].to_string()) >> 24);
        let sets = self.objects.controlled(&REPLICA_SETS, &deployment);
        let Some(new) = sets.iter().find(|s| label(s, TEMPLATE_HASH) == template).cloned() else {
            self.create_replica_set(&deployment, &template, &sets);
            return;
        };
        let old: Vec<Arc<Value>> = sets.iter().filter(|s| uid(s) != uid(&new)).cloned().collect();
        self.roll(&deployment, &new, &old);
        self.deployment_status(&deployment, &new, &sets);
        let limit = number(&deployment, "/spec/revisionHistoryLimit").unwrap_or(10).max(0) as usize;
        let idle = |s: &&Arc<Value>| {
            number(s, "/spec/replicas") == Some(0) && number(s, "/status/replicas").unwrap_or(0) == 0
        };
        let mut gone: Vec<&Arc<Value>> = old.iter().filter(idle).collect();
        gone.sort_by_key(|s| super::objects::annotation(s, REVISION).parse::<u64>().unwrap_or(0));
        let surplus = gone.len().saturating_sub(limit);
        for set in gone.into_iter().take(surplus) {
            self.delete(&REPLICA_SETS, set, None);
        }
    }

    fn create_replica_set(&mut self, deployment: &Value, template: &str, sets: &[Arc<Value>]) {
        let revision =
            sets.iter().filter_map(|s| super::objects::annotation(s, REVISION).parse::<u64>().ok()).max();
        let revision = (revision.unwrap_or(0) + 1).to_string();
        let mut spec = deployment["spec"]["template"].clone();
        spec["metadata"]["labels"][TEMPLATE_HASH] = json!(template);
        let mut selector = deployment["spec"]["selector"].clone();
        selector["matchLabels"][TEMPLATE_HASH] = json!(template);
        let first = if sets.is_empty() { number(deployment, "/spec/replicas").unwrap_or(1) } else { 0 };
        let set = json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {
                "name": format!("{}-{template}", name(deployment)),
                "namespace": text(deployment, "/metadata/namespace"),
                "labels": spec["metadata"]["labels"], "annotations": { REVISION: revision },
                "ownerReferences": owner_reference(deployment, "apps/v1", "Deployment"),
            },
            "spec": { "replicas": first, "selector": selector, "template": spec },
        });
        self.create(&REPLICA_SETS, set);
        let note = json!({ "metadata": { "annotations": { REVISION: revision } } });
        self.patch(&DEPLOYMENTS, &name_of(deployment), note);
    }

    fn scale(&mut self, set: &Value, to: i64) {
        if number(set, "/spec/replicas") != Some(to) {
            self.patch(&REPLICA_SETS, &name_of(set), json!({ "spec": { "replicas": to } }));
        }
    }

    /// Moves replicas from the old sets to the new one within the bounds.
    fn roll(&mut self, deployment: &Value, new: &Value, old: &[Arc<Value>]) {
        let wanted = number(deployment, "/spec/replicas").unwrap_or(1);
        let of = |s: &Value| number(s, "/spec/replicas").unwrap_or(0);
        let old_total: i64 = old.iter().map(|s| of(s)).sum();
        let recreate = text(deployment, "/spec/strategy/type") == "Recreate";
        let strategy = |field: &str| deployment.pointer(&format!("/spec/strategy/rollingUpdate/{field}"));
        let surge = if recreate { 0 } else { share(strategy("maxSurge"), wanted, "25%", true) };
        let mut missing =
            if recreate { wanted } else { share(strategy("maxUnavailable"), wanted, "25%", false) };
        if surge == 0 && missing == 0 {
            missing = 1;
        }
        if old_total == 0
            && (!recreate || old.iter().all(|s| number(s, "/status/replicas").unwrap_or(0) == 0))
        {
            self.scale(new, wanted);
            return;
        }
        if !recreate {
            let room = (wanted + surge - old_total - of(new)).max(0);
            self.scale(new, (of(new) + room).min(wanted));
        }
        // A set that was just scaled down still reports the old count.
        let ready = |s: &Value| number(s, "/status/readyReplicas").unwrap_or(0).min(of(s));
        let ready_total: i64 = old.iter().map(|s| ready(s)).sum::<i64>() + ready(new);
        let mut droppable = ready_total - (wanted - missing);
        for set in old {
            let unready = of(set) - ready(set);
            let drop = (unready + droppable.max(0).min(ready(set))).min(of(set));
            if drop > 0 {
                droppable -= drop - unready.min(drop);
                self.scale(set, of(set) - drop);
            }
        }
    }

    fn deployment_status(&mut self, deployment: &Value, new: &Value, sets: &[Arc<Value>]) {
        let sum = |field: &str| -> i64 {
            let all = sets.iter().map(|s| number(s, &format!("/status/{field}")).unwrap_or(0));
            all.sum()
        };
        let wanted = number(deployment, "/spec/replicas").unwrap_or(1);
        let (replicas, ready) = (sum("replicas"), sum("readyReplicas"));
        let updated = number(new, "/status/replicas").unwrap_or(0);
        let missing =
            share(deployment.pointer("/spec/strategy/rollingUpdate/maxUnavailable"), wanted, "25%", false);
        let available = ready >= wanted - missing;
        let complete = updated == wanted && ready == wanted && replicas == wanted;
        let conditions = vec![
            self.workload_condition(
                deployment,
                "Available",
                available,
                if available { "MinimumReplicasAvailable" } else { "MinimumReplicasUnavailable" },
            ),
            self.workload_condition(
                deployment,
                "Progressing",
                true,
                if complete { "NewReplicaSetAvailable" } else { "ReplicaSetUpdated" },
            ),
        ];
        let count = |n: i64| if n == 0 { Value::Null } else { json!(n) };
        let status = json!({
            "observedGeneration": number(deployment, "/metadata/generation"),
            "replicas": count(replicas), "updatedReplicas": count(updated), "readyReplicas": count(ready),
            "availableReplicas": count(ready), "unavailableReplicas": count((wanted - ready).max(0)),
            "conditions": conditions,
        });
        self.set_status(&DEPLOYMENTS, deployment, status);
    }

    fn workload_condition(&self, object: &Value, kind: &str, holds: bool, reason: &str) -> Value {
        let status = if holds { "True" } else { "False" };
        let old = condition(object, kind);
        let now = timestamp_of(self.now);
        let keep = |field: &str, same: bool| {
            old.filter(|_| same).map_or_else(|| now.clone(), |c| text(c, field).to_owned())
        };
        let same_status = old.is_some_and(|c| c["status"] == status);
        let same = same_status && old.is_some_and(|c| c["reason"] == reason);
        json!({
            "type": kind, "status": status, "reason": reason, "message": "",
            "lastTransitionTime": keep("/lastTransitionTime", same_status),
            "lastUpdateTime": keep("/lastUpdateTime", same),
        })
    }

    /// A ReplicaSet or one of its Pods changed.
    pub(crate) fn look_at_replica_set(&mut self, at: &Name) {
        let Some(set) = self.objects.get(&REPLICA_SETS, at) else { return };
        let mut pods = self.objects.controlled(&PODS, &set);
        pods.retain(|p| !is_over(p) && !terminating(p));
        let wanted = number(&set, "/spec/replicas").unwrap_or(1);
        let have = pods.len() as i64;
        if !terminating(&set) {
            for n in have..wanted {
                self.create_replica(&set, n);
            }
            if have > wanted {
                let rank = |p: &Arc<Value>| {
                    let assigned = !text(p, "/spec/nodeName").is_empty();
                    let born = text(p, "/metadata/creationTimestamp").to_owned();
                    (assigned, is_ready(p), std::cmp::Reverse(born), name(p).to_owned())
                };
                pods.sort_by_key(rank);
                for pod in pods.drain(..(have - wanted) as usize) {
                    self.delete(&PODS, &pod, None);
                }
            }
        }
        let ready = pods.iter().filter(|p| is_ready(p)).count();
        let count = |n: usize| if n == 0 { Value::Null } else { json!(n) };
        let status = json!({
            "replicas": pods.len(), "fullyLabeledReplicas": count(pods.len()), "readyReplicas": count(ready),
            "availableReplicas": count(ready), "observedGeneration": number(&set, "/metadata/generation"),
        });
        self.set_status(&REPLICA_SETS, &set, status);
    }

    fn pod_from(&mut self, owner: &Value, api_version: &str, kind: &str, seen: &str) -> Value {
        let template = &owner["spec"]["template"];
        let mut metadata = template.get("metadata").cloned().unwrap_or_else(|| json!({}));
        let key = format!("{} {seen}", uid(owner));
        metadata["name"] = json!(format!("{}-{}", name(owner), suffix(self.seed, "pod", &key, 5)));
        metadata["generateName"] = json!(format!("{}-", name(owner)));
        metadata["namespace"] = json!(text(owner, "/metadata/namespace"));
        metadata["ownerReferences"] = owner_reference(owner, api_version, kind);
        json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"] })
    }

    fn create_replica(&mut self, set: &Value, n: i64) {
        let pod = self.pod_from(set, "apps/v1", "ReplicaSet", &format!("{} {n}", self.seen));
        self.create(&PODS, pod);
    }

    /// A Job or one of its Pods changed, or a back-off ended.
    pub(crate) fn look_at_job(&mut self, at: &Name) {
        let Some(job) = self.objects.get(&JOBS, at) else { return };
        if terminating(&job) || job_over(&job) {
            self.expire_job(&job);
            return;
        }
        let pods = self.objects.controlled(&PODS, &job);
        let in_phase = |phase: &str| pods.iter().filter(|p| text(p, "/status/phase") == phase).count() as i64;
        let (succeeded, failed) = (in_phase("Succeeded"), in_phase("Failed"));
        let succeeded = succeeded.max(number(&job, "/status/succeeded").unwrap_or(0));
        let failed = failed.max(number(&job, "/status/failed").unwrap_or(0));
        let active: Vec<&Arc<Value>> = pods.iter().filter(|p| !is_over(p) && !terminating(p)).collect();
        let wanted = number(&job, "/spec/completions").unwrap_or(1);
        let started = parse_timestamp(text(&job, "/status/startTime")).unwrap_or(self.now);
        let deadline = number(&job, "/spec/activeDeadlineSeconds").map(|s| started + s * 1_000);
        if deadline.is_some_and(|d| self.now >= d) {
            for pod in active {
                self.delete(&PODS, pod, None);
            }
            self.job_status(&job, 0, succeeded, failed, Some(("Failed", "DeadlineExceeded")));
            return;
        }
        if let Some(deadline) = deadline {
            self.agenda.at(deadline, Look::Job(at.clone()));
        }
        if succeeded >= wanted {
            self.job_status(&job, 0, succeeded, failed, Some(("Complete", "CompletionsReached")));
        } else if failed > number(&job, "/spec/backoffLimit").unwrap_or(6) {
            self.job_status(&job, 0, succeeded, failed, Some(("Failed", "BackoffLimitExceeded")));
        } else {
            let parallel = number(&job, "/spec/parallelism").unwrap_or(1).min(wanted - succeeded);
            let mut running = active.len() as i64;
            let missing = parallel - running;
            if missing > 0 && self.job_may_start(&job, &pods, failed) {
                for n in 0..missing {
                    let pod = self.pod_from(&job, "batch/v1", "Job", &format!("{succeeded} {failed} {n}"));
                    running += i64::from(self.create(&PODS, with_job_labels(pod, &job)).is_some());
                }
            }
            self.job_status(&job, running, succeeded, failed, None);
        }
    }

    /// The back-off between failed Pods: 10 s, doubled with each.
    fn job_may_start(&mut self, job: &Value, pods: &[Arc<Value>], failed: i64) -> bool {
        if failed == 0 {
            return true;
        }
        let ended = pods.iter().filter(|p| is_over(p)).flat_map(|p| array(p, "/status/containerStatuses"));
        let last = ended.filter_map(|c| parse_timestamp(text(c, "/state/terminated/finishedAt"))).max();
        let doubled = timing::JOB_BACKOFF << (failed - 1).clamp(0, 6);
        let next = last.unwrap_or(self.now) + doubled.min(timing::JOB_BACKOFF_MAX);
        if self.now < next {
            self.agenda.at(next, Look::Job(name_of(job)));
        }
        self.now >= next
    }

    fn job_status(
        &mut self,
        job: &Value,
        active: i64,
        succeeded: i64,
        failed: i64,
        end: Option<(&str, &str)>,
    ) {
        let started = text(job, "/status/startTime");
        let started = if started.is_empty() { timestamp_of(self.now) } else { started.to_owned() };
        let count = |n: i64| if n == 0 { Value::Null } else { json!(n) };
        let mut status = json!({
            "startTime": started, "active": count(active), "ready": 0, "terminating": 0,
            "succeeded": count(succeeded), "failed": count(failed),
        });
        if let Some((kind, reason)) = end {
            let now = timestamp_of(self.now);
            let met = if kind == "Complete" { "SuccessCriteriaMet" } else { "FailureTarget" };
            let made = |t: &str| {
                json!({
                    "type": t, "status": "True", "reason": reason, "message": "",
                    "lastProbeTime": now, "lastTransitionTime": now,
                })
            };
            status["conditions"] = json!([made(met), made(kind)]);
            if kind == "Complete" {
                status["completionTime"] = json!(now);
            }
            self.note(format!("job {} {kind}", name(job)));
        }
        self.set_status(&JOBS, job, status);
    }

    fn expire_job(&mut self, job: &Value) {
        let Some(live) = number(job, "/spec/ttlSecondsAfterFinished").filter(|_| !terminating(job)) else {
            return;
        };
        let ended = array(job, "/status/conditions")
            .iter()
            .filter_map(|c| parse_timestamp(text(c, "/lastTransitionTime")));
        let due = ended.max().unwrap_or(self.now) + live * 1_000;
        if self.now < due {
            self.agenda.at(due, Look::Job(name_of(job)));
        } else {
            self.delete(&JOBS, job, None);
        }
    }

    /// A disruption budget or a Pod near it changed: its status.
    pub(crate) fn look_at_budget(&mut self, at: &Name) {
        let Some(budget) = self.objects.get(&DISRUPTION_BUDGETS, at) else { return };
        let mut pods = self.objects.selected(&PODS, &at.0, &budget["spec"]["selector"]);
        pods.retain(|p| !is_over(p));
        let all = pods.len() as i64;
        let healthy = pods.iter().filter(|p| is_ready(p) && !terminating(p)).count() as i64;
        let desired = match budget.pointer("/spec/minAvailable") {
            Some(least) => share(Some(least), all, "0", true),
            None => (all - share(budget.pointer("/spec/maxUnavailable"), all, "0", true)).max(0),
        };
        let status = json!({
            "observedGeneration": number(&budget, "/metadata/generation"), "expectedPods": all,
            "currentHealthy": healthy, "desiredHealthy": desired,
            "disruptionsAllowed": if all == 0 { 0 } else { (healthy - desired).max(0) },
        });
        self.set_status(&DISRUPTION_BUDGETS, &budget, status);
    }
}

fn job_over(job: &Value) -> bool {
    ["Complete", "Failed"].iter().any(|kind| condition_status(job, kind) == "True")
}

fn with_job_labels(mut pod: Value, job: &Value) -> Value {
    for (key, value) in
        [("batch.kubernetes.io/job-name", name(job)), ("batch.kubernetes.io/controller-uid", uid(job))]
    {
        pod["metadata"]["labels"][key] = json!(value);
    }
    pod
}
