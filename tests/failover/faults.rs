//! What is lost, and how it comes back.

use std::time::Duration;

use anyhow::Context as _;
use pilothouse::clock::Clock;
use pilothouse_tests::crossing::scene::Scene;
use tokio::time::sleep;

/// How long a cut lasts that must lead to nothing; a node is missed by then.
const CUT_FOR: Duration = Duration::from_secs(20);
/// A flap, and the quiet between two: less than a probe may take.
const FLAP: Duration = Duration::from_millis(300);
const BETWEEN_FLAPS: Duration = Duration::from_millis(700);
const FLAPS: usize = 8;

/// What happens to the primary, or to the zone that it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Its mysqld is killed, and does not come back for now.
    MysqldKilled,
    /// Its vttablet is killed, and is begun again by its kubelet.
    VttabletKilled,
    /// Both are killed, and do not come back for now.
    BothKilled,
    /// Its zone loses its power.
    ZoneKilled,
    /// Packets of its zone are lost, and the node's heartbeats.
    ZoneSilent,
    /// The zone's kubelet and the control plane do not hear each other; the databases go on.
    ControlPlaneCut,
    /// The zone's packets are lost again and again, for less than a probe may take.
    ZoneFlaps,
}

impl Fault {
    pub(crate) const ALL: [Self; 7] = [
        Self::MysqldKilled,
        Self::VttabletKilled,
        Self::BothKilled,
        Self::ZoneKilled,
        Self::ZoneSilent,
        Self::ControlPlaneCut,
        Self::ZoneFlaps,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::MysqldKilled => "mysqld killed",
            Self::VttabletKilled => "vttablet killed",
            Self::BothKilled => "both killed",
            Self::ZoneKilled => "zone killed",
            Self::ZoneSilent => "zone silent",
            Self::ControlPlaneCut => "zone cut from the control plane",
            Self::ZoneFlaps => "zone flapping",
        }
    }

    /// Whether the primary is lost by it.
    pub(crate) const fn loses(self) -> bool {
        match self {
            Self::MysqldKilled | Self::BothKilled | Self::ZoneKilled | Self::ZoneSilent => true,
            Self::VttabletKilled | Self::ControlPlaneCut | Self::ZoneFlaps => false,
        }
    }

    /// Whether all of a zone is struck.
    pub(crate) const fn is_of_zone(self) -> bool {
        match self {
            Self::ZoneKilled | Self::ZoneSilent | Self::ControlPlaneCut | Self::ZoneFlaps => true,
            Self::MysqldKilled | Self::VttabletKilled | Self::BothKilled => false,
        }
    }

    /// Brings it about; answers when, in Unix milliseconds.
    pub(crate) async fn strikes(self, scene: &mut Scene, pod: &str, zone: &str) -> anyhow::Result<u64> {
        let now = || Clock::system().now();
        match self {
            Self::MysqldKilled => scene.machines.machine(zone)?.kill_container(pod, "mysqld", true)?,
            Self::VttabletKilled => scene.machines.machine(zone)?.kill_container(pod, "vttablet", false)?,
            Self::BothKilled => scene.machines.machine(zone)?.kill(pod)?,
            Self::ZoneKilled => scene.machines.power(zone, false).await?,
            Self::ZoneSilent => {
                scene.machines.machine(zone)?.cut(true);
                scene.machines.site.cut(zone, true)?;
            }
            Self::ControlPlaneCut => {
                let at = now();
                scene.machines.machine(zone)?.cut(true);
                sleep(CUT_FOR).await;
                return Ok(at);
            }
            Self::ZoneFlaps => {
                let at = now();
                for _ in 0..FLAPS {
                    scene.machines.site.cut(zone, true)?;
                    sleep(FLAP).await;
                    scene.machines.site.cut(zone, false)?;
                    sleep(BETWEEN_FLAPS).await;
                }
                return Ok(at);
            }
        }
        Ok(now())
    }

    /// Takes it back.
    pub(crate) async fn is_over(self, scene: &mut Scene, pod: &str, zone: &str) -> anyhow::Result<()> {
        match self {
            Self::MysqldKilled | Self::BothKilled => scene.machines.machine(zone)?.release(pod)?,
            Self::VttabletKilled | Self::ZoneFlaps => {}
            Self::ZoneKilled => scene.machines.power(zone, true).await?,
            Self::ZoneSilent => {
                scene.machines.site.cut(zone, false)?;
                scene.machines.machine(zone).context("it has power")?.cut(false);
            }
            Self::ControlPlaneCut => scene.machines.machine(zone)?.cut(false),
        }
        Ok(())
    }
}
