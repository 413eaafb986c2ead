//! What every Pod with a MySQL data directory shares: folders, environment, preparation.
//!
//! The Vitess image and the mysqld image may differ, so an init container copies Vitess' part
//! into a volume that the mysqld container mounts.

use k8s_openapi::api::core::v1::ResourceRequirements;
use pilothouse_api::images::{KeyspaceImages, MysqlFlavor};
use pilothouse_api::labels::annotations;
use pilothouse_api::quantity;
use pilothouse_api::tablet_pool::TabletPool;
use pilothouse_core::mysql;
use serde_json::{Value, json};

use super::container::as_vitess;
use super::flags::Flags;
use super::pod::unless_blank;

/// The data directory.
pub(super) const DATA: &str = "/vt/vtdataroot";
/// Where mysqld listens within the Pod.
pub(super) const MYSQL_SOCKET: &str = "/vt/socket/mysql.sock";
/// Where mysqlctld listens within the Pod.
pub(super) const MYSQLCTL_SOCKET: &str = "/vt/socket/mysqlctl.sock";
/// The volume with Vitess' programs and configuration.
const ROOT_VOLUME: &str = "vt-root";
/// The volume with the data.
const DATA_VOLUME: &str = "persistent-volume-claim";
/// Where the manifest's lines for my.cnf appear.
const OVERRIDES: &str = "mysqld-config-overrides";

/// Environment of a container that runs or finds mysqld; `overridden`: the manifest has lines
/// for my.cnf.
pub(super) fn environment(images: &KeyspaceImages, overridden: bool) -> Vec<Value> {
    let flavor = images.mysqld.as_ref().and_then(|image| image.chosen()).map(|(flavor, _)| flavor);
    let mut extra: Vec<String> =
        ["rbr", "log-error", "socket"].map(|file| format!("/vt/config/mycnf/{file}.cnf")).into();
    if overridden {
        extra.push(format!("/pod-config/{OVERRIDES}"));
    }
    let mut env = vec![
        json!({ "name": "VTROOT", "value": "/vt" }),
        json!({ "name": "VTDATAROOT", "value": DATA }),
        json!({ "name": "VT_MYSQL_ROOT", "value": "/usr" }),
    ];
    env.extend(flavor.map(MysqlFlavor::as_str).map(|word| json!({ "name": "MYSQL_FLAVOR", "value": word })));
    env.push(json!({ "name": "EXTRA_MY_CNF", "value": extra.join(":") }));
    env.push(json!({ "name": "POD_IP", "valueFrom": { "fieldRef": { "fieldPath": "status.podIP" } } }));
    env
}

/// The annotation with the manifest's lines for my.cnf, if it has any.
pub(super) fn overrides(pool: &TabletPool) -> Option<(String, String)> {
    let lines = &pool.mysqld.as_ref()?.config_overrides;
    (!lines.is_empty()).then(|| (annotations::MYSQLD_CONFIG_OVERRIDES.to_owned(), lines.clone()))
}

/// The mysqld image that counts; empty if none is set.
pub(super) fn image(images: &KeyspaceImages) -> &str {
    images.mysqld.as_ref().and_then(|image| image.chosen()).map_or("", |(_, image)| image)
}

/// Mounts of Vitess' programs, of configuration, sockets and data; without a `claim` what is
/// written goes with the Pod.
pub(super) fn mounts(programs: bool, claim: bool, overridden: bool) -> Vec<Value> {
    let of_root = |path: &str, folder: &str| json!({ "name": ROOT_VOLUME, "mountPath": path, "subPath": folder, "readOnly": true });
    let mut mounts = Vec::new();
    if programs {
        mounts.push(of_root("/vt/bin", "bin"));
    }
    mounts.push(of_root("/vt/config", "config"));
    mounts.push(json!({ "name": ROOT_VOLUME, "mountPath": "/vt/socket", "subPath": "socket" }));
    mounts.push(data_mount(if claim { DATA_VOLUME } else { ROOT_VOLUME }));
    if overridden {
        mounts.push(json!({ "name": OVERRIDES, "mountPath": "/pod-config", "readOnly": true }));
    }
    mounts
}

/// Mount of certificate authorities from the Vitess image.
pub(super) fn certificates_mount() -> Value {
    json!({ "name": ROOT_VOLUME, "mountPath": "/etc/ssl/certs", "subPath": "certs", "readOnly": true })
}

fn data_mount(volume: &str) -> Value {
    json!({ "name": volume, "mountPath": DATA, "subPath": "vtdataroot" })
}

/// The volumes behind [`mounts`]; the lines for my.cnf come through an annotation, which can
/// change without a new Pod.
pub(super) fn volumes(claim: Option<&str>, overridden: bool) -> Vec<Value> {
    let mut volumes = vec![json!({ "name": ROOT_VOLUME, "emptyDir": {} })];
    volumes.extend(
        claim.map(|claim| json!({ "name": DATA_VOLUME, "persistentVolumeClaim": { "claimName": claim } })),
    );
    if overridden {
        let annotation = annotations::MYSQLD_CONFIG_OVERRIDES;
        volumes.push(json!({
            "name": OVERRIDES,
            "downwardAPI": { "items": [
                { "path": OVERRIDES, "fieldRef": { "fieldPath": format!("metadata.annotations['{annotation}']") } },
            ] },
        }));
    }
    volumes
}

