//! Simulated days: virtual hours of one three-zone cluster for a minute of processor time.

use std::sync::Arc;
use std::time::Duration;

use pilothouse::controller::Controller;
use pilothouse::simulate::{self, Mix, Plan};

use crate::cpu::spent;
use crate::product::Loaded;

const HOURS: u64 = 24;
const SEEDS: u64 = 3;
const ROUNDS: u32 = 5;

pub(crate) fn print(loaded: &Loaded) {
    println!();
    for (name, mix, bound) in [
        ("nothing happening", Mix::calm(), "(bound: at least 10000)"),
        ("the default faults", Mix::default(), ""),
    ] {
        let least = (0..ROUNDS).map(|_| round(loaded, &mix)).min().unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let rate = (SEEDS * HOURS) as f64 * 60.0 / least.as_secs_f64();
        println!("simulate, {name}: {rate:.0} cluster-hours a CPU-minute {bound}");
    }
}

/// Processor time of a day of each seed.
fn round(loaded: &Loaded, mix: &Mix) -> Duration {
    let begun = spent();
    for seed in 1..=SEEDS {
        let manifest = simulate::manifest().expect("the manifest");
        let plan = Plan { seed, hours: HOURS, mix: mix.clone(), manifest, edits: Vec::new(), traced: false };
        let settings = simulate::settings();
        let verdict =
            simulate::seed(&plan, Arc::clone(&loaded.set), &settings, Controller::new).expect("a day");
        assert!(verdict.violations.is_empty(), "seed {seed}: {:?}", verdict.violations);
    }
    spent() - begun
}
