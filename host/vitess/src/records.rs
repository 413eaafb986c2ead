//! The topology's records, made and removed. Every call is absolute: doing it twice changes nothing.
//!
//! Nothing is removed with what depends on it, and no lock is passed over: vtctld refuses instead.

use pilothouse_core::topology::{Cell, ShardId, TabletAlias};
use pilothouse_core::view::{CELLS_ALIAS, CellInfo, Record, Registration};

use crate::error::Error;
use crate::read::wire_alias;
use crate::vtctld::Vtctld;
use crate::wire::topodata;
use crate::wire::vtctldata as data;

impl Vtctld {
    /// Makes a record, or brings it to what is asked.
    ///
    /// # Errors
    /// As every call; refused, too, where the topology has something that does not go with it.
    pub async fn register(&self, asked: &Registration) -> Result<(), Error> {
        match asked {
            Registration::Cell { cell, info } => self.register_cell(cell, info).await,
            Registration::CellsAlias { cells } => {
                let cells = cells.iter().map(|cell| cell.0.clone()).collect();
                let cells_alias = Some(topodata::CellsAlias { cells });
                let request = data::UpdateCellsAliasRequest { name: CELLS_ALIAS.to_owned(), cells_alias };
                self.call(request).await.map(drop)
            }
            Registration::Keyspace { keyspace, durability_policy } => {
                self.register_keyspace(keyspace, durability_policy).await
            }
            Registration::Shard { shard } => {
                // Forced: it is no error that the shard is there; it stays as it is.
                let (keyspace, shard_name) = (shard.keyspace.clone(), shard.range.to_string());
                self.call(data::CreateShardRequest { keyspace, shard_name, force: true }).await.map(drop)
            }
        }
    }

    async fn register_cell(&self, cell: &Cell, info: &CellInfo) -> Result<(), Error> {
        let name = cell.0.clone();
        let cell_info =
            Some(topodata::CellInfo { server_address: info.address.clone(), root: info.root.clone() });
        if self.cell_names().await?.contains(&name) {
            self.call(data::UpdateCellInfoRequest { name, cell_info }).await.map(drop)
        } else {
            self.call(data::AddCellInfoRequest { name, cell_info }).await.map(drop)
        }
    }

    async fn register_keyspace(&self, keyspace: &str, durability_policy: &str) -> Result<(), Error> {
        let (name, durability_policy) = (keyspace.to_owned(), durability_policy.to_owned());
        match self.keyspaces().await?.get(keyspace) {
            None => {
                let request = data::CreateKeyspaceRequest { name, force: false, durability_policy };
                self.call(request).await.map(drop)
            }
            Some(now) if durability_policy.is_empty() || now.durability_policy == durability_policy => Ok(()),
            Some(_) => {
                let request = data::SetKeyspaceDurabilityPolicyRequest { keyspace: name, durability_policy };
                self.call(request).await.map(drop)
            }
        }
    }

    /// Removes a record; none is fine.
    ///
    /// # Errors
    /// As every call; refused, too, where others depend on the record. A shard's replication record
    /// of a cell is always refused: vtctld's call for it also takes the shard out of the cell's
    /// serving graph, which the gateways there read.
    pub async fn prune(&self, record: &Record) -> Result<(), Error> {
        match record {
            Record::Tablet { tablet } => self.delete_tablet(tablet, true).await,
            Record::ServingGraph { cell, keyspace } => self.prune_graph(cell, keyspace).await,
            Record::ShardCell { .. } => {
                let message = format!("vtctld has no call that removes the {record} alone");
                Err(Error::refused("NoSuchCall", message))
            }
            Record::Shard { shard } => self.prune_shard(shard).await,
            Record::Keyspace { keyspace } => {
                if !self.keyspaces().await?.contains_key(keyspace) {
                    return Ok(());
                }
                let keyspace = keyspace.clone();
                let request = data::DeleteKeyspaceRequest { keyspace, recursive: false, force: false };
                self.call(request).await.map(drop)
            }
            Record::Cell { cell } => {
                if !self.cell_names().await?.contains(&cell.0) {
                    return Ok(());
                }
                let request = data::DeleteCellInfoRequest { name: cell.0.clone(), force: false };
                self.call(request).await.map(drop)
            }
        }
    }

    async fn prune_graph(&self, cell: &Cell, keyspace: &str) -> Result<(), Error> {
        if !self.graphs(keyspace).await?.contains_key(cell) {
            return Ok(());
        }
        let (keyspace, cell) = (keyspace.to_owned(), cell.0.clone());
        let request = data::RemoveKeyspaceCellRequest { keyspace, cell, force: false, recursive: false };
        self.call(request).await.map(drop)
    }

    async fn prune_shard(&self, shard: &ShardId) -> Result<(), Error> {
        // vtctld locks a shard before it looks whether there is one.
        let keyspaces = self.keyspaces().await?;
        if !keyspaces.contains_key(&shard.keyspace)
            || !self.shards(&shard.keyspace).await?.contains_key(shard)
        {
            return Ok(());
        }
        let (keyspace, name) = (shard.keyspace.clone(), shard.range.to_string());
        let shards = vec![data::Shard { keyspace, name, shard: None }];
        let request =
            data::DeleteShardsRequest { shards, recursive: false, even_if_serving: false, force: false };
        self.call(request).await.map(drop)
    }

    /// Removes the record of a tablet; none is fine.
    ///
    /// # Errors
    /// As every call; refused, too, for a shard's primary, unless that is allowed.
    pub async fn delete_tablet(&self, tablet: &TabletAlias, allow_primary: bool) -> Result<(), Error> {
        if !self.tablets(false).await?.contains_key(tablet) {
            return Ok(());
        }
        let tablet_aliases = vec![wire_alias(tablet)];
        self.call(data::DeleteTabletsRequest { tablet_aliases, allow_primary }).await.map(drop)
    }

    /// Removes a backup from the store; none is fine.
    ///
    /// # Errors
    /// As every call.
    pub async fn remove_backup(&self, shard: &ShardId, name: &str) -> Result<(), Error> {
        if !self.backups(shard).await?.iter().any(|backup| backup.name == name) {
            return Ok(());
        }
        let (keyspace, shard) = (shard.keyspace.clone(), shard.range.to_string());
        self.call(data::RemoveBackupRequest { keyspace, shard, name: name.to_owned() }).await.map(drop)
    }

    /// Says whether VTOrc may replace a lost primary of the shard by itself (Vitess 23 and later). For
    /// a shard that is all of its keyspace, vtctld writes it down at the keyspace.
    ///
    /// # Errors
    /// As every call.
    pub async fn let_vtorc_fail_over(&self, shard: &ShardId, may: bool) -> Result<(), Error> {
        let (keyspace, shard) = (shard.keyspace.clone(), shard.range.to_string());
        self.call(data::SetVtorcEmergencyReparentRequest { keyspace, shard, disable: !may }).await.map(drop)
    }
}
