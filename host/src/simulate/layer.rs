//! The faulty way between the host's client and the played API server.
//!
//! A tower service below the real kube stack. Plays what the sky says of each
//! request, and checks what only the wire shows: preconditions (S7), foreign
//! namespaces (S10), secrets (S11).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use futures::future::BoxFuture;
use http::request::Parts;
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::body::{Body, Frame};
use kube::client::Body as HostBody;
use pilothouse_sim::apiserver::{ApiBody, ApiServer};
use serde_json::{Value, json};
use tower::{BoxError, Service};

use super::request::{Asked, Verb};
use super::sky::{Fate, Lost, Met, Sky};
use super::watching;

/// One incarnation of the host's way to the API server.
#[derive(Clone)]
pub(super) struct Layer {
    pub(super) api: ApiServer,
    pub(super) sky: Arc<Sky>,
    /// Which life of the host asks.
    pub(super) incarnation: u64,
    /// The only namespace that the host has business in.
    pub(super) namespace: String,
    /// Whether watches can meet faults at all.
    pub(super) watches: bool,
}

/// An answer's body: as it came, made here, or a watch that faults may meet.
pub(super) enum FaultyBody {
    Whole(Option<Bytes>),
    Plain(ApiBody),
    Lines(Pin<Box<dyn Stream<Item = Result<Bytes, BoxError>> + Send>>),
}

impl Body for FaultyBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut *self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Plain(body) => Pin::new(body).poll_frame(context).map_err(|never| match never {}),
            Self::Lines(lines) => lines.as_mut().poll_next(context).map_ok(Frame::data),
        }
    }
}

impl Service<Request<HostBody>> for Layer {
    type Response = Response<FaultyBody>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<HostBody>) -> Self::Future {
        let layer = self.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = body.collect_bytes().await?;
            layer.serve(parts, body).await
        })
    }
}

impl Layer {
    async fn serve(self, parts: Parts, body: Bytes) -> Result<Response<FaultyBody>, BoxError> {
        let path = parts.uri.path();
        let Some(asked) = Asked::read(&parts.method, path, parts.uri.query().unwrap_or_default()) else {
            return Ok(whole(self.api.handle(Request::from_parts(parts, body))));
        };
        self.dead_stop().await;
        self.check(&asked, &body);
        let Met { fate, latency, kill } = self.sky.meet(&asked, path);
        self.pause(latency.0).await;
        if kill == Some(true) {
            self.sky.note(|| format!("{:?} {path}: the host dies before", asked.verb));
            self.die().await;
        }
        let line = self.line(&parts, &asked, &body);
        if asked.verb == Verb::Watch {
            return self.watch(parts, &asked, &fate, &line).await;
        }
        let answer = self.answer(parts, body, &asked, fate, &line).await;
        if kill == Some(false) {
            self.die().await;
        }
        self.pause(latency.1).await;
        answer
    }

