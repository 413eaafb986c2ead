//! What a script breaks of the played world, beside power and processes.
//!
//! Owns the faults' words. Must not know what is expected of them.

use pilothouse_core::topology::{ShardId, TabletAlias};
use pilothouse_sim::vitess::ClusterKey;
use pilothouse_sim::world::World;
use serde::Deserialize;

/// A fault, or its end. Whom it hits may be a variable of the script.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Fault {
    /// A zone and the control plane do not reach each other; its databases and those elsewhere do.
    CutZone(String),
    /// A zone reaches nobody, and nobody reaches it; clients in it go on.
    IsolateZone(String),
    /// Two zones do not reach each other.
    CutZones(String, String),
    /// The ways of a zone are open again.
    JoinZone(String),
    /// Somebody has the locks of all shards, and does not give them back.
    HoldLocks,
    /// The locks are free again.
    FreeLocks,
    /// Whoever asks a primary to demote itself waits in vain.
    HangDemotion(String),
    /// It demotes itself again when it is asked.
    MendDemotion(String),
    /// Somebody writes to one server past the gateways.
    StrayWrite(String),
    /// A server's binary logs go, with all that it has.
    PurgeLogs(String),
    /// Tablets of an image end as soon as they start.
    BreakImage(String),
    /// Clients write so many transactions a minute to every shard.
    Write(u64),
    /// A tablet's mysqld dies, and whenever it is started again.
    Ruin(String),
    /// Its files are whole again.
    Mend(String),
    /// A replica's applier fails at a transaction, and again whenever it is started.
    FailApplier(String),
    /// It applies again.
    MendApplier(String),
    /// A replica applies what it received so much later.
    Slow(Slow),
}

/// A replica that lags.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Slow {
    /// Its alias.
    pub tablet: String,
    /// How far behind it applies.
    pub by_seconds: u32,
}

impl Fault {
    /// Whom it hits; empty: everybody.
    #[must_use]
    pub fn target(&self) -> &str {
        match self {
            Self::CutZone(target)
            | Self::IsolateZone(target)
            | Self::JoinZone(target)
            | Self::Ruin(target)
            | Self::Mend(target)
            | Self::FailApplier(target)
            | Self::MendApplier(target)
            | Self::HangDemotion(target)
            | Self::MendDemotion(target)
            | Self::StrayWrite(target)
            | Self::PurgeLogs(target)
            | Self::BreakImage(target)
            | Self::CutZones(target, _)
            | Self::Slow(Slow { tablet: target, .. }) => target,
            Self::Write(_) | Self::HoldLocks | Self::FreeLocks => "",
        }
    }

    /// Breaks, or mends; `target` is whom [`Fault::target`] stands for now.
    ///
    /// # Errors
    /// When there is nobody of that name.
    pub fn strike(&self, world: &World, cluster: &ClusterKey, target: &str) -> anyhow::Result<()> {
        let others = || world.zones().into_iter().filter(|zone| zone != target);
        let tablet = |act: &dyn Fn(&TabletAlias) -> bool| target.parse().is_ok_and(|alias| act(&alias));
        let shards = |act: &dyn Fn(&ShardId) -> bool| {
            let mut shards = world.facts().shards.into_keys().filter(|key| key.cluster == *cluster);
            shards.all(|key| act(&key.shard))
        };
        let struck = match self {
            Self::CutZone(_) => {
                world.cut_zone_from_control_plane(target);
                world.zones().contains(target)
            }
            Self::IsolateZone(_) => {
                world.cut_zone_from_control_plane(target);
                others().for_each(|other| world.cut_zones(target, &other));
                world.zones().contains(target)
            }
            Self::JoinZone(_) => {
                others().for_each(|other| world.join_zones(target, &other));
                world.join_zone_to_control_plane(target);
                world.zones().contains(target)
            }
            Self::CutZones(_, other) => {
                world.cut_zones(target, other);
                world.zones().contains(target) && world.zones().contains(other)
            }
            Self::Write(per_minute) => shards(&|shard| world.write_rate(cluster, shard, *per_minute)),
            Self::HoldLocks => shards(&|shard| world.hold_lock(cluster, shard, true)),
            Self::FreeLocks => shards(&|shard| world.hold_lock(cluster, shard, false)),
            Self::HangDemotion(_) => tablet(&|alias| world.hang_demotion(cluster, alias, true)),
            Self::MendDemotion(_) => tablet(&|alias| world.hang_demotion(cluster, alias, false)),
            Self::StrayWrite(_) => tablet(&|alias| world.stray_write(cluster, alias)),
            Self::PurgeLogs(_) => tablet(&|alias| world.purge_logs(cluster, alias)),
            Self::BreakImage(image) => {
                world.break_image(image, true);
                true
            }
            Self::Ruin(_) => tablet(&|alias| world.ruin(cluster, alias, true)),
            Self::Mend(_) => tablet(&|alias| world.ruin(cluster, alias, false)),
            Self::FailApplier(_) => tablet(&|alias| world.fail_applier(cluster, alias, true)),
            Self::MendApplier(_) => tablet(&|alias| world.fail_applier(cluster, alias, false)),
            Self::Slow(slow) => {
                tablet(&|alias| world.slow_replica(cluster, alias, slow.by_seconds.saturating_mul(1_000)))
            }
        };
        anyhow::ensure!(struck, "there is no {target:?}");
        Ok(())
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::CutZone(zone) => write!(f, "cut {zone} from the control plane"),
            Self::IsolateZone(zone) => write!(f, "isolate {zone}"),
            Self::CutZones(one, other) => write!(f, "cut {one} and {other} from each other"),
            Self::HoldLocks => f.write_str("hold the locks of all shards"),
            Self::FreeLocks => f.write_str("free the locks of all shards"),
            Self::HangDemotion(tablet) => write!(f, "{tablet} does not end a demotion"),
            Self::MendDemotion(tablet) => write!(f, "{tablet} ends demotions again"),
            Self::StrayWrite(tablet) => write!(f, "write past the gateways to {tablet}"),
            Self::PurgeLogs(tablet) => write!(f, "purge the binary logs of {tablet}"),
            Self::BreakImage(image) => write!(f, "image {image} is broken"),
            Self::JoinZone(zone) => write!(f, "join {zone} again"),
            Self::Ruin(tablet) => write!(f, "ruin mysqld's files of {tablet}"),
            Self::Mend(tablet) => write!(f, "mend mysqld's files of {tablet}"),
            Self::FailApplier(tablet) => write!(f, "fail the applier of {tablet}"),
            Self::MendApplier(tablet) => write!(f, "mend the applier of {tablet}"),
            Self::Slow(Slow { tablet, by_seconds }) => write!(f, "{tablet} applies {by_seconds} s behind"),
            Self::Write(per_minute) => write!(f, "write {per_minute} transactions a minute"),
        }
    }
}
