//! The server without HTTP, for the played controllers: the same path as requests, synchronously.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::watch;

use super::counters::Counters;
use super::delete::{self, DeleteOptions};
use super::index::Mark;
use super::kinds::{Kind, ObjectKey, ResourceId};
use super::patch::{self, PatchKind};
use super::state::State;
use super::status::Status;
use super::store::{Change, ChangeKind, Stored};
use super::write::{self, FieldValidation, WriteAs};
use super::{ApiServer, eviction};

/// One committed change, as controllers see it.
#[derive(Clone, Debug)]
pub struct WatchEvent {
    /// The resourceVersion of the commit.
    pub rv: u64,
    /// What it did.
    pub what: ChangeKind,
    /// To which object.
    pub key: ObjectKey,
    /// The object afterwards; of a deleted one its last state.
    pub object: Arc<Value>,
    /// The object before; `None` for a new one.
    pub previous: Option<Arc<Value>>,
}

/// The history asked for is gone (410).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("history before resourceVersion {oldest} is gone")]
pub struct Compacted {
    /// The oldest resourceVersion from which changes can still be told.
    pub oldest: u64,
}

impl From<&Arc<Change>> for WatchEvent {
    fn from(change: &Arc<Change>) -> Self {
        Self {
            rv: change.rv,
            what: change.what,
            key: change.key.clone(),
            object: Arc::clone(&change.object.value),
            previous: change.previous.as_ref().map(|stored| Arc::clone(&stored.value)),
        }
    }
}

fn kind_of(state: &State, id: &ResourceId) -> Result<Arc<Kind>, Status> {
    state.kinds.get(id).cloned().ok_or_else(Status::no_such_path)
}

impl ApiServer {
    /// The object's newest state.
    pub fn get(&self, key: &ObjectKey) -> Option<Arc<Value>> {
        self.lock().store.get(key).map(|stored| Arc::clone(&stored.value))
    }

    /// All objects of a kind, of one namespace if given, by namespace and name.
    pub fn list(&self, kind: &ResourceId, namespace: Option<&str>) -> Vec<Arc<Value>> {
        let state = self.lock();
        let Some(shelf) = state.store.shelf(kind) else { return Vec::new() };
        shelf.within(namespace).map(|stored| Arc::clone(&stored.value)).collect()
    }

    /// The objects of a kind, of all namespaces, that have the one of these marks that the fewest have.
    pub(crate) fn marked(&self, kind: &ResourceId, marks: &[Mark]) -> Vec<Arc<Value>> {
        let state = self.lock();
        let Some(shelf) = state.store.shelf(kind) else { return Vec::new() };
        let Some(mark) = marks.iter().min_by_key(|mark| shelf.count_marked(mark)) else { return Vec::new() };
        shelf.marked(mark).map(|stored| Arc::clone(&stored.value)).collect()
    }

    /// All objects of a kind as they were at `rv`.
    ///
    /// # Errors
    /// [`Compacted`] if that history is gone; a future `rv` is the present.
    pub fn list_at(
        &self,
        kind: &ResourceId,
        namespace: Option<&str>,
        rv: u64,
    ) -> Result<Vec<Arc<Value>>, Compacted> {
        let state = self.lock();
        if rv < state.store.compacted() {
            return Err(Compacted { oldest: state.store.compacted() });
        }
        let Some(shelf) = state.store.shelf(kind) else { return Ok(Vec::new()) };
        let then = shelf.objects_at(rv);
        let wanted = then.iter().filter(|((found, _), _)| namespace.is_none_or(|wanted| wanted == found));
        Ok(wanted.map(|(_, stored)| Arc::clone(&stored.value)).collect())
    }

    /// Creates `object`, in the namespace its metadata names, as field manager `manager`.
    ///
    /// # Errors
    /// The refusal the HTTP door would give; unknown fields are refused.
    pub fn create(&self, manager: &str, kind: &ResourceId, object: Value) -> Result<Arc<Value>, Status> {
        self.write(manager, kind, "", |state, how| {
            let namespace = object["metadata"]["namespace"].as_str().unwrap_or("").to_owned();
            write::create(state, how, &namespace, object).map(|written| written.object)
        })
    }

    /// Replaces the object that `object` names, status left alone; checks its resourceVersion if it has one.
    ///
    /// # Errors
    /// The refusal the HTTP door would give.
    pub fn update(&self, manager: &str, kind: &ResourceId, object: Value) -> Result<Arc<Value>, Status> {
        self.replace(manager, kind, "", object)
    }

    /// Replaces the status of the object that `object` names, and nothing else.
    ///
    /// # Errors
    /// The refusal the HTTP door would give.
    pub fn update_status(
        &self,
        manager: &str,
        kind: &ResourceId,
        object: Value,
    ) -> Result<Arc<Value>, Status> {
        self.replace(manager, kind, "status", object)
    }

