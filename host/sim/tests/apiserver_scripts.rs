//! Scripts of requests against the played API server, with the rendered answers beside them.
//!
//! In `tests/apiserver/*.txt`, lines that start with
//! - `>` are a request: `> VERB /path`, then `> header: value` lines, then `> {json}` body lines;
//! - `?` after a request name the JSON pointers to show of its answer;
//! - `!` are the world's doings: `advance SECONDS`, `compact`, `collect`, `bind NAMESPACE/POD NODE`,
//!   `create CONFIGMAP`, `watch NAME /path`, `watch-table NAME /path`, `read NAME`, `counters`;
//! - `#` are comments.
//!
//! Everything else is the expected answer. `PILOTHOUSE_ACCEPT=1` rewrites it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use bytes::Bytes;
use futures::FutureExt;
use http::Request;
use http_body_util::{BodyExt, Full};
use pilothouse_sim::apiserver::{ApiBody, ApiServer, garbage, kinds};
use pilothouse_sim::clock::Clock;
use serde_json::Value;
use tower::ServiceExt;

struct Stage {
    server: ApiServer,
    watches: BTreeMap<String, ApiBody>,
    /// The answer's body of the last request, for `{pointer}` references in later ones.
    last: Value,
}

#[derive(Default)]
struct Asked {
    lines: Vec<String>,
    pointers: Vec<String>,
}

impl Stage {
    fn new() -> Self {
        let server = ApiServer::new(Clock::starting_at(1_767_225_600_000), 1);
        Self { server, watches: BTreeMap::new(), last: Value::Null }
    }

    /// `{/metadata/uid}` stands for that place in the last answer.
    fn fill(&self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(start) = rest.find("{/") {
            let Some(end) = rest[start..].find('}') else { break };
            out.push_str(&rest[..start]);
            let found = self.last.pointer(&rest[start + 1..start + end]).cloned().unwrap_or(Value::Null);
            out.push_str(found.as_str().map_or_else(|| found.to_string(), str::to_owned).as_str());
            rest = &rest[start + end + 1..];
        }
        out + rest
    }

    async fn ask(&mut self, asked: &Asked) -> String {
        let lines: Vec<String> = asked.lines.iter().map(|line| self.fill(line)).collect();
        let (method, path) = lines[0].split_once(' ').expect("a verb and a path");
        let mut builder = Request::builder().method(method).uri(encode(path));
        let mut body = String::new();
        let mut typed = false;
        for line in &lines[1..] {
            match line.split_once(": ").filter(|_| body.is_empty() && !line.starts_with(['{', '['])) {
                Some((name, value)) => {
                    typed |= name.eq_ignore_ascii_case("content-type");
                    builder = builder.header(name, value);
                }
                None => body.push_str(line),
            }
        }
        if !typed && !body.is_empty() {
            builder = builder.header("content-type", "application/json");
        }
        let request = builder.body(Full::new(Bytes::from(body))).expect("a request");
        let response = self.server.service().oneshot(request).await.expect("infallible");
        let mut out = response.status().as_u16().to_string();
        for warning in response.headers().get_all("warning") {
            write!(out, "\n  warning {}", warning.to_str().expect("text")).expect("written");
        }
        let bytes = response.into_body().collect().await.expect("infallible").to_bytes();
        match serde_json::from_slice::<Value>(&bytes) {
            Ok(value) => {
                out.push_str(&render(&value, &asked.pointers));
                self.last = value;
            }
            Err(_) => write!(out, " {}", String::from_utf8_lossy(&bytes)).expect("written"),
        }
        out
    }

