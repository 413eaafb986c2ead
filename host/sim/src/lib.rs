//! A played world for pilothouse: what the host leans on, on a virtual clock.
//!
//! Nothing here is the real thing; each part says what it plays and what it leaves out.

pub mod apiserver;
pub mod checkers;
pub mod clock;
pub mod faults;
pub mod vitess;
mod walk;
pub mod world;
