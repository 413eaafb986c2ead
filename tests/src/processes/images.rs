//! **Played** contents of images: which files of this machine stand where a container looks for its image's.
//!
//! This is the only place that says so; `docs/processes.md` tells it to people. `tests/vitess` builds and fetches
//! them. Must not know what a Pod does with them.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::sandbox::Mount;
use crate::golang;

/// The shell, and what scripts of init containers call: this machine's.
const SHELL: [&str; 6] = ["bash", "sh", "cp", "ln", "mkdir", "sed"];

/// Where its value is `newest`, mysqld is the newest that Debian has, and has plugins.
const MYSQL: &str = "PILOTHOUSE_MYSQL";

/// Files that containers find, by the image that they name.
#[derive(Clone, Serialize, Deserialize)]
pub struct Images {
    built: PathBuf,
    mysql: PathBuf,
    has_semi_sync: bool,
    /// What is written rather than built.
    files: PathBuf,
}

impl Images {
    /// What `tests/vitess` builds; `None` where it cannot be had, which `CI` does not accept.
    ///
    /// # Errors
    /// When it does not build.
    pub fn built() -> anyhow::Result<Option<Self>> {
        let Some(built) = golang::built("tests/vitess")? else { return Ok(None) };
        let has_semi_sync = std::env::var_os(MYSQL).is_some_and(|which| which == "newest");
        let mysql = if has_semi_sync {
            let Some(mysql) = golang::built_by("tests/vitess/build-newest-mysql")? else { return Ok(None) };
            println!("mysqld is Debian's newest: {}", mysql.display());
            mysql
        } else {
            built.join("mysql")
        };
        Ok(Some(Self { built, mysql, has_semi_sync, files: PathBuf::new() }))
    }

    /// Whether mysqld can wait for a replica before it acknowledges.
    #[must_use]
    pub fn has_semi_sync(&self) -> bool {
        self.has_semi_sync
    }

    /// With the files that images have for every program, written into `dir`.
    pub(super) fn with_files(mut self, dir: &Path) -> anyhow::Result<Self> {
        self.files = dir.join("files");
        std::fs::create_dir_all(&self.files)?;
        let write = |name: &str, text: &str| std::fs::write(self.files.join(name), text);
        write("passwd", "root:x:0:0::/root:/bin/bash\nvitess:x:999:999::/home/vitess:/bin/bash\n")?;
        write("group", "root:x:0:\nvitess:x:999:\n")?;
        // Nothing that is tested trusts anybody.
        write("ca-certificates.crt", "")?;
        Ok(self)
    }

    /// A program that runs beside Pods.
    #[must_use]
    pub fn tool(&self, name: &str) -> PathBuf {
        self.built.join("tests").join(name)
    }

    /// One of Vitess's own programs, for whoever tests.
    #[must_use]
    pub fn vitess(&self, name: &str) -> PathBuf {
        self.built.join("vt/bin").join(name)
    }

    /// What a container of that image finds; `None` when nothing stands in for it.
    pub(super) fn contents(&self, image: &str) -> Option<Vec<Mount>> {
        let ours = |path: &str| Mount::read_only(self.built.join(path), format!("/{path}"));
        let repository = image.split(['@', ':']).next().unwrap_or_default();
        let mut contents = match repository {
            "vitess/lite" => vec![
                ours("vt/bin"),
                ours("usr/sbin/mysqladmin"),
                Mount::read_only(self.mysql.join("mysqld"), "/usr/sbin/mysqld"),
                Mount::read_only(&self.mysql, "/opt/mysql"),
                Mount::read_only(
                    self.files.join("ca-certificates.crt"),
                    "/etc/ssl/certs/ca-certificates.crt",
                ),
            ],
            "quay.io/coreos/etcd" => vec![ours("usr/local/bin")],
            "prom/mysqld-exporter" => vec![ours("bin/mysqld_exporter")],
            _ => return None,
        };
        contents
            .extend(["passwd", "group"].map(|f| Mount::read_only(self.files.join(f), format!("/etc/{f}"))));
        contents.extend(SHELL.map(|tool| format!("/usr/bin/{tool}")).map(|t| Mount::read_only(&t, &t)));
        contents.push(Mount::read_only("/usr/bin/bash", "/bin/bash"));
        contents.push(Mount::read_only("/usr/bin/sh", "/bin/sh"));
        Some(contents)
    }
}
