//! Everything that Kubernetes leans on besides its API server, played.
//!
//! Nodes and kubelets, scheduler, Deployments and Jobs, volumes, node lifecycle,
//! and (in [`crate::vitess`]) the databases inside the Pods. Driven by the API
//! server's commits and one ordered agenda on the virtual clock: a world at rest
//! costs nothing. Each file says what it plays and what it leaves out. The same
//! seed and the same requests at the same times give the same trace.
//!
//! Must not know the host: it sees objects, and commands to the played Vitess.

pub(crate) mod agenda;
pub mod beside;
mod breaking;
pub mod facts;
pub mod journal;
pub(crate) mod kubelet;
mod levels;
mod node;
pub(crate) mod objects;
pub(crate) mod places;
mod pod_status;
mod round;
mod runs;
mod scheduler;
pub(crate) mod state;
mod tell;
pub mod timing;
pub(crate) mod volume;
mod workload;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::json;
use tokio::sync::Notify;

pub use places::ZoneSpec;

use crate::apiserver::ApiServer;
use crate::apiserver::kinds::{NAMESPACES, NODES};
use crate::clock::Clock;
use crate::vitess::PlayedVitess;
use state::State;

/// What the world is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorldSettings {
    /// Zones with their nodes; nodes are named `ZONE-1`, `ZONE-2` …
    pub zones: Vec<ZoneSpec>,
    /// Region label of every node.
    pub region: String,
    /// Cores of a node.
    pub node_cpu: u32,
    /// Bytes of memory of a node.
    pub node_memory: u64,
    /// Pods that a node takes.
    pub node_pods: u32,
    /// Client writes at each new shard, transactions a minute.
    pub writes_per_minute: u64,
    /// Whether a ReadWriteOnce volume attaches to one node at a time, as a provider's disk does.
    /// Without, its nodes share it, as kubelets let a network file system be shared. Zones bind either way.
    pub exclusive_volumes: bool,
    /// Whether a trace is kept.
    pub trace: bool,
}

impl Default for WorldSettings {
    fn default() -> Self {
        let zone = |name: &str| ZoneSpec { name: name.to_owned(), nodes: 2 };
        Self {
            zones: vec![zone("zone-a"), zone("zone-b"), zone("zone-c")],
            region: "region-1".to_owned(),
            node_cpu: 64,
            node_memory: 256 << 30,
            node_pods: 110,
            writes_per_minute: 0,
            exclusive_volumes: true,
            trace: false,
        }
    }
}

/// Where kubelets keep their Leases.
const LEASE_NAMESPACE: &str = "kube-node-lease";

/// The played world. Clones share one state.
#[derive(Clone)]
pub struct World {
    state: Arc<Mutex<State>>,
    poke: Arc<Notify>,
    api: ApiServer,
    clock: Clock,
}

impl World {
    /// A world of settled nodes and one storage class, written to `api`.
    #[must_use]
    pub fn new(api: ApiServer, clock: Clock, seed: u64, settings: WorldSettings) -> Self {
        let mut state = State::new(api.clone(), clock.clone(), seed, settings);
        if state.objects.get(&NAMESPACES, &(String::new(), LEASE_NAMESPACE.to_owned())).is_none() {
            let metadata = json!({ "name": LEASE_NAMESPACE });
            state.create(
                &NAMESPACES,
                json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": metadata }),
            );
        }
        state.create_storage_class();
        state.create_nodes();
        debug_assert_eq!(state.objects.all(&NODES).len(), state.places.machines.len());
        Self::of(state, api, clock)
    }

    fn of(state: State, api: ApiServer, clock: Clock) -> Self {
        Self { state: Arc::new(Mutex::new(state)), poke: Arc::new(Notify::new()), api, clock }
    }

    /// Handles everything that is due now, to quiescence; answers when something is due next.
    #[must_use]
    pub fn step(&self) -> Option<i64> {
        self.with(State::step)
    }

    /// Steps whenever the API server commits, something is due, or somebody pokes. Ends when `stop` does.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        self.run_observed(stop, |_| ()).await;
    }

    /// As [`World::run`]; `after` sees the world after every step.
    pub async fn run_observed(self, stop: impl Future<Output = ()>, mut after: impl FnMut(&Self)) {
        let mut commits = self.api.subscribe();
        tokio::pin!(stop);
        loop {
            commits.borrow_and_update();
            let next = self.step();
            after(&self);
            let due = async {
                match next {
                    Some(at) => tokio::time::sleep_until(self.clock.instant_of(at)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = &mut stop => return,
                changed = commits.changed() => {
                    if changed.is_err() {
                        return; // the API server is gone
                    }
                }
                () = self.poke.notified() => {}
                () = due => {}
            }
        }
    }

    /// The played Vitess of this world.
    #[must_use]
    pub fn vitess(&self) -> PlayedVitess {
        PlayedVitess::new(self.clone())
    }

    /// The trace so far: a line an event, milliseconds since the start first; empty unless the settings ask for it.
    #[must_use]
    pub fn trace(&self) -> String {
        self.with(|state| state.trace.clone())
    }

    /// Writes of the played controllers that the API server refused; empty when all is well.
    #[must_use]
    pub fn refused_writes(&self) -> Vec<String> {
        self.with(|state| state.journal.refused.clone())
    }

    /// Its API server.
    pub(crate) fn api(&self) -> &ApiServer {
        &self.api
    }

    /// Runs `act` on the state as of now.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        state.now = self.clock.now_ms();
        act(&mut state)
    }

    /// Makes [`World::run`] step.
    pub(crate) fn poke(&self) {
        self.poke.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
