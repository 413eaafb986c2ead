//! The host on the whole of Kubernetes' own control plane, with played nodes.

// Tests begin by name: what takes longest comes first, and all others beside it.
mod as_simulated;
mod new_shards;
mod nodes;
mod rollout;
mod scene;
#[path = "../scenarios/script.rs"]
mod script;
mod three_zones;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Hosts work one after the other: they share two cores in CI.
fn one_at_a_time() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}
