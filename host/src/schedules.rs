//! Scheduled backups: which runs begin now, what of ended ones goes, and what is said of either.
//!
//! Owns the reading of VitessBackupSchedules and of what stands of their runs; the times, targets
//! and turns are [`pilothouse_core::schedule`]'s to say. Pure, and remembers nothing: all of the past
//! stands in the Jobs and in the schedules' statuses.

mod runs;
#[cfg(test)]
mod tests;
mod trouble;

use std::collections::{BTreeMap, BTreeSet};

use pilothouse_api::desired::{DesiredSchedule, Timing};
use pilothouse_api::validate::{self, FieldError};
use pilothouse_api::vitess_backup_schedule::{BackupMethod, BackupScope};
use pilothouse_api::{VitessBackupSchedule, VitessCluster, VitessShard};
use pilothouse_core::Millis;
use pilothouse_core::action::{Action, Change, ObjectRef};
use pilothouse_core::plan::Step;
use pilothouse_core::schedule::cron::Cron;
use pilothouse_core::schedule::targets::{Scope, targets};
use pilothouse_core::schedule::{JobState, Turn, span, turn};
use pilothouse_core::topology::ShardId;
use pilothouse_core::view::{ClusterView, Reach, VitessSource};
use sha2::{Digest, Sha256};

use crate::cache::{Cached, Members, Typed};
use crate::clock::rfc3339;
use crate::converge::own_step;
use crate::kinds::Kind;
use crate::observe;
use crate::render::{self, Rendered, ScheduledRun};
use runs::Runs;
pub(crate) use runs::state as state_of_job;
pub(crate) use trouble::Trouble;

/// Every schedule of a cluster, judged at one time.
#[derive(Debug, Default)]
pub(crate) struct Schedules(Vec<Judged>);

/// A schedule, judged.
#[derive(Debug)]
pub(crate) struct Judged {
    /// The object's name.
    pub(crate) name: String,
    /// Each shard that it backs up; `None` while the schedule cannot be used.
    pub(crate) lines: Option<Vec<Line>>,
    /// Why it is not as it says.
    pub(crate) troubles: Vec<Trouble>,
    /// Names and UIDs of the Jobs that have not ended.
    pub(crate) active: Vec<(String, String)>,
    steps: Vec<Step>,
    rendered: Vec<Rendered>,
}

/// One shard's runs by one schedule.
#[derive(Debug)]
pub(crate) struct Line {
    /// The strategy's name; with the shard's, where it has many.
    pub(crate) name: String,
    /// When the last run that was begun was due.
    pub(crate) last: Option<Millis>,
    /// When the next is due.
    pub(crate) next: Option<Millis>,
    /// The cron form made from a frequency.
    pub(crate) generated: Option<String>,
    shard: ShardId,
    /// The part of `last` that the status already has.
    remembered: Option<Millis>,
}

impl Schedules {
    /// Judges every schedule that stands.
    pub(crate) fn judge(cluster: &VitessCluster, members: &Members, view: &ClusterView) -> Self {
        let apart = apart(members);
        let all = objects(members).map(|schedule| {
            let runs = Runs::of(schedule, members);
            Desk { cluster, members, view, schedule, runs }.judge(&apart)
        });
        Self(all.collect())
    }

    pub(crate) fn all(&self) -> &[Judged] {
        &self.0
    }

    /// When the next run is due.
    pub(crate) fn next_at(&self) -> Option<Millis> {
        self.0.iter().flat_map(|s| s.lines.iter().flatten()).filter_map(|line| line.next).min()
    }

    /// What is done about them now.
    pub(crate) fn steps(&self) -> impl Iterator<Item = Step> {
        self.0.iter().flat_map(|schedule| schedule.steps.iter().cloned())
    }

    /// The objects that these steps apply.
    pub(crate) fn rendered(&self) -> impl Iterator<Item = &Rendered> {
        self.0.iter().flat_map(|schedule| &schedule.rendered)
    }
}

