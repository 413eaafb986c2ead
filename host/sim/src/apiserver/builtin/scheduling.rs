//! Priority classes, and the admission by which they reach Pods.

use serde_json::{Value, json};

use super::{default, text};
use crate::apiserver::kinds::{self, Kind, ObjectKey};
use crate::apiserver::state::State;
use crate::apiserver::status::{Cause, Status};

/// The classes that every server brings, with their values: higher than any other may be.
pub(crate) const SYSTEM_CLASSES: [(&str, i64); 2] =
    [("system-node-critical", 2_000_001_000), ("system-cluster-critical", 2_000_000_000)];
/// The highest value of a class that is not the system's.
const HIGHEST: i64 = 1_000_000_000;
const PREEMPTING: &str = "PreemptLowerPriority";

pub(super) fn add_defaults(object: &mut Value) {
    default(object, "preemptionPolicy", json!(PREEMPTING));
}

pub(super) fn check(object: &Value, causes: &mut Vec<Cause>) {
    let name = text(object, "/metadata/name");
    let value = object["value"].as_i64().unwrap_or(0);
    let policy = text(object, "/preemptionPolicy");
    if !SYSTEM_CLASSES.contains(&(name, value)) {
        if name.starts_with("system-") {
            let why = "priority class names with 'system-' prefix are reserved for system use only. error: this is not a system priority class";
            causes.push(Cause::forbidden("metadata.name", why));
        }
        if value > HIGHEST {
            let why = format!("maximum allowed value of a user defined priority is {HIGHEST}");
            causes.push(Cause::forbidden("value", &why));
        }
    }
    if policy != PREEMPTING && policy != "Never" {
        let known = [PREEMPTING, "Never"].map(|policy| format!("{policy:?}"));
        causes.push(Cause::unsupported("preemptionPolicy", &object["preemptionPolicy"], &known));
    }
}

pub(super) fn check_update(new: &Value, old: &Value, causes: &mut Vec<Cause>) {
    if new["value"] != old["value"] {
        causes.push(Cause::forbidden("value", "may not be changed in an update."));
    }
    if new["preemptionPolicy"] != old["preemptionPolicy"] {
        causes.push(Cause::invalid("preemptionPolicy", &new["preemptionPolicy"], "field is immutable"));
    }
}

/// What a new Pod gets of its class, or of the default one; a class that is not there is refused.
pub(super) fn admit_pod(state: &State, pods: &Kind, pod: &mut Value) -> Result<(), Status> {
    // A generated name comes after admission.
    let (name, base) = (text(pod, "/metadata/name"), text(pod, "/metadata/generateName"));
    let name = if !base.is_empty() && name.starts_with(base) { base } else { name }.to_owned();
    let wanted = text(pod, "/spec/priorityClassName").to_owned();
    let class = if wanted.is_empty() {
        default_class(state)
    } else {
        let key = ObjectKey::new(kinds::PRIORITY_CLASSES, "", &wanted);
        let found = state.store.get(&key).map(|class| &*class.value);
        let refused =
            || Status::forbidden(pods, &name, &format!("no PriorityClass with name {wanted} was found"));
        Some(found.ok_or_else(refused)?)
    };
    let given = |field: &str| class.and_then(|class| class.get(field)).cloned();
    let priority = given("value").unwrap_or(json!(0));
    let policy = given("preemptionPolicy").unwrap_or(json!(PREEMPTING));
    let spec = &mut pod["spec"];
    if let Some(class) = class.filter(|_| wanted.is_empty()) {
        spec["priorityClassName"] = class["metadata"]["name"].clone();
    }
    for (field, what, computed) in [
        ("priority", "the integer value of priority", priority),
        ("preemptionPolicy", "the string value of PreemptionPolicy", policy),
    ] {
        let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match spec.get(field).filter(|value| !value.is_null()) {
            Some(given) if *given != computed => {
                let why = format!(
                    "{what} ({}) must not be provided in pod spec; priority admission controller computed {} from the given PriorityClass name",
                    shown(given),
                    shown(&computed)
                );
                return Err(Status::forbidden(pods, &name, &why));
            }
            Some(_) | None => spec[field] = computed,
        }
    }
    Ok(())
}

/// The least of the classes marked as default.
fn default_class(state: &State) -> Option<&Value> {
    let shelf = state.store.shelf(&kinds::PRIORITY_CLASSES)?;
    let marked = shelf.objects.values().filter(|class| class.value["globalDefault"] == json!(true));
    marked.map(|class| &*class.value).min_by_key(|class| class["value"].as_i64())
}
