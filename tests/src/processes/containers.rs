//! One container of a Pod: its process, begun again by the Pod's policy.
//!
//! Owns beginning, probing, ending and beginning again. Must not know how it is told to the control plane.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures::FutureExt as _;
use k8s_openapi::api::core::v1::{Container, Probe};
use kube::ResourceExt as _;
use pilothouse::clock::{Clock, rfc3339};
use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use super::back_off::BackOff;
use super::environment;
use super::pods::Running;
use super::probes::{self, For};
use super::sandbox::{Process, Program, Sandbox};
use super::volumes::Volumes;

/// What a container does, as its status says it.
#[derive(Clone, Debug)]
pub(super) enum State {
    /// It is not begun yet, or again.
    Waiting { reason: &'static str, message: String },
    /// Since then.
    Running { since: String },
    /// For good, or until it is begun again.
    Ended { code: i32, since: String, at: String },
}

/// What is known of a container.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) state: State,
    pub(super) last: Option<State>,
    pub(super) ready: bool,
    pub(super) restarts: i32,
}

impl Default for Seen {
    fn default() -> Self {
        let state = State::Waiting { reason: "PodInitializing", message: String::new() };
        Self { state, last: None, ready: false, restarts: 0 }
    }
}

/// Where a Pod's containers run.
pub(super) struct Place<'a> {
    pub(super) pod: &'a Running,
    pub(super) sandbox: &'a Sandbox,
    pub(super) volumes: &'a Volumes,
}

pub(super) fn now() -> String {
    rfc3339(Clock::system().now())
}

