//! What a script breaks of the played world, beside power and processes.
//!
//! Owns the faults' words. Must not know what is expected of them.

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
    /// The ways of a zone are open again.
    JoinZone(String),
    /// Clients write so many transactions a minute to every shard.
    Write(u64),
}

impl Fault {
    /// Whom it hits; empty: everybody.
    #[must_use]
    pub fn target(&self) -> &str {
        match self {
            Self::CutZone(target) | Self::IsolateZone(target) | Self::JoinZone(target) => target,
            Self::Write(_) => "",
        }
    }

    /// Breaks, or mends; `target` is whom [`Fault::target`] stands for now.
    ///
    /// # Errors
    /// When there is nobody of that name.
    pub fn strike(&self, world: &World, cluster: &ClusterKey, target: &str) -> anyhow::Result<()> {
        let others = || world.zones().into_iter().filter(|zone| zone != target);
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
            Self::Write(per_minute) => {
                let shards = world.facts().shards.into_keys().filter(|key| key.cluster == *cluster);
                shards.map(|key| world.write_rate(cluster, &key.shard, *per_minute)).all(|known| known)
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
            Self::JoinZone(zone) => write!(f, "join {zone} again"),
            Self::Write(per_minute) => write!(f, "write {per_minute} transactions a minute"),
        }
    }
}
