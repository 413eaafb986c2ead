//! Runs policy plugins: WebAssembly components that read one immutable view and
//! return one decision.
//!
//! A plugin is a stranger. It gets no file, network, clock, randomness or
//! environment; every call runs in a fresh store under fuel, an epoch deadline
//! and the [`limits::Limits`]; whatever it returns is checked value by value.
//! This crate must not know Kubernetes, async runtimes or what becomes of a proposal.
//!
//! [`runtime::Runtime`] loads a [`binding::Binding`] into a [`policy::Policy`];
//! [`set::PolicySet`] asks all of them about a view.

pub mod artifact;
pub mod binding;
mod bindings;
pub mod cache;
pub mod compile;
pub mod contract;
pub mod convert;
pub mod engine;
pub mod failure;
mod getters;
mod inert;
pub mod instance;
pub mod limits;
pub mod policy;
pub mod registry;
pub mod runtime;
pub mod schema;
pub mod set;
pub mod snapshot;
pub mod state;
mod text;
