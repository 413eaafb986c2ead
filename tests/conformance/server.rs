//! One of the two servers: it is sent requests, and what it answered is remembered for those that refer to it.
//!
//! Must not know which of the two it is.

use std::collections::BTreeMap;

use anyhow::Context as _;
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body as ClientBody;
use serde_json::{Value, json};

use crate::script::{Body, Part, Request};
use crate::sequence::merged;

/// The code of what asks for a history that is forgotten.
pub(super) const EXPIRED: u16 = 410;

/// What came back.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    pub(super) code: u16,
    pub(super) warnings: Vec<String>,
    /// An object, a list or a Status; of a watch all its events.
    pub(super) body: Value,
}

impl Answer {
    /// Its code, or that of the error event that ends a watch.
    pub(super) fn told(&self) -> u16 {
        let last = self.body.as_array().and_then(|events| events.last());
        let failed =
            last.filter(|event| event["type"] == "ERROR").and_then(|event| event["object"]["code"].as_u64());
        failed.and_then(|code| u16::try_from(code).ok()).unwrap_or(self.code)
    }
}

/// A server, seen from a namespace of its own.
pub(super) struct Server {
    client: Client,
    namespace: String,
    /// The namespace itself: what a reference to an answer that never came stands for.
    own: Value,
    answers: BTreeMap<usize, Value>,
}

impl Server {
    /// The server with a fresh namespace.
    pub(super) async fn new(client: Client, namespace: &str) -> anyhow::Result<Self> {
        let mut server =
            Self { client, namespace: namespace.to_owned(), own: Value::Null, answers: BTreeMap::new() };
        let object = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } });
        let request = http::Request::post("/api/v1/namespaces").header("content-type", "application/json");
        let answer =
            server.exchange(request.body(ClientBody::from(object.to_string().into_bytes()))?).await?;
        anyhow::ensure!(answer.code == 201, "namespace {namespace}: {answer:?}");
        server.own = answer.body;
        Ok(server)
    }

    /// Another way to the same server.
    pub(super) fn reach_by(&mut self, client: &Client) {
        self.client = client.clone();
    }

    /// Sends a request; a watch until it ends.
    pub(super) async fn send(&self, request: &Request) -> anyhow::Result<Answer> {
        let mut path = format!("/{}/namespaces/{}/{}", request.path, self.namespace, request.resource);
        for part in request.name.as_deref().into_iter().chain(request.subresource) {
            path.push('/');
            path.push_str(&escape(&self.resolve(part)));
        }
        let mut query: Vec<String> = Vec::new();
        for (key, value) in &request.query {
            query.push(format!("{key}={}", escape(&self.resolve(value))));
        }
        let method = if request.method == "WATCH" { "GET" } else { request.method };
        if request.method == "WATCH" {
            query.push("watch=true".to_owned());
        }
        let body = match &request.body {
            Body::Nothing => Vec::new(),
            Body::Json(value) => self.resolved(value).to_string().into_bytes(),
            Body::Answer { of, merge } => {
                let read = self.answers.get(of).cloned().unwrap_or_else(|| self.nothing_read(request));
                merged(read, &self.resolved(merge)).to_string().into_bytes()
            }
        };
        let mut built = http::Request::builder().method(method).uri(format!("{path}?{}", query.join("&")));
        built = built.header("user-agent", "conformance/1");
        if !body.is_empty() {
            built = built.header("content-type", request.media_type);
        }
        self.exchange(built.body(ClientBody::from(body))?).await.with_context(|| request.to_string())
    }

    /// What a client that read nothing writes.
    fn nothing_read(&self, request: &Request) -> Value {
        let api_version = request.path.split_once('/').map_or("", |(_, version)| version);
        let name = self.resolve(request.name.as_deref().unwrap_or_default());
        json!({ "apiVersion": api_version, "kind": request.kind, "metadata": { "name": name } })
    }

    /// Keeps an answer for later requests.
    pub(super) fn remember(&mut self, request: &Request, answer: &Answer) {
        if (answer.code < 300 || answer.code == EXPIRED) && request.method != "WATCH" {
            self.answers.insert(request.id, answer.body.clone());
        }
    }

    async fn exchange(&self, request: http::Request<ClientBody>) -> anyhow::Result<Answer> {
        let response = self.client.send(request).await?;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await?.to_bytes();
        let warnings = parts.headers.get_all("warning").iter();
        let warnings = warnings.map(|w| String::from_utf8_lossy(w.as_bytes()).into_owned()).collect();
        let values: Result<Vec<Value>, _> =
            serde_json::Deserializer::from_slice(&bytes).into_iter().collect();
        let body = match values {
            Ok(values) if values.len() == 1 && values[0].get("object").is_none() => {
                values.into_iter().next().unwrap_or_default()
            }
            Ok(values) => Value::Array(values),
            Err(_) => json!(String::from_utf8_lossy(&bytes)),
        };
        Ok(Answer { code: parts.status.as_u16(), warnings, body })
    }

    fn part(&self, part: Part, of: usize) -> String {
        let object = self.answers.get(&of).unwrap_or(&self.own);
        let text = |pointer: &str| {
            let found = object.pointer(pointer).and_then(Value::as_str);
            found.or_else(|| self.own.pointer(pointer).and_then(Value::as_str)).unwrap_or("")
        };
        match part {
            Part::Version => text("/metadata/resourceVersion").to_owned(),
            Part::Uid => text("/metadata/uid").to_owned(),
            Part::Name if object == &self.own => "nobody".to_owned(),
            Part::Name => text("/metadata/name").to_owned(),
            Part::Continue => text("/metadata/continue").to_owned(),
        }
    }

    /// A text with what its references stand for.
    fn resolve(&self, text: &str) -> String {
        let reference = || {
            let (what, of) = text.strip_prefix('{')?.strip_suffix('}')?.split_once(':')?;
            let part = Part::ALL.into_iter().find(|part| part.word() == what)?;
            Some(self.part(part, of.parse().ok()?))
        };
        reference().unwrap_or_else(|| text.to_owned())
    }

    fn resolved(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => json!(self.resolve(text)),
            Value::Array(items) => items.iter().map(|item| self.resolved(item)).collect(),
            Value::Object(map) => map.iter().map(|(k, v)| (k.clone(), self.resolved(v))).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }
}

fn escape(text: &str) -> String {
    let kept = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes()
        .map(|byte| if kept(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
