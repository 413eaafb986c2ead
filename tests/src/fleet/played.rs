//! The same loss by the whole path: the controller as `run` starts it, over the simulator's API
//! server and played Vitess, with the simulator's checkers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use http::{Method, Request};
use kube::Client;
use kube::client::Body;
use pilothouse::controller::{Controller, Parts};
use pilothouse::embedded::{self, Embedded};
use pilothouse::kinds::Kind;
use pilothouse::settings::Settings;
use pilothouse_core::Millis;
use pilothouse_policy::set::PolicySet;
use pilothouse_sim::apiserver::{ApiServer, ResourceId};
use pilothouse_sim::checkers::{Checkers, Violation};
use pilothouse_sim::world::journal::Deed;
use pilothouse_sim::world::{WorldSettings, ZoneSpec};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tower::Service as _;

use super::drive::Run;
use crate::seen::condition;

/// 2026-01-01T00:00:00Z.
const EPOCH: Millis = 1_767_225_600_000;
/// All clusters serve within this.
const STANDS_WITHIN: Duration = Duration::from_secs(2 * 3_600);
/// Zones have been healthy for a while, and nothing is written any more.
const RESTS: Duration = Duration::from_secs(120);
/// As the fleet at the seam of views goes on.
const GOES_ON: Duration = Duration::from_secs(120);
const EXAMPLE: &str = include_str!("../../../crds/examples/three-zones.yaml");

/// So many clusters of the example, without backups, in which the zone of all primaries is lost.
///
/// # Errors
/// When the clusters do not come up.
pub async fn played(clusters: usize, seed: u64, policies: &Arc<PolicySet>) -> anyhow::Result<Run> {
    let nodes = u32::try_from(clusters / 8 + 3)?;
    let zone = |name: &str| ZoneSpec { name: name.to_owned(), nodes };
    let zones = ["zone-a", "zone-b", "zone-c"].map(zone).into();
    let world = WorldSettings { zones, writes_per_minute: 60, ..WorldSettings::default() };
    let embedded = Embedded::new(EPOCH, seed, world)?;
    let (stop, sent) = (CancellationToken::new(), Arc::<AtomicU64>::default());
    let parts = embedded.parts(Arc::clone(policies), &Settings::default());
    let client = counting(&embedded.api, Arc::clone(&sent));
    let found = Arc::<Mutex<Vec<Violation>>>::default();
    let tasks = [
        tokio::spawn(watched(&embedded, Arc::clone(&found), stop.clone())),
        tokio::spawn(Controller::new(Parts { client, ..parts }).run(stop.clone())),
    ];
    for number in 0..clusters {
        let mut documents = embedded::documents(EXAMPLE)?;
        documents.truncate(if number == 0 { 2 } else { 1 });
        documents[0]["metadata"]["name"] = json!(super::drive::name(number));
        documents[0]["spec"].as_object_mut().context("a spec")?.remove("backup");
        embedded::apply(&embedded.client, &documents).await?;
    }
    let stand = tokio::time::timeout(STANDS_WITHIN, stand(&embedded.api, clusters)).await;
    stand.context("the clusters do not come up")?;
    tokio::time::sleep(RESTS).await;

    let (before, refused) = (embedded.world.deeds_since(0).len(), embedded.telemetry.judged().1);
    sent.store(0, Ordering::Relaxed);
    let lost_at = embedded.clock.now();
    embedded.world.lose_zone("zone-a");
    tokio::time::sleep(GOES_ON).await;
    let (requests, refused) = (sent.load(Ordering::Relaxed), embedded.telemetry.judged().1 - refused);
    stop.cancel();
    for task in tasks {
        task.await?;
    }
    let mut run = told(&embedded.world.deeds_since(before), lost_at);
    let violations = found.lock().unwrap_or_else(PoisonError::into_inner);
    ensure!(violations.is_empty(), "the simulator's checkers: {:?}", violations.first());
    (run.lost, run.requests, run.refused) = (clusters, requests, refused);
    Ok(run)
}

/// The played world, with every checker looking after each of its steps.
fn watched(
    embedded: &Embedded,
    found: Arc<Mutex<Vec<Violation>>>,
    stop: CancellationToken,
) -> impl Future<Output = ()> + use<> {
    let (mut checkers, world) = (Checkers::new(), embedded.world.clone());
    world.run_observed(stop.cancelled_owned(), move |world| {
        found.lock().unwrap_or_else(PoisonError::into_inner).extend(checkers.check(world));
    })
}

/// A client whose requests that are not watches are counted.
fn counting(api: &ApiServer, sent: Arc<AtomicU64>) -> Client {
    let service = api.service();
    let counted = tower::service_fn(move |request: Request<Body>| {
        let mut service = service.clone();
        sent.fetch_add(u64::from(request.method() != Method::GET), Ordering::Relaxed);
        async move { service.call(request).await }
    });
    Client::new(counted, "default")
}

async fn stand(api: &ApiServer, clusters: usize) {
    let resource = Kind::VitessCluster.resource();
    let resource = ResourceId::new(&resource.group, &resource.plural);
    let mut changes = api.subscribe();
    let is_ready = |cluster: &serde_json::Value| {
        condition(cluster, "Ready").is_some_and(|condition| condition["status"] == "True")
    };
    while api.list(&resource, None).iter().filter(|cluster| is_ready(cluster)).count() < clusters {
        // Looked at now and then: each look reads them all.
        tokio::time::sleep(Duration::from_secs(30)).await;
        let _ = changes.changed().await;
    }
}

/// When each cluster got its new primary, by the world's own journal.
fn told(deeds: &[Deed], lost_at: Millis) -> Run {
    let mut run = Run::default();
    let (mut first, mut asked) = (BTreeMap::new(), BTreeSet::new());
    for deed in deeds {
        match deed {
            Deed::Promoted { at, shard, .. } => {
                run.reparents += 1;
                run.twice += usize::from(asked.contains(&shard.cluster));
                asked.insert(shard.cluster.clone());
                first.entry(shard.cluster.clone()).or_insert(at.unsigned_abs() - lost_at);
            }
            Deed::ReparentAsked { refused: Some(_), .. } => run.in_vain += 1,
            _ => {}
        }
    }
    run.took = first.into_values().collect();
    run.took.sort_unstable();
    run
}