/// Shards whose backups are a schedule's affair, suspended or not.
pub(crate) fn covered(members: &Members, shards: &BTreeSet<ShardId>) -> BTreeSet<ShardId> {
    let apart = apart(members);
    let targets = objects(members).filter_map(|schedule| {
        let desired = validate::validate_schedule(schedule).ok()?;
        targets(&scopes(&desired), shards, &apart).ok()
    });
    targets.flat_map(BTreeMap::into_keys).filter(|shard| shards.contains(shard)).collect()
}

fn objects(members: &Members) -> impl Iterator<Item = &VitessBackupSchedule> {
    members.of(Kind::VitessBackupSchedule).filter(|o| !o.is_terminating()).filter_map(|o| match o.typed() {
        Typed::Schedule(schedule) => Some(&**schedule),
        _ => None,
    })
}

/// Keyspaces that any schedule backs up by name.
fn apart(members: &Members) -> BTreeSet<String> {
    let desired = objects(members).filter_map(|schedule| validate::validate_schedule(schedule).ok());
    desired.flat_map(|desired| desired.keyspaces_apart().cloned().collect::<Vec<_>>()).collect()
}

fn scopes(desired: &DesiredSchedule) -> Vec<Scope> {
    desired.strategies.iter().map(|strategy| strategy.scope.clone()).collect()
}

/// One schedule with what it is judged from.
struct Desk<'a> {
    cluster: &'a VitessCluster,
    members: &'a Members,
    view: &'a ClusterView,
    schedule: &'a VitessBackupSchedule,
    runs: Runs<'a>,
}

impl<'a> Desk<'a> {
    fn judge(&self, apart: &BTreeSet<String>) -> Judged {
        let active = self.runs.active().into_iter().map(|job| (job.name().to_owned(), job.uid().to_owned()));
        let mut judged = Judged {
            name: self.schedule.metadata.name.clone().unwrap_or_default(),
            lines: None,
            troubles: Vec::new(),
            active: active.collect(),
            steps: Vec::new(),
            rendered: Vec::new(),
        };
        let (mut beginning, mut going) = (BTreeSet::new(), Vec::new());
        match self.desired(apart) {
            Err(errors) => judged.troubles.push(Trouble::InvalidSpec(errors)),
            Ok((desired, targets)) => {
                let mut lines = Vec::new();
                for (shard, strategy) in targets {
                    let Some((line, cron)) = self.line(&desired, &shard, strategy) else { continue };
                    beginning.extend(self.take_turn(&mut judged, &desired, (&line, &cron), strategy));
                    lines.push(line);
                }
                let remembered =
                    lines.iter().map(|line| (line.shard.clone(), line.remembered.unwrap_or(0))).collect();
                going = self.runs.surplus(&desired.terms, &remembered);
                if desired.terms.suspended {
                    judged.troubles.insert(0, Trouble::Suspended);
                }
                judged.lines = Some(lines);
            }
        }
        let left = self.runs.leavings(&beginning, &going);
        judged.steps.extend(going.iter().chain(&left).map(|removal| self.remove(removal)));
        judged
    }

    /// What it asks for, and of which shards.
    fn desired(
        &self,
        apart: &BTreeSet<String>,
    ) -> Result<(DesiredSchedule, BTreeMap<ShardId, usize>), Vec<FieldError>> {
        let desired = validate::validate_schedule(self.schedule)?;
        let shards = self.view.shards.iter().map(|shard| shard.id.clone()).collect();
        let targets =
            targets(&scopes(&desired), &shards, apart).map_err(|twice| vec![FieldError::from(&twice)])?;
        Ok((desired, targets))
    }

