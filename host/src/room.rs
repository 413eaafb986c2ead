//! How many clusters are looked at at a time: the others wait, packed.
//!
//! Owns who has a place. An open cluster is some thirty times a packed one, and to open it costs
//! as much as several passes; so whoever is in the middle of something keeps its place, and one
//! that rests gives it up only when another needs it. Where all places are taken, whoever lost its
//! primary comes in as a guest: for one pass, before all others, and waits outside for whoever is to
//! answer; and whoever has only to tell what it did lets others begin first, and stays aside meanwhile.
//! Must not know what a pass does.

use std::collections::{BTreeMap, BTreeSet};

use pilothouse_core::Millis;

use crate::cache::ClusterKey;
use crate::queue::Queue;

/// Places.
pub const MOST_OPEN: usize = 32;
/// Guests beside them.
pub const MOST_GUESTS: usize = 512;
/// Guests that wait outside. They hold nothing open; but an answer may take seconds, each is a call under way,
/// and a lost zone has to be through within half a minute (docs/fleet.md).
pub const MOST_OUTSIDE: usize = 8_192;
/// Clusters that stay aside until they tell: as many as are made in the time that a report may wait.
pub const MOST_ASIDE: usize = 64;
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
    /// Those whose pass runs, and since when they are due again.
    busy: BTreeMap<ClusterKey, Option<Millis>>,
    waiting: Queue,
    guests: BTreeSet<ClusterKey>,
    /// Guests whose pass runs, but needs no place any more.
    outside: BTreeSet<ClusterKey>,
    /// Those that wait and come before the others.
    pressing: Queue,
    /// Guests whose pass is over, or that went outside.
    leaving: Vec<ClusterKey>,
}

#[derive(Debug)]
struct Place {
    since: Millis,
    /// Since when its pass runs.
    busy_since: Option<Millis>,
    /// Whether its last pass found nothing to do.
    rests: bool,
    /// Whether it has only to tell what it did, and takes nobody's place meanwhile.
    is_aside: bool,
}

impl Place {
    const fn since(now: Millis) -> Self {
        Self { since: now, busy_since: None, rests: false, is_aside: false }
    }
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
    /// Whether a cluster's pass runs beside the places.
    #[must_use]
    pub fn is_guest(&self, key: &ClusterKey) -> bool {
        self.guests.contains(key)
    }

    /// Its pass is over; `rests` if there was nothing to do. It is due at once where it was meanwhile.
    pub fn done(&mut self, key: &ClusterKey, rests: bool, queue: &mut Queue) {
        if let Some(at) = self.busy.remove(key).flatten() {
            queue.push(key.clone(), at);
        }
        if self.guests.remove(key) || self.outside.remove(key) {
            self.leaving.push(key.clone());
        }
        if let Some(place) = self.open.get_mut(key) {
            *place = Place { since: place.since, busy_since: None, rests, is_aside: false };
        }
    }

    /// A guest's pass has only to wait for an answer.
    pub fn step_out(&mut self, key: &ClusterKey) {
        if self.guests.remove(key) {
            self.outside.insert(key.clone());
            self.leaving.push(key.clone());
        }
    }

    /// Whether a cluster that has only to tell what it did may do so later: others wait for places,
    /// or, where it is aside already, are in the middle of something.
    #[must_use]
    pub fn may_step_aside(&self, key: &ClusterKey) -> bool {
        let is_aside = self.open.get(key).is_some_and(|place| place.is_aside);
        if is_aside { !self.is_calm() } else { self.is_waited_for() && self.aside() < MOST_ASIDE }
    }

    /// Its pass is over, and what it did is to be told later.
    pub fn step_aside(&mut self, key: &ClusterKey) {
        if let Some(place) = self.open.get_mut(key) {
            place.is_aside = true;
        }
    }

    fn is_waited_for(&self) -> bool {
        self.waiting.next_due().is_some()
    }

    fn is_calm(&self) -> bool {
        !self.is_waited_for() && self.open.values().all(|place| place.rests || place.is_aside)
    }

    fn aside(&self) -> usize {
        self.open.values().filter(|place| place.is_aside).count()
    }

    fn taken(&self) -> usize {
        self.open.len() - self.aside()
    }

