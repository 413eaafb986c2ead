//! Very many clusters at the seam of views: the host's queue, room and pass with the real policies
//! and guard, over models of clusters, in virtual time.
//!
//! What is not here is said by the figures: there is no API server but a bucket of requests, no
//! object is kept, and whoever probes costs no processor time. Every number drawn is of one seed.

mod cases;
mod checks;
mod clock;
mod cluster;
mod drive;
mod faults;
mod figures;
mod flights;
mod heard;
mod played;
mod seat;
mod timing;
mod weather;

pub use cases::{Side, one_sided, partition, zone_lost};
pub use checks::FAILS_OVER_WITHIN;
pub use clock::Wall;
pub use drive::{Run, Setting, run};
pub use faults::Fault;
pub use figures::{Spread, apart_percent, head, line};
pub use played::played;
pub use timing::{Calls, Limits, Timing};
pub use weather::{Cut, Spell, Weather};