/// Which program the mysqld image lacks.
#[derive(Clone, Copy)]
pub(super) enum Program {
    /// Runs mysqld beside vttablet.
    Mysqlctld,
    /// Runs mysqld for one backup; needs certificate authorities for object stores.
    Vtbackup,
}

/// Copies Vitess' part out of its own image, and writes the fragments of my.cnf.
pub(super) fn init_vt_root(
    image: &str,
    pull_policy: &str,
    resources: &ResourceRequirements,
    program: Program,
) -> Value {
    let copy = match program {
        Program::Mysqlctld => "cp -f /vt/bin/mysqlctld bin/",
        Program::Vtbackup => {
            "mkdir -p certs\ncp -f /vt/bin/vtbackup bin/\ncp -f /etc/ssl/certs/ca-certificates.crt certs/"
        }
    };
    let script = format!(
        "set -eu\n\
         cd /mnt/vt\n\
         mkdir -p bin socket vtdataroot config/mycnf\n\
         {copy}\n\
         if [ -d /vt/config/mycnf ]; then cp -Rf /vt/config/mycnf config/; fi\n\
         ln -sfn /dev/stderr config/stderr.symlink\n\
         printf 'log-error = /vt/config/stderr.symlink\\n' > config/mycnf/log-error.cnf\n\
         printf 'binlog_format = row\\n' > config/mycnf/rbr.cnf\n\
         printf 'socket = {MYSQL_SOCKET}\\n' > config/mycnf/socket.cnf\n\
         printf '[client]\\nuser = vt_dba\\nsocket = {MYSQL_SOCKET}\\n' > config/mycnf/client.cnf\n"
    );
    init(
        "init-vt-root",
        image,
        pull_policy,
        resources,
        &script,
        &json!({ "name": ROOT_VOLUME, "mountPath": "/mnt/vt" }),
    )
}

/// A my.cnf from an earlier Pod may name another socket: put ours in.
pub(super) fn init_mysql_socket(image: &str, pull_policy: &str, resources: &ResourceRequirements) -> Value {
    let script = format!(
        "set -eu\n\
         for file in {DATA}/vt_*/my.cnf; do\n  \
           [ -f \"$file\" ] || continue\n  \
           sed -i -E 's|^socket[[:space:]]*=.*$|socket = {MYSQL_SOCKET}|' \"$file\"\n\
         done\n"
    );
    init("init-mysql-socket", image, pull_policy, resources, &script, &data_mount(DATA_VOLUME))
}

fn init(
    name: &str,
    image: &str,
    pull_policy: &str,
    resources: &ResourceRequirements,
    script: &str,
    mount: &Value,
) -> Value {
    json!({
        "name": name,
        "image": unless_blank(image),
        "imagePullPolicy": unless_blank(pull_policy),
        "command": ["bash", "-c"],
        "args": [script],
        "resources": resources,
        "securityContext": as_vitess(),
        "volumeMounts": [mount],
    })
}

/// Whole CPUs that a container asks for, rounded up; 0 when it names none.
pub(super) fn cpus(resources: &ResourceRequirements) -> u32 {
    let asked = resources.requests.as_ref().and_then(|requests| requests.get("cpu"));
    asked.and_then(|cpu| u32::try_from(quantity::bytes(cpu).ok()?).ok()).unwrap_or(0)
}

/// The character set that Vitess speaks to mysqld in: MySQL's own default since 8.0, else the
/// older one.
pub(super) fn charset(images: &KeyspaceImages) -> &'static str {
    let modern = images.mysqld.as_ref().is_some_and(|image| !image.mysql80_compatible.is_empty());
    if modern { "utf8mb4" } else { "utf8" }
}

/// Tells Vitess which version of MySQL to be, where the image's tag begins with one.
pub(super) fn server_version(flags: &mut Flags, image: &str) {
    let tag = mysql::tag(image);
    if tag.starts_with(|c: char| c.is_ascii_digit()) {
        flags.set("mysql_server_version", format!("{tag}-Vitess"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_from_a_tag_that_begins_with_one() {
        for (image, args) in [
            ("mysql:8.0.40", &["--mysql_server_version=8.0.40-Vitess"][..]),
            ("registry:5000/mysql:8.4.1-debian@sha256:12ab", &["--mysql_server_version=8.4.1-debian-Vitess"]),
            ("registry:5000/mysql", &[]),
            ("mysql@sha256:12ab", &[]),
            ("vitess/lite:v24.0.2-mysql80", &[]),
            ("mysql", &[]),
            ("", &[]),
        ] {
            let mut flags = Flags::default();
            server_version(&mut flags, image);
            assert_eq!(flags.args(), args, "{image}");
        }
    }
}
