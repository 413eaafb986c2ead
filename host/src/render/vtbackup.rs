//! One run of vtbackup: a Pod with a data directory of its own that restores the latest backup,
//! catches up and takes a new one, beside the tablets and never on one.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::ResourceRequirements;
use pilothouse_api::labels::{self, Component};
use pilothouse_api::names;
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
    /// From this backup; `None` makes the first one, of an empty database.
    pub(super) restore: Option<&'a str>,
    /// When it was decided.
    pub(super) at: Millis,
}

/// Renders claim and Pod; nothing when the shard has no pool with a mysqld to take the shape of.
/// The data directory is as large as the largest of the shard's: all of the data must fit.
pub(super) fn render(
    run: &Run<'_>,
    zones: &BTreeMap<Cell, Zone>,
    claims: &BTreeMap<String, u64>,
) -> Vec<Rendered> {
    let shard = run.shard;
    let owner = Owner::of(shard.object);
    let Some(pool) = run.pool() else { return Vec::new() };
    let Some(template) = &pool.data_volume_claim_template else { return Vec::new() };
    let tablets = shard.tablets();
    let sizes = tablets.iter().filter_map(|tablet| claims.get(&tablet.name(shard.cluster)));
    let claim = vttablet_claim::at_least(template, sizes.copied().max().unwrap_or(0));
    let location = backup_location::named(&shard.object.spec.backup_locations, run.location);
    let storage = backup_location::storage(location, &shard.object.spec.backup_engine, shard.cluster);
    vec![
        owner.child("v1", "PersistentVolumeClaim", run.name(), run.labels()).with_spec(claim),
        owner
            .child("v1", "Pod", run.name(), run.labels())
            .annotated(pool.pod.annotations.clone())
            .annotated(storage.annotations.clone())
            .annotated(mysql::overrides(pool))
            .annotated(run.restore.map(|name| (RESTORES.to_owned(), name.to_owned())))
            .with_spec(run.pod(pool, &storage, zones)),
    ]
}

impl Run<'_> {
    /// The pool that it takes its shape from: the first that writes to the location, else the
    /// first with a mysqld.
    fn pool(&self) -> Option<&TabletPool> {
        let pools =
            || self.shard.object.spec.template.tablet_pools.iter().filter(|pool| pool.mysqld.is_some());
        pools().find(|pool| pool.backup_location_name == self.location).or_else(|| pools().next())
    }

    fn name(&self) -> String {
        let Shard { cluster, keyspace, range, .. } = self.shard;
        match self.restore {
            None => names::initial_backup(cluster, keyspace, range),
            Some(_) => {
                let seconds = i64::try_from(self.at / 1000).unwrap_or(i64::MAX);
                names::later_backup(cluster, keyspace, range, self.location, seconds)
            }
        }
    }

    fn labels(&self) -> Strings {
        let kind = if self.restore.is_none() { labels::BACKUP_TYPE_INIT } else { labels::BACKUP_TYPE_UPDATE };
        let mut all = self.shard.labels(Component::Vtbackup);
        all.insert(labels::BACKUP_LOCATION.to_owned(), self.location.to_owned());
        all.insert(labels::BACKUP_TYPE.to_owned(), kind.to_owned());
        all
    }

    /// It may run in any zone of the shard: it belongs to no cell, and one zone may be lost. A
    /// first backup is tried until it stands; a later one that failed is the policy's affair.
    fn pod(&self, pool: &TabletPool, storage: &Storage, zones: &BTreeMap<Cell, Zone>) -> Value {
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
        let mut given = pool.pod.clone();
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
        pod["restartPolicy"] = json!(if self.restore.is_none() { "OnFailure" } else { "Never" });
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
            .set("initial_backup", self.restore.is_none())
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
