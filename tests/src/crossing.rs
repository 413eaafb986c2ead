//! Real Vitess from the Pods that are rendered, on machines in three zones, with the product's own process over it.
//!
//! Owns what tests of it share: the machines, the cluster, clients of its gateway. Must not know what any test
//! expects.

pub mod called;
pub mod machines;
pub mod primary;
pub mod scene;
pub mod sql;
pub mod writer;

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::cluster;
use crate::processes::apart;
use crate::processes::images::Images;

/// Runs a test of that name apart, one at a time: they share two cores in CI.
///
/// # Panics
/// When the body fails.
pub fn run(test: &str, body: impl AsyncFn(&Path, Images) -> anyhow::Result<()>) {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let prepare = || Ok(cluster::binary()?.zip(Images::built()?));
    let ran = apart::run(test, prepare, |(binary, images)| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(body(&binary, images))
    });
    if let Err(wrong) = ran {
        panic!("{wrong:#}");
    }
}
