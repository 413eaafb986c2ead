//! What passes found and nobody has told yet.
//!
//! Owns which report may wait, and for how long. Must not know how anything is told.

use pilothouse_core::Millis;
use pilothouse_core::action::{Action, Change};
use pilothouse_core::pass::Report;
use pilothouse_core::plan::{Outcome, Step};

/// A report waits for other passes no longer than this.
const REPORT_WITHIN_MS: Millis = 5_000;
/// A report waits for other clusters that have still to be made no longer than this.
const ASIDE_WITHIN_MS: Millis = 15_000;
/// Where a report waits, another pass comes after this even if no watch tells of anything.
const LOOK_AGAIN_MS: Millis = 1_000;

/// What was done in passes that were not reported: another followed at once.
#[derive(Debug, Default)]
pub(crate) struct Untold {
    outcomes: Vec<(Step, Outcome)>,
    since: Option<Millis>,
    aside_until: Option<Millis>,
}

/// For whom a report waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Postponed {
    /// The cluster's own next pass, which tells it.
    ToTheNextPass,
    /// Other clusters, which have still to be made.
    ToOthersPasses,
}

impl Untold {
    /// Whether what a pass finds now may wait for the next one, whatever it is.
    pub(super) fn may_wait(&self, now: Millis) -> bool {
        self.since.is_none_or(|since| now < since + REPORT_WITHIN_MS)
    }

    /// Until when, at the latest, it is to be told, where that waits for other clusters.
    pub(super) const fn aside_until(&self) -> Option<Millis> {
        self.aside_until
    }

    /// Whether a report may wait for the next pass, which it then asks for: objects were made and
    /// nothing else, and more is to come as soon as the watches tell of them. A new cluster takes
    /// several such passes, and each would write every status anew. What a guest of the room found
    /// waits, too, and after a lost primary was replaced others may wait for the same: a zone's
    /// loss is no time to write statuses. And where all is made it may wait for other clusters
    /// that are to be made (`may_step_aside`): a fifth of the writes are statuses.
    pub(super) fn postpones(
        &mut self,
        report: &mut Report,
        is_guest: bool,
        may_step_aside: bool,
    ) -> Option<Postponed> {
        let now = report.view.as_of;
        let is_made = |(step, outcome): &(Step, Outcome)| {
            let creates = matches!(
                step.action,
                Action::Apply { change: Change::Create, .. } | Action::StartBackup { .. }
            );
            creates && *outcome == Outcome::Done
        };
        let is_replaced = |(step, outcome): &(Step, Outcome)| {
            matches!(step.action, Action::EmergencyReparent { .. }) && *outcome == Outcome::Done
        };
        let went_well = report.refusals.is_empty() && report.outcomes.iter().all(is_made);
        let is_all_made = went_well && report.outcomes.is_empty() && !self.outcomes.is_empty();
        let is_replaced = report.outcomes.iter().any(is_replaced);
        let is_early = self.may_wait(now);
        self.since.get_or_insert(now);
        let is_under_way = went_well && !report.outcomes.is_empty();
        if is_replaced || ((is_under_way || is_guest) && is_early) {
            if !report.outcomes.is_empty() {
                report.requeue_after_ms = report.requeue_after_ms.min(LOOK_AGAIN_MS);
            }
            self.outcomes.append(&mut report.outcomes);
            self.aside_until = None;
            return Some(Postponed::ToTheNextPass);
        }
        let until = *self.aside_until.get_or_insert(now + ASIDE_WITHIN_MS);
        if is_all_made && may_step_aside && now < until {
            report.requeue_after_ms = report.requeue_after_ms.min(until - now);
            return Some(Postponed::ToOthersPasses);
        }
        let untold = std::mem::take(self);
        report.outcomes.splice(0..0, untold.outcomes);
        None
    }
}
