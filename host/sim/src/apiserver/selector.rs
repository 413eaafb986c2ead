//! Label and field selectors.
//!
//! It must not know kinds beyond the list of fields that one may select by.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::kinds::{self, Kind};
use super::status::{Cause, Status};

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    In(BTreeSet<String>),
    NotIn(BTreeSet<String>),
    Exists,
    Absent,
    Above(i64),
    Below(i64),
}

/// A label selector: every requirement must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LabelSelector {
    requirements: Vec<(String, Test)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Punct(&'static str),
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if first.is_whitespace() {
            rest = &rest[first.len_utf8()..];
            continue;
        }
        if let Some(found) =
            ["==", "!=", "=", "!", ",", "(", ")", ">", "<"].into_iter().find(|p| rest.starts_with(p))
        {
            out.push(Token::Punct(found));
            rest = &rest[found.len()..];
            continue;
        }
        let is_word = |c: char| !c.is_whitespace() && !"=!,()<>".contains(c);
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        out.push(Token::Word(rest[..end].to_owned()));
        rest = &rest[end..];
    }
    Ok(out)
}

impl LabelSelector {
    /// Parses the query form: `a=b,c!=d,e in (f,g),h notin (i),j,!k,l>1`.
    pub(crate) fn parse(text: &str) -> Result<Self, Status> {
        let refuse = |why: String| Status::bad_request(format!("unable to parse requirement: {why}"));
        let tokens = tokens(text).map_err(refuse)?;
        let mut at = 0;
        let mut requirements = Vec::new();
        while at < tokens.len() {
            let (requirement, next) = Self::requirement(&tokens, at).map_err(refuse)?;
            requirements.push(requirement);
            at = match tokens.get(next) {
                None => next,
                Some(Token::Punct(",")) if next + 1 < tokens.len() => next + 1,
                Some(other) => {
                    let found = show(other);
                    return Err(Status::bad_request(format!(
                        "found '{found}', expected: ',' or 'end of string'"
                    )));
                }
            };
        }
        Ok(Self { requirements })
    }

    fn requirement(tokens: &[Token], mut at: usize) -> Result<((String, Test), usize), String> {
        let negated = tokens[at] == Token::Punct("!");
        if negated {
            at += 1;
        }
        let key = match tokens.get(at) {
            Some(Token::Word(key)) => key.clone(),
            other => {
                return Err(format!(
                    "found '{}', expected: identifier",
                    other.map_or_else(String::new, show)
                ));
            }
        };
        if let Some(why) = super::metadata::qualified_name_error(&key) {
            return Err(format!("key: Invalid value: \"{key}\": {why}"));
        }
        at += 1;
        if negated {
            return Ok(((key, Test::Absent), at));
        }
        let single = |at: usize| match tokens.get(at) {
            Some(Token::Word(word)) => (word.clone(), at + 1),
            _ => (String::new(), at),
        };
        let checked = |word: String| match super::metadata::label_value_error(&word) {
            Some(why) => Err(format!("values[0][{key}]: Invalid value: \"{word}\": {why}")),
            None => Ok(word),
        };
        let number = |word: &str| {
            word.parse::<i64>()
                .map_err(|_| format!("for 'Gt', 'Lt' operators, the value must be an integer: \"{word}\""))
        };
        let operator = match tokens.get(at) {
            None | Some(Token::Punct(",")) => return Ok(((key, Test::Exists), at)),
            Some(Token::Punct(operator)) => *operator,
            Some(Token::Word(word)) if word == "in" => "in",
            Some(Token::Word(word)) if word == "notin" => "notin",
            Some(Token::Word(word)) => {
                return Err(format!("found '{word}', expected: in, notin, =, ==, !=, gt, lt"));
            }
        };
        let (test, next) = match operator {
            "=" | "==" => {
                let (word, next) = single(at + 1);
                (Test::In(BTreeSet::from([checked(word)?])), next)
            }
            "!=" => {
                let (word, next) = single(at + 1);
                (Test::NotIn(BTreeSet::from([checked(word)?])), next)
            }
            ">" | "<" => {
                let (word, next) = single(at + 1);
                let bound = number(&word)?;
                (if operator == ">" { Test::Above(bound) } else { Test::Below(bound) }, next)
            }
            "in" | "notin" => {
                let (values, next) = value_list(tokens, at + 1)?;
                (if operator == "in" { Test::In(values) } else { Test::NotIn(values) }, next)
            }
            other => return Err(format!("found '{other}', expected: in, notin, =, ==, !=, gt, lt")),
        };
        Ok(((key, test), next))
    }

