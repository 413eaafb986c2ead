//! The native test kit: view files in, rendered decisions out, no wasm in between.
//!
//! A *view file* has the shape of the deciding crate's `ClusterView`, so one file
//! serves `pilothouse plan`, a plugin's tests and the host's. A *case file* is YAML
//! of many documents, each a [`case::Case`]: a view file, what differs from it, a
//! configuration. [`case::run`] renders every decision into a text beside the case
//! file and compares; `PILOTHOUSE_ACCEPT=1` accepts what came out.

pub mod case;
mod convert;
mod render;

pub use convert::view;
pub use render::{Rendered, decision as render};

use pilothouse_core::view::ClusterView;

use crate::view::View;

/// Why a view or case file is not usable.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is not there, or cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which one.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The text is not YAML, or not of the expected shape.
    #[error("{0}")]
    Yaml(#[from] serde_yaml_ng::Error),
    /// The value is not of the expected shape.
    #[error("{0}")]
    Shape(#[from] serde_json::Error),
    /// A change names something that the view file does not have.
    #[error("change {path:?}: there is no {part:?}")]
    NoSuchPart {
        /// The whole path.
        path: String,
        /// The part of it that was not found.
        part: String,
    },
    /// The plugin refuses the configuration.
    #[error("configuration: {0}")]
    Config(String),
}

/// Reads a view file's text.
///
/// # Errors
/// When it is not YAML of a `ClusterView`.
pub fn view_from_yaml(text: &str) -> Result<View<'static>, Error> {
    let value: serde_json::Value = serde_yaml_ng::from_str(text)?;
    Ok(view(&serde_json::from_value::<ClusterView>(value)?))
}
