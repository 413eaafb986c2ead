//! The example comes up on the real control plane, as far as a user would wait for.

use std::time::Duration;

use kube::api::ListParams;
use pilothouse::embedded;
use pilothouse::kinds::Kind;
use pilothouse::settings::Settings;
use pilothouse::vitess::Vitess;
use pilothouse_tests::cluster::databases::Databases;
use pilothouse_tests::cluster::host::{self, Host};
use pilothouse_tests::cluster::whole::{Whole, until};
use pilothouse_tests::seen::{condition, text};
use pilothouse_tests::{built, cluster, repository};
use serde_json::Value;

const WITHIN: Duration = Duration::from_secs(180);

async fn comes_up(whole: &Whole) -> anyhow::Result<()> {
    let client = &whole.cluster.client;
    host::install(client).await?;
    let manifest = std::fs::read_to_string(repository("crds/examples/three-zones.yaml"))?;
    host::apply(client, &embedded::documents(&manifest)?).await?;
    let databases = Databases::play(client, 1);
    let vitess = Vitess::Played(databases.world.vitess());
    let clock = databases.clock.clone();
    let settings = Settings::default();
    let policies = built!().policies(&settings)?;
    let _host = Host::start(&whole.cluster, settings, policies, vitess, clock)?;
    let clusters = Kind::VitessCluster.api(client, "default");
    let ready = until(WITHIN, "the cluster is Ready", async || {
        let cluster = serde_json::to_value(clusters.get("harbour").await?)?;
        Ok(condition(&cluster, "Ready").is_some_and(|c| c["status"] == "True").then_some(cluster))
    });
    let ready = match ready.await {
        Ok(ready) => ready,
        Err(never) => {
            let cluster = serde_json::to_value(clusters.get("harbour").await?)?;
            anyhow::bail!("{never}: {:#}", cluster["status"]);
        }
    };
    assert_eq!(text(&ready, "/status/summary/tablets"), "3/3");
    let pods = Kind::Pod.api(client, "default");
    let standing = until(WITHIN, "every Pod that goes on is Ready", async || {
        let pods = serde_json::to_value(pods.list(&ListParams::default()).await?.items)?;
        let pods: Vec<Value> = pods.as_array().cloned().unwrap_or_default();
        let ends = |p: &&Value| text(p, "/spec/restartPolicy") == "Always";
        let standing: Vec<Value> = pods.iter().filter(ends).cloned().collect();
        let ready = |p: &Value| condition(p, "Ready").is_some_and(|c| c["status"] == "True");
        Ok(standing.iter().all(ready).then_some(standing))
    })
    .await?;
    let zones = |component: &str| -> Vec<String> {
        let of = |p: &&Value| text(p, "/metadata/labels/planetscale.com~1component") == component;
        let nodes = standing.iter().filter(of).map(|p| text(p, "/spec/nodeName"));
        let mut zones: Vec<String> = nodes.map(|n| n.trim_end_matches("-1").to_owned()).collect();
        zones.sort();
        zones
    };
    for component in ["vttablet", "vtgate", "etcd"] {
        assert_eq!(zones(component), ["zone-a", "zone-b", "zone-c"], "{component}");
    }
    let broken = databases.broken();
    assert!(broken.is_empty(), "{broken:?}");
    Ok(())
}

#[test]
fn the_example_comes_up() {
    let Some(binary) = cluster::binary().unwrap() else { return };
    let _one = crate::one_at_a_time();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let whole = Whole::start(&binary, &["zone-a", "zone-b", "zone-c"], 1).await.unwrap();
        comes_up(&whole).await.unwrap();
    });
}