    async fn act(&mut self, text: &str) -> String {
        let words: Vec<&str> = text.split_whitespace().collect();
        match words.as_slice() {
            ["advance", seconds] => {
                let seconds = seconds.parse().expect("seconds");
                tokio::time::sleep(std::time::Duration::from_secs(seconds)).await;
                String::new()
            }
            ["compact"] => {
                self.server.compact(self.server.newest());
                String::new()
            }
            ["collect"] => format!("{} done", garbage::collect(&self.server)),
            ["bind", pod, node] => {
                let (namespace, name) = pod.split_once('/').expect("namespace/pod");
                self.server
                    .bind(namespace, name, node)
                    .map_or_else(|status| status.message, |()| "bound".to_owned())
            }
            ["create", name] => {
                let object = serde_json::json!({ "metadata": { "name": name, "namespace": "default" } });
                let made = self.server.create("world", &kinds::CONFIG_MAPS, object);
                made.map_or_else(|status| status.message, |_| "created".to_owned())
            }
            [verb @ ("watch" | "watch-table"), name, path @ ..] => {
                let accept = if *verb == "watch" {
                    "application/json"
                } else {
                    "application/json;as=Table;v=v1;g=meta.k8s.io"
                };
                let request = Request::builder()
                    .header("accept", accept)
                    .uri(self.fill(&path.join("%20")))
                    .body(Full::new(Bytes::new()))
                    .expect("a request");
                let response = self.server.service().oneshot(request).await.expect("infallible");
                let code = response.status().as_u16();
                if code != 200 {
                    let bytes = response.into_body().collect().await.expect("infallible").to_bytes();
                    let value: Value = serde_json::from_slice(&bytes).expect("a status");
                    return format!("{code}{}", render(&value, &[]));
                }
                self.watches.insert((*name).to_owned(), response.into_body());
                String::new()
            }
            ["read", name] => self.read(name),
            ["counters"] => {
                let counters = self.server.counters();
                let writes = counters.writes.iter().map(|(kind, count)| format!("writes {kind} {count}"));
                let missing =
                    counters.unsupported.iter().map(|(what, count)| format!("unsupported {what} {count}"));
                writes.chain(missing).collect::<Vec<_>>().join("\n")
            }
            _ => panic!("unknown doing: {text}"),
        }
    }

    fn read(&mut self, name: &str) -> String {
        let body = self.watches.get_mut(name).expect("a watch of that name");
        let mut lines = Vec::new();
        loop {
            match body.frame().now_or_never() {
                None => break,
                Some(None) => {
                    lines.push("end".to_owned());
                    break;
                }
                Some(Some(frame)) => {
                    let data = frame.expect("infallible").into_data().expect("data");
                    for line in data.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                        let event: Value = serde_json::from_slice(line).expect("an event");
                        lines.push(event_line(&event));
                    }
                }
            }
        }
        if lines.is_empty() { "nothing".to_owned() } else { lines.join("\n") }
    }
}

/// Scripts write selectors plainly.
fn encode(path: &str) -> String {
    path.replace(' ', "%20").replace('<', "%3C").replace('>', "%3E")
}

fn event_line(event: &Value) -> String {
    let (what, object) = (event["type"].as_str().expect("a type"), &event["object"]);
    match object["kind"].as_str() {
        Some("Status") => format!("{what} {} {}: {}", object["code"], object["reason"], object["message"]),
        Some("Table") => {
            let heads = if object["columnDefinitions"].is_null() { "" } else { "with heads " };
            format!("{what} {heads}{}", object["rows"])
        }
        _ => {
            let metadata = &object["metadata"];
            let mut line =
                format!("{what} {} {} rv {}", object["kind"], metadata["name"], metadata["resourceVersion"]);
            if let Some(marks) = metadata["annotations"].as_object().filter(|_| what == "BOOKMARK") {
                write!(line, " {}", serde_json::json!(marks)).expect("written");
            }
            line
        }
    }
}

