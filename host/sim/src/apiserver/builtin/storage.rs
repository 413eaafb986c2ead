//! Claims, volumes, storage classes and attachments.

use serde_json::{Value, json};

use super::{default, immutable, text};
use crate::apiserver::kinds::{self, Kind, ObjectKey};
use crate::apiserver::metadata;
use crate::apiserver::quantity;
use crate::apiserver::state::State;
use crate::apiserver::status::{Cause, Status};

const DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";

pub(super) fn add_defaults(kind: &Kind, object: &mut Value) {
    match &*kind.id.resource {
        "persistentvolumeclaims" => {
            default(&mut object["spec"], "volumeMode", json!("Filesystem"));
            default(&mut object["status"], "phase", json!("Pending"));
        }
        "persistentvolumes" => {
            default(&mut object["spec"], "volumeMode", json!("Filesystem"));
            default(&mut object["spec"], "persistentVolumeReclaimPolicy", json!("Retain"));
            default(&mut object["status"], "phase", json!("Pending"));
        }
        "storageclasses" => {
            default(object, "reclaimPolicy", json!("Delete"));
            default(object, "volumeBindingMode", json!("Immediate"));
        }
        _ => {}
    }
}

/// Status and what default admission adds: protection finalizers and the default class.
pub(super) fn prepare_create(state: &State, kind: &Kind, object: &mut Value) {
    let finalizer =
        if kind.is(&kinds::CLAIMS) { "kubernetes.io/pvc-protection" } else { "kubernetes.io/pv-protection" };
    let listed = metadata::of_mut(object).entry("finalizers").or_insert_with(|| json!([]));
    if let Some(list) = listed.as_array_mut()
        && !list.iter().any(|known| known == finalizer)
    {
        list.push(json!(finalizer));
    }
    object["status"] = json!({ "phase": "Pending" });
    let unnamed = object["spec"].get("storageClassName").is_none_or(Value::is_null);
    if kind.is(&kinds::CLAIMS)
        && unnamed
        && let Some(name) = default_class(state)
    {
        object["spec"]["storageClassName"] = json!(name);
    }
}

/// The newest class marked as default; by name among equals.
fn default_class(state: &State) -> Option<String> {
    let shelf = state.store.shelf(&kinds::STORAGE_CLASSES)?;
    let marked = shelf
        .objects
        .values()
        .filter(|class| class.value["metadata"]["annotations"][DEFAULT_CLASS] == "true");
    let newest = marked.max_by_key(|class| {
        let name = text(&class.value, "/metadata/name").to_owned();
        (text(&class.value, "/metadata/creationTimestamp").to_owned(), std::cmp::Reverse(name))
    })?;
    Some(text(&newest.value, "/metadata/name").to_owned())
}

fn requested(claim: &Value) -> Option<i128> {
    claim.pointer("/spec/resources/requests/storage").and_then(quantity::of_value)
}

/// A claim may grow only if its class says so (default admission).
pub(super) fn check_growth(state: &State, kind: &Kind, new: &Value, old: &Value) -> Result<(), Status> {
    if requested(new) <= requested(old) || text(old, "/status/phase") != "Bound" {
        return Ok(());
    }
    let class = ObjectKey::new(kinds::STORAGE_CLASSES, "", text(new, "/spec/storageClassName"));
    let grows =
        state.store.get(&class).is_some_and(|class| class.value["allowVolumeExpansion"] == json!(true));
    if grows {
        return Ok(());
    }
    let why = "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize";
    Err(Status::forbidden(kind, text(new, "/metadata/name"), why))
}

pub(super) fn check(kind: &Kind, object: &Value, causes: &mut Vec<Cause>) {
    match &*kind.id.resource {
        "persistentvolumeclaims" => {
            check_modes(&object["spec"], causes);
            match requested(object) {
                None => causes.push(Cause::required("spec.resources[storage]", "")),
                Some(amount) if amount <= 0 => {
                    let shown = &object["spec"]["resources"]["requests"]["storage"];
                    causes.push(Cause::invalid(
                        "spec.resources[storage]",
                        shown,
                        "must be greater than zero",
                    ));
                }
                Some(_) => {}
            }
        }
        "persistentvolumes" => {
            check_modes(&object["spec"], causes);
            if object["spec"]["capacity"].as_object().is_none_or(|capacity| !capacity.contains_key("storage"))
            {
                causes.push(Cause::required("spec.capacity", ""));
            }
        }
        "storageclasses" if text(object, "/provisioner").is_empty() => {
            causes.push(Cause::required("provisioner", ""))
        }
        "volumeattachments" => {
            for field in ["attacher", "nodeName"] {
                if text(&object["spec"], &format!("/{field}")).is_empty() {
                    causes.push(Cause::required(format!("spec.{field}"), ""));
                }
            }
        }
        _ => {}
    }
}

