//! One run of vtbackup: a Pod with a data directory of its own that restores the latest backup,
//! catches up and takes a new one, beside the tablets and never on one.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{PersistentVolumeClaimSpec, ResourceRequirements};
use pilothouse_api::labels::{self, Component};
use pilothouse_api::names;
use pilothouse_api::pod_overrides::PodOverrides;
use pilothouse_api::tablet_pool::TabletPool;
use pilothouse_core::Millis;
use pilothouse_core::topology::{Cell, Zone};
use serde_json::{Value, json};

use super::Rendered;
use super::backup_location::{self, Storage};
use super::child::{Owner, Strings, unless_empty};
use super::container::{VITESS_USER, as_vitess, topology};
use super::flags::Flags;
use super::pod::{self, unless_blank};
use super::secret::SecretFile;
use super::tablet::Shard;
use super::{mysql, vttablet_claim};

/// Annotation of a run's Pod: the backup that it restores, as the store names it.
pub const RESTORES: &str = "pilothouse.dev/restores";

/// A run.
pub(super) struct Run<'a> {
    /// Of this shard.
    pub(super) shard: &'a Shard<'a>,
    /// Into the location of this name.
    pub(super) location: &'a str,
    /// What it is for.
    pub(super) purpose: Purpose<'a>,
}