fn render(value: &Value, pointers: &[String]) -> String {
    let mut out = String::new();
    if value["kind"] == "Status" && value["status"] == "Failure" {
        write!(
            out,
            " {}\n  {}",
            value["reason"].as_str().unwrap_or(""),
            value["message"].as_str().unwrap_or("")
        )
        .expect("written");
        for cause in value["details"]["causes"].as_array().into_iter().flatten() {
            write!(
                out,
                "\n  cause {} {}",
                cause["reason"].as_str().unwrap_or(""),
                cause["field"].as_str().unwrap_or("")
            )
            .expect("written");
        }
        return out;
    }
    if !pointers.is_empty() {
        for pointer in pointers {
            let found = value.pointer(pointer).map_or_else(|| "absent".to_owned(), Value::to_string);
            write!(out, "\n  {pointer} {found}").expect("written");
        }
        return out;
    }
    if value["kind"] == "Table" {
        let heads: Vec<&str> = value["columnDefinitions"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|head| head["name"].as_str())
            .collect();
        write!(out, "\n  {}", heads.join(" | ")).expect("written");
        for row in value["rows"].as_array().into_iter().flatten() {
            let cells: Vec<String> = row["cells"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|cell| cell.as_str().map_or_else(|| cell.to_string(), str::to_owned))
                .collect();
            write!(out, "\n  {}", cells.join(" | ")).expect("written");
        }
        return out;
    }
    if let Some(items) = value["items"].as_array() {
        let names: Vec<&str> = items.iter().filter_map(|item| item["metadata"]["name"].as_str()).collect();
        write!(
            out,
            " {} rv {} [{}]",
            value["kind"].as_str().unwrap_or(""),
            value["metadata"]["resourceVersion"],
            names.join(" ")
        )
        .expect("written");
        if !value["metadata"]["continue"].is_null() {
            write!(out, " more {}", value["metadata"]["remainingItemCount"]).expect("written");
        }
        return out;
    }
    write!(
        out,
        " {} {}",
        value["kind"].as_str().unwrap_or(""),
        value["metadata"]["name"].as_str().unwrap_or("")
    )
    .expect("written");
    out
}

/// Runs a script and returns it with the answers that came.
async fn play(script: &str) -> String {
    let mut stage = Stage::new();
    let mut out = String::new();
    let mut asked = Asked::default();
    for line in script.lines().chain([""]) {
        let is_request = line.starts_with('>') || line.starts_with('?');
        let starts = line.starts_with('>') && !asked.lines.is_empty() && is_first_line(line);
        if !asked.lines.is_empty() && (!is_request || starts) {
            let answer = stage.ask(&std::mem::take(&mut asked)).await;
            writeln!(out, "{answer}\n").expect("written");
        }
        if let Some(text) = line.strip_prefix('>') {
            asked.lines.push(text.trim().to_owned());
        } else if let Some(text) = line.strip_prefix('?') {
            asked.pointers.extend(text.split_whitespace().map(str::to_owned));
        }
        if is_request || line.starts_with('#') || line.starts_with('!') {
            writeln!(out, "{line}").expect("written");
        }
        if let Some(text) = line.strip_prefix('!') {
            let answer = stage.act(text.trim()).await;
            if !answer.is_empty() {
                writeln!(out, "{answer}").expect("written");
            }
            out.push('\n');
        }
    }
    out
}

fn is_first_line(line: &str) -> bool {
    ["GET", "POST", "PUT", "PATCH", "DELETE"]
        .iter()
        .any(|verb| line.trim_start_matches('>').trim().starts_with(&format!("{verb} /")))
}

fn run(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/apiserver").join(name);
    let script = std::fs::read_to_string(&path).expect("a script");
    let once = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(play(&script))
    };
    let played = once();
    assert_eq!(played, once(), "{name}: the same seed must give the same bytes");
    if std::env::var_os("PILOTHOUSE_ACCEPT").is_some() {
        std::fs::write(&path, &played).expect("written");
        return;
    }
    assert!(
        played == script,
        "{name} differs; PILOTHOUSE_ACCEPT=1 rewrites it.\n{}",
        first_difference(&script, &played)
    );
}

fn first_difference(expected: &str, found: &str) -> String {
    let pairs = expected.lines().zip(found.lines()).enumerate();
    pairs
        .filter(|(_, (expected, found))| expected != found)
        .map(|(at, (expected, found))| format!("line {}:\n  expected {expected}\n  found    {found}", at + 1))
        .next()
        .unwrap_or_else(|| "one is longer".to_owned())
}

macro_rules! scripts {
    ($($name:ident)*) => { $(#[test] fn $name() { run(concat!(stringify!($name), ".txt")); })* };
}

scripts! { custom_kinds deletion discovery garbage_collection lists ownership patches pods_and_budgets priority_classes storage tables watches writes }
