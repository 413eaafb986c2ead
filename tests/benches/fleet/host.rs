//! The host as a process of its own, and what it has used so far.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use pilothouse::settings::Settings;
use pilothouse_tests::cluster::Cluster;

use crate::ALLOCATOR;
use crate::ends::{Ends, kubeconfig};
use crate::fleet::{LOOK_AGAIN, WITHIN};

/// Asked on standard input, it answers with the bytes that are allocated.
const LIVE: &str = "live";
/// Nothing written and nothing computed for so long: it rests. No report waits longer.
const QUIET: Duration = Duration::from_secs(20);
/// Less than this much processor time in [`QUIET`] is none.
const IDLE: Duration = Duration::from_millis(50);

/// The product's own `main`, beside somebody who answers what is allocated.
pub(crate) fn main() -> anyhow::Result<std::process::ExitCode> {
    std::thread::spawn(|| {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if line == LIVE {
                println!("{LIVE} {}", ALLOCATOR.allocated());
            }
        }
    });
    pilothouse::cli::main()
}

pub(crate) struct Host {
    process: Ends,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
    metrics: SocketAddr,
    _dir: tempfile::TempDir,
}

impl Host {
    /// The product; or, to be asked what it has allocated, this program as a host, which counts.
    pub(crate) fn start(cluster: &Cluster, counts: bool) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("policies");
        let settings =
            Settings { listen: ([127, 0, 0, 1], 0).into(), cache_dir: Some(cache), ..Settings::default() };
        std::fs::write(dir.path().join("settings.yaml"), settings.to_yaml())?;
        let product = env!("CARGO_BIN_EXE_pilothouse-under-test").into();
        let program = if counts { std::env::current_exe()? } else { product };
        let mut process = Ends::start(
            Command::new(program)
                .args(["--log", "warn", "run", "--settings"])
                .arg(dir.path().join("settings.yaml"))
                .env("KUBECONFIG", kubeconfig(dir.path(), cluster)?)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped()),
        )?;
        let child = process.child();
        let ask = child.stdin.take().context("piped")?;
        let mut answers = BufReader::new(child.stdout.take().context("piped")?);
        let mut first = String::new();
        answers.read_line(&mut first)?;
        let at = first.trim().rsplit_once("http://").with_context(|| format!("it says {first:?}"))?.1;
        Ok(Self { process, ask, answers, metrics: at.parse()?, _dir: dir })
    }

    /// Processor time of all its threads.
    pub(crate) fn spent(&self) -> anyhow::Result<Duration> {
        self.process.spent()
    }

    /// Bytes that are resident, and bytes that are allocated.
    pub(crate) fn memory(&mut self) -> anyhow::Result<(u64, u64)> {
        let status = self.process.proc("status")?;
        let resident = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).context("it has a size")?;
        let kib: u64 = resident.trim().trim_end_matches("kB").trim().parse()?;
        writeln!(self.ask, "{LIVE}")?;
        let mut answer = String::new();
        while !answer.starts_with(LIVE) {
            answer.clear();
            ensure!(self.answers.read_line(&mut answer)? > 0, "the host has ended");
        }
        Ok((kib * 1024, answer[LIVE.len()..].trim().parse()?))
    }

    /// Writes that it sent so far.
    pub(crate) fn writes(&self) -> anyhow::Result<u64> {
        let mut stream = std::net::TcpStream::connect(self.metrics)?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let line = text.lines().find_map(|l| l.strip_prefix("pilothouse_api_writes_total "));
        Ok(line.context("it counts its writes")?.trim().parse()?)
    }

    /// Waits until it has nothing left to do.
    pub(crate) async fn settle(&self) -> anyhow::Result<()> {
        let begun = tokio::time::Instant::now();
        let mut since = (tokio::time::Instant::now(), self.writes()?, self.spent()?);
        while since.0.elapsed() < QUIET {
            ensure!(begun.elapsed() < WITHIN, "the host does not come to rest");
            tokio::time::sleep(LOOK_AGAIN).await;
            let (writes, spent) = (self.writes()?, self.spent()?);
            if writes != since.1 || spent > since.2 + IDLE {
                since = (tokio::time::Instant::now(), writes, spent);
            }
        }
        Ok(())
    }
}
