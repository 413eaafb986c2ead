//! Which shards get a backup now, and which backup goes.
//!
//! A run restores the latest backup, catches up and takes the next one, in a Pod of
//! its own and never on the primary: so each run also proves the backup before it.
//! Must not know how a run is made.

use pilothouse_sdk::backup::{Action, Expiry, Start};
use pilothouse_sdk::time::utc;
use pilothouse_sdk::types::{BackupExpectation, PrimaryExpectation};
use pilothouse_sdk::{Backup, Expectation, Reach, Shard, Step, Value, View, VitessSource};

use crate::config::Config;
use crate::errant;
use crate::health;
use crate::record::Record;
use crate::schedule::{Due, due};

/// What the policy answers.
pub type Decision = pilothouse_sdk::Decision<Action>;

/// A step that was not taken by then is decided anew.
const TTL_MS: u64 = 600_000;
/// The cluster's fact that says how far back a restore must stay possible: the host's own bound.
const RETENTION_FACT: &str = "backupRetentionMs";

/// The shard's fact that says that a schedule of the manifest decides when its backups are taken.
const SCHEDULED_FACT: &str = "backupScheduled";

/// Whether the manifest has a schedule for the shard: then only its first backup, and what goes, is
/// this policy's affair.
#[must_use]
pub fn is_scheduled(view: &View<'_>, shard: &Shard) -> bool {
    view.flag(&shard.id.to_string(), SCHEDULED_FACT)
}

/// The policy, shard by shard.
#[must_use]
pub fn decide(view: &View<'_>, config: &Config) -> Decision {
    let mut decision = Decision::default();
    let held = many_dark(view, &mut decision);
    for shard in view.shards() {
        let Some(location) = &shard.backup_location else {
            decision.info(
                "NoBackupLocation",
                &shard.id,
                "The manifest names no backup location: no backup is taken.",
            );
            continue;
        };
        let record = Record::of(view, shard, location);
        health::report(view, shard, &record, config, &mut decision);
        if !held {
            let desk = Desk { view, shard, location, record: &record, config };
            desk.start(&mut decision);
            desk.expire(&mut decision);
            errant::rebuild(view, shard, &record, config, &mut decision);
        }
    }
    decision
}

/// Whether two zones or more look lost, and says so: then nothing is started or removed.
fn many_dark(view: &View<'_>, decision: &mut Decision) -> bool {
    let dark: Vec<&str> = view.zones().iter().filter(|z| z.is_dark()).map(|z| z.name.as_str()).collect();
    if dark.len() < 2 {
        return false;
    }
    let message =
        format!("Zones {} look lost: no backup is started, removed or restored.", dark.join(" and "));
    decision.warn("BackupsHeld", "", message);
    true
}

/// One shard with what is decided from.
struct Desk<'a> {
    view: &'a View<'a>,
    shard: &'a Shard,
    location: &'a str,
    record: &'a Record<'a>,
    config: &'a Config,
}

