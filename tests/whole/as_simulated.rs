//! The simulator's scenarios on the real control plane: the same scripts, by the wall clock.
//!
//! A wait looks until it is so. What only lets time pass (`rest`) is skipped. A node is lost by its power, and
//! the rest follows as Kubernetes has it. At the end the namespace must read as it does at rest in the
//! simulator (`NAME.txt`, but for who leads a shard and what was done on the way), and a host that is
//! killed and started anew must write nothing.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use pilothouse::settings::Settings;
use pilothouse_tests::cluster::whole::{ever_each, until};
use pilothouse_tests::{cluster, repository, seen};
use serde_json::json;
use tokio::time::Instant;

use crate::scene::{LONGEST, QUIET, Scene};
use crate::script::{self, Script};

const BREAKS: &str =
    "nobody can break there what the played world breaks: ways, files, appliers, locks, and who writes";
const MOMENT: &str = "it turns back within a drain, which lasts a moment there";

/// Those that are not run here, with the reason.
const NOT_HERE: &[(&str, &str)] = &[
    ("backups_scheduled", "its runs are due by the hour"),
    ("backups_overlap", "its runs are due by the hour"),
    ("disk_fills", "a disk fills in hours, and the provider grows it again after six"),
    ("disk_cannot_grow", "it changes the class of all claims of the control plane"),
    ("disk_grows_offline", "volumes there grow while they are mounted"),
    ("backup_verified", "the second backup is due after eight hours"),
    ("autoscaled_gateways", "nobody acts as the autoscaler there; the real one does, at once"),
    ("drain_taken_back", MOMENT),
    ("rollout_taken_back", MOMENT),
    ("vitess_unknown", "it tells what is refused in its rests, and they are skipped here"),
    ("partition_of_43_s", BREAKS),
    ("isolated_primary", BREAKS),
    ("isolated_primary_alone", BREAKS),
    ("loss_is_told", BREAKS),
    ("failover_beside_the_sick", BREAKS),
    ("drained_under_load", BREAKS),
    ("relay_log_purged", BREAKS),
    ("errant_is_passed_over", BREAKS),
    ("errant_is_rebuilt", "the backup that it waits for is due after eight hours"),
    ("stray_write_is_kept", BREAKS),
    ("lock_held_elsewhere", BREAKS),
    ("demotion_hangs", BREAKS),
    ("primary_pending", BREAKS),
    ("bad_spec_then_good", BREAKS),
    ("cordoned_primary", BREAKS),
    ("rollout_beside_1236", BREAKS),
    ("all_disks_full", BREAKS),
];

/// A zone that was suspected again and again is healthy again so soon: each time it takes twice as long, and a zone of
/// one tablet is suspected whenever that is rolled, if anybody looks just then.
const LONGEST_RECOVERY_MS: u64 = 60_000;
/// Those whose settings are hurried, since they wait for a quarter of an hour until a zone counts as back.
const HURRIED: [&str; 2] = ["surge_adopted", "zone_lost_and_back"];

/// Names of scripts, with commas: only they are run.
const ONLY: &str = "PILOTHOUSE_SCENARIOS";
/// All that stands is listed so often, of every kind: what the server does for it, it does not do for the host.
const BETWEEN_LISTS: Duration = Duration::from_secs(1);
/// So many control planes at once: mostly they wait.
const AT_ONCE: usize = 7;

/// The script's settings, hurried.
fn settings(name: &str, script: &Script) -> anyhow::Result<Settings> {
    let mut settings = serde_json::to_value(&script.settings)?;
    settings["zones"]["longestRecoveryMs"] = json!(LONGEST_RECOVERY_MS);
    if HURRIED.contains(&name) {
        settings["zones"]["recoveredAfterMs"] = json!(15_000);
        settings["policies"]["placement"]["config"]["returnAfterMs"] = json!(60_000);
    }
    Ok(serde_json::from_value(settings)?)
}