    /// The cluster is gone.
    pub fn forget(&mut self, key: &ClusterKey) {
        self.open.remove(key);
        self.waiting.remove(key);
        self.pressing.remove(key);
    }

    /// Takes those from `queue` that are due; answers who may begin, and who has to make place.
    /// Those that `presses` names wait for nobody else.
    pub fn turn(&mut self, queue: &mut Queue, now: Millis, presses: impl Fn(&ClusterKey) -> bool) -> Turn {
        let mut turn = Turn { pack: std::mem::take(&mut self.leaving), ..Turn::default() };
        for key in queue.take_due(now) {
            if let Some(due_again) = self.busy.get_mut(&key) {
                due_again.get_or_insert(now);
            } else if self.open.contains_key(&key) {
                self.begin(key, now, &mut turn);
            } else if presses(&key) {
                self.waiting.remove(&key);
                self.pressing.push(key, now);
            } else if self.pressing.due_at(&key).is_none() {
                self.waiting.push(key, now);
            }
        }
        let before = turn.begin.len();
        while self.pressing.next_due().is_some() {
            let has_place = self.taken() < MOST_OPEN;
            let is_full = self.guests.len() >= MOST_GUESTS || self.outside.len() >= MOST_OUTSIDE;
            if !has_place && is_full {
                break;
            }
            let Some(key) = self.pressing.take_first() else { break };
            if has_place {
                self.open.insert(key.clone(), Place::since(now));
            } else {
                self.guests.insert(key.clone());
            }
            self.begin(key, now, &mut turn);
        }
        // Others cost a multiple of a guest, and come when there was none.
        let was_pressed = turn.begin.len() > before;
        while !was_pressed && self.is_waited_for() && self.makes_place(queue, now, &mut turn) {
            let Some(key) = self.waiting.take_first() else { break };
            self.open.insert(key.clone(), Place::since(now));
            self.begin(key, now, &mut turn);
        }
        // Of those that came while others were slow, some have to go.
        while self.taken() > MOST_OPEN && self.packs_one(queue, now, &mut turn) {}
        if self.is_calm() {
            let aside = self.open.iter().filter(|(_, place)| place.is_aside && place.busy_since.is_none());
            aside.for_each(|(key, _)| queue.push(key.clone(), now));
        }
        turn
    }

    /// Whether there is a place, if need be because somebody gave his up.
    fn makes_place(&mut self, queue: &Queue, now: Millis, turn: &mut Turn) -> bool {
        let is_stuck = |place: &&Place| place.busy_since.is_some_and(|since| now >= since + STUCK_MS);
        let stuck = || self.open.values().filter(is_stuck).count();
        self.taken() < MOST_OPEN || self.taken() < MOST_OPEN + stuck() || self.packs_one(queue, now, turn)
    }

    /// Of those that rest, the one that is due last gives up its place.
    fn packs_one(&mut self, queue: &Queue, now: Millis, turn: &mut Turn) -> bool {
        let idle = self.open.iter().filter(|(_, place)| place.busy_since.is_none());
        let resting =
            idle.filter(|(_, place)| !place.is_aside && (place.rests || now >= place.since + LONG_MS));
        let due = resting.map(|(key, _)| (queue.due_at(key).unwrap_or(Millis::MAX), key));
        let Some((_, leaver)) = due.max() else { return false };
        let leaver = leaver.clone();
        self.open.remove(&leaver);
        turn.pack.push(leaver);
        true
    }

    fn begin(&mut self, key: ClusterKey, now: Millis, turn: &mut Turn) {
        if let Some(place) = self.open.get_mut(&key) {
            place.busy_since = Some(now);
        }
        self.busy.insert(key.clone(), None);
        turn.begin.push(key);
    }

