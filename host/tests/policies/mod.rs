//! The policies of a day's settings, compiled once for all days.

use std::path::Path;
use std::sync::Arc;

use pilothouse::settings::Settings;
use pilothouse_policy::set::PolicySet;

pub(crate) fn of(settings: &Settings) -> Arc<PolicySet> {
    let cache_dir = Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("policies"));
    let settings = Settings { cache_dir, ..settings.clone() };
    let runtime =
        settings.runtime_with(env!("CARGO_BIN_EXE_pilothouse").into()).expect("an engine and a cache");
    Arc::new(PolicySet::load(&runtime, &settings.policies).expect("the default policies"))
}
