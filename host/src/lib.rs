//! pilothouse: runs Vitess on Kubernetes by policies that are judged before they act.
//!
//! The host crate owns everything with an effect: watching, rendering, writing,
//! reporting, the command line. What to do is decided in `pilothouse-core` and
//! by policy plugins.

pub mod actuate;
pub mod asked;
pub mod cache;
pub mod claims;
pub mod cli;
pub mod clock;
pub mod controller;
pub mod converge;
pub mod demo;
pub mod embedded;
pub mod endpoints;
pub mod equality;
pub mod events;
pub mod hold;
pub mod kinds;
pub mod lease;
pub mod observe;
pub mod observe_only;
pub mod pilot;
pub mod queue;
pub mod render;
pub mod report;
pub mod review;
pub mod rollout;
pub mod room;
pub(crate) mod schedules;
pub mod secrets;
pub mod serve;
pub mod settings;
pub mod simulate;
pub mod takeover;
pub mod telemetry;
pub mod topology;
pub mod vitess;
pub mod watch;
