//! The product as a process of its own, which ends as it is told to, or is killed without a word.
//!
//! Owns the process and what it says. Must not know what it is to do.

use std::fs::OpenOptions;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::whole::until;

/// A process that was asked to end and has not by then never will.
const ENDS_WITHIN: Duration = Duration::from_secs(60);

/// A running process; it does not outlive this.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a command that logs to a file, after what is there already; `out` has what it prints.
    ///
    /// # Errors
    /// When a file cannot be written or there is no such program.
    pub fn start(command: &mut Command, out: PathBuf, log: PathBuf) -> anyhow::Result<Self> {
        let file = |path: &PathBuf| OpenOptions::new().create(true).append(true).open(path);
        let command = command.stdin(Stdio::null()).stdout(file(&out)?).stderr(file(&log)?);
        Ok(Self { child: command.spawn()?, log })
    }

    /// Asks it to end, as a kubelet does, and waits until it has.
    ///
    /// # Errors
    /// When it does not, or does not end well.
    pub async fn stop(self) -> anyhow::Result<()> {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("a process")?;
        kill_process(id, Signal::TERM)?;
        self.end().await
    }

    /// Waits until it has ended well.
    ///
    /// # Errors
    /// When it goes on, or does not end well.
    pub async fn end(mut self) -> anyhow::Result<()> {
        let status = until(ENDS_WITHIN, "the host ends", async || Ok(self.child.try_wait()?)).await?;
        ensure!(status.success(), "the host ended with {status}:\n{}", self.log());
        Ok(())
    }

    /// Kills it wherever it is (SIGKILL), and waits until it is no more.
    ///
    /// # Errors
    /// When it had ended by itself.
    pub fn kill(mut self) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            anyhow::bail!("the host ended by itself with {status}:\n{}", self.log());
        }
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// What was logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
