//! The border between the contract's records and the deciding crate's types.
//!
//! Owns both directions: the view out to the guest, decisions and verdicts in
//! from it. Everything that comes in is checked here, so that no unchecked
//! value of a guest gets further. Must not judge what a step would do: that is the guard's.

mod incoming;
mod outgoing;
mod reader;
mod review;
mod view;

pub(crate) use incoming::{RawDecision, ReadAction, read_decision};
pub(crate) use outgoing::planned_step;
pub use reader::{BadValue, Flaw};
pub use review::{Adjustment, RenderedObject, StepRefusal, Verdict};
pub(crate) use review::{read_verdict, rendered};
pub(crate) use view::{
    backup, cell, fact, from_alias, from_shard_id, pool, severity, shard, tablet, tablet_filter, vitess,
    volume, zone,
};
