//! Each checker catches its breach in a played world, and an honest course has none.

use pilothouse_sim::apiserver::kinds::{CLAIMS, PODS};
use pilothouse_sim::checkers::{Checkers, check};
use pilothouse_sim::world::WorldSettings;
use serde_json::json;

use crate::kit::{Kit, TABLETS, alias, cluster, pod_name, shard};

fn writing(seed: u64) -> Kit {
    Kit::with(seed, WorldSettings { writes_per_minute: 600, trace: true, ..WorldSettings::default() })
}

/// The first tablet was lost as the primary, and is back when the second leads.
async fn primary_back(seed: u64) -> Kit {
    let [a, b, _] = TABLETS.map(|(a, _)| alias(a));
    let kit = writing(seed);
    kit.three_tablets().await;
    kit.world.lose_zone("zone-a");
    kit.pass(20).await;
    kit.vitess.emergency_reparent(&cluster(), &shard(), &a, &b, &[]).await.expect("promoted");
    kit.world.restore_zone("zone-a");
    kit.pass(90).await;
    kit
}

fn broken(kit: &Kit) -> Vec<&'static str> {
    check(&kit.world).into_iter().map(|v| v.id).collect()
}

#[tokio::test(start_paused = true)]
async fn an_honest_course_breaks_nothing() {
    for seed in 40..48 {
        let kit = writing(seed);
        let mut checkers = Checkers::new();
        kit.first_backup().await;
        kit.three_tablets().await;
        let [a, b, _] = TABLETS.map(|(a, _)| alias(a));
        kit.world.lose_zone("zone-a");
        for _ in 0..30 {
            kit.pass(1).await;
            assert_eq!(checkers.check(&kit.world), vec![]);
        }
        kit.vitess.emergency_reparent(&cluster(), &shard(), &a, &b, &[]).await.expect("promoted");
        kit.world.restore_zone("zone-a");
        for _ in 0..120 {
            kit.pass(1).await;
            assert_eq!(checkers.check(&kit.world), vec![]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn s1_two_servers_that_acknowledge() {
    let kit = writing(50);
    kit.three_tablets_with("none").await;
    kit.world.cut_zone_from_control_plane("zone-a");
    kit.pass(30).await;
    let [a, b, _] = TABLETS.map(|(a, _)| alias(a));
    kit.vitess
        .emergency_reparent(&cluster(), &shard(), &a, &b, &[])
        .await
        .expect("Vitess does it without semi-sync");
    assert_eq!(broken(&kit), ["S1"]);
    kit.world.join_zone_to_control_plane("zone-a");
    kit.until(30, "the old primary steps down", |k| {
        k.world.facts().shards.values().all(|s| s.servers.values().filter(|s| s.can_ack).count() == 1)
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn s2_a_promotion_takes_what_others_received() {
    let kit = writing(58);
    kit.three_tablets().await;
    let [a, b, c] = TABLETS.map(|(a, _)| alias(a));
    kit.world.cut_zones("zone-a", "zone-c");
    kit.pass(60).await;
    kit.world.lose_zone("zone-a");
    kit.pass(60).await;
    let truth = kit.world.facts();
    let servers = &truth.shards.values().next().expect("a shard").servers;
    assert!(!servers[&c].position.contains(&servers[&b].position), "{c} lacks what {b} acknowledged");
    kit.vitess.emergency_reparent(&cluster(), &shard(), &a, &c, &[]).await.expect("promoted");
    assert_eq!(broken(&kit), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn s3_a_tablet_deleted_while_another_is_down() {
    let kit = writing(51);
    kit.three_tablets().await;
    kit.delete(&PODS, &pod_name(TABLETS[1].0), None);
    kit.pass(20).await;
    assert_eq!(broken(&kit), [""; 0], "one at a time is fine");
    kit.delete(&PODS, &pod_name(TABLETS[2].0), None);
    kit.pass(20).await;
    assert_eq!(broken(&kit), ["S3", "S3"], "too few ackers, and another is down");
}

#[tokio::test(start_paused = true)]
async fn s3_knows_what_nobody_can_have_been_told() {
    for (wait, expected) in [(0, &[][..]), (30, &["S3", "S3"][..])] {
        let kit = writing(57);
        kit.three_tablets().await;
        kit.world.lose_zone("zone-b");
        kit.pass(wait).await;
        kit.delete(&PODS, &pod_name(TABLETS[2].0), None);
        kit.pass(1).await;
        assert_eq!(broken(&kit), expected, "{wait} s after the zone was lost");
    }
}

#[tokio::test(start_paused = true)]
async fn s4_the_last_copy_deleted() {
    let kit = writing(52);
    kit.three_tablets().await;
    kit.pass(60).await;
    for (alias, _) in &TABLETS[..2] {
        kit.delete(&CLAIMS, &pod_name(alias), None);
    }
    kit.pass(1).await;
    assert_eq!(broken(&kit), [""; 0], "a copy is left");
    kit.delete(&CLAIMS, &pod_name(TABLETS[2].0), None);
    kit.pass(1).await;
    assert_eq!(broken(&kit), ["S4"]);
}

/// Whoever writes past the gateways is told at once that it is safe.
#[tokio::test(start_paused = true)]
async fn s4_what_was_written_past_the_gateways() {
    let kit = writing(59);
    kit.three_tablets().await;
    assert!(kit.world.stray_write(&cluster(), &alias(TABLETS[1].0)));
    kit.delete(&CLAIMS, &pod_name(TABLETS[2].0), None);
    kit.pass(1).await;
    assert_eq!(broken(&kit), [""; 0], "it was not there");
    kit.delete(&CLAIMS, &pod_name(TABLETS[1].0), None);
    kit.pass(1).await;
    assert_eq!(broken(&kit), ["S4"]);
}

#[tokio::test(start_paused = true)]
async fn s4_knows_what_nobody_was_told_of() {
    let a = alias(TABLETS[0].0);
    let mut wiped = 0;
    for seed in 60..66 {
        let kit = primary_back(seed).await;
        let truth = kit.world.facts();
        wiped += truth.shards.values().next().expect("a shard").servers[&a].errant.count();
        kit.delete(&CLAIMS, &pod_name(TABLETS[0].0), None);
        kit.pass(1).await;
        assert_eq!(broken(&kit), [""; 0]);
    }
    assert!(wiped > 0, "some seed leaves an errant tail");
}

#[tokio::test(start_paused = true)]
async fn s5_the_only_backup_removed() {
    let kit = writing(53);
    kit.first_backup().await;
    kit.three_tablets().await;
    let backup = kit.see().backups[0].name.clone();
    kit.vitess.remove_backup(&cluster(), &backup).expect("removed");
    assert_eq!(broken(&kit), ["S5"]);
}

#[tokio::test(start_paused = true)]
async fn s6_growth_faster_than_the_provider_allows() {
    let kit = writing(54);
    kit.three_tablets().await;
    for size in ["20Gi", "30Gi"] {
        let ask = json!({ "spec": { "resources": { "requests": { "storage": size } } } });
        kit.patch(&CLAIMS, &pod_name(TABLETS[0].0), ask);
        kit.pass(120).await;
    }
    assert_eq!(broken(&kit), ["S6"]);
}

#[tokio::test(start_paused = true)]
async fn s9_a_pod_forced_from_a_silent_node() {
    let kit = writing(55);
    kit.three_tablets().await;
    kit.world.cut_zone_from_control_plane("zone-b");
    kit.pass(60).await;
    kit.delete(&PODS, &pod_name(TABLETS[1].0), Some(0));
    kit.pass(5).await;
    assert_eq!(broken(&kit), ["S9", "S9"], "forced, and its processes still run");
}

#[tokio::test(start_paused = true)]
async fn s12_a_failover_while_two_zones_look_dead() {
    let kit = writing(56);
    kit.three_tablets().await;
    kit.world.lose_zone("zone-a");
    kit.world.lose_zone("zone-b");
    kit.pass(120).await;
    let [a, _, c] = TABLETS.map(|(a, _)| alias(a));
    let asked = kit.vitess.emergency_reparent(&cluster(), &shard(), &a, &c, &[]).await;
    assert_eq!(asked.expect_err("nobody could acknowledge").code, "not-safe");
    assert_eq!(broken(&kit), ["S12"]);
}

#[tokio::test(start_paused = true)]
async fn s14_an_errant_candidate() {
    let [a, b, _] = TABLETS.map(|(a, _)| alias(a));
    let mut caught = 0;
    for seed in 60..66 {
        let kit = primary_back(seed).await;
        let truth = kit.world.facts();
        let errant = !truth.shards.values().next().expect("a shard").servers[&a].errant.is_empty();
        let asked = kit.vitess.planned_reparent(&cluster(), &shard(), &b, &a).await;
        assert_eq!(asked.is_err(), errant);
        assert_eq!(broken(&kit).contains(&"S14"), errant);
        caught += usize::from(errant);
    }
    assert!(caught > 0, "some seed leaves an errant tail");
}
