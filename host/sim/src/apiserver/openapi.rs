//! OpenAPI v3 as far as kubectl asks: an index, and a document a group version.
//!
//! Schemas carry types and the kind they stand for; built-in kinds have no prose, so `kubectl explain` shows none.

use serde_json::{Map, Value, json};

use super::discovery;
use super::kinds::{Kind, Served};
use super::schema::{Field, ListKind, Schema, Strategic, Type};
use super::state::State;
use super::status::Status;

fn paths(state: &State) -> Vec<(String, String, String)> {
    let mut found: Vec<(String, String, String)> = Vec::new();
    for kind in state.kinds.all() {
        for served in &kind.served {
            let path = if kind.id.group.is_empty() {
                format!("api/{}", served.version)
            } else {
                format!("apis/{}/{}", kind.id.group, served.version)
            };
            let row = (path, kind.id.group.to_string(), served.version.clone());
            if !found.contains(&row) {
                found.push(row);
            }
        }
    }
    found
}

/// `/openapi/v3`.
pub(crate) fn index(state: &State) -> Value {
    let listed: Map<String, Value> = paths(state)
        .into_iter()
        .map(|(path, _, _)| {
            let url = format!("/openapi/v3/{path}");
            (path, json!({ "serverRelativeURL": url }))
        })
        .collect();
    json!({ "paths": listed })
}

/// `/openapi/v3/<path>`.
pub(crate) fn document(state: &State, path: &str) -> Result<Value, Status> {
    let known = paths(state).into_iter().find(|(known, _, _)| known == path);
    let (_, group, version) = known.ok_or_else(Status::no_such_path)?;
    let mut schemas = Map::new();
    let mut routes = Map::new();
    for (kind, served) in discovery::kinds_of(state, &group, &version) {
        let name = if group.is_empty() {
            format!("core.{version}.{}", kind.kind)
        } else {
            format!("{group}.{version}.{}", kind.kind)
        };
        let mut schema = schema_value(&served.schema);
        let this = json!({ "group": group, "version": version, "kind": kind.kind });
        schema["x-kubernetes-group-version-kind"] = json!([this]);
        schemas.insert(name.clone(), schema);
        add_routes(&mut routes, path, kind, served, &name, &this);
    }
    Ok(json!({
        "openapi": "3.0.0",
        "info": { "title": "Kubernetes, played", "version": "v1.36.1+pilothouse-sim" },
        "paths": routes,
        "components": { "schemas": schemas },
    }))
}

fn add_routes(
    routes: &mut Map<String, Value>,
    path: &str,
    kind: &Kind,
    served: &Served,
    schema: &str,
    this: &Value,
) {
    let base = if kind.namespaced {
        format!("/{path}/namespaces/{{namespace}}/{}", kind.id.resource)
    } else {
        format!("/{path}/{}", kind.id.resource)
    };
    let content =
        json!({ "application/json": { "schema": { "$ref": format!("#/components/schemas/{schema}") } } });
    let answer = json!({ "200": { "description": "OK", "content": content } });
    // kubectl looks here for whether a field may be validated by the server.
    let parameter = |name: &str| json!({ "name": name, "in": "query", "schema": { "type": "string", "uniqueItems": true } });
    let parameters = json!([parameter("dryRun"), parameter("fieldManager"), parameter("fieldValidation")]);
    let verb = |action: &str, writes: bool| {
        let mut value = json!({ "x-kubernetes-action": action, "x-kubernetes-group-version-kind": this, "responses": answer });
        if writes {
            value["parameters"] = parameters.clone();
        }
        value
    };
    routes.insert(base.clone(), json!({ "get": verb("list", false), "post": verb("post", true) }));
    let named = format!("{base}/{{name}}");
    let one = json!({ "get": verb("get", false), "put": verb("put", true), "patch": verb("patch", true), "delete": verb("delete", false) });
    if served.status {
        routes.insert(
            format!("{named}/status"),
            json!({ "get": verb("get", false), "put": verb("put", true), "patch": verb("patch", true) }),
        );
    }
    routes.insert(named, one);
}

/// A schema in OpenAPI's own words.
fn schema_value(schema: &Schema) -> Value {
    let mut map = Map::new();
    let mut set = |key: &str, value: Value| {
        map.insert(key.to_owned(), value);
    };
    match schema.kind {
        Type::IntOrString => set("x-kubernetes-int-or-string", json!(true)),
        Type::Any | Type::Opaque => set("x-kubernetes-preserve-unknown-fields", json!(true)),
        kind => set("type", json!(kind.word())),
    }
    if schema.kind == Type::Time {
        set("format", json!("date-time"));
    }
    if !schema.description.is_empty() {
        set("description", json!(schema.description));
    }
    if let Some(default) = &schema.default {
        set("default", default.clone());
    }
    if schema.nullable {
        set("nullable", json!(true));
    }
    if schema.preserve_unknown && schema.kind == Type::Object {
        set("x-kubernetes-preserve-unknown-fields", json!(true));
    }
    if schema.atomic {
        set("x-kubernetes-map-type", json!("atomic"));
    }
    if let Some(values) = &schema.values {
        set("additionalProperties", schema_value(values));
    }
    if let Some(items) = &schema.items {
        set("items", schema_value(items));
    }
    if let Some(required) =
        schema.checks.as_ref().map(|checks| &checks.required).filter(|required| !required.is_empty())
    {
        set("required", json!(required));
    }
    if let Some(choices) =
        schema.checks.as_ref().map(|checks| &checks.choices).filter(|choices| !choices.is_empty())
    {
        set("enum", json!(choices));
    }
    let fields: Map<String, Value> =
        schema.fields.iter().map(|(name, field)| (name.clone(), field_value(field))).collect();
    if !fields.is_empty() {
        set("properties", Value::Object(fields));
    }
    Value::Object(map)
}

/// A field's schema with what the field says about its list.
fn field_value(field: &Field) -> Value {
    let mut value = schema_value(&field.schema);
    match &field.list {
        ListKind::Atomic => {}
        ListKind::Set => value["x-kubernetes-list-type"] = json!("set"),
        ListKind::Map(keys) => {
            value["x-kubernetes-list-type"] = json!("map");
            value["x-kubernetes-list-map-keys"] = json!(keys);
        }
    }
    let merge = match &field.strategic {
        Strategic::Replace => None,
        Strategic::MergeValues => Some("merge"),
        Strategic::MergeBy(key) => {
            value["x-kubernetes-patch-merge-key"] = json!(key);
            Some("merge")
        }
    };
    let words: Vec<&str> = merge.into_iter().chain(field.retain_keys.then_some("retainKeys")).collect();
    if !words.is_empty() {
        value["x-kubernetes-patch-strategy"] = json!(words.join(","));
    }
    value
}
