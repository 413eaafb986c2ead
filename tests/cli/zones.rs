//! `pilothouse zones` against an API server on loopback: what a host wrote down when a zone was lost, and what
//! nobody wrote.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use kube::api::{Api, Patch, PatchParams, PostParams};
use pilothouse::embedded::Embedded;
use pilothouse::kinds::Kind;
use pilothouse::serve;
use pilothouse_tests::seen::{condition, primary};
use pilothouse_tests::stage::{Stage, virtually};
use pilothouse_tests::{built, repository};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::golden;

const HOUR: Duration = Duration::from_secs(3_600);

fn cluster(stage: &Stage) -> Value {
    stage.objects(Kind::VitessCluster, "default").remove(0).as_ref().clone()
}

fn zone<'a>(cluster: &'a Value, name: &str) -> &'a Value {
    cluster["status"]["zones"].as_array().unwrap().iter().find(|z| z["name"] == name).unwrap()
}

async fn at_rest() -> Stage {
    let stage = Stage::three_zones(&built!()).unwrap();
    let manifest = std::fs::read_to_string(repository("crds/examples/three-zones.yaml")).unwrap();
    stage.apply(&manifest).await.unwrap();
    stage.settle().await.unwrap();
    let rests = cluster(&stage);
    assert!(condition(&rests, "Ready").is_some_and(|c| c["status"] == "True"), "{rests:#}");
    stage
}

/// What stands when the example has come up and lost a zone of which its provider posts something.
async fn a_zone_is_lost() -> Embedded {
    let stage = at_rest().await;
    let rests = cluster(&stage);
    let healthy = zone(&rests, "zone-b");
    assert_eq!(healthy["evidence"]["at"], healthy["since"], "nothing is written down but what led to it");

    let nodes: Api<k8s_openapi::api::core::v1::Node> = Api::all(stage.embedded.client.clone());
    let post = json!({ "metadata": { "annotations": { "pilothouse.dev/provider-post": "no power" } } });
    nodes.patch("zone-b-1", &PatchParams::default(), &Patch::Merge(post)).await.unwrap();
    stage.pass_time(HOUR).await;
    assert_eq!(zone(&cluster(&stage), "zone-b"), healthy, "a post alone changes no verdict");
    stage.embedded.world.lose_zone("zone-b");
    let lost = |stage: &Stage| (zone(&cluster(stage), "zone-b")["state"] == "lost").then_some(());
    stage.until(HOUR, lost).await.unwrap();
    let lost = cluster(&stage);
    stage.pass_time(HOUR).await;
    assert_eq!(zone(&cluster(&stage), "zone-b"), zone(&lost, "zone-b"), "and stays as it was then");
    let Embedded { api, world, client, clock, telemetry } = &stage.embedded;
    let stands = Embedded {
        api: api.clone(),
        world: world.clone(),
        client: client.clone(),
        clock: clock.clone(),
        telemetry: telemetry.clone(),
    };
    stage.end().await.unwrap();
    stands
}

/// A cluster in another namespace, whose status somebody wrote.
async fn written_by_hand(stands: &Embedded) {
    let namespace = json!({ "metadata": { "name": "elsewhere" } });
    let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(stands.client.clone());
    namespaces.create(&PostParams::default(), &serde_json::from_value(namespace).unwrap()).await.unwrap();
    let clusters = Kind::VitessCluster.api(&stands.client, "elsewhere");
    for name in ["ferry", "unseen"] {
        let cluster = json!({
            "apiVersion": "planetscale.com/v2", "kind": "VitessCluster", "metadata": { "name": name },
            "spec": { "cells": [] },
        });
        clusters.create(&PostParams::default(), &serde_json::from_value(cluster).unwrap()).await.unwrap();
    }
    let at = 1_767_225_600_000_u64;
    let witnesses = |up: u32, of: u32| json!({ "up": up, "of": of, "since": at - 45_000 });
    let nobody = json!({ "up": 0, "of": 0 });
    let zones = json!([
        {
            "name": "zone-a", "state": "suspect", "since": at - 30_000, "leaningSince": at, "recoveryMs": 60_000,
            "evidence": {
                "at": at, "nodes": witnesses(0, 3), "tablets": witnesses(0, 2), "gateways": nobody, "heardFrom": 1,
            },
        },
        {
            "name": "zone-b", "state": "unknown", "since": at,
            "evidence": {
                "at": at, "nodes": witnesses(0, 3), "tablets": nobody, "gateways": { "up": 0, "of": 1 }, "blind": true,
            },
        },
        { "name": "zone-c", "state": "recovering", "since": at, "recoveryMs": 600_000 },
        { "name": "zone-d", "state": "on fire", "since": at },
    ]);
    let status = Patch::Merge(json!({ "status": { "zones": zones } }));
    clusters.patch_status("ferry", &PatchParams::default(), &status).await.unwrap();
}

