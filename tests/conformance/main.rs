//! Does the simulator tell the truth? The same random requests to the played API server and to Kubernetes' own, and
//! every answer compared: code, warnings and body, but for what no two servers have alike.
//!
//! `vocabulary.yaml` says what can be asked; what the played server answers 501 is counted and told, never compared.
//! A sequence that is not answered alike is shrunk and printed, with the seed that makes it again.
//! Some sequences go on after both servers forgot what was; what random requests seldom meet is written in `seldom.rs`.

mod compare;
mod counts;
mod draws;
mod forget;
mod play;
mod script;
mod seldom;
mod sequence;
mod server;
mod vocabulary;

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use futures::future::try_join_all;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use kube::api::{Api, ListParams, PostParams};
use pilothouse::embedded::{self, Embedded};
use pilothouse_sim::world::WorldSettings;
use pilothouse_tests::cluster::{self, Cluster};
use serde_json::Value;

use counts::Counts;
use play::Both;
use server::EXPIRED;
use vocabulary::Kind;

/// Another run, or one again: the seed of its first sequence.
const SEED: &str = "PILOTHOUSE_SEED";
/// Requests of one run, at least; a sequence that is not answered alike ends early.
const REQUESTS: usize = 20_000;
/// Requests of one sequence, before its watches.
const LENGTH: usize = 60;
/// Sequences at the same time, each in a namespace of its own.
const AT_ONCE: usize = 12;
/// Sequences with a compaction in them, at the same time.
const AWAY: usize = 12;
/// Differences that are shrunk and told; of more than these the others are the same, mostly.
const TOLD: usize = 12;
/// Differences of one run that nothing but the clock makes: owners stand in the order of their times, and the second
/// turns at other requests on the two servers. Played again they are not there.
const OF_THE_CLOCK: usize = 5;
/// 2026-01-01T00:00:00Z.
const EPOCH_MS: u64 = 1_767_225_600_000;
/// A definition is served a moment after it was taken; what takes longer than this never comes.
const WITHIN: Duration = Duration::from_secs(60);
/// Another process works; it is asked again until it is ready, or [`WITHIN`] is over.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

