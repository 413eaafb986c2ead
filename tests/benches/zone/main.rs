//! A zone's loss in a fleet of 100,000 clusters, cuts, flaps and a partition, in virtual time:
//! `cargo bench -p pilothouse-tests --bench zone`; `-- 1000` plays a fleet of 1000, and `-- apart lost whole` only those of
//! its parts `apart`, `faults`, `lost` and `whole`.
//!
//! Owns the tables of figures. They are of a seed and not of a machine.

use std::sync::Arc;

use pilothouse::settings::Settings;
use pilothouse_policy::set::PolicySet;
use pilothouse_tests::built;
use pilothouse_tests::fleet::{
    Fault, Limits, Run, Setting, Side, Timing, apart_percent, head, line, one_sided, partition, played, run,
    zone_lost,
};
use pilothouse_tests::stage::virtually;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CLUSTERS: usize = 100_000;
/// A tenth of the fleet, and runs of cuts and partitions.
const TENTH: usize = 10;
/// Clusters that go by the whole path: 200 take some six minutes of processor time.
const WHOLE: usize = 200;
const SEED: u64 = 1;
/// In a hundred clusters, those that have another tablet out of the host's reach for a while.
const HICCUPS: u64 = 2;
/// What opening and rendering costs before a pass, by `cargo bench -- passes`: 18 times a pass of 93 us.
const OPEN_US: u64 = 1_700;
/// The same for a guest, who renders nothing: 5 times.
const OPEN_GUEST_US: u64 = 450;

fn main() -> anyhow::Result<()> {
    let asked: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    // `cargo test --benches` asks for a list or a run of tests; there are none here.
    if asked.iter().any(|a| a == "--list" || a == "--test") {
        return Ok(());
    }
    let clusters = asked.iter().find_map(|a| a.parse().ok()).unwrap_or(CLUSTERS);
    let parts: Vec<&str> = asked.iter().map(String::as_str).filter(|a| a.parse::<usize>().is_err()).collect();
    let is_asked = |part: &str| parts.is_empty() || parts.contains(&part);
    let policies = built!().policies(&Settings::default())?;
    if is_asked("apart") {
        apart(clusters / TENTH, &policies);
    }
    if is_asked("faults") {
        faults(clusters / TENTH, &policies);
    }
    println!("{}", head());
    if is_asked("lost") {
        lost(clusters, &policies);
    }
    if is_asked("whole") {
        beside_the_whole_path(clusters.min(WHOLE), &policies)?;
    }
    Ok(())
}

/// The same clusters, spans and load, with the API server and without.
fn beside_the_whole_path(clusters: usize, policies: &Arc<PolicySet>) -> anyhow::Result<()> {
    let seam = Setting {
        primaries_in: 1,
        ..zone_lost(clusters, SEED, 0, Timing::played(), Limits::default(), policies)
    };
    let seam = run(&seam);
    println!("{}", line(&format!("{clusters} clusters as the simulator plays them, at the seam"), &seam));
    let whole = virtually(played(clusters, SEED, policies))?;
    println!("{}", line("the same by its API server and the whole controller", &whole));
    println!(
        "the two distributions are at most {} % of the clusters apart (Kolmogorov-Smirnov)",
        apart_percent(&seam.took, &whole.took)
    );
    Ok(())
}

fn lost(clusters: usize, policies: &Arc<PolicySet>) {
    let opening = Limits { open_us: OPEN_US, open_guest_us: OPEN_GUEST_US, ..Limits::default() };
    for (name, clusters, limits) in [
        ("as it is", clusters, Limits::default()),
        ("without guests", clusters, Limits { guests: false, ..Limits::default() }),
        ("objects opened, by one thread", clusters, opening),
        ("the same, a tenth of the fleet", clusters / TENTH, opening),
    ] {
        let run = run(&zone_lost(clusters, SEED, HICCUPS, Timing::real(), limits, policies));
        println!("{}", line(&format!("{clusters} clusters, {name}"), &run));
    }
}

fn faults(runs: usize, policies: &Arc<PolicySet>) {
    for fault in Fault::ALL {
        let Run {
            reparents, needless, twice, diverged, blind, stray, late, headless, stale, refused, ..
        } = run(&fault.runs(runs, SEED, policies));
        println!(
            "{runs} runs, {}: {reparents} reparents, {needless} needless, {twice} twice; {diverged} diverged, \
             {blind} while two zones were dark, {stray} to a stray; {late} late, the last after {headless} ms; \
             {stale} stale calls; {refused} refused",
            fault.told()
        );
    }
}

fn apart(runs: usize, policies: &Arc<PolicySet>) {
    for (name, found) in [
        ("one-sided cuts and flaps", run(&one_sided(runs, SEED, policies))),
        ("43 s apart, the host with the others", run(&partition(runs, SEED, Side::Others, policies))),
        ("43 s apart, the host with the primary", run(&partition(runs, SEED, Side::Primary, policies))),
    ] {
        let Run { reparents, needless, diverged, errant, .. } = found;
        println!(
            "{runs} runs, {name}: {reparents} reparents, {needless} needless; {diverged} diverged, \
             {errant} old primaries kept aside"
        );
    }
}
