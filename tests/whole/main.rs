//! The host on the whole of Kubernetes' own control plane, with played nodes.
//!
//! Each file asks for what its test needs. One control plane at a time: they share two cores in CI.

mod nodes;