/// Reads as the simulator's does at rest, and stays so for a host that knows nothing of it.
async fn rest(scene: &mut Scene, expected: &str, refusals_stay: bool) -> anyhow::Result<()> {
    let mut state = String::new();
    let settled = ever_each(BETWEEN_LISTS, LONGEST, async || {
        state = without_moments(&seen::state(&scene.snapshot().await?, &scene.namespace));
        Ok((state == expected).then_some(()))
    });
    let settled = settled.await?;
    ensure!(settled.is_some(), "at the end stands:\n{state}\nand not:\n{expected}");
    until(LONGEST, "rest", async || {
        let before = scene.versions().await?;
        tokio::time::sleep(QUIET).await;
        Ok((scene.versions().await? == before).then_some(()))
    })
    .await?;
    scene.host.kill_and_restart(&scene.whole.cluster).await?;
    let telemetry = scene.host.telemetry.clone();
    until(LONGEST, "a pass of the new host", async || {
        Ok(telemetry.answer("/metrics").1.contains("pilothouse_passes_total{result=\"ran\"}").then_some(()))
    })
    .await?;
    let before = scene.versions().await?;
    tokio::time::sleep(QUIET).await;
    let after = scene.versions().await?;
    let written: Vec<&String> =
        after.iter().filter(|(k, v)| before.get(*k) != Some(v)).map(|(k, _)| k).collect();
    ensure!(before.len() == after.len() && written.is_empty(), "written at rest: {written:?}");
    let (executed, refused) = telemetry.judged();
    ensure!(executed == 0 && (refused > 0) == refusals_stay, "at rest: {executed} done, {refused} refused");
    let broken = scene.databases.broken();
    ensure!(broken.is_empty(), "{broken:#?}");
    Ok(())
}

/// What is told of a state but who leads a shard and since when, which is a matter of moments.
fn without_moments(told: &str) -> String {
    let line = |line: &str| match line.split_once(": ") {
        Some((shard, who)) if shard.starts_with("primary of ") && who != "none known" => {
            format!("{shard}: one\n")
        }
        Some((shard, surge)) if shard.starts_with("surge of ") => {
            let fields = surge.split(',').filter(|field| !field.starts_with("\"since\":"));
            format!("{shard}: {}\n", fields.collect::<Vec<_>>().join(","))
        }
        _ => format!("{line}\n"),
    };
    told.lines().map(line).collect()
}

/// How the simulator's outcome ends, without what was done on the way.
fn at_rest(outcome: &str) -> anyhow::Result<String> {
    let (_, end) = outcome.rsplit_once("== at rest\n").context("the outcome has no end")?;
    let on_the_way =
        |line: &&str| ["events: ", "executed: ", "refused: "].iter().any(|w| line.starts_with(w));
    let state: Vec<&str> = end.lines().filter(|line| !on_the_way(line)).collect();
    Ok(without_moments(&state.join("\n")))
}

async fn run(binary: &Path, name: &str) -> anyhow::Result<()> {
    let file = |extension| repository(&format!("tests/scenarios/{name}.{extension}"));
    let script = script::read(&std::fs::read_to_string(file("yaml"))?)?;
    if let Some(missing) = script.inputs().find(|input| !repository(input).exists()) {
        println!("not run here: {name} needs {missing}");
        return Ok(());
    }
    let expected = at_rest(&std::fs::read_to_string(file("txt"))?)?;
    let began = Instant::now();
    let mut scene = Scene::start(binary, settings(name, &script)?, &script).await?;
    for step in &script.steps {
        scene.carry_out(step).await.with_context(|| step.to_string())?;
    }
    rest(&mut scene, &expected, script.refusals_stay.is_some()).await?;
    println!("{name}: {} ({} s)", script.about.trim(), began.elapsed().as_secs());
    Ok(())
}

#[test]
fn the_simulators_scenarios_run_on_it() {
    let Some(binary) = cluster::binary().unwrap() else { return };
    let here = repository("tests/scenarios");
    let files = std::fs::read_dir(here).unwrap().filter_map(|f| f.unwrap().file_name().into_string().ok());
    let all: Vec<String> = files.filter_map(|f| f.strip_suffix(".yaml").map(str::to_owned)).collect();
    for (name, reason) in NOT_HERE {
        assert!(all.iter().any(|n| n == name), "there is no script {name}");
        println!("not run here: {name}: {reason}");
    }
    let only = std::env::var(ONLY).ok();
    let is_here = |name: &String| {
        NOT_HERE.iter().all(|(not, _)| not != name)
            && only.as_ref().is_none_or(|only| only.split(',').any(|n| n == name))
    };
    let mut left: VecDeque<String> = all.into_iter().filter(is_here).collect();
    left.make_contiguous().sort_by_key(|name| (!HURRIED.contains(&name.as_str()), name.clone()));
    let (left, failed) = (Mutex::new(left), Mutex::new(Vec::new()));
    let next = || left.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(name) = next() {
                    let runtime = tokio::runtime::Builder::new_multi_thread()
                        .worker_threads(1)
                        .enable_all()
                        .build()
                        .unwrap();
                    if let Err(error) = runtime.block_on(run(&binary, &name)) {
                        println!("{name} failed: {error:#}");
                        failed.lock().unwrap_or_else(PoisonError::into_inner).push(name);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(failed.is_empty(), "failed: {failed:?}");
}
