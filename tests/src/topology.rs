//! A real vtctld on a real etcd, without a tablet: enough for all that is topology.
//!
//! Owns starting and ending both; `tests/vitess` builds them. Must not know what any test expects.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use k8s_openapi::ByteString;
use rustix::process::{Pid, Signal, geteuid, kill_process};
use serde_json::json;

use crate::cluster::free_ports;
use crate::golang;

/// Vitess's programs refuse to run as root: who they run as then, and their group.
const NOBODY: u32 = 65_534;
/// How long vtctld waits for a lock, and for etcd.
const LOCK_WITHIN: Duration = Duration::from_secs(2);
/// Where the topology keeps what is no cell's.
const ROOT: &str = "/vitess/global";
/// A process that does not answer by then never will.
const READY_WITHIN: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Where Vitess's programs and etcd are; `None`, said in one line, where they cannot be had, which
/// `CI` does not accept.
///
/// # Errors
/// When they do not build.
pub fn programs() -> anyhow::Result<Option<PathBuf>> {
    golang::built("tests/vitess")
}

struct Part {
    child: Child,
    log: PathBuf,
}

impl Part {
    fn signal(&self, signal: Signal) {
        if let Some(id) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(id, signal);
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.wait();
    }
}

/// Both, as long as it lives.
pub struct Topology {
    programs: PathBuf,
    grpc: u16,
    clients: u16,
    vtctld: Option<Part>,
    _etcd: Part,
    dir: tempfile::TempDir,
}

