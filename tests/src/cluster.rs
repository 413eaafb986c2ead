//! The real control plane: Kubernetes' own API server on etcd, as processes on loopback.
//!
//! Owns starting and ending its processes; `tests/cluster` builds them. Must not know what any test expects. Where it cannot be had, says so in one line.
//! The rest of the control plane, and nodes, stand beside it only when a test asks for them ([`whole`]).

pub mod audit;
pub mod databases;
pub mod host;
pub mod process;
pub(crate) mod stops;
mod volumes;
pub mod whole;

use std::net::TcpListener;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicU16;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use anyhow::{Context as _, bail};
use audit::Audit;
use kube::{Client, Config};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::golang;

/// A ready binary, instead of building one.
const GIVEN: &str = "PILOTHOUSE_CLUSTER";
/// Which the server makes for itself.
const CERTIFICATE: &str = "certificates/apiserver.crt";
/// The token of whoever tests, who may do everything.
pub const TOKEN: &str = "tests";
/// The token of a host that is a process of its own, which may do everything too; what it asks is in the [`Audit`].
pub const HOST: &str = "host";
/// A server that does not answer by then never will.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// The ports of what listens for a test: above those that Vitess names, below those that Linux gives to connections.
const LISTENED: Range<u16> = 20_000..32_000;
/// A process tells nobody that it is ready; it is asked again until it is, or [`READY_WITHIN`] is over.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The binary that is given, or else built; `None` where it cannot be.
///
/// # Errors
/// When it does not build.
pub fn binary() -> anyhow::Result<Option<PathBuf>> {
    match std::env::var_os(GIVEN) {
        Some(given) => Ok(Some(given.into())),
        None => golang::built("tests/cluster"),
    }
}

/// A process that ends with its owner.
struct Part {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Part {
    fn start(binary: &Path, name: &'static str, dir: &Path, args: &[String]) -> anyhow::Result<Self> {
        let log = dir.join(format!("{name}.log"));
        let file = std::fs::File::create(&log)?;
        let child = Command::new(binary)
            .arg(name)
            .args(args)
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()?;
        Ok(Self { name, child, log })
    }

    /// Why it ended, if it did.
    fn check(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let from = log.lines().count().saturating_sub(20);
            let last: Vec<&str> = log.lines().skip(from).collect();
            bail!("{} ended ({status}):\n{}", self.name, last.join("\n"));
        }
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if let Some(id) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(id, Signal::TERM);
        }
        let _ = self.child.wait();
    }
}

/// How the server is started.
struct How {
    binary: PathBuf,
    args: Vec<String>,
}

/// A running API server on its own etcd; both end with it.
pub struct Cluster {
    /// A client that may do everything.
    pub client: Client,
    port: u16,
    /// Whom the server's etcd talks to.
    clients: u16,
    server: How,
    // In the order in which they end; without a server while it is started anew.
    running: Option<Part>,
    etcd: Part,
    dir: tempfile::TempDir,
}

