//! What a fleet of clusters costs on Kubernetes' own API server: `cargo bench -p pilothouse-tests --bench fleet`.
//!
//! Owns the table of figures. The host is a process of its own: the product, and where memory is
//! looked at this very program, which counts what the product's `main` allocates. Nobody plays
//! kubelets, so every Pod stays Pending. Asserts nothing about time: machines are shared and noisy.

mod ends;
mod fleet;
mod host;
mod operator;
mod raw;

use std::time::Duration;

use pilothouse_tests::cluster::{self, Cluster};

use crate::fleet::Fleet;
use crate::host::Host;
use crate::operator::Operator;

#[global_allocator]
static ALLOCATOR: cap::Cap<mimalloc::MiMalloc> = cap::Cap::new(mimalloc::MiMalloc, usize::MAX);

/// Clusters whose creation is timed.
const CREATED: usize = 100;
/// Fleets whose memory gives the slope.
const SIZES: [usize; 3] = [200, 400, 800];
/// A fleet at rest is looked at for so long.
const AT_REST: Duration = Duration::from_secs(60);

fn main() -> anyhow::Result<std::process::ExitCode> {
    let mut args = std::env::args().skip(1).filter(|a| a != "--bench");
    match args.next().as_deref() {
        // `cargo test --benches` asks for a list or a run of tests; there are none here.
        Some("--list" | "--test") => return Ok(std::process::ExitCode::SUCCESS),
        Some(_) => return host::main(),
        None => {}
    }
    let Some(binary) = cluster::binary()? else { return Ok(std::process::ExitCode::SUCCESS) };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure(&binary))?;
    Ok(std::process::ExitCode::SUCCESS)
}

async fn measure(binary: &std::path::Path) -> anyhow::Result<()> {
    let cluster = Cluster::start(binary).await?;
    let mut fleet = Fleet::prepare(&cluster, &[]).await?;
    let host = Host::start(&cluster, false)?;
    // What is only paid once: watches, policies, the first of everything.
    fleet.grow(1).await?;
    host.settle().await?;
    let before = host.spent()?;
    let begun = tokio::time::Instant::now();
    fleet.grow(1 + CREATED).await?;
    let took = begun.elapsed();
    let there = (host.spent()? - before).as_secs_f64() * 1e3 / CREATED as f64;
    host.settle().await?;
    let cpu = (host.spent()? - before).as_secs_f64() * 1e3 / CREATED as f64;
    let rate = rate(CREATED * (1 + fleet.children()), took);
    // It would take the VitessClusters among the same objects for its own.
    drop(host);
    let (count, took) = raw::apply(&cluster).await?;
    let alone = self::rate(count, took);
    println!("{CREATED} clusters of three cells, {} objects each below the VitessCluster", fleet.children());
    println!("created by the host             {rate:>9.0} objects/s");
    println!("the same, applied by hand       {alone:>9.0} objects/s   {:.0}% of it", 100.0 * rate / alone);
    println!(
        "processor time for a cluster    {cpu:>9.2} ms until it rests, {there:.2} ms until all objects are there"
    );
    match operator::program() {
        Some(program) => beside(binary, program).await?,
        None => println!("vitess-operator's              not measured: VITESS_OPERATOR names no program"),
    }
    raw::clear(&cluster).await?;
    let mut host = Host::start(&cluster, true)?;

    let mut points = Vec::new();
    for size in SIZES {
        fleet.grow(size).await?;
        host.settle().await?;
        let (resident, live) = host.memory()?;
        println!("{size} clusters: {:>7.1} MB resident, {:>7.1} MB of it live", mb(resident), mb(live));
        points.push((size, resident, live));
    }
    let slope = |of: fn(&(usize, u64, u64)) -> u64| {
        let (first, last) = (&points[0], &points[points.len() - 1]);
        (of(last) as f64 - of(first) as f64) / 1e3 / (last.0 - first.0) as f64
    };
    println!(
        "growth for a cluster            {:>9.0} KB resident, {:.0} KB live",
        slope(|p| p.1),
        slope(|p| p.2)
    );

    let (writes, spent) = (host.writes()?, host.spent()?);
    tokio::time::sleep(AT_REST).await;
    let spent = (host.spent()? - spent).as_secs_f64();
    let writes = host.writes()? - writes;
    println!("at rest, {} clusters, a minute  {spent:>9.2} s of processor time, {writes} writes", SIZES[2]);
    Ok(())
}

/// What the same clusters take of vitess-operator, until all of its objects are there: it never rests.
async fn beside(binary: &std::path::Path, program: std::path::PathBuf) -> anyhow::Result<()> {
    let cluster = Cluster::start(binary).await?;
    let mut fleet = Fleet::prepare(&cluster, operator::MAKES_NO).await?;
    let operator = Operator::start(program, &cluster)?;
    fleet.grow(1).await?;
    let (before, begun) = (operator.spent()?, tokio::time::Instant::now());
    fleet.grow(1 + CREATED).await?;
    let took = begun.elapsed();
    let cpu = (operator.spent()? - before).as_secs_f64() * 1e3 / CREATED as f64;
    println!("vitess-operator's               {cpu:>9.2} ms, {} objects each", fleet.children());
    println!(
        "created by it                   {:>9.0} objects/s",
        rate(CREATED * (1 + fleet.children()), took)
    );
    Ok(())
}

fn rate(objects: usize, took: Duration) -> f64 {
    objects as f64 / took.as_secs_f64()
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
