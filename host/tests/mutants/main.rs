//! Mutants of the whole controller, each seen by the simulator's checkers.
//!
//! The controller is the real one, with the default policies, in a day as `simulate` plays it.
//! A guard mutant lacks one rule, and somebody asks for what only that rule forbids; the good day
//! has the same asker before every rule. A controller mutant has a faulty Observe or Actuate
//! around its pilot; the good day is the same day without. Askers are native: what a component
//! may say at all is the contract's and `bad_input`'s to prove, and no world of it has the host's
//! own verbs.
//!
//! | checker | guard without | Observe | Actuate | patch (tests/mutants) |
//! |---|---|---|---|---|
//! | S1 | primary | who is silent is stopped | | |
//! | S2 | | | | vitess-forgets-relay-logs |
//! | S3 | drain | | by its label | |
//! | S4 | | | by its label | stray-is-wiped |
//! | S5 | backup | | | |
//! | S6 | volume | | | |
//! | S7 | | | whatever it is by now | |
//! | S8 | claim | | by its label | |
//! | S9 | | | is forced | |
//! | S10 | | | another tenant | |
//! | S11 | | | a secret is read | |
//! | S12 | blast | | | |
//! | S13 | | | after it stands | gateway-without-authentication |
//! | S14 | candidate | | | |
//! | L1 | | the first view stays | | |
//! | L3 | placement | | | |
//! | L6 | | | said to be gone | |
//!
//! What is not seen in a day, and why:
//!
//! - S2 by a controller: Vitess itself refuses a reparent that could lose a write, and takes over
//!   what any tablet that answers has received, so a guard without `quorum` only asks in vain. The
//!   patch makes the played Vitess forget that; the checker sees it in host/sim/tests/world.
//! - S4 by the guard: as long as a Pod stands Actuate refuses to delete its claim whatever was
//!   admitted, unless that is a rebuild and the tablet tells of what it alone has; and one claim is never the
//!   only copy. What somebody wrote past the gateways is, and no day has such a write: the patch is seen in a scenario.
//! - S7's epochs: nothing writes one yet. The checker knows preconditions only.
//! - S10 by the guard: a played day has one tenant, so there is nothing of another's to delete.
//! - S9 by the guard: no action asks for a forced deletion.
//! - Not asked for in any day: what `supported`, `author`, `scope`, `paused`, `expired`, `evidence`,
//!   `expectation`, `contradiction`, `pace`, `surge`, `returning`, `restore`, `turndown` and `budget` refuse. Guards
//!   without them are seen in host/core/tests/guard.rs only; what `restore` forbids is in two scenarios, too.

mod actuate;
mod day;
mod faulty;
mod guard;
mod observe;