    fn replace(
        &self,
        manager: &str,
        kind: &ResourceId,
        subresource: &str,
        object: Value,
    ) -> Result<Arc<Value>, Status> {
        self.write(manager, kind, subresource, |state, how| {
            let text = |field: &str| object["metadata"][field].as_str().unwrap_or("");
            let key = ObjectKey::new(how.kind.stored.clone(), text("namespace"), text("name"));
            write::update(state, how, &key, object).map(|written| written.object)
        })
    }

    /// JSON merge patch of an object, or of its status if `subresource` is `Some("status")`.
    ///
    /// # Errors
    /// The refusal the HTTP door would give.
    pub fn merge_patch(
        &self,
        manager: &str,
        key: &ObjectKey,
        merge: &Value,
        subresource: Option<&str>,
    ) -> Result<Arc<Value>, Status> {
        self.write(manager, &key.kind, subresource.unwrap_or(""), |state, how| {
            patch::patch(state, how, key, PatchKind::Merge, merge, false).map(|written| written.object)
        })
    }

    /// Server-side apply of an object, or of its status if `subresource` is `Some("status")`.
    ///
    /// # Errors
    /// The refusal the HTTP door would give, conflicts among them.
    pub fn apply(
        &self,
        manager: &str,
        key: &ObjectKey,
        config: Value,
        subresource: Option<&str>,
        force: bool,
    ) -> Result<Arc<Value>, Status> {
        self.write(manager, &key.kind, subresource.unwrap_or(""), |state, how| {
            patch::patch(state, how, key, PatchKind::Apply, &config, force).map(|written| written.object)
        })
    }

    /// Deletes an object: at once, or after its finalizers and grace. The answer is its last or newest state.
    ///
    /// # Errors
    /// The refusal the HTTP door would give.
    pub fn delete(&self, key: &ObjectKey, options: &DeleteOptions) -> Result<Arc<Value>, Status> {
        let mut state = self.lock();
        let kind = kind_of(&state, &key.kind)?;
        delete::delete(&mut state, &kind, key, options).map(|deletion| Arc::clone(&deletion.object.value))
    }

    /// Evicts a Pod if its disruption budget allows it.
    ///
    /// # Errors
    /// 429 if the budget does not; else as [`ApiServer::delete`].
    pub fn evict(&self, namespace: &str, name: &str, options: &DeleteOptions) -> Result<(), Status> {
        eviction::evict(&mut self.lock(), namespace, name, options)
    }

    /// Binds a Pod to a node, as a scheduler does.
    ///
    /// # Errors
    /// 404 for no such Pod, 409 if it is bound already or being deleted.
    pub fn bind(&self, namespace: &str, name: &str, node: &str) -> Result<(), Status> {
        eviction::bind(&mut self.lock(), namespace, name, node, None)
    }

    /// Puts an object of another server as it is there, without a question asked.
    pub(crate) fn put_copy(&self, key: &ObjectKey, object: Value) {
        self.lock().commit(key, object);
    }

    /// Takes away what is gone from another server; nothing, if there is no copy.
    pub(crate) fn remove_copy(&self, key: &ObjectKey) {
        let mut state = self.lock();
        let last = state.store.get(key).map(|stored| Value::clone(&stored.value));
        if let Some(last) = last {
            state.commit_removal(key, last);
        }
    }

    fn write(
        &self,
        manager: &str,
        kind: &ResourceId,
        subresource: &str,
        act: impl FnOnce(&mut State, &WriteAs<'_>) -> Result<Arc<Stored>, Status>,
    ) -> Result<Arc<Value>, Status> {
        let mut state = self.lock();
        let kind = kind_of(&state, kind)?;
        let how = WriteAs {
            kind: &kind,
            version: &kind.storage_version,
            subresource,
            manager,
            dry_run: false,
            unknown: FieldValidation::Strict,
        };
        act(&mut state, &how).map(|stored| Arc::clone(&stored.value))
    }

    /// Every commit after `rv`, of all kinds, in order.
    ///
    /// # Errors
    /// [`Compacted`] if that history is gone.
    pub fn events_since(&self, rv: u64) -> Result<Vec<WatchEvent>, Compacted> {
        let state = self.lock();
        let oldest = state.store.compacted();
        state
            .store
            .changes_since(rv)
            .map(|changes| changes.map(WatchEvent::from).collect())
            .ok_or(Compacted { oldest })
    }

    /// The newest resourceVersion, and a wake-up for each later one.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.lock().store.subscribe()
    }

    /// The newest resourceVersion.
    pub fn newest(&self) -> u64 {
        self.lock().store.rv()
    }

    /// Forgets the history before `rv` (at most the newest): watches and lists that need it are answered 410.
    pub fn compact(&self, rv: u64) {
        self.lock().store.compact(rv);
    }

    /// Forgets history by itself once it is older than about `window_ms`; `None` (the default) keeps all.
    ///
    /// The real server's window is five minutes.
    pub fn keep_history(&self, window_ms: Option<i64>) {
        self.lock().keep_history(window_ms);
    }

    /// What was asked so far.
    pub fn counters(&self) -> Counters {
        self.lock().counters.clone()
    }
}
