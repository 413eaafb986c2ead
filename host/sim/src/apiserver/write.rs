//! The one path on which objects come to be and change: decode, own, prepare, check, commit.
//!
//! Requests and the played controllers both come through here.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::apply::ownership;
use super::builtin;
use super::convert;
use super::decode::decode;
use super::kinds::{self, Kind, ObjectKey};
use super::metadata;
use super::schema::{Schema, validate};
use super::state::State;
use super::status::{Cause, Status};
use super::store::Stored;

/// What to do about fields the schema does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum FieldValidation {
    /// Drop them silently.
    Ignore,
    /// Drop them and warn.
    #[default]
    Warn,
    /// Refuse.
    Strict,
}

/// How a write is made.
#[derive(Clone, Debug)]
pub(crate) struct WriteAs<'a> {
    pub(crate) kind: &'a Arc<Kind>,
    pub(crate) version: &'a str,
    /// Empty or `status`.
    pub(crate) subresource: &'a str,
    pub(crate) manager: &'a str,
    pub(crate) dry_run: bool,
    pub(crate) unknown: FieldValidation,
}

/// What a write led to.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) object: Arc<Stored>,
    pub(crate) created: bool,
    pub(crate) warnings: Vec<String>,
}

impl Written {
    /// With what the kind itself warns of.
    pub(crate) fn new(
        how: &WriteAs<'_>,
        object: Arc<Stored>,
        created: bool,
        mut warnings: Vec<String>,
    ) -> Self {
        if how.subresource.is_empty() {
            warnings.extend(builtin::warnings(how.kind, &object.value));
        }
        Self { object, created, warnings }
    }
}

impl WriteAs<'_> {
    /// The schema of the stored form.
    pub(crate) fn schema(&self, state: &State) -> Arc<Schema> {
        let stored = state.kinds.get(&self.kind.stored).unwrap_or(self.kind);
        Arc::clone(&stored.storage().schema)
    }

    fn ownership(&self, state: &State) -> ownership::Write<'_> {
        ownership::Write {
            manager: self.manager,
            api_version: convert::stored_api_version(self.kind),
            subresource: self.subresource,
            time: state.clock.timestamp(),
        }
    }

    pub(crate) fn served(&self) -> &super::kinds::Served {
        self.kind.version(self.version).unwrap_or_else(|| self.kind.storage())
    }

    fn has_status(&self) -> bool {
        self.kind.version(self.version).is_some_and(|served| served.status)
    }
}

/// POST.
pub(crate) fn create(
    state: &mut State,
    how: &WriteAs<'_>,
    namespace: &str,
    body: Value,
) -> Result<Written, Status> {
    if how.kind.is_read_only() {
        return Err(Status::unsupported(&format!("enforcing {}", how.kind.id.resource)));
    }
    let (object, warnings) = decode(how, body, false)?;
    let object = make(state, how, namespace, object).map_err(|status| status.warned(&warnings))?;
    Ok(Written::new(how, object, true, warnings))
}

fn make(
    state: &mut State,
    how: &WriteAs<'_>,
    namespace: &str,
    mut object: Value,
) -> Result<Arc<Stored>, Status> {
    place_in_namespace(how.kind, &mut object, namespace)?;
    let given = |field: &str| object["metadata"][field].as_str().unwrap_or("").to_owned();
    if !given("resourceVersion").is_empty() {
        return Err(Status::bad_request("resourceVersion should not be set on objects to be created"));
    }
    let name = match (given("name"), given("generateName")) {
        (name, _) if !name.is_empty() => name,
        (_, base) if !base.is_empty() => {
            let cut: String = base.chars().take(58).collect();
            format!("{cut}{}", state.seeded.suffix())
        }
        _ => String::new(),
    };
    check_namespace(state, how.kind, namespace, &name)?;
    let schema = how.schema(state);
    let by = how.ownership(state);
    reset_for_create(how, &mut object, &name);
    ownership::update(None, &mut object, &schema, how.kind, &by);
    finish_create(state, how, namespace, object, &schema)
}

