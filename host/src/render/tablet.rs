//! Which tablets a shard has: those of its pools, and those that stand in for a lost cell's.

use std::collections::BTreeSet;

use pilothouse_api::labels::{self, Component};
use pilothouse_api::tablet_pool::TabletPool;
use pilothouse_api::{VitessShard, names};
use pilothouse_core::topology::{Cell, KeyRange, PoolType, TabletAlias};

use super::child::{Strings, labels as pairs};

/// A shard with what its tablets inherit from above it.
pub(super) struct Shard<'a> {
    /// The object.
    pub(super) object: &'a VitessShard,
    /// The cluster's name.
    pub(super) cluster: &'a str,
    /// The keyspace's name.
    pub(super) keyspace: &'a str,
    /// The key range.
    pub(super) range: KeyRange,
}

/// One tablet that should be there.
pub(super) struct Tablet<'a> {
    /// Its pool, which is the template of its Pod.
    pub(super) pool: &'a TabletPool,
    /// Its place in the pool, from 1.
    pub(super) index: u32,
    /// Its name in the topology.
    pub(super) alias: TabletAlias,
    /// The lost cell that it stands in for.
    pub(super) stands_in_for: Option<&'a str>,
}

impl<'a> Shard<'a> {
    /// The shard that the object is; `None` while its labels or its name do not say so.
    pub(super) fn of(object: &'a VitessShard) -> Option<Self> {
        let label = |key: &str| object.metadata.labels.as_ref()?.get(key).map(String::as_str);
        Some(Self {
            object,
            cluster: label(labels::CLUSTER)?,
            keyspace: label(labels::KEYSPACE)?,
            range: object.spec.name.parse().ok()?,
        })
    }

    /// The labels of the shard and of everything in it.
    pub(super) fn labels(&self, component: Component) -> Strings {
        pairs([
            (labels::CLUSTER, self.cluster),
            (labels::KEYSPACE, self.keyspace),
            (labels::SHARD, &labels::shard(&self.range)),
            (labels::COMPONENT, component.as_str()),
        ])
    }

    /// The database that the keyspace is kept in.
    pub(super) fn database(&self) -> String {
        match self.object.spec.database_name.as_str() {
            "" => names::database(self.keyspace),
            given => given.to_owned(),
        }
    }

    /// The cells that the shard has pools in.
    pub(super) fn cells(&self) -> BTreeSet<Cell> {
        self.object.spec.template.tablet_pools.iter().map(|pool| Cell(pool.cell.clone())).collect()
    }

    /// The tablets wanted: by pool and index, then surge tablets in the order of the status. A
    /// surge tablet within `replicas` is an ordinary one by now; one whose pool is gone has no
    /// template and is not wanted.
    pub(super) fn tablets(&self) -> Vec<Tablet<'a>> {
        let pools = &self.object.spec.template.tablet_pools;
        let by_spec = pools.iter().flat_map(|pool| {
            (1..=u32::try_from(pool.replicas).unwrap_or(0)).map(move |index| (pool, index, None))
        });
        let surge = self.object.status.iter().flat_map(|status| &status.surge_tablets).filter_map(|surge| {
            let pool = pools.iter().find(|pool| {
                pool.cell == surge.cell
                    && pool.pool_type.as_str() == surge.pool_type
                    && pool.name == surge.pool_name
            })?;
            let index = u32::try_from(surge.index).ok().filter(|_| surge.index > pool.replicas)?;
            Some((pool, index, Some(surge.stands_in_for.as_str())))
        });
        by_spec
            .chain(surge)
            .map(|(pool, index, stands_in_for)| Tablet {
                pool,
                index,
                alias: names::tablet_alias(self.keyspace, &self.range, &pool.key(), index),
                stands_in_for,
            })
            .collect()
    }
}

impl Tablet<'_> {
    /// The name of the tablet's Pod and of its claim.
    pub(super) fn name(&self, cluster: &str) -> String {
        names::tablet(cluster, &self.alias)
    }

    /// The labels of its Pod and of its claim.
    pub(super) fn labels(&self, shard: &Shard<'_>) -> Strings {
        let mut labels = self.pool_labels(shard);
        labels.insert(labels::TABLET_UID.to_owned(), labels::tablet_uid(self.alias.uid));
        labels.insert(labels::TABLET_INDEX.to_owned(), self.index.to_string());
        labels
    }

    /// The labels of every tablet of its pool.
    pub(super) fn pool_labels(&self, shard: &Shard<'_>) -> Strings {
        let mut labels = shard.labels(Component::Vttablet);
        labels.insert(labels::CELL.to_owned(), self.pool.cell.clone());
        labels.insert(labels::TABLET_TYPE.to_owned(), self.pool.pool_type.to_string());
        if !self.pool.name.is_empty() {
            labels.insert(labels::POOL_NAME.to_owned(), self.pool.name.clone());
        }
        labels
    }

    /// What it announces itself as before anything is elected.
    pub(super) fn initial_type(&self) -> &'static str {
        match self.pool.pool_type {
            PoolType::Replica | PoolType::ExternalReplica => "replica",
            PoolType::Rdonly | PoolType::ExternalRdonly => "rdonly",
            PoolType::ExternalMaster => "spare",
        }
    }
}
