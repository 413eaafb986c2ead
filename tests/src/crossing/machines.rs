//! A control plane and a machine in each of some zones, all of which end with the test.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::cluster::whole::{Whole, is_ready, until};
use crate::processes::Site;
use crate::processes::images::Images;
use crate::processes::kubelet::{self, Kubelet};
use anyhow::Context as _;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::Client;
use kube::api::{Api, ListParams};

const MINUTE: Duration = Duration::from_secs(60);

/// Machines, and who runs them.
pub struct Machines {
    // In the order in which they end.
    on: BTreeMap<String, Kubelet>,
    /// What they share.
    pub site: Arc<Site>,
    /// The control plane.
    pub whole: Whole,
    _dir: tempfile::TempDir,
    /// What containers print. It stands until the test runs again.
    pub logs: PathBuf,
}

impl Machines {
    /// Starts them, and waits until each has a node that is Ready.
    pub async fn start(binary: &Path, images: Images, zones: &[&str], logs: PathBuf) -> anyhow::Result<Self> {
        let whole = Whole::without_nodes(binary, kubelet::MISSED_AFTER).await?;
        let client = whole.cluster.client.clone();
        let dir = tempfile::tempdir()?;
        let _ = std::fs::remove_dir_all(&logs);
        std::fs::create_dir_all(&logs)?;
        let site = Site::open(&client, images, zones, dir.path(), &logs)?;
        let mut machines = Self { on: BTreeMap::new(), site, whole, _dir: dir, logs };
        for zone in zones {
            machines.power(zone, true).await?;
        }
        let nodes: Api<Node> = Api::all(client);
        until(MINUTE, "the nodes are Ready", async || {
            Ok(nodes.list(&ListParams::default()).await?.iter().all(is_ready).then_some(()))
        })
        .await?;
        Ok(machines)
    }

    /// A client that may do everything.
    pub fn client(&self) -> &Client {
        &self.whole.cluster.client
    }

    /// The machine in a zone.
    pub fn machine(&self, zone: &str) -> anyhow::Result<&Kubelet> {
        self.on.get(zone).with_context(|| format!("{zone} has no power"))
    }

    /// Takes a zone's power, or gives it back.
    pub async fn power(&mut self, zone: &str, on: bool) -> anyhow::Result<()> {
        if on {
            let machine = Kubelet::start(&self.site, &format!("{zone}-1"), zone).await?;
            self.on.insert(zone.to_owned(), machine);
        } else {
            self.on.remove(zone).context("it has none")?.lose_power().await;
        }
        Ok(())
    }
}

/// The zone that a Pod is in.
pub fn zone(pod: &Pod) -> String {
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or_default();
    node.trim_end_matches("-1").to_owned()
}
