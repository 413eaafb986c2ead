//! What stands here beside what stood there; what differs on purpose is in `docs/differences.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use pilothouse::actuate::MANAGER;
use pilothouse::equality;
use serde_json::{Map, Value, json};

use crate::repository;
use crate::standing::Tree;

/// Moments, which no two runs share, and sentences for people.
const NOT_COMPARED: [&str; 2] = ["lastTransitionTime", "message"];

/// `KIND PATH` of each difference on purpose and `KIND COMPONENT` of each object here alone, and
/// whether a recording showed it.
#[derive(Debug)]
pub struct Known(BTreeMap<String, bool>);

/// A heading of the page on differences.
const ALONE: &str = "Objects here alone\n";

/// The rows under the headings of the page on differences that tests hold.
///
/// # Panics
/// When the page or a heading is not there.
#[must_use]
pub fn on_purpose() -> Known {
    let all = ["Fields\n", ALONE, "Statuses\n"].into_iter().flat_map(rows);
    Known(all.map(|row| (row, false)).collect())
}

/// Whether the page says that we alone make objects of that kind and component.
///
/// # Panics
/// When the page or its heading is not there.
#[must_use]
pub fn is_here_alone(object: &Value) -> bool {
    static ROWS: LazyLock<Vec<String>> = LazyLock::new(|| rows(ALONE));
    let text = |at: &str| object.pointer(at).and_then(Value::as_str).unwrap_or_default();
    let row = [text("/kind"), text("/metadata/labels/planetscale.com~1component")].join(" ");
    ROWS.contains(&row)
}

/// The first two columns of the table under a heading.
fn rows(heading: &str) -> Vec<String> {
    let text = std::fs::read_to_string(repository("docs/differences.md")).expect("it is there");
    let section = text.split("\n## ").find_map(|section| section.strip_prefix(heading));
    let lines = section.expect("its heading is there").lines();
    let row = |line: &str| {
        let (kind, rest) = line.strip_prefix("| ")?.split_once(" | `")?;
        let (path, _why) = rest.split_once("` | ")?;
        Some(format!("{kind} {path}"))
    };
    lines.filter_map(row).collect()
}

impl Known {
    fn has(&mut self, row: &str) -> bool {
        self.0.get_mut(row).map(|seen| *seen = true).is_some()
    }

    /// Rows that nothing showed.
    pub fn unseen(&self) -> impl Iterator<Item = &String> {
        self.0.iter().filter(|(_, seen)| !**seen).map(|(row, _)| row)
    }
}

/// Where the objects that we applied differ from those that stood there.
#[must_use]
pub fn objects(ours: &Tree, theirs: &Tree, known: &mut Known) -> Vec<String> {
    let mut wrong = Vec::new();
    for (key, theirs) in theirs {
        let (kind, name) = key;
        let Some(live) = ours.get(key) else {
            wrong.push(format!("{kind} {name} is not there"));
            continue;
        };
        // What we asked for: the rest of it the server filled in.
        let part = |root: &str| equality::applied(live, MANAGER, root).unwrap_or_default();
        let mut asked = json!({ "metadata": part("metadata"), "spec": part("spec") });
        if let Some(uid) = asked.pointer_mut("/metadata/ownerReferences/0/uid") {
            *uid = theirs["metadata"]["ownerReferences"][0]["uid"].clone();
        }
        let is_owned = |object: &Value| object.pointer("/metadata/ownerReferences/0").is_some();
        let orphan = is_owned(theirs) && !is_owned(live);
        let lines = equality::differences(&asked, theirs, "").into_iter();
        for line in lines.chain(orphan.then(|| "metadata.ownerReferences: none here".to_owned())) {
            let path = line.split(": ").next().unwrap_or_default();
            if !known.has(&format!("{kind} {path}")) {
                wrong.push(format!("{kind} {name} {line}"));
            }
        }
        let labels = |object: &Value| -> BTreeSet<String> {
            object["metadata"]["labels"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(key, _)| key.clone())
                .collect()
        };
        let lacking = labels(theirs).difference(&labels(live)).cloned().collect::<Vec<_>>();
        wrong.extend(lacking.into_iter().map(|label| format!("{kind} {name} lacks the label {label}")));
    }
    let alone = ours.keys().filter(|key| !theirs.contains_key(*key));
    for (kind, name) in alone {
        let live = &ours[&(kind.clone(), name.clone())];
        let component = live["metadata"]["labels"]["planetscale.com/component"].as_str().unwrap_or_default();
        if !known.has(&format!("{kind} {component}")) {
            wrong.push(format!("{kind} {name} is ours alone"));
        }
    }
    wrong
}

/// Where the status that stood there says something else than ours. What ours says on top stands beside it.
#[must_use]
pub fn statuses(ours: &Value, theirs: &Value, known: &mut Known) -> Vec<String> {
    if theirs["apiVersion"] != "planetscale.com/v2" || theirs["status"].is_null() {
        return Vec::new();
    }
    let mut found = Vec::new();
    compare("status", &ours["status"], &theirs["status"], &mut found);
    let kind = theirs["kind"].as_str().unwrap_or_default();
    let name = theirs["metadata"]["name"].as_str().unwrap_or_default();
    found.retain(|(path, _)| !known.has(&format!("{kind} {path}")));
    found.into_iter().map(|(path, what)| format!("{kind} {name} {path}: {what}")).collect()
}

fn compare(path: &str, ours: &Value, theirs: &Value, found: &mut Vec<(String, String)>) {
    match theirs {
        Value::Object(fields) => {
            for (name, value) in fields.iter().filter(|(name, _)| !NOT_COMPARED.contains(&name.as_str())) {
                compare(&format!("{path}.{name}"), ours.get(name).unwrap_or(&Value::Null), value, found);
            }
        }
        Value::Array(items) if items.iter().all(|item| item.get("type").is_some()) => {
            let by_type = |items: &[Value]| -> Map<String, Value> {
                let entry =
                    |item: &Value| (item["type"].as_str().unwrap_or_default().to_owned(), item.clone());
                items.iter().map(entry).collect()
            };
            let here = by_type(ours.as_array().map_or(&[], Vec::as_slice));
            compare(path, &Value::Object(here), &Value::Object(by_type(items)), found);
        }
        Value::Array(items) => {
            if ours.as_array().map_or(0, Vec::len) != items.len() {
                found.push((path.to_owned(), format!("{ours}, there {theirs}")));
            }
            for (i, item) in items.iter().enumerate() {
                compare(path, ours.get(i).unwrap_or(&Value::Null), item, found);
            }
        }
        Value::String(selector) if path.ends_with(".labelSelector") => {
            let parts = |text: &str| text.split(',').map(str::to_owned).collect::<BTreeSet<_>>();
            if parts(selector) != parts(ours.as_str().unwrap_or_default()) {
                found.push((path.to_owned(), format!("{ours}, there {theirs}")));
            }
        }
        Value::Number(n) if n.as_i64() == Some(0) && ours.is_null() => {}
        scalar if scalar == ours => {}
        scalar => found.push((path.to_owned(), format!("{ours}, there {scalar}"))),
    }
}