    /// Reads the object form, `metav1.LabelSelector`; `None` selects nothing in most places, which is the caller's choice.
    pub(crate) fn of_object(value: &Value) -> Self {
        let mut requirements = Vec::new();
        for (key, wanted) in value.get("matchLabels").and_then(Value::as_object).into_iter().flatten() {
            let wanted = wanted.as_str().unwrap_or("").to_owned();
            requirements.push((key.clone(), Test::In(BTreeSet::from([wanted]))));
        }
        for rule in value.get("matchExpressions").and_then(Value::as_array).into_iter().flatten() {
            let key = rule["key"].as_str().unwrap_or("").to_owned();
            let listed = rule.get("values").and_then(Value::as_array);
            let values = listed.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
            let test = match rule["operator"].as_str().unwrap_or("") {
                "In" => Test::In(values),
                "NotIn" => Test::NotIn(values),
                "DoesNotExist" => Test::Absent,
                _ => Test::Exists,
            };
            requirements.push((key, test));
        }
        Self { requirements }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Whether the object's labels meet every requirement.
    pub(crate) fn matches(&self, object: &Value) -> bool {
        let labels = object.get("metadata").and_then(|metadata| metadata.get("labels"));
        self.requirements.iter().all(|(key, test)| {
            let value = labels.and_then(|labels| labels.get(key)).and_then(Value::as_str);
            match (test, value) {
                (Test::In(values), Some(value)) => values.contains(value),
                (Test::NotIn(values), Some(value)) => !values.contains(value),
                (Test::NotIn(_) | Test::Absent, None) | (Test::Exists, Some(_)) => true,
                (Test::In(_) | Test::Exists | Test::Above(_) | Test::Below(_), None)
                | (Test::Absent, Some(_)) => false,
                (Test::Above(bound), Some(value)) => value.parse::<i64>().is_ok_and(|number| number > *bound),
                (Test::Below(bound), Some(value)) => value.parse::<i64>().is_ok_and(|number| number < *bound),
            }
        })
    }
}

fn show(token: &Token) -> String {
    match token {
        Token::Word(word) => word.clone(),
        Token::Punct(punct) => (*punct).to_owned(),
    }
}

fn value_list(tokens: &[Token], mut at: usize) -> Result<(BTreeSet<String>, usize), String> {
    if tokens.get(at) != Some(&Token::Punct("(")) {
        return Err(format!("found '{}' expected: '('", tokens.get(at).map_or_else(String::new, show)));
    }
    let mut values = BTreeSet::new();
    loop {
        at += 1;
        match tokens.get(at) {
            Some(Token::Word(word)) => {
                values.insert(word.clone());
                at += 1;
            }
            Some(Token::Punct("," | ")")) => {
                values.insert(String::new());
            }
            other => {
                return Err(format!(
                    "found '{}', expected: ',', ')' or identifier",
                    other.map_or_else(String::new, show)
                ));
            }
        }
        match tokens.get(at) {
            Some(Token::Punct(",")) => {}
            Some(Token::Punct(")")) => return Ok((values, at + 1)),
            other => {
                return Err(format!(
                    "found '{}', expected: ',' or ')'",
                    other.map_or_else(String::new, show)
                ));
            }
        }
    }
}

/// A field selector: every comparison must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FieldSelector {
    /// (path, wanted, equal)
    terms: Vec<(String, String, bool)>,
}

const POD_FIELDS: &[&str] = &[
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.nominatedNodeName",
];
const EVENT_FIELDS: &[&str] = &[
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
];

