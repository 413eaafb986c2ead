//! Builds the guests beside this folder, as the embedded policies are built.
//!
//! Also the tests of the whole include this file.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds the workspace of guests in `sources`; answers where its core modules lie.
pub(crate) fn build(sources: &Path, target: &Path) -> PathBuf {
    let built = Command::new(env!("CARGO"))
        .current_dir(sources)
        .args(["build", "--locked", "--profile", "plugin", "--target", "wasm32-unknown-unknown"])
        .arg("--target-dir")
        .arg(target)
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTC_WRAPPER")
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    target.join("wasm32-unknown-unknown/plugin")
}

/// Makes a core module with embedded types a component.
pub(crate) fn component(module: &[u8]) -> Vec<u8> {
    wit_component::ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(|mut encoder| encoder.encode())
        .unwrap()
}
