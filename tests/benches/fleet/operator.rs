//! vitess-operator beside the host, where somebody has built it: `VITESS_OPERATOR` names its program.
//!
//! Owns how it is started. It has a control plane for itself, since it would take the host's objects for its own.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pilothouse_tests::cluster::{Cluster, TOKEN};

use crate::fleet::NAMESPACE;
use crate::host::spent;

/// Names the program (its `cmd/manager`).
const PROGRAM: &str = "VITESS_OPERATOR";

/// The program, where one is named.
pub(crate) fn program() -> Option<PathBuf> {
    std::env::var_os(PROGRAM).map(PathBuf::from)
}

pub(crate) struct Operator {
    child: Child,
    _dir: tempfile::TempDir,
}

impl Operator {
    pub(crate) fn start(program: PathBuf, cluster: &Cluster) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let kubeconfig = dir.path().join("kubeconfig");
        std::fs::write(&kubeconfig, cluster.kubeconfig(TOKEN, NAMESPACE))?;
        let child = Command::new(program)
            .env("KUBECONFIG", kubeconfig)
            .envs([("WATCH_NAMESPACE", NAMESPACE), ("PS_OPERATOR_POD_NAMESPACE", NAMESPACE)])
            .env("PS_OPERATOR_POD_NAME", "vitess-operator")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self { child, _dir: dir })
    }

    /// Processor time of all its threads.
    pub(crate) fn spent(&self) -> anyhow::Result<Duration> {
        spent(&self.child)
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
