//! The played world without the host: objects are written by hand, things are broken, truth is read.

mod beside;
mod bring_up;
mod databases;
mod faults;
mod invariants;
mod kit;
mod loss;
