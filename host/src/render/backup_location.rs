//! How Vitess' programs reach a backup location, and by which engine they write there.

use pilothouse_api::backup_location::BackupLocation;
use pilothouse_api::pod_overrides::SecretSource;
use serde_json::{Value, json};

use super::child::Strings;
use super::flags::Flags;
use super::secret::SecretFile;

const FOLDER: &str = "/vt/backups";
const VOLUME: &str = "vitess-backups";

/// What a Pod needs for a location.
#[derive(Default)]
pub(super) struct Storage {
    /// Flags of the program.
    pub(super) flags: Flags,
    /// Environment of the container.
    pub(super) env: Vec<Value>,
    /// Mounts of the container.
    pub(super) mounts: Vec<Value>,
    /// Volumes of the Pod.
    pub(super) volumes: Vec<Value>,
    /// Annotations of the Pod.
    pub(super) annotations: Strings,
}

/// The location of that name among a cluster's.
pub(super) fn named<'a>(locations: &'a [BackupLocation], name: &str) -> Option<&'a BackupLocation> {
    locations.iter().find(|location| location.name == name)
}

/// What a Pod needs for `location`; each cluster has its own folder in it. Nothing for none.
pub(super) fn storage(location: Option<&BackupLocation>, engine: &str, cluster: &str) -> Storage {
    let mut storage = Storage::default();
    let Some(location) = location else { return storage };
    storage.annotations = location.annotations.clone();
    storage.flags.set("backup_engine_implementation", engine);
    if let Some(gcs) = &location.gcs {
        storage
            .flags
            .set("backup_storage_implementation", "gcs")
            .set("gcs_backup_storage_bucket", &gcs.bucket)
            .set("gcs_backup_storage_root", root(&gcs.key_prefix, cluster));
        let key = storage.mount_if("gcs-backup-auth", gcs.auth_secret.as_ref());
        storage.point_to("GOOGLE_APPLICATION_CREDENTIALS", key);
    } else if let Some(s3) = &location.s3 {
        storage
            .flags
            .set("backup_storage_implementation", "s3")
            .set("s3_backup_aws_region", &s3.region)
            .set("s3_backup_storage_bucket", &s3.bucket)
            .set("s3_backup_storage_root", root(&s3.key_prefix, cluster))
            .set("s3_backup_force_path_style", s3.force_path_style);
        if !s3.endpoint.is_empty() {
            storage.flags.set("s3_backup_aws_endpoint", &s3.endpoint);
        }
        if let Some(bytes) = s3.min_part_size {
            storage.flags.set("s3_backup_aws_min_partsize", bytes);
        }
        let file = storage.mount_if("s3-backup-auth", s3.auth_secret.as_ref());
        storage.point_to("AWS_SHARED_CREDENTIALS_FILE", file);
    } else if let Some(azblob) = &location.azblob {
        storage
            .flags
            .set("backup_storage_implementation", "azblob")
            .set("azblob_backup_account_name", &azblob.account)
            .set("azblob_backup_container_name", &azblob.container)
            .set("azblob_backup_storage_root", root(&azblob.key_prefix, cluster));
        let key = storage.mount("azblob-backup-auth", &azblob.auth_secret);
        storage.flags.set("azblob_backup_account_key_file", key);
    } else if let Some(ceph) = &location.ceph {
        let config = storage.mount("ceph-backup-auth", &ceph.auth_secret);
        storage.flags.set("backup_storage_implementation", "ceph").set("ceph_backup_storage_config", &config);
        storage.point_to("CEPH_CREDENTIALS_FILE", Some(config));
    } else if !location.volume.is_absent() {
        storage.use_volume(location, cluster);
    }
    storage
}

impl Storage {
    fn use_volume(&mut self, location: &BackupLocation, cluster: &str) {
        self.flags
            .set("backup_storage_implementation", "file")
            .set("file_backup_storage_root", format!("{FOLDER}/{cluster}"));
        let mut volume = location.volume.raw().clone();
        volume["name"] = json!(VOLUME);
        self.volumes.push(volume);
        let mut mount = json!({ "name": VOLUME, "mountPath": FOLDER });
        if !location.volume_sub_path.is_empty() {
            mount["subPath"] = json!(location.volume_sub_path);
        }
        self.mounts.push(mount);
    }

    /// Mounts a secret file and tells its path.
    fn mount(&mut self, purpose: &'static str, source: &SecretSource) -> String {
        let file = SecretFile::new(purpose, source);
        self.mounts.push(file.mount());
        self.volumes.extend(file.volume());
        file.path()
    }

    fn mount_if(&mut self, purpose: &'static str, source: Option<&SecretSource>) -> Option<String> {
        source.map(|source| self.mount(purpose, source))
    }

    fn point_to(&mut self, variable: &str, path: Option<String>) {
        self.env.extend(path.map(|path| json!({ "name": variable, "value": path })));
    }
}

/// The key that everything of a cluster stands under.
fn root(prefix: &str, cluster: &str) -> String {
    match prefix.trim_end_matches('/') {
        "" => cluster.to_owned(),
        prefix => format!("{prefix}/{cluster}"),
    }
}

/// Flags of XtraBackup where backups are read or written: `backup` and `restore` are threads.
pub(super) fn xtrabackup(flags: &mut Flags, backup: u32, restore: u32) {
    flags
        .set("backup_storage_compress", true)
        .set("xtrabackup_user", "vt_dba")
        .set("xtrabackup_stream_mode", "xbstream")
        .set("xtrabackup_stripes", 8)
        .set("xtrabackup_backup_flags", format!("--parallel={backup}"))
        .set("xbstream_restore_flags", format!("--parallel={restore}"));
}

/// Flags of MySQL Shell, which writes its dumps itself and so only where the location is mounted.
pub(super) fn mysqlshell(flags: &mut Flags, storage: &Storage) {
    if let Some(folder) = storage.mounts.first().and_then(|mount| mount["mountPath"].as_str()) {
        let connect = format!("-u vt_dba -S {}", super::mysql::MYSQL_SOCKET);
        flags
            .set("mysql-shell-backup-location", folder)
            .set("mysql-shell-flags", format!("--defaults-file=/dev/null --no-password --js {connect}"));
    }
}