fn check_modes(spec: &Value, causes: &mut Vec<Cause>) {
    const MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
    let modes = spec["accessModes"].as_array();
    if modes.is_none_or(Vec::is_empty) {
        causes.push(Cause::required("spec.accessModes", "at least 1 access mode is required"));
    }
    for mode in modes.into_iter().flatten().filter(|mode| !MODES.contains(&mode.as_str().unwrap_or(""))) {
        let allowed: Vec<String> = MODES.iter().map(|mode| format!("\"{mode}\"")).collect();
        causes.push(Cause::unsupported("spec.accessModes", mode, &allowed));
    }
}

pub(super) fn check_update(kind: &Kind, new: &Value, old: &Value, causes: &mut Vec<Cause>) {
    match &*kind.id.resource {
        "persistentvolumeclaims" => check_claim_update(new, old, causes),
        "storageclasses" => {
            for (field, why) in [
                ("parameters", "updates to parameters are forbidden."),
                ("provisioner", "updates to provisioner are forbidden."),
                ("reclaimPolicy", "updates to reclaimPolicy are forbidden."),
            ] {
                if new.get(field) != old.get(field) {
                    causes.push(Cause::forbidden(field, why));
                }
            }
            immutable(
                "volumeBindingMode",
                &new["volumeBindingMode"],
                &old["volumeBindingMode"],
                "field is immutable",
                causes,
            );
        }
        "volumeattachments" => immutable("spec", &new["spec"], &old["spec"], "field is immutable", causes),
        "persistentvolumes" => {
            let source = |volume: &Value| -> Vec<(String, Value)> {
                let spec = volume["spec"].as_object().into_iter().flatten();
                let changeable = [
                    "capacity",
                    "accessModes",
                    "claimRef",
                    "persistentVolumeReclaimPolicy",
                    "storageClassName",
                    "mountOptions",
                    "volumeMode",
                    "nodeAffinity",
                    "volumeAttributesClassName",
                ];
                spec.filter(|(name, _)| !changeable.contains(&name.as_str()))
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect()
            };
            if source(new) != source(old) {
                causes.push(Cause::forbidden(
                    "spec.persistentvolumesource",
                    "spec.persistentvolumesource is immutable after creation",
                ));
            }
            immutable(
                "spec.volumeMode",
                &new["spec"]["volumeMode"],
                &old["spec"]["volumeMode"],
                "field is immutable",
                causes,
            );
            if !old["spec"]["nodeAffinity"].is_null() {
                immutable(
                    "spec.nodeAffinity",
                    &new["spec"]["nodeAffinity"],
                    &old["spec"]["nodeAffinity"],
                    "field is immutable, except for updating from beta label to GA",
                    causes,
                );
            }
        }
        _ => {}
    }
}

fn check_claim_update(new: &Value, old: &Value, causes: &mut Vec<Cause>) {
    let bound = text(old, "/status/phase") == "Bound";
    let mut expected = new["spec"].clone();
    if text(old, "/spec/volumeName").is_empty() {
        // Binding: the volume's name may be set once, by an ordinary update.
        match old["spec"].get("volumeName") {
            Some(name) => expected["volumeName"] = name.clone(),
            None => {
                if let Some(map) = expected.as_object_mut() {
                    map.remove("volumeName");
                }
            }
        }
    }
    if old["spec"].get("storageClassName").is_none()
        && let Some(map) = expected.as_object_mut()
    {
        map.remove("storageClassName");
    }
    if bound
        && let Some(storage) = old.pointer("/spec/resources/requests/storage")
        && let Some(requests) = expected.pointer_mut("/resources/requests").filter(|value| value.is_object())
    {
        requests["storage"] = storage.clone();
    }
    if expected != old["spec"] {
        causes.push(Cause::forbidden("spec", "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"));
    }
    let (now, before) = (requested(new), requested(old));
    if now < before {
        let capacity = old.pointer("/status/capacity/storage").and_then(quantity::of_value);
        // Taking back a growth that has not happened is allowed down to just above what is there.
        if now.unwrap_or(0) <= capacity.unwrap_or(0) {
            causes.push(Cause::forbidden(
                "spec.resources.requests.storage",
                "field can not be less than status.capacity",
            ));
        }
    }
    immutable(
        "volumeMode",
        &new["spec"]["volumeMode"],
        &old["spec"]["volumeMode"],
        "field is immutable",
        causes,
    );
}
