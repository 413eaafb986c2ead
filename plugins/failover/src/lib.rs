//! The failover policy: who is primary of each shard.
//! The reasoning is in the modules, as plain functions of a view.

mod candidate;
mod config;
mod durable;
mod emergency;
mod first;
mod obstacle;
mod planned;
mod policy;
mod scene;

pub use config::Config;
use pilothouse_sdk::{ConfigError, Decision, Plugin, Policy, PolicyError, View, failover::Action};

/// The built-in failover policy.
pub struct Failover;

impl Plugin for Failover {
    type Config = Config;
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const NEEDS: &'static [&'static str] = &["cluster/lossAccepted", "tablet/gone"];
    const EMITS: &'static [&'static str] = &["init-primary", "planned-reparent", "emergency-reparent"];

    fn check(config: &Config) -> Vec<ConfigError> {
        config.check()
    }
}

impl Policy for Failover {
    type Action = Action;

    fn decide(view: &View<'_>, config: &Config) -> Result<Decision<Action>, PolicyError> {
        Ok(policy::decide(view, config))
    }
}

pilothouse_sdk::export_failover!(Failover);
