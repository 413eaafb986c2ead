//! `metadata.managedFields`: read, updated by writes and applies, written back.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::fieldset::{FieldSet, Step};
use super::typed;
use crate::apiserver::kinds::Kind;
use crate::apiserver::metadata;
use crate::apiserver::scale;
use crate::apiserver::schema::{Place, Schema};
use crate::apiserver::status::Status;

/// Who writes, how and when.
#[derive(Clone, Debug)]
pub(crate) struct Write<'a> {
    pub(crate) manager: &'a str,
    pub(crate) api_version: String,
    pub(crate) subresource: &'a str,
    pub(crate) time: String,
}

/// One entry of `managedFields`.
#[derive(Clone, Debug)]
struct Entry {
    manager: String,
    applied: bool,
    api_version: String,
    subresource: String,
    time: String,
    fields: Fields,
}

/// An entry's paths. Most entries of most writes go on as they stand.
#[derive(Clone, Debug)]
enum Fields {
    /// `FieldsV1`, as this server wrote it.
    Stored(Value),
    Read(FieldSet),
}

impl Fields {
    fn read(&self) -> Cow<'_, FieldSet> {
        match self {
            Self::Stored(value) => Cow::Owned(FieldSet::from_value(value)),
            Self::Read(set) => Cow::Borrowed(set),
        }
    }

    fn shared_with(&self, other: &FieldSet) -> FieldSet {
        match self {
            Self::Stored(value) if !other.overlaps(value) => FieldSet::default(),
            Self::Stored(_) | Self::Read(_) => self.read().intersection(other),
        }
    }

    fn lose(&mut self, lost: &FieldSet) {
        if !self.shared_with(lost).is_empty() {
            *self = Self::Read(self.read().difference(lost));
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Stored(value) => value.as_object().is_none_or(Map::is_empty),
            Self::Read(set) => set.is_empty(),
        }
    }

    fn into_value(self) -> Value {
        match self {
            Self::Stored(value) => value,
            Self::Read(set) => set.to_value(),
        }
    }
}

/// The entries of a list; `own` says that this server wrote it.
fn read(listed: Value, own: bool) -> Vec<Entry> {
    let Value::Array(listed) = listed else { return Vec::new() };
    let entry = |mut entry: Value| {
        let mut text = |key: &str| match entry.get_mut(key).map(Value::take) {
            Some(Value::String(text)) => text,
            Some(_) | None => String::new(),
        };
        Entry {
            manager: text("manager"),
            applied: text("operation") == "Apply",
            api_version: text("apiVersion"),
            subresource: text("subresource"),
            time: text("time"),
            fields: match entry.get_mut("fieldsV1").map(Value::take).unwrap_or_default() {
                fields if own => Fields::Stored(fields),
                fields => Fields::Read(FieldSet::from_value(&fields)),
            },
        }
    };
    listed.into_iter().map(entry).collect()
}