impl Topology {
    /// Starts both, and waits until vtctld answers.
    ///
    /// # Errors
    /// When one of them ends, or does not answer in a minute.
    pub fn start(programs: &Path) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755))?;
        let [grpc, clients, peers] = free_ports()?;
        let at = |port: u16| format!("http://127.0.0.1:{port}");
        let etcd = [
            format!("--data-dir={}", dir.path().join("etcd").display()),
            format!("--listen-client-urls={}", at(clients)),
            format!("--advertise-client-urls={}", at(clients)),
            format!("--listen-peer-urls={}", at(peers)),
            format!("--initial-advertise-peer-urls={}", at(peers)),
            format!("--initial-cluster=default={}", at(peers)),
            "--unsafe-no-fsync".to_owned(),
        ];
        let etcd = start(dir.path(), "etcd", Command::new(programs.join("usr/local/bin/etcd")).args(etcd))?;
        let programs = programs.to_owned();
        let mut topology = Self { programs, grpc, clients, vtctld: None, _etcd: etcd, dir };
        // Where it is kept only we may go; and nobody needs the whole of it twice.
        let kept = topology.programs.join("vt/bin/vtctld");
        let own = topology.dir.path().join("vtctld");
        std::fs::hard_link(&kept, &own).or_else(|_| std::fs::copy(&kept, &own).map(drop))?;
        topology.start_vtctld()?;
        Ok(topology)
    }

    /// Starts vtctld where it was, and waits until it answers.
    ///
    /// # Errors
    /// When it ends, or does not answer in a minute.
    pub fn start_vtctld(&mut self) -> anyhow::Result<()> {
        let home = self.dir.path().join("home");
        std::fs::create_dir_all(home.join("backups"))?;
        let mut command = Command::new(self.dir.path().join("vtctld"));
        if geteuid().is_root() {
            for dir in [&home, &home.join("backups")] {
                chown(dir, Some(NOBODY), Some(NOBODY))?;
            }
            command.uid(NOBODY).gid(NOBODY);
        }
        command.env("VTROOT", &home).env("VTDATAROOT", &home).args([
            "--topo-implementation=etcd2",
            &format!("--topo-global-server-address={}", self.etcd()),
            &format!("--topo-global-root={ROOT}"),
            &format!("--lock-timeout={}s", LOCK_WITHIN.as_secs()),
            &format!("--remote-operation-timeout={}s", LOCK_WITHIN.as_secs()),
            "--backup-storage-implementation=file",
            &format!("--file-backup-storage-root={}", home.join("backups").display()),
            "--cell=zone1",
            "--service-map=grpc-vtctl,grpc-vtctld",
            "--port=0",
            "--bind-address=127.0.0.1",
            "--grpc-bind-address=127.0.0.1",
            &format!("--grpc-port={}", self.grpc),
            "--log-format=text",
        ]);
        let mut part = start(self.dir.path(), "vtctld", &mut command)?;
        let tries = READY_WITHIN.as_millis() / LOOK_AGAIN.as_millis();
        for _ in 0..tries {
            if let Some(status) = part.child.try_wait()? {
                let log = std::fs::read_to_string(&part.log).unwrap_or_default();
                bail!("vtctld ended ({status}):\n{log}");
            }
            if self.ctl(&["GetCellInfoNames"]).is_ok() {
                self.vtctld = Some(part);
                return Ok(());
            }
            wait();
        }
        bail!("vtctld does not answer")
    }

    /// `HOST:PORT` of vtctld's calls.
    #[must_use]
    pub fn vtctld(&self) -> String {
        format!("127.0.0.1:{}", self.grpc)
    }

    /// `HOST:PORT` of etcd.
    #[must_use]
    pub fn etcd(&self) -> String {
        format!("127.0.0.1:{}", self.clients)
    }

    /// The folder of its backups.
    #[must_use]
    pub fn backups(&self) -> PathBuf {
        self.dir.path().join("home/backups")
    }

    /// Makes a folder as vtctld sees one in its store.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn leave_backup(&self, shard: &str, name: &str) -> anyhow::Result<()> {
        let folder = self.backups().join(shard).join(name);
        std::fs::create_dir_all(&folder)?;
        for dir in folder.ancestors().take_while(|dir| *dir != self.backups()) {
            if geteuid().is_root() {
                chown(dir, Some(NOBODY), Some(NOBODY))?;
            }
        }
        Ok(())
    }

    /// Kills vtctld.
    pub fn kill_vtctld(&mut self) {
        self.vtctld = None;
    }

    /// Stops vtctld where it is: it takes calls and answers none.
    pub fn freeze_vtctld(&self) {
        self.vtctld.iter().for_each(|part| part.signal(Signal::STOP));
    }

    /// Lets it go on.
    pub fn thaw_vtctld(&self) {
        self.vtctld.iter().for_each(|part| part.signal(Signal::CONT));
    }

    /// Has Vitess's own client do something.
    ///
    /// # Errors
    /// With what it said, when it does not.
    pub fn ctl(&self, args: &[&str]) -> anyhow::Result<String> {
        let client = self.programs.join("vt/bin/vtctldclient");
        let within = format!("--action-timeout={}s", LOCK_WITHIN.as_secs());
        let mut command = Command::new(client);
        let done = command.arg(format!("--server={}", self.vtctld())).arg(within).args(args).output()?;
        ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        Ok(String::from_utf8(done.stdout)?)
    }

    /// Leaves a lock of a shard behind, as somebody who died holding it, and whose lease never ends.
    ///
    /// # Errors
    /// When etcd does not take it.
    pub fn leave_lock(&self, shard: &str) -> anyhow::Result<()> {
        let (keyspace, range) = shard.split_once('/').context("KEYSPACE/RANGE")?;
        let key = format!("{ROOT}/keyspaces/{keyspace}/shards/{range}/locks/1");
        let bytes = |text: &str| ByteString(text.as_bytes().to_vec());
        let body = json!({ "key": bytes(&key), "value": bytes("{}") }).to_string();
        let mut stream = TcpStream::connect(self.etcd())?;
        write!(
            stream,
            "POST /v3/kv/put HTTP/1.1\r\nhost: etcd\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        Ok(())
    }
}

fn start(dir: &Path, name: &str, command: &mut Command) -> anyhow::Result<Part> {
    let log = dir.join(format!("{name}.log"));
    let file = std::fs::File::create(&log)?;
    let command = command.current_dir(dir).stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    Ok(Part { child: command.spawn().with_context(|| name.to_owned())?, log })
}

#[expect(clippy::disallowed_methods, reason = "a process tells nobody that it is ready")]
fn wait() {
    std::thread::sleep(LOOK_AGAIN);
}
