//! What the tests of the whole share: a stage to put a cluster on, and what is seen on it.
//!
//! The stage is the embedded control plane with the controller that `run` starts; the
//! real control plane stands beside it, and so does a fleet that is too large for either.
//! Must not know what any test expects.

pub mod beside;
pub mod cluster;
pub mod crossing;
pub mod disruption;
pub mod fault;
pub mod fleet;
pub mod golang;
pub mod grpc;
pub mod predecessor;
pub mod processes;
pub mod seen;
pub mod stage;
pub mod standing;
pub mod topology;
pub mod truth;

use std::path::{Path, PathBuf};

/// A file of the repository, by its path from the root.
#[must_use]
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}
