//! Deletion: preconditions, propagation, finalizers, and the grace of Pods.

use std::sync::Arc;

use serde_json::{Value, json};

use super::apply::ownership;
use super::kinds::{self, Kind, ObjectKey};
use super::metadata;
use super::state::State;
use super::status::Status;
use super::store::Stored;
use super::write;

/// What becomes of an object's dependents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// The garbage collector deletes them afterwards.
    Background,
    /// The object stays until those that block it are gone.
    Foreground,
    /// They stay, without their owner.
    Orphan,
}

/// `metav1.DeleteOptions`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// Seconds a Pod may take; absent means its own.
    pub grace_seconds: Option<i64>,
    /// Absent means the kind's default (Background for all kinds here but Jobs, which orphan).
    pub propagation: Option<Propagation>,
    /// Only this object, not a later one of the same name.
    pub uid: Option<String>,
    /// Only this state of it.
    pub resource_version: Option<String>,
    /// Check everything, change nothing.
    pub dry_run: bool,
}

impl DeleteOptions {
    /// Reads the JSON form.
    pub(crate) fn read(value: &Value) -> Result<Self, Status> {
        let propagation = match value["propagationPolicy"].as_str() {
            None | Some("") => None,
            Some("Background") => Some(Propagation::Background),
            Some("Foreground") => Some(Propagation::Foreground),
            Some("Orphan") => Some(Propagation::Orphan),
            Some(other) => {
                let cause = super::status::Cause::unsupported(
                    "propagationPolicy",
                    &json!(other),
                    &[
                        "\"Foreground\"".to_owned(),
                        "\"Background\"".to_owned(),
                        "\"Orphan\"".to_owned(),
                        "\"nil\"".to_owned(),
                    ],
                );
                return Err(Status::invalid_named("DeleteOptions.meta.k8s.io", "", vec![cause]));
            }
        };
        let orphan = value["orphanDependents"].as_bool();
        if orphan.is_some() && propagation.is_some() {
            let cause = super::status::Cause::invalid(
                "propagationPolicy",
                &value["propagationPolicy"],
                "orphanDependents and deletionPropagation cannot be both set",
            );
            return Err(Status::invalid_named("DeleteOptions.meta.k8s.io", "", vec![cause]));
        }
        let propagation = match orphan {
            Some(true) => Some(Propagation::Orphan),
            Some(false) => Some(Propagation::Background),
            None => propagation,
        };
        let dry_run = match value["dryRun"].as_array().map(Vec::as_slice) {
            None | Some([]) => false,
            Some([all]) if all == "All" => true,
            Some(_) => return Err(Status::bad_dry_run("DeleteOptions.meta.k8s.io", &value["dryRun"])),
        };
        let text = |field: &str| value["preconditions"][field].as_str().map(str::to_owned);
        Ok(Self {
            grace_seconds: value["gracePeriodSeconds"].as_i64(),
            propagation,
            uid: text("uid"),
            resource_version: text("resourceVersion"),
            dry_run,
        })
    }
}

/// What a deletion came to.
#[derive(Clone, Debug)]
pub(crate) struct Deletion {
    pub(crate) object: Arc<Stored>,
    /// Gone, rather than waiting for finalizers or a kubelet.
    pub(crate) gone: bool,
}

/// DELETE of one object.
pub(crate) fn delete(
    state: &mut State,
    kind: &Kind,
    key: &ObjectKey,
    options: &DeleteOptions,
) -> Result<Deletion, Status> {
    let old = state.store.get(key).cloned().ok_or_else(|| Status::not_found(kind, &key.name))?;
    check_preconditions(kind, key, &old, options)?;
    if kind.is(&kinds::NAMESPACES) && matches!(key.name.as_str(), "default" | "kube-system" | "kube-public") {
        return Err(Status::forbidden(kind, &key.name, "this namespace may not be deleted"));
    }
    let mut object = (*old.value).clone();
    let already = !old.value["metadata"]["deletionTimestamp"].is_null();
    let grace = grace_of(kind, &old.value, options, already);
    // A kubelet is at it; nothing new is asked.
    if already && grace > 0 && old.value["metadata"]["deletionGracePeriodSeconds"] == json!(grace) {
        return Ok(Deletion { object: old, gone: false });
    }
    set_finalizers(kind, &mut object, options.propagation);
    let waits = write::has_finalizers(&object) || grace > 0;
    if !waits {
        if options.dry_run {
            if kind.is(&kinds::PODS) {
                mark(state, kind, &mut object, 0, already);
            } else if object != *old.value {
                // The real server takes the finalizer away in vain, and has nothing to show for it.
                let mut nothing = ownership::nothing(&kind.storage().schema, kind);
                nothing["apiVersion"] = object["apiVersion"].clone();
                nothing["kind"] = object["kind"].clone();
                return Ok(Deletion { object: Stored::new(nothing, old.rv), gone: false });
            }
            return Ok(Deletion { object: Stored::new(object, old.rv), gone: true });
        }
        // The real server takes the finalizer away first, and then misses its own version among the preconditions.
        if object != *old.value && options.resource_version.is_some() && !kind.is(&kinds::PODS) {
            let rv = old.rv;
            let why = format!(
                "Precondition failed: ResourceVersion in precondition: , ResourceVersion in object meta: {rv}"
            );
            return Err(Status::conflict(kind, &key.name, &why));
        }
        // What was stored last is what watchers see; a Pod's end is written down before it goes.
        let mut last = (*old.value).clone();
        if kind.is(&kinds::PODS) {
            mark(state, kind, &mut last, 0, already);
            if last != *old.value {
                last = (*state.commit(key, last).value).clone();
            }
        }
        return Ok(Deletion { object: state.commit_removal(key, last), gone: true });
    }
    mark(state, kind, &mut object, grace, already);
    if object == *old.value {
        return Ok(Deletion { object: old, gone: false });
    }
    if options.dry_run {
        return Ok(Deletion { object: Stored::new(object, old.rv), gone: false });
    }
    Ok(Deletion { object: state.commit(key, object), gone: false })
}

