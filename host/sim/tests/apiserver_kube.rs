//! The played API server driven by a real kube client under a paused clock.

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{
    Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, Preconditions,
};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::watcher;
use pilothouse_sim::apiserver::{ApiServer, ObjectKey, kinds};
use pilothouse_sim::clock::Clock;
use serde_json::json;

fn server() -> ApiServer {
    ApiServer::new(Clock::starting_at(1_767_225_600_000), 7)
}

fn client(server: &ApiServer) -> kube::Client {
    kube::Client::new(server.service(), "default")
}

fn config_map(name: &str, value: &str) -> ConfigMap {
    serde_json::from_value(json!({ "metadata": { "name": name }, "data": { "key": value } }))
        .expect("a config map")
}

#[tokio::test(start_paused = true)]
async fn a_watcher_lists_then_follows_and_survives_compaction() {
    let server = server();
    let api: Api<ConfigMap> = Api::default_namespaced(client(&server));
    api.create(&PostParams::default(), &config_map("a", "1")).await.expect("created");
    let mut stream = Box::pin(watcher(api.clone(), watcher::Config::default()));
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(match stream.try_next().await.expect("an event").expect("not over") {
            watcher::Event::Init => "init".to_owned(),
            watcher::Event::InitApply(object) => format!("init {}", object.metadata.name.unwrap_or_default()),
            watcher::Event::InitDone => "done".to_owned(),
            watcher::Event::Apply(object) => format!("apply {}", object.metadata.name.unwrap_or_default()),
            watcher::Event::Delete(object) => format!("delete {}", object.metadata.name.unwrap_or_default()),
        });
    }
    assert_eq!(seen, ["init", "init a", "done"]);
    let waiting = tokio::spawn(async move { stream.next().await.map(|event| (event, stream)) });
    tokio::time::sleep(std::time::Duration::from_secs(900)).await;
    api.create(&PostParams::default(), &config_map("b", "1")).await.expect("created");
    let (event, mut stream) = waiting.await.expect("joined").expect("an event");
    assert!(
        matches!(event, Ok(watcher::Event::Apply(object)) if object.metadata.name.as_deref() == Some("b"))
    );

    // The watch runs out while history is forgotten: the watcher lists again.
    api.delete("a", &DeleteParams::default()).await.expect("deleted");
    assert!(matches!(stream.try_next().await, Ok(Some(watcher::Event::Delete(_)))));
    assert!(server.counters().watches_opened >= 3, "watches are re-opened: {:?}", server.counters());
}

#[tokio::test(start_paused = true)]
async fn conflicts_and_preconditions() {
    let server = server();
    let api: Api<ConfigMap> = Api::default_namespaced(client(&server));
    let first = api.create(&PostParams::default(), &config_map("a", "1")).await.expect("created");
    let mut second = first.clone();
    second.data = Some([("key".to_owned(), "2".to_owned())].into());
    api.replace("a", &PostParams::default(), &second).await.expect("replaced");
    let refused = api.replace("a", &PostParams::default(), &second).await.expect_err("stale");
    let kube::Error::Api(status) = refused else { panic!("{refused}") };
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    let wrong = DeleteParams::default()
        .preconditions(Preconditions { uid: Some("other".to_owned()), resource_version: None });
    let refused = api.delete("a", &wrong).await.expect_err("wrong uid");
    assert!(refused.to_string().contains("the UID in the precondition (other) does not match"), "{refused}");
    let right = DeleteParams::default()
        .preconditions(Preconditions { uid: first.metadata.uid, resource_version: None });
    api.delete("a", &right).await.expect("deleted");
    assert!(server.get(&ObjectKey::new(kinds::CONFIG_MAPS, "default", "a")).is_none());
}