    fn line(&self, desired: &DesiredSchedule, shard: &ShardId, strategy: usize) -> Option<(Line, Cron)> {
        let strategy = self.schedule.spec.template.strategies.get(strategy)?;
        let name = match strategy.scope.unwrap_or_default() {
            BackupScope::Shard => strategy.name.clone(),
            BackupScope::Keyspace | BackupScope::Cluster => {
                format!("{}-{}-{}", strategy.name, shard.keyspace, shard.range.safe_name())
            }
        };
        let (cron, generated) = match desired.timing.as_ref()? {
            Timing::At(cron) => (cron.clone(), None),
            Timing::Every(minutes) => {
                let form = span::cron(*minutes, self.offset(shard, &name));
                (Cron::parse(&form).ok()?, Some(form))
            }
        };
        let status = self.schedule.status.as_ref();
        let remembered = status.and_then(|status| status.last_scheduled_times.get(&name));
        let remembered = remembered.and_then(|time| Millis::try_from(time.0.as_millisecond()).ok());
        let last = self.runs.of_shard(shard).iter().map(|job| job.due).chain(remembered).max();
        let next = cron.next(self.view.as_of).filter(|_| !desired.terms.suspended);
        Some((Line { name, last, next, generated, shard: shard.clone(), remembered }, cron))
    }

