//! The runs of one schedule: its Jobs, and what they leave behind.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pilothouse_api::labels::{self, annotations};
use pilothouse_api::{VitessBackupSchedule, names};
use pilothouse_core::Millis;
use pilothouse_core::schedule::{self, Job, JobState, Terms};
use pilothouse_core::topology::ShardId;
use serde_json::Value;

use crate::cache::{Cached, Members};
use crate::clock::parse_rfc3339;
use crate::kinds::Kind;

/// The label by which Kubernetes says whose a Job's Pod is.
const JOB_NAME: &str = "batch.kubernetes.io/job-name";

/// A shard, by the values of its two labels.
type Place = (String, String);

/// All that stands of one schedule's runs.
pub(super) struct Runs<'a> {
    jobs: BTreeMap<Place, Vec<Job>>,
    members: &'a Members,
    label: String,
    schedule: &'a str,
}

/// Something that is no longer needed, and why.
pub(super) struct Removal<'a> {
    pub(super) kind: Kind,
    pub(super) object: &'a Cached,
    pub(super) code: &'static str,
    pub(super) why: &'static str,
}

impl<'a> Runs<'a> {
    pub(super) fn of(schedule: &'a VitessBackupSchedule, members: &'a Members) -> Self {
        let label = names::backup_schedule_label(schedule.metadata.name.as_deref().unwrap_or_default());
        let uid = schedule.metadata.uid.as_deref().unwrap_or_default();
        let runs = Self { jobs: BTreeMap::new(), members, label, schedule: uid };
        let mut jobs: BTreeMap<Place, Vec<Job>> = BTreeMap::new();
        for job in members.of(Kind::Job).filter(|job| runs.is_ours(job)) {
            let place = (job.label(labels::KEYSPACE).to_owned(), job.label(labels::SHARD).to_owned());
            jobs.entry(place).or_default().push(read(job));
        }
        Self { jobs, ..runs }
    }

    fn is_ours(&self, object: &Cached) -> bool {
        let owners = object.head().owner_references.iter().flatten();
        object.label(labels::BACKUP_SCHEDULE) == self.label
            && owners.filter(|owner| owner.controller == Some(true)).any(|owner| owner.uid == self.schedule)
    }

    /// The Jobs of a shard.
    pub(super) fn of_shard(&self, shard: &ShardId) -> &[Job] {
        self.jobs.get(&place(shard)).map_or(&[], Vec::as_slice)
    }

    /// The Jobs that have not ended, by name.
    pub(super) fn active(&self) -> Vec<&'a Arc<Cached>> {
        let active = self.jobs.values().flatten().filter(|job| job.state == JobState::Active);
        let mut names: Vec<&str> = active.map(|job| job.name.as_str()).collect();
        names.sort_unstable();
        names.iter().filter_map(|name| self.members.get(Kind::Job, name)).collect()
    }

    /// Jobs that are not kept. `remembered` has the time of the last run that is written down of each
    /// shard that is backed up; of another shard nothing needs to be.
    pub(super) fn surplus(&self, terms: &Terms, remembered: &BTreeMap<ShardId, Millis>) -> Vec<Removal<'a>> {
        let of_place: BTreeMap<Place, Millis> = remembered.iter().map(|(s, at)| (place(s), *at)).collect();
        let surplus = self.jobs.iter().flat_map(move |(at, jobs)| {
            let remembered = of_place.get(at).copied().unwrap_or(Millis::MAX);
            schedule::surplus(jobs, terms, remembered)
        });
        let surplus = surplus.filter_map(|job| self.members.get(Kind::Job, &job.name));
        let (code, why) = ("beyond-history-limit", "enough later Jobs are kept");
        let removal = |object| Removal { kind: Kind::Job, object, code, why };
        surplus.map(AsRef::as_ref).filter(|job| !job.is_terminating()).map(removal).collect()
    }

    /// Pods of ended Jobs, and claims that neither a Job nor a Pod needs; not that of a run in
    /// `beginning`, nor the Pods of Jobs that are `going`, which go with them. A failed run's Pod
    /// stays until a later run stands, so that its log can be read.
    pub(super) fn leavings(&self, beginning: &BTreeSet<String>, going: &[Removal<'_>]) -> Vec<Removal<'a>> {
        let why = "its backup run is over";
        let removal = |kind, object| Removal { kind, object, code: "backup-run-over", why };
        let of_schedule = |o: &&'a Cached| o.label(labels::BACKUP_SCHEDULE) == self.label;
        let pods = || self.members.of(Kind::Pod).map(AsRef::as_ref).filter(of_schedule);
        let mut removals = Vec::new();
        let mut needed: BTreeSet<&str> = beginning.iter().map(String::as_str).collect();
        for jobs in self.jobs.values() {
            let newest = jobs.iter().max_by_key(|job| (job.due, &job.name));
            for job in jobs {
                match job.state {
                    JobState::Active => {
                        needed.insert(&job.name);
                    }
                    JobState::Failed if Some(job) == newest => {}
                    _ if going.iter().any(|removal| removal.object.name() == job.name) => {}
                    JobState::Failed | JobState::Succeeded => {
                        let left = pods().filter(|pod| pod.label(JOB_NAME) == job.name);
                        let left = left.filter(|pod| is_over(pod) && !pod.is_terminating());
                        removals.extend(left.map(|pod| removal(Kind::Pod, pod)));
                    }
                }
            }
        }
        let claims = self.members.of(Kind::PersistentVolumeClaim).map(AsRef::as_ref);
        for claim in claims.filter(|claim| self.is_ours(claim) && !claim.is_terminating()) {
            let is_used = pods().any(|pod| pod.label(JOB_NAME) == claim.name());
            if !needed.contains(claim.name()) && !is_used {
                removals.push(removal(Kind::PersistentVolumeClaim, claim));
            }
        }
        removals
    }
}

fn place(shard: &ShardId) -> Place {
    (shard.keyspace.clone(), shard.range.safe_name())
}

fn is_over(pod: &Cached) -> bool {
    let phase = pod.field("/status/phase").and_then(Value::as_str);
    matches!(phase, Some("Succeeded" | "Failed"))
}

fn read(job: &Cached) -> Job {
    let due = job.annotation(annotations::BACKUP_SCHEDULED_AT).and_then(parse_rfc3339);
    Job {
        name: job.name().to_owned(),
        due: due.unwrap_or(job.created()),
        state: state(job.field("/status/conditions")),
    }
}

/// How a Job stands, by the conditions of its status.
pub(crate) fn state(conditions: Option<&Value>) -> JobState {
    let conditions = || conditions.and_then(Value::as_array).into_iter().flatten();
    let holds = |kind: &str| conditions().any(|c| c["type"] == kind && c["status"] == "True");
    match (holds("Complete"), holds("Failed")) {
        (true, _) => JobState::Succeeded,
        (false, true) => JobState::Failed,
        (false, false) => JobState::Active,
    }
}