#[tokio::test(start_paused = true)]
async fn server_side_apply_owns_and_conflicts() {
    let server = server();
    let api: Api<ConfigMap> = Api::default_namespaced(client(&server));
    let apply = |data: serde_json::Value| json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "a" }, "data": data });
    let as_one = PatchParams::apply("one");
    let as_two = PatchParams::apply("two");
    api.patch("a", &as_one, &Patch::Apply(apply(json!({ "x": "1", "y": "1" })))).await.expect("applied");
    let refused =
        api.patch("a", &as_two, &Patch::Apply(apply(json!({ "x": "2" })))).await.expect_err("conflict");
    assert!(
        refused.to_string().contains("Apply failed with 1 conflict: conflict with \"one\": .data.x"),
        "{refused}"
    );
    api.patch("a", &as_two.clone().force(), &Patch::Apply(apply(json!({ "x": "2" })))).await.expect("forced");
    let after = api.patch("a", &as_one, &Patch::Apply(apply(json!({})))).await.expect("applied");
    let data = after.data.unwrap_or_default();
    assert_eq!(data.get("x").map(String::as_str), Some("2"));
    assert!(!data.contains_key("y"), "a field its only owner drops is gone: {data:?}");
}

#[tokio::test(start_paused = true)]
async fn a_custom_kind_is_served_once_defined() {
    let server = server();
    let client = client(&server);
    let definition: CustomResourceDefinition = serde_json::from_value(json!({
        "metadata": { "name": "ships.example.com" },
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": { "plural": "ships", "kind": "Ship" },
            "versions": [{
                "name": "v1", "served": true, "storage": true, "subresources": { "status": {} },
                "schema": { "openAPIV3Schema": { "type": "object", "properties": {
                    "spec": { "type": "object", "properties": { "masts": { "type": "integer", "default": 3 } } },
                    "status": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
                } } },
            }],
        },
    }))
    .expect("a definition");
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    definitions.create(&PostParams::default(), &definition).await.expect("defined");
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("example.com", "v1", "Ship"));
    let ships: Api<DynamicObject> = Api::namespaced_with(client, "default", &resource);
    let ship = DynamicObject::new("a", &resource).data(json!({ "spec": { "unknown": 1 } }));
    let made = ships.create(&PostParams::default(), &ship).await.expect("created");
    assert_eq!(made.data["spec"], json!({ "masts": 3 }));
    let patched = ships
        .patch_status("a", &PatchParams::default(), &Patch::Merge(json!({ "status": { "afloat": true } })))
        .await
        .expect("patched");
    assert_eq!(patched.data["status"], json!({ "afloat": true }));
    assert_eq!(patched.metadata.generation, Some(1));
}

#[tokio::test(start_paused = true)]
async fn lists_page_consistently() {
    let server = server();
    let api: Api<ConfigMap> = Api::default_namespaced(client(&server));
    for name in ["a", "b", "c"] {
        api.create(&PostParams::default(), &config_map(name, "1")).await.expect("created");
    }
    let first = api.list(&ListParams::default().limit(2)).await.expect("a page");
    api.delete("c", &DeleteParams::default()).await.expect("deleted");
    let token = first.metadata.continue_.clone().expect("goes on");
    let second = api.list(&ListParams::default().limit(2).continue_token(&token)).await.expect("a page");
    assert_eq!(second.items.len(), 1, "the snapshot still has the third");
    server.compact(server.newest());
    let refused = api.list(&ListParams::default().limit(2).continue_token(&token)).await.expect_err("gone");
    let kube::Error::Api(status) = refused else { panic!("{refused}") };
    assert_eq!((status.code, status.reason.as_str()), (410, "Expired"));
}

#[tokio::test(start_paused = true)]
async fn a_scheduled_pod_takes_its_grace() {
    let server = server();
    let client = client(&server);
    let namespaces: Api<Namespace> = Api::all(client.clone());
    assert_eq!(namespaces.list(&ListParams::default()).await.expect("listed").items.len(), 2);
    let pods: Api<Pod> = Api::default_namespaced(client);
    let pod: Pod = serde_json::from_value(json!({
        "metadata": { "name": "a" }, "spec": { "containers": [{ "name": "c", "image": "i:1" }] },
    }))
    .expect("a pod");
    pods.create(&PostParams::default(), &pod).await.expect("created");
    server.bind("default", "a", "node-1").expect("bound");
    pods.delete("a", &DeleteParams::default()).await.expect("deleted");
    let waiting = pods.get("a").await.expect("still there");
    assert_eq!(waiting.metadata.deletion_grace_period_seconds, Some(30));
    pods.delete("a", &DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() })
        .await
        .expect("deleted");
    assert!(pods.get_opt("a").await.expect("asked").is_none());
}
