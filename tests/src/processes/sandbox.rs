//! Processes in sandboxes: bubblewrap around each, in the network namespace of its Pod.
//!
//! Owns how a program is begun, signalled and awaited. Must not know of Kubernetes.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::net::Ipv4Addr;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;

use super::Site;

/// Where a process looks for what a container's search path has.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A file or folder that a process finds elsewhere.
#[derive(Clone)]
pub(super) struct Mount {
    from: PathBuf,
    at: String,
    writable: bool,
}

impl Mount {
    /// Cannot be written through.
    pub(super) fn read_only(from: impl AsRef<Path>, at: impl Into<String>) -> Self {
        Self { from: from.as_ref().to_owned(), at: at.into(), writable: false }
    }

    /// Whether it can be written through is to be said.
    pub(super) fn new(from: PathBuf, at: &str, writable: bool) -> Self {
        Self { from, at: at.to_owned(), writable }
    }
}

/// What is to run, and what it finds.
pub(super) struct Program {
    pub(super) command: Vec<String>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) user: i64,
    pub(super) group: i64,
    pub(super) hostname: String,
    pub(super) directory: String,
    /// Later ones cover earlier ones.
    pub(super) mounts: Vec<Mount>,
    /// Gets what it prints, after what is there already.
    pub(super) log: PathBuf,
}

/// The network namespace of a Pod, which a process that does nothing keeps.
pub(super) struct Sandbox {
    _pause: Child,
    process: u32,
    pub(super) address: Ipv4Addr,
}

impl Sandbox {
    /// Makes one, with an address in that zone.
    pub(super) async fn start(site: &Site, zone: &str) -> anyhow::Result<Self> {
        let mut pause = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo apart; exec sleep infinity"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let said = pause.stdout.take().context("a pipe")?;
        BufReader::new(said).lines().next_line().await?.context("a network namespace")?;
        let process = pause.id().context("a process")?;
        let address = site.network.join(zone, process)?;
        Ok(Self { _pause: pause, process, address })
    }

    /// Does something in its network, by a thread of its own.
    pub(super) async fn within<T: Send + 'static>(
        &self,
        act: impl FnOnce() -> T + Send + 'static,
    ) -> anyhow::Result<T> {
        let namespace = File::open(format!("/proc/{}/ns/net", self.process))?;
        let (tell, told) = oneshot::channel();
        std::thread::spawn(move || {
            let network = Some(LinkNameSpaceType::Network);
            if move_into_link_name_space(namespace.as_fd(), network).is_ok() {
                let _ = tell.send(act());
            }
        });
        told.await.context("the network namespace cannot be entered")
    }

    /// Begins a program.
    pub(super) fn run(&self, site: &Site, program: &Program) -> anyhow::Result<Process> {
        let log = OpenOptions::new().create(true).append(true).open(&program.log)?;
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.process)).arg(site.images.tool("bwrap"));
        for unshared in ["user", "pid", "ipc", "uts"] {
            command.arg(format!("--unshare-{unshared}"));
        }
        command.args(["--as-pid-1", "--die-with-parent", "--clearenv"]);
        command.args(["--uid", &program.user.to_string(), "--gid", &program.group.to_string()]);
        command.args(["--hostname", &program.hostname]);
        command.args(["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--dir", "/var/tmp"]);
        // What this machine's programs and Vitess's are linked with.
        for library in ["/usr/lib", "/lib", "/lib64"] {
            command.args(["--ro-bind-try", library, library]);
        }
        for mount in &program.mounts {
            command.arg(if mount.writable { "--bind" } else { "--ro-bind" }).arg(&mount.from).arg(&mount.at);
        }
        command.args(["--setenv", "PATH", PATH]);
        for (name, value) in &program.env {
            command.args(["--setenv", name, value]);
        }
        command.args(["--chdir", &program.directory, "--"]).args(&program.command);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
        let child = command.spawn().context("nsenter")?;
        let id = child.id().context("a process")?;
        Ok(Process { child, id })
    }
}

/// A running program; it does not outlive this.
pub(super) struct Process {
    child: Child,
    /// Of bubblewrap, which waits for the program.
    id: u32,
}

impl Process {
    /// Waits until it has ended; a program that a signal ended has that signal's number and 128.
    pub(super) async fn ended(&mut self) -> i32 {
        use std::os::unix::process::ExitStatusExt as _;
        match self.child.wait().await {
            Ok(status) => status.code().or_else(|| Some(128 + status.signal()?)).unwrap_or(-1),
            Err(_) => -1,
        }
    }

    /// Sends it a signal; the program itself has the first process of its namespace.
    pub(super) fn signal(&self, signal: Signal) {
        signal_program(self.id, signal);
    }

    /// Which process waits for it.
    pub(super) fn id(&self) -> u32 {
        self.id
    }
}

/// As [`Process::signal`], by the process that waits for the program.
pub(super) fn signal_program(waiting: u32, signal: Signal) {
    let children = std::fs::read_to_string(format!("/proc/{waiting}/task/{waiting}/children"));
    let first = children.ok().and_then(|all| all.split_whitespace().next()?.parse().ok());
    // Before there is any, bubblewrap itself is what is to end.
    let process = first.or_else(|| i32::try_from(waiting).ok()).and_then(Pid::from_raw);
    if let Some(process) = process {
        let _ = kill_process(process, signal);
    }
}
