//! The table that the demo ends with.

use std::fmt::Write as _;
use std::time::Duration;

use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;

use super::{Shown, Step};
use crate::telemetry::Telemetry;

/// Every step, then what plugins, guard and API server were asked.
#[must_use]
pub fn render(steps: &[Step], telemetry: &Telemetry) -> String {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED).set_header([
        "step",
        "observed through the API",
        "virtual",
        "real",
    ]);
    for step in steps {
        let what = match &step.shown {
            Shown::Observed(what) => what.clone(),
            Shown::Missed(last) => format!("NOT OBSERVED: {last}"),
            Shown::NotApplicable(why) => format!("not applicable: {why}"),
        };
        let applies = !matches!(step.shown, Shown::NotApplicable(_));
        let virtually = if applies { human(Duration::from_millis(step.virtual_ms)) } else { String::new() };
        let really = if applies { format!("{:.2} s", step.real.as_secs_f64()) } else { String::new() };
        table.add_row([step.title.clone(), what, virtually, really]);
    }
    let mut out = format!("{table}\n");
    for ((slot, plugin), calls) in telemetry.calls() {
        let mut walls: Vec<Duration> = calls.iter().map(|c| c.wall).collect();
        walls.sort_unstable();
        let p50 = walls.get(walls.len() / 2).copied().unwrap_or_default();
        let fuel = calls.iter().map(|c| c.fuel).max().unwrap_or(0);
        let _ = writeln!(
            out,
            "{slot}: {plugin}, {} calls, p50 {} µs, fuel at most {fuel} a call",
            calls.len(),
            p50.as_micros()
        );
    }
    let (admitted, refused) = telemetry.judged();
    let _ = writeln!(
        out,
        "actions: {admitted} admitted, {refused} refused; API writes: {}",
        telemetry.metrics.api_writes.get()
    );
    out
}

/// Hours, minutes and seconds without leading zeros.
fn human(span: Duration) -> String {
    let seconds = span.as_secs();
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, 0, _) => format!("{:.1} s", span.as_secs_f64()),
        (0, minutes, rest) => format!("{minutes} min {rest} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}