    async fn answer(
        &self,
        parts: Parts,
        body: Bytes,
        asked: &Asked,
        fate: Fate,
        line: &str,
    ) -> Result<Response<FaultyBody>, BoxError> {
        match fate {
            Fate::Served => {
                let answer = self.api.handle(Request::from_parts(parts, body));
                self.sky.note(|| format!("{line} -> {}", answer.status().as_u16()));
                Ok(whole(answer))
            }
            Fate::Refused(code, wait) => {
                self.sky.note(|| format!("{line} -> {code} injected"));
                Ok(refusal(code, wait))
            }
            Fate::AnswerLost { after, how } => {
                let answer = self.api.handle(Request::from_parts(parts, body));
                self.sky
                    .note(|| format!("{line} -> {}, answer lost for {after} ms", answer.status().as_u16()));
                self.lose(after, how).await
            }
            Fate::Delayed { answer, how, apply } => {
                self.sky.note(|| format!("{line} -> applied {apply} ms later"));
                let (api, sky, told) = (self.api.clone(), Arc::clone(&self.sky), line.to_owned());
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(apply)).await;
                    let late = api.handle(Request::from_parts(parts, body));
                    sky.note(|| format!("late: {told} -> {}", late.status().as_u16()));
                });
                self.lose(answer, how).await
            }
            Fate::AsOf(rv) => {
                let answer = self.as_of(parts, body, asked, rv);
                self.sky.note(|| format!("{line} -> {} as of {rv}", answer.status().as_u16()));
                Ok(answer)
            }
        }
    }

    async fn watch(
        self,
        parts: Parts,
        asked: &Asked,
        fate: &Fate,
        line: &str,
    ) -> Result<Response<FaultyBody>, BoxError> {
        if let Fate::Refused(code, wait) = fate {
            self.sky.note(|| format!("{line} -> {code} injected"));
            return Ok(refusal(*code, *wait));
        }
        let answer = match self.api.service().call(Request::from_parts(parts, Full::new(Bytes::new()))).await
        {
            Ok(answer) => answer,
            Err(never) => match never {},
        };
        self.sky.note(|| format!("{line} -> {}", answer.status().as_u16()));
        let (head, body) = answer.into_parts();
        let faulty = self.watches && head.status.is_success();
        let body = if faulty {
            FaultyBody::Lines(Box::pin(watching::lines(body, self.sky, asked.kind.resource.to_string())))
        } else {
            FaultyBody::Plain(body)
        };
        Ok(Response::from_parts(head, body))
    }

    /// A read as an API server that lags would answer it; as of now, where that history is gone.
    fn as_of(&self, mut parts: Parts, body: Bytes, asked: &Asked, rv: u64) -> Response<FaultyBody> {
        let namespace = Some(asked.namespace.as_str()).filter(|n| !n.is_empty());
        if asked.verb == Verb::Get
            && let Ok(then) = self.api.list_at(&asked.kind, namespace, rv)
        {
            let found = then.iter().find(|o| o["metadata"]["name"] == asked.name.as_str());
            return match found {
                Some(object) => made(200, object),
                None => refusal(404, None),
            };
        }
        let older = with_version(&parts.uri, rv).filter(|_| asked.verb == Verb::List);
        if let Some(uri) = older {
            let now = std::mem::replace(&mut parts.uri, uri);
            let answer = self.api.handle(Request::from_parts(parts.clone(), body.clone()));
            if answer.status().is_success() {
                return whole(answer);
            }
            parts.uri = now;
        }
        whole(self.api.handle(Request::from_parts(parts, body)))
    }

    async fn lose(&self, after: u64, how: Lost) -> Result<Response<FaultyBody>, BoxError> {
        self.pause(after).await;
        match how {
            Lost::Timeout => Ok(refusal(504, None)),
            Lost::Broken => Err("connection reset before the answer".into()),
        }
    }

    async fn pause(&self, ms: u64) {
        if ms > 0 {
            tokio::time::sleep(Duration::from_millis(ms)).await;
        }
        self.dead_stop().await;
    }

    /// Whoever asks for a dead host hears nothing any more.
    async fn dead_stop(&self) {
        if self.sky.is_dead(self.incarnation) {
            std::future::pending::<()>().await;
        }
    }

    async fn die(&self) {
        self.sky.kill_at_request();
        std::future::pending::<()>().await;
    }

    fn line(&self, parts: &Parts, asked: &Asked, body: &Bytes) -> String {
        let digest = body
            .iter()
            .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0000_0100_0000_01b3));
        let of = if asked.is_write() { format!(" {digest:016x}") } else { String::new() };
        let said = if asked.kind.resource == "events" { said(body) } else { String::new() };
        format!("host {} {}{of}{said}", parts.method, parts.uri)
    }

    fn check(&self, asked: &Asked, body: &Bytes) {
        let object = || format!("{} {}/{}", asked.kind.resource, asked.namespace, asked.name);
        if asked.is_write() && asked.namespace != self.namespace {
            self.sky.blame_now("S10", format!("the host wrote {}, which is none of its cluster's", object()));
        }
        if asked.kind.resource == "secrets" {
            self.sky.blame_now("S11", format!("the host asked for {}", object()));
        }
        if matches!(asked.verb, Verb::Delete | Verb::Evict) {
            let body: Value = serde_json::from_slice(body).unwrap_or_default();
            let options = if asked.verb == Verb::Evict { &body["deleteOptions"] } else { &body };
            for field in ["uid", "resourceVersion"] {
                if !options["preconditions"][field].is_string() {
                    self.sky
                        .blame_now("S7", format!("{} is deleted without a {field} that must hold", object()));
                }
            }
        }
    }
}