fn zones(kubeconfig: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pilothouse-under-test"))
        .arg("zones")
        .args(args)
        .env("KUBECONFIG", kubeconfig)
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap()
}

#[test]
fn zones_are_told_with_what_led_to_their_verdicts() {
    let stands = virtually(async {
        let stands = a_zone_is_lost().await;
        written_by_hand(&stands).await;
        stands
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let stop = CancellationToken::new();
    let served = runtime.block_on(serve::serve(stands.api.clone(), 0, stop.clone())).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let kubeconfig = dir.path().join("kubeconfig");
    std::fs::write(&kubeconfig, &served.kubeconfig).unwrap();

    let succeeds = |args: &[&str]| {
        let output = zones(&kubeconfig, args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    golden("zones.txt", &succeeds(&["--all-namespaces"]));
    let here = succeeds(&[]);
    assert!(here.starts_with("default/harbour\n") && !here.contains("elsewhere/"), "{here}");
    assert_eq!(succeeds(&["harbour"]), here);
    let there = succeeds(&["--namespace", "elsewhere"]);
    assert_eq!(succeeds(&["ferry", "-n", "elsewhere"]) + &succeeds(&["unseen", "-n", "elsewhere"]), there);

    let fails = |args: &[&str], status: i32, words: &str| {
        let output = zones(&kubeconfig, args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{args:?}: {said}");
        assert!(said.contains(words) && output.stdout.is_empty(), "{args:?}: {said}");
    };
    fails(&["harbor"], 1, "there is no VitessCluster default/harbor; in default there are: harbour");
    fails(&["harbour", "-n", "elsewhere"], 1, "elsewhere/harbour; in elsewhere there are: ferry, unseen");
    fails(&["-n", "nowhere"], 1, "there is no namespace nowhere");
    fails(&["harbour", "-n", "nowhere"], 1, "there is no namespace nowhere");
    fails(&["harbour", "-A"], 2, "--all-namespaces");
    stop.cancel();
}

/// The control plane and the host beside it hear nothing of a zone for two hours; replicas elsewhere hear its primary.
#[test]
fn a_zone_that_only_the_host_does_not_hear_is_not_lost() {
    virtually(async {
        let stage = at_rest().await;
        let before = primary(&stage, "default").unwrap();
        stage.embedded.world.cut_zone_from_control_plane(&before.zone);
        for _ in 0..24 {
            stage.pass_time(HOUR / 12).await;
            let now = cluster(&stage);
            assert_eq!(zone(&now, &before.zone)["state"], "suspect", "{:#}", now["status"]["zones"]);
            assert_eq!(primary(&stage, "default").as_ref(), Some(&before));
        }
        let now = cluster(&stage);
        let seen = &zone(&now, &before.zone)["evidence"];
        assert_eq!((&seen["heardFrom"], &seen["tablets"]["up"]), (&json!(2), &json!(0)), "{seen:#}");
        assert_eq!(stage.objects(Kind::VitessShard, "default")[0]["status"]["surgeTablets"], json!(null));
        stage.embedded.world.join_zone_to_control_plane(&before.zone);
        stage.settle().await.unwrap();
        assert_eq!(zone(&cluster(&stage), &before.zone)["state"], "healthy");
        stage.end().await.unwrap();
    });
}
