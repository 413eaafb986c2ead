//! An API server that plays Kubernetes 1.36, in process and on a given clock.
//!
//! It is **not** the real thing. It plays what kube-rs, kubectl 1.32 and pilothouse lean on: discovery, typed and custom
//! kinds, resourceVersion with history, watch, selectors, tables, the four patch forms with field ownership, deletion
//! with finalizers and grace, disruption budgets. What it does not play is answered 501 `NotImplemented`, counted in
//! [`Counters::unsupported`], and never approximated. Left out on purpose: authentication, authorization, admission
//! beyond what each kind's file names, CEL, conversion webhooks, protobuf, CBOR and YAML bodies, quotas, token requests.
//!
//! The same seed and the same requests at the same times give the same bytes: nothing reads a wall clock, draws from
//! a process-wide source, or iterates a hash map.
//!
//! Controllers (deployment, scheduler, kubelet, …) are not in here; the garbage collector's one step is, as
//! [`garbage::collect`], and whoever plays the world calls it.

mod apply;
mod builtin;
mod convert;
mod counters;
mod decode;
mod definition;
mod delete;
mod direct;
mod discovery;
mod eviction;
pub mod garbage;
mod http;
pub(crate) mod index;
mod jsonpath;
pub mod kinds;
mod metadata;
mod openapi;
mod patch;
pub mod quantity;
mod read;
mod render;
mod request;
mod scale;
mod schema;
mod selector;
mod service;
mod state;
mod status;
mod store;
mod strategic;
mod table;
mod watching;
mod write;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use counters::Counters;
pub use delete::{DeleteOptions, Propagation};
pub use direct::{Compacted, WatchEvent};
pub use kinds::{ObjectKey, ResourceId};
pub use service::{ApiBody, ApiService};
pub use status::{Cause, Details, Status};
pub use store::ChangeKind;
pub use write::FieldValidation;

use crate::clock::Clock;
use state::State;

/// The server. Clones share one state.
#[derive(Clone)]
pub struct ApiServer {
    state: Arc<Mutex<State>>,
}

impl ApiServer {
    /// A server with the built-in kinds, the namespaces `default` and `kube-system`, and the system's priority classes.
    ///
    /// `seed` gives UIDs, generated names and the length of watches that ask for none.
    pub fn new(clock: Clock, seed: u64) -> Self {
        let server = Self { state: Arc::new(Mutex::new(State::new(clock, seed))) };
        for name in ["default", "kube-system"] {
            let namespace = serde_json::json!({ "metadata": { "name": name } });
            // Cannot fail: an empty store takes a valid namespace.
            let _ = server.create("kube-apiserver", &kinds::NAMESPACES, namespace);
        }
        for (name, value) in builtin::scheduling::SYSTEM_CLASSES {
            let class = serde_json::json!({ "metadata": { "name": name }, "value": value });
            let _ = server.create("kube-apiserver", &kinds::PRIORITY_CLASSES, class);
        }
        server
    }

    /// A tower service for kube-rs or hyper; cheap to clone.
    pub fn service(&self) -> ApiService {
        ApiService::new(self.clone())
    }

    /// The clock the server was given.
    pub fn clock(&self) -> Clock {
        self.lock().clock.clone()
    }

    // Never held over an await; a panic under it leaves the state as it was before the failed commit.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
