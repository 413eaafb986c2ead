//! What happens to the cluster, and what must be so after each step.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};
use pilothouse_api::{VitessBackup, names};
use pilothouse_tests::cluster::whole::{holds, until};
use pilothouse_tests::crossing::called::{ASKED_FOR, called};
use pilothouse_tests::crossing::machines::zone;
use pilothouse_tests::crossing::primary::{Primary, alias, serving};
use pilothouse_tests::crossing::scene::{NAMESPACE, Scene};
use pilothouse_tests::crossing::sql::Sql;
use pilothouse_vitess::{Answer, Health};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const UP_WITHIN: Duration = Duration::from_secs(120);
const BACKED_UP_WITHIN: Duration = Duration::from_secs(120);
/// VTOrc may be busy with the one that is dead: seconds as a rule, half a minute at times.
const FAILED_OVER_WITHIN: Duration = Duration::from_secs(90);

/// All of them, one after the other.
pub(crate) async fn all(scene: &mut Scene) -> anyhow::Result<()> {
    comes_up(scene).await?;
    let gateway = format!("{}.{NAMESPACE}.svc", names::cluster_gateway_service("ferry"));
    let mut sql = Sql::start(&scene.images, &gateway, "commerce")?;
    exporters_reach_mysqld(scene).await?;
    rows_are_written(scene, &mut sql).await?;
    a_primary_is_killed(scene, &mut sql).await?;
    a_zone_is_lost_and_comes_back(scene, &mut sql).await
}

async fn comes_up(scene: &Scene) -> anyhow::Result<()> {
    scene.ready("etcd", 3, UP_WITHIN).await?;
    scene.ready("vtctld", 1, UP_WITHIN).await?;
    registered(scene).await?;
    until(BACKED_UP_WITHIN, "the first backup is taken", async || {
        // The Pod that took it goes as soon as that is written down.
        let backups: Api<VitessBackup> = Api::namespaced(scene.machines.client().clone(), NAMESPACE);
        let backups = backups.list(&ListParams::default()).await?;
        Ok(backups.iter().any(VitessBackup::is_complete).then_some(()))
    })
    .await?;
    scene.say("the first backup is taken");
    scene.ready("vtorc", 1, UP_WITHIN).await?;
    scene.ready("vttablet", 3, UP_WITHIN).await?;
    scene.ready("vtgate", 1, UP_WITHIN).await
}

/// By the host, as the manifest asks.
async fn registered(scene: &Scene) -> anyhow::Result<()> {
    let durability = format!("\"durability_policy\": \"{}\"", scene.durability());
    until(UP_WITHIN, "the cell and the keyspace are registered", async || {
        let cells = scene.vtctldclient(&["GetCellInfoNames"]).await.unwrap_or_default();
        let keyspace = scene.vtctldclient(&["GetKeyspace", "commerce"]).await.unwrap_or_default();
        Ok((cells.trim() == "zone1" && keyspace.contains(&durability)).then_some(()))
    })
    .await?;
    scene.say("the host has registered the cell and the keyspace");
    Ok(())
}

/// Each tablet's mysqld is reached by the exporter beside it, as it is told to.
async fn exporters_reach_mysqld(scene: &Scene) -> anyhow::Result<()> {
    for pod in scene.pods("vttablet").await? {
        let address =
            pod.status.as_ref().and_then(|status| status.pod_ip.as_deref()).context("an address")?;
        let mut stream = TcpStream::connect((address, 9104)).await?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        ensure!(answer.ends_with("\nmysql_up 1\n"), "{}: {answer}", pod.name_any());
    }
    Ok(())
}

async fn rows_are_written(scene: &Scene, sql: &mut Sql) -> anyhow::Result<()> {
    until(UP_WITHIN, "the gateway takes a table", async || {
        let made = sql.ask("CREATE TABLE IF NOT EXISTS crossings (id BIGINT PRIMARY KEY, ship TEXT)").await;
        Ok(made.ok().map(|_| ()))
    })
    .await?;
    scene.say("SQL is answered through the gateway");
    sql.ask("INSERT INTO crossings VALUES (1, 'pilot')").await?;
    let rows = sql.ask("SELECT id, ship FROM crossings").await?;
    ensure!(rows == [["1", "pilot"]], "{rows:?}");
    scene.say("a row is written and read");
    Ok(())
}

/// Waits, under the durability policy `none`, until every tablet has all that the primary has: nobody promises what is
/// lost with it. Even a reparent's own record, lost, keeps the former primary from coming back (an errant GTID).
async fn safe(scene: &Scene) -> anyhow::Result<()> {
    if scene.durability() == "none" { replicated(scene).await } else { Ok(()) }
}

