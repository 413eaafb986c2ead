//! How long nobody can write when something is lost: the host beside VTOrc, on the same cluster of real Vitess, one
//! after the other, with a client that goes on writing all the while.
//!
//! A few rounds say that it is right: somebody writes again, what was acknowledged is there, and nothing is replaced
//! that lives. `PILOTHOUSE_ROUNDS=n` runs as many of each; the table that is printed is for people
//! (`docs/failover.md`), and nothing is asserted of its times.

mod decider;
mod faults;
mod gone;
mod grown;
mod planned;
mod rebuilt;
mod round;
mod table;

use pilothouse_tests::built;
use pilothouse_tests::crossing::run;

/// How many rounds of each kind.
const ROUNDS: &str = "PILOTHOUSE_ROUNDS";

#[test]
fn writes_go_on() {
    let rounds = std::env::var(ROUNDS).ok().map(|rounds| rounds.parse().expect(ROUNDS));
    run("writes_go_on", async |binary, images| {
        let mut scene = decider::set(binary, images, built!()).await?;
        let passed = round::all(&mut scene, rounds).await;
        if passed.is_err() {
            scene.tell().await;
        }
        passed
    });
}
