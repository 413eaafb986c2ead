//! `pilothouse simulate`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::{SettingsArgs, stopwatch};
use crate::controller::Controller;
use crate::simulate::{self, Fault, Mix, Plan};

/// Arguments of `simulate`.
#[derive(Debug, Args)]
pub(super) struct SimulateArgs {
    /// The first seed.
    #[arg(long)]
    seed: u64,
    /// How many seeds, counted up from the first.
    #[arg(long, default_value_t = 1)]
    count: u64,
    /// Virtual hours a seed; the last sixth of them, at least three where there are five, is without
    /// faults.
    #[arg(long, default_value_t = 24)]
    hours: u64,
    /// No faults at all.
    #[arg(long, conflicts_with = "only")]
    calm: bool,
    /// Only these faults, by their names: A1 to A9, H1, N1 to N4, D3, D5.
    #[arg(long, value_delimiter = ',', value_name = "FAULTS")]
    only: Vec<Fault>,
    /// Print every request, effect and fault with its virtual milliseconds.
    #[arg(long)]
    trace: bool,
    /// A settings file; without it the defaults, but a backup every six hours.
    #[command(flatten)]
    settings: SettingsArgs,
}

impl SimulateArgs {
    fn mix(&self) -> Mix {
        match self.only.as_slice() {
            _ if self.calm => Mix::calm(),
            [] => Mix::default(),
            only => Mix::only(only.iter().copied()),
        }
    }
}

pub(super) fn main(args: &SimulateArgs) -> anyhow::Result<ExitCode> {
    let settings =
        if args.settings.settings.is_some() { args.settings.load()? } else { simulate::settings() };
    let policies = Arc::new(settings.load_policies()?);
    let (mut failed, spent) = (0, cpu_time());
    let manifest = simulate::manifest()?;
    for seed in args.seed..args.seed.saturating_add(args.count) {
        let (hours, traced) = (args.hours, args.trace);
        let plan =
            Plan { seed, hours, mix: args.mix(), manifest: manifest.clone(), edits: Vec::new(), traced };
        let verdict = simulate::seed(&plan, Arc::clone(&policies), &settings, Controller::new)?;
        if args.trace {
            say!("{}", verdict.trace.trim_end())?;
        }
        say!("seed {seed}: {}", verdict.summary)?;
        for blamed in verdict.blamed() {
            say!("seed {seed}: VIOLATION {blamed}")?;
        }
        failed += u64::from(!verdict.violations.is_empty());
    }
    say!("{}", figures(args, failed, spent().as_secs_f64()))?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn figures(args: &SimulateArgs, failed: u64, seconds: f64) -> String {
    let hours = args.count * args.hours;
    let rate = hours as f64 / (seconds / 60.0);
    format!(
        "{} seeds passed, {failed} failed; {hours} cluster-hours in {seconds:.2} CPU-seconds: \
         {rate:.0} cluster-hours a CPU-minute",
        args.count - failed
    )
}

/// Processor time of this thread since the call; where the system does not tell, time on the wall.
fn cpu_time() -> impl Fn() -> Duration {
    let read = || {
        let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        told.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
    };
    let (begun, wall) = (read(), stopwatch());
    move || begun.zip(read()).map_or_else(&wall, |(begun, now)| now.saturating_sub(begun))
}
