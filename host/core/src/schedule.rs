//! When a schedule's backups begin, and which of its Jobs go.
//!
//! Owns times, spans, targets and what follows from them at a given time. All that it knows of the
//! past is passed in: when a run was last begun, and the Jobs that stand. Knows nothing of what a
//! run does.

pub mod cron;
pub mod span;
pub mod targets;

use crate::Millis;
use cron::Cron;

/// Runs that may be missed where a schedule does not say (source: vitess-operator).
pub const MISSED_RUNS_ALLOWED: u64 = 100;
/// A run is not late within its own minute.
const PUNCTUAL_MS: Millis = 60_000;

/// What a schedule says of its runs beside their times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// No run begins.
    pub suspended: bool,
    /// A run that could not begin within this time is left out; without, it begins however late.
    pub deadline: Option<Millis>,
    /// A run may begin while another of the same shard is on.
    pub may_overlap: bool,
    /// When more runs than this were missed, none of them is made up for.
    pub missed_allowed: u64,
    /// Jobs that succeeded and are kept; all when absent.
    pub kept_successful: Option<usize>,
    /// Jobs that failed and are kept; all when absent.
    pub kept_failed: Option<usize>,
}

/// What is to be done about one shard's runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Nothing before the next run.
    Wait,
    /// Nothing at all: the schedule is suspended.
    Suspended,
    /// The run of that time begins.
    Begin(Millis),
    /// The run of that time was due, but its deadline is over.
    Late(Millis),
    /// The run of that time is due, but another is on.
    Overlaps(Millis),
    /// Too many runs were missed; the next on the schedule is the next to begin.
    Missed,
}

/// Judges one shard at `as_of`. The runs up to `since` are dealt with; `is_on`: one of them has not
/// ended.
#[must_use]
pub fn turn(cron: &Cron, terms: &Terms, since: Millis, is_on: bool, as_of: Millis) -> Turn {
    if terms.suspended {
        return Turn::Suspended;
    }
    let Some(due) = cron.latest(since, as_of) else { return Turn::Wait };
    // Kubernetes keeps times in whole seconds.
    if terms.deadline.is_some_and(|deadline| (due.saturating_add(deadline)) / 1_000 < as_of / 1_000) {
        return Turn::Late(due);
    }
    if as_of - due >= PUNCTUAL_MS && is_beyond(cron, terms, since, as_of) {
        return Turn::Missed;
    }
    if is_on && !terms.may_overlap { Turn::Overlaps(due) } else { Turn::Begin(due) }
}

/// Whether more runs lie between than may be missed; what the deadline rules out does not count.
fn is_beyond(cron: &Cron, terms: &Terms, since: Millis, as_of: Millis) -> bool {
    let since = since.max(terms.deadline.map_or(0, |deadline| as_of.saturating_sub(deadline)));
    let mut missed = 0;
    let mut at = since;
    while let Some(next) = cron.next(at).filter(|next| *next <= as_of) {
        missed += 1;
        at = next;
        if missed > terms.missed_allowed {
            return true;
        }
    }
    false
}

/// How a Job of a schedule stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// It has not ended.
    Active,
    /// It took its backup.
    Succeeded,
    /// It did not.
    Failed,
}

/// A Job of one shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its name.
    pub name: String,
    /// The time that it was due.
    pub due: Millis,
    /// How it stands.
    pub state: JobState,
}

/// The Jobs of one shard that ended and are not kept, oldest first. What they tell of the past must
/// be written down: nothing goes that was due after `remembered`.
#[must_use]
pub fn surplus<'a>(jobs: &'a [Job], terms: &Terms, remembered: Millis) -> Vec<&'a Job> {
    let mut surplus: Vec<&Job> = Vec::new();
    for (state, kept) in [(JobState::Succeeded, terms.kept_successful), (JobState::Failed, terms.kept_failed)]
    {
        let mut ended: Vec<&Job> = jobs.iter().filter(|job| job.state == state).collect();
        ended.sort_by_key(|job| (job.due, &job.name));
        let beyond = kept.map_or(0, |kept| ended.len().saturating_sub(kept));
        surplus.extend(ended.into_iter().take(beyond).filter(|job| job.due <= remembered));
    }
    surplus.sort_by_key(|job| (job.due, &job.name));
    surplus
}
