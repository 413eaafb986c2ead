//! What stands in a namespace, as a table of objects and of what has changed of each.
//!
//! Owns which fields matter to a reader, and how they are written. Left out are what no two runs have alike, objects
//! and words of others than the host, and the specs with which objects are born (they have goldens of their own,
//! `host/tests/render`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use pilothouse::kinds::Kind;
use pilothouse_tests::seen::{condition, text};
use pilothouse_tests::stage::Stage;
use pilothouse_tests::standing::{self, differences};
use serde_json::{Map, Value, json};

use crate::run::Tell;

/// The prefixes of labels and annotations that the host reads and writes; the first is left out.
const OURS: [&str; 2] = ["planetscale.com/", "pilothouse.dev/"];
/// What only follows other fields or the build, or is a matter of chance and of moments.
const LEFT_OUT: [&str; 5] = ["observedGeneration", "nodeName", "leaningSince", "recoveryMs", "digest"];

/// What was told so far.
pub(crate) struct Table {
    tells_birth: bool,
    before: Option<BTreeMap<Key, Row>>,
}

/// Kind and name.
type Key = (String, String);

/// An object.
#[derive(Clone)]
struct Row {
    uid: String,
    /// Whose it is, what it is labelled and annotated with, its spec and its status.
    object: Value,
}

/// Objects of a kind to which the same happened.
struct Entry<'a> {
    mark: &'static str,
    kind: &'a str,
    names: Vec<&'a str>,
    lines: Vec<String>,
}

impl Table {
    /// A table that tells what stands at its first look, or only how much.
    pub(crate) const fn new(tells_birth: bool) -> Self {
        Self { tells_birth, before: None }
    }
}

impl Tell for Table {
    fn tell(&mut self, stage: &Stage, namespace: &str) -> String {
        let now = rows(stage, namespace);
        let before = self.before.replace(now.clone());
        if before.is_none() && !self.tells_birth {
            return format!("{} objects, as at the end of ready_three_zones.txt\n", now.len());
        }
        let before = before.unwrap_or_default();
        let mut entries: Vec<Entry<'_>> = Vec::new();
        for (kind, name) in before.keys().chain(now.keys()).collect::<BTreeSet<&Key>>() {
            let key = (kind.clone(), name.clone());
            let (mark, lines) = change(before.get(&key), now.get(&key));
            let alike = entries.iter_mut().find(|e| e.mark == mark && e.kind == kind && e.lines == lines);
            match alike {
                _ if mark == "~" && lines.is_empty() => {}
                Some(entry) => entry.names.push(name),
                None => entries.push(Entry { mark, kind, names: vec![name], lines }),
            }
        }
        let mut out = String::new();
        for Entry { mark, kind, names, lines } in &entries {
            let _ = writeln!(out, "{mark} {kind} {}", names.join(", "));
            lines.iter().for_each(|line| out.push_str(&format!("    {line}\n")));
        }
        if entries.is_empty() { "nothing has changed\n".to_owned() } else { out }
    }
}

/// What happened to an object, and the lines that tell it.
fn change(before: Option<&Row>, now: Option<&Row>) -> (&'static str, Vec<String>) {
    match (before, now) {
        (None, Some(row)) => ("+", birth(&row.object)),
        (Some(was), Some(row)) if was.uid != row.uid => ("±", lines(&was.object, &row.object)),
        (Some(was), Some(row)) => ("~", lines(&was.object, &row.object)),
        (_, None) => ("-", Vec::new()),
    }
}

/// Whose it is and what it is called in a line, its status below.
fn birth(object: &Value) -> Vec<String> {
    let said = |part: &str| -> Vec<String> {
        let all = object[part].as_object().into_iter().flatten();
        all.map(|(name, value)| format!("{name}={}", bare(value))).collect()
    };
    let owner = object["owner"].as_str().map(|owner| format!("of {owner}"));
    let (labels, annotations) = (said("labels").join(" "), said("annotations").join(", "));
    let parts = owner.into_iter().chain([labels, annotations]).filter(|part| !part.is_empty());
    let about = parts.collect::<Vec<String>>().join("; ");
    let status = lines(&Value::Null, &json!({ "status": object["status"] }));
    (!about.is_empty()).then_some(about).into_iter().chain(status).collect()
}

