//! Invariants S1–S14 of the fault model, judged by the world's truth.
//!
//! Owns the verdicts; shares no code with the guard and reads nothing that the
//! host says of itself. Checked here: S1–S6, S8, S9, S12–S14. Elsewhere: S7, S10
//! and S11 need the host's own side and live beside it.

mod deeds;
mod secure;
mod servers;

use std::collections::BTreeMap;

use crate::vitess::ShardKey;
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
    /// What the truth's writes had counted when it was last looked at.
    writes: u64,
    /// What was broken then, by shard.
    standing: BTreeMap<ShardKey, Vec<Violation>>,
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
        broken.extend(insecure);
        broken.extend(self.judge_servers(world));
        broken
    }
}

impl Checkers {
    /// What is broken of the shards and was not at the last look. Only those are looked at whose truth was
    /// written since, and those that were broken, whose state the clients' writes go on to change.
    fn judge_servers(&mut self, world: &World) -> Vec<Violation> {
        let before = std::mem::take(&mut self.standing);
        let (facts, writes) = world.facts_since(self.writes, before.keys().map(|key| &key.cluster));
        self.writes = writes;
        for (key, shard) in &facts.shards {
            let broken = servers::judge(facts.at, key, shard);
            if !broken.is_empty() {
                self.standing.insert(key.clone(), broken);
            }
        }
        let told =
            |v: &Violation| before.values().flatten().any(|old| old.id == v.id && old.message == v.message);
        self.standing.values().flatten().filter(|v| !told(v)).cloned().collect()
    }
}

/// What is broken in a world, from its beginning on.
#[must_use]
pub fn check(world: &World) -> Vec<Violation> {
    Checkers::new().check(world)
}
