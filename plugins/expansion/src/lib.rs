//! The expansion policy: volumes grow before they are full, by use and by fill rate, within
//! the provider's rule, their maximum and a budget. This file only exports; [`expansion`] decides.

pub mod config;
pub mod expansion;
pub mod need;
pub mod rate;

use pilothouse_sdk::expansion::Action;
use pilothouse_sdk::{ConfigError, Decision, Plugin, Policy, PolicyError, View};

use crate::config::Config;

/// The policy.
#[derive(Debug)]
pub struct Expansion;

impl Plugin for Expansion {
    type Config = Config;
    const NAME: &'static str = "expansion";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const NEEDS: &'static [&'static str] = &["cluster/volumeBudgetBytes"];
    const EMITS: &'static [&'static str] = &["expand-volume"];

    fn check(config: &Config) -> Vec<ConfigError> {
        config.problems()
    }
}

impl Policy for Expansion {
    type Action = Action;

    fn decide(view: &View<'_>, config: &Config) -> Result<Decision<Action>, PolicyError> {
        Ok(expansion::decide(view, config))
    }
}

pilothouse_sdk::export_expansion!(Expansion);
