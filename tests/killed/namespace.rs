//! One namespace, with one process at work in it.
//!
//! Owns the process's life, and the record of what it asked. Must not know what should come of it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

use kube::Client;
use pilothouse::embedded;
use pilothouse::settings::Settings;
use pilothouse_tests::cluster::audit::Audit;
use pilothouse_tests::cluster::process::Process;
use pilothouse_tests::cluster::{Cluster, HOST, host};
use pilothouse_tests::standing::{self, Tree};
use pilothouse_tests::{built, predecessor};
use serde_json::{Value, json};

/// What was answered well of what the process asked.
#[derive(Default)]
pub(crate) struct Asked {
    /// Lists: what every process begins with.
    pub(crate) lists: usize,
    /// `VERB RESOURCE NAME` of each write, events apart: who knows nothing of the past tells it again.
    pub(crate) writes: Vec<String>,
    /// `RESOURCE NAME` of each object that was not there before its write.
    pub(crate) made: Vec<String>,
}

pub(crate) struct Namespace {
    pub(crate) name: String,
    client: Client,
    audit: Audit,
    pub(crate) asked: Asked,
    dir: tempfile::TempDir,
    process: Option<Process>,
}

impl Namespace {
    pub(crate) async fn new(cluster: &Cluster, name: String) -> anyhow::Result<Self> {
        let home = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
        embedded::apply(&cluster.client, &[home]).await?;
        let dir = tempfile::tempdir()?;
        // There is no Node, and so no zone to place anything in.
        let placed_by = json!({ "policies": { "placement": null } });
        let settings = Settings {
            namespace: Some(name.clone()),
            listen: ([127, 0, 0, 1], 0).into(),
            cache_dir: Some(built!().cache),
            ..serde_json::from_value(placed_by)?
        };
        std::fs::write(dir.path().join("settings"), settings.to_yaml())?;
        std::fs::write(dir.path().join("kubeconfig"), cluster.kubeconfig(HOST, &name))?;
        let (client, audit) = (cluster.client.clone(), cluster.audit());
        Ok(Self { name, client, audit, asked: Asked::default(), dir, process: None })
    }

    /// Objects as they would be here: addresses of Services name their namespace too.
    fn moved(&self, objects: &[Value]) -> anyhow::Result<Vec<Value>> {
        let mut moved = Vec::new();
        for object in objects {
            let from = object["metadata"]["namespace"].as_str().unwrap_or_default();
            let text = object.to_string().replace(&format!(".{from}.svc"), &format!(".{}.svc", self.name));
            let mut object: Value = serde_json::from_str(&text)?;
            object["metadata"]["namespace"] = json!(self.name);
            moved.push(object);
        }
        Ok(moved)
    }

    pub(crate) async fn apply(&self, manifest: &[Value]) -> anyhow::Result<()> {
        host::apply(&self.client, &self.moved(manifest)?).await
    }

    /// What another operator left, as it left it.
    pub(crate) async fn lay(&self, objects: &[Value]) -> anyhow::Result<()> {
        predecessor::lay(&self.client, &self.moved(objects)?).await
    }

    /// `pilothouse run`.
    pub(crate) fn begin(&mut self) -> anyhow::Result<()> {
        let file = |name: &str| -> PathBuf { self.dir.path().join(name) };
        let mut command = Command::new(built!().program);
        command.args(["--log", "warn", "run", "--settings"]).arg(file("settings"));
        command.env_clear().env("KUBECONFIG", file("kubeconfig"));
        self.process = Some(Process::start(&mut command, file("out"), file("log"))?);
        Ok(())
    }

    /// Whether the process that was begun last says that it looked at a cluster.
    pub(crate) fn has_passed(&self) -> bool {
        let told = std::fs::read_to_string(self.dir.path().join("out")).unwrap_or_default();
        let metrics = || -> std::io::Result<String> {
            let (_, at) = told.trim_end().rsplit_once("http://").unwrap_or_default();
            let at = at.lines().next().unwrap_or_default();
            let mut stream = TcpStream::connect(at)?;
            write!(stream, "GET /metrics HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        // Until it serves, nobody answers.
        metrics().is_ok_and(|answer| answer.contains("pilothouse_passes_total{result=\"ran\"}"))
    }

    /// What all processes logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Kills it without a word.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        self.process.take().map_or(Ok(()), Process::kill)
    }

    /// Takes up what was asked since the last call.
    pub(crate) fn read_on(&mut self) -> anyhow::Result<()> {
        for event in self.audit.read_on()? {
            let text = |at: &str| event.pointer(at).and_then(Value::as_str).unwrap_or_default();
            if text("/objectRef/namespace") != self.name || text("/user/username") != HOST {
                continue;
            }
            let code = event["responseStatus"]["code"].as_u64().unwrap_or(0);
            let resource = text("/objectRef/resource");
            self.asked.lists += usize::from(text("/verb") == "list");
            let is_read = matches!(text("/verb"), "get" | "list" | "watch");
            if is_read || resource == "events" || code >= 300 {
                continue;
            }
            let object = format!("{resource} {}", text("/objectRef/name"));
            self.asked.writes.push(format!("{} {object}", text("/verb")));
            if code == 201 && event["objectRef"]["subresource"].is_null() {
                self.asked.made.push(object);
            }
        }
        Ok(())
    }

    pub(crate) async fn tree(&self) -> anyhow::Result<Tree> {
        Ok(standing::tree(&self.client, &self.name).await?)
    }

    /// What stands, without what no two runs have alike and where it stands.
    pub(crate) async fn outcome(&self) -> anyhow::Result<Tree> {
        let anywhere = |mut object: Value| -> anyhow::Result<Value> {
            standing::forget(&mut object);
            Ok(serde_json::from_str(&object.to_string().replace(&self.name, "here"))?)
        };
        let tree = self.tree().await?.into_iter();
        tree.map(|(key, object)| Ok((key, anywhere(object)?))).collect()
    }
}
