//! CustomResourceDefinitions: checked, installed, withdrawn.

use std::sync::Arc;

use serde_json::{Value, json};

use super::jsonpath::JsonPath;
use super::kinds::{Kind, PrinterColumn, ResourceId, ScalePaths, Served};
use super::metadata;
use super::schema::{Schema, Type, custom};
use super::state::State;
use super::status::{Cause, Status};
use crate::walk::text;

/// The finalizer that keeps a definition until its objects are gone.
pub(crate) const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Defaults and checks a definition and writes the status that says it is served.
pub(crate) fn prepare(state: &State, object: &mut Value) -> Result<(), Status> {
    for (pointer, field) in [("/spec", "spec"), ("/spec/names", "spec.names")] {
        if !object.pointer(pointer).is_some_and(Value::is_object) {
            return Err(refuse(state, object, Refusal::Invalid(vec![Cause::required(field, "")])));
        }
    }
    add_defaults(object);
    let kind = read(object).map_err(|error| refuse(state, object, error))?;
    if let Some(taken) = state.kinds.get(&kind.id).filter(|taken| !taken.custom) {
        let why = format!("{} is already in use by a built-in kind", taken.qualified());
        return Err(Status::bad_request(why));
    }
    let listed = metadata::of_mut(object).entry("finalizers").or_insert_with(|| json!([]));
    if let Some(list) = listed.as_array_mut()
        && !list.iter().any(|known| known == CLEANUP)
    {
        list.push(json!(CLEANUP));
    }
    let now = state.clock.timestamp();
    let since = |kind: &str| -> String {
        let before = object["status"]["conditions"].as_array().into_iter().flatten();
        let known = before.filter(|condition| condition["type"] == kind && condition["status"] == "True");
        known
            .map(|condition| text(condition, "/lastTransitionTime").to_owned())
            .next()
            .unwrap_or_else(|| now.clone())
    };
    let conditions = json!([
        { "type": "NamesAccepted", "status": "True", "reason": "NoConflicts", "message": "no conflicts found", "lastTransitionTime": since("NamesAccepted") },
        { "type": "Established", "status": "True", "reason": "InitialNamesAccepted", "message": "the initial names have been accepted", "lastTransitionTime": since("Established") },
    ]);
    object["status"] = json!({
        "conditions": conditions,
        "acceptedNames": object["spec"]["names"],
        "storedVersions": [kind.storage_version],
    });
    Ok(())
}

fn add_defaults(object: &mut Value) {
    let kind = text(object, "/spec/names/kind").to_owned();
    let names = &mut object["spec"]["names"];
    if text(names, "/singular").is_empty() {
        names["singular"] = json!(kind.to_lowercase());
    }
    if text(names, "/listKind").is_empty() {
        names["listKind"] = json!(format!("{kind}List"));
    }
    if object["spec"]["conversion"].is_null() {
        object["spec"]["conversion"] = json!({ "strategy": "None" });
    }
}

/// Why a definition was not taken.
enum Refusal {
    Unsupported(String),
    Invalid(Vec<Cause>),
}

fn refuse(state: &State, object: &Value, refusal: Refusal) -> Status {
    match refusal {
        Refusal::Unsupported(what) => Status::unsupported(&what),
        Refusal::Invalid(causes) => match state.kinds.get(&super::kinds::DEFINITIONS) {
            Some(kind) => Status::invalid(kind, text(object, "/metadata/name"), causes),
            None => Status::internal("no definitions"),
        },
    }
}

impl From<custom::SchemaError> for Refusal {
    fn from(error: custom::SchemaError) -> Self {
        match error {
            custom::SchemaError::Unsupported(what) => Self::Unsupported(what),
            custom::SchemaError::Invalid { path, why } => {
                Self::Invalid(vec![Cause { reason: "FieldValueInvalid", message: why, field: path }])
            }
        }
    }
}

