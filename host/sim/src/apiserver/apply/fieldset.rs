//! Sets of field paths, and their `FieldsV1` form.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::apiserver::schema::{ListKind, Place};

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// A field of an object or a key of a map.
    Field(String),
    /// The item of a list map with these key values.
    Key(Vec<(String, Scalar)>),
    /// The item of a set.
    Item(Scalar),
}

/// A JSON value with a total order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scalar(pub(crate) Value);

impl Eq for Scalar {}

impl PartialOrd for Scalar {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scalar {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Value::Number(a), Value::Number(b)) => {
                let (a, b) = (a.as_f64().unwrap_or(0.0), b.as_f64().unwrap_or(0.0));
                a.total_cmp(&b)
            }
            (Value::String(a), Value::String(b)) => a.cmp(b),
            (a, b) => a.to_string().cmp(&b.to_string()),
        }
    }
}

impl Step {
    /// The `FieldsV1` key: `f:name`, `k:{…}`, `v:…`.
    fn encode(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Key(keys) => {
                let map: Map<String, Value> =
                    keys.iter().map(|(key, value)| (key.clone(), value.0.clone())).collect();
                format!("k:{}", Value::Object(map))
            }
            Self::Item(value) => format!("v:{}", value.0),
        }
    }

    fn decode(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        match kind {
            "f" => Some(Self::Field(rest.to_owned())),
            "k" => {
                let map: Map<String, Value> = serde_json::from_str(rest).ok()?;
                Some(Self::Key(map.into_iter().map(|(key, value)| (key, Scalar(value))).collect()))
            }
            "v" => serde_json::from_str(rest).ok().map(|value| Self::Item(Scalar(value))),
            _ => None,
        }
    }

    /// As error texts show it: `.name`, `[key="value"]`.
    pub(crate) fn show(&self) -> String {
        match self {
            Self::Field(name) => format!(".{name}"),
            Self::Key(keys) => {
                let shown: Vec<String> =
                    keys.iter().map(|(key, value)| format!("{key}={}", value.0)).collect();
                format!("[{}]", shown.join(","))
            }
            Self::Item(value) => format!("[={}]", value.0),
        }
    }

    /// The step to an item of a list of this kind; `None` if the item has no identity.
    pub(crate) fn to_item(item: &Value, list: &ListKind, place: &Place<'_>) -> Option<Self> {
        match list {
            ListKind::Atomic => None,
            ListKind::Set => Some(Self::Item(Scalar(item.clone()))),
            ListKind::Map(keys) => {
                let mut found = Vec::new();
                for key in keys {
                    let value = item.get(key).or_else(|| place.key_default(key));
                    if let Some(value) = value {
                        found.push((key.clone(), Scalar(value.clone())));
                    }
                }
                found.sort();
                (!found.is_empty()).then_some(Self::Key(found))
            }
        }
    }
}

/// A set of paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FieldSet {
    /// Paths that end here.
    pub(crate) members: BTreeSet<Step>,
    /// Paths that go on.
    pub(crate) children: BTreeMap<Step, FieldSet>,
}

impl FieldSet {
    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty() && self.children.values().all(Self::is_empty)
    }

    pub(crate) fn insert(&mut self, path: &[Step]) {
        match path {
            [] => {}
            [last] => {
                self.members.insert(last.clone());
            }
            [first, rest @ ..] => self.children.entry(first.clone()).or_default().insert(rest),
        }
    }

    pub(crate) fn union(&self, other: &Self) -> Self {
        let mut out = self.clone();
        out.members.extend(other.members.iter().cloned());
        for (step, child) in &other.children {
            let merged = out.children.get(step).map_or_else(|| child.clone(), |mine| mine.union(child));
            out.children.insert(step.clone(), merged);
        }
        out
    }

    pub(crate) fn difference(&self, other: &Self) -> Self {
        let mut out = Self {
            members: self.members.difference(&other.members).cloned().collect(),
            children: BTreeMap::new(),
        };
        for (step, child) in &self.children {
            let left =
                other.children.get(step).map_or_else(|| child.clone(), |theirs| child.difference(theirs));
            if !left.is_empty() {
                out.children.insert(step.clone(), left);
            }
        }
        out
    }

    pub(crate) fn intersection(&self, other: &Self) -> Self {
        let mut out = Self {
            members: self.members.intersection(&other.members).cloned().collect(),
            children: BTreeMap::new(),
        };
        for (step, child) in &self.children {
            if let Some(theirs) = other.children.get(step) {
                let shared = child.intersection(theirs);
                if !shared.is_empty() {
                    out.children.insert(step.clone(), shared);
                }
            }
        }
        out
    }

    /// Whether any of these paths is one of a `FieldsV1` form.
    pub(crate) fn overlaps(&self, stored: &Value) -> bool {
        let ends = |below: &Value| below.as_object().is_none_or(|m| m.is_empty() || m.contains_key("."));
        self.members.iter().any(|step| stored.get(step.encode()).is_some_and(ends))
            || self
                .children
                .iter()
                .any(|(step, child)| stored.get(step.encode()).is_some_and(|below| child.overlaps(below)))
    }

    /// Drops every path at or below `path`.
    pub(crate) fn without(&mut self, path: &[Step]) {
        match path {
            [] => {}
            [last] => {
                self.members.remove(last);
                self.children.remove(last);
            }
            [first, rest @ ..] => {
                if let Some(child) = self.children.get_mut(first) {
                    child.without(rest);
                    if child.is_empty() {
                        self.children.remove(first);
                    }
                }
            }
        }
    }

    /// Adds every declared object field that has members below it.
    pub(crate) fn with_named_fields(&self, place: Place<'_>) -> Self {
        let mut out = Self { members: self.members.clone(), children: BTreeMap::new() };
        for (step, child) in &self.children {
            let below = match step {
                Step::Field(name) => {
                    if place.declares(name) {
                        out.members.insert(step.clone());
                    }
                    place.field(name)
                }
                Step::Key(_) | Step::Item(_) => place.item(),
            };
            out.children.insert(step.clone(), child.with_named_fields(below));
        }
        out
    }

    /// The paths as error texts show them, in order.
    pub(crate) fn shown(&self) -> Vec<String> {
        let mut out = Vec::new();
        self.show_into("", &mut out);
        out
    }

    fn show_into(&self, prefix: &str, out: &mut Vec<String>) {
        out.extend(self.members.iter().map(|step| format!("{prefix}{}", step.show())));
        for (step, child) in &self.children {
            child.show_into(&format!("{prefix}{}", step.show()), out);
        }
    }

    /// The `FieldsV1` form.
    pub(crate) fn to_value(&self) -> Value {
        let mut map = Map::new();
        for step in &self.members {
            map.insert(step.encode(), json!({}));
        }
        for (step, child) in &self.children {
            if child.is_empty() {
                continue;
            }
            let mut below = child.to_value();
            if self.members.contains(step) {
                below["."] = json!({});
            }
            map.insert(step.encode(), below);
        }
        Value::Object(map)
    }

    /// Reads the `FieldsV1` form; what cannot be read is left out.
    pub(crate) fn from_value(value: &Value) -> Self {
        let mut set = Self::default();
        for (key, below) in value.as_object().into_iter().flatten() {
            let Some(step) = Step::decode(key) else { continue };
            let child = Self::from_value(below);
            if child.is_empty() || below.get(".").is_some() {
                set.members.insert(step.clone());
            }
            if !child.is_empty() {
                set.children.insert(step, child);
            }
        }
        set
    }
}