async fn serve_our_kinds(client: &Client, vocabulary: &[Kind]) -> anyhow::Result<()> {
    let definitions: Result<Vec<Value>, _> =
        pilothouse_api::crds::all()?.iter().map(serde_json::to_value).collect();
    embedded::apply(client, &definitions?).await?;
    let served = async {
        for kind in vocabulary {
            let list = || http::Request::get(format!("/{}/{}", kind.path, kind.resource)).body(Vec::new());
            while client.request_text(list()?).await.is_err() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(WITHIN, served).await.context("our kinds are not served")?
}

/// The class that the played world offers.
async fn serve_our_class(played: &Client, real: &Client) -> anyhow::Result<()> {
    let mut classes = Api::<StorageClass>::all(played.clone()).list(&ListParams::default()).await?.items;
    for class in &mut classes {
        class.metadata = ObjectMeta {
            name: class.metadata.name.take(),
            annotations: class.metadata.annotations.take(),
            ..ObjectMeta::default()
        };
        Api::all(real.clone()).create(&PostParams::default(), class).await?;
    }
    Ok(())
}

/// Plays as many sequences as it takes, and tells of each difference once.
async fn run(both: &Both, vocabulary: &[Kind], first: u64) -> anyhow::Result<(Counts, usize)> {
    let seeds = (first..).take(REQUESTS.div_ceil(LENGTH + sequence::WATCHES));
    let played = stream::iter(seeds).map(|seed| async move {
        let sequence = sequence::sequence(seed, vocabulary, LENGTH);
        anyhow::Ok((seed, both.play(&format!("s{seed}"), &sequence).await?))
    });
    let mut counts = Counts::default();
    let mut played = played.buffered(AT_ONCE);
    while let Some((seed, outcome)) = played.try_next().await? {
        counts.add(seed, outcome);
    }
    let mut not_again = 0;
    for (seed, found, times) in counts.differing.values().take(TOLD) {
        let sequence = sequence::sequence(*seed, vocabulary, LENGTH);
        let (shortest, seen) = both.shrink(&format!("s{seed}"), &sequence, found).await?;
        let (from, again) = if seen.is_some() { (0, "") } else { (shortest.len() - 1, ", but not again") };
        not_again += usize::from(seen.is_none());
        println!("seed {seed}, {times} times{again}:");
        shortest[from..].iter().for_each(|request| println!("  {request}"));
        seen.as_ref().unwrap_or(found).lines.iter().for_each(|line| println!("    {line}"));
    }
    Ok((counts, not_again))
}

/// The written sequences.
async fn run_seldom(both: &Both) -> anyhow::Result<Counts> {
    let mut counts = Counts::default();
    for (at, sequence) in (0..).zip(seldom::sequences()) {
        counts.add(at, both.play(&format!("seldom{at}"), &sequence).await?);
    }
    counts.tell_differences("written sequence");
    Ok(counts)
}

/// Clients that have been away while both servers forgot what was: each of them works before and comes back after.
async fn run_across_compaction(
    embedded: &Embedded,
    cluster: &mut Cluster,
    vocabulary: &[Kind],
    first: u64,
) -> anyhow::Result<Counts> {
    let both = Both { played: embedded.client.clone(), real: cluster.client.clone() };
    let begun = (first..).take(AWAY).map(|seed| {
        let both = both.clone();
        async move {
            let mut playing = both.begin(&format!("away{seed}")).await?;
            let mut before = sequence::sequence(seed, vocabulary, LENGTH);
            before.retain(|request| request.method != "WATCH");
            let outcome = playing.play(&before).await?;
            anyhow::Ok((seed, playing, before, outcome))
        }
    });
    let begun = try_join_all(begun).await?;
    // Something happens after all of it, so that none of their versions is the newest.
    both.begin("last").await?;
    embedded.api.compact(u64::MAX);
    cluster.forget_history().await?;
    serve_our_kinds(&cluster.client, vocabulary).await?;
    let mut counts = Counts::default();
    let mut back = Vec::new();
    for (seed, mut playing, before, outcome) in begun {
        if outcome.difference.is_none() {
            playing.served_by(&cluster.client);
            let after = sequence::after_absence(seed, vocabulary, before);
            back.push(async move { anyhow::Ok((seed, playing.play(&after).await?)) });
        }
        counts.add(seed, outcome);
    }
    try_join_all(back).await?.into_iter().for_each(|(seed, outcome)| counts.add(seed, outcome));
    counts.tell_differences("across a compaction, seed");
    for sort in ["GET", "WATCH"] {
        anyhow::ensure!(counts.answered(sort, EXPIRED) > 0, "no {sort} asked for what is forgotten");
    }
    Ok(counts)
}

async fn compare(binary: &Path, first: u64) -> anyhow::Result<(Counts, usize)> {
    let vocabulary = vocabulary::read()?;
    let mut cluster = Cluster::start(binary).await?;
    serve_our_kinds(&cluster.client, &vocabulary).await?;
    let embedded = Embedded::new(EPOCH_MS, first, WorldSettings::default())?;
    serve_our_class(&embedded.client, &cluster.client).await?;
    let both = Both { played: embedded.client.clone(), real: cluster.client.clone() };
    let (mut counts, not_again) = run(&both, &vocabulary, first).await?;
    counts.join(run_seldom(&both).await?);
    counts.join(run_across_compaction(&embedded, &mut cluster, &vocabulary, first).await?);
    Ok((counts, not_again))
}

#[test]
fn both_servers_answer_alike() {
    let Some(binary) = cluster::binary().unwrap() else { return };
    let first = std::env::var(SEED).map_or(1, |seed| seed.parse().unwrap());
    println!("seeds from {first} on ({SEED}=n begins elsewhere)");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (counts, not_again) = runtime.block_on(compare(&binary, first)).unwrap();
    counts.tell();
    let differing = counts.differing.len();
    assert!(differing == not_again, "{differing} kinds of difference, {not_again} of them not seen again");
    assert!(not_again <= OF_THE_CLOCK, "{not_again} differences come and go");
    assert!(counts.all() >= REQUESTS, "only {} requests", counts.all());
    assert!(counts.taken() * 4 > counts.all(), "most requests are refused");
    assert!(counts.unsupported() * 2 < counts.all(), "most requests are not supported");
}
