//! vitess-operator beside the host, where somebody has built it: `VITESS_OPERATOR` names its program.
//!
//! Owns how it is started. It has a control plane for itself, since it would take the host's objects for its own.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use pilothouse::kinds::Kind;
use pilothouse_tests::cluster::Cluster;

use crate::ends::{Ends, kubeconfig};
use crate::fleet::NAMESPACE;

/// Names the program (its `cmd/manager`).
const PROGRAM: &str = "VITESS_OPERATOR";

/// The program, where one is named.
pub(crate) fn program() -> Option<PathBuf> {
    std::env::var_os(PROGRAM).map(PathBuf::from)
}

/// Of which it makes no objects, while the host does.
pub(crate) const MAKES_NO: &[Kind] = &[Kind::PodDisruptionBudget];

pub(crate) struct Operator {
    process: Ends,
    _dir: tempfile::TempDir,
}

impl Operator {
    pub(crate) fn start(program: PathBuf, cluster: &Cluster) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let process = Ends::start(
            Command::new(program)
                .env("KUBECONFIG", kubeconfig(dir.path(), cluster)?)
                .envs([("WATCH_NAMESPACE", NAMESPACE), ("PS_OPERATOR_POD_NAMESPACE", NAMESPACE)])
                .env("PS_OPERATOR_POD_NAME", "vitess-operator")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null()),
        )?;
        Ok(Self { process, _dir: dir })
    }

    /// Processor time of all its threads.
    pub(crate) fn spent(&self) -> anyhow::Result<Duration> {
        self.process.spent()
    }
}
