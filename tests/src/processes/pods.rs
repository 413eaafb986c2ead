//! One Pod on its node, from the first of its init containers to the end of the last container.
//!
//! Owns the order of things. Must not know what runs in it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use futures::future::join_all;
use k8s_openapi::api::core::v1::{Pod, PodSpec};
use kube::ResourceExt as _;
use kube::api::{Api, Patch, PatchParams};
use rustix::process::Signal;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

use super::Site;
use super::containers::{Place, Seen};
use super::kubelet::Line;
use super::sandbox::{Mount, Sandbox, signal_program};
use super::status;
use super::volumes::Volumes;
use crate::cluster::stops::for_good;

/// What is not there yet is looked for again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What its status says.
#[derive(Clone, Default)]
pub(super) struct Told {
    pub(super) address: Option<Ipv4Addr>,
    pub(super) initialized: bool,
    /// Init containers first.
    pub(super) containers: Vec<Seen>,
    /// How it ended, when it has.
    pub(super) succeeded: Option<bool>,
    /// What it waits for.
    pub(super) problem: String,
}

/// A Pod that runs here.
pub(super) struct Running {
    pub(super) site: Arc<Site>,
    pub(super) pod: Pod,
    zone: String,
    line: Line,
    told: Mutex<Told>,
    changed: Notify,
    /// Set to what is left of its time, once it is to end.
    stop: watch::Sender<Option<Duration>>,
    /// Whether what ends is to stay down.
    held: watch::Sender<bool>,
    /// What waits for each container's process.
    processes: watch::Sender<BTreeMap<String, u32>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Running {
    pub(super) fn new(site: Arc<Site>, zone: &str, line: Line, pod: Pod) -> Arc<Self> {
        let told = status::taken_up(&pod);
        Arc::new(Self {
            site,
            pod,
            zone: zone.to_owned(),
            line,
            told: Mutex::new(told),
            changed: Notify::new(),
            stop: watch::Sender::new(None),
            held: watch::Sender::new(false),
            processes: watch::Sender::default(),
        })
    }

    pub(super) fn spec(&self) -> &PodSpec {
        self.pod.spec.as_ref().expect("the API server takes no Pod without a spec")
    }

    /// Runs it to its end; an end that the control plane asked for is told by taking the object away.
    pub(super) async fn run(self: Arc<Self>) {
        let telling = async {
            loop {
                self.tell().await;
                self.changed.notified().await;
            }
        };
        tokio::select! { () = self.live() => {}, () = telling => {} }
        self.tell().await;
        if self.is_stopping() {
            self.line.stands().await;
            // One that is gone already was taken away by force.
            let _ = self.api().delete(&self.pod.name_any(), &for_good(&self.pod)).await;
        }
    }

    async fn live(&self) {
        let begun = async {
            let sandbox = loop {
                match Sandbox::start(&self.site, &self.zone).await {
                    Ok(sandbox) => break sandbox,
                    Err(error) => self.waits(&error).await,
                }
            };
            let dir = self.site.dir.join("pods").join(self.pod.uid().unwrap_or_default());
            loop {
                match Volumes::prepare(&self.site, &self.pod, &dir, sandbox.address).await {
                    Ok(volumes) => return (sandbox, volumes),
                    Err(error) => self.waits(&error).await,
                }
            }
        };
        let (sandbox, volumes) = tokio::select! {
            begun = begun => begun,
            _ = self.stopping() => return,
        };
        self.change(|told| (told.address, told.problem) = (Some(sandbox.address), String::new()));
        let place = Place { pod: self, sandbox: &sandbox, volumes: &volumes };
        let inits = self.spec().init_containers.as_deref().unwrap_or_default();
        for (n, container) in inits.iter().enumerate() {
            match place.keep(container, n, true).await {
                Some(0) => {}
                Some(_) => return self.change(|told| told.succeeded = Some(false)),
                None => return,
            }
        }
        self.change(|told| told.initialized = true);
        let main = self.spec().containers.iter().enumerate();
        let codes = join_all(main.map(|(n, c)| place.keep(c, inits.len() + n, false))).await;
        if !self.is_stopping() {
            self.change(|told| told.succeeded = Some(codes.iter().all(|code| *code == Some(0))));
        }
    }

    /// Something is not there yet: tells so, and is over when it is worth a look again.
    async fn waits(&self, for_what: &anyhow::Error) {
        self.change(|told| told.problem = format!("{for_what:#}"));
        sleep(LOOK_AGAIN).await;
    }

    /// Its file of hosts.
    pub(super) fn hosts(&self, sandbox: &Sandbox) -> anyhow::Result<Mount> {
        let (namespace, uid) = (self.pod.namespace().unwrap_or_default(), self.pod.uid().unwrap_or_default());
        let hostname = self.spec().hostname.clone().unwrap_or_else(|| self.pod.name_any());
        let file = self.site.names.of_pod(&namespace, &hostname, &uid, sandbox.address)?;
        Ok(Mount::read_only(file, "/etc/hosts"))
    }

    /// What a container prints.
    pub(super) fn log(&self, container: &str) -> PathBuf {
        self.site.logs.join(format!("{}.{container}.log", self.pod.name_any()))
    }

    /// Changes what is told of it.
    pub(super) fn change(&self, change: impl FnOnce(&mut Told)) {
        change(&mut lock(&self.told));
        self.changed.notify_one();
    }

    /// A container's process has begun.
    pub(super) fn begun(&self, container: &str, process: u32) {
        self.processes.send_modify(|all| _ = all.insert(container.to_owned(), process));
    }

    /// It has ended.
    pub(super) fn ended(&self, container: &str) {
        self.processes.send_modify(|all| _ = all.remove(container));
    }

    /// Asks it to end within that time, which can only become shorter.
    pub(super) fn stop(&self, grace: Duration) {
        self.stop.send_if_modified(|stop| {
            let shorter = stop.is_none_or(|given| grace < given);
            if shorter {
                *stop = Some(grace);
            }
            shorter
        });
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stop.borrow().is_some()
    }

    /// Waits until it is to end, and within which time.
    pub(super) async fn stopping(&self) -> Duration {
        let mut stop = self.stop.subscribe();
        let stopped = stop.wait_for(Option::is_some).await;
        stopped.ok().and_then(|grace| *grace).unwrap_or_default()
    }

    /// Waits until it is to end at once.
    pub(super) async fn forced(&self) {
        let _ = self.stop.subscribe().wait_for(|grace| *grace == Some(Duration::ZERO)).await;
    }

    /// Kills all that runs in it, without a word; it does not come back before it is released.
    pub(super) fn kill(&self) {
        self.held.send_replace(true);
        for process in self.processes.borrow().values() {
            signal_program(*process, Signal::KILL);
        }
    }

    /// Kills what runs in one of its containers.
    pub(super) fn kill_container(&self, container: &str, held: bool) -> anyhow::Result<()> {
        let process = self.processes.borrow().get(container).copied();
        let process = process.with_context(|| format!("no container {container} runs"))?;
        self.held.send_replace(held);
        signal_program(process, Signal::KILL);
        Ok(())
    }

    /// Waits until nothing runs in it.
    pub(super) async fn dead(&self) {
        let _ = self.processes.subscribe().wait_for(BTreeMap::is_empty).await;
    }

    /// Lets what is held begin again.
    pub(super) fn release(&self) {
        self.held.send_replace(false);
    }

    /// Waits until it is not held.
    pub(super) async fn released(&self) {
        let _ = self.held.subscribe().wait_for(|held| !held).await;
    }

    fn api(&self) -> Api<Pod> {
        Api::namespaced(self.site.client.clone(), &self.pod.namespace().unwrap_or_default())
    }

    async fn tell(&self) {
        self.line.stands().await;
        let told = lock(&self.told).clone();
        let patch = Patch::Merge(status::of(&self.pod, &told));
        while let Err(error) =
            self.api().patch_status(&self.pod.name_any(), &PatchParams::default(), &patch).await
        {
            // It is gone, or another one of that name is there.
            if matches!(&error, kube::Error::Api(status) if matches!(status.code, 404 | 409 | 422)) {
                return;
            }
            eprintln!("the status of {}: {error}", self.pod.name_any());
            sleep(LOOK_AGAIN).await;
        }
    }
}
