//! Real Vitess with real mysqld, from the Pods and flags that the host renders: it comes up, and keeps its rows
//! when a primary, a zone and its machine are lost.
//!
//! `ferry.yaml` asks for what vitess-operator's first example asks for. mysqld here has neither XtraBackup nor the
//! plugin for semi-sync, so two of its fields are overridden, and each run prints which. What is played says so:
//! [`pilothouse_tests::processes`].

mod machines;
mod pods;
mod scene;
mod sql;
mod steps;

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use pilothouse::embedded;
use pilothouse_tests::processes::apart;
use pilothouse_tests::processes::images::Images;
use pilothouse_tests::standing::handed_out;
use pilothouse_tests::{cluster, repository};

use crate::scene::Scene;

/// Runs a test of that name apart, one at a time: they share two cores in CI.
fn run(test: &str, body: impl AsyncFn(&Path, Images) -> anyhow::Result<()>) {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let prepare = || Ok(cluster::binary()?.zip(Images::built()?));
    apart::run(test, prepare, |(binary, images)| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(body(&binary, images))
    })
    .unwrap();
}

#[test]
fn pods_run_as_they_ask() {
    run("pods_run_as_they_ask", async |binary, images| pods::all(binary, images).await);
}

/// Where the example is: it is no part of this repository.
#[test]
fn the_manifest_asks_for_what_the_example_asks_for() {
    let example = handed_out("inputs").join("101_initial_cluster.yaml");
    let Ok(example) = std::fs::read_to_string(example) else {
        println!("not run here: the example is not there");
        return;
    };
    let ours = std::fs::read_to_string(repository("tests/vitess/ferry.yaml")).unwrap();
    let ours =
        ours.replace("ferry-config", "example-cluster-config").replace("ferry-backups", "vitess-backups");
    let spec = |manifest: &str| {
        let cluster =
            embedded::documents(manifest).unwrap().into_iter().find(|d| d["kind"] == "VitessCluster");
        cluster.unwrap()["spec"].take()
    };
    assert_eq!(spec(&ours.replace(":v24.0.2-", ":v24.0.0-rc1-")), spec(&example));
}

#[test]
fn real_vitess_comes_up_and_keeps_its_rows() {
    run("real_vitess_comes_up_and_keeps_its_rows", async |binary, images| {
        let mut scene = Scene::set(binary, images).await?;
        let passed = steps::all(&mut scene).await;
        if passed.is_err() {
            scene.tell().await;
        }
        passed
    });
}
