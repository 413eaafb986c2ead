//! Which cluster cannot wait: it takes no writes until somebody replaces its primary.
//!
//! Owns the order alone. Whether anybody may be replaced is the policy's and the guard's to say.

use pilothouse_core::topology::TabletAlias;
use pilothouse_core::view::Reach;

use super::Observation;

impl Observation {
    /// Whether a shard's primary does not answer, and of those that do some follow it and none hears it.
    #[must_use]
    pub fn lost_primary(&self) -> bool {
        self.shards.values().filter_map(|shard| shard.primary.as_ref()).any(|primary| self.is_lost(primary))
    }

    fn is_lost(&self, primary: &TabletAlias) -> bool {
        let is_silent = self.tablets.get(primary).is_some_and(|tablet| tablet.reach == Reach::No);
        let answering = self.tablets.values().filter(|tablet| tablet.reach == Reach::Yes);
        let told = answering.filter_map(|tablet| tablet.replication.as_ref());
        let followers = told.filter(|told| told.source.as_ref() == Some(primary));
        let (hearing, deaf): (Vec<_>, Vec<_>) = followers.partition(|told| told.source_connected);
        is_silent && hearing.is_empty() && !deaf.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use pilothouse_core::gtid::GtidSet;
    use pilothouse_core::view::Replication;

    use super::super::{ShardRecord, TabletRecord};
    use super::*;

    /// A primary and two replicas: whether each answers, and whether the replicas hear it.
    fn observation(answers: [bool; 3], hear: [bool; 2]) -> Observation {
        let alias = |i: usize| ["a-1", "b-1", "c-1"][i].parse::<TabletAlias>().expect("an alias");
        let tablet = |i: usize| {
            let replication = (i > 0 && answers[i]).then(|| Replication {
                server: String::new(),
                source: Some(alias(0)),
                source_connected: hear[i - 1],
                applying: true,
                lag_ms: 0,
                position: GtidSet::default(),
                errant: GtidSet::default(),
                forgotten: GtidSet::default(),
                acks: true,
                read_only: false,
            });
            let reach = if answers[i] { Reach::Yes } else { Reach::No };
            (alias(i), TabletRecord { reach, replication, ..TabletRecord::default() })
        };
        let shard = ShardRecord { primary: Some(alias(0)), ..ShardRecord::default() };
        Observation {
            shards: BTreeMap::from([("commerce/-".parse().expect("a shard"), shard)]),
            tablets: (0..3).map(tablet).collect(),
            ..Observation::default()
        }
    }

    #[test]
    fn a_primary_is_lost_when_it_is_silent_to_all() {
        for (answers, hear, lost) in [
            ([false, true, true], [false, false], true),
            ([false, true, false], [false, true], true),
            ([true, true, true], [false, false], false),
            ([false, true, true], [false, true], false),
            ([false, false, false], [false, false], false),
        ] {
            assert_eq!(observation(answers, hear).lost_primary(), lost, "{answers:?} {hear:?}");
        }
    }
}
