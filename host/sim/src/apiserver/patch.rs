//! PATCH: JSON, merge, strategic merge, apply.

use serde_json::{Value, json};

use super::apply::ownership;
use super::convert;
use super::kinds::ObjectKey;
use super::metadata;
use super::state::State;
use super::status::{Cause, Status};
use super::strategic;
use super::write::{self, WriteAs, Written};

/// A patch's form, by its media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PatchKind {
    Json,
    Merge,
    Strategic,
    Apply,
}

impl PatchKind {
    pub(crate) fn of_media_type(media_type: &str) -> Option<Self> {
        match media_type {
            "application/json-patch+json" => Some(Self::Json),
            "application/merge-patch+json" => Some(Self::Merge),
            "application/strategic-merge-patch+json" => Some(Self::Strategic),
            "application/apply-patch+yaml" | "application/apply-patch+json" => Some(Self::Apply),
            _ => None,
        }
    }
}

/// PATCH of an existing object; `force` is for apply alone.
pub(crate) fn patch(
    state: &mut State,
    how: &WriteAs<'_>,
    key: &ObjectKey,
    form: PatchKind,
    patch: &Value,
    force: bool,
) -> Result<Written, Status> {
    if form == PatchKind::Apply {
        return apply(state, how, key, patch.clone(), force);
    }
    let kind = how.kind;
    let old = state.store.get(key).cloned().ok_or_else(|| Status::not_found(kind, &key.name))?;
    let served = convert::to_served(kind, how.version, &old.value);
    let patched = match form {
        PatchKind::Merge => apply_patch(how, &write::writable(how, &served), form, patch)?,
        PatchKind::Json | PatchKind::Strategic | PatchKind::Apply => apply_patch(how, &served, form, patch)?,
    };
    let (object, warnings) = write::decode(how, patched, true)?;
    if object["metadata"]["name"] != json!(key.name) {
        let cause = Cause::invalid("metadata.name", &object["metadata"]["name"], "field is immutable");
        return Err(Status::invalid(kind, &key.name, vec![cause]));
    }
    let object = write::change(state, how, key, &old, object)?;
    Ok(Written { object, created: false, warnings })
}

/// The object with the patch laid on, not yet decoded.
pub(crate) fn apply_patch(
    how: &WriteAs<'_>,
    served: &Value,
    form: PatchKind,
    patch: &Value,
) -> Result<Value, Status> {
    match form {
        PatchKind::Json => {
            let operations: json_patch::Patch = serde_json::from_value(patch.clone())
                .map_err(|error| Status::bad_request(format!("error decoding patch: {error}")))?;
            let mut patched = served.clone();
            json_patch::patch(&mut patched, &operations).map_err(|_| Status::patch_failed())?;
            Ok(patched)
        }
        PatchKind::Merge | PatchKind::Apply => {
            if !patch.is_object() {
                return Err(Status::bad_request(
                    "error decoding patch: json: cannot unmarshal into Go value of type map[string]interface {}",
                ));
            }
            let mut patched = served.clone();
            json_patch::merge(&mut patched, patch);
            Ok(patched)
        }
        PatchKind::Strategic if how.kind.custom => Err(Status::unsupported_media(
            "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
        )),
        PatchKind::Strategic => strategic::merge(served, patch, &how.kind.storage().schema),
    }
}

