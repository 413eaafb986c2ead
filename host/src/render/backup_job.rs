//! A scheduled backup: the Job of one run for one shard, with a claim where it has a data directory
//! of its own. Either is made once and never changed: a run keeps the shape of its time.

use std::collections::BTreeMap;

use pilothouse_api::labels::{self, Component, annotations};
use pilothouse_api::pod_overrides::PodOverrides;
use pilothouse_api::vitess_backup_schedule::{BackupMethod, BackupStrategy};
use pilothouse_api::{VitessBackupSchedule, VitessCluster, defaults, names};
use pilothouse_core::Millis;
use pilothouse_core::topology::{Cell, Zone};
use serde_json::{Value, json};

use super::backup_location::{self, Storage};
use super::child::{Owner, Strings, prune, unless_empty};
use super::container::{GRPC, PRIORITY_CLASS, VITESS_USER, as_vitess};
use super::flags::Flags;
use super::pod::{self, unless_blank};
use super::tablet::Shard;
use super::vtbackup::{Purpose, Run};
use super::{Rendered, vttablet_claim};
use crate::clock::rfc3339;

/// Where BackupShard finds its command line.
const VTCTLDCLIENT: &str = "/vt/bin/vtctldclient";

/// One run for one shard.
pub(super) struct Job<'a> {
    /// Of this cluster.
    pub(super) cluster: &'a VitessCluster,
    /// By this schedule.
    pub(super) schedule: &'a VitessBackupSchedule,
    /// Of it, this strategy.
    pub(super) strategy: &'a BackupStrategy,
    /// Of this shard.
    pub(super) shard: &'a Shard<'a>,
    /// Into the location of this name.
    pub(super) location: &'a str,
    /// Minutes that it may take.
    pub(super) timeout_minutes: u32,
    /// The time that it was due.
    pub(super) due: Millis,
}

/// Renders the claim, if there is one, and the Job; nothing when a data directory is needed and the
/// shard has no pool to take its shape from.
pub(super) fn render(
    job: &Job<'_>,
    zones: &BTreeMap<Cell, Zone>,
    claims: &BTreeMap<String, u64>,
) -> Vec<Rendered> {
    let owner = Owner::of(job.schedule);
    match job.schedule.spec.template.backup_method {
        BackupMethod::Vtctldclient => vec![job.around(&owner, Strings::new(), job.vtctldclient())],
        BackupMethod::Vtbackup => {
            let name = job.name();
            let run = Run { shard: job.shard, location: job.location, purpose: Purpose::Scheduled(&name) };
            let Some((pool, template)) = run.shape() else { return Vec::new() };
            let storage = job.storage();
            let given = job.overrides(pool.pod.clone());
            let claim = vttablet_claim::at_least(template, run.largest(claims));
            let mut notes = run.annotations(pool, &storage);
            notes.extend(job.annotations());
            vec![
                owner.child("v1", "PersistentVolumeClaim", name.clone(), job.labels()).with_spec(claim),
                job.around(&owner, notes, run.pod(pool, &storage, zones, given)),
            ]
        }
    }
}

impl Job<'_> {
    fn name(&self) -> String {
        let schedule = self.schedule.metadata.name.as_deref().unwrap_or_default();
        names::backup_job(schedule, self.shard.keyspace, &self.shard.range, self.seconds())
    }

    fn seconds(&self) -> i64 {
        i64::try_from(self.due / 1_000).unwrap_or(i64::MAX)
    }

    fn labels(&self) -> Strings {
        let method = self.schedule.spec.template.backup_method;
        let mut all = self.shard.labels(Component::Vtbackup);
        if method == BackupMethod::Vtctldclient {
            all.remove(labels::COMPONENT); // no component of its own: vtctld and a tablet do the work
        }
        let schedule = self.schedule.metadata.name.as_deref().unwrap_or_default();
        all.insert(labels::BACKUP_SCHEDULE.to_owned(), names::backup_schedule_label(schedule));
        all.insert(labels::BACKUP_METHOD.to_owned(), method.as_str().to_owned());
        all.insert(labels::BACKUP_LOCATION.to_owned(), self.location.to_owned());
        all.insert(labels::BACKUP_TYPE.to_owned(), labels::BACKUP_TYPE_UPDATE.to_owned());
        all
    }

    fn annotations(&self) -> Strings {
        let mut all = self.schedule.spec.template.annotations.clone();
        all.insert(annotations::BACKUP_SCHEDULED_AT.to_owned(), rfc3339(self.due));
        all
    }

    fn storage(&self) -> Storage {
        let spec = &self.shard.object.spec;
        let location = backup_location::named(&spec.backup_locations, self.location);
        backup_location::storage(location, &spec.backup_engine, self.shard.cluster)
    }

    /// What a Pod would be given anyway, with what the schedule says instead.
    fn overrides(&self, mut given: PodOverrides) -> PodOverrides {
        let template = &self.schedule.spec.template;
        if !template.affinity.is_absent() {
            given.affinity.clone_from(&template.affinity);
        }
        if !template.tolerations.is_absent() {
            given.tolerations.clone_from(&template.tolerations);
        }
        given
    }

    /// The Job of a Pod. It is tried once: what a failed try left in a data directory is no start for
    /// another, and the next run is a new one.
    fn around(&self, owner: &Owner<'_>, notes: Strings, mut pod: Value) -> Rendered {
        pod["restartPolicy"] = json!("Never");
        let mut notes = notes;
        notes.extend(self.annotations());
        let mut template = json!({ "metadata": { "labels": self.labels(), "annotations": notes } });
        template["spec"] = pod;
        prune(&mut template);
        owner.child("batch/v1", "Job", self.name(), self.labels()).annotated(self.annotations()).with_spec(
            json!({
                // Counted from its start, by whoever runs Jobs: also while we do not look.
                "activeDeadlineSeconds": u64::from(self.timeout_minutes) * 60,
                "backoffLimit": 0,
                "template": template,
            }),
        )
    }

    /// A Pod that asks vtctld to have a tablet take the backup.
    fn vtctldclient(&self) -> Value {
        let spec = &self.cluster.spec;
        let daemons = defaults::dashboard(spec.vitess_dashboard.as_ref());
        let given = PodOverrides { tolerations: daemons.pod.tolerations, ..PodOverrides::default() };
        let mut flags = Flags::default();
        flags.extend(&self.strategy.extra_flags);
        let server = format!("--server={}:{GRPC}", names::vtctld_service(self.shard.cluster));
        let mut args = vec![server, "BackupShard".to_owned()];
        args.extend(flags.args());
        args.push(format!("{}/{}", self.shard.keyspace, self.shard.range));
        let container = json!({
            "name": "vtctldclient",
            "image": self.schedule.spec.image,
            "imagePullPolicy": unless_blank(&self.schedule.spec.image_pull_policy),
            "command": [VTCTLDCLIENT],
            "args": args,
            "resources": unless_empty(json!(self.schedule.spec.template.resources)),
            "securityContext": as_vitess(),
        });
        let parts = pod::Parts {
            containers: vec![container],
            init_containers: Vec::new(),
            volumes: Vec::new(),
            zones: std::collections::BTreeSet::new(),
            apart: Vec::new(),
            pull_secrets: &spec.image_pull_secrets,
        };
        let mut pod = pod::spec(parts, &self.overrides(given));
        pod["priorityClassName"] = json!(PRIORITY_CLASS);
        pod["securityContext"] = json!({ "fsGroup": VITESS_USER });
        pod
    }
}
