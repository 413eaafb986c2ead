//! What the world has to look at, now or at a later time.
//!
//! Owns the order. Every entry only says "look at this": the handler reads the
//! facts as they are then, so an early or repeated look is harmless.

use std::collections::{BTreeMap, BTreeSet};

use super::objects::Name;
use crate::vitess::ShardKey;

/// Something to look at. The order of the variants is the order of handling within one instant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Look {
    /// A node: does it post, and what does the API say of it.
    Node(String),
    /// Taints and evictions of all nodes.
    Lifecycle,
    /// A Pod that a taint may evict.
    Evict(Name),
    /// A Job.
    Job(Name),
    /// A Deployment.
    Deployment(Name),
    /// A ReplicaSet.
    ReplicaSet(Name),
    /// Pods without a node.
    Schedule,
    /// A claim: provisioning, growth, protection.
    Claim(Name),
    /// A PersistentVolume by name.
    Volume(String),
    /// A Pod as its kubelet sees it.
    Pod(Name),
    /// A shard: replication, probes, repairs, running operations.
    Shard(ShardKey),
    /// A disruption budget.
    Budget(Name),
    /// Objects whose owners are gone.
    Garbage,
}

/// Looks in order of time, then of request.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    now: BTreeSet<Look>,
    later: BTreeMap<(i64, u64), Look>,
    due_of: BTreeMap<Look, i64>,
    next: u64,
}

impl Agenda {
    /// Look at it in this step.
    pub(crate) fn now(&mut self, look: Look) {
        self.now.insert(look);
    }

    /// Look at it at `at`, unless a look at it at that time or before is already due.
    /// A look that comes too early asks again for the rest.
    pub(crate) fn at(&mut self, at: i64, look: Look) {
        if self.due_of.get(&look).is_some_and(|&due| due <= at) {
            return;
        }
        self.due_of.insert(look.clone(), at);
        self.later.insert((at, self.next), look);
        self.next += 1;
    }

    /// The next thing to look at now.
    pub(crate) fn pop(&mut self, now: i64) -> Option<Look> {
        while let Some(entry) = self.later.first_entry()
            && entry.key().0 <= now
        {
            let ((at, _), look) = entry.remove_entry();
            if self.due_of.get(&look) == Some(&at) {
                self.due_of.remove(&look);
                self.now.insert(look);
            }
        }
        self.now.pop_first()
    }

    /// When something is due next.
    pub(crate) fn next_due(&self) -> Option<i64> {
        self.later.keys().next().map(|&(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earlier_of_two_looks_wins_and_order_is_total() {
        let mut agenda = Agenda::default();
        agenda.at(20, Look::Node("b".into()));
        agenda.at(10, Look::Node("b".into()));
        agenda.at(30, Look::Node("b".into()));
        agenda.at(10, Look::Lifecycle);
        assert_eq!(agenda.next_due(), Some(10));
        assert_eq!(agenda.pop(5), None);
        assert_eq!(agenda.pop(10), Some(Look::Node("b".into())));
        assert_eq!(agenda.pop(10), Some(Look::Lifecycle));
        assert_eq!(agenda.pop(10), None);
        assert_eq!(agenda.pop(20), None, "superseded by the earlier look");
    }
}