/// From an owned object to a committed one; also the end of an apply that creates.
pub(crate) fn finish_create(
    state: &mut State,
    how: &WriteAs<'_>,
    namespace: &str,
    mut object: Value,
    schema: &Schema,
) -> Result<Arc<Stored>, Status> {
    let kind = how.kind;
    let uid = state.seeded.uid();
    let now = state.clock.timestamp();
    let metadata = metadata::of_mut(&mut object);
    metadata.insert("uid".to_owned(), json!(uid));
    metadata.insert("creationTimestamp".to_owned(), json!(now));
    metadata.remove("selfLink");
    if builtin::counts_generations(kind) {
        metadata.insert("generation".to_owned(), json!(1));
    }
    let name = metadata.get("name").and_then(Value::as_str).unwrap_or("").to_owned();
    if !kind.custom {
        builtin::prepare_create(state, kind, &mut object)?;
    }
    let mut causes = Vec::new();
    check_object(kind, &object, schema, &mut causes);
    if !causes.is_empty() {
        return Err(Status::invalid(kind, &name, causes));
    }
    let key = ObjectKey::new(kind.stored.clone(), namespace, &name);
    if let Some(there) = state.store.get(&key) {
        let mut status = Status::already_exists(kind, &name);
        if !there.value["metadata"]["deletionTimestamp"].is_null() {
            status.message.insert_str(0, "object is being deleted: ");
        }
        return Err(status.warned(&builtin::warnings(kind, &object)));
    }
    if kind.is(&kinds::DEFINITIONS) {
        super::definition::prepare(state, &mut object)?;
    }
    if how.dry_run {
        return Ok(Stored::new(object, 0));
    }
    Ok(state.commit(&key, object))
}

fn reset_for_create(how: &WriteAs<'_>, object: &mut Value, name: &str) {
    // Kubelets register their Node with its status.
    if how.has_status()
        && !how.kind.is(&kinds::NODES)
        && let Some(map) = object.as_object_mut()
    {
        map.remove("status");
    }
    let metadata = metadata::of_mut(object);
    for field in [
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
        "managedFields",
    ] {
        metadata.remove(field);
    }
    metadata.insert("name".to_owned(), json!(name));
}

