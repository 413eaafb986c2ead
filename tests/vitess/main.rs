//! Real Vitess with real mysqld, from the Pods and flags that the host renders: it comes up, and keeps its rows
//! when a primary, a zone and its machine are lost.
//!
//! `ferry.yaml` asks for what vitess-operator's first example asks for. mysqld here has neither XtraBackup nor the
//! plugin for semi-sync, so two of its fields are overridden, and each run prints which. What is played says so:
//! [`pilothouse_tests::processes`].

mod scene;
mod sql;
mod steps;

use pilothouse_tests::cluster;
use pilothouse_tests::processes::apart;
use pilothouse_tests::processes::images::Images;

use crate::scene::Scene;

const TEST: &str = "real_vitess_comes_up_and_keeps_its_rows";

#[test]
fn real_vitess_comes_up_and_keeps_its_rows() {
    // Both are built before the clocks run.
    let (Some(binary), Some(images)) = (cluster::binary().unwrap(), Images::built().unwrap()) else { return };
    apart::run(TEST, || {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut scene = Scene::set(&binary, images).await?;
            let passed = steps::all(&mut scene).await;
            if passed.is_err() {
                scene.tell().await;
            }
            passed
        })
    })
    .unwrap();
}