impl Desk<'_> {
    /// Starts a run if one is due and nothing stands against it.
    fn start(&self, decision: &mut Decision) {
        let (view, shard) = (self.view, self.shard);
        if shard.backup_running_since.is_some() {
            return;
        }
        let Some(newest) = self.record.newest() else {
            return self.start_initial(decision);
        };
        if is_scheduled(view, shard) {
            return;
        }
        let (namespace, name) = view.name();
        let name = format!("{namespace}/{name}/{}", shard.id);
        let (code, why) = match due(newest.started, view.as_of, &name, self.config) {
            Due::At(time) => return decision.again_in(time - view.as_of),
            Due::Age => ("older-than-max-age", format!("is older than {}", self.config.max_age)),
            Due::Slot(slot) => ("slot-begun", format!("is older than the slot of {}", utc(slot))),
        };
        if self.backs_off(decision) {
            return;
        }
        if !self.primary_answers() {
            let message = "A backup is due, but there is no primary that answers to catch up from.";
            return decision.warn("NoCatchUpSource", &shard.id, message);
        }
        let message = format!(
            "The newest backup, started at {}, {why}: a Pod of its own, not the primary, restores it, catches up and takes the next.",
            utc(newest.started)
        );
        let step = self.run(Some(newest), code, message).expecting(self.present(newest));
        decision.propose(step);
    }

    /// Starts the run that makes an empty shard's first backup, where that is safe.
    fn start_initial(&self, decision: &mut Decision) {
        let shard = &self.shard.id;
        if self.record.elsewhere || self.shard.initialized || self.shard.primary.is_some() {
            if self.view.vitess != VitessSource::Unknown {
                let message =
                    "The shard has a database, but its location has no complete backup to start from.";
                decision.warn("NoBackupToRestore", shard, message);
            }
        } else if !self.shard.may_initialize {
            let message = "The shard is empty, and the manifest does not let us initialise it.";
            decision.info("InitialBackupNotAllowed", shard, message);
        } else if !self.backs_off(decision) {
            let message =
                "The shard was never initialised: a Pod of its own takes the backup that tablets start from.";
            let empty = Expectation::Primary(PrimaryExpectation { shard: shard.clone(), is: None });
            decision.propose(self.run(None, "initial-backup", message.to_owned()).expecting(empty));
        }
    }

    fn run(&self, restore: Option<&Backup>, code: &str, message: String) -> Step<Action> {
        let shard = self.shard.id.clone();
        let idle = Expectation::BackupIdle(shard.clone());
        let restore = restore.map(|b| b.name.clone());
        let action = Action::StartBackup(Start { shard, location: self.location.to_owned(), restore });
        Step::new(action, code, message).expecting(idle).living(TTL_MS)
    }

    /// Whether the last run failed too short a time ago, and says so.
    fn backs_off(&self, decision: &mut Decision) -> bool {
        let since_newest = self.record.newest().and_then(|b| b.finished).unwrap_or(0);
        let Some(failed) = self.shard.backup_failed_at.filter(|&at| at > since_newest) else {
            return false;
        };
        let retry = failed.saturating_add(self.config.retry_after.ms());
        if retry <= self.view.as_of {
            return false;
        }
        let message =
            format!("The last run failed at {}; the next is not before {}.", utc(failed), utc(retry));
        decision.warn("BackupFailed", &self.shard.id, message);
        decision.again_in(retry - self.view.as_of);
        true
    }

    /// Whether the primary that the topology names answers: a run catches up from it.
    fn primary_answers(&self) -> bool {
        if self.view.vitess == VitessSource::Unknown {
            return false;
        }
        let primary = self.shard.primary.as_ref().and_then(|alias| self.view.tablet(alias));
        primary.is_some_and(|tablet| tablet.reach == Reach::Yes)
    }

    /// Removes the oldest backup that is not needed any more; one at a time, so that each is judged alone.
    fn expire(&self, decision: &mut Decision) {
        if self.view.vitess == VitessSource::Unknown {
            return;
        }
        let (as_of, retention) = (self.view.as_of, self.retention_ms());
        let kept = usize::try_from(self.config.minimum_kept).unwrap_or(usize::MAX);
        let border = as_of.saturating_sub(retention);
        if let Some(found) = self.record.expirable(border, kept) {
            let (backup, by) = (found.backup, found.covered_by);
            let message = format!(
                "Started at {}; {} is newer, proven, holds all of it and itself reaches back beyond {}.",
                utc(backup.started),
                by.name,
                utc(border)
            );
            let (shard, name, covered_by) = (self.shard.id.clone(), backup.name.clone(), by.name.clone());
            let action = Action::ExpireBackup(Expiry { shard, backup: name, covered_by });
            let step = Step::new(action, "covered-by-newer", message).living(TTL_MS);
            decision.propose(step.expecting(self.present(backup)).expecting(self.present(by)));
            return;
        }
        if let Some(lacking) = self.record.uncovering(border, kept) {
            let message =
                format!("{} lacks transactions of an older backup: what is older is kept.", lacking.name);
            decision.warn("BackupNotCovered", &self.shard.id, message);
        }
        if let Some(at) = self.record.next_expiry(as_of, retention, kept) {
            decision.again_in(at - as_of);
        }
    }

    /// What has to stay covered: the longer of the configured span and the host's.
    fn retention_ms(&self) -> u64 {
        let of_host = match self.view.fact("cluster", RETENTION_FACT) {
            Some(Value::Integer(ms)) => u64::try_from(ms).unwrap_or(0),
            Some(Value::Text(_) | Value::Flag(_)) | None => 0,
        };
        self.config.retention.ms().max(of_host)
    }

    fn present(&self, backup: &Backup) -> Expectation {
        Expectation::BackupPresent(BackupExpectation {
            shard: self.shard.id.clone(),
            backup: backup.name.clone(),
        })
    }
}
