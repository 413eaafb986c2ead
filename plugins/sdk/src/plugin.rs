//! What a plugin is: a name, a typed configuration, and its reasoning.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::decision::Decision;
use crate::rule::{PlannedStep, Rendered, Verdict};
use crate::types::{ConfigError, PolicyError};
use crate::view::View;

/// What every plugin says of itself. Give `Config` `#[serde(deny_unknown_fields, default)]`.
pub trait Plugin {
    /// Its configuration; the doc comments of its fields become the schema's descriptions.
    type Config: DeserializeOwned + JsonSchema;
    /// Kebab-case name for logs and conditions.
    const NAME: &'static str;
    /// Usually `env!("CARGO_PKG_VERSION")`.
    const VERSION: &'static str;
    /// Facts that it reads, as `subject-kind/name`.
    const NEEDS: &'static [&'static str] = &[];
    /// Verbs that it may propose.
    const EMITS: &'static [&'static str];

    /// What the schema cannot say: one error a field that is wrong, none when all is well.
    fn check(config: &Self::Config) -> Vec<ConfigError>;
}

/// A plugin of one of the four deciding slots.
pub trait Policy: Plugin {
    /// The slot's action, such as [`crate::failover::Action`].
    type Action;

    /// The decision for one view. The configuration has passed [`Plugin::check`].
    ///
    /// # Errors
    /// When the view cannot be worked with, or by a mistake of its own; no step is taken then.
    fn decide(view: &View<'_>, config: &Self::Config) -> Result<Decision<Self::Action>, PolicyError>;
}

/// A plugin of the rule slot.
pub trait Reviewer: Plugin {
    /// The verdict on the merged plan.
    ///
    /// # Errors
    /// When the view cannot be worked with, or by a mistake of its own.
    fn review(
        view: &View<'_>,
        steps: &[PlannedStep],
        objects: &[Rendered],
        config: &Self::Config,
    ) -> Result<Verdict, PolicyError>;
}

/// Reads a configuration from JSON text.
///
/// # Errors
/// When the text is not the configuration's shape; the message names field and reason.
pub fn parse_config<P: Plugin>(text: &str) -> Result<P::Config, ConfigError> {
    serde_json::from_str(text).map_err(|e| ConfigError { field: String::new(), message: e.to_string() })
}

/// Reads a configuration and checks it across fields.
///
/// # Errors
/// Everything that is wrong with it.
pub fn validate<P: Plugin>(text: &str) -> Result<P::Config, Vec<ConfigError>> {
    let config = parse_config::<P>(text).map_err(|e| vec![e])?;
    let wrong = P::check(&config);
    if wrong.is_empty() { Ok(config) } else { Err(wrong) }
}

/// The JSON Schema (draft 2020-12) of a plugin's configuration, as text.
#[must_use]
pub fn schema_of<P: Plugin>() -> String {
    schemars::SchemaGenerator::default().into_root_schema_for::<P::Config>().as_value().to_string()
}