impl Place<'_> {
    /// Runs a container until it is over: it has ended and is not to be begun again, or the Pod is to end. `None`
    /// for the latter.
    pub(super) async fn keep(&self, container: &Container, n: usize, is_init: bool) -> Option<i32> {
        let policy = self.pod.spec().restart_policy.as_deref().unwrap_or("Always");
        let mut back_off = BackOff::default();
        loop {
            let ended = self.once(container, n, is_init).await;
            if self.pod.is_stopping() {
                return None;
            }
            let wait = back_off.wait(Instant::now());
            let (reason, message) = match ended {
                Ok(0) if is_init || policy == "OnFailure" => return Some(0),
                Ok(code) if policy == "Never" => return Some(code),
                Ok(_) if wait.is_zero() => ("ContainerCreating", String::new()),
                Ok(code) => ("CrashLoopBackOff", format!("it ended with {code}")),
                Err(error) => ("CreateContainerConfigError", format!("{error:#}")),
            };
            self.pod.change(|told| {
                let seen = &mut told.containers[n];
                let before = std::mem::replace(&mut seen.state, State::Waiting { reason, message });
                if matches!(before, State::Ended { .. }) {
                    (seen.last, seen.restarts) = (Some(before), seen.restarts + 1);
                }
            });
            let over = async {
                sleep(wait).await;
                self.pod.released().await;
            };
            tokio::select! {
                () = over => {}
                _ = self.pod.stopping() => return None,
            }
        }
    }

    /// Runs it once, to its end.
    async fn once(&self, container: &Container, n: usize, is_init: bool) -> anyhow::Result<i32> {
        let program = self.program(container)?;
        let mut process = self.sandbox.run(&self.pod.site, &program)?;
        let since = now();
        self.pod.begun(&container.name, process.id());
        let has_probe = container.readiness_probe.is_some() && !is_init;
        self.pod.change(|told| {
            told.containers[n].state = State::Running { since: since.clone() };
            told.containers[n].ready = !has_probe && !is_init;
        });
        let dead = self.probed(container, n, &program, !is_init);
        let ended = tokio::select! {
            code = process.ended() => Ok(code),
            () = dead => Err(self.grace()),
            grace = self.pod.stopping() => Err(grace),
        };
        let code = match ended {
            Ok(code) => code,
            Err(grace) => self.end(&mut process, grace).await,
        };
        self.pod.ended(&container.name);
        self.pod.change(|told| {
            told.containers[n].state = State::Ended { code, since, at: now() };
            told.containers[n].ready = is_init && code == 0;
        });
        Ok(code)
    }

    /// Asks its probes; is over when it is to be begun again.
    async fn probed(&self, container: &Container, n: usize, program: &Program, asked: bool) {
        let of = |probe: &Option<Probe>| probe.clone().filter(|_| asked);
        let exec = move |command: Vec<String>| self.exec(program, command).boxed();
        let sandbox = self.sandbox;
        let ready = async {
            if let Some(probe) = of(&container.readiness_probe) {
                let told = |now: bool| {
                    self.pod.change(|told| told.containers[n].ready = now);
                    true
                };
                probes::ask((&probe, For::Readiness), container, sandbox, &exec, told).await;
            }
            std::future::pending().await
        };
        let dead = async {
            match of(&container.liveness_probe) {
                Some(probe) => {
                    probes::ask((&probe, For::Liveness), container, sandbox, &exec, |now| now).await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! { () = ready => {}, () = dead => {} }
    }

    /// Whether a command ends well beside the container: it sees the same files and network, and other processes
    /// than it would in it.
    async fn exec(&self, program: &Program, command: Vec<String>) -> bool {
        let beside = Program {
            command,
            env: program.env.clone(),
            mounts: program.mounts.clone(),
            hostname: program.hostname.clone(),
            directory: program.directory.clone(),
            log: program.log.with_extension("probes"),
            ..*program
        };
        match self.sandbox.run(&self.pod.site, &beside) {
            Ok(mut process) => process.ended().await == 0,
            Err(_) => false,
        }
    }

    fn grace(&self) -> Duration {
        let seconds = self.pod.spec().termination_grace_period_seconds.unwrap_or(30);
        Duration::from_secs(seconds.max(0).unsigned_abs())
    }

    fn program(&self, container: &Container) -> anyhow::Result<Program> {
        let Running { site, pod, .. } = self.pod;
        let spec = self.pod.spec();
        let hooks =
            container.lifecycle.as_ref().is_some_and(|l| l.post_start.is_some() || l.pre_stop.is_some());
        ensure!(
            !hooks && container.startup_probe.is_none(),
            "neither hooks nor startup probes can be had here"
        );
        let image = container.image.as_deref().unwrap_or_default();
        let contents = site.images.contents(image);
        let mut mounts = contents.with_context(|| format!("nothing stands in for the image {image}"))?;
        mounts.push(self.pod.hosts(self.sandbox)?);
        mounts.extend(self.volumes.mounts(container)?);
        let env = environment::variables(pod, container, self.sandbox.address)?;
        let (of_pod, own) = (spec.security_context.as_ref(), container.security_context.as_ref());
        let user = own.and_then(|s| s.run_as_user).or(of_pod.and_then(|s| s.run_as_user)).unwrap_or(0);
        // An image has a group of its user's own number.
        let group = own.and_then(|s| s.run_as_group).or(of_pod.and_then(|s| s.run_as_group)).unwrap_or(user);
        Ok(Program {
            command: environment::command(container, &env)?,
            env,
            user,
            group,
            hostname: spec.hostname.clone().unwrap_or_else(|| pod.name_any()),
            directory: container.working_dir.clone().unwrap_or_else(|| "/".to_owned()),
            mounts,
            log: self.pod.log(&container.name),
        })
    }

    /// Asks it to end, and ends it when its time is over or there is none any more.
    async fn end(&self, process: &mut Process, grace: Duration) -> i32 {
        process.signal(Signal::TERM);
        tokio::select! {
            code = process.ended() => return code,
            () = sleep(grace) => {}
            () = self.pod.forced() => {}
        }
        process.signal(Signal::KILL);
        process.ended().await
    }
}
