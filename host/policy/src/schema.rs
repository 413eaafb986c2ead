//! A plugin's configuration against the JSON Schema that the plugin exports.
//!
//! The schema comes from the guest: it can refer to nothing but itself and the
//! drafts, and patterns run on a linear-time engine.

use std::error::Error;
use std::fmt;

use boon::{Compiler, Draft, ErrorKind, SchemaIndex, Schemas, UrlLoader, ValidationError};
use serde_json::Value;

/// What the schema is called while it is read; nothing is at this address.
const ADDRESS: &str = "config:/schema";
/// Flaws shown at most.
const SHOWN: usize = 16;

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConfigFlaw {
    /// Where: a JSON pointer (`/maxLag`) from the schema, or the plugin's own name for the field.
    pub field: String,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for ConfigFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = if self.field.is_empty() { "config" } else { &self.field };
        write!(f, "{field}: {}", self.message)
    }
}

/// Why a schema is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("its configuration schema is not usable: {0}")]
pub struct SchemaError(pub String);

/// A schema that was read.
pub(crate) struct Schema {
    schemas: Schemas,
    index: SchemaIndex,
}

/// Loads nothing: neither files nor the network are a guest's to name.
struct Nothing;

impl UrlLoader for Nothing {
    fn load(&self, url: &str) -> Result<Value, Box<dyn Error>> {
        Err(format!("{url}: a configuration schema may refer only to itself").into())
    }
}

/// Reads a schema.
pub(crate) fn read(text: &str) -> Result<Schema, SchemaError> {
    let bad = |e: &dyn fmt::Display| SchemaError(crate::text::clean(&e.to_string(), 1_024));
    let schema: Value = serde_json::from_str(text).map_err(|e| bad(&e))?;
    let mut compiler = Compiler::new();
    compiler.set_default_draft(Draft::V2020_12);
    compiler.use_loader(Box::new(Nothing));
    compiler.add_resource(ADDRESS, schema).map_err(|e| bad(&e))?;
    let mut schemas = Schemas::new();
    let index = compiler.compile(ADDRESS, &mut schemas).map_err(|e| bad(&format_args!("{e:#}")))?;
    Ok(Schema { schemas, index })
}

/// What is wrong with a configuration, sorted; nothing when it fits.
pub(crate) fn flaws(schema: &Schema, config: &Value) -> Vec<ConfigFlaw> {
    let mut flaws = Vec::new();
    if let Err(error) = schema.schemas.validate(config, schema.index) {
        gather(&error, &mut flaws);
    }
    flaws.sort();
    flaws
}

/// The causes that have no further cause: what encloses them says only that something is wrong.
fn gather(error: &ValidationError<'_, '_>, flaws: &mut Vec<ConfigFlaw>) {
    let encloses = matches!(
        error.kind,
        ErrorKind::Group | ErrorKind::Schema { .. } | ErrorKind::Reference { .. } | ErrorKind::AllOf
    );
    if encloses && !error.causes.is_empty() {
        for cause in &error.causes {
            gather(cause, flaws);
        }
    } else if flaws.len() < SHOWN {
        flaws.push(ConfigFlaw {
            field: error.instance_location.to_string(),
            message: crate::text::clean(&error.kind.to_string(), 1_024),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SCHEMA: &str = r#"{
        "type": "object", "additionalProperties": false,
        "properties": { "maxLagMs": { "type": "integer", "minimum": 0 }, "zone": { "pattern": "^[a-z]+$" } }
    }"#;

    #[test]
    fn flaws_name_field_and_reason() {
        let schema = read(SCHEMA).unwrap();
        let shown = |config| flaws(&schema, &config).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(shown(json!({ "maxLagMs": 3 })), [""; 0]);
        assert_eq!(
            shown(json!({ "maxLagMs": -3, "zone": "a1", "x": 1 })),
            [
                "config: additionalProperties 'x' not allowed",
                "/maxLagMs: must be >=0, but got -3",
                "/zone: 'a1' does not match pattern '^[a-z]+$'",
            ]
        );
    }

    #[test]
    fn a_hostile_schema_is_refused_or_harmless() {
        for bad in [
            "",
            "{",
            r#"{"type":7}"#,
            r#"{"$ref":"http://example.com/x"}"#,
            r#"{"$ref":"file:///etc/passwd"}"#,
            r#"{"pattern":"("}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        for endless in [r##"{"$ref":"#"}"##, r##"{"allOf":[{"$ref":"#"}]}"##] {
            let told = flaws(&read(endless).unwrap(), &json!({}));
            assert!(told.len() == 1 && told[0].message.ends_with("causing reference cycle"), "{told:?}");
        }
        let slow = read(r#"{"properties":{"a":{"pattern":"^(a+)+$"}}}"#).unwrap();
        assert_eq!(flaws(&slow, &json!({ "a": format!("{}!", "a".repeat(10_000)) })).len(), 1);
    }
}