    /// Which of a frequency's minutes is a shard's own (source: vitess-operator, so that the times
    /// stay when it is replaced).
    fn offset(&self, shard: &ShardId, line: &str) -> u64 {
        let identity = format!("{}|{}|{}|{line}", self.schedule.spec.cluster, shard.keyspace, shard.range);
        let digest = Sha256::digest(identity.as_bytes());
        digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// Begins the run that is due, or says why not; answers the name of what is begun.
    fn take_turn(
        &self,
        judged: &mut Judged,
        desired: &DesiredSchedule,
        (line, cron): (&Line, &Cron),
        strategy: usize,
    ) -> Option<String> {
        let (shard, jobs) = (&line.shard, self.runs.of_shard(&line.shard));
        let is_on = jobs.iter().any(|job| job.state == JobState::Active);
        let newest = jobs.iter().max_by_key(|job| (job.due, &job.name));
        if let Some(job) = newest.filter(|job| job.state == JobState::Failed) {
            judged.troubles.push(Trouble::RunFailed { shard: shard.clone(), job: job.name.clone() });
        }
        // Nothing was missed before both stood.
        let shard_object = observe::shard_object(self.members, shard);
        let stood = [Some(&self.schedule.metadata), shard_object.map(|object| &object.metadata)];
        let stood = stood.into_iter().flatten().filter_map(|meta| meta.creation_timestamp.as_ref());
        let stood = stood.filter_map(|t| Millis::try_from(t.0.as_millisecond()).ok()).max();
        let since = line.last.or(stood).unwrap_or(self.view.as_of);
        let turn = turn(cron, &desired.terms, since, is_on, self.view.as_of);
        let trouble = match (self.site(shard), turn) {
            (_, Turn::Suspended) => None,
            (Err(trouble), _) => Some(trouble),
            (Ok(_), Turn::Wait) => None,
            (Ok(_), Turn::Late(due)) => Some(Trouble::RunLate { shard: shard.clone(), due }),
            (Ok(_), Turn::Overlaps(due)) => Some(Trouble::RunOverlaps { shard: shard.clone(), due }),
            (Ok(_), Turn::Missed) => Some(Trouble::RunsMissed(shard.clone())),
            (Ok((object, location)), Turn::Begin(due)) => {
                let run = ScheduledRun {
                    cluster: self.cluster,
                    schedule: self.schedule,
                    strategy: self.schedule.spec.template.strategies.get(strategy)?,
                    shard: object,
                    location,
                    timeout_minutes: desired.timeout_minutes,
                    due,
                };
                match self.rendered(&run, shard) {
                    Ok(rendered) => return self.begin(judged, rendered, due),
                    Err(trouble) => Some(trouble),
                }
            }
        };
        judged.troubles.extend(trouble);
        None
    }

    /// The shard, and the location that its backups go to.
    fn site(&self, shard: &ShardId) -> Result<(&'a VitessShard, &'a str), Trouble> {
        let asked = observe::shards_asked(self.members);
        let mut asked = asked.filter_map(|s| Some((&s.object, &s.asked.as_ref().ok()?.desired)));
        let (object, asked) =
            asked.find(|(_, asked)| asked.id == *shard).ok_or_else(|| Trouble::NoSuchShard(shard.clone()))?;
        let location = asked.backup_location.as_deref();
        let location = location.ok_or_else(|| Trouble::NoBackupLocation(shard.clone()))?;
        if self.view.shard(shard).is_none_or(|view| view.backup_location.is_none()) {
            return Err(Trouble::InitialBackupNotAllowed(shard.clone()));
        }
        if self.asks_vtctld() && self.schedule.spec.image.is_empty() {
            return Err(Trouble::NoImage);
        }
        Ok((object, location))
    }

    fn asks_vtctld(&self) -> bool {
        self.schedule.spec.template.backup_method == BackupMethod::Vtctldclient
    }

    fn rendered(&self, run: &ScheduledRun<'_>, shard: &ShardId) -> Result<Vec<Rendered>, Trouble> {
        self.may_begin(shard, run.location)?;
        let claims = self.view.volumes.iter().map(|v| (v.claim.clone(), v.requested)).collect();
        let rendered = render::scheduled_backup(run, &observe::zones_by_cell(self.view), &claims);
        if rendered.is_empty() { Err(Trouble::NoMysqld(shard.clone())) } else { Ok(rendered) }
    }

    /// Whether a run that begins now could end well, as far as is known.
    fn may_begin(&self, shard: &ShardId, location: &str) -> Result<(), Trouble> {
        let Some(view) = self.view.shard(shard) else { return Err(Trouble::NoSuchShard(shard.clone())) };
        let has_first = if observe::are_told(self.view, location) {
            self.view.backups_of(shard).any(|b| b.location == location && b.finished.is_some())
        } else {
            view.initialized || observe::has_backup_pod_succeeded(self.members, shard)
        };
        if !has_first && !self.asks_vtctld() {
            return Err(Trouble::NoFirstBackup(shard.clone()));
        }
        let primary = view.primary.as_ref().and_then(|alias| self.view.tablet(alias));
        let answers = self.view.vitess == VitessSource::Unknown
            || primary.is_some_and(|tablet| tablet.reach == Reach::Yes);
        if answers { Ok(()) } else { Err(Trouble::NoPrimary(shard.clone())) }
    }

    /// The claim first; the Job once it stands, so that a run never takes up one that is somebody
    /// else's. Answers the run's name.
    fn begin(&self, judged: &mut Judged, rendered: Vec<Rendered>, due: Millis) -> Option<String> {
        let name = rendered.last()?.object.name.clone();
        let standing = |one: &Rendered| self.members.get(Kind::of(&one.object.kind)?, &one.object.name);
        let waits = rendered.iter().any(|one| standing(one).is_some_and(|found| found.is_terminating()));
        let next = rendered.into_iter().find(|one| standing(one).is_none()).filter(|_| !waits);
        if let Some(next) = next {
            let action = Action::Apply { object: next.object.clone(), change: Change::Create };
            let message = format!("a backup was due at {}", rfc3339(due));
            judged.steps.push(own_step(self.view, action, "backup-due", message));
            judged.rendered.push(next);
        }
        Some(name)
    }

    fn remove(&self, removal: &runs::Removal<'a>) -> Step {
        let object: &Cached = removal.object;
        let target = ObjectRef {
            kind: removal.kind.as_str().to_owned(),
            namespace: self.view.cluster.namespace.clone(),
            name: object.name().to_owned(),
        };
        let action = Action::Delete { object: target, uid: object.uid().to_owned(), of: None };
        own_step(self.view, action, removal.code, removal.why.to_owned())
    }
}
