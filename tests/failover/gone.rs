//! The host killed for good, together with the primary: who replaces it then, and when.

use std::time::Duration;

use anyhow::ensure;
use pilothouse_tests::cluster::whole::until;
use pilothouse_tests::crossing::scene::Scene;
use pilothouse_tests::crossing::sql::Sql;
use pilothouse_tests::crossing::writer::Writer;

use crate::decider::{self, Decider, takes_over};
use crate::faults::Fault;
use crate::round::{self, written_since};

const WITHIN: Duration = Duration::from_secs(60);
/// Longer than anybody who was to replace the primary would need.
const NOBODY_FOR: Duration = Duration::from_secs(30);

/// A second host takes the first one's place; where there is no other, VTOrc goes on standing by until there is. A
/// host that ends as it is asked to gives the deciding back.
pub(crate) async fn for_good(scene: &mut Scene, sql: &mut Sql, writer: &Writer) -> anyhow::Result<()> {
    takes_over(scene, Decider::Host).await?;
    let settings = decider::settings(scene);
    scene.start_host("second", &settings)?;
    leads(scene, "first").await?;
    let primary = round::settled(scene, sql).await?;
    scene.kill_host("first")?;
    let at = Fault::BothKilled.strikes(scene, &primary.pod, &primary.zone).await?;
    let written = written_since(writer, at).await?;
    leads(scene, "second").await?;
    scene.say(&format!(
        "host and primary killed: the second host replaced it, a row after {} ms",
        written - at
    ));
    Fault::BothKilled.is_over(scene, &primary.pod, &primary.zone).await?;
    round::well(scene, &primary.pod).await?;

    let primary = round::settled(scene, sql).await?;
    scene.kill_host("second")?;
    let at = Fault::BothKilled.strikes(scene, &primary.pod, &primary.zone).await?;
    let alone = tokio::time::timeout(NOBODY_FOR, written_since(writer, at)).await;
    ensure!(alone.is_err(), "there is no host, VTOrc is to stand by, and somebody replaced the primary");
    ensure!(scene.vtorc_stands_by().await?, "no host is left that could have said otherwise");
    scene.start_host("third", &settings)?;
    let written = written_since(writer, at).await?;
    scene.say(&format!(
        "no host was left: nobody replaced it for 30 s, and the next host did, after {} ms",
        written - at
    ));
    Fault::BothKilled.is_over(scene, &primary.pod, &primary.zone).await?;
    round::well(scene, &primary.pod).await?;

    ensure!(scene.vtorc_stands_by().await?, "the host that replaced it decides on");
    scene.stop_host("third").await?;
    ensure!(!scene.vtorc_stands_by().await?, "the last host was asked to end, and VTOrc was not told");
    scene.say("the last host was asked to end: VTOrc decides");
    Ok(())
}

async fn leads(scene: &Scene, name: &str) -> anyhow::Result<()> {
    until(WITHIN, "that host leads", async || {
        Ok((scene.leader().await?.as_deref() == Some(name)).then_some(()))
    })
    .await
}
