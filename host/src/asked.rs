//! What a VitessShard asks for, read once for each version of it.
//!
//! Owns the pools with their tablets' aliases: an alias is a hash (names are frozen by the
//! contract), and a view has many of them. Must not know what stands.

use pilothouse_api::VitessShard;
use pilothouse_api::desired::{DesiredPool, DesiredShard};
use pilothouse_api::names;
use pilothouse_api::validate::{self, FieldError};
use pilothouse_core::view::PoolView;

/// How many aliases beyond `replicas` a pool names, for surge tablets.
const SPARE_ALIASES: u32 = 4;

/// A VitessShard and what it asks for.
#[derive(Debug, Clone)]
pub struct AskedShard {
    /// As it is.
    pub object: VitessShard,
    /// What it asks for, or what is wrong with it.
    pub asked: Result<Asked, Vec<FieldError>>,
}

/// What a shard asks for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Its spec, validated.
    pub desired: DesiredShard,
    /// Its pools, with the aliases of their first indexes.
    pub pools: Vec<PoolView>,
}

impl AskedShard {
    /// Validates a shard's spec.
    #[must_use]
    pub fn read(object: VitessShard) -> Self {
        let asked =
            validate::validate_shard(&object).map(|desired| Asked { pools: pools(&desired), desired });
        Self { object, asked }
    }
}

fn pools(desired: &DesiredShard) -> Vec<PoolView> {
    let view = |pool: &DesiredPool| PoolView {
        key: pool.key.clone(),
        replicas: pool.replicas,
        aliases: (1..=pool.replicas + SPARE_ALIASES)
            .map(|index| names::tablet_alias(&desired.id.keyspace, &desired.id.range, &pool.key, index))
            .collect(),
    };
    desired.pools.iter().map(view).collect()
}
