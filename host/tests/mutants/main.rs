//! Mutants of the whole controller, each seen by the simulator's checkers.

mod actuate;
mod day;
mod faulty;
mod guard;
mod observe;
