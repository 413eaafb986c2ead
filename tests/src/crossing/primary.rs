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

/// The tablet that the gateway holds for the primary.
///
/// # Errors
/// When the gateway does not answer, or has none.
pub async fn serving(scene: &Scene, sql: &mut Sql) -> anyhow::Result<Primary> {
    let tablets = sql.ask("SHOW VITESS_TABLETS").await?;
    // Cell, keyspace, shard, type, state, alias, hostname, and since when it is the primary: one that is lost may be
    // called so, too.
    let primaries = tablets.into_iter().filter(|tablet| tablet[3] == "PRIMARY" && tablet[4] == "SERVING");
    let latest = primaries.max_by(|a, b| a[7].cmp(&b[7])).context("there is no primary")?;
    let pods = scene.pods("vttablet").await?;
    let pod = pods.iter().find(|pod| alias(pod) == latest[5]).with_context(|| latest[5].clone())?;
    let since: Timestamp = latest[7].parse()?;
    Ok(Primary { pod: pod.name_any(), zone: zone(pod), since: u64::try_from(since.as_millisecond())? })
}

/// How many tablets the gateway holds for ones that serve. It tries those again that it could not reach, while they
/// came up say, after up to a minute.
///
/// # Errors
/// When it does not answer.
pub async fn serve(sql: &mut Sql) -> anyhow::Result<usize> {
    Ok(sql.ask("SHOW VITESS_TABLETS").await?.iter().filter(|tablet| tablet[4] == "SERVING").count())
}

/// The alias of a tablet's Pod.
#[must_use]
pub fn alias(pod: &Pod) -> String {
    format!("zone1-{}", pod.labels()["planetscale.com/tablet-uid"])
}
