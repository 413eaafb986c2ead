//! The host on the whole of Kubernetes' own control plane, with played nodes.

mod new_shards;
mod nodes;
mod rollout;
mod scenarios;
mod scene;
#[path = "../scenarios/script.rs"]
mod script;
mod three_zones;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pilothouse::settings::Settings;
use pilothouse_policy::set::PolicySet;
use pilothouse_tests::stage;

/// Hosts work one after the other: they share two cores in CI.
fn one_at_a_time() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The policies that those settings name.
fn policies(settings: &Settings) -> anyhow::Result<Arc<PolicySet>> {
    let program = Path::new(env!("CARGO_BIN_EXE_pilothouse-under-test"));
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("policies");
    let runtime = stage::runtime(program, &cache, settings)?;
    Ok(Arc::new(PolicySet::load(&runtime, &settings.policies)?))
}
