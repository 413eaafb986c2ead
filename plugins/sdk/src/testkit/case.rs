//! Case files: a view, what differs from it, a configuration; the decision as text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use pilothouse_core::view::ClusterView;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Error, Rendered, render};
use crate::plugin::{Policy, validate};
use crate::types::PolicyError;

/// One document of a case file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What the case shows; heads its rendered decision.
    pub case: String,
    /// The view file, relative to the case file.
    pub view: String,
    /// What differs: a path of field names and of list entries by their name, alias,
    /// id or claim (`tablets/zone1-0000000101/reach`), or `*` for each; the value is
    /// merged over what is there, null removes it, and a missing entry named by its
    /// whole value under `+` (`tablets/+`) is added.
    #[serde(default)]
    pub change: BTreeMap<String, Value>,
    /// The plugin's configuration.
    #[serde(default)]
    pub config: Map<String, Value>,
}

/// Runs every case of a file and compares the rendered decisions with the text
/// beside it (`emergency.yaml` with `emergency.txt`); with `PILOTHOUSE_ACCEPT=1`
/// in the environment, writes that text instead.
///
/// # Panics
/// When a decision differs from the accepted one, or a file is not usable.
#[track_caller]
pub fn run<P: Policy>(file: impl AsRef<Path>)
where
    P::Action: Rendered,
{
    let file = file.as_ref();
    let rendered = match decisions::<P>(file) {
        Ok(rendered) => rendered,
        Err(e) => panic!("{}: {e}", file.display()),
    };
    let beside = file.with_extension("txt");
    if std::env::var_os("PILOTHOUSE_ACCEPT").is_some_and(|v| v == "1") {
        fs::write(&beside, rendered).unwrap_or_else(|e| panic!("{}: {e}", beside.display()));
        return;
    }
    let accepted = fs::read_to_string(&beside).unwrap_or_default();
    let differs = rendered.lines().zip(accepted.lines()).position(|(new, old)| new != old);
    if let Some(line) = differs.or_else(|| (rendered != accepted).then(|| accepted.lines().count())) {
        let (new, old) = (rendered.lines().nth(line), accepted.lines().nth(line));
        panic!(
            "{}:{}: decided\n  {}\naccepted is\n  {}\n(PILOTHOUSE_ACCEPT=1 accepts this whole text)\n\n{rendered}",
            beside.display(),
            line + 1,
            new.unwrap_or("the end"),
            old.unwrap_or("the end"),
        );
    }
}

/// The rendered decisions of a case file.
///
/// # Errors
/// When a file, a change or a configuration is not usable.
pub fn decisions<P: Policy>(file: &Path) -> Result<String, Error>
where
    P::Action: Rendered,
{
    let mut out = String::new();
    for case in cases(file)? {
        let core = case.cluster_view(file)?;
        let text = Value::Object(case.config.clone()).to_string();
        let _ = writeln!(out, "== {}", case.case);
        match validate::<P>(&text) {
            Err(wrong) => {
                for e in wrong {
                    let _ = writeln!(out, "configuration {:?}: {}", e.field, e.message);
                }
            }
            Ok(config) => match P::decide(&super::view(&core), &config) {
                Ok(decision) => out.push_str(&render(&decision)),
                Err(PolicyError::Config(e)) => {
                    let _ = writeln!(out, "configuration {:?}: {}", e.field, e.message);
                }
                Err(PolicyError::View(why)) => {
                    let _ = writeln!(out, "view: {why}");
                }
                Err(PolicyError::Internal(why)) => {
                    let _ = writeln!(out, "internal: {why}");
                }
            },
        }
        out.push('\n');
    }
    Ok(out)
}

/// The documents of a case file, in order.
///
/// # Errors
/// When the file cannot be read or a document is not a [`Case`].
pub fn cases(file: &Path) -> Result<Vec<Case>, Error> {
    let text = read(file)?;
    let documents = serde_yaml_ng::Deserializer::from_str(&text);
    documents.map(|d| Ok(serde_json::from_value(Value::deserialize(d)?)?)).collect()
}

fn read(file: &Path) -> Result<String, Error> {
    fs::read_to_string(file).map_err(|source| Error::File { path: file.display().to_string(), source })
}

impl Case {
    /// The view file with the changes made, as the deciding crate reads it.
    ///
    /// # Errors
    /// When the view file cannot be read, a change finds nothing, or the result is no view.
    pub fn cluster_view(&self, case_file: &Path) -> Result<ClusterView, Error> {
        let file = case_file.parent().unwrap_or(Path::new(".")).join(&self.view);
        let mut value: Value = serde_yaml_ng::from_str(&read(&file)?)?;
        for (path, new) in &self.change {
            let parts: Vec<&str> = split(path);
            change(&mut value, &parts, new)
                .map_err(|part| Error::NoSuchPart { path: path.clone(), part: part.to_owned() })?;
        }
        Ok(serde_json::from_value(value)?)
    }
}

/// The parts of a path; a shard's own slash is kept: `shards/commerce/-80/primary`
/// is three parts.
fn split(path: &str) -> Vec<&str> {
    let mut parts: Vec<&str> = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        let mut end = rest.find('/').unwrap_or(rest.len());
        let in_shards = matches!(parts.last(), Some(&("shards" | "facts")));
        if in_shards && end < rest.len() {
            let next = rest[end + 1..].find('/').map_or(rest.len(), |i| end + 1 + i);
            if rest[end + 1..next].contains('-') {
                end = next;
            }
        }
        parts.push(&rest[..end]);
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    parts
}

fn change<'p>(value: &mut Value, path: &[&'p str], new: &Value) -> Result<(), &'p str> {
    let Some((&part, rest)) = path.split_first() else {
        merge(value, new);
        return Ok(());
    };
    match value {
        Value::Object(fields) if rest.is_empty() && new.is_null() => {
            fields.remove(part).map(drop).ok_or(part)
        }
        Value::Object(fields) => change(fields.entry(part).or_insert(Value::Null), rest, new),
        Value::Null => {
            *value = Value::Object(Map::new());
            change(value, path, new)
        }
        Value::Array(entries) if part == "+" => {
            entries.push(new.clone());
            Ok(())
        }
        Value::Array(entries) if rest.is_empty() && new.is_null() => {
            let before = entries.len();
            entries.retain(|e| part != "*" && !is_named(e, part));
            if entries.len() == before { Err(part) } else { Ok(()) }
        }
        Value::Array(entries) => {
            let mut found = false;
            for entry in entries.iter_mut().filter(|e| part == "*" || is_named(e, part)) {
                change(entry, rest, new)?;
                found = true;
            }
            if found { Ok(()) } else { Err(part) }
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => Err(part),
    }
}

/// Whether a list entry goes by that name.
fn is_named(entry: &Value, name: &str) -> bool {
    ["name", "alias", "id", "claim"].iter().any(|key| entry.get(key).and_then(Value::as_str) == Some(name))
        || entry.pointer("/key/cell").and_then(Value::as_str) == Some(name)
        || entry.get("standsInFor").and_then(Value::as_str) == Some(name)
}

/// Objects are merged, field by field; everything else is replaced.
fn merge(old: &mut Value, new: &Value) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            for (key, value) in new {
                if value.is_null() {
                    old.remove(key);
                } else {
                    merge(old.entry(key.clone()).or_insert(Value::Null), value);
                }
            }
        }
        (old, new) => *old = new.clone(),
    }
}
