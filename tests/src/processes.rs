//! A kubelet of processes: it runs the Pods that are bound to its node, as they are rendered and without a
//! container engine.
//!
//! Real are every process with its command line, environment, user, mounts, signals and exit code; the probes;
//! restarts by policy; a network namespace and an address for each Pod. **Played** are the contents of images
//! ([`images`]), cluster DNS and Services ([`names`]), and volumes (directories). Not played: limits of resources,
//! pulls, lifecycle hooks. A Pod that asks for something that there is not waits, and says so in its status.
//!
//! All of it stands in namespaces that end with the test ([`apart`]). Must not know what any test expects.

pub mod apart;
mod back_off;
mod containers;
mod environment;
pub mod images;
pub mod kubelet;
mod names;
mod network;
mod pods;
mod probes;
mod sandbox;
mod status;
mod volumes;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kube::Client;
use tokio::task::JoinSet;

use images::Images;
use names::Names;
use network::Network;

/// What all kubelets of a test share: images, a network and names.
pub struct Site {
    client: Client,
    images: Images,
    network: Network,
    names: Arc<Names>,
    dir: PathBuf,
    logs: PathBuf,
    _tasks: JoinSet<()>,
}

impl Site {
    /// Lays the network of these zones, and writes names down as Services come and go. Everything is kept in `dir`,
    /// but for what containers print, which is kept in `logs`.
    ///
    /// # Errors
    /// When this machine does not let it be.
    pub fn open(
        client: &Client,
        images: Images,
        zones: &[&str],
        dir: &Path,
        logs: &Path,
    ) -> anyhow::Result<Arc<Self>> {
        let network = Network::lay(zones)?;
        let names = Arc::new(Names::over_this_machines(dir)?);
        let mut tasks = JoinSet::new();
        tasks.spawn(names::keep(client.clone(), Arc::clone(&names)));
        Ok(Arc::new(Self {
            client: client.clone(),
            images: images.with_files(dir)?,
            network,
            names,
            dir: dir.to_owned(),
            logs: logs.to_owned(),
            _tasks: tasks,
        }))
    }

    /// Cuts a zone off from the others and from whoever tests, or joins it to them again. Nobody is told:
    /// packets are lost.
    ///
    /// # Errors
    /// When there is no such zone.
    pub fn cut(&self, zone: &str, cut: bool) -> anyhow::Result<()> {
        self.network.cut(zone, cut)
    }
}
