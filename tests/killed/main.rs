//! The product's own process, killed without a word (SIGKILL) at seeded moments and started again, on a bare API
//! server of Kubernetes.
//!
//! Of the same objects, one process that nobody kills makes what it makes in one namespace, while another is killed
//! over and over in a second one. In the end both must hold the same, nothing was deleted on the way, nothing was
//! made twice, and whoever is started once more writes nothing. The seed is printed; `PILOTHOUSE_SEED` chooses another.
//!
//! What needs Vitess is not here: `run` has no client for it. `tests/whole` kills the same controller, with the
//! simulator's Vitess beside it.

mod namespace;
mod storm;

use anyhow::Context as _;
use futures::future::try_join_all;
use pilothouse::embedded;
use pilothouse::kinds::Kind;
use pilothouse_tests::cluster::{self, Cluster, host};
use pilothouse_tests::repository;
use pilothouse_tests::standing::handed_out;
use serde_json::Value;
use storm::Storm;

const SEED: &str = "PILOTHOUSE_SEED";

/// What is asked for, one after the other.
struct Case {
    /// As a namespace can be called.
    name: &'static str,
    /// What another operator left standing before.
    before: Vec<Value>,
    manifests: Vec<Vec<Value>>,
}

impl Case {
    fn is_here(&self) -> bool {
        let is_here = !self.before.is_empty() || !self.manifests.is_empty();
        if !is_here {
            println!("not run here: {}: there is no folder of recordings", self.name);
        }
        is_here
    }
}

/// Manifests of this repository, or none where one is of the folder beside it and that is not there.
fn manifests(paths: &[&str]) -> Vec<Vec<Value>> {
    let read = |path: &&str| std::fs::read_to_string(repository(path)).ok();
    let all: Option<Vec<String>> = paths.iter().map(read).collect();
    all.into_iter().flatten().map(|text| embedded::documents(&text).unwrap()).collect()
}

/// The example, and the same with other images that wait for their release.
fn example() -> Vec<Vec<Value>> {
    let example = std::fs::read_to_string(repository("crds/examples/three-zones.yaml")).unwrap();
    let changed = example.replace("v24.0.2-mysql80", "next").replace("type: Immediate", "type: External");
    assert_ne!(example, changed);
    [example, changed].map(|text| embedded::documents(&text).unwrap()).into()
}

/// What vitess-operator wrote of a manifest, where a recording of it stands beside the repository. Secrets are the
/// manifest's, and nobody writes them.
fn recorded() -> Vec<Value> {
    let text = std::fs::read_to_string(handed_out("reference/302_new_shards.json"));
    let objects: Vec<Value> = text.map(|text| serde_json::from_str(&text).unwrap()).unwrap_or_default();
    let is_ours = |object: &Value| object["kind"].as_str().and_then(Kind::of).is_some();
    objects.into_iter().filter(is_ours).collect()
}

#[test]
fn what_a_killed_process_leaves_is_what_one_that_lives_makes() {
    let Some(binary) = cluster::binary().unwrap() else { return };
    let seed = std::env::var(SEED).map_or(1, |seed| seed.parse().unwrap());
    println!("seed {seed} ({SEED}=n is another)");
    let born = |name, paths: &[&str]| Case { name, before: Vec::new(), manifests: manifests(paths) };
    let cases = [
        Case { name: "example", before: Vec::new(), manifests: example() },
        born("new-shards", &["tests/whole/new_shards.yaml"]),
        born("external", &["../shared/inputs/external_1.yaml", "../shared/inputs/external_2.yaml"]),
        Case { name: "taken-over", before: recorded(), manifests: Vec::new() },
    ];
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let cluster = Cluster::start(&binary).await.unwrap();
        host::install(&cluster.client).await.unwrap();
        let storms = cases.iter().filter(|case| case.is_here()).map(async |case| {
            let storm = Storm::over(&cluster, case.name, seed).await?;
            storm.rages(&case.before, &case.manifests).await.context(case.name)
        });
        if let Err(wrong) = try_join_all(storms).await {
            panic!("{wrong:#}");
        }
    });
}
