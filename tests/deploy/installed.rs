//! The manifests by themselves: what refers to what, and what the API server says of the Pods.

use kube::Client;
use pilothouse_tests::cluster::{self, Cluster};
use serde_json::{Value, json};

use crate::host::{container, document, settings};
use crate::{block_on, install, kustomized, manifests};

fn names(documents: &[Value]) -> Vec<String> {
    let named = |d: &Value| format!("{} {}/{}", d["kind"], d["metadata"]["namespace"], d["metadata"]["name"]);
    documents.iter().map(named).collect()
}

#[test]
fn no_rule_has_a_wildcard_and_nobody_is_given_secrets() {
    let documents = manifests();
    let roles: Vec<&Value> =
        documents.iter().filter(|d| d["kind"] == "Role" || d["kind"] == "ClusterRole").collect();
    assert_eq!(roles.len(), 4);
    let rules = |role: &Value| role["rules"].to_string();
    for role in &roles {
        let text = rules(role);
        assert!(!text.contains('*') && !text.contains("nonResourceURLs"), "{text}");
    }
    let secrets = |role: &&&Value| rules(role).contains("secrets");
    let of_secrets: Vec<&Value> =
        roles.iter().filter(secrets).map(|role| &role["metadata"]["name"]).collect();
    assert_eq!(of_secrets, ["pilothouse-vtadmin"]);
    let bound = documents.iter().any(|d| d["roleRef"]["name"] == "pilothouse-vtadmin");
    assert!(!bound, "people bind it, namespace by namespace");
}

#[test]
fn whatever_is_referred_to_is_there() {
    let documents = manifests();
    let pod = &document(&documents, "Deployment", "pilothouse")["spec"]["template"];
    let (container, settings) = (container(&documents, "pilothouse"), settings(&documents, "pilothouse"));
    document(&documents, "ServiceAccount", pod["spec"]["serviceAccountName"].as_str().unwrap());
    document(&documents, "PriorityClass", pod["spec"]["priorityClassName"].as_str().unwrap());
    let port = &container["ports"][0];
    assert_eq!(port["containerPort"], settings.listen.port());
    assert!(settings.listen.ip().is_unspecified(), "a kubelet asks from outside");
    for (probe, path) in [("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")] {
        assert_eq!(container[probe]["httpGet"], json!({ "path": path, "port": port["name"] }));
        assert_ne!(pilothouse::telemetry::Telemetry::default().answer(path).0, 404, "{path} is served");
    }
    let mounts = container["volumeMounts"].as_array().unwrap();
    let mounted = |path: &str| mounts.iter().find(|m| m["mountPath"].as_str() == Some(path)).unwrap();
    let volume = |mount: &Value| {
        let volumes = pod["spec"]["volumes"].as_array().unwrap();
        volumes.iter().find(|v| v["name"] == mount["name"]).unwrap().clone()
    };
    let cache = settings.cache_dir.unwrap();
    assert!(volume(mounted(cache.to_str().unwrap()))["emptyDir"].is_object(), "the root cannot be written");
    let args = container["args"].as_array().unwrap();
    let file = args.last().and_then(Value::as_str).unwrap();
    let (folder, key) = file.rsplit_once('/').unwrap();
    let source = volume(mounted(folder))["configMap"]["name"].clone();
    assert!(document(&documents, "ConfigMap", source.as_str().unwrap())["data"][key].is_string());
    let labels = &pod["metadata"]["labels"];
    for (kind, selector) in [
        ("Deployment", "/spec/selector/matchLabels"),
        ("PodDisruptionBudget", "/spec/selector/matchLabels"),
        ("NetworkPolicy", "/spec/podSelector/matchLabels"),
    ] {
        assert_eq!(document(&documents, kind, "pilothouse").pointer(selector), Some(labels), "{kind}");
    }
}

#[test]
fn kubectl_makes_the_same_objects_of_it() {
    let Some(mut made) = kustomized("manifests") else { return };
    let mut ours = manifests();
    made.sort_by_key(|d| d.to_string());
    ours.sort_by_key(|d| d.to_string());
    assert_eq!(names(&made), names(&ours));
    assert_eq!(made, ours);
}

/// The Pod that the Deployment's controller would make, asked for without being kept.
async fn would_be_taken(client: &Client, documents: &[Value], change: fn(&mut Value)) -> Result<(), String> {
    let mut pod = document(documents, "Deployment", "pilothouse")["spec"]["template"].clone();
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    pod["metadata"]["name"] = json!("pilothouse-0");
    change(&mut pod["spec"]);
    let request = http::Request::post("/api/v1/namespaces/pilothouse/pods?dryRun=All&fieldValidation=Strict");
    let request = request.header("content-type", "application/json").body(pod.to_string().into_bytes());
    client.request::<Value>(request.unwrap()).await.map(|_| ()).map_err(|e| e.to_string())
}

#[test]
fn restricted_pod_security_takes_the_pods() {
    let Some(binary) = cluster::binary().unwrap() else { return };
    block_on(async {
        let (cluster, documents) = (Cluster::start(&binary).await.unwrap(), manifests());
        install(&cluster.client, &documents).await.unwrap();
        would_be_taken(&cluster.client, &documents, |_| {}).await.unwrap();
        let loosened: [fn(&mut Value); 3] = [
            |spec| spec["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = json!(true),
            |spec| spec["securityContext"]["runAsNonRoot"] = json!(false),
            |spec| spec["hostNetwork"] = json!(true),
        ];
        for loosen in loosened {
            let refused = would_be_taken(&cluster.client, &documents, loosen).await.unwrap_err();
            assert!(refused.contains("PodSecurity"), "{refused}");
        }
    });
}
