//! PATCH: JSON, merge, strategic merge, apply.

use json_patch::jsonptr::Pointer;
use json_patch::{AddOperation, PatchOperation};
use serde_json::{Value, json};

use super::apply::{ownership, typed};
use super::builtin;
use super::convert;
use super::decode;
use super::kinds::ObjectKey;
use super::metadata;
use super::schema::Place;
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
    let (mut object, warnings) = decode::decode(how, patched, true)?;
    write::check_place(how, key, &mut object).map_err(|status| status.warned(&warnings))?;
    if object["metadata"]["resourceVersion"].as_str().unwrap_or("").is_empty() {
        write::check_may_overwrite(kind, key).map_err(|status| status.warned(&warnings))?;
    }
    let changed = write::check_version(kind, key, &old, &object)
        .and_then(|()| write::change(state, how, key, &old, object))
        .map_err(|status| status.warned(&warnings))?;
    Ok(Written::new(how, changed, false, warnings))
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
            for operation in operations.0 {
                let operation = as_the_real_server_reads(operation, &patched);
                json_patch::patch(&mut patched, &[operation]).map_err(|_| Status::patch_failed())?;
            }
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
        PatchKind::Strategic => strategic::merge(served, patch, &how.kind.storage().schema),
    }
}

/// To replace a field that is not there is to add it.
fn as_the_real_server_reads(operation: PatchOperation, value: &Value) -> PatchOperation {
    let missing = |path: &Pointer| {
        let parent = path.parent().and_then(|parent| parent.resolve(value).ok());
        parent.is_some_and(Value::is_object) && path.resolve(value).is_err()
    };
    match operation {
        PatchOperation::Replace(replace) if missing(&replace.path) => {
            PatchOperation::Add(AddOperation { path: replace.path, value: replace.value })
        }
        operation => operation,
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
    if config["metadata"]["managedFields"].is_array() {
        return Err(Status::bad_request("metadata.managedFields must be nil"));
    }
    let live = state.store.get(key).cloned();
    let status_write = how.subresource == "status";
    if live.is_none() && status_write && !builtin::creates_on_update(kind) {
        return Err(Status::not_found(kind, &key.name));
    }
    let mut config = decode_config(how, config)?;
    let described = how.described(&config);
    if let Some(map) = config.as_object_mut() {
        if status_write {
            map.retain(|name, _| matches!(name.as_str(), "apiVersion" | "kind" | "metadata" | "status"));
        } else if kind.version(how.version).is_some_and(|served| served.status) {
            map.remove("status");
        }
    }
    let schema = how.schema(state);
    let by = ownership::Write {
        manager: how.manager,
        api_version: convert::stored_api_version(kind),
        subresource: how.subresource,
        time: state.clock.timestamp(),
    };
    let Some(live) = live else {
        if kind.is_read_only() {
            return Err(Status::unsupported(&format!("enforcing {}", kind.id.resource)));
        }
        let mut object = ownership::apply(None, &config, &schema, kind, &by, force)?;
        settle(how, &mut object, &schema, &described)?;
        check_no_preconditions(how, key, &config)?;
        write::check_place(how, key, &mut config)?;
        add_head(&mut object, kind, key);
        write::check_namespace(state, kind, &key.namespace, &key.name)?;
        let object = write::finish_create(state, how, &key.namespace, object, &schema)?;
        return Ok(Written::new(how, object, true, Vec::new()));
    };
    let mut object =
        ownership::apply(Some(&write::writable(how, &live.value)), &config, &schema, kind, &by, force)?;
    add_head(&mut object, kind, key);
    settle(how, &mut object, &schema, &described)?;
    write::check_place(how, key, &mut config)?;
    if let Some(uid) = config["metadata"].get("uid") {
        object["metadata"]["uid"] = uid.clone();
    }
    write::check_version(kind, key, &live, &config)?;
    let owners = object["metadata"].get("managedFields").cloned();
    write::keep_system_fields(how, &mut object, &live.value);
    if let Some(owners) = owners {
        object["metadata"]["managedFields"] = owners;
    }
    let object = write::finish_change(state, how, key, &live, object, &schema)?;
    Ok(Written::new(how, object, false, Vec::new()))
}

/// An apply's configuration in stored form: checked, but with no defaults (they would be owned).
fn decode_config(how: &WriteAs<'_>, mut config: Value) -> Result<Value, Status> {
    for field in ["apiVersion", "kind"] {
        if config[field].as_str().unwrap_or("").is_empty() {
            return Err(Status::bad_request(format!(
                "error decoding apply configuration: Object '{field}' is missing in '{config}'"
            )));
        }
    }
    let api_version = how.kind.api_version(how.version);
    if config["kind"] != json!(how.kind.kind)
        || !how.kind.custom && config["apiVersion"] != json!(api_version)
    {
        let group = config["apiVersion"].as_str().unwrap_or("");
        let slash = if group.contains('/') { "" } else { "/" };
        let found = config["kind"].as_str().unwrap_or("");
        return Err(Status::bad_request(format!("invalid object type: {slash}{group}, Kind={found}")));
    }
    decode::check_head(how, &mut config, false)?;
    if config["metadata"]["name"].as_str().unwrap_or("").is_empty() {
        return Err(Status::unsupported("server-side apply of a configuration without a name"));
    }
    let place = Place::root(&how.kind.storage().schema);
    if how.kind.custom && typed::is_lost_in_the_open(&config, place) {
        return Err(Status::unsupported("applying fields of an object that declares none"));
    }
    let misfits = typed::misfits(&config, place);
    if !misfits.is_empty() {
        let all = if misfits.len() == 1 {
            misfits.concat()
        } else {
            format!("errors:\n  {}", misfits.join("\n  "))
        };
        let described = how.described(&config);
        return Err(Status::apply_failed(format!(
            "failed to create typed patch object ({described}): {all}"
        )));
    }
    drop_nulls(&mut config, how.kind.custom);
    Ok(convert::to_stored(how.kind, config))
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
fn settle(
    how: &WriteAs<'_>,
    object: &mut Value,
    schema: &super::schema::Schema,
    described: &str,
) -> Result<(), Status> {
    decode::settle(how, object, schema, described)
}
