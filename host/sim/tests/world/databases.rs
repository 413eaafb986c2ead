//! Replication, semi-sync, errant transactions, growth, backups.

use pilothouse_core::view::Role;
use pilothouse_sim::apiserver::kinds::{CLAIMS, JOBS, PODS};
use pilothouse_sim::world::WorldSettings;
use serde_json::json;

use crate::kit::{Kit, TABLETS, alias, cluster, pod_name, shard};

fn writing(seed: u64) -> Kit {
    Kit::with(seed, WorldSettings { writes_per_minute: 600, trace: true, ..WorldSettings::default() })
}

#[tokio::test(start_paused = true)]
async fn acknowledged_writes_survive_the_primary() {
    for seed in 20..30 {
        let kit = writing(seed);
        kit.three_tablets().await;
        kit.pass(61).await;
        let (old, new) = (alias(TABLETS[0].0), alias(TABLETS[2].0));
        kit.world.lose_zone("zone-a");
        kit.pass(20).await;
        let before = kit.world.facts();
        let facts = before.shards.values().next().expect("a shard");
        assert!(facts.acked.count() >= 600, "a minute of writes was acknowledged");
        assert!(
            facts.servers.values().all(|s| !s.can_ack),
            "the primary is dead, the replicas are read only"
        );
        kit.vitess.emergency_reparent(&cluster(), &shard(), &old, &new, &[]).await.expect("promoted");
        let after = kit.world.facts();
        let facts = after.shards.values().next().expect("a shard");
        assert!(facts.servers[&new].position.contains(&facts.acked), "nothing acknowledged is lost");
        kit.world.restore_zone("zone-a");
        kit.until(180, "the old primary is judged", |k| {
            k.see().tablets[&old].role != Role::Primary && k.is_ready(&pod_name(TABLETS[0].0))
        })
        .await;
        kit.pass(30).await;
        let seen = kit.see();
        let told = seen.tablets[&old].replication.as_ref().expect("it answers");
        assert_eq!(told.errant.is_empty(), told.source.as_ref() == Some(&new), "errant, so aside; or clean");
    }
}

#[tokio::test(start_paused = true)]
async fn a_primary_without_ackers_acknowledges_nothing() {
    let kit = writing(31);
    kit.three_tablets().await;
    kit.world.lose_zone("zone-b");
    kit.world.lose_zone("zone-c");
    kit.pass(1).await;
    let before = kit.world.facts();
    kit.pass(200).await;
    let after = kit.world.facts();
    let count =
        |f: &pilothouse_sim::world::facts::Facts| f.shards.values().next().expect("a shard").acked.count();
    assert_eq!(count(&before), count(&after));
    let refused =
        kit.vitess.planned_reparent(&cluster(), &shard(), &alias(TABLETS[0].0), &alias(TABLETS[1].0)).await;
    assert_eq!(refused.expect_err("nobody there").code, "unreachable");
    kit.world.restore_zone("zone-b");
    kit.until(90, "writes go on", |k| count(&k.world.facts()) > count(&after)).await;
}

#[tokio::test(start_paused = true)]
async fn an_isolated_zone_with_an_acker_cannot_be_replaced() {
    let kit = writing(32);
    kit.three_tablets().await;
    kit.claim(&pod_name("zone1-0000000104"), 10);
    kit.tablet("zone1-0000000104", "zone-a");
    let second = alias("zone1-0000000104");
    kit.until(120, "a second acker beside the primary", |k| {
        k.see().tablets.get(&second).and_then(|t| t.replication.as_ref()).is_some_and(|r| r.acks)
    })
    .await;
    kit.world.cut_zone_from_control_plane("zone-a");
    kit.pass(30).await;
    let asked = kit
        .vitess
        .emergency_reparent(&cluster(), &shard(), &alias(TABLETS[0].0), &alias(TABLETS[1].0), &[])
        .await;
    assert_eq!(asked.expect_err("both may still write").code, "not-safe");
    let facts = kit.world.facts();
    assert!(facts.shards.values().next().expect("a shard").servers[&alias(TABLETS[0].0)].can_ack);
}

