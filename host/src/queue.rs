//! Which cluster is due when: an ordered queue, so that the same world gives the same order.

use std::collections::{BTreeMap, BTreeSet};

use pilothouse_core::Millis;

use crate::cache::ClusterKey;

/// Clusters by the time that they are due; each at most once.
#[derive(Debug, Default)]
pub struct Queue {
    by_time: BTreeSet<(Millis, ClusterKey)>,
    by_key: BTreeMap<ClusterKey, Millis>,
}

impl Queue {
    /// Makes a cluster due at `at`, or sooner if it already is.
    pub fn push(&mut self, key: ClusterKey, at: Millis) {
        match self.by_key.get(&key) {
            Some(&earlier) if earlier <= at => return,
            Some(&later) => drop(self.by_time.remove(&(later, key.clone()))),
            None => {}
        }
        self.by_key.insert(key.clone(), at);
        self.by_time.insert((at, key));
    }

    /// When the next cluster is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Millis> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// When a cluster is due.
    #[must_use]
    pub fn due_at(&self, key: &ClusterKey) -> Option<Millis> {
        self.by_key.get(key).copied()
    }

    /// Takes every cluster that is due, soonest first.
    pub fn take_due(&mut self, now: Millis) -> Vec<ClusterKey> {
        let is_due = |queue: &Self| queue.next_due().is_some_and(|at| at <= now);
        std::iter::from_fn(|| is_due(self).then(|| self.take_first()).flatten()).collect()
    }

    /// Takes the first cluster.
    pub fn take_first(&mut self) -> Option<ClusterKey> {
        let (_, key) = self.by_time.pop_first()?;
        self.by_key.remove(&key);
        Some(key)
    }

    /// Forgets a cluster.
    pub fn remove(&mut self, key: &ClusterKey) {
        if let Some(at) = self.by_key.remove(key) {
            self.by_time.remove(&(at, key.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> ClusterKey {
        ClusterKey { namespace: "n".to_owned(), name: name.to_owned() }
    }

    #[test]
    fn the_soonest_wins_and_whoever_is_due_comes_in_that_order() {
        let mut queue = Queue::default();
        queue.push(key("a"), 30);
        queue.push(key("a"), 10);
        queue.push(key("a"), 20);
        queue.push(key("b"), 5);
        queue.push(key("c"), 40);
        assert_eq!(queue.next_due(), Some(5));
        assert_eq!(queue.take_due(10), [key("b"), key("a")]);
        assert_eq!(queue.next_due(), Some(40));
    }
}
