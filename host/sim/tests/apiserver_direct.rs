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
        [
            (1, ChangeKind::Added, false),
            (2, ChangeKind::Modified, true),
            // Its end is written down before it goes.
            (3, ChangeKind::Modified, true),
            (4, ChangeKind::Deleted, true)
        ]
    );
    assert_eq!(server.list(&kinds::PODS, None).len(), 0);
    let then = server.list_at(&kinds::PODS, Some("default"), start + 1).expect("kept");
    assert_eq!(then.len(), 1);
    assert!(then[0]["spec"].get("nodeName").is_none(), "as it was before the binding");

    server.compact(start + 2);
    assert_eq!(server.events_since(start).expect_err("gone").oldest, start + 2);
    assert!(server.list_at(&kinds::PODS, None, start + 1).is_err());
    assert_eq!(server.events_since(start + 2).expect("kept").len(), 2);
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

/// Draws from a seed, for requests nobody thought of.
struct Draws(u64);

impl Draws {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn value(&mut self, depth: u64) -> Value {
        const FIELDS: [&str; 24] = [
            "metadata",
            "spec",
            "status",
            "name",
            "labels",
            "finalizers",
            "ownerReferences",
            "managedFields",
            "template",
            "containers",
            "volumes",
            "selector",
            "matchLabels",
            "ports",
            "names",
            "versions",
            "replicas",
            "strategy",
            "resources",
            "requests",
            "data",
            "conditions",
            "kind",
            "apiVersion",
        ];
        match self.below(if depth == 0 { 5 } else { 9 }) {
            0 => Value::Null,
            1 => json!(self.below(2) == 0),
            2 => json!(self.below(100)),
            3 => json!("x"),
            4 => json!(-1.5),
            5 => (0..self.below(3)).map(|_| self.value(depth - 1)).collect(),
            _ => {
                let count = self.below(5);
                let field =
                    |draws: &mut Self| FIELDS[usize::try_from(draws.below(24)).expect("small")].to_owned();
                Value::Object((0..count).map(|_| (field(self), self.value(depth - 1))).collect())
            }
        }
    }
}

