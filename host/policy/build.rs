//! Builds the embedded policies for wasm32-unknown-unknown and makes them components.
//!
//! The nested cargo has its own target directory (the outer one holds the lock of
//! its own) and none of the outer flags, which are meant for the host's target.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const PLUGINS: [&str; 4] = ["az-placement", "failover", "expansion", "backup"];
const TARGET: &str = "wasm32-unknown-unknown";

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../..").canonicalize()?;
    watch();
    // OUT_DIR is TARGET/PROFILE/build/PACKAGE/out.
    let target_dir = out.ancestors().nth(4).unwrap_or(&out).join("plugins");
    build(&root, &target_dir)?;
    for plugin in PLUGINS {
        let file = format!("{}.wasm", plugin.replace('-', "_"));
        let module = fs::read(target_dir.join(TARGET).join("plugin").join(file))?;
        let component = wit_component::ComponentEncoder::default()
            .validate(true)
            .module(&module)
            .and_then(|mut encoder| encoder.encode())
            .map_err(|e| format!("{plugin} cannot be made a component: {e:#}"))?;
        fs::write(out.join(format!("{plugin}.wasm")), component)?;
    }
    Ok(())
}

/// Relative paths: clones that share a target directory must not watch each other's files.
fn watch() {
    let shared = [
        "wit",
        "Cargo.lock",
        "Cargo.toml",
        ".cargo/config.toml",
        "plugins/sdk/src",
        "plugins/sdk/Cargo.toml",
    ];
    for path in shared {
        println!("cargo::rerun-if-changed=../../{path}");
    }
    for plugin in PLUGINS {
        for path in ["src", "Cargo.toml"] {
            println!("cargo::rerun-if-changed=../../plugins/{plugin}/{path}");
        }
    }
    println!("cargo::rerun-if-changed=build.rs");
}

fn build(root: &Path, target_dir: &Path) -> Result<(), Box<dyn Error>> {
    let mut cargo = Command::new(env::var("CARGO")?);
    cargo.current_dir(root).args(["build", "--locked", "--profile", "plugin", "--target", TARGET]);
    cargo.arg("--target-dir").arg(target_dir);
    for plugin in PLUGINS {
        cargo.args(["-p", plugin]);
    }
    let outer = ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"];
    for name in outer.into_iter().chain(["CARGO_BUILD_TARGET", "CARGO_TARGET_DIR", "RUSTC_LINKER"]) {
        cargo.env_remove(name);
    }
    cargo.env("CARGO_TERM_COLOR", "never");
    let output = cargo.output()?;
    if output.status.success() {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    if errors.contains("target may not be installed") {
        return Err(format!(
            "the Rust target {TARGET} is not installed, and the embedded policies need it; run\n\n    \
             rustup target add {TARGET}\n\nand build again"
        )
        .into());
    }
    Err(format!("the embedded policies do not build:\n{errors}").into())
}