    /// When to see again who may begin, though nothing has happened.
    #[must_use]
    pub fn look_again(&self, now: Millis) -> Option<Millis> {
        self.waiting.next_due().or(self.pressing.next_due()).map(|_| now + LOOK_AGAIN_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> ClusterKey {
        ClusterKey { namespace: "n".to_owned(), name: format!("{number:03}") }
    }

    fn calm(room: &mut Room, queue: &mut Queue, now: Millis) -> Turn {
        room.turn(queue, now, |_| false)
    }

    fn full() -> (Room, Queue) {
        let (mut room, mut queue) = (Room::default(), Queue::default());
        (0..=MOST_OPEN).for_each(|number| queue.push(key(number), 0));
        let turn = calm(&mut room, &mut queue, 10);
        assert_eq!((turn.begin.len(), turn.pack.len()), (MOST_OPEN, 0), "the last one waits");
        (room, queue)
    }

    fn rest(room: &mut Room, queue: &mut Queue, number: usize, due: Millis) {
        room.done(&key(number), true, queue);
        queue.push(key(number), due);
    }

    #[test]
    fn whoever_rests_longest_makes_place() {
        let (mut room, mut queue) = full();
        rest(&mut room, &mut queue, 3, 5_000);
        rest(&mut room, &mut queue, 4, 9_000);
        let turn = calm(&mut room, &mut queue, 20);
        assert_eq!(turn, Turn { begin: vec![key(MOST_OPEN)], pack: vec![key(4)] });
    }

    #[test]
    fn whoever_is_in_the_middle_of_something_keeps_its_place_for_a_while() {
        let (mut room, mut queue) = full();
        room.done(&key(3), false, &mut queue);
        queue.push(key(3), LONG_MS + 60);
        assert_eq!(calm(&mut room, &mut queue, 20), Turn::default());
        // The others have begun another pass.
        room.open.values_mut().for_each(|place| place.busy_since = place.busy_since.map(|_| LONG_MS));
        let turn = calm(&mut room, &mut queue, LONG_MS + 20);
        assert_eq!(turn, Turn { begin: vec![key(MOST_OPEN)], pack: vec![key(3)] });
    }

    #[test]
    fn slow_ones_hold_nobody_back() {
        let (mut room, mut queue) = full();
        let turn = calm(&mut room, &mut queue, 10 + STUCK_MS);
        assert_eq!(turn, Turn { begin: vec![key(MOST_OPEN)], pack: vec![] });
        // And when they are through, there are again as many as there are places.
        rest(&mut room, &mut queue, 5, 90_000);
        assert_eq!(calm(&mut room, &mut queue, 20 + STUCK_MS), Turn { begin: vec![], pack: vec![key(5)] });
    }

    #[test]
    fn the_gone_wait_no_more() {
        let (mut room, mut queue) = full();
        room.forget(&key(MOST_OPEN));
        room.done(&key(0), false, &mut queue);
        room.forget(&key(0));
        assert_eq!(calm(&mut room, &mut queue, 20), Turn::default());
    }

    #[test]
    fn who_has_only_to_tell_lets_others_begin_and_keeps_what_is_open() {
        let (mut room, mut queue) = full();
        assert!(room.may_step_aside(&key(3)), "one waits");
        rest(&mut room, &mut queue, 3, 5_000);
        room.step_aside(&key(3));
        assert_eq!(calm(&mut room, &mut queue, 20), Turn { begin: vec![key(MOST_OPEN)], pack: vec![] });
        assert!(!room.may_step_aside(&key(4)), "nobody waits");
        assert_eq!(calm(&mut room, &mut queue, 30), Turn::default(), "the others are still at work");
        (0..=MOST_OPEN).filter(|number| *number != 3).for_each(|n| rest(&mut room, &mut queue, n, 80_000));
        assert_eq!(calm(&mut room, &mut queue, 40), Turn::default());
        // Nobody is in its way any more. It rests then as others do: there is no place for it.
        assert_eq!(calm(&mut room, &mut queue, 50).begin, [key(3)]);
        rest(&mut room, &mut queue, 3, 90_000);
        assert_eq!(calm(&mut room, &mut queue, 60), Turn { begin: vec![], pack: vec![key(3)] });
    }

    #[test]
    fn so_many_step_aside_and_no_more() {
        let (mut room, mut queue) = full();
        (0..2 * MOST_ASIDE).for_each(|number| queue.push(key(100 + number), 15));
        for number in (0..MOST_OPEN).chain(MOST_OPEN..=MOST_OPEN).chain(100..99 + MOST_ASIDE - MOST_OPEN) {
            assert!(room.may_step_aside(&key(number)), "{number}");
            rest(&mut room, &mut queue, number, 5_000);
            room.step_aside(&key(number));
            calm(&mut room, &mut queue, 20);
        }
        assert!(!room.may_step_aside(&key(99 + MOST_ASIDE - MOST_OPEN)));
        assert!(room.may_step_aside(&key(0)), "it is aside already");
    }

    #[test]
    fn who_lost_its_primary_waits_for_nobody_and_leaves_after_one_pass() {
        let (mut room, mut queue) = full();
        queue.push(key(900), 15);
        // It had no reason to press yet.
        assert_eq!(calm(&mut room, &mut queue, 20), Turn::default());
        queue.push(key(900), 30);
        let begun = room.turn(&mut queue, 30, |key| *key == self::key(900));
        assert_eq!(begun, Turn { begin: vec![key(900)], pack: vec![] });
        assert!(room.is_guest(&key(900)));
        room.done(&key(900), false, &mut queue);
        queue.push(key(900), 40);
        assert_eq!(calm(&mut room, &mut queue, 40), Turn { begin: vec![], pack: vec![key(900)] });
        assert!(!room.busy.contains_key(&key(900)), "the others were there before it");
    }

    #[test]
    fn guests_are_so_many_in_the_order_that_they_came_and_places_stay_as_many() {
        let (mut room, mut queue) = full();
        queue.push(key(1_000 + MOST_GUESTS), 5);
        assert_eq!(room.turn(&mut queue, 10, |_| true).begin, [key(1_000 + MOST_GUESTS)]);
        (0..=MOST_GUESTS).for_each(|number| queue.push(key(1_000 + number), 20));
        let begun = room.turn(&mut queue, 20, |_| true).begin;
        assert_eq!(begun.len(), MOST_GUESTS - 1, "one was there, and one waits");
        assert_eq!(room.look_again(20), Some(20 + LOOK_AGAIN_MS));
        room.done(&key(1_000), false, &mut queue);
        rest(&mut room, &mut queue, 7, 90_000);
        let next = room.turn(&mut queue, 30, |_| true);
        assert_eq!(next.begin[0], key(999 + MOST_GUESTS), "before those that waited longer and do not press");
        assert_eq!(next.pack, [key(1_000)], "nobody has to go for a guest");
        let next = calm(&mut room, &mut queue, 40);
        assert_eq!(next, Turn { begin: vec![key(MOST_OPEN)], pack: vec![key(7)] });
    }
    #[test]
    fn who_waits_outside_takes_no_guests_place_and_is_through_all_the_same() {
        let (mut room, mut queue) = full();
        (0..=MOST_GUESTS).for_each(|number| queue.push(key(1_000 + number), 20));
        assert_eq!(room.turn(&mut queue, 20, |_| true).begin.len(), MOST_GUESTS, "one waits");
        room.step_out(&key(1_003));
        room.step_out(&key(3));
        queue.push(key(1_003), 25);
        let next = room.turn(&mut queue, 30, |_| true);
        assert_eq!(next, Turn { begin: vec![key(1_000 + MOST_GUESTS)], pack: vec![key(1_003)] });
        room.done(&key(1_003), false, &mut queue);
        let next = room.turn(&mut queue, 40, |_| true);
        assert_eq!(
            next,
            Turn { begin: vec![], pack: vec![key(1_003)] },
            "it comes again when there is a place"
        );
    }

    #[test]
    fn who_is_due_while_its_pass_runs_is_so_when_that_is_over() {
        let (mut room, mut queue) = full();
        queue.push(key(3), 15);
        assert_eq!(calm(&mut room, &mut queue, 20), Turn::default());
        assert_eq!(queue.next_due(), None, "nobody looks for it meanwhile");
        room.done(&key(3), true, &mut queue);
        assert_eq!(calm(&mut room, &mut queue, 30).begin, [key(3)]);
        room.done(&key(3), true, &mut queue);
        assert_eq!(queue.next_due(), None, "once");
    }

    #[test]
    fn so_many_wait_outside_and_no_more() {
        let (mut room, mut queue) = full();
        for number in 1_000..1_000 + MOST_OUTSIDE {
            queue.push(key(number), 20);
            assert_eq!(room.turn(&mut queue, 20, |_| true).begin, [key(number)]);
            room.step_out(&key(number));
        }
        queue.push(key(0), 30);
        queue.push(key(900), 30);
        assert_eq!(room.turn(&mut queue, 30, |_| true).begin, []);
        room.done(&key(1_000), true, &mut queue);
        assert_eq!(room.turn(&mut queue, 40, |_| true).begin, [key(900)]);
    }
}
