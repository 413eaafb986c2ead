//! Invariants S1–S14 of the fault model, judged by the world's truth.
//!
//! Owns the verdicts; shares no code with the guard and reads nothing that the
//! host says of itself. Checked here: S1–S6, S8, S9, S12–S14. Elsewhere: S7, S10
//! and S11 need the host's own side and live beside it.

mod deeds;
mod secure;
mod servers;

use crate::world::World;

/// A broken invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// `S1` … `S14`.
    pub id: &'static str,
    /// What was seen, with names.
    pub message: String,
    /// When, milliseconds since the epoch.
    pub at: i64,
}

/// All checkers of one world, with what they have seen already.
#[derive(Debug, Default)]
pub struct Checkers {
    deeds: usize,
    revision: Option<u64>,
    standing: Vec<(&'static str, String)>,
    written: secure::Written,
}

impl Checkers {
    /// Checkers that have seen nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What is broken and was not yet told: deeds since the last call, and states
    /// that hold now. Costs nothing while the world rests.
    pub fn check(&mut self, world: &World) -> Vec<Violation> {
        let revision = world.revision();
        if self.revision == Some(revision) {
            return Vec::new();
        }
        self.revision = Some(revision);
        let insecure = self.written.judge(world.api());
        let fresh = world.deeds_since(self.deeds);
        self.deeds += fresh.len();
        let mut broken: Vec<Violation> = fresh.iter().flat_map(deeds::judge).collect();
        let standing = servers::judge(&world.facts());
        let told =
            |v: &Violation| self.standing.iter().any(|(id, message)| *id == v.id && *message == v.message);
        broken.extend(insecure);
        broken.extend(standing.iter().filter(|v| !told(v)).cloned());
        self.standing = standing.into_iter().map(|v| (v.id, v.message)).collect();
        broken
    }
}

/// What is broken in a world, from its beginning on.
#[must_use]
pub fn check(world: &World) -> Vec<Violation> {
    Checkers::new().check(world)
}
