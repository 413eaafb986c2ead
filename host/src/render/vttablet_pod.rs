//! A tablet's Pod: vttablet, the mysqld that it serves, and its exporter.

use std::collections::BTreeMap;

use pilothouse_api::defaults::TABLET_GRACE_SECONDS;
use pilothouse_api::labels::{Component, annotations};
use pilothouse_core::topology::{Cell, Zone};
use serde_json::{Value, json};

use super::Rendered;
use super::backup_location::{self, Storage};
use super::child::{Owner, Strings, unless_empty};
use super::container::{
    GRPC, METRICS, MYSQL, PRIORITY_CLASS, VITESS_USER, WEB, alive_at, as_vitess, go_threads, port, ready_at,
    topology,
};
use super::flags::Flags;
use super::placement::{Apart, Domain};
use super::pod::{self, unless_blank};
use super::secret::SecretFile;
use super::tablet::{Shard, Tablet};
use super::{external_datastore, mysql};

/// What says that a tablet can be drained; the text is for readers.
const DRAIN_SUPPORTED: &str = "a primary is handed over first";

/// Flags of every vttablet.
const TABLET_FLAGS: [(&str, &str); 13] = [
    ("enable_replication_reporter", "true"),
    ("enforce_strict_trans_tables", "true"),
    ("grpc_max_message_size", "67108864"),
    ("grpc_port", "15999"),
    ("health_check_interval", "5s"),
    ("logtostderr", "true"),
    ("port", "15000"),
    ("queryserver-config-max-result-size", "100000"),
    ("queryserver-config-pool-size", "96"),
    ("queryserver-config-query-timeout", "900s"),
    ("queryserver-config-stream-pool-size", "96"),
    ("queryserver-config-transaction-cap", "300"),
    ("service_map", "grpc-queryservice,grpc-tabletmanager,grpc-updatestream"),
];

/// A tablet with all that its containers are made of.
struct Parts<'a> {
    shard: &'a Shard<'a>,
    tablet: &'a Tablet<'a>,
    storage: Storage,
    /// Whether there is a location to restore from.
    backups: bool,
    init_script: SecretFile<'a>,
    /// Whether the manifest has lines for my.cnf.
    overridden: bool,
}

/// Renders it.
pub(super) fn render(
    owner: &Owner<'_>,
    shard: &Shard<'_>,
    tablet: &Tablet<'_>,
    zones: &BTreeMap<Cell, Zone>,
) -> Rendered {
    let spec = &shard.object.spec;
    // Backups of a MySQL that runs elsewhere are not ours.
    let location = backup_location::named(&spec.backup_locations, &tablet.pool.backup_location_name)
        .filter(|_| tablet.pool.mysqld.is_some());
    let parts = Parts {
        shard,
        tablet,
        storage: backup_location::storage(location, &spec.backup_engine, shard.cluster),
        backups: location.is_some(),
        init_script: SecretFile::new("db-init-script", &spec.template.database_init_script_secret),
        overridden: mysql::overrides(tablet.pool).is_some(),
    };
    let mut labels = tablet.pool.pod.extra_labels.clone();
    labels.extend(tablet.labels(shard));
    owner
        .child("v1", "Pod", tablet.name(shard.cluster), labels)
        .annotated(parts.annotations())
        .with_spec(parts.spec(zones))
}