impl Cluster {
    /// Starts etcd and the API server, and waits until it is ready.
    ///
    /// # Errors
    /// When one of them ends, or does not answer in two minutes.
    pub async fn start(binary: &Path) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let at = |port: u16| format!("http://127.0.0.1:{port}");
        let [clients, peers, secure] = free_ports()?;
        let flag = |name: &str, value: &str| format!("--{name}={value}");
        let mut etcd = Part::start(
            binary,
            "etcd",
            dir.path(),
            &[
                flag("data-dir", "etcd"),
                flag("unsafe-no-fsync", "true"),
                flag("listen-client-urls", &at(clients)),
                flag("advertise-client-urls", &at(clients)),
                flag("listen-peer-urls", &at(peers)),
                flag("initial-advertise-peer-urls", &at(peers)),
                flag("initial-cluster", &format!("default={}", at(peers))),
            ],
        )?;
        let key = rcgen::KeyPair::generate()?;
        std::fs::write(dir.path().join("signing.key"), key.serialize_pem())?;
        std::fs::write(dir.path().join("signing.pub"), key.public_key_pem())?;
        std::fs::write(dir.path().join("audit.yaml"), audit::POLICY)?;
        let user = |token: &str| format!("{token},{token},{token},system:masters\n");
        std::fs::write(dir.path().join("tokens"), user(TOKEN) + &user(HOST))?;
        let args = vec![
            flag("etcd-servers", &at(clients)),
            flag("bind-address", "127.0.0.1"),
            flag("secure-port", &secure.to_string()),
            flag("cert-dir", "certificates"),
            flag("service-account-issuer", "https://kubernetes.default.svc"),
            flag("service-account-key-file", "signing.pub"),
            flag("service-account-signing-key-file", "signing.key"),
            flag("token-auth-file", "tokens"),
            flag("authorization-mode", "RBAC"),
            flag("service-cluster-ip-range", "10.0.0.0/16"),
            flag("disable-admission-plugins", "ServiceAccount"),
            flag("audit-policy-file", "audit.yaml"),
            flag("audit-log-path", "audit.log"),
        ];
        let how = How { binary: binary.to_owned(), args };
        let (server, client) = serve(&how, dir.path(), secure, &mut etcd).await?;
        Ok(Self { client, port: secure, clients, server: how, running: Some(server), etcd, dir })
    }

    /// Where its etcd answers: a lockserver for whoever asks for one.
    #[must_use]
    pub fn etcd(&self) -> String {
        format!("http://127.0.0.1:{}", self.clients)
    }

    /// Takes away what etcd knows of the past, and what the server itself remembers of it by starting it anew.
    ///
    /// # Errors
    /// When etcd refuses, or the server does not answer in two minutes.
    pub async fn forget_history(&mut self) -> anyhow::Result<()> {
        let etcd = Client::try_from(Config::new(self.etcd().parse()?))?;
        let ask = |path: &str, body: Value| http::Request::post(path).body(body.to_string().into_bytes());
        let seen: Value = etcd.request(ask("/v3/kv/range", json!({ "key": "YQ==" }))?).await?;
        let newest = &seen["header"]["revision"];
        let _: Value = etcd.request(ask("/v3/kv/compaction", json!({ "revision": newest }))?).await?;
        drop(self.running.take());
        let (server, client) = serve(&self.server, self.dir.path(), self.port, &mut self.etcd).await?;
        (self.running, self.client) = (Some(server), client);
        Ok(())
    }

    /// A client for a host: it may do everything, with connections of its own.
    ///
    /// # Errors
    /// When the server's certificate cannot be read.
    pub fn new_client(&self) -> anyhow::Result<Client> {
        self.client_of(TOKEN)
    }

    /// A client for a host that may do what the bearer of a token may.
    ///
    /// # Errors
    /// When the server's certificate cannot be read.
    pub fn client_of(&self, token: &str) -> anyhow::Result<Client> {
        client(self.port, &self.dir.path().join(CERTIFICATE), token, false)
    }

    /// How a program reaches the server by a token, with a namespace of its own.
    #[must_use]
    pub fn kubeconfig(&self, token: &str, namespace: &str) -> String {
        let server = format!("https://127.0.0.1:{}", self.port);
        let cluster = json!({ "server": server, "certificate-authority": self.dir.path().join(CERTIFICATE) });
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "here",
            "clusters": [{ "name": "here", "cluster": cluster }],
            "users": [{ "name": "here", "user": { "token": token } }],
            "contexts": [{
                "name": "here",
                "context": { "cluster": "here", "user": "here", "namespace": namespace },
            }],
        })
        .to_string()
    }

    /// What service accounts and hosts ask, from the server's start on.
    #[must_use]
    pub fn audit(&self) -> Audit {
        Audit::of(self.dir.path().join("audit.log"))
    }
}

/// The server, once it answers, and a client that may do everything.
async fn serve(how: &How, dir: &Path, port: u16, etcd: &mut Part) -> anyhow::Result<(Part, Client)> {
    let mut server = Part::start(&how.binary, "kube-apiserver", dir, &how.args)?;
    let certificate = dir.join(CERTIFICATE);
    let ready = async {
        loop {
            etcd.check()?;
            server.check()?;
            if let Ok(client) = client(port, &certificate, TOKEN, true)
                && client.request_text(http::Request::get("/readyz").body(Vec::new())?).await.is_ok()
            {
                return anyhow::Ok(client);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    let client = tokio::time::timeout(READY_WITHIN, ready).await.context("the API server is not ready")??;
    Ok((server, client))
}

/// Whoever tests waits and asks again; a host's client must not, as in the product, or it keeps its host from looking again.
fn client(port: u16, certificate: &Path, token: &str, retries: bool) -> anyhow::Result<Client> {
    let mut config = Config::new(format!("https://127.0.0.1:{port}").parse()?);
    let pem = std::fs::read_to_string(certificate)?;
    config.root_cert = Some(vec![der(&pem)?]);
    config.auth_info.token = Some(token.to_owned().into());
    config.default_retry = retries;
    Ok(Client::try_from(config)?)
}

/// The last certificate of a PEM file: the one that signed the others.
fn der(pem: &str) -> anyhow::Result<Vec<u8>> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;
    let all = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
    let all = all.map_err(|e| anyhow::anyhow!("the server's certificate: {e:?}"))?;
    Ok(all.last().context("the server has no certificate")?.to_vec())
}

/// Ports that nobody has, and that no connection is given before their use; each process of ours begins at another.
pub(crate) fn free_ports<const N: usize>() -> anyhow::Result<[u16; N]> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = std::process::id().wrapping_mul(61) as u16;
    let mut free = (0..LISTENED.len())
        .map(|_| LISTENED.start + first.wrapping_add(NEXT.fetch_add(1, Relaxed)) % LISTENED.len() as u16)
        .filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    let mut ports = [0; N];
    for port in &mut ports {
        *port = free.next().context("no port is free")?;
    }
    Ok(ports)
}