impl FieldSelector {
    /// Parses `a=b,c!=d` and checks that the kind may be selected by each field.
    pub(crate) fn parse(text: &str, kind: &Kind, selectable: &[String]) -> Result<Self, Status> {
        let mut terms = Vec::new();
        for term in split_unescaped(text) {
            if term.is_empty() {
                continue;
            }
            let (path, wanted, equal) = if let Some((path, wanted)) = term.split_once("!=") {
                (path, wanted, false)
            } else if let Some((path, wanted)) = term.split_once("==") {
                (path, wanted, true)
            } else if let Some((path, wanted)) = term.split_once('=') {
                (path, wanted, true)
            } else {
                return Err(Status::bad_request(format!(
                    "invalid selector: '{text}'; can't understand '{term}'"
                )));
            };
            let path = stored_path(kind, path);
            if !may_select(kind, &path, selectable) {
                return Err(Status::bad_request(if kind.has_field_labels() {
                    format!("field label not supported: {path}")
                } else {
                    format!(
                        "\"{path}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
                    )
                }));
            }
            terms.push((path, unescape(wanted), equal));
        }
        Ok(Self { terms })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// The one name that is meant, if the selector says so.
    pub(crate) fn name(&self) -> Option<&str> {
        self.wanted("metadata.name")
    }

    /// The one node whose Pods are meant, if the selector says so.
    pub(crate) fn node(&self) -> Option<&str> {
        self.wanted("spec.nodeName")
    }

    fn wanted(&self, field: &str) -> Option<&str> {
        let named = |(path, _, equal): &&(String, String, bool)| path == field && *equal;
        self.terms.iter().find(named).map(|(_, wanted, _)| wanted.as_str())
    }

    /// Adds `metadata.name=<name>`.
    pub(crate) fn with_name(mut self, name: &str) -> Self {
        self.terms.push(("metadata.name".to_owned(), name.to_owned(), true));
        self
    }

    /// Whether the object, in its stored form, meets every comparison.
    pub(crate) fn matches(&self, object: &Value) -> bool {
        self.terms.iter().all(|(path, wanted, equal)| (field_text(object, path) == *wanted) == *equal)
    }
}

fn stored_path(kind: &Kind, path: &str) -> String {
    if kind.id.group == "events.k8s.io" {
        if let Some(rest) = path.strip_prefix("regarding.") {
            return format!("involvedObject.{rest}");
        }
        if path == "reportingController" {
            return "reportingComponent".to_owned();
        }
    }
    path.to_owned()
}

fn may_select(kind: &Kind, path: &str, selectable: &[String]) -> bool {
    if path == "metadata.name" || (path == "metadata.namespace" && (kind.namespaced || !kind.custom)) {
        return true;
    }
    if kind.custom {
        return selectable.iter().any(|field| field.trim_start_matches('.') == path);
    }
    let fields: &[&str] = if kind.is(&kinds::PODS) {
        POD_FIELDS
    } else if kind.id.resource == "events" {
        EVENT_FIELDS
    } else if kind.is(&kinds::NODES) {
        &["spec.unschedulable"]
    } else if kind.is(&kinds::NAMESPACES) {
        &["status.phase"]
    } else if kind.is(&kinds::SECRETS) {
        &["type"]
    } else if kind.is(&kinds::SERVICES) {
        &["spec.clusterIP", "spec.type"]
    } else if kind.is(&kinds::REPLICA_SETS) {
        &["status.replicas"]
    } else if kind.is(&kinds::JOBS) {
        &["status.successful"]
    } else {
        &[]
    };
    fields.contains(&path)
}

fn field_text(object: &Value, path: &str) -> String {
    match path {
        "source" => {
            let source = object.pointer("/source/component").and_then(Value::as_str).unwrap_or("");
            if source.is_empty() { text_at(object, "reportingComponent") } else { source.to_owned() }
        }
        "status.successful" => with_zero(text_at(object, "status.succeeded")),
        "status.replicas" => with_zero(text_at(object, path)),
        "spec.unschedulable" | "spec.hostNetwork" => {
            let text = text_at(object, path);
            if text.is_empty() { "false".to_owned() } else { text }
        }
        _ => text_at(object, path),
    }
}

fn with_zero(text: String) -> String {
    if text.is_empty() { "0".to_owned() } else { text }
}

fn text_at(object: &Value, path: &str) -> String {
    let mut at = object;
    for part in path.split('.') {
        match at.get(part) {
            Some(next) => at = next,
            None => return String::new(),
        }
    }
    match at {
        Value::String(text) => text.clone(),
        Value::Null | Value::Array(_) | Value::Object(_) => String::new(),
        Value::Bool(_) | Value::Number(_) => at.to_string(),
    }
}

fn split_unescaped(text: &str) -> Vec<String> {
    let mut terms = vec![String::new()];
    let mut escaped = false;
    for c in text.chars() {
        if c == ',' && !escaped {
            terms.push(String::new());
            continue;
        }
        escaped = c == '\\' && !escaped;
        if let Some(last) = terms.last_mut() {
            last.push(c);
        }
    }
    terms
}

fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut escaped = false;
    for c in text.chars() {
        if c == '\\' && !escaped {
            escaped = true;
        } else {
            out.push(c);
            escaped = false;
        }
    }
    out
}