fn place_in_namespace(kind: &Kind, object: &mut Value, namespace: &str) -> Result<(), Status> {
    let given = object["metadata"]["namespace"].as_str().unwrap_or("").to_owned();
    if !kind.namespaced {
        metadata::of_mut(object).remove("namespace");
        return Ok(());
    }
    if !given.is_empty() && given != namespace {
        return Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    metadata::of_mut(object).insert("namespace".to_owned(), json!(namespace));
    Ok(())
}

pub(crate) fn check_namespace(state: &State, kind: &Kind, namespace: &str, name: &str) -> Result<(), Status> {
    if !kind.namespaced {
        return Ok(());
    }
    let key = ObjectKey::new(kinds::NAMESPACES, "", namespace);
    let Some(found) = state.store.get(&key) else {
        return match state.kinds.get(&kinds::NAMESPACES) {
            Some(namespaces) => Err(Status::not_found(namespaces, namespace)),
            None => Err(Status::internal("no namespaces")),
        };
    };
    if found.value["metadata"]["deletionTimestamp"].is_null() {
        return Ok(());
    }
    let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
    let mut status = Status::forbidden(kind, name, &why);
    status.details.causes = vec![Cause {
        reason: "NamespaceTerminating",
        message: format!("namespace {namespace} is being terminated"),
        field: "metadata.namespace".to_owned(),
    }];
    Err(status)
}

fn check_object(kind: &Kind, object: &Value, schema: &Schema, causes: &mut Vec<Cause>) {
    metadata::check(kind, object, causes);
    if kind.custom {
        validate::check(object, schema, causes);
        check_scale(kind, object, causes);
    } else {
        builtin::check(kind, object, causes);
    }
}

/// What the scale subresource would show must be a count.
fn check_scale(kind: &Kind, object: &Value, causes: &mut Vec<Cause>) {
    let Some(paths) = &kind.storage().scale else { return };
    for path in [&paths.spec_replicas, &paths.status_replicas] {
        let replicas = super::scale::at(object, path);
        if replicas.as_i64().is_some_and(|count| count < 0) {
            causes.push(Cause::invalid(path.as_str(), replicas, "should be a non-negative integer"));
        }
    }
}

/// PUT. An absent resourceVersion overwrites unconditionally, which custom kinds do not allow.
pub(crate) fn update(
    state: &mut State,
    how: &WriteAs<'_>,
    key: &ObjectKey,
    body: Value,
) -> Result<Written, Status> {
    let (object, warnings) = decode(how, body, false)?;
    let created = builtin::creates_on_update(how.kind) && state.store.get(key).is_none();
    let done = if created { make_instead(state, how, key, object) } else { replace(state, how, key, object) };
    let object = done.map_err(|status| status.warned(&warnings))?;
    Ok(Written::new(how, object, created, warnings))
}

fn replace(
    state: &mut State,
    how: &WriteAs<'_>,
    key: &ObjectKey,
    mut object: Value,
) -> Result<Arc<Stored>, Status> {
    let kind = how.kind;
    check_place(how, key, &mut object)?;
    let old = state.store.get(key).cloned().ok_or_else(|| Status::not_found(kind, &key.name))?;
    let given = object["metadata"]["resourceVersion"].as_str().unwrap_or("");
    let unversioned = given.is_empty();
    check_uid(kind, key, &old, &object)?;
    if unversioned {
        check_may_overwrite(kind, key)?;
    }
    check_version(kind, key, &old, &object)?;
    change(state, how, key, &old, object)
}

/// An update of what is not there, where the kind takes that for a creation.
fn make_instead(
    state: &mut State,
    how: &WriteAs<'_>,
    key: &ObjectKey,
    mut object: Value,
) -> Result<Arc<Stored>, Status> {
    check_place(how, key, &mut object)?;
    let schema = how.schema(state);
    let nothing = ownership::nothing(&schema, how.kind);
    check_uid(how.kind, key, &Stored::new(nothing, 0), &object)?;
    ownership::update(None, &mut object, &schema, how.kind, &how.ownership(state));
    let owners = object["metadata"].get("managedFields").cloned();
    reset_for_create(how, &mut object, &key.name);
    if let Some(owners) = owners {
        object["metadata"]["managedFields"] = owners;
    }
    finish_create(state, how, &key.namespace, object, &schema)
}

/// An object must be where the URL says, by name and namespace.
pub(crate) fn check_place(how: &WriteAs<'_>, key: &ObjectKey, object: &mut Value) -> Result<(), Status> {
    place_in_namespace(how.kind, object, &key.namespace)?;
    match object["metadata"]["name"].as_str() {
        None | Some("") => return Err(Status::no_name(&key.name)),
        Some(name) if name != key.name => {
            return Err(Status::bad_request(format!(
                "the name of the object ({name}) does not match the name on the URL ({})",
                key.name
            )));
        }
        Some(_) => {}
    }
    Ok(())
}

/// Refuses an update that says nothing of what it updates, where the kind wants it to.
pub(crate) fn check_may_overwrite(kind: &Kind, key: &ObjectKey) -> Result<(), Status> {
    if builtin::may_overwrite(kind) {
        return Ok(());
    }
    let cause = Cause::invalid("metadata.resourceVersion", &json!(0), "must be specified for an update");
    Err(Status::invalid_named(&kind.qualified(), &key.name, vec![cause]))
}

/// The common way of updates and patches, from a decoded object on.
pub(crate) fn change(
    state: &mut State,
    how: &WriteAs<'_>,
    key: &ObjectKey,
    old: &Arc<Stored>,
    mut object: Value,
) -> Result<Arc<Stored>, Status> {
    keep_system_fields(how, &mut object, &old.value);
    let schema = how.schema(state);
    let by = how.ownership(state);
    ownership::update(Some(&old.value), &mut object, &schema, how.kind, &by);
    finish_change(state, how, key, old, object, &schema)
}

/// The UID, if the new object carries one.
pub(crate) fn check_uid(kind: &Kind, key: &ObjectKey, old: &Stored, object: &Value) -> Result<(), Status> {
    let given = |field: &str| object["metadata"][field].as_str().filter(|text| !text.is_empty());
    let uid = old.value["metadata"]["uid"].as_str().unwrap_or("");
    if let Some(wanted) = given("uid").filter(|wanted| *wanted != uid) {
        let why = format!("Precondition failed: UID in precondition: {wanted}, UID in object meta: {uid}");
        return Err(Status::conflict(kind, &key.name, &why));
    }
    Ok(())
}

/// The resourceVersion alone.
pub(crate) fn check_version(
    kind: &Kind,
    key: &ObjectKey,
    old: &Stored,
    object: &Value,
) -> Result<(), Status> {
    let given = |field: &str| object["metadata"][field].as_str().filter(|text| !text.is_empty());
    match given("resourceVersion") {
        Some("0") | None => Ok(()),
        Some(wanted) if wanted.parse() == Ok(old.rv) => Ok(()),
        Some(wanted) if wanted.parse::<u64>().is_err() => {
            let cause =
                Cause::invalid("metadata.resourceVersion", &json!(wanted), "must be an unsigned integer");
            Err(Status::invalid(kind, &key.name, vec![cause]))
        }
        Some(_) => Err(Status::stale(kind, &key.name)),
    }
}

/// What this way of writing may touch of an object: all of it, or its status beside its head.
/// The rest comes back by [`keep_system_fields`].
pub(crate) fn writable<'a>(how: &WriteAs<'_>, object: &'a Value) -> Cow<'a, Value> {
    if how.subresource != "status" {
        return Cow::Borrowed(object);
    }
    let fields = object.as_object().into_iter().flatten();
    let touched = |name: &str| matches!(name, "apiVersion" | "kind" | "metadata" | "status");
    let part = fields.filter(|(name, _)| touched(name)).map(|(name, value)| (name.clone(), value.clone()));
    Cow::Owned(Value::Object(part.collect()))
}

/// What this way of writing may not touch is taken from the old object.
pub(crate) fn keep_system_fields(how: &WriteAs<'_>, object: &mut Value, old: &Value) {
    let metadata = metadata::of_mut(object);
    metadata.remove("selfLink");
    for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "generation"] {
        match old["metadata"].get(field) {
            Some(value) => metadata.insert(field.to_owned(), value.clone()),
            None => metadata.remove(field),
        };
    }
    for field in ["uid", "creationTimestamp", "resourceVersion", "namespace", "name"] {
        let unset = metadata.get(field).is_none_or(|value| value.is_null() || value == "");
        if let Some(value) = old["metadata"].get(field).filter(|_| unset || field == "resourceVersion") {
            metadata.insert(field.to_owned(), value.clone());
        }
    }
    let restore = |object: &mut Value, field: &str| match (old.get(field), object.as_object_mut()) {
        (Some(value), Some(map)) if map.get(field) == Some(value) => {}
        (Some(value), Some(map)) => {
            map.insert(field.to_owned(), value.clone());
        }
        (None, Some(map)) => {
            map.remove(field);
        }
        (_, None) => {}
    };
    if how.subresource == "status" {
        let fields: Vec<String> = object
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name.clone())
            .chain(old.as_object().into_iter().flatten().map(|(name, _)| name.clone()))
            .collect();
        for field in fields.iter().filter(|field| !matches!(field.as_str(), "status" | "metadata")) {
            restore(object, field);
        }
        // A status write may not change metadata either, but for the owners (and, of built-ins, annotations and labels).
        let owners = object["metadata"].get("managedFields").cloned();
        let kept = fields_but("managedFields", &old["metadata"]);
        let mut kept: Map<String, Value> = kept.map(|(name, value)| (name.clone(), value.clone())).collect();
        if !how.kind.custom {
            for field in ["labels", "annotations", "finalizers", "uid", "generateName"] {
                match object["metadata"].get(field) {
                    // A Deployment's status is written without its labels.
                    _ if field == "labels" && how.kind.is(&kinds::DEPLOYMENTS) => {}
                    Some(value) => drop(kept.insert(field.to_owned(), value.clone())),
                    None => drop(kept.remove(field)),
                }
            }
        }
        if let Some(owners) = owners {
            kept.insert("managedFields".to_owned(), owners);
        }
        object["metadata"] = Value::Object(kept);
    } else if how.has_status() {
        restore(object, "status");
    }
}

