//! What tests need of others' programs and there is no Rust of: Go modules of `tests`, built once.
//!
//! Owns where the binaries come from. Must not know what they do.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::ensure;

use crate::repository;

/// The status by which a script says that something cannot be had here.
const CANNOT_BE_HAD: i32 = 3;

/// Whether there is Go for what is wanted of it; says so where there is none.
///
/// # Errors
/// When there is none and `CI` is set.
pub fn is_there(wanted: &str) -> anyhow::Result<bool> {
    let there = Command::new("go").arg("version").output().is_ok_and(|o| o.status.success());
    if !there {
        ensure!(std::env::var_os("CI").is_none(), "there is no Go on the path, and here it must be");
        println!("not run here: there is no Go on the path to {wanted}");
    }
    Ok(there)
}

/// What a module builds, by its folder; `None` where there is no Go to build it with, or something
/// else cannot be had, which `CI` does not accept.
///
/// # Errors
/// When it does not build.
pub fn built(module: &str) -> anyhow::Result<Option<PathBuf>> {
    if is_there(&format!("build {module}"))? { built_by(&format!("{module}/build")) } else { Ok(None) }
}

/// What a script builds or fetches, as [`built`].
///
/// # Errors
/// When it fails.
pub fn built_by(script: &str) -> anyhow::Result<Option<PathBuf>> {
    // Tests ask side by side; the first one builds.
    static BUILDING: Mutex<()> = Mutex::new(());
    let _one = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    let built = Command::new(repository(script)).stderr(Stdio::inherit()).output()?;
    if built.status.code() == Some(CANNOT_BE_HAD) && std::env::var_os("CI").is_none() {
        println!("not run here: {script} cannot get what it needs");
        return Ok(None);
    }
    ensure!(built.status.success(), "{script} fails");
    Ok(Some(PathBuf::from(String::from_utf8(built.stdout)?.trim_end())))
}
