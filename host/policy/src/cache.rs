//! Compiled code on disk, written by this host and by nobody else.
//!
//! Owns the directory, the trust in it, and the one `unsafe` of the project:
//! compiled code is mapped and run as it is, so a file counts only if it lies in
//! a directory that is ours alone, is ours itself, and has the checksum that was
//! noted when it was written. Anything else is compiled again.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::component::Component;

use crate::artifact::Digest;
use crate::engine::Engine;

/// Entries kept; the ones written longest ago go first.
const ENTRIES: usize = 128;

/// Why there is no cache, or nothing can be written to it.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// A file operation failed.
    #[error("compiled-code cache {path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Somebody else could have put code there.
    #[error("compiled-code cache {path}: {why}; it must be a directory of our own with mode 0700")]
    NotOurs {
        /// The directory.
        path: PathBuf,
        /// What is wrong.
        why: &'static str,
    },
    /// What was just compiled cannot be loaded.
    #[error("freshly compiled code cannot be loaded: {0}")]
    Load(String),
}

/// A directory of compiled code.
#[derive(Debug, Clone)]
pub struct Cache {
    dir: PathBuf,
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> CacheError + '_ {
    move |source| CacheError::Io { path: path.to_owned(), source }
}

/// What is wrong with a file's owner or mode, if anything.
fn suspicious(metadata: &Metadata, forbidden: u32) -> Option<&'static str> {
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        Some("it belongs to another user")
    } else if metadata.mode() & forbidden != 0 {
        Some("others may reach it")
    } else {
        None
    }
}

impl Cache {
    /// Opens the directory, and makes it (with parents) when it is not there.
    ///
    /// # Errors
    /// When it cannot be made, is no directory, or anybody else could write to it.
    pub fn open(dir: &Path) -> Result<Self, CacheError> {
        let not_ours = |why| CacheError::NotOurs { path: dir.to_owned(), why };
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io(dir))?;
        let metadata = fs::symlink_metadata(dir).map_err(io(dir))?;
        if !metadata.is_dir() {
            return Err(not_ours("it is no directory"));
        }
        match suspicious(&metadata, 0o077) {
            Some(why) => Err(not_ours(why)),
            None => Ok(Self { dir: dir.to_owned() }),
        }
    }

    /// The file of a component for this engine.
    #[must_use]
    pub fn path(&self, engine: &Engine, component: Digest) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        engine.wasmtime().precompile_compatibility_hash().hash(&mut hasher);
        self.dir.join(format!("{}-{:016x}.cwasm", component.hex(), hasher.finish()))
    }

    /// Loads compiled code, if there is some that can be trusted.
    #[must_use]
    pub fn load(&self, engine: &Engine, component: Digest) -> Option<Component> {
        let path = self.path(engine, component);
        if !path.exists() {
            return None;
        }
        match trusted(&path).and_then(|()| deserialize(engine, &path)) {
            Ok(component) => Some(component),
            Err(why) => {
                tracing::warn!(path = %path.display(), why, "compiled code is not used; compiling again");
                None
            }
        }
    }

    /// Writes compiled code, each file whole or not at all, and loads it.
    ///
    /// # Errors
    /// When it cannot be written or loaded.
    pub fn store(&self, engine: &Engine, component: Digest, code: &[u8]) -> Result<Component, CacheError> {
        let path = self.path(engine, component);
        self.write(&sum_path(&path), Digest::of(code).to_string().as_bytes())?;
        self.write(&path, code)?;
        self.prune()?;
        trusted(&path).and_then(|()| deserialize(engine, &path)).map_err(CacheError::Load)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), CacheError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let unique = NEXT.fetch_add(1, Ordering::Relaxed);
        let temporary = self.dir.join(format!(".{}-{unique}.tmp", std::process::id()));
        // What a killed process with our number left behind.
        drop(fs::remove_file(&temporary));
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
            .map_err(io(&temporary))?;
        file.write_all(bytes).map_err(io(&temporary))?;
        fs::rename(&temporary, path).map_err(io(path))
    }

    fn prune(&self) -> Result<(), CacheError> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(io(&self.dir))?.flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|e| e == "cwasm") {
                // One that another process removed meanwhile needs no pruning.
                let Ok(modified) = entry.metadata().and_then(|m| m.modified()) else { continue };
                entries.push((modified, path));
            }
        }
        entries.sort();
        for (_, path) in entries.iter().rev().skip(ENTRIES) {
            drop(fs::remove_file(path));
            drop(fs::remove_file(sum_path(path)));
        }
        Ok(())
    }
}

fn sum_path(path: &Path) -> PathBuf {
    path.with_extension("sha256")
}

/// Whether the file is ours and as we wrote it.
fn trusted(path: &Path) -> Result<(), String> {
    let metadata = fs::symlink_metadata(path).map_err(|e| e.to_string())?;
    if !metadata.is_file() {
        return Err("it is no regular file".to_owned());
    }
    if let Some(why) = suspicious(&metadata, 0o077) {
        return Err(why.to_owned());
    }
    let noted = fs::read_to_string(sum_path(path)).map_err(|e| format!("its checksum: {e}"))?;
    let found = File::open(path)
        .and_then(|mut file| {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut file, &mut bytes)?;
            Ok(Digest::of(&bytes).to_string())
        })
        .map_err(|e| e.to_string())?;
    if noted == found { Ok(()) } else { Err("its checksum differs".to_owned()) }
}

#[allow(unsafe_code, reason = "mapping compiled code is only possible so; `trusted` has judged the file")]
fn deserialize(engine: &Engine, path: &Path) -> Result<Component, String> {
    // SAFETY: the file was written by this program's own compiling child, under a directory and with an
    // owner and mode that nobody else can write to, and it has the checksum noted then. Files are only
    // ever replaced by rename, so a mapped one does not change.
    unsafe { Component::deserialize_file(engine.wasmtime(), path) }.map_err(|e| format!("{e:#}"))
}
