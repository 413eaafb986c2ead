//! The product as a file and as a process, and its policies as it loads them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pilothouse::settings::Settings;
use pilothouse_policy::runtime::Runtime;
use pilothouse_policy::set::PolicySet;

const PROGRAM: &str = env!("CARGO_BIN_EXE_pilothouse");

/// The default policies and what they were loaded by.
pub(crate) struct Loaded {
    pub(crate) runtime: Runtime,
    pub(crate) set: Arc<PolicySet>,
}

pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

pub(crate) fn policies() -> Loaded {
    let cache_dir = Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("policies"));
    let settings = Settings { cache_dir, ..Settings::default() };
    let runtime = settings.runtime_with(PROGRAM.into()).expect("an engine and a cache");
    let set = Arc::new(PolicySet::load(&runtime, &settings.policies).expect("policies"));
    Loaded { runtime, set }
}

pub(crate) fn print() {
    let bytes = std::fs::metadata(PROGRAM).expect("the program").len();
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let megabytes = bytes as f64 / 1e6;
    println!("\nthe program: {megabytes:.1} MB (bound: 35 MB stripped)");
}
