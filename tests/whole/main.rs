//! The host on the whole of Kubernetes' own control plane, with played nodes.

mod nodes;
mod three_zones;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use pilothouse::settings::Settings;
use pilothouse_policy::set::PolicySet;
use pilothouse_tests::stage;

/// Control planes stand one after the other: they share two cores in CI.
fn one_at_a_time() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The policies that serve by default, loaded once.
fn policies() -> anyhow::Result<Arc<PolicySet>> {
    static LOADED: OnceLock<Arc<PolicySet>> = OnceLock::new();
    if let Some(loaded) = LOADED.get() {
        return Ok(Arc::clone(loaded));
    }
    let program = Path::new(env!("CARGO_BIN_EXE_pilothouse-under-test"));
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("policies");
    let settings = Settings::default();
    let runtime = stage::runtime(program, &cache, &settings)?;
    let loaded = Arc::new(PolicySet::load(&runtime, &settings.policies)?);
    Ok(Arc::clone(LOADED.get_or_init(|| loaded)))
}
