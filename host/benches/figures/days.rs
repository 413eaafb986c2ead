//! Simulated days: virtual hours of one three-zone cluster for a minute of processor time.

use std::sync::Arc;

use pilothouse::simulate::{self, Mix, Plan};

use crate::cpu::spent;
use crate::product::Loaded;

const HOURS: u64 = 24;
const SEEDS: u64 = 3;

pub(crate) fn print(loaded: &Loaded) {
    println!();
    for (name, mix, bound) in [
        ("nothing happening", Mix::calm(), "(bound: at least 10000)"),
        ("the default faults", Mix::default(), ""),
    ] {
        let begun = spent();
        for seed in 1..=SEEDS {
            let plan = Plan { seed, hours: HOURS, mix: mix.clone(), traced: false };
            let verdict =
                simulate::seed(&plan, Arc::clone(&loaded.set), &simulate::settings()).expect("a day");
            assert!(verdict.violations.is_empty(), "seed {seed}: {:?}", verdict.violations);
        }
        let minutes = (spent() - begun).as_secs_f64() / 60.0;
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let rate = (SEEDS * HOURS) as f64 / minutes;
        println!("simulate, {name}: {rate:.0} cluster-hours a CPU-minute {bound}");
    }
}
