//! The deciding half of pilothouse: what is desired, what was observed, what a
//! policy may propose, what the guard admits, and the pass that ties them.
//!
//! Everything here is a value or a pure function of values. This crate must not
//! know Kubernetes clients, runtimes or wasm engines: time arrives as `as_of`,
//! the world as a [`view::ClusterView`], effects leave as [`plan::Plan`]s.

pub mod action;
pub mod decider;
pub mod drain;
pub mod gtid;
pub mod guard;
pub mod levels;
pub mod loss;
pub mod mysql;
pub mod pass;
pub mod pause;
pub mod plan;
pub mod records;
pub mod report;
pub mod rollout;
pub mod schedule;
pub mod standing;
pub mod topology;
pub mod turndown;
pub mod view;
pub mod volumes;
pub mod zones;

/// Milliseconds since the Unix epoch, or a span in milliseconds where a name ends in `_ms`.
pub type Millis = u64;
