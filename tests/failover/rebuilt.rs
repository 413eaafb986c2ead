//! A primary that is lost with what it alone has: the host makes its tablet anew, and it has what all others have.

use std::time::Duration;

use anyhow::{bail, ensure};
use k8s_openapi::api::core::v1::Event;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};
use pilothouse_tests::cluster::whole::until;
use pilothouse_tests::crossing::primary::{alias, serving};
use pilothouse_tests::crossing::scene::{NAMESPACE, Scene};
use pilothouse_tests::crossing::sql::Sql;
use tokio::time::{Instant, timeout};

use crate::faults::Fault;
use crate::round::{TABLE, claim, settled, well};

const WITHIN: Duration = Duration::from_secs(180);
/// VTOrc, which repairs replication, may be faster than what is written meanwhile.
const TRIES: u64 = 3;
/// Who waits for a replica's acknowledgement waits in vain.
const WRITTEN_WITHIN: Duration = Duration::from_millis(500);
/// Keys that nobody else writes.
const FIRST: u64 = 700_000_000;

/// Under the durability policy `none` the client was told of what is lost, which is accepted here; under `semi_sync`
/// it never is.
pub(crate) async fn by_the_host(scene: &mut Scene, sql: &mut Sql, gateway: &str) -> anyhow::Result<()> {
    for n in 0..TRIES {
        if is_rebuilt(scene, sql, gateway, FIRST + 10 * n).await? {
            return Ok(());
        }
    }
    bail!("what the primary alone had was on another each time")
}

/// Answers whether it had anything alone.
async fn is_rebuilt(scene: &mut Scene, sql: &mut Sql, gateway: &str, key: u64) -> anyhow::Result<bool> {
    let primary = settled(scene, sql).await?;
    same(scene).await?;
    let before = rows(sql).await?;
    let volume = claim(scene, &primary.pod).await?;
    let rebuilds = begun(scene).await?;
    let pods = scene.pods("vttablet").await?;
    let replicas: Vec<String> = pods.iter().filter(|p| p.name_any() != primary.pod).map(alias).collect();
    // Whoever applies nothing, either, is no candidate for vtctld.
    let stop = if scene.images.has_semi_sync() { "STOP REPLICA IO_THREAD" } else { "STOP SLAVE IO_THREAD" };
    for replica in &replicas {
        scene.vtctldclient(&["ExecuteFetchAsDBA", replica, stop]).await?;
    }
    let mut alone = Sql::start(&scene.images, gateway, "commerce")?;
    let written = format!("INSERT INTO {TABLE} (id) VALUES ({key}), ({})", key + 1);
    let _ = timeout(WRITTEN_WITHIN, alone.ask(&written)).await;
    Fault::BothKilled.strikes(scene, &primary.pod, &primary.zone).await?;
    until(WITHIN, "a row can be written again", async || {
        let row = format!("INSERT IGNORE INTO {TABLE} (id) VALUES ({})", key + 2);
        Ok(sql.ask(&row).await.ok())
    })
    .await?;
    let lost = rows(sql).await? == before + 1;
    Fault::BothKilled.is_over(scene, &primary.pod, &primary.zone).await?;
    let back = Instant::now();
    well(scene, &primary.pod).await?;
    if !lost {
        return Ok(false);
    }
    ensure!(claim(scene, &primary.pod).await? != volume, "it has what the others never had, and replicates");
    let times = begun(scene).await? - rebuilds;
    ensure!(times == 1, "it was begun anew {times} times");
    scene.say(&format!("made anew by the host: replicates after {:.1} s", back.elapsed().as_secs_f64()));
    leads_with(scene, sql, &primary.pod, before + 1).await?;
    Ok(true)
}

/// How many rebuilds were begun so far, by the host's word.
async fn begun(scene: &Scene) -> anyhow::Result<usize> {
    let events: Api<Event> = Api::namespaced(scene.machines.client().clone(), NAMESPACE);
    let all = events.list(&ListParams::default().fields("reason=RebuildStarted")).await?;
    Ok(all.items.len())
}

/// The tablet that was made anew has all rows that others have: it leads, and they are counted.
async fn leads_with(scene: &Scene, sql: &mut Sql, pod: &str, all: u64) -> anyhow::Result<()> {
    let pods = scene.pods("vttablet").await?;
    let anew = pods.iter().find(|p| p.name_any() == pod).map(alias).unwrap_or_default();
    scene.vtctldclient(&["PlannedReparentShard", "commerce/-", "--new-primary", &anew]).await?;
    until(WITHIN, "the gateway knows", async || {
        Ok(serving(scene, sql).await.ok().filter(|now| now.pod == pod).map(drop))
    })
    .await?;
    let found = rows(sql).await?;
    ensure!(found == all, "{found} rows of {all} are on the tablet that was made anew");
    scene.say(&format!("it leads, and has all {all} rows"));
    Ok(())
}

/// Waits until all tablets have the same.
async fn same(scene: &Scene) -> anyhow::Result<()> {
    until(WITHIN, "all tablets have the same", async || {
        let said = scene.vtctldclient(&["ShardReplicationPositions", "commerce/-"]).await.unwrap_or_default();
        let positions: Vec<&str> = said.split_whitespace().filter(|w| w.starts_with("MySQL56/")).collect();
        Ok((positions.len() == 3 && positions.iter().all(|p| *p == positions[0])).then_some(()))
    })
    .await
}

async fn rows(sql: &mut Sql) -> anyhow::Result<u64> {
    let counted = sql.ask(&format!("SELECT COUNT(*) FROM {TABLE}")).await?;
    Ok(counted[0][0].parse()?)
}
