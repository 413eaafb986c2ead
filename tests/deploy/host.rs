//! `pilothouse run` as the Deployment starts it, as a process with a service account's token.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use pilothouse::settings::Settings;
use pilothouse_tests::cluster::Cluster;
use pilothouse_tests::cluster::process::Process;
use serde_json::{Value, json};

/// The one document of that kind and name.
pub(crate) fn document<'a>(documents: &'a [Value], kind: &str, name: &str) -> &'a Value {
    documents.iter().find(|d| d["kind"] == kind && d["metadata"]["name"] == name).unwrap()
}

/// The settings that are installed under a name.
pub(crate) fn settings(documents: &[Value], name: &str) -> Settings {
    let text = &document(documents, "ConfigMap", &format!("{name}-settings"))["data"]["settings.yaml"];
    serde_yaml_ng::from_str(text.as_str().unwrap()).unwrap()
}

/// What the kubelet would start, and with which environment.
pub(crate) fn container<'a>(documents: &'a [Value], name: &str) -> &'a Value {
    &document(documents, "Deployment", name)["spec"]["template"]["spec"]["containers"][0]
}

/// Starts the Pod `name` of what is installed, as its service account, without a kubelet; with
/// `more` arguments than it has there.
pub(crate) async fn start(
    cluster: &Cluster,
    dir: &Path,
    name: &str,
    documents: &[Value],
    more: &[&str],
) -> anyhow::Result<Process> {
    let file = |suffix: &str| dir.join(format!("{name}.{suffix}"));
    // What differs on one machine: a port for each, and a cache that the next run finds again.
    let settings = Settings {
        listen: ([127, 0, 0, 1], 0).into(),
        cache_dir: Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("policies")),
        ..settings(documents, "pilothouse")
    };
    std::fs::write(file("settings"), settings.to_yaml())?;
    std::fs::write(file("kubeconfig"), cluster.kubeconfig(&token(cluster).await?, "pilothouse"))?;
    let container = container(documents, "pilothouse");
    let args = container["args"].as_array().context("it has arguments")?.iter().filter_map(Value::as_str);
    let args = args.map(|a| if a.ends_with("settings.yaml") { file("settings") } else { a.into() });
    let names = container["env"].as_array().context("it has an environment")?.iter();
    let named = names.filter(|e| e["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name");
    let mut command = Command::new(env!("CARGO_BIN_EXE_pilothouse-under-test"));
    command.args(args).args(more).env_clear();
    command.envs(named.filter_map(|e| Some((e["name"].as_str()?, name))));
    // As in every Pod.
    command.env("KUBECONFIG", file("kubeconfig")).env("KUBERNETES_SERVICE_HOST", "127.0.0.1");
    Process::start(&mut command, file("out"), file("log"))
}

/// A token as a kubelet would mount it.
pub(crate) async fn token(cluster: &Cluster) -> anyhow::Result<String> {
    let path = "/api/v1/namespaces/pilothouse/serviceaccounts/pilothouse/token";
    let asked = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {} });
    let request = http::Request::post(path).header("content-type", "application/json");
    let answer: Value = cluster.client.request(request.body(asked.to_string().into_bytes())?).await?;
    Ok(answer["status"]["token"].as_str().context("a token")?.to_owned())
}
