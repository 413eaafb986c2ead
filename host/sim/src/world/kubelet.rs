//! Kubelets: Pods on their nodes from mount to readiness, crashes, stops.
//!
//! Owns containers as they really are ([`Run`]), which is not always what the API
//! says: a silent kubelet's containers run on, a dark node's are gone. Must not
//! know what a tablet does inside; it asks the played Vitess.

use serde_json::Value;

use super::agenda::Look;
use super::journal::Deed;
use super::objects::{Name, array, label, name_of, number, terminating, text, uid};
use super::places::draw;
use super::state::State;
use super::timing;
use super::volume::claims_of;
use crate::apiserver::kinds::{CLAIMS, PODS};

/// Where a Pod's containers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Volumes are attached and mounted, the sandbox made.
    Mounting,
    /// Init containers run.
    Initializing,
    /// Containers run, probes have not yet succeeded.
    Starting,
    /// Containers run and are ready.
    Ready,
    /// A run-to-completion container works.
    Working,
    /// A container ended and waits for its restart.
    Crashed,
    /// SIGTERM was sent.
    Stopping,
    /// Nothing runs any more and nothing will.
    Ended {
        /// Whether every container ended with 0.
        ok: bool,
    },
}

/// One Pod's containers on one node.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) at: Name,
    pub(crate) uid: String,
    pub(crate) node: String,
    pub(crate) component: String,
    pub(crate) stage: Stage,
    /// When the stage ends; `None`: when something else happens.
    pub(crate) due: Option<i64>,
    pub(crate) ip: String,
    pub(crate) accepted_at: i64,
    /// When the containers that run now, or ran last, started.
    pub(crate) started_at: Option<i64>,
    pub(crate) ended_at: Option<i64>,
    pub(crate) why_ended: String,
    pub(crate) restarts: i64,
    pub(crate) backoff: i64,
    pub(crate) claims: Vec<String>,
    pub(crate) inits: i64,
    pub(crate) restart_always: bool,
    pub(crate) restart_never: bool,
    /// Since when another node holds its volume.
    pub(crate) blocked_since: Option<i64>,
}

impl Run {
    /// Whether its processes exist.
    pub(crate) fn has_processes(&self) -> bool {
        matches!(self.stage, Stage::Starting | Stage::Ready | Stage::Working | Stage::Stopping)
    }

    fn is_tablet(&self) -> bool {
        self.component == "vttablet"
    }

    fn is_backup(&self) -> bool {
        matches!(self.component.as_str(), "vtbackup" | "vtctldclient")
    }
}

/// What runs in a Pod: its component, or for a Job without one how its backup is taken.
fn component(pod: &Value) -> &str {
    match label(pod, "planetscale.com/component") {
        "" => label(pod, "planetscale.com/backup-method"),
        component => component,
    }
}

impl State {
    /// A Pod changed, or a deadline of its containers passed.
    pub(crate) fn look_at_pod(&mut self, at: &Name) {
        let pod = self.objects.get(&PODS, at);
        let current = pod.as_deref().map_or("", uid).to_owned();
        for lost in self.runs.others_of(at, &current) {
            self.run_without_pod(&lost);
        }
        let Some(pod) = pod else {
            self.unscheduled.remove(at);
            return;
        };
        let node = text(&pod, "/spec/nodeName").to_owned();
        if node.is_empty() {
            if terminating(&pod) {
                self.unscheduled.remove(at);
                self.delete(&PODS, &pod, Some(0));
            } else if !self.unscheduled.contains_key(at) {
                self.unscheduled.insert(at.clone(), None);
                self.agenda.now(Look::Schedule);
            }
            return;
        }
        if !self.places.machines.contains_key(&node) {
            self.delete(&PODS, &pod, Some(0)); // the Pod garbage collector: no such node
            return;
        }
        let connected = self.places.is_connected(&node, self.now);
        if connected && terminating(&pod) {
            self.stop(&pod);
        } else if connected || self.runs.contains_key(&current) {
            self.advance(&pod, connected);
        }
    }

    /// The API has forgotten a Pod whose containers may still be there.
    fn run_without_pod(&mut self, lost: &str) {
        let Some(run) = self.runs.get(lost) else { return };
        let node = run.node.clone();
        if self.places.is_up(&node, self.now) && !self.places.is_connected(&node, self.now) {
            if run.has_processes() {
                let deed =
                    Deed::PodVanishedRunning { at: self.now, pod: run.at.clone(), uid: lost.to_owned() };
                self.journal.once(deed);
            }
            return; // its kubelet cannot know
        }
        self.end_processes(lost, false);
        self.remove_run(lost);
    }