#[tokio::test(start_paused = true)]
async fn reparents_take_the_shards_lock() {
    let kit = Kit::new(33);
    kit.three_tablets().await;
    let [a, b, c] = TABLETS.map(|(a, _)| alias(a));
    let (cluster, shard) = (cluster(), shard());
    let first = kit.vitess.planned_reparent(&cluster, &shard, &a, &b);
    let second = kit.vitess.planned_reparent(&cluster, &shard, &a, &c);
    let (first, second) = tokio::join!(first, second);
    first.expect("the first holds the lock");
    assert_eq!(second.expect_err("locked").code, "locked");
}

#[tokio::test(start_paused = true)]
async fn a_volume_grows_and_the_provider_has_its_limit() {
    let kit = Kit::new(34);
    kit.three_tablets().await;
    let name = pod_name(TABLETS[0].0);
    let size = |k: &Kit| k.get(&CLAIMS, &name).expect("there")["status"]["capacity"]["storage"].clone();
    let ask = |gibi: &str| {
        kit.patch(&CLAIMS, &name, json!({ "spec": { "resources": { "requests": { "storage": gibi } } } }))
    };
    ask("20Gi");
    kit.until(90, "20Gi", |k| size(k) == "20Gi").await;
    assert_eq!(kit.see().tablets[&alias(TABLETS[0].0)].disk_capacity, 20 << 30);
    ask("30Gi");
    kit.until(10, "a refusal", |k| {
        let claim = k.get(&CLAIMS, &name).expect("there");
        claim["status"]["conditions"]
            .as_array()
            .is_some_and(|c| c.iter().any(|c| c["type"] == "ControllerResizeError"))
    })
    .await;
    kit.pass(5 * 3_600).await;
    assert_eq!(size(&kit), "20Gi");
    kit.until(3_700, "30Gi", |k| size(k) == "30Gi").await;
    assert_eq!(kit.world.refused_writes(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_stops_writes_and_is_seen_coming() {
    let kit = writing(35);
    kit.three_tablets().await;
    let primary = alias(TABLETS[0].0);
    assert!(kit.world.fill_rate(&cluster(), &primary, 4 << 30));
    let mut changed = kit.vitess.changed();
    changed.borrow_and_update();
    kit.pass(1_800).await;
    assert!(changed.has_changed().expect("the world runs"), "a bucket was crossed");
    let used = kit.see().tablets[&primary].disk_used.expect("it answers");
    assert!(used > 2 << 30, "{used}");
    kit.pass(3 * 3_600).await;
    let facts = kit.world.facts();
    let server = &facts.shards.values().next().expect("a shard").servers[&primary];
    assert_eq!(server.disk.0, server.disk.1);
    assert!(!server.can_ack, "a full disk takes no writes");
}

#[tokio::test(start_paused = true)]
async fn backups_are_taken_restored_and_proven() {
    let kit = writing(36);
    kit.vtbackup("too-early", "update", "Never");
    kit.until(60, "nothing to restore", |k| {
        k.get(&PODS, "too-early").expect("there")["status"]["phase"] == "Failed"
    })
    .await;
    kit.vtbackup("first", "init", "OnFailure");
    kit.until(120, "a first backup", |k| {
        k.get(&PODS, "first").expect("there")["status"]["phase"] == "Succeeded"
    })
    .await;
    kit.three_tablets().await;
    assert_eq!(kit.see().backups.len(), 1);
    assert_eq!(kit.see().backups[0].verified, None);
    kit.vtbackup("second", "update", "Never");
    kit.until(300, "a second backup", |k| {
        k.get(&PODS, "second").expect("there")["status"]["phase"] == "Succeeded"
    })
    .await;
    let backups = kit.see().backups;
    assert_eq!(backups.len(), 2);
    assert!(backups[0].verified.is_some(), "the first was restored whole");
    assert!(backups[1].finished.is_some() && backups[1].verified.is_none());
    assert!(backups[1].position.contains(&backups[0].position));
    // A tablet on an empty volume restores the newest one, then replicates.
    let name = pod_name(TABLETS[2].0);
    kit.delete(&PODS, &name, None);
    kit.delete(&CLAIMS, &name, None);
    kit.until(120, "Pod and volume gone", |k| k.get(&CLAIMS, &name).is_none()).await;
    kit.claim(&name, 10);
    kit.tablet(TABLETS[2].0, TABLETS[2].1);
    kit.until(120, "restoring", |k| k.see().tablets[&alias(TABLETS[2].0)].role == Role::Restore).await;
    kit.until(120, "replicating", |k| {
        k.see().tablets[&alias(TABLETS[2].0)]
            .replication
            .as_ref()
            .is_some_and(|r| r.source_connected && r.acks)
    })
    .await;
    kit.vitess.remove_backup(&cluster(), &backups[0].name).expect("removed");
    assert_eq!(kit.see().backups.len(), 1);
    assert_eq!(kit.world.refused_writes(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_backup_needs_a_primary_to_catch_up_from() {
    let kit = writing(37);
    kit.vtbackup("first", "init", "OnFailure");
    kit.three_tablets().await;
    kit.until(120, "a first backup", |k| {
        k.get(&PODS, "first").expect("there")["status"]["phase"] == "Succeeded"
    })
    .await;
    kit.world.lose_zone("zone-a");
    kit.pass(60).await; // until then the scheduler believes in the lost nodes
    kit.vtbackup("second", "update", "Never");
    kit.until(600, "the end", |k| k.get(&PODS, "second").expect("there")["status"]["phase"] == "Failed")
        .await;
    assert!(kit.see().backups.iter().all(|b| b.verified.is_none()));
}

#[tokio::test(start_paused = true)]
async fn a_backup_job_runs_to_its_end_and_a_failing_one_gives_up() {
    let kit = writing(38);
    let job = |name: &str, tries: i64| {
        json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": { "name": name, "namespace": "example" },
            "spec": { "backoffLimit": tries, "template": {
                "metadata": { "labels": {
                    "planetscale.com/component": "vtbackup", "planetscale.com/cluster": "example",
                    "planetscale.com/keyspace": "commerce", "planetscale.com/shard": "x-x",
                    "backup.planetscale.com/type": "update", "backup.planetscale.com/location": "",
                } },
                "spec": { "restartPolicy": "Never", "containers": [{ "name": "vtbackup", "image": "vitess/lite:v24" }] },
            } },
        })
    };
    let has = |k: &Kit, name: &str, kind: &str| {
        let job = k.get(&JOBS, name).expect("there");
        job["status"]["conditions"].as_array().is_some_and(|all| all.iter().any(|c| c["type"] == kind))
    };
    kit.create(&JOBS, job("hopeless", 1));
    kit.until(300, "two tries, then the end", |k| has(k, "hopeless", "Failed")).await;
    assert_eq!(kit.get(&JOBS, "hopeless").expect("there")["status"]["failed"], 2);
    kit.first_backup().await;
    kit.three_tablets().await;
    kit.create(&JOBS, job("nightly", 0));
    kit.until(300, "complete", |k| has(k, "nightly", "Complete")).await;
    assert_eq!(kit.see().backups.iter().filter(|b| b.verified.is_some()).count(), 1);
    assert_eq!(kit.world.refused_writes(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn tablets_wait_for_a_first_backup_if_they_are_told_to() {
    let kit = writing(39);
    let flags = ["--restore_from_backup=true", "--wait-for-backup-interval=10s"];
    let name = pod_name(TABLETS[0].0);
    kit.claim(&name, 10);
    kit.tablet_with(TABLETS[0].0, TABLETS[0].1, &flags, &[]);
    kit.until(90, "ready", |k| k.is_ready(&name)).await;
    kit.pass(3_600).await;
    assert_eq!(kit.see().tablets[&alias(TABLETS[0].0)].role, Role::Restore, "an hour later it still waits");
    kit.first_backup().await;
    kit.until(60, "restored", |k| k.see().tablets[&alias(TABLETS[0].0)].role == Role::Replica).await;
    let backup = kit.see().backups[0].position.clone();
    let facts = kit.world.facts();
    let server = &facts.shards.values().next().expect("a shard").servers[&alias(TABLETS[0].0)];
    assert_eq!(server.position, backup);
}
