//! A container's probes: when each is asked, and how.
//!
//! They are asked within the Pod's own network, as from its node. Unlike by the kubelet, a container that is not
//! ready is asked for it every second, so that no test waits for a period to be over. Must not know what comes of
//! an answer.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::{Container, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use tokio::time::{sleep, timeout};

use super::sandbox::Sandbox;

const SOON: Duration = Duration::from_secs(1);

/// Whether a command ends well within the Pod.
pub(super) type Exec<'a> = dyn Fn(Vec<String>) -> BoxFuture<'a, bool> + Send + Sync + 'a;

/// What an answer is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    /// Whether it is ready.
    Readiness,
    /// Whether it is to go on.
    Liveness,
}

/// Asks a probe again and again; `told` hears whether it holds, each time that it has made up its mind, and says
/// whether to go on.
pub(super) async fn ask(
    (probe, purpose): (&Probe, For),
    container: &Container,
    sandbox: &Sandbox,
    run: &Exec<'_>,
    mut told: impl FnMut(bool) -> bool,
) {
    let seconds =
        |given: Option<i32>, silent: u64| Duration::from_secs(given.map_or(silent, |n| n.max(0) as u64));
    let times = |given: Option<i32>, silent: i32| given.unwrap_or(silent).max(1);
    let (period, patience) = (seconds(probe.period_seconds, 10), seconds(probe.timeout_seconds, 1));
    let (mut good, mut bad, mut holds) = (0, 0, purpose == For::Liveness);
    sleep(seconds(probe.initial_delay_seconds, 0)).await;
    loop {
        let answer = once(probe, container, sandbox, patience, run);
        if timeout(patience, answer).await.unwrap_or(false) {
            (good, bad) = (good + 1, 0);
        } else {
            (good, bad) = (0, bad + 1);
        }
        let decided = match (good, bad) {
            (good, _) if good >= times(probe.success_threshold, 1) => Some(true),
            (_, bad) if bad >= times(probe.failure_threshold, 3) => Some(false),
            _ => None,
        };
        if let Some(now) = decided {
            holds = now;
            if !told(now) {
                return;
            }
        }
        sleep(if holds { period } else { period.min(SOON) }).await;
    }
}

async fn once(
    probe: &Probe,
    container: &Container,
    sandbox: &Sandbox,
    patience: Duration,
    run: &Exec<'_>,
) -> bool {
    if let Some(exec) = &probe.exec {
        return run(exec.command.clone().unwrap_or_default()).await;
    }
    let port = probe.http_get.as_ref().map(|get| &get.port);
    let Some(port) = port.or(probe.tcp_socket.as_ref().map(|tcp| &tcp.port)) else { return false };
    let Some(port) = number(port, container) else { return false };
    let at = SocketAddr::from((sandbox.address, port));
    let path = probe.http_get.as_ref().map(|get| get.path.clone().unwrap_or_else(|| "/".to_owned()));
    sandbox.within(move || answers(at, path.as_deref(), patience)).await.unwrap_or(false)
}

fn number(port: &IntOrString, container: &Container) -> Option<u16> {
    match port {
        IntOrString::Int(number) => u16::try_from(*number).ok(),
        IntOrString::String(name) => {
            let port = container.ports.iter().flatten().find(|port| port.name.as_ref() == Some(name))?;
            u16::try_from(port.container_port).ok()
        }
    }
}

/// Whether somebody listens, and answers well if there is a path to ask for.
fn answers(at: SocketAddr, path: Option<&str>, patience: Duration) -> bool {
    let asked = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&at, patience)?;
        let Some(path) = path else { return Ok(true) };
        stream.set_read_timeout(Some(patience))?;
        let head = "Host: pod\r\nUser-Agent: kube-probe\r\nConnection: close";
        write!(stream, "GET {path} HTTP/1.1\r\n{head}\r\n\r\n")?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        // Such as "HTTP/1.1 200": neither an error nor the client's fault.
        Ok(matches!(status[9], b'2' | b'3'))
    };
    asked().unwrap_or(false)
}