    fn remove_run(&mut self, gone: &str) {
        let Some(run) = self.runs.remove(gone) else { return };
        if self.places.is_connected(&run.node, self.now) {
            for claim in &run.claims {
                self.detach(&run, claim);
            }
        }
        self.look_at_blocked();
        self.wake_scheduler();
    }

    /// A volume leaves a node that answers, once none of its Pods there needs it.
    fn detach(&mut self, run: &Run, claim: &String) {
        let needed = |r: &Run| r.node == run.node && r.at.0 == run.at.0 && r.claims.contains(claim);
        if let Some(volume) = self.volume_of(&run.at.0, claim)
            && self.attached.get(&volume) == Some(&run.node)
            && !self.runs.values().any(needed)
        {
            self.attached.remove(&volume);
        }
    }

    /// Pods whose volume another node holds.
    fn look_at_blocked(&mut self) {
        let waiting: Vec<Name> =
            self.runs.values().filter(|r| r.blocked_since.is_some()).map(|r| r.at.clone()).collect();
        for at in waiting {
            self.agenda.now(Look::Pod(at));
        }
    }

    /// A deleted Pod's containers stop; then the kubelet takes the object away.
    fn stop(&mut self, pod: &Value) {
        let id = uid(pod).to_owned();
        let Some(run) = self.runs.get_mut(&id) else {
            self.delete(&PODS, pod, Some(0));
            return;
        };
        if run.stage != Stage::Stopping {
            if run.has_processes() {
                let grace = number(pod, "/metadata/deletionGracePeriodSeconds").unwrap_or(30) * 1_000;
                let takes = if run.is_tablet() { timing::TABLET_STOPPING } else { timing::STOPPING };
                run.stage = Stage::Stopping;
                run.due = Some(self.now + draw(self.seed, "stop", &run.at.1, takes).min(grace));
                self.write_status(pod);
            } else {
                run.due = Some(self.now);
            }
        }
        let Some(run) = self.runs.get(&id) else { return };
        match run.due {
            Some(due) if self.now < due => self.agenda.at(due, Look::Pod(run.at.clone())),
            Some(_) | None => {
                let at = run.at.clone();
                self.end_processes(&id, false);
                self.remove_run(&id);
                self.note(format!("pod {}/{} stopped", at.0, at.1));
                self.delete(&PODS, pod, Some(0));
            }
        }
    }

    /// Brings a Pod as far as its deadlines allow.
    fn advance(&mut self, pod: &Value, connected: bool) {
        let id = uid(pod).to_owned();
        if !self.runs.contains_key(&id) {
            if matches!(text(pod, "/status/phase"), "Succeeded" | "Failed") {
                return;
            }
            self.accept(pod);
        }
        if !self.places.is_up(text(pod, "/spec/nodeName"), self.now) {
            return;
        }
        let due = self.runs.get(&id).and_then(|r| r.due);
        match due {
            Some(due) if self.now < due => self.agenda.at(due, Look::Pod(name_of(pod))),
            Some(_) => self.end_of_stage(&id, pod),
            None => {}
        }
        if connected {
            self.write_status(pod);
        }
    }

    fn accept(&mut self, pod: &Value) {
        self.next_ip += 1;
        let n = self.next_ip;
        let at = name_of(pod);
        let claims = claims_of(pod);
        let takes = if claims.is_empty() { timing::SANDBOX } else { timing::ATTACH };
        let policy = text(pod, "/spec/restartPolicy");
        let run = Run {
            uid: uid(pod).to_owned(),
            node: text(pod, "/spec/nodeName").to_owned(),
            component: component(pod).to_owned(),
            stage: Stage::Mounting,
            due: Some(self.now + draw(self.seed, "mount", &at.1, takes)),
            ip: format!("10.{}.{}.{}", n >> 16 & 255, n >> 8 & 255, n & 255),
            accepted_at: self.now,
            started_at: None,
            ended_at: None,
            why_ended: String::new(),
            restarts: 0,
            backoff: timing::CRASH_BACKOFF,
            claims,
            inits: array(pod, "/spec/initContainers").len() as i64,
            restart_always: policy.is_empty() || policy == "Always",
            restart_never: policy == "Never",
            blocked_since: None,
            at,
        };
        if let Some(due) = run.due {
            self.agenda.at(due, Look::Pod(run.at.clone()));
        }
        self.runs.insert(run);
    }

