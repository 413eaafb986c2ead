//! Checks a value against a custom kind's schema, with the real server's wordings.

use serde_json::Value;

use super::normalise::{fits, json_word};
use super::path::Path;
use super::{Checks, ListKind, Schema, Type};
use crate::apiserver::status::Cause;

/// Appends what is wrong with a whole object.
pub(crate) fn check(object: &Value, schema: &Schema, causes: &mut Vec<Cause>) {
    check_at(object, schema, &Path::Root, causes);
}

fn check_at(value: &Value, schema: &Schema, path: &Path<'_>, causes: &mut Vec<Cause>) {
    if value.is_null() {
        if !schema.nullable && !matches!(schema.kind, Type::Any | Type::Opaque) {
            causes.push(wrong_type(path, value, schema.kind));
        }
        return;
    }
    if !fits(value, schema.kind) {
        match schema.checks.as_ref().and_then(|checks| checks.format.as_deref()) {
            Some(format) if value.is_number() => not_whole(path, format, causes),
            Some(_) | None => causes.push(wrong_type(path, value, schema.kind)),
        }
        return;
    }
    if let Some(checks) = &schema.checks {
        check_value(value, checks, path, causes);
    }
    match value {
        Value::Object(map) => {
            for (name, child) in map {
                // Metadata has its own validation.
                if matches!(path, Path::Root) && name == "metadata" {
                    continue;
                }
                let declared = schema.fields.get(name).map(|field| &field.schema);
                if let Some(child_schema) = declared.or(schema.values.as_ref()) {
                    check_at(child, child_schema, &Path::Field(path, name), causes);
                }
            }
        }
        Value::Array(items) => {
            check_duplicates(items, schema, path, causes);
            if let Some(item_schema) = &schema.items {
                for (at, item) in items.iter().enumerate() {
                    check_at(item, item_schema, &Path::Item(path, at), causes);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn in_body(path: &Path<'_>, why: &str) -> String {
    format!("{path} in body {why}")
}

/// A fraction where a whole number of a format is wanted; the real server says it twice.
fn not_whole(path: &Path<'_>, format: &str, causes: &mut Vec<Cause>) {
    let why = in_body(path, &format!("must be of type {format}: \"float64\""));
    let message = format!("Invalid value: \"float64\": {why}");
    causes.push(Cause { reason: "FieldValueTypeInvalid", message, field: path.to_string() });
    let why = format!("Checked value must be of type integer with format {format} in {path}");
    causes.push(Cause::invalid("<nil>", &Value::String(String::new()), why));
}

fn wrong_type(path: &Path<'_>, value: &Value, wanted: Type) -> Cause {
    let found = json_word(value);
    let why = in_body(path, &format!("must be of type {}: \"{found}\"", wanted.word()));
    Cause {
        reason: "FieldValueTypeInvalid",
        message: format!("Invalid value: \"{found}\": {why}"),
        field: path.to_string(),
    }
}

fn check_value(value: &Value, checks: &Checks, path: &Path<'_>, causes: &mut Vec<Cause>) {
    let mut wrong = |why: String| causes.push(Cause::invalid(path.to_string(), value, in_body(path, &why)));
    match value {
        Value::String(text) => {
            let length = text.chars().count() as u64;
            let too_long = checks.length.1.is_some_and(|max| length > max);
            // The first of these that fails is told.
            if let Some(min) = checks.length.0.filter(|&min| length < min) {
                wrong(format!("should be at least {min} chars long"));
            } else if let Some(pattern) = &checks.pattern
                && !too_long
                && !pattern.is_match(text)
            {
                wrong(format!("should match '{}'", pattern.as_str()));
            }
        }
        Value::Number(number) => check_number(number.as_f64().unwrap_or(0.0), checks, &mut wrong),
        Value::Array(items) => {
            if let Some(min) = checks.items.0.filter(|&min| (items.len() as u64) < min) {
                wrong(format!("should have at least {min} items"));
            }
            if checks.unique_items && (1..items.len()).any(|at| items[..at].contains(&items[at])) {
                wrong("shouldn't contain duplicates".to_owned());
            }
        }
        Value::Object(map) => {
            if let Some(min) = checks.properties.0.filter(|&min| (map.len() as u64) < min) {
                wrong(format!("should have at least {min} properties"));
            }
            if let Some(max) = checks.properties.1.filter(|&max| map.len() as u64 > max) {
                wrong(format!("should have at most {max} properties"));
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
    check_limits(value, checks, path, causes);
    check_branches(value, checks, path, causes);
}

fn check_number(number: f64, checks: &Checks, wrong: &mut impl FnMut(String)) {
    if let Some((min, exclusive)) = checks.minimum
        && (number < min || (exclusive && number <= min))
    {
        let or_equal = if exclusive { "" } else { " or equal to" };
        wrong(format!("should be greater than{or_equal} {min}"));
    }
    if let Some((max, exclusive)) = checks.maximum
        && (number > max || (exclusive && number >= max))
    {
        let or_equal = if exclusive { "" } else { " or equal to" };
        wrong(format!("should be less than{or_equal} {max}"));
    }
    if let Some(step) = checks.multiple_of.filter(|&step| (number / step).fract() != 0.0) {
        wrong(format!("should be a multiple of {step}"));
    }
    let whole = match checks.format.as_deref() {
        Some("int32") => Some((f64::from(i32::MIN), f64::from(i32::MAX))),
        _ => None,
    };
    if let Some((low, high)) = whole
        && (number < low || number > high)
    {
        wrong("must be of type int32: \"integer\"".to_owned());
    }
}

/// The checks whose reason or wording is of another kind.
fn check_limits(value: &Value, checks: &Checks, path: &Path<'_>, causes: &mut Vec<Cause>) {
    if let Value::String(text) = value
        && checks.format.as_deref() == Some("date-time")
        && text.parse::<jiff::Timestamp>().is_err()
    {
        let why = in_body(path, &format!("must be of type date-time: {value}"));
        let message = format!("Invalid value: {value}: {why}");
        causes.push(Cause { reason: "FieldValueTypeInvalid", message, field: path.to_string() });
    }
    if let (Value::String(text), Some(max)) = (value, checks.length.1)
        && text.chars().count() as u64 > max
    {
        let message = format!("Too long: may not be more than {max} bytes");
        causes.push(Cause { reason: "FieldValueTooLong", message, field: path.to_string() });
    }
    if let (Value::Array(items), Some(max)) = (value, checks.items.1)
        && items.len() as u64 > max
    {
        let message = format!("Too many: {}: must have at most {max} items", items.len());
        causes.push(Cause { reason: "FieldValueTooMany", message, field: path.to_string() });
    }
    if let Value::Object(map) = value {
        for name in checks.required.iter().filter(|name| !map.contains_key(*name)) {
            causes.push(Cause::required(Path::Field(path, name).to_string(), ""));
        }
    }
    if !checks.choices.is_empty() && !checks.choices.contains(value) {
        let choices: Vec<String> = checks.choices.iter().map(Value::to_string).collect();
        causes.push(Cause::unsupported(path.to_string(), value, &choices));
    }
}

fn valid(value: &Value, schema: &Schema, path: &Path<'_>) -> bool {
    let mut causes = Vec::new();
    check_at(value, schema, path, &mut causes);
    causes.is_empty()
}

fn check_branches(value: &Value, checks: &Checks, path: &Path<'_>, causes: &mut Vec<Cause>) {
    let mut wrong = |why: &str| causes.push(Cause::invalid(path.to_string(), value, in_body(path, why)));
    if !checks.all_of.iter().all(|branch| valid(value, branch, path)) {
        wrong("must validate all the schemas (allOf)");
    }
    if !checks.any_of.is_empty() && !checks.any_of.iter().any(|branch| valid(value, branch, path)) {
        wrong("must validate at least one schema (anyOf)");
    }
    if !checks.one_of.is_empty() {
        match checks.one_of.iter().filter(|branch| valid(value, branch, path)).count() {
            1 => {}
            0 => wrong("must validate one and only one schema (oneOf). Found none valid"),
            found => wrong(&format!(
                "must validate one and only one schema (oneOf). Found {found} valid alternatives"
            )),
        }
    }
    if checks.not.as_ref().is_some_and(|branch| valid(value, branch, path)) {
        wrong("must not validate the schema (not)");
    }
}

fn check_duplicates(items: &[Value], schema: &Schema, path: &Path<'_>, causes: &mut Vec<Cause>) {
    let identity = |item: &Value| -> Value {
        match &schema.list {
            ListKind::Map(keys) => keys
                .iter()
                .filter_map(|key| item.get(key).map(|value| (key.clone(), value.clone())))
                .collect(),
            ListKind::Atomic | ListKind::Set => item.clone(),
        }
    };
    if schema.list == ListKind::Atomic {
        return;
    }
    let identities: Vec<Value> = items.iter().map(identity).collect();
    for at in 1..identities.len() {
        if identities[..at].contains(&identities[at]) {
            causes.push(Cause::duplicate(format!("{path}[{at}]"), &identities[at]));
        }
    }
}
