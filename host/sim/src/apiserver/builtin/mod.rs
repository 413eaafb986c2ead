//! What the real server knows about its own kinds beyond their fields: defaults, resets on create, immutability.
//!
//! One file a family of kinds; this file only sends each kind to its own.

mod deployment;
pub(super) mod job;
mod networking;
mod pod;
pub(super) mod scheduling;
mod storage;
mod workload;

use serde_json::{Value, json};

use super::kinds::{self, Kind};
use super::metadata;
use super::state::State;
use super::status::{Cause, Status};
use crate::walk::text;

/// Sets `object[field]` unless it is there.
fn default(object: &mut Value, field: &str, value: Value) {
    if object.get(field).is_none_or(Value::is_null) {
        object[field] = value;
    }
}

/// Kinds whose `metadata.generation` counts changes of the spec.
pub(crate) fn counts_generations(kind: &Kind) -> bool {
    kind.custom
        || [
            kinds::PODS,
            kinds::DEPLOYMENTS,
            kinds::REPLICA_SETS,
            kinds::JOBS,
            kinds::DISRUPTION_BUDGETS,
            kinds::NETWORK_POLICIES,
            kinds::DEFINITIONS,
        ]
        .contains(&kind.id)
}

/// Whether an update without a resourceVersion is taken.
pub(crate) fn may_overwrite(kind: &Kind) -> bool {
    !kind.custom && ![kinds::DEFINITIONS, kinds::LEASES, kinds::DISRUPTION_BUDGETS].contains(&kind.id)
}

/// Whether an update of an object that is not there makes it.
pub(crate) fn creates_on_update(kind: &Kind) -> bool {
    kind.is(&kinds::SERVICES)
}

/// Defaults the server adds on every read of a request body.
pub(crate) fn add_defaults(kind: &Kind, object: &mut Value) {
    match (&*kind.stored.group, &*kind.stored.resource) {
        ("", "pods") => pod::add_defaults(object),
        ("", "namespaces") => default(&mut object["spec"], "finalizers", json!(["kubernetes"])),
        ("", "secrets") => add_secret_defaults(object),
        ("", "services") => networking::add_service_defaults(object),
        ("", "persistentvolumeclaims" | "persistentvolumes") | ("storage.k8s.io", _) => {
            storage::add_defaults(kind, object);
        }
        ("apps" | "batch" | "autoscaling", _) => workload::add_defaults(kind, object),
        ("networking.k8s.io", "networkpolicies") => networking::add_policy_defaults(object),
        ("scheduling.k8s.io", _) => scheduling::add_defaults(object),
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => {
            default(&mut object["roleRef"], "apiGroup", json!("rbac.authorization.k8s.io"));
        }
        _ => {}
    }
}

fn add_secret_defaults(object: &mut Value) {
    default(object, "type", json!("Opaque"));
    let plain = object.as_object_mut().and_then(|map| map.remove("stringData"));
    for (key, value) in plain.iter().filter_map(Value::as_object).flatten() {
        object["data"][key] = json!(base64(value.as_str().unwrap_or("").as_bytes()));
    }
}

/// Standard base64 with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let group =
            chunk.iter().fold(0_u32, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for at in 0..4 {
            if at <= chunk.len() {
                out.push(char::from(ALPHABET[(group >> (18 - 6 * at) & 63) as usize]));
            } else {
                out.push('=');
            }
        }
    }
    out
}

/// What the server and its default admission set on a new object, after its owner's fields are noted.
pub(crate) fn prepare_create(state: &mut State, kind: &Kind, object: &mut Value) -> Result<(), Status> {
    match (&*kind.stored.group, &*kind.stored.resource) {
        ("", "pods") => {
            scheduling::admit_pod(state, kind, object)?;
            pod::prepare_create(object);
        }
        ("", "namespaces") => {
            let name = text(object, "/metadata/name").to_owned();
            metadata::of_mut(object);
            object["metadata"]["labels"]["kubernetes.io/metadata.name"] = json!(name);
            object["status"] = json!({ "phase": "Active" });
        }
        ("", "services") => networking::prepare_service(state, kind, object, None)?,
        ("", "persistentvolumeclaims" | "persistentvolumes") => storage::prepare_create(state, kind, object),
        ("batch", "jobs") => job::prepare(object),
        ("", "nodes") => {
            let capacity = object["status"]["capacity"].clone();
            if !capacity.is_null() {
                default(&mut object["status"], "allocatable", capacity);
            }
        }
        _ => {}
    }
    if kind.storage().status && object.get("status").is_none_or(Value::is_null) {
        let schema = &kind.storage().schema;
        if let Some(field) = schema.fields.get("status").filter(|field| field.always) {
            object["status"] = super::schema::normalise::zero(&field.schema);
        }
    }
    Ok(())
}

/// What the server carries over or refuses on a change, before checks.
pub(crate) fn prepare_update(
    state: &mut State,
    kind: &Kind,
    new: &mut Value,
    old: &Value,
) -> Result<(), Status> {
    match (&*kind.stored.group, &*kind.stored.resource) {
        ("", "pods") => {
            pod::prepare_update(new, old);
            Ok(())
        }
        ("", "services") => networking::prepare_service(state, kind, new, Some(old)),
        ("batch", "jobs") => job::check_labels_stay(new),
        _ => Ok(()),
    }
}

