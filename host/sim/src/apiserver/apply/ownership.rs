//! `metadata.managedFields`: read, updated by writes and applies, written back.

use serde_json::{Value, json};

use super::fieldset::{FieldSet, Step};
use super::typed;
use crate::apiserver::kinds::Kind;
use crate::apiserver::metadata;
use crate::apiserver::schema::{Place, Schema};
use crate::apiserver::status::{Cause, Status};

/// Who writes, how and when.
#[derive(Clone, Debug)]
pub(crate) struct Write<'a> {
    pub(crate) manager: &'a str,
    pub(crate) api_version: String,
    pub(crate) subresource: &'a str,
    pub(crate) time: String,
}

/// One entry of `managedFields`.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    manager: String,
    applied: bool,
    api_version: String,
    subresource: String,
    time: String,
    fields: FieldSet,
}

fn read(object: &Value) -> Vec<Entry> {
    let listed = object["metadata"]["managedFields"].as_array();
    let text = |entry: &Value, key: &str| entry[key].as_str().unwrap_or("").to_owned();
    listed
        .into_iter()
        .flatten()
        .map(|entry| Entry {
            manager: text(entry, "manager"),
            applied: entry["operation"] == json!("Apply"),
            api_version: text(entry, "apiVersion"),
            subresource: text(entry, "subresource"),
            time: text(entry, "time"),
            fields: FieldSet::from_value(&entry["fieldsV1"]),
        })
        .collect()
}

fn write(object: &mut Value, mut entries: Vec<Entry>) {
    // The real server's order: applies first, then by time, then by name.
    entries.sort_by(|a, b| {
        (!a.applied, &a.time, &a.manager, &a.subresource).cmp(&(
            !b.applied,
            &b.time,
            &b.manager,
            &b.subresource,
        ))
    });
    let listed: Vec<Value> = entries
        .iter()
        .map(|entry| {
            let mut value = json!({
                "manager": entry.manager,
                "operation": if entry.applied { "Apply" } else { "Update" },
                "apiVersion": entry.api_version,
                "time": entry.time,
                "fieldsType": "FieldsV1",
                "fieldsV1": entry.fields.to_value(),
            });
            if !entry.subresource.is_empty() {
                value["subresource"] = json!(entry.subresource);
            }
            value
        })
        .collect();
    let metadata = metadata::of_mut(object);
    if listed.is_empty() {
        metadata.remove("managedFields");
    } else {
        metadata.insert("managedFields".to_owned(), Value::Array(listed));
    }
}

/// Fields nobody owns.
fn strip(set: &mut FieldSet, subresource: &str, kind: &Kind) {
    let path =
        |names: &[&str]| -> Vec<Step> { names.iter().map(|name| Step::Field((*name).to_owned())).collect() };
    for names in [
        &["apiVersion"][..],
        &["kind"],
        &["metadata", "name"],
        &["metadata", "namespace"],
        &["metadata", "creationTimestamp"],
        &["metadata", "selfLink"],
        &["metadata", "uid"],
        &["metadata", "clusterName"],
        &["metadata", "generation"],
        &["metadata", "managedFields"],
        &["metadata", "resourceVersion"],
        &["metadata", "deletionTimestamp"],
        &["metadata", "deletionGracePeriodSeconds"],
    ] {
        set.without(&path(names));
    }
    set.members.remove(&Step::Field("metadata".to_owned()));
    let has_status = kind.storage().status;
    if has_status && subresource.is_empty() {
        set.without(&path(&["status"]));
    }
    if has_status && subresource == "status" {
        set.without(&path(&["spec"]));
        if kind.custom {
            set.without(&path(&["metadata"]));
        }
    }
}

/// What is compared: the object without the fields nobody owns by this way.
fn without_managed(object: &Value) -> Value {
    let mut out = object.clone();
    metadata::of_mut(&mut out).remove("managedFields");
    out
}

