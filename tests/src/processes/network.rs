//! The network of zones: a bridge for each, joined to one in the middle where whoever tests stands.
//!
//! Owns addresses and links. All of it is in the namespace of this process. Must not know what is sent.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context as _, ensure};

/// Where the middle is.
pub(super) const MIDDLE: Ipv4Addr = Ipv4Addr::new(10, 200, 0, 1);

/// A network of zones.
pub(super) struct Network {
    zones: BTreeMap<String, usize>,
    joined: AtomicU16,
}

impl Network {
    /// Lays it.
    pub(super) fn lay(zones: &[&str]) -> anyhow::Result<Self> {
        let mut batch =
            format!("link add middle type bridge\naddr add {MIDDLE}/16 dev middle\nlink set middle up\n");
        for n in 0..zones.len() {
            batch += &format!(
                "link add zone{n} type bridge\nlink add up{n} type veth peer name down{n}\n\
                 link set up{n} master middle up\nlink set down{n} master zone{n} up\nlink set zone{n} up\n"
            );
        }
        ip(&batch, None)?;
        let zones = zones.iter().enumerate().map(|(n, zone)| ((*zone).to_owned(), n)).collect();
        Ok(Self { zones, joined: AtomicU16::new(1) })
    }

    /// Gives the network namespace of a process an address in a zone; the link goes with the namespace.
    pub(super) fn join(&self, zone: &str, process: u32) -> anyhow::Result<Ipv4Addr> {
        let zone = self.zone(zone)?;
        let n = self.joined.fetch_add(1, Ordering::Relaxed);
        // Sixteen times 250 for each zone.
        let (block, last) = (n / 250, n % 250 + 1);
        ensure!(block < 16 && zone < 15, "there are no more addresses");
        let address = Ipv4Addr::new(10, 200, u8::try_from(16 * (zone + 1))? + block as u8, last as u8);
        let outside = format!(
            "link add pod{n} type veth peer name eth0 netns {process}\nlink set pod{n} master zone{zone} up\n"
        );
        ip(&outside, None)?;
        ip(&format!("link set lo up\naddr add {address}/16 dev eth0\nlink set eth0 up\n"), Some(process))?;
        Ok(address)
    }

    /// Takes a zone's way to the middle, or gives it back.
    pub(super) fn cut(&self, zone: &str, cut: bool) -> anyhow::Result<()> {
        let zone = self.zone(zone)?;
        ip(&format!("link set up{zone} {}\n", if cut { "down" } else { "up" }), None)
    }

    fn zone(&self, name: &str) -> anyhow::Result<usize> {
        self.zones.get(name).copied().with_context(|| format!("there is no zone {name}"))
    }
}

/// Runs a batch of `ip`, in the network namespace of a process or in ours.
pub(super) fn ip(batch: &str, within: Option<u32>) -> anyhow::Result<()> {
    let mut command = match within {
        Some(process) => {
            let mut command = Command::new("nsenter");
            command.args([&format!("--net=/proc/{process}/ns/net"), "ip"]);
            command
        }
        None => Command::new("ip"),
    };
    let command = command.args(["-batch", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("ip")?;
    child.stdin.take().context("ip's input")?.write_all(batch.as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "ip: {}{batch}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
