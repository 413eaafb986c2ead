//! The definitions in `crds/` are those of the Rust types, and an API server can take them.

mod schema_walk;

use std::collections::BTreeSet;
use std::fs;

use pilothouse_api::crds;
use serde_json::{Value, json};

#[test]
fn files_are_those_of_the_types() {
    let folder = schema_walk::folder();
    let accept = std::env::var_os("PILOTHOUSE_ACCEPT").is_some();
    for (name, text) in crds::yaml().unwrap() {
        let path = folder.join(&name);
        if accept {
            fs::write(&path, &text).unwrap();
        }
        let file = fs::read_to_string(&path).unwrap_or_default();
        assert!(file == text, "crds/{name} is not what the types say; PILOTHOUSE_ACCEPT=1 rewrites it");
    }
}

#[test]
fn every_kind_is_there_with_its_names() {
    let found: Vec<_> = crds::all()
        .unwrap()
        .into_iter()
        .map(|crd| {
            let version = &crd.spec.versions[0];
            let sub = version.subresources.as_ref();
            assert_eq!((crd.spec.versions.len(), version.name.as_str()), (1, "v2"));
            assert_eq!(crd.spec.scope, "Namespaced");
            let columns = version.additional_printer_columns.as_ref().unwrap();
            assert!(columns.iter().any(|c| c.name == "Age"), "{}", crd.spec.names.kind);
            (
                crd.metadata.name.unwrap(),
                crd.spec.names.short_names.unwrap_or_default().join(","),
                sub.is_some_and(|s| s.status.is_some()),
                sub.is_some_and(|s| s.scale.is_some()),
            )
        })
        .collect();
    let expected = [
        ("etcdlockservers", "etcdls", true, false),
        ("vitessbackups", "vtb", false, false),
        ("vitessbackupschedules", "", true, false),
        ("vitessbackupstorages", "vtbs", true, false),
        ("vitesscells", "vtc", true, true),
        ("vitessclusters", "vt", true, false),
        ("vitesskeyspaces", "vtk", true, false),
        ("vitessshards", "vts", true, false),
    ]
    .map(|(plural, short, status, scale)| {
        (format!("{plural}.planetscale.com"), short.to_owned(), status, scale)
    });
    assert_eq!(found, expected);
}

/// What a structural schema may be made of. `default` is checked by itself.
const KEYWORDS: [&str; 21] = [
    "additionalProperties",
    "default",
    "description",
    "enum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "pattern",
    "properties",
    "required",
    "type",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
    "x-kubernetes-preserve-unknown-fields",
];

fn structural(schema: &Value, path: &str, defaults: &mut BTreeSet<(String, String)>) {
    let object = schema.as_object().unwrap_or_else(|| panic!("{path} is no schema: {schema}"));
    for keyword in object.keys() {
        assert!(KEYWORDS.contains(&keyword.as_str()), "{path}: {keyword}");
    }
    let untyped = ["x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields"];
    assert!(
        object.contains_key("type") || untyped.iter().any(|k| object.get(*k) == Some(&json!(true))),
        "{path} has no type"
    );
    if let Some(format) = object.get("format").and_then(Value::as_str) {
        assert!(["int32", "int64", "date-time"].contains(&format), "{path}: format {format}");
    }
    if let Some(default) = object.get("default") {
        let field = path.rsplit('.').next().unwrap();
        defaults.insert((field.to_owned(), default.to_string()));
    }
    let has = |k: &str| object.contains_key(k);
    assert!(!(has("properties") && has("additionalProperties")), "{path}: both kinds of properties");
    assert!(object.get("type") != Some(&json!("array")) || has("items"), "{path}: no items");
    let properties = object.get("properties").and_then(Value::as_object);
    for required in object.get("required").and_then(Value::as_array).into_iter().flatten() {
        let name = required.as_str().unwrap();
        assert!(properties.is_some_and(|p| p.contains_key(name)), "{path}: {name} is required, not known");
    }
    for keyword in ["items", "additionalProperties"] {
        if let Some(child) = object.get(keyword) {
            structural(child, &format!("{path}[]"), defaults);
        }
    }
    for (name, child) in properties.into_iter().flatten() {
        structural(child, &format!("{path}.{name}"), defaults);
    }
    map_keys(object.get("x-kubernetes-list-map-keys"), schema, path);
}

/// An API server wants each key of a list map required or defaulted.
fn map_keys(keys: Option<&Value>, schema: &Value, path: &str) {
    let items = &schema["items"];
    for key in keys.and_then(Value::as_array).into_iter().flatten() {
        let name = key.as_str().unwrap();
        let required = items["required"].as_array().is_some_and(|r| r.contains(key));
        let defaulted = items["properties"][name].get("default").is_some();
        assert!(required || defaulted, "{path}: list key {name} is neither required nor defaulted");
    }
}

#[test]
fn schemas_are_structural_and_default_nothing_else() {
    let mut defaults = BTreeSet::new();
    for crd in crds::all().unwrap() {
        structural(&schema_walk::schema(&crd), &crd.spec.names.kind, &mut defaults);
    }
    let expected = [
        ("backupMethod", "\"vtbackup\""),
        ("concurrencyPolicy", "\"Forbid\""),
        ("hexWidth", "0"),
        ("jobTimeoutMinute", "10"),
        ("name", "\"\""),
    ];
    assert_eq!(defaults, expected.map(|(f, d)| (f.to_owned(), d.to_owned())).into());
}

#[test]
fn no_definition_is_too_large_for_an_annotation() {
    for crd in crds::all().unwrap() {
        let size = serde_json::to_string(&crd).unwrap().len();
        assert!(size < 256 * 1024, "{}: {size} bytes", crd.spec.names.kind);
    }
}

#[test]
fn fragments_are_left_to_kubernetes() {
    let schema = schema_walk::schema_of("VitessShard");
    let pool = &schema["properties"]["spec"]["properties"]["tabletPools"]["items"]["properties"];
    for name in ["affinity", "extraVolumes", "initContainers", "sidecarContainers", "tolerations"] {
        assert_eq!(pool[name]["x-kubernetes-preserve-unknown-fields"], json!(true), "{name}");
        assert!(pool[name].get("type").is_none(), "{name}");
    }
    let limits = &pool["mysqld"]["properties"]["resources"]["properties"]["limits"];
    assert_eq!(limits["additionalProperties"]["x-kubernetes-int-or-string"], json!(true));
}
