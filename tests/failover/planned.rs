//! Planned reparents: by the host's own client, and by vtctldclient, in turns.

use std::time::Duration;

use anyhow::Context as _;
use kube::ResourceExt as _;
use pilothouse::clock::Clock;
use pilothouse_core::topology::ShardId;
use pilothouse_tests::cluster::whole::until;
use pilothouse_tests::crossing::primary::{alias, count_serving, serving};
use pilothouse_tests::crossing::scene::Scene;
use pilothouse_tests::crossing::sql::Sql;
use pilothouse_tests::crossing::writer::Writer;
use pilothouse_vitess::{Dialer, Vtctld, Within};

use crate::round::{settled, well, written_since};

const WITHIN: Duration = Duration::from_secs(30);
const FOUND_WITHIN: Duration = Duration::from_secs(120);

/// So many of each; prints how long they took and what became of rows meanwhile.
pub(crate) async fn in_turns(
    scene: &Scene,
    sql: &mut Sql,
    writer: &Writer,
    pairs: usize,
) -> anyhow::Result<()> {
    let dialer = Dialer { connect: WITHIN, tls: None };
    let within = Within { call: WITHIN, reparent: WITHIN, replicas: WITHIN / 2 };
    let vtctld = Vtctld::new(dialer.link(&scene.vtctld())?, within);
    let shard: ShardId = "commerce/-".parse().context("a shard")?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    written_since(writer, Clock::system().now()).await?;
    for n in 0..2 * pairs {
        // A gateway holds no rows back where one reparent comes soon after another.
        let primary = settled(scene, sql).await?;
        // Nor does it where it has yet to find the next primary.
        until(FOUND_WITHIN, "the gateway knows all tablets", async || {
            Ok((count_serving(sql).await? == 3).then_some(()))
        })
        .await?;
        let pods = scene.pods("vttablet").await?;
        let from = pods.iter().find(|pod| pod.name_any() == primary.pod).context("the primary")?;
        let to = pods.iter().find(|pod| pod.name_any() != primary.pod).context("another")?;
        let (from, to) = (alias(from), alias(to));
        let begun = tokio::time::Instant::now();
        if n % 2 == 0 {
            vtctld.planned_reparent(&shard, &from.parse()?, &to.parse()?).await?;
            ours.push(begun.elapsed());
        } else {
            scene.vtctldclient(&["PlannedReparentShard", "commerce/-", "--new-primary", &to]).await?;
            theirs.push(begun.elapsed());
        }
        until(WITHIN, "the gateway knows", async || {
            let now = serving(scene, sql).await.ok();
            Ok(now.filter(|now| now.pod != primary.pod).map(drop))
        })
        .await?;
        well(scene, &primary.pod).await?;
    }
    let failed = writer.rows().iter().filter(|row| row.acknowledged.is_none()).count();
    println!(
        "planned reparents, {pairs} of each in turns: {:.3} s by the host's client, {:.3} s by vtctldclient \
         (medians); {failed} of {} rows failed meanwhile",
        median(&mut ours).as_secs_f64(),
        median(&mut theirs).as_secs_f64(),
        writer.rows().len(),
    );
    Ok(())
}

fn median(all: &mut [Duration]) -> Duration {
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or_default()
}