impl Parts<'_> {
    fn annotations(&self) -> Strings {
        let mut all = self.tablet.pool.pod.annotations.clone();
        all.extend(self.storage.annotations.clone());
        let mut set = |key: &str, value: String| all.insert(key.to_owned(), value);
        set(annotations::DRAIN_SUPPORTED, DRAIN_SUPPORTED.to_owned());
        if let Some(generation) = self.shard.object.metadata.generation {
            set(annotations::OBSERVED_SHARD_GENERATION, generation.to_string());
        }
        if let Some(cell) = self.tablet.stands_in_for {
            set(annotations::STANDS_IN_FOR, cell.to_owned());
        }
        all.extend(mysql::overrides(self.tablet.pool));
        all
    }

    fn spec(&self, zones: &BTreeMap<Cell, Zone>) -> Value {
        let pool = self.tablet.pool;
        let spec = &self.shard.object.spec;
        let (of_shard, of_pool) =
            (self.shard.labels(Component::Vttablet), self.tablet.pool_labels(self.shard));
        let mut containers = vec![self.vttablet()];
        containers.extend(self.mysqld());
        containers.extend(self.exporter());
        let mut pod = pod::spec(
            pod::Parts {
                containers,
                init_containers: self.init_containers(),
                volumes: self.volumes(),
                zones: zones.get(&Cell(pool.cell.clone())).into_iter().collect(),
                apart: vec![
                    Apart { weight: 2, labels: &of_shard, by: Domain::Host },
                    Apart { weight: 1, labels: &of_pool, by: Domain::Host },
                ],
                pull_secrets: &spec.image_pull_secrets,
            },
            &pool.pod,
        );
        pod["priorityClassName"] = json!(PRIORITY_CLASS);
        pod["securityContext"] = json!({ "fsGroup": VITESS_USER });
        pod["terminationGracePeriodSeconds"] =
            json!(pool.vttablet.termination_grace_period_seconds.unwrap_or(TABLET_GRACE_SECONDS));
        pod["topologySpreadConstraints"] = pool.topology_spread_constraints.raw().clone();
        pod
    }

    fn vttablet(&self) -> Value {
        let spec = &self.shard.object.spec;
        let pool = self.tablet.pool;
        let mut env = self.storage.env.clone();
        env.extend(mysql::environment(&spec.images, self.overridden));
        env.extend(go_threads(&pool.vttablet.resources));
        json!({
            "name": "vttablet",
            "image": unless_blank(&spec.images.vttablet),
            "imagePullPolicy": unless_blank(&spec.image_pull_policies.vttablet),
            "command": ["/vt/bin/vttablet"],
            "args": self.vttablet_flags().args(),
            "env": pod::env(env, &pool.pod.extra_env),
            "ports": [port("web", WEB), port("grpc", GRPC)],
            "readinessProbe": ready_at("/healthz"),
            "livenessProbe": alive_at("/debug/status"),
            "lifecycle": pool.vttablet.lifecycle.raw(),
            "resources": unless_empty(json!(pool.vttablet.resources)),
            "securityContext": as_vitess(),
            "volumeMounts": pod::mounts(self.vttablet_mounts(), &pool.pod.extra_volume_mounts),
        })
    }

    fn vttablet_flags(&self) -> Flags {
        let (spec, pool) = (&self.shard.object.spec, self.tablet.pool);
        let mut flags = Flags::default();
        flags
            .set_all(&TABLET_FLAGS)
            .set("tablet-path", &self.tablet.alias)
            .set("tablet_hostname", "$(POD_IP)")
            .set("init_keyspace", self.shard.keyspace)
            .set("init_shard", &self.shard.range)
            .set("init_tablet_type", self.tablet.initial_type())
            .set("builtinbackup-incremental-restore-path", mysql::DATA);
        topology(&mut flags, &spec.global_lockserver);
        if let Some(datastore) = &pool.external_datastore {
            external_datastore::flags(&mut flags, datastore);
        } else {
            flags
                .set("init_db_name_override", self.shard.database())
                .set("db_charset", mysql::charset(&spec.images))
                .set("db_app_user", "vt_app")
                .set("db_dba_user", "vt_dba")
                .set("db_filtered_user", "vt_filtered")
                .set("db_repl_user", "vt_repl")
                .set("mycnf_socket_file", mysql::MYSQL_SOCKET)
                .set("mysqlctl_socket", mysql::MYSQLCTL_SOCKET);
            self.restore_flags(&mut flags);
        }
        mysql::server_version(&mut flags, mysql::image(&spec.images));
        flags.extend(&spec.extra_vitess_flags).extend(&pool.vttablet.extra_flags);
        flags
    }

    /// A backup is taken beside serving, so by one thread; a restore has the whole Pod.
    fn restore_flags(&self, flags: &mut Flags) {
        if !self.backups {
            return;
        }
        let pool = self.tablet.pool;
        flags
            .set("restore_from_backup", true)
            .set("restore_concurrency", 10)
            .set("wait_for_backup_interval", "10s");
        match self.shard.object.spec.backup_engine.as_str() {
            "xtrabackup" => {
                let mysqld = pool.mysqld.as_ref().map_or(0, |mysqld| mysql::cpus(&mysqld.resources));
                let restore = (mysql::cpus(&pool.vttablet.resources) + mysqld).max(1);
                backup_location::xtrabackup(flags, 1, restore);
            }
            "mysqlshell" => backup_location::mysqlshell(flags, &self.storage),
            _ => {}
        }
        flags.merge(self.storage.flags.clone());
    }

    fn vttablet_mounts(&self) -> Vec<Value> {
        let mut mounts = self.storage.mounts.clone();
        mounts.extend(self.data_mounts(false));
        mounts.extend(self.tablet.pool.external_datastore.iter().flat_map(external_datastore::mounts));
        mounts
    }

    fn data_mounts(&self, programs: bool) -> Vec<Value> {
        let claim = self.tablet.pool.data_volume_claim_template.is_some();
        let mut mounts = mysql::mounts(programs, claim, self.overridden);
        mounts.push(self.init_script.mount());
        mounts
    }

    fn mysqld(&self) -> Option<Value> {
        let (spec, pool) = (&self.shard.object.spec, self.tablet.pool);
        let mysqld = pool.mysqld.as_ref()?;
        let mut flags = Flags::default();
        flags
            .set("db_charset", mysql::charset(&spec.images))
            .set("db_dba_user", "vt_dba")
            .set("init_db_sql_file", self.init_script.path())
            .set("logtostderr", true)
            .set("mysql_socket", mysql::MYSQL_SOCKET)
            .set("socket_file", mysql::MYSQLCTL_SOCKET)
            .set("tablet_uid", self.tablet.alias.uid)
            .set("wait_time", "2h0m0s");
        mysql::server_version(&mut flags, mysql::image(&spec.images));
        Some(json!({
            "name": "mysqld",
            "image": unless_blank(mysql::image(&spec.images)),
            "imagePullPolicy": unless_blank(&spec.image_pull_policies.mysqld),
            "command": ["/vt/bin/mysqlctld"],
            "args": flags.args(),
            "env": pod::env(mysql::environment(&spec.images, self.overridden), &pool.pod.extra_env),
            "ports": [port("mysql", MYSQL)],
            "readinessProbe": { "tcpSocket": { "port": MYSQL }, "periodSeconds": 2 },
            "resources": unless_empty(json!(mysqld.resources)),
            "securityContext": as_vitess(),
            "volumeMounts": pod::mounts(self.data_mounts(true), &pool.pod.extra_volume_mounts),
        }))
    }

    fn exporter(&self) -> Option<Value> {
        let (spec, pool) = (&self.shard.object.spec, self.tablet.pool);
        let image =
            Some(&spec.images.mysqld_exporter).filter(|image| !image.is_empty() && pool.mysqld.is_some())?;
        let given = pool.mysqld_exporter.clone().unwrap_or_default();
        let mut flags = Flags::default();
        flags
            .set("collect.info_schema.tables.databases", "sys,_vt")
            .set("config.my-cnf", "/vt/config/mycnf/client.cnf")
            .extend(&given.extra_flags);
        let resources = match unless_empty(json!(given.resources)) {
            Value::Null => json!({
                "requests": { "cpu": "10m", "memory": "32Mi" }, "limits": { "cpu": "100m", "memory": "128Mi" },
            }),
            given => given,
        };
        let source = format!("vt_dba@unix({})/", mysql::MYSQL_SOCKET);
        let env = vec![json!({ "name": "DATA_SOURCE_NAME", "value": source })];
        Some(json!({
            "name": "mysqld-exporter",
            "image": image,
            "imagePullPolicy": unless_blank(&spec.image_pull_policies.mysqld_exporter),
            "command": ["/bin/mysqld_exporter"],
            "args": flags.switches(),
            "env": pod::env(env, &pool.pod.extra_env),
            "ports": [port("metrics", METRICS)],
            "resources": resources,
            "securityContext": as_vitess(),
            "volumeMounts": pod::mounts(self.data_mounts(true), &pool.pod.extra_volume_mounts),
        }))
    }

    /// A my.cnf from an earlier Pod can only be on a claim.
    fn init_containers(&self) -> Vec<Value> {
        let spec = &self.shard.object.spec;
        let (image, policy) = (&spec.images.vttablet, &spec.image_pull_policies.vttablet);
        let resources = &self.tablet.pool.vttablet.resources;
        let mut all = vec![mysql::init_vt_root(image, policy, resources, mysql::Program::Mysqlctld)];
        if self.tablet.pool.data_volume_claim_template.is_some() {
            all.push(mysql::init_mysql_socket(image, policy, resources));
        }
        all
    }

    fn volumes(&self) -> Vec<Value> {
        let pool = self.tablet.pool;
        let claim = pool.data_volume_claim_template.as_ref().map(|_| self.tablet.name(self.shard.cluster));
        let mut volumes = self.storage.volumes.clone();
        volumes.extend(mysql::volumes(claim.as_deref(), self.overridden));
        volumes.extend(self.init_script.volume());
        volumes.extend(pool.external_datastore.iter().flat_map(external_datastore::volumes));
        volumes
    }
}
