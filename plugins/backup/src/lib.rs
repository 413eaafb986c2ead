//! The backup policy: a fresh backup of every shard, each proven by the next; only what a
//! newer proven one covers is removed, and a tablet that cannot replicate any more starts from one.
//! This file only exports; [`backup`] and [`errant`] decide.

pub mod backup;
pub mod config;
pub mod errant;
pub mod health;
pub mod record;
pub mod schedule;

use pilothouse_sdk::backup::Action;
use pilothouse_sdk::{ConfigError, Decision, Plugin, Policy, PolicyError, View};

use crate::config::Config;

/// The policy.
#[derive(Debug)]
pub struct Backup;

impl Plugin for Backup {
    type Config = Config;
    const NAME: &'static str = "backup";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const NEEDS: &'static [&'static str] = &["cluster/backupRetentionMs", "shard/backupScheduled"];
    const EMITS: &'static [&'static str] = &["start-backup", "expire-backup", "restore-tablet"];

    fn check(config: &Config) -> Vec<ConfigError> {
        config.problems()
    }
}

impl Policy for Backup {
    type Action = Action;

    fn decide(view: &View<'_>, config: &Config) -> Result<Decision<Action>, PolicyError> {
        Ok(backup::decide(view, config))
    }
}

pilothouse_sdk::export_backup!(Backup);
