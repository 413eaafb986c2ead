//! A tablet whose MySQL runs elsewhere: how vttablet finds it and logs in.

use pilothouse_api::tablet_pool::ExternalDatastore;
use serde_json::Value;

use super::flags::Flags;
use super::secret::SecretFile;

/// MySQL's client flag for TLS (`CLIENT_SSL`).
const CLIENT_SSL: u32 = 2048;

/// Points vttablet to it. Its replication and its settings are not ours: nothing is restored, and
/// nothing here may reparent it.
pub(super) fn flags(flags: &mut Flags, datastore: &ExternalDatastore) {
    flags
        .set("unmanaged", true)
        .set("restore_from_backup", false)
        .set("enable_replication_reporter", false)
        .set("enforce_strict_trans_tables", false)
        .set("db_host", &datastore.host)
        .set("db_port", datastore.port)
        .set("init_db_name_override", &datastore.database)
        .set("db-credentials-file", credentials(datastore).path());
    for user in ["app", "appdebug", "allprivs", "dba", "filtered", "repl"] {
        flags.set(&format!("db_{user}_user"), &datastore.user);
    }
    if let Some(authority) = authority(datastore) {
        flags.set("db_ssl_ca", authority.path()).set("db_flags", CLIENT_SSL);
    }
}

/// Mounts of its passwords and of its authority.
pub(super) fn mounts(datastore: &ExternalDatastore) -> Vec<Value> {
    files(datastore).map(|file| file.mount()).collect()
}

/// The volumes behind [`mounts`].
pub(super) fn volumes(datastore: &ExternalDatastore) -> Vec<Value> {
    files(datastore).filter_map(|file| file.volume()).collect()
}

fn files(datastore: &ExternalDatastore) -> impl Iterator<Item = SecretFile<'_>> {
    std::iter::once(credentials(datastore)).chain(authority(datastore))
}

fn credentials(datastore: &ExternalDatastore) -> SecretFile<'_> {
    SecretFile::new("external-datastore-credentials", &datastore.credentials_secret)
}

fn authority(datastore: &ExternalDatastore) -> Option<SecretFile<'_>> {
    datastore
        .server_ca_cert_secret
        .as_ref()
        .map(|source| SecretFile::new("external-datastore-ca-cert", source))
}
