//! What a policy plugin is written with: the contract's types once, the view as
//! plain data, one decision type, and the glue that makes a component of a policy.
//!
//! A policy is a plain function of a [`View`] and its configuration, so it runs and
//! is tested natively (`testkit`); only the `export_…!` macros know the component
//! model. This crate must not know what any policy decides.

extern crate self as pilothouse_sdk;

#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

pub mod bindings;
mod decision;
mod glue;
mod names;
mod plugin;
mod queries;
#[cfg(not(target_arch = "wasm32"))]
pub mod testkit;
pub mod time;
mod view;

pub use bindings::backup::exports::pilothouse::policy::backup;
pub use bindings::base::pilothouse::policy::context;
pub use bindings::base::pilothouse::policy::types;
pub use bindings::base::pilothouse::policy::view as records;
pub use bindings::expansion::exports::pilothouse::policy::expansion;
pub use bindings::failover::exports::pilothouse::policy::failover;
pub use bindings::placement::exports::pilothouse::policy::placement;
pub use bindings::rule::exports::pilothouse::policy::rule;
pub use decision::{Decision, Step};
pub use plugin::{Plugin, Policy, Reviewer, parse_config, schema_of, validate};
pub use queries::Queries;
pub use view::View;
#[doc(hidden)]
pub use wit_bindgen;

pub use records::{
    Backup, Cell, Drain, Durability, GatewaySurge, PodState, Pool, Reach, Replication, Role, Shard, Tablet,
    VitessSource, Volume, Wanted, Zone,
};
pub use types::{
    ConfigError, Diagnostic, Expectation, PolicyError, PoolKey, PoolType, Reason, Severity, ShardId,
    TabletAlias, Value, ZoneState,
};
