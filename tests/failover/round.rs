//! One round: all is well, something is lost, somebody writes again, all is well.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt as _;
use kube::api::Api;
use pilothouse::clock::Clock;
use pilothouse_api::names;
use pilothouse_core::view::Role;
use pilothouse_tests::cluster::whole::{holds, until};
use pilothouse_tests::crossing::called::{ASKED_FOR, called};
use pilothouse_tests::crossing::machines::zone;
use pilothouse_tests::crossing::primary::{Primary, alias, serving};
use pilothouse_tests::crossing::scene::{NAMESPACE, Scene};
use pilothouse_tests::crossing::sql::Sql;
use pilothouse_tests::crossing::writer::Writer;
use pilothouse_vitess::{Answer, Source};

use crate::decider::{Decider, takes_over};
use crate::faults::Fault;
use crate::table::{Measured, render};
use crate::{gone, grown, planned, rebuilt};

const WITHIN: Duration = Duration::from_secs(180);
/// Neither the policy nor the guard replaces a primary that was named less long ago; VTOrc is given the same.
const SETTLED_AFTER_MS: u64 = 21_000;
pub(crate) const TABLE: &str = "wakes";
/// What the client that writes says is heard again so soon.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// MySQL counts whole seconds, and where a receiver connected at the turn of one it shows a second that is not there.
const CAUGHT_UP_MS: u64 = 2_000;

/// Rounds of each kind where a command asks for so many, else those that say that it is right.
fn planned(rounds: Option<usize>) -> Vec<(Decider, Vec<Fault>)> {
    let times =
        |faults: &[Fault], n: usize| -> Vec<Fault> { (0..n).flat_map(|_| faults.iter().copied()).collect() };
    let (of_zones, killed): (Vec<Fault>, Vec<Fault>) =
        Fault::ALL.into_iter().partition(|fault| fault.is_of_zone());
    match rounds {
        None => vec![
            (
                Decider::Host,
                vec![
                    Fault::MysqldKilled,
                    Fault::VttabletKilled,
                    Fault::BothKilled,
                    Fault::ZoneKilled,
                    Fault::ControlPlaneCut,
                    Fault::ZoneFlaps,
                ],
            ),
            (Decider::Vtorc, vec![Fault::BothKilled]),
        ],
        Some(n) => {
            let few = n.div_ceil(25);
            let all = |decider| {
                (decider, [times(&killed, n.div_ceil(killed.len())), times(&of_zones, few)].concat())
            };
            let as_rendered = times(&killed, n.div_ceil(10));
            vec![all(Decider::Host), all(Decider::Vtorc), (Decider::VtorcAsRendered, as_rendered)]
        }
    }
}

/// All rounds; prints the table.
pub(crate) async fn all(scene: &mut Scene, rounds: Option<usize>) -> anyhow::Result<()> {
    let gateway = format!("{}.{NAMESPACE}.svc", names::cluster_gateway_service("ferry"));
    let mut sql = Sql::start(&scene.images, &gateway, "commerce")?;
    until(WITHIN, "the gateway takes a table", async || {
        let made = sql.ask(&format!("CREATE TABLE IF NOT EXISTS {TABLE} (id BIGINT PRIMARY KEY)")).await;
        Ok(made.ok().map(|_| ()))
    })
    .await?;
    let mut measured = Vec::new();
    let writer = Writer::start(&scene.images, &gateway, "commerce", TABLE, 900_000_000);
    planned::in_turns(scene, &mut sql, &writer, rounds.unwrap_or(1).div_ceil(10)).await.context("planned")?;
    drop(writer);
    for (decider, faults) in planned(rounds) {
        takes_over(scene, decider).await?;
        for fault in faults {
            let first = u64::try_from(measured.len())? * 1_000_000;
            let writer = Writer::start(&scene.images, &gateway, "commerce", TABLE, first);
            let round = Round { decider, fault, first };
            let one = round.run(scene, &mut sql, &writer).await.context(fault.name())?;
            scene.say(&format!("{}: {}: {} ms", decider.name(), fault.name(), one.write_ms));
            judge(&one, scene.durability())?;
            measured.push(one);
        }
        if decider == Decider::Host {
            rebuilt::by_the_host(scene, &mut sql, &gateway).await.context("made anew")?;
        }
    }
    println!("durability policy {}\n\n{}", scene.durability(), render(&measured));
    grown::by_their_own_word(scene).await.context("volumes")?;
    let first = u64::try_from(measured.len())? * 1_000_000;
    let writer = Writer::start(&scene.images, &gateway, "commerce", TABLE, first);
    gone::for_good(scene, &mut sql, &writer).await.context("host killed for good")?;
    Ok(())
}

/// What must be so, however long it took.
fn judge(one: &Measured, durability: &str) -> anyhow::Result<()> {
    let Measured { decider, fault, replaced, lost, .. } = one;
    ensure!(durability == "none" || *lost == 0, "{lost} acknowledged rows are lost under {durability}");
    if *decider == Decider::Host {
        ensure!(*replaced == fault.loses(), "{}: replaced: {replaced}", fault.name());
    }
    Ok(())
}

struct Round {
    decider: Decider,
    fault: Fault,
    /// The first key of the rows that are written meanwhile.
    first: u64,
}