/// Whether an object is first kept without what every reader is told of: a claim without its phase, a Job without
/// the labels of its template. Then the first write changes it, whatever it says.
pub(crate) fn is_kept_in_part(kind: &Kind, object: &Value) -> bool {
    let of_pods = || object.pointer("/spec/template/metadata/labels");
    kind.is(&kinds::CLAIMS) || kind.is(&kinds::JOBS) && object["metadata"].get("labels") == of_pods()
}

/// What default admission refuses of a change that is valid.
pub(crate) fn admit_update(state: &State, kind: &Kind, new: &Value, old: &Value) -> Result<(), Status> {
    if kind.is(&kinds::CLAIMS) { storage::check_growth(state, kind, new, old) } else { Ok(()) }
}

/// Checks of a new or changed object.
pub(crate) fn check(kind: &Kind, object: &Value, causes: &mut Vec<Cause>) {
    match (&*kind.stored.group, &*kind.stored.resource) {
        ("", "pods") => pod::check_spec(&object["spec"], "spec", causes),
        ("", "services") => networking::check_service(object, causes),
        ("", "persistentvolumeclaims" | "persistentvolumes") | ("storage.k8s.io", _) => {
            storage::check(kind, object, causes);
        }
        ("apps" | "batch" | "policy" | "autoscaling", _) => workload::check(kind, object, causes),
        ("", "secrets" | "configmaps") => check_keys(object, causes),
        ("", "events") => check_event(object, causes),
        ("scheduling.k8s.io", _) => scheduling::check(object, causes),
        ("coordination.k8s.io", "leases") => check_lease(object, causes),
        _ => {}
    }
}

fn check_keys(object: &Value, causes: &mut Vec<Cause>) {
    for field in ["data", "binaryData"] {
        for key in object[field].as_object().into_iter().flatten().map(|(key, _)| key) {
            let fits = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
            if !fits {
                let why = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
                causes.push(Cause::invalid(format!("{field}[{key}]"), &json!(key), why));
            }
            if field == "data" && object["binaryData"].get(key).is_some() {
                let path = format!("data[{key}]");
                causes.push(Cause::invalid(path, &json!(key), "duplicate of key present in binaryData"));
            }
        }
    }
}

fn check_event(object: &Value, causes: &mut Vec<Cause>) {
    let about = text(object, "/involvedObject/namespace");
    let namespace = text(object, "/metadata/namespace");
    if about != namespace && !(about.is_empty() && namespace == "default") {
        let shown = json!(about);
        causes.push(Cause::invalid("involvedObject.namespace", &shown, "does not match event.namespace"));
    }
}

fn check_lease(object: &Value, causes: &mut Vec<Cause>) {
    let spec = &object["spec"];
    if spec["leaseDurationSeconds"].as_i64().is_some_and(|seconds| seconds <= 0) {
        causes.push(Cause::invalid(
            "spec.leaseDurationSeconds",
            &spec["leaseDurationSeconds"],
            "must be greater than 0",
        ));
    }
    if spec["leaseTransitions"].as_i64().is_some_and(|count| count < 0) {
        causes.push(Cause::invalid(
            "spec.leaseTransitions",
            &spec["leaseTransitions"],
            "must be greater than or equal to 0",
        ));
    }
}

/// What its writer is warned of.
pub(crate) fn warnings(kind: &Kind, object: &Value) -> Vec<String> {
    let mut warnings = Vec::new();
    let is_headless = text(object, "/spec/clusterIP") == "None";
    if kind.is(&kinds::SERVICES) && is_headless && text(object, "/spec/sessionAffinity") != "None" {
        warnings.push("spec.SessionAffinity is ignored for headless services".to_owned());
    }
    warnings
}

/// What may not change.
pub(crate) fn check_update(kind: &Kind, new: &Value, old: &Value, causes: &mut Vec<Cause>) {
    match (&*kind.stored.group, &*kind.stored.resource) {
        ("", "pods") => pod::check_update(new, old, causes),
        ("", "services") => networking::check_service_update(new, old, causes),
        ("", "persistentvolumeclaims" | "persistentvolumes") | ("storage.k8s.io", _) => {
            storage::check_update(kind, new, old, causes);
        }
        ("scheduling.k8s.io", _) => scheduling::check_update(new, old, causes),
        ("apps" | "batch", _) => workload::check_update(kind, new, old, causes),
        ("", "secrets" | "configmaps") => check_sealed(new, old, causes),
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => {
            immutable("roleRef", &new["roleRef"], &old["roleRef"], "cannot change roleRef", causes);
        }
        _ => {}
    }
}

fn check_sealed(new: &Value, old: &Value, causes: &mut Vec<Cause>) {
    immutable("type", &new["type"], &old["type"], "field is immutable", causes);
    if old["immutable"] == json!(true) {
        for field in ["immutable", "data", "binaryData"] {
            if new.get(field) != old.get(field) {
                causes.push(Cause::forbidden(field, "field is immutable when `immutable` is set"));
            }
        }
    }
}

fn immutable(path: &str, new: &Value, old: &Value, why: &str, causes: &mut Vec<Cause>) {
    if new != old {
        causes.push(Cause::invalid(path, new, why));
    }
}
