//! Our rendering beside listings of what the operator of these kinds wrote for a manifest.
//!
//! The listings, JSON arrays of objects with the VitessCluster first, stand in `shared/reference`
//! beside this repository; without that folder there is nothing to compare with, and the test
//! says so. Where we differ on purpose is the table of `docs/differences.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::tree::{stored, tree};
use crate::equality;

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// `KIND PATH` of each difference on purpose, and `KIND COMPONENT` of each object here alone: the
/// rows under those two headings.
fn on_purpose() -> BTreeSet<String> {
    let text = std::fs::read_to_string(repository("docs/differences.md")).expect("it is there");
    ["Fields\n", "Objects here alone\n"].into_iter().flat_map(|heading| rows(&text, heading)).collect()
}

fn rows(text: &str, heading: &str) -> Vec<String> {
    let section = text.split("\n## ").find_map(|section| section.strip_prefix(heading));
    let rows = section.expect("its heading is there").lines().filter_map(|line| {
        let (kind, rest) = line.strip_prefix("| ")?.split_once(" | `")?;
        let (path, _why) = rest.split_once("` | ")?;
        Some(format!("{kind} {path}"))
    });
    rows.collect()
}

/// The listings that stand beside the repository, by file name.
fn listings() -> Vec<(String, Vec<Value>)> {
    let Ok(folder) = std::fs::read_dir(repository("../shared/reference")) else {
        eprintln!("no shared/reference stands beside the repository: nothing to compare with");
        return Vec::new();
    };
    let files = folder.map(|entry| entry.expect("the folder can be read").path());
    let mut files: Vec<PathBuf> =
        files.filter(|file| file.extension().is_some_and(|e| e == "json")).collect();
    files.sort();
    assert!(!files.is_empty(), "shared/reference has no listing");
    let read = |file: PathBuf| {
        let text = std::fs::read_to_string(&file).expect("a listing can be read");
        (file.display().to_string(), serde_json::from_str(&text).expect("a JSON array"))
    };
    files.into_iter().map(read).collect()
}

#[test]
fn names_labels_and_shapes_are_the_operators() {
    let listings = listings();
    let known = on_purpose();
    let (mut wrong, mut seen) = (Vec::new(), BTreeSet::new());
    for (file, listing) in &listings {
        wrong.extend(compare(listing, &known, &mut seen).into_iter().map(|line| format!("{file}: {line}")));
    }
    assert!(!known.is_empty(), "the table has no rows");
    if !listings.is_empty() {
        wrong.extend(known.difference(&seen).map(|row| format!("no listing shows a difference in {row}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is not as it is in the listing and not among the `known`; those are noted as `seen`.
fn compare(listing: &[Value], known: &BTreeSet<String>, seen: &mut BTreeSet<String>) -> Vec<String> {
    let mut ours = tree(&stored(&listing[0]));
    ours.retain(|_, value| {
        value.pointer("/metadata/labels/backup.planetscale.com~1type").and_then(Value::as_str)
            != Some("update")
    });
    let mut wrong = Vec::new();
    for theirs in listing {
        let text =
            |pointer: &str| theirs.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (kind, name) = (text("/kind"), text("/metadata/name"));
        let Some(mut value) = ours.remove(&(kind.clone(), name.clone())) else {
            // what the manifest itself holds has no owner
            if theirs.pointer("/metadata/ownerReferences/0").is_some() {
                wrong.push(format!("{kind} {name} is not rendered"));
            }
            continue;
        };
        // uids are each cluster's own
        if let Some(uid) = value.pointer_mut("/metadata/ownerReferences/0/uid") {
            *uid = theirs["metadata"]["ownerReferences"][0]["uid"].clone();
        }
        let owned = |object: &Value| object.pointer("/metadata/ownerReferences/0").is_some();
        let unowned = owned(theirs) && !owned(&value);
        let lines = equality::differences(&value, theirs, "").into_iter();
        for line in lines.chain(unowned.then(|| "metadata.ownerReferences: none here".to_owned())) {
            let at = format!("{kind} {}", line.split(": ").next().unwrap_or_default());
            if known.contains(&at) {
                seen.insert(at);
            } else {
                wrong.push(format!("{kind} {name} {line}"));
            }
        }
        let labels = |object: &Value| -> BTreeMap<String, String> {
            serde_json::from_value(object["metadata"]["labels"].clone()).unwrap_or_default()
        };
        let ours = labels(&value);
        let missing = labels(theirs).into_keys().filter(|key| !ours.contains_key(key));
        wrong.extend(missing.map(|key| format!("{kind} {name} lacks the label {key}")));
    }
    for ((kind, name), value) in &ours {
        let component = value.pointer("/metadata/labels/planetscale.com~1component").and_then(Value::as_str);
        let alone = format!("{kind} {}", component.unwrap_or_default());
        if known.contains(&alone) {
            seen.insert(alone);
        } else {
            wrong.push(format!("{kind} {name} is rendered and not in the listing"));
        }
    }
    wrong
}
