//! An object as it is applied where none may stand: with a version that nothing ever has.
//!
//! Owns its spelling, without a copy of the object. Must not know who answers what to it.

use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};
use serde_json::{Map, Value};

/// The version of an empty store: no object has it.
const NEVER: &str = "1";

/// The object that is applied.
#[derive(Debug)]
pub(super) struct AsNew<'a>(pub(super) &'a Value);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    resource_version: &'static str,
    #[serde(flatten)]
    rest: Option<&'a Map<String, Value>>,
}

impl Serialize for AsNew<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut fields = to.serialize_map(None)?;
        for (name, value) in self.0.as_object().into_iter().flatten().filter(|(name, _)| *name != "metadata")
        {
            fields.serialize_entry(name, value)?;
        }
        let rest = self.0["metadata"].as_object();
        fields.serialize_entry("metadata", &Metadata { resource_version: NEVER, rest })?;
        fields.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_object_with_a_version() {
        let object = serde_json::json!({ "kind": "Pod", "metadata": { "name": "a" }, "spec": {} });
        let text = serde_json::to_string(&AsNew(&object)).unwrap();
        let mut expected = object;
        expected["metadata"]["resourceVersion"] = NEVER.into();
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
    }
}
