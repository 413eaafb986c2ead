//! A plugin's configuration against the JSON Schema that the plugin exports.
//!
//! The schema comes from the guest: remote references are not resolved (that
//! code is not built in) and patterns run on the linear-time engine.

use std::fmt;

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

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

/// Reads a schema.
pub(crate) fn read(text: &str) -> Result<Validator, SchemaError> {
    let schema: Value = serde_json::from_str(text).map_err(|e| SchemaError(e.to_string()))?;
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .with_pattern_options(PatternOptions::regex())
        .build(&schema)
        .map_err(|e| SchemaError(crate::text::clean(&e.to_string(), 1_024)))
}

/// What is wrong with a configuration, sorted; nothing when it fits.
pub(crate) fn flaws(schema: &Validator, config: &Value) -> Vec<ConfigFlaw> {
    let mut flaws: Vec<ConfigFlaw> = schema
        .iter_errors(config)
        .take(SHOWN)
        .map(|e| ConfigFlaw {
            field: e.instance_path().to_string(),
            message: crate::text::clean(&e.to_string(), 1_024),
        })
        .collect();
    flaws.sort();
    flaws
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
                "config: Additional properties are not allowed ('x' was unexpected)",
                "/maxLagMs: -3 is less than the minimum of 0",
                "/zone: \"a1\" does not match \"^[a-z]+$\"",
            ]
        );
    }

    #[test]
    fn a_hostile_schema_is_refused_or_harmless() {
        for bad in ["", "{", r#"{"type":7}"#, r#"{"$ref":"http://example.com/x"}"#, r#"{"pattern":"("}"#] {
            assert!(read(bad).is_err(), "{bad}");
        }
        for endless in [r##"{"$ref":"#"}"##, r##"{"allOf":[{"$ref":"#"}]}"##] {
            assert_eq!(flaws(&read(endless).unwrap(), &json!({})), []);
        }
        let slow = read(r#"{"properties":{"a":{"pattern":"^(a+)+$"}}}"#).unwrap();
        assert_eq!(flaws(&slow, &json!({ "a": format!("{}!", "a".repeat(10_000)) })).len(), 1);
    }
}
