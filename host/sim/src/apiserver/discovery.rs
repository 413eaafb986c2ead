//! What the server serves, in the unaggregated form.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::kinds::{self, Kind, Served};
use super::state::State;
use super::status::Status;

/// `/version`.
pub(crate) fn version() -> Value {
    json!({
        "major": "1", "minor": "36", "emulationMajor": "1", "emulationMinor": "36",
        "minCompatibilityMajor": "1", "minCompatibilityMinor": "35",
        "gitVersion": "v1.36.1+pilothouse-sim", "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "none", "compiler": "rustc", "platform": "played",
    })
}

/// `/api`.
pub(crate) fn core_versions() -> Value {
    json!({ "kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [] })
}

/// Group, then its served versions, the preferred (storage) one first.
fn versions(state: &State) -> BTreeMap<String, Vec<String>> {
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for kind in state.kinds.all().filter(|kind| !kind.id.group.is_empty()) {
        let listed = groups.entry(kind.id.group.to_string()).or_default();
        for served in &kind.served {
            if !listed.contains(&served.version) {
                listed.push(served.version.clone());
            }
        }
    }
    groups
}

fn group_value(name: &str, versions: &[String]) -> Value {
    let listed: Vec<Value> = versions
        .iter()
        .map(|version| json!({ "groupVersion": format!("{name}/{version}"), "version": version }))
        .collect();
    json!({ "name": name, "versions": listed, "preferredVersion": listed.first() })
}

/// `/apis`.
pub(crate) fn groups(state: &State) -> Value {
    let groups: Vec<Value> =
        versions(state).iter().map(|(name, versions)| group_value(name, versions)).collect();
    json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups })
}

/// `/apis/<group>`.
pub(crate) fn group(state: &State, name: &str) -> Result<Value, Status> {
    let groups = versions(state);
    let versions = groups.get(name).ok_or_else(Status::no_such_path)?;
    let mut value = group_value(name, versions);
    value["kind"] = json!("APIGroup");
    value["apiVersion"] = json!("v1");
    Ok(value)
}

/// The kinds of a group that a version serves.
pub(crate) fn kinds_of<'a>(state: &'a State, group: &str, version: &str) -> Vec<(&'a Kind, &'a Served)> {
    let kinds = state.kinds.all().filter(|kind| kind.id.group == group);
    kinds.filter_map(|kind| kind.version(version).map(|served| (&**kind, served))).collect()
}

/// `/api/v1` and `/apis/<group>/<version>`.
pub(crate) fn resources(state: &State, group: &str, version: &str) -> Result<Value, Status> {
    let kinds = kinds_of(state, group, version);
    if kinds.is_empty() {
        return Err(Status::no_such_path());
    }
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    let mut listed = Vec::new();
    for (kind, served) in kinds {
        listed.push(resource(kind));
        let sub = |name: &str, kind_name: &str, verbs: Value| {
            json!({
                "name": format!("{}/{name}", kind.id.resource), "singularName": "", "namespaced": kind.namespaced,
                "kind": kind_name, "verbs": verbs,
            })
        };
        if kind.is(&kinds::PODS) {
            let mut eviction = sub("eviction", "Eviction", json!(["create"]));
            eviction["group"] = json!("policy");
            eviction["version"] = json!("v1");
            listed.push(eviction);
            listed.push(sub("binding", "Binding", json!(["create"])));
        }
        if kind.is(&kinds::NAMESPACES) {
            listed.push(sub("finalize", "Namespace", json!(["update"])));
        }
        if served.scale.is_some() {
            let mut scale = sub("scale", "Scale", json!(["get", "patch", "update"]));
            scale["group"] = json!("autoscaling");
            scale["version"] = json!("v1");
            listed.push(scale);
        }
        if served.status {
            listed.push(sub("status", &kind.kind, json!(["get", "patch", "update"])));
        }
    }
    Ok(
        json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": listed }),
    )
}

fn resource(kind: &Kind) -> Value {
    let mut verbs = vec!["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
    if kind.is(&kinds::NAMESPACES) {
        verbs.retain(|verb| *verb != "deletecollection");
    }
    if kind.is_read_only() {
        verbs = vec!["get", "list", "watch"];
    }
    let mut value = json!({
        "name": kind.id.resource, "singularName": kind.singular, "namespaced": kind.namespaced,
        "kind": kind.kind, "verbs": verbs,
    });
    if !kind.short_names.is_empty() {
        value["shortNames"] = json!(kind.short_names);
    }
    if !kind.categories.is_empty() {
        value["categories"] = json!(kind.categories);
    }
    value
}