    fn end_of_stage(&mut self, id: &str, pod: &Value) {
        let Some(run) = self.runs.get(id).cloned() else { return };
        match run.stage {
            Stage::Mounting => {
                if self.volumes_attached(&run) {
                    let each = draw(self.seed, "init", &run.at.1, timing::INIT_CONTAINER);
                    self.set_stage(id, Stage::Initializing, Some(self.now + each * run.inits));
                }
            }
            Stage::Initializing | Stage::Crashed => self.start_containers(id, pod),
            Stage::Starting if run.is_tablet() && self.is_ruined(pod) => {
                self.crash(id, "it cannot start");
            }
            Stage::Starting => {
                if run.is_tablet() {
                    self.tablet_starts(id, pod);
                }
                self.set_stage(id, Stage::Ready, None);
                self.note(format!("pod {}/{} ready", run.at.0, run.at.1));
            }
            Stage::Working => self.work_ends(id, pod),
            Stage::Ready | Stage::Stopping | Stage::Ended { .. } => {}
        }
    }

    pub(crate) fn set_stage(&mut self, id: &str, stage: Stage, due: Option<i64>) {
        let Some(run) = self.runs.get_mut(id) else { return };
        run.stage = stage;
        run.due = due;
        let at = run.at.clone();
        if let Some(due) = due.filter(|d| *d > self.now) {
            self.agenda.at(due, Look::Pod(at.clone()));
        }
        self.agenda.now(Look::Pod(at)); // its status has changed in any case
    }

    fn start_containers(&mut self, id: &str, pod: &Value) {
        let Some(run) = self.runs.get_mut(id) else { return };
        run.started_at = Some(self.now);
        let (tablet, always, at) = (run.is_tablet(), run.restart_always, run.at.clone());
        if always {
            let takes = if tablet { timing::TABLET_READY } else { timing::SERVICE_READY };
            let ready = draw(self.seed, "ready", &at.1, takes);
            self.set_stage(id, Stage::Starting, Some(self.now + ready));
        } else {
            let ends = self.work_takes(id, pod);
            self.set_stage(id, Stage::Working, Some(self.now + ends));
        }
    }

    fn work_takes(&mut self, id: &str, pod: &Value) -> i64 {
        if self.runs.get(id).is_some_and(Run::is_backup) {
            return self.backup_starts(id, pod);
        }
        timing::JOB_RUN
    }

    fn work_ends(&mut self, id: &str, pod: &Value) {
        let Some(run) = self.runs.get(id).cloned() else { return };
        let result = if run.is_backup() { self.backup_ends(id, pod) } else { Ok(()) };
        match result {
            Ok(()) => {
                self.ended(id, "Completed");
                self.set_stage(id, Stage::Ended { ok: true }, None);
            }
            Err(why) => {
                self.note(format!("pod {}/{} failed: {why}", run.at.0, run.at.1));
                self.ended(id, &why);
                self.after_failure(id);
            }
        }
    }

    fn ended(&mut self, id: &str, why: &str) {
        if let Some(run) = self.runs.get_mut(id) {
            run.ended_at = Some(self.now);
            why.clone_into(&mut run.why_ended);
        }
    }

    /// What follows a container's failure: a restart after the back-off, or the Pod's end.
    fn after_failure(&mut self, id: &str) {
        let Some(run) = self.runs.get_mut(id) else { return };
        if run.restart_never {
            self.set_stage(id, Stage::Ended { ok: false }, None);
            return;
        }
        if run.started_at.is_some_and(|s| self.now - s >= timing::CRASH_FORGIVEN) {
            run.backoff = timing::CRASH_BACKOFF;
        }
        let wait = run.backoff;
        run.backoff = (run.backoff * 2).min(timing::CRASH_BACKOFF_MAX);
        run.restarts += 1;
        self.set_stage(id, Stage::Crashed, Some(self.now + wait));
    }

    /// A container of the Pod dies by itself; its kubelet restarts it after the back-off.
    pub(crate) fn crash(&mut self, id: &str, why: &str) {
        self.end_processes(id, true);
        self.ended(id, why);
        self.after_failure(id);
    }

    /// The Pod's processes end now; abruptly or after a clean stop.
    pub(super) fn end_processes(&mut self, id: &str, abruptly: bool) {
        let Some(run) = self.runs.get(id) else { return };
        if !run.has_processes() {
            return;
        }
        match run.component.as_str() {
            "vttablet" => self.tablet_stops(id, abruptly),
            "vtbackup" | "vtctldclient" => self.backup_aborted(id),
            _ => {}
        }
        if let Some(run) = self.runs.get_mut(id) {
            run.ended_at = Some(self.now);
        }
    }

