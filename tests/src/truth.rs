//! The played databases as they are in truth, whatever anybody was told, as text.
//!
//! Owns the words. Must not decide what should be.

use std::fmt::Write as _;

use pilothouse_core::view::Role;
use pilothouse_sim::world::facts::{Facts, ServerFacts};

/// A replica that hears its primary may lack so many for a moment.
const MOST_IN_FLIGHT: u64 = 3;

/// Each shard's acknowledged writes, and what each of its servers takes.
#[must_use]
pub fn tell(facts: &Facts) -> String {
    let mut out = String::new();
    for (key, shard) in &facts.shards {
        let primary = shard.primary.as_ref().and_then(|alias| shard.servers.get(alias));
        let missing = primary.map_or(0, |server| shard.acked.minus(&server.position).count());
        let writes = match (shard.acked.is_empty(), missing) {
            (true, _) => "no write is acknowledged yet".to_owned(),
            (false, 0) => "its primary has every acknowledged write".to_owned(),
            (false, missing) => format!("its primary lacks {missing} acknowledged writes"),
        };
        let _ = writeln!(out, "shard {}: {writes}", key.shard);
        for (alias, server) in &shard.servers {
            let lacks = shard.acked.minus(&server.position).count();
            let _ = writeln!(out, "server {alias}: {}", of_server(server, lacks > MOST_IN_FLIGHT));
        }
    }
    out
}

fn of_server(server: &ServerFacts, lacks: bool) -> String {
    if !server.running {
        return "it does not run".to_owned();
    }
    let role = match server.role {
        Role::Primary => "primary",
        Role::Replica => "replica",
        Role::Rdonly => "rdonly",
        Role::Spare => "spare",
        Role::Restore => "restoring",
        Role::Unknown => "of no role",
    };
    let writes = match (server.writable, server.can_ack) {
        (false, _) => "",
        (true, true) => ", takes writes",
        (true, false) => ", takes writes that nobody acknowledges",
    };
    let errant = match server.errant.count() {
        0 => String::new(),
        n => format!(", {n} errant"),
    };
    let lacks = if lacks { ", lacks acknowledged writes" } else { "" };
    format!("{role}{writes}{errant}{lacks}")
}