/// What a run is for.
pub(super) enum Purpose<'a> {
    /// The first backup, of an empty database.
    First,
    /// A later one, from this backup, decided at this time.
    Later { restore: &'a str, at: Millis },
    /// A later one, in the Job of this name.
    Scheduled(&'a str),
}

/// Renders claim and Pod; nothing when the shard has no pool with a mysqld to take the shape of.
pub(super) fn render(
    run: &Run<'_>,
    zones: &BTreeMap<Cell, Zone>,
    claims: &BTreeMap<String, u64>,
) -> Vec<Rendered> {
    let owner = Owner::of(run.shard.object);
    let Some((pool, template)) = run.shape() else { return Vec::new() };
    let claim = vttablet_claim::at_least(template, run.largest(claims));
    let spec = &run.shard.object.spec;
    let location = backup_location::named(&spec.backup_locations, run.location);
    let storage = backup_location::storage(location, &spec.backup_engine, run.shard.cluster);
    vec![
        owner.child("v1", "PersistentVolumeClaim", run.name(), run.labels()).with_spec(claim),
        owner
            .child("v1", "Pod", run.name(), run.labels())
            .annotated(run.annotations(pool, &storage))
            .with_spec(run.pod(pool, &storage, zones, pool.pod.clone())),
    ]
}

impl Run<'_> {
    /// The pool that it takes its shape from, and that of its claim: the first that writes to the
    /// location, else the first with a mysqld.
    pub(super) fn shape(&self) -> Option<(&TabletPool, &PersistentVolumeClaimSpec)> {
        let pools =
            || self.shard.object.spec.template.tablet_pools.iter().filter(|pool| pool.mysqld.is_some());
        let here = pools().find(|pool| pool.backup_location_name == self.location);
        let pool = here.or_else(|| pools().next())?;
        Some((pool, pool.data_volume_claim_template.as_ref()?))
    }

    /// Bytes that the largest of the shard's tablets asks for: all of its data must fit.
    pub(super) fn largest(&self, claims: &BTreeMap<String, u64>) -> u64 {
        let tablets = self.shard.tablets();
        let sizes = tablets.iter().filter_map(|tablet| claims.get(&tablet.name(self.shard.cluster)));
        sizes.copied().max().unwrap_or(0)
    }

    fn name(&self) -> String {
        let Shard { cluster, keyspace, range, .. } = self.shard;
        match self.purpose {
            Purpose::First => names::initial_backup(cluster, keyspace, range),
            Purpose::Later { at, .. } => {
                let seconds = i64::try_from(at / 1000).unwrap_or(i64::MAX);
                names::later_backup(cluster, keyspace, range, self.location, seconds)
            }
            Purpose::Scheduled(job) => job.to_owned(),
        }
    }

    const fn is_first(&self) -> bool {
        matches!(self.purpose, Purpose::First)
    }

    /// Annotations of its Pod.
    pub(super) fn annotations(&self, pool: &TabletPool, storage: &Storage) -> Strings {
        let mut all = pool.pod.annotations.clone();
        all.extend(storage.annotations.clone());
        all.extend(mysql::overrides(pool));
        if let Purpose::Later { restore, .. } = self.purpose {
            all.insert(RESTORES.to_owned(), restore.to_owned());
        }
        all
    }

    fn labels(&self) -> Strings {
        let kind = if self.is_first() { labels::BACKUP_TYPE_INIT } else { labels::BACKUP_TYPE_UPDATE };
        let mut all = self.shard.labels(Component::Vtbackup);
        all.insert(labels::BACKUP_LOCATION.to_owned(), self.location.to_owned());
        all.insert(labels::BACKUP_TYPE.to_owned(), kind.to_owned());
        all
    }

    /// It may run in any zone of the shard: it belongs to no cell, and one zone may be lost. A
    /// first backup is tried until it stands; a later one that failed is the policy's affair.
    pub(super) fn pod(
        &self,
        pool: &TabletPool,
        storage: &Storage,
        zones: &BTreeMap<Cell, Zone>,
        mut given: PodOverrides,
    ) -> Value {
        let spec = &self.shard.object.spec;
        let overridden = mysql::overrides(pool).is_some();
        let script = SecretFile::new("db-init-script", &spec.template.database_init_script_secret);
        let mut volumes = storage.volumes.clone();
        volumes.extend(mysql::volumes(Some(&self.name()), overridden));
        volumes.extend(script.volume());
        let cells = self.shard.cells();
        let zones: BTreeSet<&Zone> = cells.iter().filter_map(|cell| zones.get(cell)).collect();
        let policy = &spec.image_pull_policies.vtbackup;
        let none = ResourceRequirements::default();
        given.sidecar_containers = Value::Null.into(); // a sidecar would keep the Pod from ending
        let mut pod = pod::spec(
            pod::Parts {
                containers: vec![self.container(pool, storage, &script)],
                init_containers: vec![mysql::init_vt_root(
                    &spec.images.vtbackup,
                    policy,
                    &none,
                    mysql::Program::Vtbackup,
                )],
                volumes,
                zones,
                apart: Vec::new(),
                pull_secrets: &spec.image_pull_secrets,
            },
            &given,
        );
        pod["restartPolicy"] = json!(if self.is_first() { "OnFailure" } else { "Never" });
        pod["securityContext"] = json!({ "fsGroup": VITESS_USER });
        pod
    }

    fn container(&self, pool: &TabletPool, storage: &Storage, script: &SecretFile<'_>) -> Value {
        let spec = &self.shard.object.spec;
        let mut env = storage.env.clone();
        env.extend(mysql::environment(&spec.images, mysql::overrides(pool).is_some()));
        env.push(json!({ "name": "HOME", "value": "/home/vitess" }));
        let mut mounts = vec![mysql::certificates_mount()];
        mounts.extend(mysql::mounts(true, true, mysql::overrides(pool).is_some()));
        mounts.push(script.mount());
        mounts.extend(storage.mounts.clone());
        json!({
            "name": "vtbackup",
            "image": unless_blank(mysql::image(&spec.images)),
            "imagePullPolicy": unless_blank(&spec.image_pull_policies.mysqld),
            "command": ["/vt/bin/vtbackup"],
            "args": self.flags(pool, storage, script).args(),
            "env": pod::env(env, &pool.pod.extra_env),
            "resources": unless_empty(json!(pool.mysqld.as_ref().map(|mysqld| &mysqld.resources))),
            "securityContext": as_vitess(),
            "volumeMounts": pod::mounts(mounts, &pool.pod.extra_volume_mounts),
        })
    }

    fn flags(&self, pool: &TabletPool, storage: &Storage, script: &SecretFile<'_>) -> Flags {
        let spec = &self.shard.object.spec;
        let mut flags = Flags::default();
        flags
            .set("concurrency", 10)
            .set("builtinbackup-incremental-restore-path", mysql::DATA)
            .set("db_charset", mysql::charset(&spec.images))
            .set("db_dba_user", "vt_dba")
            .set("init_db_name_override", self.shard.database())
            .set("init_db_sql_file", script.path())
            .set("init_keyspace", self.shard.keyspace)
            .set("init_shard", &self.shard.range)
            .set("initial_backup", self.is_first())
            .set("logtostderr", true)
            .set("min_backup_interval", "0s")
            .set("min_retention_count", 1)
            .set("min_retention_time", "0s") // expiry is not vtbackup's to decide
            .set("mysql_socket", mysql::MYSQL_SOCKET);
        topology(&mut flags, &spec.global_lockserver);
        mysql::server_version(&mut flags, mysql::image(&spec.images));
        if spec.backup_engine == "xtrabackup" {
            let threads = pool.mysqld.as_ref().map_or(0, |mysqld| mysql::cpus(&mysqld.resources)).max(1);
            backup_location::xtrabackup(&mut flags, threads, threads);
        }
        // Where backups go is the location's to say.
        flags.extend(&pool.vttablet.vtbackup_extra_flags).merge(storage.flags.clone());
        flags
    }
}