/// What differs, a line each.
fn lines(before: &Value, now: &Value) -> Vec<String> {
    let read = |json: &str| serde_json::from_str(json).map_or_else(|_| json.to_owned(), |value| bare(&value));
    let line = |line: String| {
        let (path, values) = line.split_once(": ").unwrap_or((&line, ""));
        let path = path.trim_start_matches('/');
        match values.split_once(", then ") {
            Some(("null", new)) => format!("{path}: {}", read(new)),
            Some((_, "null")) => format!("{path}: gone"),
            Some((old, new)) => format!("{path}: {} -> {}", read(old), read(new)),
            None => format!("{path}: {values}"),
        }
    };
    differences(before, now).into_iter().map(line).collect()
}

/// A value without the signs of JSON; lines of a text one below the other.
fn bare(value: &Value) -> String {
    match value {
        Value::String(text) if text.contains('\n') => {
            text.lines().map(|line| format!("\n      {line}")).collect()
        }
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

fn rows(stage: &Stage, namespace: &str) -> BTreeMap<Key, Row> {
    let mut rows = BTreeMap::new();
    for kind in Kind::ALL.into_iter().filter(|kind| kind.is_namespaced()) {
        let name = |object: &Value| (kind.as_str().to_owned(), text(object, "/metadata/name").to_owned());
        let all = stage.objects(kind, namespace).into_iter();
        rows.extend(all.filter_map(|object| Some((name(&object), row(kind, &object)?))));
    }
    rows
}

/// An object that is ours to write; the others are their makers' affair.
fn row(kind: Kind, object: &Value) -> Option<Row> {
    let is_own_kind = kind.resource().group == "planetscale.com";
    let said = |part: &str| {
        let all = object["metadata"][part].as_object().into_iter().flatten();
        let ours = all.filter(|(name, _)| OURS.iter().any(|prefix| name.contains(prefix)));
        ours.map(|(name, value)| (name.replace(OURS[0], ""), value.clone())).collect::<Map<String, Value>>()
    };
    let owner = &object["metadata"]["ownerReferences"][0];
    let is_anothers = owner["kind"] == "ReplicaSet" || (owner.is_null() && said("labels").is_empty());
    if is_anothers && !is_own_kind {
        return None;
    }
    let ready = (kind == Kind::Pod).then(|| condition(object, "Ready").map(|c| c["status"].clone()));
    let mut shown = json!({
        "owner": (!owner.is_null()).then(|| [text(owner, "/kind"), text(owner, "/name")].join(" ")),
        "labels": said("labels"),
        "annotations": said("annotations"),
        "spec": object["spec"],
        "status": if is_own_kind { object["status"].clone() } else { json!({ "ready": ready }) },
    });
    standing::forget(&mut shown);
    Some(Row { uid: text(object, "/metadata/uid").to_owned(), object: by_name(&shown) })
}

/// Lists by what names their items, flags by their names, conditions by their types.
fn by_name(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.iter().filter(|(name, _)| !LEFT_OUT.contains(&name.as_str()));
            Value::Object(kept.map(|(name, value)| (name.clone(), by_name(value))).collect())
        }
        Value::Array(items) => {
            let named = items.iter().map(item).collect::<Option<Map<String, Value>>>();
            let unique = named.filter(|named| named.len() == items.len());
            unique.map_or_else(|| Value::Array(items.iter().map(by_name).collect()), Value::Object)
        }
        scalar => scalar.clone(),
    }
}

fn item(item: &Value) -> Option<(String, Value)> {
    if let Some(flag) = item.as_str().filter(|text| text.starts_with("--")) {
        let (name, value) = flag.split_once('=').unwrap_or((flag, ""));
        return Some((name.to_owned(), json!(value)));
    }
    if let Some(kind) = item["type"].as_str().filter(|_| item["status"].is_string()) {
        let told = [text(item, "/status"), text(item, "/reason")].join(" ");
        return Some((kind.to_owned(), json!(told.trim())));
    }
    Some((item["name"].as_str()?.to_owned(), by_name(item)))
}