impl Draws {
    /// Puts `odd` somewhere into the value.
    fn spoil(&mut self, value: &mut Value, odd: Value) {
        let length = match &*value {
            Value::Object(map) => map.len(),
            Value::Array(items) => items.len(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
        };
        if length == 0 || self.below(5) == 0 {
            *value = odd;
            return;
        }
        let at = usize::try_from(self.below(length as u64)).expect("small");
        match value {
            Value::Object(map) => {
                if let Some(child) = map.values_mut().nth(at) {
                    self.spoil(child, odd);
                }
            }
            Value::Array(items) => self.spoil(&mut items[at], odd),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

fn api_version(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').collect();
    if parts[1] == "api" { parts[2].to_owned() } else { format!("{}/{}", parts[2], parts[3]) }
}

/// The kind that discovery names for the resource of `path`.
fn kind_at(server: &ApiServer, path: &str) -> Value {
    let parts: Vec<&str> = path.split('/').take(if path.starts_with("/api/") { 3 } else { 4 }).collect();
    let request = http::Request::builder().uri(parts.join("/")).body(bytes::Bytes::new()).expect("a request");
    let list: Value = serde_json::from_slice(server.handle(request).body()).expect("a list");
    let resources = list["resources"].as_array().expect("resources");
    let named = |resource: &&Value| path.contains(&format!("/{}/", resource["name"].as_str().unwrap_or("?")));
    resources
        .iter()
        .rev()
        .find(named)
        .or(resources.first())
        .map(|resource| resource["kind"].clone())
        .unwrap_or_default()
}

fn name_at(path: &str) -> &'static str {
    if path.ends_with("customresourcedefinitions") { "ships.example.com" } else { "x" }
}

/// An object that the collection at `path` takes.
fn sound(path: &str) -> Value {
    let pod = json!({ "restartPolicy": "Always", "containers": [{ "name": "c", "image": "i", "ports": [{ "containerPort": 80 }] }] });
    let template = json!({ "metadata": { "labels": { "a": "b" } }, "spec": pod });
    let selector = json!({ "matchLabels": { "a": "b" } });
    let spec = match path.rsplit('/').next().expect("a resource") {
        "pods" => pod,
        "services" => json!({ "type": "NodePort", "selector": { "a": "b" }, "ports": [{ "port": 80 }] }),
        "deployments" => json!({ "selector": selector, "template": template }),
        "jobs" => {
            let mut template = template;
            template["spec"]["restartPolicy"] = json!("Never");
            json!({ "template": template })
        }
        "persistentvolumeclaims" => {
            json!({ "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } })
        }
        "poddisruptionbudgets" => json!({ "minAvailable": 1, "selector": selector }),
        "horizontalpodautoscalers" => {
            json!({ "maxReplicas": 3, "scaleTargetRef": { "kind": "Deployment", "name": "x" } })
        }
        "networkpolicies" => json!({ "podSelector": selector }),
        "customresourcedefinitions" => json!({
            "group": "example.com", "scope": "Namespaced", "names": { "plural": "ships", "kind": "Ship" },
            "versions": [{
                "name": "v1", "served": true, "storage": true, "subresources": { "status": {} },
                "schema": { "openAPIV3Schema": { "type": "object", "properties": { "spec": { "type": "object" } } } },
            }],
        }),
        _ => Value::Null,
    };
    let mut object = json!({ "metadata": { "name": name_at(path), "labels": { "a": "b" } } });
    if !spec.is_null() {
        object["spec"] = spec;
    }
    if path.ends_with("storageclasses") {
        object["provisioner"] = json!("p");
    }
    object
}

#[tokio::test(start_paused = true)]
async fn no_request_brings_it_down() {
    let server = server();
    let mut draws = Draws(1);
    let paths = [
        "/api/v1/namespaces",
        "/api/v1/nodes",
        "/api/v1/persistentvolumes",
        "/api/v1/namespaces/default/pods",
        "/api/v1/namespaces/default/services",
        "/api/v1/namespaces/default/secrets",
        "/api/v1/namespaces/default/persistentvolumeclaims",
        "/apis/apps/v1/namespaces/default/deployments",
        "/apis/batch/v1/namespaces/default/jobs",
        "/apis/events.k8s.io/v1/namespaces/default/events",
        "/apis/policy/v1/namespaces/default/poddisruptionbudgets",
        "/apis/storage.k8s.io/v1/storageclasses",
        "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers",
        "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies",
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
        "/apis/coordination.k8s.io/v1/namespaces/default/leases",
    ];
    let forms =
        ["json", "merge-patch+json", "strategic-merge-patch+json", "apply-patch+yaml", "json-patch+json"];
    let mut answered = std::collections::BTreeMap::<u16, u32>::new();
    for _ in 0..6000 {
        let path = paths[usize::try_from(draws.below(16)).expect("small")];
        let form = forms[usize::try_from(draws.below(5)).expect("small")];
        let mut body = draws.value(4);
        if draws.below(4) > 0 {
            body = sound(path);
            for _ in 0..draws.below(3) {
                let odd = draws.value(2);
                draws.spoil(&mut body, odd);
            }
        } else if body.is_object() {
            body["metadata"] =
                json!({ "name": "x", "labels": draws.value(1), "annotations": draws.value(1) });
            body["spec"] = draws.value(4);
        }
        let (method, path) = match draws.below(5) {
            0 => ("DELETE", format!("{path}/{}", name_at(path))),
            1 => ("PUT", format!("{path}/{}", name_at(path))),
            2 => ("POST", path.to_owned()),
            3 => (
                "PATCH",
                format!("{path}/{}/status?fieldManager=f&force={}", name_at(path), form.starts_with("apply")),
            ),
            _ => (
                "PATCH",
                format!("{path}/{}?fieldManager=f&force={}", name_at(path), form.starts_with("apply")),
            ),
        };
        if form.starts_with("apply") && body.is_object() {
            body["apiVersion"] = json!(api_version(&path));
            body["kind"] = kind_at(&server, &path);
        }
        let media = if method == "PATCH" { form } else { "json" };
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", format!("application/{media}"))
            .body(bytes::Bytes::from(body.to_string()))
            .expect("a request");
        let answer = server.handle(request);
        let code = answer.status().as_u16();
        // Server-side apply says 500 of a configuration of other types than its kind's.
        let of_apply = String::from_utf8_lossy(answer.body()).contains("failed to create typed patch object");
        assert!(code != 500 || of_apply, "{:?}", answer.body());
        *answered.entry(code).or_default() += 1;
        pilothouse_sim::apiserver::garbage::collect(&server);
    }
    assert!(answered.get(&201).is_some_and(|count| *count > 200), "some must get through: {answered:?}");
}
