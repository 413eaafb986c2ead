//! What roles give to a service account, and what it made of that by the API server's audit log.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Value, json};

/// One verb on one resource, a subresource counted as its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Grant {
    pub(crate) group: String,
    pub(crate) resource: String,
    pub(crate) verb: String,
}

/// Where a grant holds: in one namespace, for one name, or without such a bound.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Scope {
    pub(crate) namespace: Option<String>,
    pub(crate) name: Option<String>,
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dot = if self.group.is_empty() { "" } else { "." };
        write!(f, "{} {}{dot}{}", self.verb, self.resource, self.group)
    }
}

fn texts(value: &Value) -> impl Iterator<Item = String> {
    value.as_array().into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned))
}

/// Every grant that bindings among `documents` make to the service account, each with its scopes.
pub(crate) fn given(documents: &[Value], namespace: &str, account: &str) -> BTreeMap<Grant, BTreeSet<Scope>> {
    let mut given: BTreeMap<Grant, BTreeSet<Scope>> = BTreeMap::new();
    let subject = json!({ "kind": "ServiceAccount", "name": account, "namespace": namespace });
    let is_binding = |d: &&Value| d["kind"].as_str().is_some_and(|kind| kind.ends_with("Binding"));
    for binding in documents.iter().filter(is_binding) {
        let subjects = binding["subjects"].as_array().unwrap();
        assert_eq!(subjects, std::slice::from_ref(&subject), "nobody else is bound");
        let bound_in = binding["metadata"]["namespace"].as_str();
        let role = documents.iter().find(|d| {
            let same_place = d["kind"] == "ClusterRole" || d["metadata"]["namespace"].as_str() == bound_in;
            d["kind"] == binding["roleRef"]["kind"]
                && d["metadata"]["name"] == binding["roleRef"]["name"]
                && same_place
        });
        for rule in role.expect("the role is there")["rules"].as_array().unwrap() {
            let mut names: Vec<Option<String>> = texts(&rule["resourceNames"]).map(Some).collect();
            if names.is_empty() {
                names.push(None);
            }
            for (grant, name) in each(rule).flat_map(|g| names.iter().map(move |n| (g.clone(), n.clone()))) {
                let scope = Scope { namespace: bound_in.map(str::to_owned), name };
                given.entry(grant).or_default().insert(scope);
            }
        }
    }
    given
}

fn each(rule: &Value) -> impl Iterator<Item = Grant> {
    let mut all = Vec::new();
    for group in texts(&rule["apiGroups"]) {
        for resource in texts(&rule["resources"]) {
            for verb in texts(&rule["verbs"]) {
                all.push(Grant { group: group.clone(), resource: resource.clone(), verb });
            }
        }
    }
    all.into_iter()
}

/// Every grant that the requests of an audit log made use of. An apply that made a new object
/// was asked for `create` as well.
pub(crate) fn used(events: &[Value]) -> BTreeSet<Grant> {
    let mut used = BTreeSet::new();
    for event in events {
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        if event["objectRef"].is_null() {
            continue;
        }
        let (resource, sub) = (text("/objectRef/resource"), text("/objectRef/subresource"));
        let resource = if sub.is_empty() { resource.to_owned() } else { format!("{resource}/{sub}") };
        let group = text("/objectRef/apiGroup").to_owned();
        let grant = Grant { group, resource, verb: text("/verb").to_owned() };
        if event["responseStatus"]["code"] == 201 {
            used.insert(Grant { verb: "create".to_owned(), ..grant.clone() });
        }
        used.insert(grant);
    }
    used
}

/// The requests of an audit log that were not allowed.
pub(crate) fn forbidden(events: &[Value]) -> Vec<String> {
    let said = |e: &Value| {
        format!("{} {}", e["verb"].as_str().unwrap_or(""), e["requestURI"].as_str().unwrap_or(""))
    };
    let is_forbidden = |e: &&Value| {
        e["responseStatus"]["code"] == 403 || e["annotations"]["authorization.k8s.io/decision"] == "forbid"
    };
    events.iter().filter(is_forbidden).map(said).collect()
}
