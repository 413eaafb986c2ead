//! How many clusters are looked at at a time: the others wait, packed.
//!
//! Owns who has a place. An open cluster is some thirty times a packed one, and to open it costs
//! as much as several passes; so whoever is in the middle of something keeps its place, and one
//! that rests gives it up only when another needs it. Must not know what a pass does.

use std::collections::BTreeMap;

use pilothouse_core::Millis;

use crate::cache::ClusterKey;
use crate::queue::Queue;

/// Places.
pub const MOST_OPEN: usize = 32;
/// In the middle of something for longer than this: no reason to keep others waiting.
const LONG_MS: Millis = 60_000;
/// A pass that takes longer than this waits for somebody else: its place does not count.
const STUCK_MS: Millis = 30_000;
/// By time alone nobody gets a place much sooner.
const LOOK_AGAIN_MS: Millis = 1_000;

/// Clusters that have a place, and those that wait for one.
#[derive(Debug, Default)]
pub struct Room {
    open: BTreeMap<ClusterKey, Place>,
    /// Since when its pass runs, of those that have one.
    busy: BTreeMap<ClusterKey, Millis>,
    waiting: Queue,
}

#[derive(Debug)]
struct Place {
    since: Millis,
    /// Whether its last pass found nothing to do.
    rests: bool,
}

/// Who may be looked at now.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// Their passes begin.
    pub begin: Vec<ClusterKey>,
    /// They gave up their places.
    pub pack: Vec<ClusterKey>,
}

impl Room {
    /// Whether a cluster's pass runs.
    #[must_use]
    pub fn is_busy(&self, key: &ClusterKey) -> bool {
        self.busy.contains_key(key)
    }

    /// Its pass is over; `rests` if there was nothing to do.
    pub fn done(&mut self, key: &ClusterKey, rests: bool) {
        self.busy.remove(key);
        if let Some(place) = self.open.get_mut(key) {
            place.rests = rests;
        }
    }

    /// The cluster is gone.
    pub fn forget(&mut self, key: &ClusterKey) {
        self.open.remove(key);
        self.waiting.remove(key);
    }

    /// Takes those from `queue` that are due; answers who may begin, and who has to make place.
    pub fn turn(&mut self, queue: &mut Queue, now: Millis) -> Turn {
        let mut turn = Turn::default();
        for key in queue.take_due(now, |key| self.is_busy(key)) {
            if self.open.contains_key(&key) {
                self.begin(key, now, &mut turn);
            } else {
                self.waiting.push(key, now);
            }
        }
        while self.waiting.next_due().is_some() && self.makes_place(queue, now, &mut turn) {
            let Some(key) = self.waiting.take_first() else { break };
            self.open.insert(key.clone(), Place { since: now, rests: false });
            self.begin(key, now, &mut turn);
        }
        // Of those that came while others were slow, some have to go.
        while self.open.len() > MOST_OPEN && self.packs_one(queue, now, &mut turn) {}
        turn
    }

    /// Whether there is a place, if need be because somebody gave his up.
    fn makes_place(&mut self, queue: &Queue, now: Millis, turn: &mut Turn) -> bool {
        let stuck = || self.busy.values().filter(|since| now >= **since + STUCK_MS).count();
        self.open.len() < MOST_OPEN
            || self.open.len() < MOST_OPEN + stuck()
            || self.packs_one(queue, now, turn)
    }

    /// Of those that rest, the one that is due last gives up its place.
    fn packs_one(&mut self, queue: &Queue, now: Millis, turn: &mut Turn) -> bool {
        let idle = self.open.iter().filter(|(key, _)| !self.is_busy(key));
        let resting = idle.filter(|(_, place)| place.rests || now >= place.since + LONG_MS);
        let due = resting.map(|(key, _)| (queue.due_at(key).unwrap_or(Millis::MAX), key));
        let Some((_, leaver)) = due.max() else { return false };
        let leaver = leaver.clone();
        self.open.remove(&leaver);
        turn.pack.push(leaver);
        true
    }

    fn begin(&mut self, key: ClusterKey, now: Millis, turn: &mut Turn) {
        self.busy.insert(key.clone(), now);
        turn.begin.push(key);
    }

    /// When to see again who may begin, though nothing has happened.
    #[must_use]
    pub fn look_again(&self, now: Millis) -> Option<Millis> {
        self.waiting.next_due().map(|_| now + LOOK_AGAIN_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> ClusterKey {
        ClusterKey { namespace: "n".to_owned(), name: format!("{number:03}") }
    }

    fn full() -> (Room, Queue) {
        let (mut room, mut queue) = (Room::default(), Queue::default());
        (0..=MOST_OPEN).for_each(|number| queue.push(key(number), 0));
        let turn = room.turn(&mut queue, 10);
        assert_eq!((turn.begin.len(), turn.pack.len()), (MOST_OPEN, 0), "the last one waits");
        (room, queue)
    }

    fn rest(room: &mut Room, queue: &mut Queue, number: usize, due: Millis) {
        room.done(&key(number), true);
        queue.push(key(number), due);
    }

    #[test]
    fn whoever_rests_longest_makes_place() {
        let (mut room, mut queue) = full();
        rest(&mut room, &mut queue, 3, 5_000);
        rest(&mut room, &mut queue, 4, 9_000);
        let turn = room.turn(&mut queue, 20);
        assert_eq!(turn, Turn { begin: vec![key(MOST_OPEN)], pack: vec![key(4)] });
    }

    #[test]
    fn whoever_is_in_the_middle_of_something_keeps_its_place_for_a_while() {
        let (mut room, mut queue) = full();
        room.done(&key(3), false);
        queue.push(key(3), LONG_MS + 60);
        assert_eq!(room.turn(&mut queue, 20), Turn::default());
        // The others have begun another pass.
        room.busy.values_mut().for_each(|since| *since = LONG_MS);
        let turn = room.turn(&mut queue, LONG_MS + 20);
        assert_eq!(turn, Turn { begin: vec![key(MOST_OPEN)], pack: vec![key(3)] });
    }

    #[test]
    fn slow_ones_hold_nobody_back() {
        let (mut room, mut queue) = full();
        let turn = room.turn(&mut queue, 10 + STUCK_MS);
        assert_eq!(turn, Turn { begin: vec![key(MOST_OPEN)], pack: vec![] });
        // And when they are through, there are again as many as there are places.
        rest(&mut room, &mut queue, 5, 90_000);
        assert_eq!(room.turn(&mut queue, 20 + STUCK_MS), Turn { begin: vec![], pack: vec![key(5)] });
    }

    #[test]
    fn the_gone_wait_no_more() {
        let (mut room, mut queue) = full();
        room.forget(&key(MOST_OPEN));
        room.done(&key(0), false);
        room.forget(&key(0));
        assert_eq!(room.turn(&mut queue, 20), Turn::default());
    }
}
