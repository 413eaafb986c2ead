//! Files from Secrets, mounted under `/vt/secrets` or where the program looks for them.

use pilothouse_api::pod_overrides::SecretSource;
use serde_json::{Value, json};

/// A secret file and what it is for (`vtgate-static-auth`).
pub(super) struct SecretFile<'a> {
    purpose: &'static str,
    source: &'a SecretSource,
    folder: Option<&'static str>,
}

impl<'a> SecretFile<'a> {
    /// The file of `source`.
    pub(super) const fn new(purpose: &'static str, source: &'a SecretSource) -> Self {
        Self { purpose, source, folder: None }
    }

    /// Mounted where the program looks for it.
    pub(super) const fn at(self, folder: &'static str) -> Self {
        Self { folder: Some(folder), ..self }
    }

    fn folder(&self) -> String {
        self.folder.map_or_else(|| format!("/vt/secrets/{}", self.purpose), str::to_owned)
    }

    /// Where the program finds it.
    pub(super) fn path(&self) -> String {
        format!("{}/{}", self.folder(), self.source.key)
    }

    /// The mount.
    pub(super) fn mount(&self) -> Value {
        json!({ "name": self.volume_name(), "mountPath": self.folder(), "readOnly": true })
    }

    /// The volume, unless the manifest brings its own.
    pub(super) fn volume(&self) -> Option<Value> {
        (!self.source.name.is_empty()).then(|| {
            json!({
                "name": self.volume_name(),
                "secret": {
                    "secretName": self.source.name,
                    "items": [{ "key": self.source.key, "path": self.source.key }],
                    "defaultMode": 0o444,
                },
            })
        })
    }

    fn volume_name(&self) -> String {
        match self.source.volume_name.as_str() {
            "" => format!("{}-secret", self.purpose),
            given => given.to_owned(),
        }
    }
}
