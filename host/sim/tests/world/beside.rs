//! The databases beside somebody else's Kubernetes: copies of objects go in, what is seen of Vitess comes out.

use std::time::Duration;

use pilothouse_core::view::{Reach, Role};
use pilothouse_sim::apiserver::ResourceId;
use pilothouse_sim::apiserver::kinds::{NODES, PODS};
use pilothouse_sim::clock::Clock;
use pilothouse_sim::world::World;
use pilothouse_sim::world::beside::{Ended, POWER};
use serde_json::{Value, json};

use crate::kit::{NAMESPACE, alias, cluster, shard};

const TABLETS: [&str; 2] = ["zone1-0000000101", "zone2-0000000102"];

fn beside() -> World {
    let world = World::beside(Clock::starting_at(1_767_225_600_000), 1);
    tokio::spawn(world.clone().run(std::future::pending()));
    let keyspace = json!({
        "metadata": { "namespace": NAMESPACE, "name": "example-commerce" },
        "spec": { "name": "commerce", "durabilityPolicy": "semi_sync" },
    });
    world.copy(&ResourceId::of("planetscale.com", "vitesskeyspaces"), keyspace);
    for node in ["n1", "n2"] {
        world.copy(&NODES, self::node(node, "on"));
    }
    world
}

fn node(name: &str, power: &str) -> Value {
    json!({ "metadata": { "name": name, "labels": { POWER: power, "topology.kubernetes.io/zone": name } } })
}

fn pod(name: &str, component: &str, more: &Value) -> Value {
    let mut labels = json!({
        "planetscale.com/component": component, "planetscale.com/cluster": "example",
        "planetscale.com/keyspace": "commerce", "planetscale.com/shard": "x-x",
    });
    for (key, value) in more.as_object().expect("labels") {
        labels[key] = value.clone();
    }
    json!({
        "metadata": { "namespace": NAMESPACE, "name": name, "uid": format!("uid of {name}"), "labels": labels },
        "spec": { "nodeName": "n1", "containers": [{ "name": component, "image": "vitess/lite" }] },
        "status": { "phase": "Running", "conditions": [{ "type": "ContainersReady", "status": "True" }] },
    })
}

fn tablet(at: usize) -> Value {
    let (cell, uid) = TABLETS[at].split_once('-').expect("an alias");
    let labels = json!({
        "planetscale.com/cell": cell, "planetscale.com/tablet-uid": uid, "planetscale.com/tablet-type": "replica",
    });
    let mut pod = pod(TABLETS[at], "vttablet", &labels);
    pod["spec"]["nodeName"] = json!(["n1", "n2"][at]);
    pod
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

fn reach(world: &World, at: usize) -> Option<Reach> {
    world.vitess().observe(&cluster()).tablets.get(&alias(TABLETS[at])).map(|t| t.reach)
}

#[tokio::test(start_paused = true)]
async fn tablets_run_while_their_kubelet_says_so_and_their_machine_has_power() {
    let world = beside();
    let mut starting = tablet(0);
    starting["status"]["conditions"][0]["status"] = json!("False");
    world.copy(&PODS, starting);
    world.copy(&PODS, tablet(1));
    pass(1).await;
    assert_eq!((reach(&world, 0), reach(&world, 1)), (None, Some(Reach::Yes)), "one has not started yet");
    world.copy(&PODS, tablet(0));
    pass(1).await;
    world.vitess().init_primary(&cluster(), &shard(), &alias(TABLETS[0])).await.expect("a first primary");
    pass(10).await;
    assert_eq!(world.vitess().observe(&cluster()).tablets[&alias(TABLETS[0])].role, Role::Primary);

    world.copy(&NODES, node("n2", "off"));
    pass(10).await;
    assert_eq!((reach(&world, 0), reach(&world, 1)), (Some(Reach::Yes), Some(Reach::No)), "n2 is dark");
    world.copy(&NODES, node("n2", "on"));
    pass(15).await;
    assert_eq!(reach(&world, 1), Some(Reach::No), "it boots");
    pass(20).await;
    assert_eq!(reach(&world, 1), Some(Reach::Yes), "its Pod is still the same");

    let mut leaving = tablet(1);
    leaving["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    world.copy(&PODS, leaving);
    pass(10).await;
    assert_eq!(reach(&world, 1), Some(Reach::No), "it stops");
    world.copy_gone(&PODS, NAMESPACE, TABLETS[0]);
    pass(10).await;
    assert_eq!(reach(&world, 0), Some(Reach::No), "it is gone");
}

#[tokio::test(start_paused = true)]
async fn a_backup_that_is_over_is_told_once() {
    let world = beside();
    let first = pod("first", "vtbackup", &json!({ "backup.planetscale.com/type": "init" }));
    world.copy(&PODS, first.clone());
    pass(5).await;
    assert_eq!(world.take_ended(), []);
    pass(60).await;
    let ended = Ended {
        namespace: NAMESPACE.to_owned(),
        pod: "first".to_owned(),
        uid: "uid of first".to_owned(),
        failed: None,
    };
    assert_eq!(world.take_ended(), [ended]);
    let backups = world.vitess().observe(&cluster()).backups;
    assert!(backups.len() == 1 && backups[0].finished.is_some(), "{backups:?}");
    world.copy(&PODS, first);
    pass(60).await;
    assert_eq!(world.take_ended(), [], "its Pod does not say yet that it is over");
}