/// Waits until every tablet has all that the primary has.
async fn replicated(scene: &Scene) -> anyhow::Result<()> {
    until(UP_WITHIN, "all tablets have the same", async || {
        // The control daemon may be on its way back itself.
        let said = scene.vtctldclient(&["ShardReplicationPositions", "commerce/-"]).await.unwrap_or_default();
        let positions: Vec<&str> =
            said.split_whitespace().filter(|word| word.starts_with("MySQL56/")).collect();
        Ok((positions.len() == 3 && positions.iter().all(|p| *p == positions[0])).then_some(()))
    })
    .await?;
    scene.say("every tablet has all that the primary has");
    Ok(())
}

/// Waits until another one is the primary, and a row can be written.
async fn written_past(scene: &Scene, sql: &mut Sql, former: &str, id: u32) -> anyhow::Result<()> {
    // The gateway may have written what it answers for too late.
    until(FAILED_OVER_WITHIN, "a row can be written again", async || {
        Ok(sql.ask(&format!("INSERT IGNORE INTO crossings VALUES ({id}, 'pilot')")).await.ok())
    })
    .await?;
    scene.say("a row is written again");
    let now = serving(scene, sql).await?;
    ensure!(now.pod != former, "{former} is still the primary");
    let rows = sql.ask("SELECT id FROM crossings ORDER BY id").await?;
    let all: Vec<Vec<String>> = (1..=id).map(|id| vec![id.to_string()]).collect();
    ensure!(rows == all, "{rows:?}");
    scene.say("all rows are there");
    Ok(())
}

async fn a_primary_is_killed(scene: &Scene, sql: &mut Sql) -> anyhow::Result<()> {
    safe(scene).await?;
    let Primary { pod, zone, .. } = serving(scene, sql).await?;
    scene.say(&format!("the primary's processes are killed: {pod}"));
    scene.machines.machine(&zone)?.kill(&pod)?;
    written_past(scene, sql, &pod, 2).await?;
    scene.machines.machine(&zone)?.release(&pod)?;
    scene.ready("vttablet", 3, UP_WITHIN).await
}

/// Its vttablet says so by itself.
async fn is_made_primary(scene: &Scene, there: &Pod) -> anyhow::Result<()> {
    let (tablet, mut health) = (called(there)?, Health::default());
    // It is listened to over the connection that a call has made.
    let answer = tablet.probe(ASKED_FOR).await;
    ensure!(matches!(answer, Answer::Whole(_)), "{answer:?}");
    let alias = alias(there);
    // Another one, if it took over from the one that was killed: it would have nothing new to say.
    scene.vtctldclient(&["PlannedReparentShard", "commerce/-", "--avoid-primary", &alias]).await?;
    let asked = ["PlannedReparentShard", "commerce/-", "--new-primary", &alias];
    let (says_another, moved) = tokio::join!(
        tokio::time::timeout(UP_WITHIN, tablet.health_changed(&mut health)),
        scene.vtctldclient(&asked)
    );
    moved?;
    says_another.context("the new primary's vttablet says nothing of it")
}

/// The zone that has neither the only gateway nor the only VTOrc; the primary goes there first.
async fn a_zone_is_lost_and_comes_back(scene: &mut Scene, sql: &mut Sql) -> anyhow::Result<()> {
    let mut taken = Vec::new();
    for component in ["vtgate", "vtorc"] {
        taken.extend(scene.pods(component).await?.iter().map(zone));
    }
    let tablets = scene.pods("vttablet").await?;
    let there =
        tablets.iter().find(|pod| !taken.contains(&zone(pod))).context("each zone has one of them")?;
    let (name, lost) = (there.name_any(), zone(there));
    is_made_primary(scene, there).await?;
    safe(scene).await?;
    scene.say(&format!("the primary is {name}; all of {lost} loses its power"));
    scene.machines.power(&lost, false).await?;
    written_past(scene, sql, &name, 3).await?;
    until(UP_WITHIN, "the control plane misses it", async || {
        let tablets = scene.pods("vttablet").await?;
        Ok(tablets.iter().any(|pod| zone(pod) == lost && !holds(pod, "Ready")).then_some(()))
    })
    .await?;
    scene.say("the control plane misses it");
    scene.machines.power(&lost, true).await?;
    scene.ready("vttablet", 3, UP_WITHIN).await?;
    scene.ready("etcd", 3, UP_WITHIN).await?;
    replicated(scene).await?;
    let rows = sql.ask("SELECT COUNT(*) FROM crossings").await?;
    ensure!(rows == [["3"]], "{rows:?}");
    scene.say("the zone is back, and all rows are there");
    Ok(())
}
