//! That the kubelet of processes does what a kubelet does: small Pods that need no Vitess.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::{ContainerStatus, Node, Pod};
use kube::api::{Api, DeleteParams};
use pilothouse::embedded;
use pilothouse_tests::cluster::host;
use pilothouse_tests::cluster::whole::{holds, is_ready, until};
use pilothouse_tests::crossing::machines::Machines;
use pilothouse_tests::processes::images::Images;
use pilothouse_tests::{built, repository};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(30);
/// A packet that was not lost has its answer by then.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);

const SAID: &str = "\
user 999 is process 1, on asks
course north, north as written, $(COURSE) is left
pass ahoy, north
what was tried is seen
nothing is written where it may only read
of this machine nothing is seen
server: mysql_up 0
";

/// All that is asked of it.
pub(crate) async fn all(binary: &Path, images: Images) -> anyhow::Result<()> {
    let machines = Machines::start(binary, images, &["zone-a", "zone-b"], built!().kept("pods")).await?;
    let pods: Api<Pod> = Api::namespaced(machines.client().clone(), "default");
    let manifest = std::fs::read_to_string(repository("tests/vitess/pods.yaml"))?;
    let mut manifest = embedded::documents(&manifest)?;
    let asks = manifest.pop().context("the last one asks")?;
    host::apply(machines.client(), &manifest).await?;
    let server = until(SOON, "the server is Ready", async || {
        Ok(Some(pods.get("server").await?).filter(|pod| holds(pod, "Ready")))
    })
    .await?;
    let address = server.status.and_then(|s| s.pod_ip).context("an address")?.parse()?;
    runs_as_it_asks(&machines, &pods, asks).await?;
    let stuck = first(&pods.get("nobodys").await?)?;
    let why = json!(stuck.state)["waiting"]["message"].clone();
    ensure!(why == "nothing stands in for the image nobody/nothing:1", "{why}");
    links_are_cut(&machines, &pods, address).await?;
    pods.delete("server", &DeleteParams::default().grace_period(5)).await?;
    until(SOON, "the server is gone", async || Ok(pods.get_opt("server").await?.is_none().then_some(())))
        .await?;
    ensure!(!answers(address).await, "its network is still there");
    Ok(())
}

async fn runs_as_it_asks(machines: &Machines, pods: &Api<Pod>, asks: Value) -> anyhow::Result<()> {
    let file = machines.logs.join("asks.says.log");
    host::apply(machines.client(), &[asks]).await?;
    let over = until(SOON, "the Pod that asks is over", async || {
        let pod = pods.get("asks").await?;
        let phase = pod.status.as_ref().and_then(|status| status.phase.clone()).unwrap_or_default();
        ensure!(phase != "Failed", "{}", std::fs::read_to_string(&file).unwrap_or_default());
        Ok((phase == "Succeeded").then_some(pod))
    })
    .await?;
    let said = std::fs::read_to_string(&file)?;
    ensure!(said == SAID, "{said}");
    let status = over.status.unwrap_or_default();
    let init = json!(status.init_container_statuses);
    ensure!(init[0]["restartCount"] == 1 && init[0]["lastState"]["terminated"]["exitCode"] == 3, "{init:#}");
    ensure!(init[0]["state"]["terminated"]["exitCode"] == 0, "{init:#}");
    Ok(())
}

/// A zone's links are one thing, its kubelet's way to the control plane another.
async fn links_are_cut(machines: &Machines, pods: &Api<Pod>, address: Ipv4Addr) -> anyhow::Result<()> {
    ensure!(answers(address).await, "the server does not answer");
    machines.site.cut("zone-b", true)?;
    ensure!(!answers(address).await, "its zone is cut off, and it answers");
    ensure!(holds(&pods.get("server").await?, "Ready"), "its kubelet is heard, and beside it");
    machines.site.cut("zone-b", false)?;
    until(SOON, "it answers again", async || Ok(answers(address).await.then_some(()))).await?;
    machines.machine("zone-b")?.cut(true);
    let nodes: Api<Node> = Api::all(machines.client().clone());
    let missed = async |missed: bool| {
        until(SOON, "the node is missed, or no more", async || {
            Ok((is_ready(&nodes.get("zone-b-1").await?) != missed).then_some(()))
        })
        .await
    };
    missed(true).await?;
    ensure!(answers(address).await, "only its kubelet is cut off");
    machines.machine("zone-b")?.cut(false);
    missed(false).await?;
    ensure!(first(&pods.get("server").await?)?.restart_count == 0, "nothing happened to it");
    Ok(())
}

async fn answers(address: Ipv4Addr) -> bool {
    timeout(ANSWERED_WITHIN, TcpStream::connect((address, 9104)))
        .await
        .is_ok_and(|connected| connected.is_ok())
}

fn first(pod: &Pod) -> anyhow::Result<ContainerStatus> {
    let all = pod.status.as_ref().and_then(|status| status.container_statuses.clone());
    all.unwrap_or_default().into_iter().next().context("no container is told of")
}