    /// A node lost power or its network, or got it back.
    pub(crate) fn node_truth_changed(&mut self, node: &str) {
        let up = self.places.machines.get(node).is_some_and(|m| m.powered_since.is_some());
        let here: Vec<String> =
            self.runs.values().filter(|r| r.node == node).map(|r| r.uid.clone()).collect();
        for id in here {
            if !up {
                self.power_lost(&id);
            }
            if let Some(run) = self.runs.get(&id) {
                self.agenda.now(Look::Pod(run.at.clone()));
            }
        }
        for pod in self.objects.pods_on(node) {
            self.agenda.now(Look::Pod(name_of(&pod)));
        }
        self.look_at_blocked();
        self.mark_all_shards();
    }

    fn power_lost(&mut self, id: &str) {
        let Some(run) = self.runs.get(id).cloned() else { return };
        self.end_processes(id, true);
        let Some(kept) = self.runs.get_mut(id) else { return };
        match run.stage {
            Stage::Ended { .. } => {}
            _ if run.restart_never && run.started_at.is_some() => {
                "Error".clone_into(&mut kept.why_ended);
                kept.stage = Stage::Ended { ok: false };
                kept.due = None;
            }
            Stage::Mounting
            | Stage::Initializing
            | Stage::Starting
            | Stage::Ready
            | Stage::Working
            | Stage::Crashed
            | Stage::Stopping => {
                "Error".clone_into(&mut kept.why_ended);
                kept.restarts += i64::from(kept.started_at.is_some());
                kept.stage = Stage::Mounting;
                let since =
                    self.places.machines.get(&run.node).and_then(|m| m.powered_since).unwrap_or(self.now);
                kept.due = Some(since + draw(self.seed, "mount", &run.at.1, timing::ATTACH));
                self.next_ip += 1;
                let n = self.next_ip;
                kept.ip = format!("10.{}.{}.{}", n >> 16 & 255, n >> 8 & 255, n & 255);
            }
        }
    }

    /// Whether every volume of the Pod is on its node; asks again later where another node holds one.
    fn volumes_attached(&mut self, run: &Run) -> bool {
        for claim in &run.claims {
            let Some(volume) = self.volume_of(&run.at.0, claim) else { return false };
            if !self.is_exclusive(&run.at.0, claim) {
                continue;
            }
            let holder = self.attached.get(&volume).cloned();
            if let Some(holder) = holder.filter(|h| *h != run.node) {
                let held: Vec<String> = self
                    .runs
                    .values()
                    .filter(|r| r.node == holder && r.at.0 == run.at.0 && r.claims.contains(claim))
                    .map(|r| r.uid.clone())
                    .collect();
                let since = run.blocked_since.unwrap_or(self.now);
                let silent = !self.places.is_connected(&holder, self.now);
                let forced = silent && self.now >= since + timing::FORCED_DETACH;
                if (silent || !held.is_empty()) && !forced {
                    if let Some(kept) = self.runs.get_mut(&run.uid) {
                        kept.blocked_since = Some(since);
                    }
                    let forced_at = since + timing::FORCED_DETACH;
                    if forced_at > self.now {
                        self.agenda.at(forced_at, Look::Pod(run.at.clone()));
                    }
                    return false;
                }
                for id in held {
                    self.note(format!("volume {volume} taken from {holder} by force"));
                    self.end_processes(&id, true);
                    self.remove_run(&id);
                }
            }
            self.attached.insert(volume, run.node.clone());
        }
        if let Some(kept) = self.runs.get_mut(&run.uid) {
            kept.blocked_since = None;
        }
        true
    }

    /// Whether only one node at a time may have the claim's volume.
    fn is_exclusive(&self, namespace: &str, claim: &str) -> bool {
        let object = self.objects.get(&CLAIMS, &(namespace.to_owned(), claim.to_owned()));
        self.settings.exclusive_volumes && !object.is_some_and(|c| super::volume::is_shared(&c))
    }

    /// The volume that a claim is bound to.
    pub(crate) fn volume_of(&self, namespace: &str, claim: &str) -> Option<String> {
        let object = self.objects.get(&CLAIMS, &(namespace.to_owned(), claim.to_owned()))?;
        let volume = text(&object, "/spec/volumeName");
        (!volume.is_empty()).then(|| volume.to_owned())
    }
}

/// A Pod's conditions without the one of that type.
pub(crate) fn other_conditions(pod: &Value, kind: &str) -> Vec<Value> {
    array(pod, "/status/conditions").iter().filter(|c| c["type"] != kind).cloned().collect()
}
