//! The scale subresource: a narrow door to the replica count.

use std::sync::Arc;

use serde_json::{Value, json};

use super::http::{Answer, Asked, Call, write_as};
use super::kinds::{Kind, ScalePaths};
use super::patch::{self, PatchKind};
use super::schema::normalise::json_word;
use super::selector::LabelSelector;
use super::state::State;
use super::status::Status;
use super::store::Stored;
use super::write::{self, WriteAs};

pub(super) fn at<'a>(object: &'a Value, path: &str) -> &'a Value {
    path.split('.').filter(|part| !part.is_empty()).fold(object, |value, part| &value[part])
}

fn put(object: &mut Value, path: &str, value: Value) {
    let place = path.split('.').filter(|part| !part.is_empty()).fold(object, |value, part| &mut value[part]);
    *place = value;
}

/// The `autoscaling/v1` Scale of an object.
fn scale_of(kind: &Kind, paths: &ScalePaths, object: &Value) -> Value {
    let metadata = &object["metadata"];
    let replicas = at(object, &paths.spec_replicas).as_i64().unwrap_or(0);
    let current = at(object, &paths.status_replicas).as_i64().unwrap_or(0);
    let mut scale = json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": metadata["name"], "uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"],
            "creationTimestamp": metadata["creationTimestamp"],
        },
        "spec": {}, "status": { "replicas": current },
    });
    if !metadata["namespace"].is_null() {
        scale["metadata"]["namespace"] = metadata["namespace"].clone();
    }
    if replicas != 0 {
        scale["spec"]["replicas"] = json!(replicas);
    }
    let selector = match &paths.selector {
        Some(path) => at(object, path).as_str().unwrap_or("").to_owned(),
        None if kind.custom => String::new(),
        None => LabelSelector::of_object(&object["spec"]["selector"]).to_string(),
    };
    if !selector.is_empty() {
        scale["status"]["selector"] = json!(selector);
    }
    scale
}

/// The count a Scale asks for, or why it is none.
fn replicas_of(kind: &Kind, wanted: &Value, patched: bool) -> Result<i64, Status> {
    let given = &wanted["spec"]["replicas"];
    if given.is_null() {
        return Ok(0);
    }
    let found = json_word(given);
    let why =
        format!("json: cannot unmarshal {found} into Go struct field ScaleSpec.spec.replicas of type int32");
    given.as_i64().ok_or_else(|| match patched {
        true => Status::bad_patched(wanted, &why),
        false if kind.custom => Status::bad_request(
            "no kind is registered for the type v1.Scale in scheme \"pkg/runtime/scheme.go:111\"",
        ),
        false => Status::bad_request(format!("Scale in version \"v1\" cannot be handled as a Scale: {why}")),
    })
}

/// Of a patch a built-in's scale is a resource of its own.
fn about_scale(kind: &Kind, mut status: Status) -> Status {
    if !kind.custom {
        let resource = &*kind.id.resource;
        status.message = status.message.replacen(resource, &format!("{resource}/scale"), 1);
        status.details.kind.push_str("/scale");
    }
    status
}

/// GET, PUT and PATCH of `…/scale`.
pub(crate) fn answer(
    state: &mut State,
    call: &Call<'_>,
    asked: &Asked,
    verb: &str,
) -> Result<Answer, Status> {
    let Some(paths) = &asked.served.scale else { return Err(Status::no_such_path()) };
    let key = asked.key()?;
    let kind = &asked.kind;
    let manager = call.manager();
    let how = WriteAs { subresource: "scale", ..write_as(call, asked, "", &manager)? };
    let body = if verb == "update" { call.json_body()? } else { None };
    if let Some(body) = &body {
        replicas_of(kind, body, false)?;
    }
    let old: Arc<Stored> =
        state.store.get(&key).cloned().ok_or_else(|| Status::not_found(kind, &key.name))?;
    let before = scale_of(kind, paths, &old.value);
    let wanted = match verb {
        "get" if kind.custom && at(&old.value, &paths.spec_replicas).is_null() => {
            let path = &paths.spec_replicas;
            return Err(Status::internal(format!("the spec replicas field {path:?} does not exist")));
        }
        "get" => return Ok(Answer::json(200, &before)),
        "update" => body.ok_or_else(|| Status::bad_request("the request has no body"))?,
        "patch" => match call.patch()? {
            (PatchKind::Apply, _) => {
                return Err(Status::unsupported("server-side apply of the scale subresource"));
            }
            (PatchKind::Strategic, value) => patch::apply_patch(&how, &before, PatchKind::Merge, &value)?,
            (form, value) => patch::apply_patch(&how, &before, form, &value)?,
        },
        _ => return Err(Status::method_not_allowed()),
    };
    let replicas = replicas_of(kind, &wanted, verb == "patch")?;
    if replicas < 0 && !kind.custom {
        let cause = super::status::Cause::invalid(
            "spec.replicas",
            &json!(replicas),
            "must be greater than or equal to 0",
        );
        return Err(Status::invalid_named("Scale.autoscaling", &key.name, vec![cause]));
    }
    let mut object = (*old.value).clone();
    put(&mut object, &paths.spec_replicas, json!(replicas));
    // Preconditions are the Scale's own.
    for field in ["resourceVersion", "uid"] {
        object["metadata"][field] = wanted["metadata"][field].clone();
    }
    let about = |status| if verb == "patch" { about_scale(kind, status) } else { status };
    write::check_uid(kind, &key, &old, &object).map_err(about)?;
    write::check_version(kind, &key, &old, &object)?;
    let stored = write::change(state, &how, &key, &old, object)?;
    Ok(Answer::json(200, &scale_of(kind, paths, &stored.value)))
}
