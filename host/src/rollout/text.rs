//! What waits, as people read it in an annotation: one line a field, `PATH: OLD -> NEW`.
//!
//! Owns the bounds and what is left out of it: values that may be secret.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::Value;

use crate::equality::Change;

/// Lines at most; the rest is counted.
const LINES: usize = 40;
/// Characters of one value at most.
const VALUE: usize = 120;
/// Names of what nobody should read here, in lower case.
const SECRET: [&str; 6] = ["password", "passwd", "secret", "token", "credential", "private"];
/// What stands for a value that is left out.
const HIDDEN: &str = "(not shown)";

/// The text of some changes, in their order; flags of a command line by their names.
pub(super) fn of(changes: &[Change]) -> String {
    let mut lines = Vec::new();
    let mut flags: BTreeMap<&str, (Vec<&str>, Vec<&str>)> = BTreeMap::new();
    for change in changes {
        match arguments(change) {
            Some((list, from, to)) => {
                let known = flags.entry(list).or_default();
                known.0.extend(from);
                known.1.extend(to);
            }
            None => lines.push(line(change)),
        }
    }
    lines.extend(flags.iter().flat_map(|(list, (from, to))| flag_lines(list, from, to)));
    let more = lines.len().saturating_sub(LINES);
    lines.truncate(LINES);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines.join("\n")
}

fn line(Change { path, from, to }: &Change) -> String {
    let value = |value: &Option<Value>| match value {
        None => "(absent)".to_owned(),
        Some(_) if is_secret_at(path) => HIDDEN.to_owned(),
        Some(value) => shown(value),
    };
    format!("{path}: {} -> {}", value(from), value(to))
}

/// One place of a command line: its list, and the flag that stands there and that is wanted.
fn arguments(change: &Change) -> Option<(&str, Option<&str>, Option<&str>)> {
    let (list, _) = change.path.rsplit_once('[').filter(|(list, _)| list.ends_with(".args"))?;
    let (from, to) = (text(change.from.as_ref())?, text(change.to.as_ref())?);
    let is_flag = |text: &str| text.starts_with("--");
    [from, to].into_iter().flatten().all(is_flag).then_some((list, from, to))
}

/// The text of a value, if there is one; `None` if it is something else.
fn text(value: Option<&Value>) -> Option<Option<&str>> {
    value.map_or(Some(None), |value| value.as_str().map(Some))
}

/// Flags that only stand at another place differ in nothing.
fn flag_lines(list: &str, from: &[&str], to: &[&str]) -> Vec<String> {
    let named = |flags: &[&str]| -> BTreeMap<String, String> {
        let pair = |flag: &&str| {
            let (name, value) = flag.split_once('=').unwrap_or((flag, ""));
            (name.to_owned(), value.to_owned())
        };
        flags.iter().map(pair).collect()
    };
    let (from, to) = (named(from), named(to));
    let names: BTreeSet<&String> = from.keys().chain(to.keys()).collect();
    let differs = names.into_iter().filter(|name| from.get(*name) != to.get(*name));
    differs
        .map(|name| {
            let value = |flags: &BTreeMap<String, String>| match flags.get(name) {
                None => "(absent)".to_owned(),
                Some(_) if is_secret(name) => HIDDEN.to_owned(),
                Some(value) => cut(value),
            };
            format!("{list} {name}: {} -> {}", value(&from), value(&to))
        })
        .collect()
}

/// A value without what may be secret in it, on one line and not too long.
fn shown(value: &Value) -> String {
    let mut value = value.clone();
    hide(&mut value);
    match value {
        Value::String(text) => cut(&text),
        other => cut(&other.to_string()),
    }
}

fn hide(value: &mut Value) {
    match value {
        Value::Object(map) => {
            // a variable of a container's environment
            let is_variable = map.contains_key("name");
            for (name, value) in map.iter_mut() {
                if (is_variable && name == "value") || (is_secret(name) && value.is_string()) {
                    *value = Value::from(HIDDEN);
                } else {
                    hide(value);
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(hide),
        Value::String(text) => {
            if let Some((name, _)) = text.split_once('=').filter(|(name, _)| is_secret(name)) {
                *text = format!("{name}={HIDDEN}");
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Whether a place is a container's variable, lines of my.cnf, or named for something secret.
fn is_secret_at(path: &str) -> bool {
    let name = path.rsplit(['.', '[']).next().unwrap_or_default().trim_end_matches(']');
    let is_variable = name == "value" && (path.contains("env[") || path.contains("extraEnv["));
    is_variable || is_secret(name)
}

/// The *name* of a Secret is none.
fn is_secret(name: &str) -> bool {
    let lower = name.to_lowercase();
    lower == "configoverrides" || SECRET.iter().any(|word| lower.contains(word))
}

fn cut(text: &str) -> String {
    let mut out = String::new();
    for (n, c) in text.chars().enumerate() {
        if n == VALUE {
            out.push('…');
            break;
        }
        if c == '\n' {
            out.push_str("\\n");
        } else {
            let _ = write!(out, "{c}");
        }
    }
    if out.is_empty() { "\"\"".to_owned() } else { out }
}
