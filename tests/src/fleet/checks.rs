//! What must never be true of a cluster, and for how long it may be without a primary.
//!
//! Judged by what is true of its servers, not by what the host has heard; shares no code with the guard. S3, S7 and
//! S9 need Pods, and are the simulator's to check.

use pilothouse_core::Millis;

use super::cluster::Cluster;
use super::weather::ZONES;

/// A cluster that can have a primary that takes writes has one within this (L2).
pub const FAILS_OVER_WITHIN: Millis = 30_000;

/// What was found so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Checks {
    /// S1: two servers could have a write acknowledged at one time.
    pub(super) two_writers: bool,
    /// S2: acknowledged transactions that a new primary did not have.
    pub(super) missing: u64,
    /// S12: a primary was to be replaced while two zones were dark.
    pub(super) blind: bool,
    /// S14: a server with transactions of its own was to lead.
    pub(super) stray_leads: bool,
    /// Since when nobody takes writes and somebody could.
    headless_since: Option<Millis>,
    /// The longest that this lasted.
    pub(super) headless: Millis,
}

impl Cluster {
    /// Looks whether all holds now.
    pub(super) fn check(&mut self, now: Millis) {
        self.checks.two_writers |= self.able().count() > 1;
        let since = self.is_headless(now).then(|| self.checks.headless_since.unwrap_or(now));
        self.checks.headless = self.checks.headless.max(now - since.unwrap_or(now));
        self.checks.headless_since = since;
    }

    /// Whether the primary is gone, for the host and for whoever follows it, and each of the others, whom it may have
    /// told its last writes, is there, in a zone that is known to be: then one of them can lead, and another acknowledge.
    fn is_headless(&self, now: Millis) -> bool {
        let others = || (0..ZONES).filter(|zone| *zone != self.primary);
        let follows = |zone: usize| self.errant(zone) == [0; ZONES] && !self.follows(zone, self.primary);
        !self.weather.answers(self.primary, now)
            && others().all(|zone| self.weather.answers(zone, now) && self.weather.writes(zone, now))
            && others().all(follows)
    }

    /// Somebody asks for another primary.
    pub(super) fn asked(&mut self, to: usize, now: Millis) {
        let dark = (0..ZONES).filter(|zone| !self.weather.answers(*zone, now) && !self.nodes_ready[*zone]);
        self.checks.blind |= dark.count() > 1;
        self.checks.stray_leads |= self.errant(to) != [0; ZONES];
    }
}