/// The object as the real server's typed machinery sees "nothing there yet".
pub(crate) fn nothing(schema: &Schema, kind: &Kind) -> Value {
    if kind.custom { json!({ "metadata": {} }) } else { crate::apiserver::schema::normalise::zero(schema) }
}

/// Notes an ordinary write (create, update, patch) in `new`, whose `managedFields` may have been edited by the client.
pub(crate) fn update(
    old: Option<&Value>,
    new: &mut Value,
    schema: &Schema,
    kind: &Kind,
    write_by: &Write<'_>,
) {
    // An empty list resets the owners; an absent one keeps the old object's.
    let given = new["metadata"].get("managedFields").cloned();
    let reset = matches!(&given, Some(Value::Array(items)) if items.is_empty() || items.len() == 1 && items[0] == json!({}));
    let mut entries = match (old, reset) {
        (_, true) | (None, false) => Vec::new(),
        (Some(old), false) => read(if given.is_some() { new } else { old }),
    };
    if reset {
        metadata::of_mut(new).remove("managedFields");
        write(new, entries);
        return;
    }
    let place = Place::root(schema);
    // Owners are compared as well, and do no harm: nobody owns them.
    let difference = match old {
        Some(old) => typed::compare(old, new, place),
        None => typed::compare(&nothing(schema, kind), new, place),
    };
    let touched = difference.added.union(&difference.modified);
    let mine = |entry: &Entry| {
        !entry.applied
            && entry.manager == write_by.manager
            && entry.subresource == write_by.subresource
            && entry.api_version == write_by.api_version
    };
    // Changed fields leave every other owner; removed ones leave all.
    for entry in entries.iter_mut() {
        if !mine(entry) {
            entry.fields = entry.fields.difference(&entry.fields.intersection(&touched));
        }
        entry.fields = entry.fields.difference(&difference.removed);
    }
    let mut gained = touched;
    strip(&mut gained, write_by.subresource, kind);
    match entries.iter_mut().find(|entry| mine(entry)) {
        Some(entry) => {
            let merged = entry.fields.union(&gained);
            if !gained.is_empty() {
                entry.time.clone_from(&write_by.time);
            }
            entry.fields = merged;
        }
        None => entries.push(Entry {
            manager: write_by.manager.to_owned(),
            applied: false,
            api_version: write_by.api_version.clone(),
            subresource: write_by.subresource.to_owned(),
            time: write_by.time.clone(),
            fields: gained,
        }),
    }
    entries.retain(|entry| !entry.fields.is_empty());
    write(new, entries);
}

/// The result of an apply before validation.
pub(crate) fn apply(
    live: Option<&Value>,
    config: &Value,
    schema: &Schema,
    kind: &Kind,
    write_by: &Write<'_>,
    force: bool,
) -> Result<Value, Status> {
    let place = Place::root(schema);
    let start = live.map_or_else(|| nothing(schema, kind), without_managed);
    if let Err(bad) = typed::check_lists(config, place, "") {
        return Err(Status::invalid(
            kind,
            config["metadata"]["name"].as_str().unwrap_or(""),
            vec![Cause { reason: "FieldValueInvalid", message: bad.why, field: bad.path }],
        ));
    }
    let mut entries = live.map(read).unwrap_or_default();
    let mine = |entry: &Entry| {
        entry.applied && entry.manager == write_by.manager && entry.subresource == write_by.subresource
    };
    let last = entries.iter().find(|entry| mine(entry)).map(|entry| entry.fields.clone());
    let mut fields = typed::fields_of(config, place);
    strip(&mut fields, write_by.subresource, kind);

    let merged = typed::merge(Some(&start), config, place);
    let others = entries
        .iter()
        .filter(|entry| !mine(entry))
        .fold(fields.clone(), |all, entry| all.union(&entry.fields));
    let mut result = match &last {
        Some(last) if !last.difference(&fields).is_empty() => prune(&merged, last, &others, place),
        _ => merged,
    };
    drop_nulls_left_by_pruning(&mut result, config);

    let difference = typed::compare(&start, &result, place);
    let touched = difference.added.union(&difference.modified);
    let mut conflicts = Vec::new();
    for entry in entries.iter().filter(|entry| !mine(entry)) {
        let contested = entry.fields.intersection(&touched);
        if !contested.is_empty() {
            conflicts.push((entry.clone(), contested));
        }
    }
    if !force && !conflicts.is_empty() {
        return Err(conflict(&conflicts));
    }
    for entry in entries.iter_mut().filter(|entry| !mine(entry)) {
        entry.fields =
            entry.fields.difference(&entry.fields.intersection(&touched)).difference(&difference.removed);
    }
    let unchanged = last.as_ref() == Some(&fields) && difference_is_empty(&difference);
    match entries.iter_mut().find(|entry| mine(entry)) {
        Some(entry) => {
            entry.fields = fields;
            entry.api_version.clone_from(&write_by.api_version);
            if !unchanged {
                entry.time.clone_from(&write_by.time);
            }
        }
        None => entries.push(Entry {
            manager: write_by.manager.to_owned(),
            applied: true,
            api_version: write_by.api_version.clone(),
            subresource: write_by.subresource.to_owned(),
            time: write_by.time.clone(),
            fields,
        }),
    }
    entries.retain(|entry| !entry.fields.is_empty());
    write(&mut result, entries);
    Ok(result)
}