fn check_preconditions(
    kind: &Kind,
    key: &ObjectKey,
    old: &Stored,
    options: &DeleteOptions,
) -> Result<(), Status> {
    let uid = old.value["metadata"]["uid"].as_str().unwrap_or("");
    if let Some(wanted) = options.uid.as_deref().filter(|wanted| *wanted != uid) {
        let why = format!(
            "the UID in the precondition ({wanted}) does not match the UID in record ({uid}). The object might have been deleted and then recreated"
        );
        return Err(Status::bad_precondition(kind, &key.name, &why));
    }
    let rv = old.rv.to_string();
    if let Some(wanted) = options.resource_version.as_deref().filter(|wanted| *wanted != rv) {
        let why = format!(
            "the ResourceVersion in the precondition ({wanted}) does not match the ResourceVersion in record ({rv}). The object might have been modified"
        );
        return Err(Status::bad_precondition(kind, &key.name, &why));
    }
    Ok(())
}

/// The propagation's finalizer, and none of another propagation.
fn set_finalizers(kind: &Kind, object: &mut Value, propagation: Option<Propagation>) {
    let listed = object["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
    let has = |name: &str| listed.iter().any(|finalizer| finalizer == name);
    let wanted = match propagation {
        Some(Propagation::Orphan) => Some("orphan"),
        Some(Propagation::Foreground) => Some("foregroundDeletion"),
        Some(Propagation::Background) => None,
        None if has("orphan") => Some("orphan"),
        None if has("foregroundDeletion") => Some("foregroundDeletion"),
        None => kind.is(&kinds::JOBS).then_some("orphan"),
    };
    let mut finalizers: Vec<Value> = listed
        .into_iter()
        .filter(|finalizer| finalizer != "orphan" && finalizer != "foregroundDeletion")
        .collect();
    if let Some(wanted) = wanted {
        finalizers.push(json!(wanted));
    }
    let metadata = metadata::of_mut(object);
    if finalizers.is_empty() {
        metadata.remove("finalizers");
    } else {
        metadata.insert("finalizers".to_owned(), Value::Array(finalizers));
    }
}

/// Seconds until a Pod may be gone; zero for every other kind.
fn grace_of(kind: &Kind, object: &Value, options: &DeleteOptions, already: bool) -> i64 {
    if !kind.is(&kinds::PODS) {
        return 0;
    }
    let own = object["spec"]["terminationGracePeriodSeconds"].as_i64().unwrap_or(30);
    let mut grace = options.grace_seconds.unwrap_or(own).max(0);
    // A Pod that runs nowhere, or no more, needs no time.
    let unscheduled = object["spec"]["nodeName"].as_str().unwrap_or("").is_empty();
    let ended = matches!(object["status"]["phase"].as_str(), Some("Failed" | "Succeeded"));
    if unscheduled || ended {
        grace = 0;
    }
    if already {
        // A second deletion may only shorten it, and looks at nothing else.
        let set = object["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or(0);
        grace = options.grace_seconds.map_or(set, |asked| asked.max(0).min(set));
    }
    grace
}

fn mark(state: &State, kind: &Kind, object: &mut Value, grace: i64, already: bool) {
    let before = object["metadata"]["deletionGracePeriodSeconds"].as_i64();
    if already && before == Some(grace) {
        return;
    }
    let now = state.clock.now_ms();
    let requested = match (already, object["metadata"]["deletionTimestamp"].as_str()) {
        (true, Some(text)) => {
            let at = crate::clock::parse_timestamp(text).unwrap_or(now);
            at - before.unwrap_or(0) * 1000
        }
        _ => now,
    };
    let until = if already { now.min(requested) + grace * 1000 } else { now + grace * 1000 };
    let metadata = metadata::of_mut(object);
    metadata.insert("deletionTimestamp".to_owned(), json!(crate::clock::timestamp_of(until)));
    metadata.insert("deletionGracePeriodSeconds".to_owned(), json!(grace));
    if let Some(generation) = metadata.get("generation").and_then(Value::as_i64).filter(|_| !already) {
        metadata.insert("generation".to_owned(), json!(generation + 1));
    }
    if !already && kind.is(&kinds::NAMESPACES) {
        object["status"]["phase"] = json!("Terminating");
    }
    if !already && kind.is(&kinds::DEFINITIONS) {
        super::definition::mark_terminating(state, object);
    }
}
