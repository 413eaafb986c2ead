//! States that must never be: two servers that acknowledge, a primary without what was acknowledged.

use pilothouse_core::view::Durability;

use super::Violation;
use crate::vitess::ShardKey;
use crate::world::facts::ShardFacts;

/// What is broken of a shard.
pub(super) fn judge(at: i64, key: &ShardKey, shard: &ShardFacts) -> Vec<Violation> {
    one_acknowledging_server(at, key, shard).into_iter().chain(primary_has_all(at, key, shard)).collect()
}

/// S1: at most one server of a shard can have a write acknowledged.
fn one_acknowledging_server(at: i64, key: &ShardKey, shard: &ShardFacts) -> Option<Violation> {
    let able: Vec<String> =
        shard.servers.iter().filter(|(_, s)| s.can_ack).map(|(a, _)| a.to_string()).collect();
    let message = || format!("shard {}: {} can all have writes acknowledged", key.shard, able.join(" and "));
    (able.len() > 1).then(|| Violation { id: "S1", message: message(), at })
}

/// S2: a primary that takes writes has every acknowledged transaction.
fn primary_has_all(at: i64, key: &ShardKey, shard: &ShardFacts) -> Option<Violation> {
    let primary = shard.primary.as_ref()?;
    let server = shard.servers.get(primary).filter(|s| s.writable && s.running)?;
    if shard.durability == Durability::None || server.position.contains(&shard.acked) {
        return None;
    }
    let message = format!(
        "shard {}: primary {primary} lacks acknowledged {}",
        key.shard,
        shard.acked.minus(&server.position)
    );
    Some(Violation { id: "S2", message, at })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use pilothouse_core::gtid::GtidSet;
    use pilothouse_core::view::Role;

    use super::*;
    use crate::vitess::ClusterKey;
    use crate::world::facts::ServerFacts;

    fn gtids(text: &str) -> GtidSet {
        text.parse().expect("a GTID set")
    }

    fn server(position: &str, can_ack: bool) -> ServerFacts {
        ServerFacts {
            node: "n".into(),
            running: true,
            role: Role::Primary,
            writable: can_ack,
            can_ack,
            position: gtids(position),
            errant: GtidSet::default(),
            told_reachable: true,
            disk: (0, 1),
        }
    }

    fn broken(servers: &[(&str, ServerFacts)], durability: Durability) -> Vec<&'static str> {
        let servers: BTreeMap<_, _> =
            servers.iter().map(|(a, s)| (a.parse().expect("an alias"), s.clone())).collect();
        let shard = ShardFacts {
            primary: servers.keys().next().cloned(),
            durability,
            acked: gtids("u:1-5"),
            servers,
            backups: Vec::new(),
        };
        let key = ShardKey { cluster: ClusterKey::new("ns", "c"), shard: "k/-".parse().expect("a shard") };
        judge(0, &key, &shard).into_iter().map(|v| v.id).collect()
    }

    #[test]
    fn states_are_judged() {
        let full = || server("u:1-5", true);
        assert!(broken(&[("a-1", full()), ("b-2", server("u:1-5", false))], Durability::SemiSync).is_empty());
        assert_eq!(broken(&[("a-1", full()), ("b-2", full())], Durability::SemiSync), ["S1"]);
        assert_eq!(broken(&[("a-1", server("u:1-4", true))], Durability::SemiSync), ["S2"]);
        assert!(
            broken(&[("a-1", server("u:1-4", true))], Durability::None).is_empty(),
            "loss is counted, not forbidden"
        );
    }
}
