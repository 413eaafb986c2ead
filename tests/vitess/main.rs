//! Real Vitess with real mysqld, from the Pods and flags that the host renders: it comes up, and keeps its rows
//! when a primary, a zone and its machine are lost.
//!
//! `ferry.yaml` asks for what vitess-operator's first example asks for. mysqld here has neither XtraBackup nor the
//! plugin for semi-sync, so two of its fields are overridden, and each run prints which. What is played says so:
//! [`pilothouse_tests::processes`].

mod pods;
mod steps;

use pilothouse::embedded;
use pilothouse_tests::crossing::run;
use pilothouse_tests::crossing::scene::Scene;
use pilothouse_tests::standing::handed_out;
use pilothouse_tests::{built, repository};

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
        let mut scene = Scene::set(binary, images, built!(), "vitess", &[]).await?;
        let settings = scene.settings();
        scene.start_host("first", &settings)?;
        let passed = steps::all(&mut scene).await;
        if passed.is_err() {
            scene.tell().await;
        }
        passed
    });
}
