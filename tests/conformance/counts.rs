//! What a run came to: how many requests had which answer, and what differed.

use std::collections::BTreeMap;

use crate::play::{Difference, Outcome};
use crate::server::EXPIRED;

/// Every request of a run, by what kind of request it is.
#[derive(Default)]
pub(super) struct Counts {
    by_sort: BTreeMap<String, BTreeMap<Option<u16>, usize>>,
    /// By its signature: the first sequence in which it was seen, what it is, how often.
    pub(super) differing: BTreeMap<String, (u64, Difference, usize)>,
}

impl Counts {
    pub(super) fn add(&mut self, seed: u64, outcome: Outcome) {
        for (sort, code) in outcome.answered {
            *self.by_sort.entry(sort).or_default().entry(code).or_default() += 1;
        }
        if let Some(found) = outcome.difference {
            self.differing.entry(found.signature()).or_insert((seed, found, 0)).2 += 1;
        }
    }

    /// Those of another run beside these.
    pub(super) fn join(&mut self, other: Self) {
        for (sort, codes) in other.by_sort {
            let own = self.by_sort.entry(sort).or_default();
            codes.into_iter().for_each(|(code, times)| *own.entry(code).or_default() += times);
        }
        self.differing.extend(other.differing);
    }

    /// How many of those that begin so were answered with this code.
    pub(super) fn answered(&self, sort: &str, code: u16) -> usize {
        let fitting = self.by_sort.iter().filter(|(known, _)| known.starts_with(sort));
        fitting.filter_map(|(_, codes)| codes.get(&Some(code))).sum()
    }

    fn of(&self, fits: impl Fn(Option<u16>) -> bool) -> usize {
        self.by_sort.values().flatten().filter(|(code, _)| fits(**code)).map(|(_, n)| n).sum()
    }

    pub(super) fn all(&self) -> usize {
        self.of(|_| true)
    }

    /// Those that the played server does not support.
    pub(super) fn unsupported(&self) -> usize {
        self.of(|code| code.is_none())
    }

    /// Those that had an effect or were told something, rather than refused.
    pub(super) fn taken(&self) -> usize {
        self.of(|code| code.is_some_and(|code| code < 300))
    }

    /// Of sequences that are not shrunk.
    pub(super) fn tell_differences(&self, of: &str) {
        for (seed, found, times) in self.differing.values() {
            println!("{of} {seed}, {times} times: request #{}, {}", found.id, found.sort);
            found.lines.iter().for_each(|line| println!("    {line}"));
        }
    }

    pub(super) fn tell(&self) {
        println!("{} requests, {} of them taken by both servers", self.all(), self.taken());
        let forgotten = ["GET", "WATCH"].map(|sort| self.answered(sort, EXPIRED));
        println!("{} lists and {} watches for what was forgotten (410)", forgotten[0], forgotten[1]);
        println!("not supported by the played server (501), of all of their kind:");
        for (sort, codes) in &self.by_sort {
            if let Some(refused) = codes.get(&None) {
                println!("  {sort}: {refused} of {}", codes.values().sum::<usize>());
            }
        }
    }
}
