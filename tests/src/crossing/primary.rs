//! Who the primary is, as the gateway has it.

use anyhow::Context as _;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;

use super::machines::zone;
use super::scene::Scene;
use super::sql::Sql;

/// A primary that serves.
pub struct Primary {
    /// Its Pod.
    pub pod: String,
    /// The zone of that.
    pub zone: String,
    /// Since when it is the primary, in Unix milliseconds.
    pub since: u64,
}

/// A tablet as the gateway tells of it.
struct Told {
    kind: String,
    state: String,
    alias: String,
    primary_since: String,
}

/// The tablet that the gateway holds for the primary.
///
/// # Errors
/// When the gateway does not answer, or has none.
pub async fn serving(scene: &Scene, sql: &mut Sql) -> anyhow::Result<Primary> {
    // One that is lost may be called so, too.
    let primaries = told(sql).await?.into_iter().filter(|tablet| tablet.kind == "PRIMARY");
    let latest =
        primaries.max_by(|a, b| a.primary_since.cmp(&b.primary_since)).context("there is no primary")?;
    let pods = scene.pods("vttablet").await?;
    let pod = pods.iter().find(|pod| alias(pod) == latest.alias).with_context(|| latest.alias.clone())?;
    let since: Timestamp = latest.primary_since.parse()?;
    Ok(Primary { pod: pod.name_any(), zone: zone(pod), since: u64::try_from(since.as_millisecond())? })
}

/// How many tablets the gateway holds for ones that serve. It tries those again that it could not reach, while they
/// came up say, after up to a minute.
///
/// # Errors
/// When it does not answer.
pub async fn count_serving(sql: &mut Sql) -> anyhow::Result<usize> {
    Ok(told(sql).await?.len())
}

/// Those that serve.
async fn told(sql: &mut Sql) -> anyhow::Result<Vec<Told>> {
    let rows = sql.ask("SHOW VITESS_TABLETS").await?.into_iter().map(|row| {
        let row: [String; 8] = row.try_into().map_err(|row| anyhow::anyhow!("not a tablet: {row:?}"))?;
        let [_cell, _keyspace, _shard, kind, state, alias, _hostname, primary_since] = row;
        Ok(Told { kind, state, alias, primary_since })
    });
    let tablets: Vec<Told> = rows.collect::<anyhow::Result<_>>()?;
    Ok(tablets.into_iter().filter(|tablet| tablet.state == "SERVING").collect())
}

/// The alias of a tablet's Pod.
#[must_use]
pub fn alias(pod: &Pod) -> String {
    format!("zone1-{}", pod.labels()["planetscale.com/tablet-uid"])
}