fn listed(object: &Value) -> Value {
    object["metadata"]["managedFields"].clone()
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
        .into_iter()
        .map(|entry| {
            let mut value = json!({
                "manager": entry.manager,
                "operation": if entry.applied { "Apply" } else { "Update" },
                "apiVersion": entry.api_version,
                "fieldsType": "FieldsV1",
            });
            if !entry.time.is_empty() {
                value["time"] = Value::String(entry.time);
            }
            value["fieldsV1"] = entry.fields.into_value();
            if !entry.subresource.is_empty() {
                value["subresource"] = Value::String(entry.subresource);
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
    // By a subresource nobody says who owns what.
    if let Some(old) = old.filter(|_| !write_by.subresource.is_empty()) {
        new["metadata"]["managedFields"] = listed(old);
    }
    // An empty list resets the owners; an absent one keeps the old object's.
    let given = new["metadata"].get("managedFields");
    let reset = matches!(given, Some(Value::Array(items)) if items.is_empty() || items.len() == 1 && items[0] == json!({}));
    if reset {
        metadata::of_mut(new).remove("managedFields");
        return;
    }
    let own = given == old.map(|old| &old["metadata"]["managedFields"]);
    let place = Place::root(schema);
    // Owners are compared as well, and do no harm: nobody owns them.
    let difference = match old {
        Some(old) => typed::compare(old, new, place),
        None => typed::compare(&nothing(schema, kind), new, place),
    };
    let given = metadata::of_mut(new).remove("managedFields");
    let mut entries = match (old, given) {
        (None, None) => Vec::new(),
        (_, Some(given)) => read(given, own),
        (Some(old), None) => read(listed(old), true),
    };
    // Once nobody owns an object, ordinary writes do not begin to.
    if old.is_some() && entries.is_empty() {
        metadata::of_mut(new).remove("managedFields");
        return;
    }
    let touched = difference.added.union(&difference.modified);
    // A count that nobody owns is scaled without becoming anybody's, and who scales is never told with a time.
    let scales = write_by.subresource == "scale";
    if scales && entries.iter().all(|entry| entry.fields.shared_with(&touched).is_empty()) {
        write(new, entries);
        return;
    }
    // A Scale leaves a zero out.
    let count = kind.storage().scale.as_ref().map(|paths| scale::at(new, &paths.spec_replicas));
    let zeroed = scales && count == Some(&json!(0));
    let time = if scales { String::new() } else { write_by.time.clone() };
    let mine = |entry: &Entry| {
        !entry.applied
            && entry.manager == write_by.manager
            && entry.subresource == write_by.subresource
            && entry.api_version == write_by.api_version
    };
    // Changed fields leave every other owner; removed ones leave all.
    for entry in entries.iter_mut() {
        if !mine(entry) || zeroed {
            entry.fields.lose(&touched);
        }
        entry.fields.lose(&difference.removed);
    }
    let mut gained = touched;
    strip(&mut gained, write_by.subresource, kind);
    if zeroed {
        gained = FieldSet::default();
    }
    match entries.iter_mut().find(|entry| mine(entry)) {
        Some(entry) => {
            if !gained.is_empty() {
                entry.time = time;
                entry.fields = Fields::Read(entry.fields.read().union(&gained));
            }
        }
        None => entries.push(Entry {
            manager: write_by.manager.to_owned(),
            applied: false,
            api_version: write_by.api_version.clone(),
            subresource: write_by.subresource.to_owned(),
            time,
            fields: Fields::Read(gained),
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
    let mut entries = live.map(|live| read(listed(live), true)).unwrap_or_default();
    if let Some(live) = live.filter(|_| entries.is_empty()) {
        entries.extend(before_first_apply(live, schema, kind, write_by));
    }
    let mine = |entry: &Entry| {
        entry.applied && entry.manager == write_by.manager && entry.subresource == write_by.subresource
    };
    let last = entries.iter().find(|entry| mine(entry)).map(|entry| entry.fields.read().into_owned());
    let mut fields = typed::fields_of(config, place);
    // Its name keeps `metadata` even of an applier that sets nothing else there any more.
    let applied = fields.clone();
    strip(&mut fields, write_by.subresource, kind);

    let merged = typed::merge(Some(&start), config, place);
    let mut result = match &last {
        Some(last) if !last.difference(&fields).is_empty() => {
            let others = entries.iter().filter(|entry| !mine(entry));
            let owned = others.fold(applied, |all, entry| all.union(&entry.fields.read()));
            let mut pruned = prune(&merged, last, &owned, place);
            drop_what_pruning_emptied(&mut pruned, config, Some(&owned), place);
            pruned
        }
        _ => merged,
    };

    let difference = typed::compare(&start, &result, place);
    let touched = difference.added.union(&difference.modified);
    let mut conflicts = Vec::new();
    for entry in entries.iter().filter(|entry| !mine(entry)) {
        let contested = entry.fields.shared_with(&touched);
        if !contested.is_empty() {
            conflicts.push((entry.clone(), contested));
        }
    }
    if !force && !conflicts.is_empty() {
        return Err(conflict(conflicts));
    }
    for entry in entries.iter_mut().filter(|entry| !mine(entry)) {
        entry.fields.lose(&touched);
        entry.fields.lose(&difference.removed);
    }
    // The time is that of a change of the object, not of its owners.
    let unchanged = difference_is_empty(&difference);
    match entries.iter_mut().find(|entry| mine(entry)) {
        Some(entry) => {
            entry.fields = Fields::Read(fields);
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
            time: if unchanged { String::new() } else { write_by.time.clone() },
            fields: Fields::Read(fields),
        }),
    }
    entries.retain(|entry| !entry.fields.is_empty());
    write(&mut result, entries);
    Ok(result)
}

/// An object that nobody owned is taken to be an earlier writer's.
fn before_first_apply(live: &Value, schema: &Schema, kind: &Kind, write_by: &Write<'_>) -> Option<Entry> {
    let place = Place::root(schema);
    let difference = typed::compare(&nothing(schema, kind), &without_managed(live), place);
    let mut fields = difference.added.union(&difference.modified);
    strip(&mut fields, write_by.subresource, kind);
    (!fields.is_empty()).then(|| Entry {
        manager: "before-first-apply".to_owned(),
        applied: false,
        api_version: write_by.api_version.clone(),
        subresource: write_by.subresource.to_owned(),
        time: write_by.time.clone(),
        fields: Fields::Read(fields),
    })
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

/// A container emptied by pruning is absent, unless somebody set it as such.
fn drop_what_pruning_emptied(result: &mut Value, config: &Value, owned: Option<&FieldSet>, place: Place<'_>) {
    let Value::Object(map) = result else { return };
    map.retain(|name, child| {
        let step = Step::Field(name.clone());
        let set = owned.is_some_and(|owned| owned.members.contains(&step));
        let below = config.get(name);
        if child.is_null() {
            let is_object = place.field(name).is_object();
            if set && is_object && below.is_none_or(Value::is_object) {
                *child = json!({});
            }
            return !child.is_null() || below.is_some_and(Value::is_null);
        }
        let was_empty = child.as_object().is_none_or(Map::is_empty);
        let owned = owned.and_then(|owned| owned.children.get(&step));
        drop_what_pruning_emptied(child, below.unwrap_or(&Value::Null), owned, place.field(name));
        was_empty || set || below.is_some() || child.as_object().is_none_or(|left| !left.is_empty())
    });
}

fn conflict(mut conflicts: Vec<(Entry, FieldSet)>) -> Status {
    // In the order of their texts, in which a time stands before the subresource.
    let key = |entry: &Entry| {
        let Entry { manager, applied, api_version, time, subresource, .. } = entry.clone();
        (manager, !applied, api_version, time, subresource.is_empty())
    };
    conflicts.sort_by_key(|(entry, _)| key(entry));
    let mut flat = Vec::new();
    for (entry, contested) in &conflicts {
        let mut name = format!("\"{}\"", entry.manager);
        if !entry.subresource.is_empty() {
            name.push_str(&format!(" with subresource \"{}\"", entry.subresource));
        }
        if !entry.applied {
            name.push_str(&format!(" using {}", entry.api_version));
        }
        for path in contested.shown() {
            flat.push((name.clone(), path));
        }
    }
    let lines = |of: &str| -> String {
        flat.iter().filter(|(name, _)| name == of).map(|(_, path)| format!("\n- {path}")).collect()
    };
    let mut names: Vec<&String> = Vec::new();
    for (name, _) in &flat {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let message = if let [(name, path)] = flat.as_slice() {
        format!("Apply failed with 1 conflict: conflict with {name}: {path}")
    } else {
        let parts: Vec<String> =
            names.iter().map(|name| format!("conflicts with {name}:{}", lines(name))).collect();
        format!("Apply failed with {} conflicts: {}", flat.len(), parts.join("\n"))
    };
    Status::apply_conflict(message, flat)
}
