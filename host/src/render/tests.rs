//! The whole tree below one manifest, against texts, against the types, and against a listing
//! of the operator whose kinds these are.

mod cases;
mod choices;
mod generated;
mod golden;
mod overrides;
mod reference;
mod strict;
mod tree;
