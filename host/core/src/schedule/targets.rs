//! Which shards a schedule backs up.

use std::collections::{BTreeMap, BTreeSet};

use crate::topology::ShardId;

/// How much one strategy of a schedule backs up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// One shard, which need not stand.
    Shard(ShardId),
    /// Every shard of a keyspace.
    Keyspace(String),
    /// Every shard of keyspaces that are not left out.
    Cluster,
}

/// Two strategies back up the same shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Twice {
    /// The place of the later one, from 0.
    pub strategy: usize,
    /// The shard.
    pub shard: ShardId,
}

/// Each shard that is backed up, with the place of its strategy. A keyspace that a strategy names as
/// a whole is not part of the cluster's: `apart` are those that other schedules name so.
///
/// # Errors
/// The first shard that comes twice.
pub fn targets(
    scopes: &[Scope],
    shards: &BTreeSet<ShardId>,
    apart: &BTreeSet<String>,
) -> Result<BTreeMap<ShardId, usize>, Twice> {
    let named = |keyspace: &String| scopes.contains(&Scope::Keyspace(keyspace.clone()));
    let mut targets = BTreeMap::new();
    for (strategy, scope) in scopes.iter().enumerate() {
        let chosen: Vec<&ShardId> = match scope {
            Scope::Shard(shard) => vec![shard],
            Scope::Keyspace(keyspace) => shards.iter().filter(|s| s.keyspace == *keyspace).collect(),
            Scope::Cluster => {
                shards.iter().filter(|s| !apart.contains(&s.keyspace) && !named(&s.keyspace)).collect()
            }
        };
        for shard in chosen {
            if targets.insert(shard.clone(), strategy).is_some() {
                return Err(Twice { strategy, shard: shard.clone() });
            }
        }
    }
    Ok(targets)
}
