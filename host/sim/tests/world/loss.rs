//! Lost zones and nodes, silent kubelets, eviction.

use pilothouse_core::view::{Reach, Role};
use pilothouse_sim::apiserver::kinds::{NODES, PODS};
use serde_json::Value;

use crate::kit::{Kit, TABLETS, alias, cluster, pod_name, shard};

fn node_ready(kit: &Kit, node: &str) -> Value {
    let node = kit.get(&NODES, node).expect("there");
    let all = node["status"]["conditions"].as_array().cloned().unwrap_or_default();
    all.into_iter().find(|c| c["type"] == "Ready").map(|c| c["status"].clone()).unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn a_lost_zone_is_noticed_as_in_kubernetes() {
    let kit = Kit::new(11);
    kit.three_tablets().await;
    let lost_at = kit.clock.now_ms();
    kit.world.lose_zone("zone-a");
    let primary = alias(TABLETS[0].0);
    let unreachable = kit.until(10, "unreachable", |k| k.see().tablets[&primary].reach == Reach::No).await;
    assert!((2_000..2_500).contains(&unreachable), "one probe period, not {unreachable}");
    assert_eq!(kit.see().tablets[&primary].reach_since, lost_at.unsigned_abs());
    let deaf = |k: &Kit| {
        let others = TABLETS[1..].iter().map(|(a, _)| alias(a));
        others
            .into_iter()
            .all(|a| k.see().tablets[&a].replication.as_ref().is_some_and(|r| !r.source_connected))
    };
    kit.until(10, "replicas miss their source", deaf).await;
    let after = kit.clock.now_ms() - lost_at;
    assert!(
        (5_000..5_500).contains(&after),
        "a heartbeat is overdue, and no receiver has given up: not {after}"
    );
    kit.until(60, "nodes unknown", |k| {
        node_ready(k, "zone-a-1") == "Unknown" && node_ready(k, "zone-a-2") == "Unknown"
    })
    .await;
    let after = kit.clock.now_ms() - lost_at;
    assert!((40_000..51_000).contains(&after), "40–50 s, not {after}");
    assert!(!kit.is_ready(&pod_name(TABLETS[0].0)), "its Pods are no longer ready");
    kit.until(360, "evicted", |k| {
        !k.get(&PODS, &pod_name(TABLETS[0].0)).expect("there")["metadata"]["deletionTimestamp"].is_null()
    })
    .await;
    let after = kit.clock.now_ms() - lost_at;
    assert!((340_000..365_000).contains(&after), "300 s after the taint, not {after}");
    kit.world.restore_zone("zone-a");
    kit.until(90, "the kubelet takes the Pod away", |k| k.get(&PODS, &pod_name(TABLETS[0].0)).is_none())
        .await;
    assert_eq!(node_ready(&kit, "zone-a-1"), "True");
    assert!(
        kit.get(&NODES, "zone-a-1").expect("there")["spec"]["taints"].as_array().is_none_or(Vec::is_empty)
    );
    assert_eq!(kit.world.refused_writes(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn nobody_is_evicted_when_every_zone_is_silent() {
    let kit = Kit::new(12);
    kit.three_tablets().await;
    for zone in ["zone-a", "zone-b", "zone-c"] {
        kit.world.cut_zone_from_control_plane(zone);
    }
    kit.pass(3_600).await;
    for (alias, _) in TABLETS {
        assert!(kit.get(&PODS, &pod_name(alias)).expect("there")["metadata"]["deletionTimestamp"].is_null());
    }
    let truth = kit.world.facts();
    assert!(truth.shards.values().all(|s| s.servers[&alias(TABLETS[0].0)].can_ack), "the databases go on");
    assert!(kit.see().tablets.values().all(|t| t.reach == Reach::No), "nobody can be asked");
}

#[tokio::test(start_paused = true)]
async fn a_lost_primary_is_replaced_and_comes_back_as_replica() {
    let kit = Kit::new(13);
    kit.three_tablets().await;
    let (old, new) = (alias(TABLETS[0].0), alias(TABLETS[1].0));
    let refused = kit
        .vitess
        .emergency_reparent(&cluster(), &shard(), &new, &old, &[])
        .await
        .expect_err("wrong expectation");
    assert_eq!(refused.code, "expectation");
    kit.world.lose_zone("zone-a");
    kit.pass(20).await;
    let refused =
        kit.vitess.planned_reparent(&cluster(), &shard(), &old, &new).await.expect_err("primary is gone");
    assert_eq!(refused.code, "unreachable");
    kit.vitess.emergency_reparent(&cluster(), &shard(), &old, &new, &[]).await.expect("promoted");
    let seen = kit.see();
    assert_eq!(seen.shards[&shard()].primary, Some(new.clone()));
    assert_eq!(seen.tablets[&new].role, Role::Primary);
    assert!(kit.world.facts().shards.values().all(|s| s.servers[&new].can_ack));
    kit.world.restore_zone("zone-a");
    kit.until(120, "the old primary replicates", |k| {
        let seen = k.see();
        let tablet = &seen.tablets[&old];
        tablet.role == Role::Replica
            && tablet.replication.as_ref().is_some_and(|r| r.source_connected && r.errant.is_empty())
    })
    .await;
    kit.vitess.planned_reparent(&cluster(), &shard(), &new, &old).await.expect("moved back");
    assert_eq!(kit.see().shards[&shard()].primary, Some(old));
}

#[tokio::test(start_paused = true)]
async fn a_returning_primary_without_a_successor_resumes() {
    let kit = Kit::new(14);
    kit.three_tablets().await;
    let primary = alias(TABLETS[0].0);
    assert!(kit.world.kill_mysqld(&cluster(), &primary));
    assert!(!kit.world.kill_mysqld(&cluster(), &primary), "it is dead already");
    kit.until(10, "not ready", |k| !k.is_ready(&pod_name(TABLETS[0].0))).await;
    kit.until(60, "ready again", |k| k.is_ready(&pod_name(TABLETS[0].0))).await;
    let pod = kit.get(&PODS, &pod_name(TABLETS[0].0)).expect("there");
    assert_eq!(pod["status"]["containerStatuses"][0]["restartCount"], 1);
    assert!(kit.world.facts().shards.values().all(|s| s.servers[&primary].can_ack));
}

#[tokio::test(start_paused = true)]
async fn a_volume_follows_to_the_other_node_only_after_the_forced_detach() {
    let kit = Kit::new(15);
    kit.three_tablets().await;
    let name = pod_name(TABLETS[1].0);
    let node = kit.get(&PODS, &name).expect("there")["spec"]["nodeName"].as_str().expect("bound").to_owned();
    kit.world.lose_node(&node);
    kit.pass(60).await;
    kit.delete(&PODS, &name, Some(0));
    kit.tablet(TABLETS[1].0, TABLETS[1].1);
    let after = kit.until(500, "ready on the other node", |k| k.is_ready(&name)).await;
    let moved = kit.get(&PODS, &name).expect("there")["spec"]["nodeName"].as_str().expect("bound").to_owned();
    assert_ne!(moved, node);
    assert!(after > 300_000, "only after the forced detach, not after {after} ms");
    let facts = kit.world.facts();
    let server = &facts.shards.values().next().expect("a shard").servers[&alias(TABLETS[1].0)];
    assert!(!server.position.is_empty(), "its data came with the volume");
}
