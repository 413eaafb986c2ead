//! The CustomResourceDefinitions, from the types: structural schemas and their YAML.
//!
//! Owns what the derived schemas still need for an API server: nulls are not a
//! value of their own, only number formats that Kubernetes knows stay, and the
//! one kind without a status subresource loses it.

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Map, Value, json};

use crate::vitess_backup::VitessBackup;
use crate::{
    EtcdLockserver, VitessBackupSchedule, VitessBackupStorage, VitessCell, VitessCluster, VitessKeyspace,
    VitessShard,
};

/// The only fields whose default the API server applies. Schemas are derived with
/// one for whatever serde can leave out, but a default that is stored is one that
/// no later version can tell from a choice.
const DEFAULTED: [&str; 5] = ["backupMethod", "concurrencyPolicy", "hexWidth", "jobTimeoutMinute", "name"];

/// Why the definitions could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A cleaned definition is none any more.
    #[error("CustomResourceDefinition {name}: {source}")]
    Definition {
        /// Its name.
        name: String,
        /// Why.
        source: serde_json::Error,
    },
    /// A definition could not be written.
    #[error("CustomResourceDefinition {name}: {source}")]
    Yaml {
        /// Its name.
        name: String,
        /// Why.
        source: serde_yaml_ng::Error,
    },
}

/// All eight definitions, sorted by name.
///
/// # Errors
/// When a derived definition cannot be cleaned; a test holds that it can.
pub fn all() -> Result<Vec<CustomResourceDefinition>, Error> {
    [
        EtcdLockserver::crd(),
        without_status_subresource(VitessBackup::crd()),
        VitessBackupSchedule::crd(),
        VitessBackupStorage::crd(),
        VitessCell::crd(),
        VitessCluster::crd(),
        VitessKeyspace::crd(),
        VitessShard::crd(),
    ]
    .into_iter()
    .map(clean)
    .collect()
}

/// The YAML of each definition, by file name.
///
/// # Errors
/// See [`all`].
pub fn yaml() -> Result<BTreeMap<String, String>, Error> {
    let file = |crd: CustomResourceDefinition| {
        let (plural, group) = (&crd.spec.names.plural, &crd.spec.group);
        let name = format!("{plural}.{group}");
        let text =
            serde_yaml_ng::to_string(&crd).map_err(|source| Error::Yaml { name: name.clone(), source })?;
        Ok((format!("{name}.yaml"), text))
    };
    all()?.into_iter().map(file).collect()
}

fn without_status_subresource(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        version.subresources = None;
    }
    crd
}

fn clean(crd: CustomResourceDefinition) -> Result<CustomResourceDefinition, Error> {
    let name = crd.metadata.name.clone().unwrap_or_default();
    let failed = |source| Error::Definition { name: name.clone(), source };
    let mut value = serde_json::to_value(&crd).map_err(failed)?;
    let versions = value.pointer_mut("/spec/versions").and_then(Value::as_array_mut);
    for version in versions.into_iter().flatten() {
        if let Some(schema) = version.pointer_mut("/schema/openAPIV3Schema").and_then(Value::as_object_mut) {
            clean_schema(schema);
            complete_root(schema);
        }
    }
    serde_json::from_value(value).map_err(failed)
}

/// What every object has, and a description that is ours.
fn complete_root(root: &mut Map<String, Value>) {
    let Some(Value::Object(properties)) = root.get_mut("properties") else { return };
    for (name, kind) in [("apiVersion", "string"), ("kind", "string"), ("metadata", "object")] {
        properties.insert(name.to_owned(), json!({ "type": kind }));
    }
    if let Some(description) = properties.get("spec").and_then(|s| s.get("description")).cloned() {
        root.insert("description".to_owned(), description);
    }
}

fn clean_schema(schema: &mut Map<String, Value>) {
    // The API server drops nulls where they are no value, as manifests mean them.
    schema.remove("nullable");
    schema.remove("title");
    if let Some(Value::String(description)) = schema.get_mut("description") {
        *description = description.replace('\n', " ");
    }
    for key in ["items", "additionalProperties"] {
        if let Some(Value::Object(child)) = schema.get_mut(key) {
            clean_schema(child);
        }
    }
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        for (name, child) in properties.iter_mut() {
            let Some(child) = child.as_object_mut() else { continue };
            if !DEFAULTED.contains(&name.as_str()) {
                child.remove("default");
            }
            clean_schema(child);
        }
    }
}