fn said(event: &Bytes) -> String {
    let event: Value = serde_json::from_slice(event).unwrap_or_default();
    format!(
        " {}: {}",
        event["reason"].as_str().unwrap_or_default(),
        event["message"].as_str().unwrap_or_default()
    )
}

fn whole(answer: Response<Bytes>) -> Response<FaultyBody> {
    answer.map(|bytes| FaultyBody::Whole(Some(bytes)))
}

fn made(code: u16, body: &Value) -> Response<FaultyBody> {
    let mut answer = Response::new(FaultyBody::Whole(Some(Bytes::from(body.to_string()))));
    *answer.status_mut() = http::StatusCode::from_u16(code).unwrap_or_default();
    answer.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    answer
}

fn refusal(code: u16, wait: Option<u64>) -> Response<FaultyBody> {
    let reason = match code {
        404 => "NotFound",
        409 => "Conflict",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "InternalError",
    };
    let mut status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "reason": reason, "message": format!("{reason}: injected"), "code": code,
    });
    if let Some(seconds) = wait {
        status["details"] = json!({ "retryAfterSeconds": seconds });
    }
    let mut answer = made(code, &status);
    if let Some(seconds) = wait {
        answer.headers_mut().insert("retry-after", seconds.into());
    }
    answer
}

/// The same list as of exactly that resourceVersion; `None` if it asks for one of its own.
fn with_version(uri: &Uri, rv: u64) -> Option<Uri> {
    let query = uri.query().unwrap_or_default();
    if query.split('&').any(|p| p.starts_with("resourceVersion=") || p.starts_with("continue=")) {
        return None;
    }
    format!("{}?{query}&resourceVersion={rv}&resourceVersionMatch=Exact", uri.path()).parse().ok()
}

#[cfg(test)]
mod tests {
    use http::Method;
    use pilothouse_sim::clock::Clock;

    use super::*;

    /// What the wire's checkers say of one request to a host with business in `ours` only.
    #[track_caller]
    fn check(method: &Method, path: &str, body: &Value, broken: &[&str]) {
        let api = ApiServer::new(Clock::starting_at(0), 1);
        let sky = Arc::new(Sky::new(1, &api, false));
        let layer = Layer {
            api,
            sky: Arc::clone(&sky),
            incarnation: 0,
            namespace: "ours".to_owned(),
            watches: false,
        };
        let asked = Asked::read(method, path, "").expect("an object");
        layer.check(&asked, &Bytes::from(body.to_string()));
        let (_, violations, _) = sky.end();
        let found: Vec<&str> = violations.iter().map(|v| v.id).collect();
        assert_eq!(found, broken, "{method} {path}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_only_the_wire_shows_is_caught() {
        let pod = |namespace: &str| format!("/api/v1/namespaces/{namespace}/pods/p");
        let held = json!({ "preconditions": { "uid": "u", "resourceVersion": "7" } });
        check(&Method::DELETE, &pod("ours"), &held, &[]);
        check(&Method::DELETE, &pod("ours"), &json!({ "preconditions": { "uid": "u" } }), &["S7"]);
        check(&Method::DELETE, &pod("ours"), &json!({}), &["S7", "S7"]);
        let eviction = format!("{}/eviction", pod("ours"));
        check(&Method::POST, &eviction, &json!({ "deleteOptions": held }), &[]);
        check(&Method::POST, &eviction, &held, &["S7", "S7"]);
        check(&Method::PATCH, &pod("ours"), &json!({}), &[]);
        check(&Method::PATCH, &pod("theirs"), &json!({}), &["S10"]);
        check(&Method::GET, &pod("theirs"), &json!({}), &[]);
        check(&Method::GET, "/api/v1/namespaces/ours/secrets/s", &json!({}), &["S11"]);
    }
}
