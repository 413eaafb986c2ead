//! Objects as the rows that `kubectl get` prints.

mod columns;

use serde_json::{Value, json};

use super::jsonpath::{self, JsonPath};
use super::kinds::Kind;
use super::status::Status;
use columns::Column;

/// What of the object each row carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Include {
    None,
    Metadata,
    Object,
}

impl Include {
    pub(crate) fn read(text: &str) -> Result<Self, Status> {
        match text {
            "" | "Metadata" => Ok(Self::Metadata),
            "None" => Ok(Self::None),
            "Object" => Ok(Self::Object),
            other => Err(Status::bad_request(format!("unrecognized includeObject value: \"{other}\""))),
        }
    }
}

/// The table of some objects in served form.
pub(crate) fn table(
    kind: &Kind,
    version: &str,
    objects: &[&Value],
    metadata: Value,
    include: Include,
    headers: bool,
    now_ms: i64,
) -> Value {
    let custom = kind.custom.then(|| custom_columns(kind, version));
    let builtin = columns::of(kind);
    let definitions: Vec<Value> = match &custom {
        Some(columns) => columns.iter().map(|(definition, _)| definition.clone()).collect(),
        None => builtin.iter().map(Column::definition).collect(),
    };
    let row = |object: &&Value| {
        let cells: Vec<Value> = match &custom {
            Some(columns) => columns
                .iter()
                .map(|(definition, path)| custom_cell(object, definition, path, now_ms))
                .collect(),
            None => builtin.iter().map(|column| (column.cell)(object, now_ms)).collect(),
        };
        let mut row = json!({ "cells": cells });
        match include {
            Include::None => row["object"] = Value::Null,
            Include::Metadata => {
                row["object"] = json!({
                    "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"],
                });
            }
            Include::Object => row["object"] = (*object).clone(),
        }
        row
    };
    let rows: Vec<Value> = objects.iter().map(row).collect();
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
        "columnDefinitions": headers.then_some(definitions), "rows": rows,
    })
}

fn definition(name: &str, kind: &str, format: &str, description: &str, priority: i64) -> Value {
    json!({ "name": name, "type": kind, "format": format, "description": description, "priority": priority })
}

fn custom_columns(kind: &Kind, version: &str) -> Vec<(Value, Option<JsonPath>)> {
    let mut columns = vec![(
        definition("Name", "string", "name", "Name must be unique within a namespace.", 0),
        JsonPath::parse(".metadata.name"),
    )];
    let declared = kind.version(version).map(|served| served.columns.as_slice()).unwrap_or_default();
    for column in declared {
        let shown =
            definition(&column.name, &column.kind, &column.format, &column.description, column.priority);
        columns.push((shown, JsonPath::parse(&column.path)));
    }
    if declared.is_empty() {
        let shown = definition(
            "Age",
            "date",
            "",
            "CreationTimestamp is a timestamp representing the server time when this object was created.",
            0,
        );
        columns.push((shown, JsonPath::parse(".metadata.creationTimestamp")));
    }
    columns
}

fn custom_cell(object: &Value, definition: &Value, path: &Option<JsonPath>, now_ms: i64) -> Value {
    let Some(found) = path.as_ref().and_then(|path| path.find(object).into_iter().next()) else {
        return Value::Null;
    };
    match (definition["type"].as_str().unwrap_or(""), found) {
        ("integer", Value::Number(number)) if number.is_f64() => {
            json!(number.as_f64().map(|float| float.trunc()))
        }
        ("integer" | "number", Value::Number(_)) | ("boolean", Value::Bool(_)) => found.clone(),
        ("date", Value::String(text)) => json!(age_of(Some(text), now_ms, "<invalid>")),
        ("string", Value::Null) => Value::Null,
        ("string", found) => json!(jsonpath::text_of(found)),
        _ => Value::Null,
    }
}

/// How long ago a timestamp was, as kubectl words it.
pub(crate) fn age_of(timestamp: Option<&str>, now_ms: i64, otherwise: &str) -> String {
    match timestamp.and_then(crate::clock::parse_timestamp) {
        Some(then) => human_duration((now_ms - then).div_euclid(1000)),
        None => otherwise.to_owned(),
    }
}

/// Seconds in kubectl's short words.
pub(crate) fn human_duration(seconds: i64) -> String {
    let with = |whole: i64, unit: &str, rest: i64, rest_unit: &str| {
        if rest == 0 { format!("{whole}{unit}") } else { format!("{whole}{unit}{rest}{rest_unit}") }
    };
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    if seconds < -1 {
        "<invalid>".to_owned()
    } else if seconds < 0 {
        "0s".to_owned()
    } else if seconds < 120 {
        format!("{seconds}s")
    } else if minutes < 10 {
        with(minutes, "m", seconds % 60, "s")
    } else if minutes < 180 {
        format!("{minutes}m")
    } else if hours < 8 {
        with(hours, "h", minutes % 60, "m")
    } else if hours < 48 {
        format!("{hours}h")
    } else if hours < 192 {
        with(hours / 24, "d", hours % 24, "h")
    } else if hours < 24 * 365 * 2 {
        format!("{}d", hours / 24)
    } else if hours < 24 * 365 * 8 {
        with(hours / 24 / 365, "y", hours / 24 % 365, "d")
    } else {
        format!("{}y", hours / 24 / 365)
    }
}
