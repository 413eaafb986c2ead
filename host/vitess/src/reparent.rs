//! Reparents, and what a tablet's mysqld is told. vtctld takes Vitess's own lock of the shard.

use pilothouse_core::topology::{ShardId, TabletAlias};

use crate::error::Error;
use crate::read::{alias, wire_alias};
use crate::vtctld::Vtctld;
use crate::wire::topodata;
use crate::wire::vtctldata as data;
use crate::wire::vttime;

/// mysqld writes out all that it has when it ends (source: MySQL manual, `innodb_fast_shutdown`).
const END_SLOWLY: &str = "SET GLOBAL innodb_fast_shutdown = 0";
const HOW_IT_ENDS: &str = "SELECT @@global.innodb_fast_shutdown";

impl Vtctld {
    /// Gives a shard its first primary.
    ///
    /// # Errors
    /// As every call; `HasPrimary` when there is one; `AnotherPromoted` when another became it.
    pub async fn init_primary(&self, shard: &ShardId, to: &TabletAlias) -> Result<(), Error> {
        if let Some(primary) = self.primary(shard).await? {
            let message = format!("{shard} has the primary {primary}");
            return Err(Error::refused("HasPrimary", message));
        }
        self.plan(shard, None, to).await
    }

    /// Swaps a live primary, if `from` still is it.
    ///
    /// # Errors
    /// As every call; `NotThePrimary` when it is another; `AnotherPromoted` when another became it.
    pub async fn planned_reparent(
        &self,
        shard: &ShardId,
        from: &TabletAlias,
        to: &TabletAlias,
    ) -> Result<(), Error> {
        self.expect_primary(shard, from).await?;
        self.plan(shard, Some(from), to).await
    }

    async fn plan(&self, shard: &ShardId, from: Option<&TabletAlias>, to: &TabletAlias) -> Result<(), Error> {
        let request = data::PlannedReparentShardRequest {
            keyspace: shard.keyspace.clone(),
            shard: shard.range.to_string(),
            new_primary: Some(wire_alias(to)),
            wait_replicas_timeout: Some(self.replicas()),
            allow_cross_cell_promotion: true,
            expected_primary: from.map(wire_alias),
        };
        promoted(to, self.call_reparent(request).await?.promoted_primary)
    }

    /// Replaces a lost primary, if `lost` still is named; `without` are neither stopped nor waited for.
    ///
    /// # Errors
    /// As every call; `NotThePrimary` when it is another; `AnotherPromoted` when another took its place.
    pub async fn emergency_reparent(
        &self,
        shard: &ShardId,
        lost: &TabletAlias,
        to: &TabletAlias,
        without: &[TabletAlias],
    ) -> Result<(), Error> {
        self.expect_primary(shard, lost).await?;
        let request = data::EmergencyReparentShardRequest {
            keyspace: shard.keyspace.clone(),
            shard: shard.range.to_string(),
            new_primary: Some(wire_alias(to)),
            ignore_replicas: without.iter().map(wire_alias).collect(),
            wait_replicas_timeout: Some(self.replicas()),
            expected_primary: Some(wire_alias(lost)),
        };
        promoted(to, self.call_reparent(request).await?.promoted_primary)
    }

    async fn primary(&self, shard: &ShardId) -> Result<Option<TabletAlias>, Error> {
        let record = self.shards(&shard.keyspace).await?.remove(shard);
        let none = || Error::refused("NotFound", format!("the topology has no shard {shard}"));
        Ok(record.ok_or_else(none)?.primary)
    }

    /// vtctld checks the same under the shard's lock, but only from Vitess 22 on.
    async fn expect_primary(&self, shard: &ShardId, expected: &TabletAlias) -> Result<(), Error> {
        let primary = self.primary(shard).await?;
        if primary.as_ref() == Some(expected) {
            return Ok(());
        }
        let found = primary.map_or_else(|| "none".to_owned(), |alias| alias.to_string());
        let message = format!("the primary of {shard} is {found}, and not {expected}");
        Err(Error::refused("NotThePrimary", message))
    }

    fn replicas(&self) -> vttime::Duration {
        let span = self.within.replicas;
        vttime::Duration {
            seconds: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
            nanos: i32::try_from(span.subsec_nanos()).unwrap_or(0),
        }
    }

    /// Has a tablet's mysqld write out all that it has when it ends.
    ///
    /// # Errors
    /// As every call.
    pub async fn end_slowly(&self, tablet: &TabletAlias) -> Result<(), Error> {
        self.fetch(tablet, END_SLOWLY).await.map(drop)
    }

    /// Whether a tablet's mysqld writes out all that it has when it ends.
    ///
    /// # Errors
    /// As every call.
    pub async fn ends_slowly(&self, tablet: &TabletAlias) -> Result<bool, Error> {
        let result = self.fetch(tablet, HOW_IT_ENDS).await?.result.unwrap_or_default();
        Ok(result.rows.first().is_some_and(|row| row.values == b"0"))
    }

    async fn fetch(
        &self,
        tablet: &TabletAlias,
        query: &str,
    ) -> Result<data::ExecuteFetchAsDbaResponse, Error> {
        let request = data::ExecuteFetchAsDbaRequest {
            tablet_alias: Some(wire_alias(tablet)),
            query: query.to_owned(),
            max_rows: 1,
            disable_binlogs: true,
        };
        self.call(request).await
    }
}

fn promoted(to: &TabletAlias, became: Option<topodata::TabletAlias>) -> Result<(), Error> {
    match became.and_then(alias) {
        Some(became) if became != *to => {
            let message = format!("{became} became the primary, and not {to}");
            Err(Error::refused("AnotherPromoted", message))
        }
        Some(_) | None => Ok(()),
    }
}
