//! Pieces of Pod specs that are kept exactly as a manifest has them.
//!
//! Owns [`Fragment`]: a value that is stored and passed on unread, so that a
//! field which only a newer Kubernetes knows survives, and so that a malformed
//! one fails validation with its path instead of making the whole object unreadable.

use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A `T` as the manifest spells it; null stands for absent.
#[derive(Serialize, Deserialize)]
#[serde(transparent, bound = "")]
pub struct Fragment<T> {
    value: Value,
    #[serde(skip)]
    of: PhantomData<fn() -> T>,
}

impl<T> Fragment<T> {
    /// Whether the manifest leaves it out.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        self.value.is_null()
    }

    /// What the manifest says, unread.
    #[must_use]
    pub const fn raw(&self) -> &Value {
        &self.value
    }
}

impl<T: DeserializeOwned> Fragment<T> {
    /// Reads it; `None` when absent.
    ///
    /// # Errors
    /// When it does not have the shape of a `T`.
    pub fn read(&self) -> Result<Option<T>, serde_json::Error> {
        if self.is_absent() { Ok(None) } else { T::deserialize(&self.value).map(Some) }
    }
}

impl<T: DeserializeOwned + Default> Fragment<T> {
    /// Reads it; a default `T` (an empty list, say) when absent.
    ///
    /// # Errors
    /// When it does not have the shape of a `T`.
    pub fn read_or_default(&self) -> Result<T, serde_json::Error> {
        self.read().map(Option::unwrap_or_default)
    }
}

impl<T> From<Value> for Fragment<T> {
    fn from(value: Value) -> Self {
        Self { value, of: PhantomData }
    }
}

impl<T> Default for Fragment<T> {
    fn default() -> Self {
        Self::from(Value::Null)
    }
}

impl<T> Clone for Fragment<T> {
    fn clone(&self) -> Self {
        Self::from(self.value.clone())
    }
}

impl<T> PartialEq for Fragment<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T> fmt::Debug for Fragment<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<T> JsonSchema for Fragment<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Fragment".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "x-kubernetes-preserve-unknown-fields": true })
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Toleration;
    use serde_json::json;

    use super::*;

    #[test]
    fn keeps_what_it_cannot_read() {
        let tolerations: Fragment<Vec<Toleration>> = Fragment::from(json!({ "key": "dedicated" }));
        assert!(tolerations.read().is_err());
        assert_eq!(serde_json::to_value(&tolerations).unwrap(), json!({ "key": "dedicated" }));
    }

    #[test]
    fn null_is_absent() {
        let tolerations: Fragment<Vec<Toleration>> = Fragment::from(Value::Null);
        assert!(tolerations.is_absent());
        assert_eq!(tolerations.read_or_default().unwrap(), Vec::new());
    }
}
