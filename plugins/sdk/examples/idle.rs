//! The least that this SDK makes a component of: it reads nothing and proposes nothing.
//! `cargo bench` measures every other call beside it.

use pilothouse_sdk::{ConfigError, Plugin};
use schemars::JsonSchema;
use serde::Deserialize;

/// Nothing may be configured.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {}

/// A failover policy that never moves a primary.
pub struct Idle;

impl Plugin for Idle {
    type Config = Config;
    const NAME: &'static str = "idle";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const EMITS: &'static [&'static str] = &[];

    fn check(_: &Config) -> Vec<ConfigError> {
        Vec::new()
    }
}

pilothouse_sdk::export_component!(Idle, failover, {
    fn decide(
        _: &pilothouse_sdk::records::Cluster,
        _: String,
    ) -> Result<slot::Decision, pilothouse_sdk::PolicyError> {
        Ok(slot::Decision { steps: Vec::new(), diagnostics: Vec::new(), requeue_after_ms: None })
    }
});