/// What of a selector object no server can understand.
pub(crate) fn check_requirements(selector: &Value, path: &str, causes: &mut Vec<Cause>) {
    for (key, value) in selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten() {
        if let Some(why) = super::metadata::qualified_name_error(key) {
            causes.push(Cause::invalid(format!("{path}.matchLabels"), &json!(key), why));
        }
        if let Some(why) = super::metadata::label_value_error(value.as_str().unwrap_or("")) {
            causes.push(Cause::invalid(format!("{path}.matchLabels"), value, why));
        }
    }
    let rules = selector.get("matchExpressions").and_then(Value::as_array);
    for (at, rule) in rules.into_iter().flatten().enumerate() {
        let here = format!("{path}.matchExpressions[{at}]");
        let some = rule.get("values").and_then(Value::as_array).is_some_and(|values| !values.is_empty());
        match rule["operator"].as_str().unwrap_or("") {
            "In" | "NotIn" if !some => {
                let why = "must be specified when `operator` is 'In' or 'NotIn'";
                causes.push(Cause::required(format!("{here}.values"), why));
            }
            "Exists" | "DoesNotExist" if some => {
                let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                causes.push(Cause::forbidden(format!("{here}.values"), why));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            _ => causes.push(Cause::invalid(
                format!("{here}.operator"),
                &rule["operator"],
                "not a valid selector operator",
            )),
        }
        if let Some(why) = super::metadata::qualified_name_error(rule["key"].as_str().unwrap_or("")) {
            causes.push(Cause::invalid(format!("{here}.key"), &rule["key"], why));
        }
    }
}

/// A `Cause` for a selector object that selects nothing sensible; used by kinds that require one.
pub(crate) fn check_selector(
    selector: Option<&Value>,
    labels: Option<&Value>,
    path: &str,
    causes: &mut Vec<Cause>,
) {
    let holder = json!({ "metadata": { "labels": labels } });
    let matches = match selector.filter(|selector| selector.is_object()) {
        None => {
            causes.push(Cause::required(path, ""));
            false
        }
        Some(selector) => {
            check_requirements(selector, path, causes);
            let parsed = LabelSelector::of_object(selector);
            if parsed.is_empty() {
                causes.push(Cause::invalid(path, selector, "empty selector is invalid for deployment"));
            }
            parsed.matches(&holder)
        }
    };
    if !matches {
        let shown = labels.cloned().unwrap_or(Value::Null);
        causes.push(Cause::invalid(
            "spec.template.metadata.labels",
            &shown,
            "`selector` does not match template `labels`",
        ));
    }
}

impl std::fmt::Display for LabelSelector {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, (key, test)) in self.requirements.iter().enumerate() {
            if at > 0 {
                out.write_str(",")?;
            }
            let list =
                |values: &BTreeSet<String>| values.iter().map(String::as_str).collect::<Vec<_>>().join(",");
            match test {
                Test::In(values) if values.len() == 1 => write!(out, "{key}={}", list(values))?,
                Test::In(values) => write!(out, "{key} in ({})", list(values))?,
                Test::NotIn(values) if values.len() == 1 => write!(out, "{key}!={}", list(values))?,
                Test::NotIn(values) => write!(out, "{key} notin ({})", list(values))?,
                Test::Exists => write!(out, "{key}")?,
                Test::Absent => write!(out, "!{key}")?,
                Test::Above(bound) => write!(out, "{key}>{bound}")?,
                Test::Below(bound) => write!(out, "{key}<{bound}")?,
            }
        }
        Ok(())
    }
}
