//! vtctld: what it tells of a cluster's topology and backups.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pilothouse_core::Millis;
use pilothouse_core::topology::{Cell, KeyRange, ShardId, TabletAlias};
use pilothouse_core::view::{CellInfo, Role};

use crate::call::Call;
use crate::error::Error;
use crate::link::Link;
use crate::read;
use crate::wire::topodata;
use crate::wire::vtctldata as data;

/// How long calls may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Within {
    /// One that reads or writes a record.
    pub call: Duration,
    /// A reparent, as a whole.
    pub reparent: Duration,
    /// Within a reparent: before the new primary is there, and again until replicas follow it.
    pub replicas: Duration,
}

/// A shard's record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShardRecord {
    /// The primary.
    pub primary: Option<TabletAlias>,
    /// Since when, or since when there is none; 0: there never was one.
    pub primary_since: Millis,
    /// Whether VTOrc is kept from replacing a lost primary of it; where it is all of its keyspace,
    /// the keyspace's record says so, and not this one.
    pub vtorc_stands_by: bool,
}

/// A keyspace's record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyspaceRecord {
    /// Its durability policy.
    pub durability_policy: String,
    /// Whether VTOrc is kept from replacing any lost primary of it.
    pub vtorc_stands_by: bool,
}

/// A tablet's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TabletRecord {
    /// Cell and uid.
    pub alias: TabletAlias,
    /// Its shard.
    pub shard: ShardId,
    /// What it last registered as.
    pub role: Role,
    /// `HOST:PORT` of its own calls; `None` while it has not said so.
    pub grpc: Option<String>,
    /// `HOST:PORT` where it shows its variables; `None` while it has not said so.
    pub http: Option<String>,
    /// Host and port of its MySQL, as replicas name it.
    pub mysql: (String, i32),
}

/// A backup that the store has, whole or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupRecord {
    /// Its name.
    pub name: String,
    /// When it began.
    pub started: Millis,
}

/// A cluster's vtctld.
#[derive(Debug)]
pub struct Vtctld {
    link: Link,
    pub(crate) within: Within,
}

impl Vtctld {
    /// Behind that link.
    #[must_use]
    pub const fn new(link: Link, within: Within) -> Self {
        Self { link, within }
    }

    pub(crate) async fn call<C: Call>(&self, request: C) -> Result<C::Response, Error> {
        self.link.call(&request, self.within.call).await
    }

    pub(crate) async fn call_reparent<C: Call>(&self, request: C) -> Result<C::Response, Error> {
        self.link.call(&request, self.within.reparent).await
    }

    pub(crate) async fn cell_names(&self) -> Result<BTreeSet<String>, Error> {
        Ok(self.call(data::GetCellInfoNamesRequest {}).await?.names.into_iter().collect())
    }

    /// Where each cell keeps its part of the topology.
    ///
    /// # Errors
    /// As every call.
    pub async fn cells(&self) -> Result<BTreeMap<Cell, CellInfo>, Error> {
        let mut cells = BTreeMap::new();
        for cell in self.cell_names().await? {
            let info = self.call(data::GetCellInfoRequest { cell: cell.clone() }).await?.cell_info;
            let info = info.unwrap_or_default();
            cells.insert(Cell(cell), CellInfo { address: info.server_address, root: info.root });
        }
        Ok(cells)
    }

    /// The cells of an alias; `None`: there is no such alias.
    ///
    /// # Errors
    /// As every call.
    pub async fn alias(&self, name: &str) -> Result<Option<BTreeSet<Cell>>, Error> {
        let mut aliases = self.call(data::GetCellsAliasesRequest {}).await?.aliases;
        Ok(aliases.remove(name).map(|alias| alias.cells.into_iter().map(Cell).collect()))
    }

    /// Keyspaces by name.
    ///
    /// # Errors
    /// As every call.
    pub async fn keyspaces(&self) -> Result<BTreeMap<String, KeyspaceRecord>, Error> {
        let keyspaces = self.call(data::GetKeyspacesRequest {}).await?.keyspaces;
        let record = |keyspace: Option<topodata::Keyspace>| {
            let record = keyspace.unwrap_or_default();
            KeyspaceRecord {
                durability_policy: record.durability_policy,
                vtorc_stands_by: record.vtorc_state.is_some_and(|state| state.disable_emergency_reparent),
            }
        };
        Ok(keyspaces.into_iter().map(|k| (k.name, record(k.keyspace))).collect())
    }

    /// The shards of a keyspace that are named by their key ranges, as all are that we make.
    ///
    /// # Errors
    /// As every call.
    pub async fn shards(&self, keyspace: &str) -> Result<BTreeMap<ShardId, ShardRecord>, Error> {
        let request = data::FindAllShardsInKeyspaceRequest { keyspace: keyspace.to_owned() };
        let shards = self.call(request).await?.shards;
        let record = |shard: data::Shard| {
            let record = shard.shard.unwrap_or_default();
            ShardRecord {
                primary: record.primary_alias.and_then(read::alias),
                primary_since: read::time(record.primary_term_start_time),
                vtorc_stands_by: record.vtorc_state.is_some_and(|state| state.disable_emergency_reparent),
            }
        };
        let named = |name: &str| read::shard(keyspace, name);
        Ok(shards.into_iter().filter_map(|(name, shard)| Some((named(&name)?, record(shard)))).collect())
    }

    /// What a keyspace's serving graphs have, by cell.
    ///
    /// # Errors
    /// As every call.
    pub async fn graphs(&self, keyspace: &str) -> Result<BTreeMap<Cell, BTreeSet<KeyRange>>, Error> {
        let request = data::GetSrvKeyspacesRequest { keyspace: keyspace.to_owned(), cells: Vec::new() };
        let graphs = self.call(request).await?.srv_keyspaces;
        let ranges = |graph: &topodata::SrvKeyspace| {
            let shards = graph.partitions.iter().flat_map(|partition| &partition.shard_references);
            shards.filter_map(|shard| shard.name.parse().ok()).collect()
        };
        // A cell without a graph is answered, too, with an empty one.
        let there = graphs.into_iter().filter(|(_, graph)| !graph.partitions.is_empty());
        Ok(there.map(|(cell, graph)| (Cell(cell), ranges(&graph))).collect())
    }

    /// Tablets that have a record, by alias. Strict: of every cell; else of those that answer.
    ///
    /// # Errors
    /// As every call.
    pub async fn tablets(&self, strict: bool) -> Result<BTreeMap<TabletAlias, TabletRecord>, Error> {
        let cells: Vec<String> = self.cell_names().await?.into_iter().collect();
        if cells.is_empty() {
            // vtctld would refuse, as it would where it cannot read them.
            return Ok(BTreeMap::new());
        }
        let tablets = self.call(data::GetTabletsRequest { cells, strict }).await?.tablets;
        Ok(tablets.into_iter().filter_map(read::tablet).map(|t| (t.alias.clone(), t)).collect())
    }

    /// What the store has of a shard, whole or not: vtctld does not tell.
    ///
    /// # Errors
    /// As every call.
    pub async fn backups(&self, shard: &ShardId) -> Result<Vec<BackupRecord>, Error> {
        let (keyspace, shard) = (shard.keyspace.clone(), shard.range.to_string());
        let backups = self.call(data::GetBackupsRequest { keyspace, shard }).await?.backups;
        let record = |backup: crate::wire::mysqlctl::BackupInfo| BackupRecord {
            name: backup.name,
            started: read::time(backup.time),
        };
        Ok(backups.into_iter().map(record).collect())
    }
}
