//! What a human should know of a shard's backups. Texts name instants, not ages,
//! so that they stay the same while nothing changes.

use pilothouse_sdk::time::utc;
use pilothouse_sdk::{Shard, View, VitessSource};

use crate::backup::{Decision, is_scheduled};
use crate::config::Config;
use crate::record::Record;

/// An incomplete backup is left over from a run that ended when it is older than this.
const LEFT_OVER_MS: u64 = 86_400_000;

/// Says what is late, unproven or left over, and asks to look again when something may become so.
pub fn report(view: &View<'_>, shard: &Shard, record: &Record<'_>, config: &Config, decision: &mut Decision) {
    let mut once = |at: u64, code: &str, message: String| {
        if at <= view.as_of {
            decision.warn(code, &shard.id, message);
        } else {
            decision.again_in(at - view.as_of);
        }
    };
    let patience = config.max_age.ms().saturating_add(config.slack.ms());
    // How old a scheduled one may be is its schedule's to say.
    let is_ours = !is_scheduled(view, shard);
    if let Some(newest) = record.newest().filter(|_| is_ours) {
        let message =
            format!("The newest complete backup is {}, started at {}.", newest.name, utc(newest.started));
        once(newest.started.saturating_add(patience), "BackupOverdue", message);
    }
    if let Some(since) = record.proven_at().or_else(|| record.complete.last()?.finished).filter(|_| is_ours) {
        let message = format!("No restore has proven a backup since {}.", utc(since));
        once(since.saturating_add(patience), "BackupUnverified", message);
    }
    // Without Vitess a run's end is not seen either.
    if let Some(since) = shard.backup_running_since.filter(|_| view.vitess != VitessSource::Unknown) {
        let message = format!("A run that began at {} takes longer than {}.", utc(since), config.long_run);
        once(since.saturating_add(config.long_run.ms()), "BackupRunningLong", message);
    }
    // While a run is on, the newest incomplete backup is its own.
    let own = usize::from(shard.backup_running_since.is_some());
    if let Some(oldest) = record.incomplete.iter().skip(own).next_back() {
        let message = format!("{} was never completed; nothing removes it but a human.", oldest.name);
        once(oldest.started.saturating_add(LEFT_OVER_MS), "BackupIncomplete", message);
    }
}
