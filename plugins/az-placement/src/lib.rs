//! The availability-zone policy: where cells are, and what stands in for a lost one.
//! The reasoning is in the modules, as plain functions of a view.

mod assign;
mod config;
mod counts;
mod gateways;
mod home;
mod policy;
mod surge;
mod zones;

pub use config::{Config, Spread};
use pilothouse_sdk::{ConfigError, Decision, Plugin, Policy, PolicyError, View, placement::Action};

/// The built-in placement policy.
pub struct AzPlacement;

impl Plugin for AzPlacement {
    type Config = Config;
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const EMITS: &'static [&'static str] =
        &["assign-zone", "surge-tablet", "return-tablet", "surge-gateway", "return-gateway"];

    fn check(config: &Config) -> Vec<ConfigError> {
        config.check()
    }
}

impl Policy for AzPlacement {
    type Action = Action;

    fn decide(view: &View<'_>, config: &Config) -> Result<Decision<Action>, PolicyError> {
        Ok(policy::decide(view, config))
    }
}

pilothouse_sdk::export_placement!(AzPlacement);