fn read(object: &Value) -> Result<Kind, Refusal> {
    let spec = &object["spec"];
    let (group, plural) = (text(spec, "/group"), text(spec, "/names/plural"));
    let mut causes = Vec::new();
    for (pointer, field) in
        [("/group", "spec.group"), ("/names/plural", "spec.names.plural"), ("/names/kind", "spec.names.kind")]
    {
        if text(spec, pointer).is_empty() {
            causes.push(Cause::required(field, ""));
        }
    }
    let wanted = format!("{plural}.{group}");
    if text(object, "/metadata/name") != wanted {
        let shown = &object["metadata"]["name"];
        causes.push(Cause::invalid("metadata.name", shown, "must be spec.names.plural+\".\"+spec.group"));
    }
    let namespaced = match text(spec, "/scope") {
        "Namespaced" => true,
        "Cluster" => false,
        _ => {
            let allowed = ["\"Cluster\"".to_owned(), "\"Namespaced\"".to_owned()];
            causes.push(Cause::unsupported("spec.scope", &spec["scope"], &allowed));
            false
        }
    };
    if text(spec, "/conversion/strategy") != "None" {
        return Err(Refusal::Unsupported("conversion webhooks of custom kinds".to_owned()));
    }
    let versions = spec["versions"].as_array().cloned().unwrap_or_default();
    let stored: Vec<&Value> = versions.iter().filter(|version| version["storage"] == json!(true)).collect();
    let [storage] = stored.as_slice() else {
        causes.push(Cause::invalid(
            "spec.versions",
            &json!(versions.len()),
            "must have exactly one version marked as storage version",
        ));
        return Err(Refusal::Invalid(causes));
    };
    let storage_version = text(storage, "/name").to_owned();
    if !causes.is_empty() {
        return Err(Refusal::Invalid(causes));
    }
    let mut served = Vec::new();
    for (at, version) in versions.iter().enumerate() {
        let read = read_version(version, &format!("spec.versions[{at}]"))?;
        if version["served"] == json!(true) || version["storage"] == json!(true) {
            served.push(read);
        }
    }
    let id = ResourceId::new(group, plural);
    Ok(Kind {
        stored: id.clone(),
        id,
        kind: text(spec, "/names/kind").to_owned(),
        list_kind: text(spec, "/names/listKind").to_owned(),
        singular: text(spec, "/names/singular").to_owned(),
        namespaced,
        short_names: texts(&spec["names"]["shortNames"]),
        categories: texts(&spec["names"]["categories"]),
        storage_version,
        served,
        custom: true,
    })
}

fn read_version(version: &Value, path: &str) -> Result<Served, Refusal> {
    let declared = &version["schema"]["openAPIV3Schema"];
    if declared.is_null() {
        return Err(Refusal::Invalid(vec![Cause::required(
            format!("{path}.schema.openAPIV3Schema"),
            "schemas are required",
        )]));
    }
    let schema: Schema = custom::root(declared, &format!("{path}.schema.openAPIV3Schema"))?;
    let declared_scale = &version["subresources"]["scale"];
    let scale = (!declared_scale.is_null()).then(|| ScalePaths {
        spec_replicas: text(declared_scale, "/specReplicasPath").to_owned(),
        status_replicas: text(declared_scale, "/statusReplicasPath").to_owned(),
        selector: declared_scale["labelSelectorPath"].as_str().map(str::to_owned),
    });
    let columns =
        version["additionalPrinterColumns"].as_array().into_iter().flatten().map(|column| PrinterColumn {
            name: text(column, "/name").to_owned(),
            kind: text(column, "/type").to_owned(),
            format: text(column, "/format").to_owned(),
            description: text(column, "/description").to_owned(),
            priority: column["priority"].as_i64().unwrap_or(0),
            path: text(column, "/jsonPath").to_owned(),
        });
    let columns: Vec<PrinterColumn> = columns.collect();
    if let Some(column) = columns.iter().find(|column| JsonPath::parse(&column.path).is_none()) {
        return Err(Refusal::Unsupported(format!(
            "the JSON path {} of printer column {}",
            column.path, column.name
        )));
    }
    let deprecated = version["deprecated"] == json!(true);
    Ok(Served {
        version: text(version, "/name").to_owned(),
        schema: Arc::new(schema),
        columns,
        status: !version["subresources"]["status"].is_null(),
        scale,
        warning: deprecated.then(|| text(version, "/deprecationWarning").to_owned()),
        selectable: version["selectableFields"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|field| text(field, "/jsonPath").to_owned())
            .collect(),
    })
}

/// Serves what a committed definition describes.
pub(crate) fn installed(state: &mut State, object: &Value) {
    if let Ok(kind) = read(object) {
        debug_assert!(kind.served.iter().all(|served| served.schema.kind == Type::Object));
        state.store.add_kind(&kind.stored);
        state.kinds.install(Arc::new(kind));
    }
}

/// Serves it no more.
pub(crate) fn removed(state: &mut State, object: &Value) {
    let id = id_of(object);
    state.kinds.remove(&id);
    state.store.remove_kind(&id);
}

/// The kind a definition describes.
pub(crate) fn id_of(object: &Value) -> ResourceId {
    ResourceId::new(text(object, "/spec/group"), text(object, "/spec/names/plural"))
}

/// The condition of a definition that waits for its objects to go.
pub(crate) fn mark_terminating(state: &State, object: &mut Value) {
    let condition = json!({
        "type": "Terminating", "status": "True", "reason": "InstanceDeletionPending",
        "message": "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
        "lastTransitionTime": state.clock.timestamp(),
    });
    if let Some(conditions) = object.pointer_mut("/status/conditions").and_then(Value::as_array_mut) {
        conditions.push(condition);
    }
}
