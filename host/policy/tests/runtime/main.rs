//! What the runtime promises about strangers: each misbehaviour ends in a typed
//! error that names plugin and reason, and the next call is none the worse.

mod compiling;
mod contract;
mod embedded;
mod fixture;
mod foreign;
mod guests;
mod honest;
mod misdeeds;
mod review;
mod settings;