/// Server-side apply; creates the object if there is none.
fn apply(
    state: &mut State,
    how: &WriteAs<'_>,
    key: &ObjectKey,
    config: Value,
    force: bool,
) -> Result<Written, Status> {
    let kind = how.kind;
    if how.manager.is_empty() {
        let cause = Cause::required("fieldManager", "is required for apply patch");
        return Err(Status::invalid_named("PatchOptions.meta.k8s.io", "", vec![cause]));
    }
    let has_owners = config["metadata"]["managedFields"].as_array().is_some_and(|owners| !owners.is_empty());
    if has_owners {
        return Err(Status::bad_request("metadata.managedFields must be nil"));
    }
    let (mut config, warnings) = decode_config(how, key, config)?;
    let status_write = how.subresource == "status";
    if let Some(map) = config.as_object_mut() {
        if status_write {
            map.retain(|name, _| matches!(name.as_str(), "apiVersion" | "kind" | "metadata" | "status"));
        } else if kind.version(how.version).is_some_and(|served| served.status) {
            map.remove("status");
        }
    }
    let live = state.store.get(key).cloned();
    let schema = how.schema(state);
    let by = ownership::Write {
        manager: how.manager,
        api_version: convert::stored_api_version(kind),
        subresource: how.subresource,
        time: state.clock.timestamp(),
    };
    let Some(live) = live else {
        if status_write {
            return Err(Status::not_found(kind, &key.name));
        }
        if kind.is_read_only() {
            return Err(Status::unsupported(&format!("enforcing {}", kind.id.resource)));
        }
        check_no_preconditions(how, key, &config)?;
        let mut object = ownership::apply(None, &config, &schema, kind, &by, force)?;
        add_head(&mut object, kind, key);
        settle(how, &mut object, &schema)?;
        write::check_namespace(state, kind, &key.namespace, &key.name)?;
        let object = write::finish_create(state, how, &key.namespace, object, &schema)?;
        return Ok(Written { object, created: true, warnings });
    };
    write::check_preconditions(kind, key, &live, &config)?;
    metadata::of_mut(&mut config).remove("resourceVersion");
    let mut object =
        ownership::apply(Some(&write::writable(how, &live.value)), &config, &schema, kind, &by, force)?;
    add_head(&mut object, kind, key);
    settle(how, &mut object, &schema)?;
    let owners = object["metadata"].get("managedFields").cloned();
    write::keep_system_fields(how, &mut object, &live.value);
    if let Some(owners) = owners {
        object["metadata"]["managedFields"] = owners;
    }
    let object = write::finish_change(state, how, key, &live, object, &schema)?;
    Ok(Written { object, created: false, warnings })
}

/// An apply's configuration in stored form: checked and pruned, but with no defaults (they would be owned).
fn decode_config(
    how: &WriteAs<'_>,
    key: &ObjectKey,
    mut config: Value,
) -> Result<(Value, Vec<String>), Status> {
    for field in ["apiVersion", "kind"] {
        if config[field].as_str().unwrap_or("").is_empty() {
            return Err(Status::bad_request(format!(
                "error decoding apply configuration: Object '{field}' is missing in '{config}'"
            )));
        }
    }
    write::check_head(how, &mut config)?;
    match config["metadata"]["name"].as_str() {
        None | Some("") => config["metadata"]["name"] = json!(key.name),
        Some(name) if name != key.name => {
            return Err(Status::bad_request(format!(
                "the name of the object ({name}) does not match the name on the URL ({})",
                key.name
            )));
        }
        Some(_) => {}
    }
    match config["metadata"]["namespace"].as_str() {
        Some(namespace) if !namespace.is_empty() && namespace != key.namespace => {
            return Err(Status::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        _ if how.kind.namespaced => config["metadata"]["namespace"] = json!(key.namespace),
        _ => {}
    }
    let warnings = write::drop_unknown(how, &mut config, false)?;
    write::check_types(how, &config)?;
    drop_nulls(&mut config, how.kind.custom);
    Ok((convert::to_stored(how.kind, config), warnings))
}

/// Typed kinds do not know `null`.
fn drop_nulls(value: &mut Value, custom: bool) {
    if custom {
        return;
    }
    match value {
        Value::Object(map) => {
            map.retain(|_, child| !child.is_null());
            map.values_mut().for_each(|child| drop_nulls(child, custom));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| drop_nulls(item, custom)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn check_no_preconditions(how: &WriteAs<'_>, key: &ObjectKey, config: &Value) -> Result<(), Status> {
    let uid = config["metadata"]["uid"].as_str().unwrap_or("");
    if !uid.is_empty() {
        let why = format!(
            "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
        );
        return Err(Status::conflict(how.kind, &key.name, &why));
    }
    Ok(())
}

fn add_head(object: &mut Value, kind: &super::kinds::Kind, key: &ObjectKey) {
    object["apiVersion"] = json!(convert::stored_api_version(kind));
    object["kind"] = json!(kind.kind);
    let metadata = metadata::of_mut(object);
    metadata.insert("name".to_owned(), json!(key.name));
    if kind.namespaced {
        metadata.insert("namespace".to_owned(), json!(key.namespace));
    }
}

/// Brings the merged object to its typed form, with defaults.
fn settle(how: &WriteAs<'_>, object: &mut Value, schema: &super::schema::Schema) -> Result<(), Status> {
    write::settle(how, object, schema)
}
