//! Namespaces that a test runs in by itself: network, mounts and processes.
//!
//! Owns getting into them. Nothing that happens there is seen outside, and all of it ends with the test, however
//! that ends.

use std::process::Command;

use anyhow::{Context as _, ensure};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::network;

/// Set within, to what was prepared outside.
const WITHIN: &str = "PILOTHOUSE_APART";
/// What the namespaces are made by, and what is used within.
const TOOLS: [&str; 5] = ["setpriv", "unshare", "mount", "nsenter", "ip"];

/// Runs a test's body apart, by running the test of that name once more in namespaces of its own, where the body gets
/// what was prepared outside; unless nothing was. Says so where that cannot be, which `CI` does not accept.
///
/// # Errors
/// What the preparation or the body fails with.
pub fn run<T: Serialize + DeserializeOwned>(
    test: &str,
    prepare: impl FnOnce() -> anyhow::Result<Option<T>>,
    body: impl FnOnce(T) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    if let Some(prepared) = std::env::var_os(WITHIN) {
        network::ip(ALONE, None)?;
        return body(serde_json::from_slice(prepared.as_encoded_bytes())?);
    }
    if let Some(why) = lacking() {
        ensure!(std::env::var_os("CI").is_none(), "{why}, and here it must be");
        println!("not run here: {why}");
        return Ok(());
    }
    let Some(prepared) = prepare()? else { return Ok(()) };
    let status = made_by("setpriv")
        .args(["--pdeathsig", "KILL", "unshare"])
        .args(NAMESPACES)
        .arg(std::env::current_exe()?)
        .args(["--exact", test, "--nocapture"])
        .env(WITHIN, serde_json::to_string(&prepared)?)
        .status()
        .context("unshare")?;
    ensure!(status.success(), "{test} failed where it ran apart ({status})");
    Ok(())
}

/// The way to everywhere leads nowhere; an API server will not start without one.
const ALONE: &str = "link set lo up\nlink add nowhere type bridge\naddr add 10.201.0.1/32 dev nowhere\n\
    link set nowhere up\nroute add default dev nowhere\n";

const NAMESPACES: [&str; 6] = ["--net", "--mount", "--pid", "--mount-proc", "--fork", "--kill-child=KILL"];

fn made_by(tool: &str) -> Command {
    let mut command = Command::new(tool);
    command.stdin(std::process::Stdio::null());
    command
}

fn lacking() -> Option<String> {
    for tool in TOOLS {
        if made_by(tool).arg("--version").output().is_err() && made_by(tool).arg("-V").output().is_err() {
            return Some(format!("there is no {tool} on the path"));
        }
    }
    let tried = made_by("unshare").args(NAMESPACES).arg("true").output().ok()?;
    (!tried.status.success()).then(|| "namespaces cannot be made by this user".to_owned())
}
