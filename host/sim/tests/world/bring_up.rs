//! Nodes, a Deployment, tablets on volumes.

use pilothouse_sim::apiserver::kinds::{CLAIMS, DEPLOYMENTS, NODES, PODS, REPLICA_SETS, VOLUMES};
use pilothouse_sim::world::WorldSettings;
use serde_json::json;

use crate::kit::{Kit, NAMESPACE, TABLETS, pod_name, ready};

fn gateway(image: &str) -> serde_json::Value {
    json!({
        "metadata": { "labels": { "app": "gateway" } },
        "spec": { "containers": [{ "name": "vtgate", "image": image }] },
    })
}

#[tokio::test(start_paused = true)]
async fn a_deployment_becomes_ready_and_rolls() {
    let kit = Kit::new(1);
    assert_eq!(kit.api.list(&NODES, None).iter().filter(|n| ready(n)).count(), 6);
    kit.deployment("gateway", 3, gateway("vtgate:1"));
    kit.until(60, "3 ready gateways", |k| {
        k.get(&DEPLOYMENTS, "gateway").is_some_and(|d| d["status"]["readyReplicas"] == 3)
    })
    .await;
    kit.patch(&DEPLOYMENTS, "gateway", json!({ "spec": { "template": gateway("vtgate:2") } }));
    let fewest = std::cell::Cell::new(3);
    kit.until(180, "3 updated gateways", |k| {
        let d = k.get(&DEPLOYMENTS, "gateway").expect("there");
        fewest.set(fewest.get().min(d["status"]["readyReplicas"].as_i64().unwrap_or(0)));
        let status = &d["status"];
        status["updatedReplicas"] == 3
            && status["replicas"] == 3
            && status["readyReplicas"] == 3
            && status["observedGeneration"] == d["metadata"]["generation"]
    })
    .await;
    assert_eq!(fewest.get(), 3, "25 % of 3, rounded down, may be unavailable: none");
    assert_eq!(kit.api.list(&REPLICA_SETS, Some(NAMESPACE)).len(), 2);
    kit.patch(&DEPLOYMENTS, "gateway", json!({ "spec": { "replicas": 1 } }));
    kit.until(60, "1 gateway", |k| k.api.list(&PODS, Some(NAMESPACE)).len() == 1).await;
    kit.delete(&DEPLOYMENTS, "gateway", None);
    kit.until(60, "nothing left", |k| k.api.list(&PODS, Some(NAMESPACE)).is_empty()).await;
    assert_eq!(kit.world.refused_writes(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn tablets_get_volumes_in_their_zones() {
    let kit = Kit::new(2);
    kit.three_tablets().await;
    for (alias, zone) in TABLETS {
        let pod = kit.get(&PODS, &pod_name(alias)).expect("there");
        assert!(pod["spec"]["nodeName"].as_str().is_some_and(|n| n.starts_with(zone)), "{pod}");
        let claim = kit.get(&CLAIMS, &pod_name(alias)).expect("there");
        assert_eq!(claim["status"]["capacity"]["storage"], "10Gi");
        let volume = kit.get(&VOLUMES, claim["spec"]["volumeName"].as_str().expect("bound")).expect("there");
        let terms =
            &volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"][0]["matchExpressions"][0];
        assert_eq!(terms["values"], json!([zone]));
    }
    assert_eq!(kit.world.refused_writes(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn what_fits_nowhere_says_why() {
    let kit = Kit::new(3);
    kit.claim(&pod_name("zone1-0000000101"), 1);
    kit.tablet("zone1-0000000101", "zone-x");
    kit.until(10, "a reason", |k| {
        let pod = k.get(&PODS, &pod_name("zone1-0000000101")).expect("there");
        pod["status"]["conditions"].as_array().is_some_and(|all| {
            all.iter().any(|c| {
                c["type"] == "PodScheduled"
                    && c["status"] == "False"
                    && c["reason"] == "Unschedulable"
                    && c["message"]
                        == "0/6 nodes are available: 6 node(s) didn't match Pod's node affinity/selector."
            })
        })
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_tells_the_same_story() {
    async fn story(seed: u64) -> String {
        let settings = WorldSettings { writes_per_minute: 30, trace: true, ..WorldSettings::default() };
        let kit = Kit::with(seed, settings);
        kit.three_tablets().await;
        kit.world.lose_zone("zone-a");
        kit.pass(900).await;
        kit.world.restore_zone("zone-a");
        kit.pass(300).await;
        kit.world.trace()
    }
    let first = story(7).await;
    assert!(first.lines().count() > 100, "{first}");
    assert_eq!(first, story(7).await);
    assert_ne!(first, story(8).await);
}

#[tokio::test(start_paused = true)]
async fn a_day_at_rest_writes_nothing() {
    let kit = Kit::new(4);
    kit.three_tablets().await;
    kit.pass(600).await;
    let (before, revision) = (kit.api.newest(), kit.world.revision());
    kit.pass(24 * 3_600).await;
    assert_eq!(kit.api.newest(), before, "no write in a day at rest");
    assert!(kit.world.revision() - revision < 50, "hardly a look in a day at rest");
}

#[tokio::test(start_paused = true)]
async fn anti_affinity_and_room_are_honoured() {
    let kit = Kit::new(5);
    let mut apart = gateway("vtgate:1");
    apart["spec"]["affinity"] = json!({ "podAntiAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": [{
        "topologyKey": "kubernetes.io/hostname", "labelSelector": { "matchLabels": { "app": "gateway" } },
    }] } });
    kit.deployment("gateway", 7, apart);
    kit.pass(60).await;
    let ready_now = |k: &Kit| k.api.list(&PODS, Some(NAMESPACE)).iter().filter(|p| ready(p)).count();
    assert_eq!(ready_now(&kit), 6, "one a node");
    kit.world.lose_node("zone-b-1");
    kit.until(400, "the lost one is evicted", |k| ready_now(k) == 5).await;
    kit.pass(400).await;
    assert_eq!(ready_now(&kit), 5, "no node is free for it");
    kit.world.restore_node("zone-b-1");
    kit.until(90, "6 again", |k| ready_now(k) == 6).await;
    let mut greedy = gateway("vtgate:1");
    greedy["metadata"]["labels"]["app"] = json!("greedy");
    greedy["spec"]["containers"][0]["resources"] = json!({ "requests": { "cpu": "40" } });
    kit.deployment("greedy", 7, greedy);
    kit.pass(60).await;
    assert_eq!(ready_now(&kit), 12, "64 cores hold one of 40");
    assert_eq!(kit.world.refused_writes(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_disk_is_for_one_node_unless_the_world_shares_them() {
    for exclusive in [true, false] {
        let settings =
            WorldSettings { exclusive_volumes: exclusive, trace: true, ..WorldSettings::default() };
        let kit = Kit::with(6, settings);
        kit.claim("backups", 1);
        let aliases = ["zone1-0000000101", "zone1-0000000102"];
        for alias in aliases {
            kit.claim(&pod_name(alias), 10);
            kit.tablet_with(alias, "zone-a", &[], &["backups"]);
        }
        kit.pass(120).await;
        let nodes = kit
            .api
            .list(&PODS, Some(NAMESPACE))
            .iter()
            .map(|p| p["spec"]["nodeName"].clone())
            .collect::<Vec<_>>();
        assert_ne!(nodes[0], nodes[1], "the scheduler does not mind");
        let ready = aliases.iter().filter(|a| kit.is_ready(&pod_name(a))).count();
        assert_eq!(ready, if exclusive { 1 } else { 2 });
    }
}