fn difference_is_empty(difference: &typed::Difference) -> bool {
    difference.added.is_empty() && difference.modified.is_empty() && difference.removed.is_empty()
}

/// Takes away what this applier set last time, sets no more, and nobody else owns.
fn prune(merged: &Value, last: &FieldSet, owned: &FieldSet, place: Place<'_>) -> Value {
    let without = |set: &FieldSet| typed::remove(merged, set, place).unwrap_or_else(|| json!({}));
    let all = typed::fields_of(merged, place).with_named_fields(place);
    let last = last.with_named_fields(place);
    let pruned = without(&last);
    let kept = typed::fields_of(&pruned, place).with_named_fields(place);
    let owned = owned.with_named_fields(place);
    let pruned = without(&all.difference(&kept).difference(&owned));
    let kept = typed::fields_of(&pruned, place).with_named_fields(place);
    without(&all.difference(&kept).intersection(&last))
}

/// A container emptied by pruning is absent, unless the applier itself set `null` there.
fn drop_nulls_left_by_pruning(result: &mut Value, config: &Value) {
    if let Value::Object(map) = result {
        map.retain(|name, child| !child.is_null() || config.get(name).is_some_and(Value::is_null));
        for (name, child) in map.iter_mut() {
            drop_nulls_left_by_pruning(child, config.get(name).unwrap_or(&Value::Null));
        }
    }
}

fn conflict(conflicts: &[(Entry, FieldSet)]) -> Status {
    let mut flat = Vec::new();
    for (entry, contested) in conflicts {
        let mut name = format!("\"{}\"", entry.manager);
        if !entry.subresource.is_empty() {
            name.push_str(&format!(" with subresource \"{}\"", entry.subresource));
        }
        if !entry.applied {
            name.push_str(&format!(" using {}", entry.api_version));
            if !entry.time.is_empty() {
                name.push_str(&format!(" at {}", entry.time));
            }
        }
        for path in contested.shown() {
            flat.push((name.clone(), path));
        }
    }
    let lines = |of: &str| -> String {
        flat.iter().filter(|(name, _)| name == of).map(|(_, path)| format!("\n- {path}")).collect()
    };
    let mut names: Vec<&String> = flat.iter().map(|(name, _)| name).collect();
    names.sort();
    names.dedup();
    let message = if let [(name, path)] = flat.as_slice() {
        format!("Apply failed with 1 conflict: conflict with {name}: {path}")
    } else {
        let parts: Vec<String> =
            names.iter().map(|name| format!("conflicts with {name}:{}", lines(name))).collect();
        format!("Apply failed with {} conflicts: {}", flat.len(), parts.join("\n"))
    };
    Status::apply_conflict(message, flat)
}