impl Round {
    async fn run(&self, scene: &mut Scene, sql: &mut Sql, writer: &Writer) -> anyhow::Result<Measured> {
        let Self { decider, fault, .. } = *self;
        if fault.is_of_zone() {
            moved_out_of_the_first_zone(scene, sql).await?;
        }
        let primary = settled(scene, sql).await?;
        written_since(writer, Clock::system().now()).await?;
        let at = fault.strikes(scene, &primary.pod, &primary.zone).await?;
        let first_write = written_since(writer, at).await?;
        let now = serving(scene, sql).await?;
        fault.is_over(scene, &primary.pod, &primary.zone).await?;
        let failed = writer.rows().iter().filter(|row| row.acknowledged.is_none()).count();
        well(scene, &primary.pod).await?;
        let lost = self.lost(sql, writer).await?;
        let (write_ms, replaced) = (first_write - at, now.pod != primary.pod);
        Ok(Measured { decider, fault, write_ms, replaced, lost, failed })
    }

    /// How many acknowledged rows are not there.
    async fn lost(&self, sql: &mut Sql, writer: &Writer) -> anyhow::Result<usize> {
        let acknowledged: BTreeSet<u64> =
            writer.rows().iter().filter(|row| row.acknowledged.is_some()).map(|row| row.id).collect();
        let there = sql.ask(&format!("SELECT id FROM {TABLE} WHERE id >= {}", self.first)).await?;
        let there: Result<BTreeSet<u64>, _> = there.iter().map(|row| row[0].parse()).collect();
        Ok(acknowledged.difference(&there?).count())
    }
}

/// When the first row was acknowledged that was begun after that time.
pub(crate) async fn written_since(writer: &Writer, at: u64) -> anyhow::Result<u64> {
    let looked = async {
        loop {
            let rows = writer.rows();
            let since = rows.iter().filter(|row| row.begun > at).filter_map(|row| row.acknowledged).min();
            match since {
                Some(acknowledged) => return acknowledged,
                None => tokio::time::sleep(LOOK_AGAIN).await,
            }
        }
    };
    tokio::time::timeout(WITHIN, looked).await.context("nobody can write")
}

/// The zone that is lost must not be that of the only gateway.
async fn moved_out_of_the_first_zone(scene: &Scene, sql: &mut Sql) -> anyhow::Result<()> {
    let before = serving(scene, sql).await?;
    if before.zone != "zone-a" {
        return Ok(());
    }
    let pods = scene.pods("vttablet").await?;
    let to = pods.iter().find(|pod| zone(pod) != "zone-a").context("a tablet elsewhere")?;
    // One that was made anew may have more to apply than vtctld waits for.
    let there = alias(to);
    let moves = ["PlannedReparentShard", "commerce/-", "--new-primary", &there];
    until(WITHIN, "the primary moves", async || Ok(scene.vtctldclient(&moves).await.ok().map(drop))).await?;
    // One that was lost a moment ago is called a primary for longer, with its old time.
    until(WITHIN, "the gateway knows", async || {
        let now = serving(scene, sql).await.ok();
        Ok(now.filter(|p| p.pod == to.name_any() && p.since > before.since).map(drop))
    })
    .await
}

/// Waits until the primary has been it for long enough.
pub(crate) async fn settled(scene: &Scene, sql: &mut Sql) -> anyhow::Result<Primary> {
    until(WITHIN, "the primary has been it for long enough", async || {
        let primary = serving(scene, sql).await.ok();
        Ok(primary.filter(|p| Clock::system().now() > p.since + SETTLED_AFTER_MS))
    })
    .await
}

/// Waits until all tablets replicate again. One that holds what the others never had (an errant GTID: the last of a
/// lost primary) never would: the host makes it anew from the backup.
pub(crate) async fn well(scene: &Scene, lost: &str) -> anyhow::Result<()> {
    let before = claim(scene, lost).await?;
    until(WITHIN, "all tablets replicate", async || replicate(scene).await).await?;
    if claim(scene, lost).await? != before {
        scene.say(&format!("{lost} was made anew"));
    }
    Ok(())
}

/// The claim of a tablet's Pod, by its UID.
pub(crate) async fn claim(scene: &Scene, pod: &str) -> anyhow::Result<Option<String>> {
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(scene.machines.client().clone(), NAMESPACE);
    Ok(claims.get_opt(pod).await?.and_then(|claim| claim.uid()))
}

/// Whether it has nearly all that its source has: an emergency reparent waits until every replica has applied what it
/// received.
fn follows(source: &Source) -> bool {
    source.connected && source.applying && source.lag_ms < CAUGHT_UP_MS
}

/// Whether all three are Ready, and two of them follow the third.
async fn replicate(scene: &Scene) -> anyhow::Result<Option<()>> {
    let pods = scene.pods("vttablet").await?;
    let mut follow = 0;
    for pod in pods.iter().filter(|pod| holds(pod, "Ready")) {
        match called(pod)?.probe(ASKED_FOR).await {
            Answer::Whole(status) if status.role == Role::Primary => {}
            Answer::Whole(status) if status.source.as_ref().is_some_and(follows) => follow += 1,
            _ => return Ok(None),
        }
    }
    Ok((pods.len() == 3 && follow == 2).then_some(()))
}

/// Whether each tablet tells that so many millionths of its volume, or more, are in use.
pub(crate) async fn each_uses(scene: &Scene, least: u32) -> anyhow::Result<bool> {
    for pod in scene.pods("vttablet").await? {
        let used = called(&pod)?.disk_used(ASKED_FOR).await?;
        if used.context("no word of its volume")? < least {
            return Ok(false);
        }
    }
    Ok(true)
}
