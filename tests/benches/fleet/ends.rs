//! A process that is measured, and ends with whoever measures it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::Context as _;
use pilothouse_tests::cluster::{Cluster, TOKEN};

use crate::fleet::NAMESPACE;

pub(crate) struct Ends(Child);

impl Ends {
    pub(crate) fn start(command: &mut Command) -> anyhow::Result<Self> {
        Ok(Self(command.spawn()?))
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    /// What the kernel tells of it in a file of `/proc`.
    pub(crate) fn proc(&self, file: &str) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(format!("/proc/{}/{file}", self.0.id()))?)
    }

    /// Processor time of all its threads.
    pub(crate) fn spent(&self) -> anyhow::Result<Duration> {
        let stat = self.proc("stat")?;
        let fields = stat.rsplit_once(')').context("its name ends")?.1;
        let times = fields.split_whitespace().skip(11).take(2);
        let ticks: u64 = times.filter_map(|t| t.parse::<u64>().ok()).sum();
        Ok(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A file by which it reaches the control plane, and may do everything there.
pub(crate) fn kubeconfig(dir: &Path, cluster: &Cluster) -> anyhow::Result<PathBuf> {
    let path = dir.join("kubeconfig");
    std::fs::write(&path, cluster.kubeconfig(TOKEN, NAMESPACE))?;
    Ok(path)
}