/// From an owned object to a committed one.
pub(crate) fn finish_change(
    state: &mut State,
    how: &WriteAs<'_>,
    key: &ObjectKey,
    old: &Arc<Stored>,
    mut object: Value,
    schema: &Schema,
) -> Result<Arc<Stored>, Status> {
    let kind = how.kind;
    if !kind.custom {
        builtin::prepare_update(state, kind, &mut object, &old.value)?;
    }
    if builtin::counts_generations(kind) && spec_differs(how, &object, &old.value) {
        let generation = old.value["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
        object["metadata"]["generation"] = json!(generation);
    }
    let mut causes = Vec::new();
    metadata::check_update(&object, &old.value, &mut causes);
    check_object(kind, &object, schema, &mut causes);
    if !kind.custom && how.subresource.is_empty() {
        builtin::check_update(kind, &object, &old.value, &mut causes);
    }
    if !causes.is_empty() {
        if kind.custom && how.subresource == "status" {
            causes.iter_mut().for_each(Cause::begin_at_status);
        }
        return Err(Status::invalid(kind, &key.name, causes));
    }
    if !kind.custom && how.subresource.is_empty() {
        builtin::admit_update(state, kind, &object, &old.value)?;
    }
    let grows =
        builtin::is_kept_in_part(kind, &old.value) && !how.dry_run && state.store.is_as_made(key, old.rv);
    if !grows && same_but_for_times(&object, &old.value) {
        return Ok(Arc::clone(old));
    }
    if kind.is(&kinds::DEFINITIONS) && how.subresource.is_empty() {
        super::definition::prepare(state, &mut object)?;
    }
    if how.dry_run {
        return Ok(Stored::new(object, old.rv));
    }
    let metadata = &object["metadata"];
    let grace = metadata["deletionGracePeriodSeconds"].as_i64().unwrap_or(0);
    if !metadata["deletionTimestamp"].is_null() && !has_finalizers(&object) && grace == 0 {
        // Watchers see what was stored last, the writer what would have been.
        state.commit_removal(key, (*old.value).clone());
        return Ok(Stored::new(object, old.rv));
    }
    Ok(state.commit(key, object))
}

/// Whether any finalizer is left, a namespace's own included.
pub(crate) fn has_finalizers(object: &Value) -> bool {
    let some = |value: &Value| value.as_array().is_some_and(|list| !list.is_empty());
    some(&object["metadata"]["finalizers"])
        || object["kind"] == json!("Namespace") && some(&object["spec"]["finalizers"])
}

fn spec_differs(how: &WriteAs<'_>, new: &Value, old: &Value) -> bool {
    if how.subresource == "status" {
        return false;
    }
    if !how.kind.custom {
        // of a Deployment its annotations count as well
        let annotations =
            |object: &'_ Value| object["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
        return new.get("spec") != old.get("spec")
            || how.kind.is(&kinds::DEPLOYMENTS) && annotations(new) != annotations(old);
    }
    let body = |value: &Value| -> Vec<(String, Value)> {
        let fields = value.as_object().into_iter().flatten();
        let skipped = |name: &str| name == "metadata" || name == "status" && how.has_status();
        fields.filter(|(name, _)| !skipped(name)).map(|(name, child)| (name.clone(), child.clone())).collect()
    };
    body(new) != body(old)
}

/// A write that changes nothing but the times in `managedFields` is none.
fn same_but_for_times(new: &Value, old: &Value) -> bool {
    let (new_owners, old_owners) = (owners(new), owners(old));
    same_but_for("metadata", new, old)
        && same_but_for("managedFields", &new["metadata"], &old["metadata"])
        && new_owners.len() == old_owners.len()
        && new_owners.iter().zip(old_owners).all(|(new, old)| same_but_for("time", new, old))
}

fn owners(object: &Value) -> &[Value] {
    object["metadata"]["managedFields"].as_array().map_or(&[], Vec::as_slice)
}

/// Whether two objects have the same fields, one aside.
fn same_but_for(aside: &str, a: &Value, b: &Value) -> bool {
    fields_but(aside, a).eq(fields_but(aside, b))
}

fn fields_but<'a>(aside: &'a str, value: &'a Value) -> impl Iterator<Item = (&'a String, &'a Value)> {
    value.as_object().into_iter().flatten().filter(move |(name, _)| *name != aside)
}
