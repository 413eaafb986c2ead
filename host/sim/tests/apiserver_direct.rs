//! The played API server as the played controllers use it: synchronously, without HTTP.

use std::time::Duration;

use pilothouse_sim::apiserver::{
    ApiServer, ChangeKind, DeleteOptions, FieldValidation, ObjectKey, Propagation, kinds,
};
use pilothouse_sim::clock::Clock;
use serde_json::{Value, json};

fn server() -> ApiServer {
    ApiServer::new(Clock::starting_at(1_767_225_600_000), 7)
}

fn pod(name: &str) -> Value {
    json!({
        "metadata": { "name": name, "namespace": "default" },
        "spec": { "containers": [{ "name": "c", "image": "i:1" }] },
    })
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::new(kinds::PODS, "default", name)
}

#[tokio::test(start_paused = true)]
async fn history_tells_every_change_until_it_is_forgotten() {
    let server = server();
    let mut newest = server.subscribe();
    let start = server.newest();
    server.create("world", &kinds::PODS, pod("a")).expect("created");
    server.bind("default", "a", "n").expect("bound");
    let options = DeleteOptions { grace_seconds: Some(0), ..DeleteOptions::default() };
    server.delete(&key("a"), &options).expect("deleted");
    assert!(newest.has_changed().expect("open"));
    assert_eq!(*newest.borrow_and_update(), server.newest());

    let events = server.events_since(start).expect("all there");
    let told: Vec<_> =
        events.iter().map(|event| (event.rv - start, event.what, event.previous.is_some())).collect();
    assert_eq!(
        told,
        [(1, ChangeKind::Added, false), (2, ChangeKind::Modified, true), (3, ChangeKind::Deleted, true)]
    );
    assert_eq!(server.list(&kinds::PODS, None).len(), 0);
    let then = server.list_at(&kinds::PODS, Some("default"), start + 1).expect("kept");
    assert_eq!(then.len(), 1);
    assert!(then[0]["spec"].get("nodeName").is_none(), "as it was before the binding");

    server.compact(start + 2);
    assert_eq!(server.events_since(start).expect_err("gone").oldest, start + 2);
    assert!(server.list_at(&kinds::PODS, None, start + 1).is_err());
    assert_eq!(server.events_since(start + 2).expect("kept").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_history_window_forgets_by_itself() {
    let server = server();
    server.keep_history(Some(300_000));
    let start = server.newest();
    for name in ["a", "b", "c"] {
        server.create("world", &kinds::PODS, pod(name)).expect("created");
        tokio::time::sleep(Duration::from_secs(301)).await;
    }
    assert!(server.events_since(start).is_err(), "two windows ago");
    assert!(server.events_since(server.newest()).is_ok());
}

#[tokio::test(start_paused = true)]
async fn controllers_are_held_to_the_same_rules() {
    let server = server();
    let mut odd = pod("a");
    odd["spec"]["sails"] = json!(3);
    let refused = server.create("world", &kinds::PODS, odd).expect_err("strict");
    assert!(refused.message.contains("unknown field \"spec.sails\""), "{refused}");
    let made = server.create("world", &kinds::PODS, pod("a")).expect("created");

    let running = json!({ "status": { "phase": "Running" }, "spec": { "nodeName": "elsewhere" } });
    let after = server.merge_patch("kubelet", &key("a"), &running, Some("status")).expect("patched");
    assert_eq!(after["status"]["phase"], json!("Running"));
    assert!(after["spec"].get("nodeName").is_none(), "the status door moves no Pod");

    let mut stale = (*made).clone();
    stale["status"]["phase"] = json!("Failed");
    assert_eq!(server.update_status("kubelet", &kinds::PODS, stale).expect_err("stale").code, 409);
    let mut fresh = (*after).clone();
    fresh["metadata"]["labels"] = json!({ "x": "y" });
    let labelled = server.update("world", &kinds::PODS, fresh).expect("updated");
    assert_eq!(labelled["metadata"]["labels"]["x"], json!("y"));

    let other = DeleteOptions { uid: Some("other".to_owned()), ..DeleteOptions::default() };
    assert_eq!(server.delete(&key("a"), &other).expect_err("another UID").reason, "Conflict");
    let front = DeleteOptions { propagation: Some(Propagation::Foreground), ..DeleteOptions::default() };
    let waiting = server.delete(&key("a"), &front).expect("marked");
    assert_eq!(waiting["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    assert_eq!(FieldValidation::default(), FieldValidation::Warn);
}

#[tokio::test(start_paused = true)]
async fn the_seed_gives_the_names() {
    let made = |seed| {
        let server = ApiServer::new(Clock::starting_at(0), seed);
        let object = json!({ "metadata": { "generateName": "x-", "namespace": "default" } });
        server.create("world", &kinds::CONFIG_MAPS, object).expect("created").to_string()
    };
    assert_eq!(made(1), made(1));
    assert_ne!(made(1), made(2));
}
