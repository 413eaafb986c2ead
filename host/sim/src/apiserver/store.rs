//! Objects, their history and who waits for changes.
//!
//! One resourceVersion counter for all kinds; every commit takes the next number and leaves one log entry.
//! It must not know what objects mean; the writers hand in finished ones.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::index::{Index, Mark};
use super::kinds::{ObjectKey, ResourceId};

/// A committed object with its bytes, made once.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) value: Arc<Value>,
    pub(crate) rv: u64,
    bytes: OnceLock<Bytes>,
}

impl Stored {
    pub(crate) fn new(value: Value, rv: u64) -> Arc<Self> {
        Arc::new(Self { value: Arc::new(value), rv, bytes: OnceLock::new() })
    }

    /// The object as JSON.
    pub(crate) fn bytes(&self) -> &Bytes {
        self.bytes.get_or_init(|| Bytes::from(self.value.to_string()))
    }
}

/// What a commit did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// A new object.
    Added,
    /// A new state of an object.
    Modified,
    /// The object is gone.
    Deleted,
}

/// One commit.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) rv: u64,
    pub(crate) what: ChangeKind,
    pub(crate) key: ObjectKey,
    /// The new state; for a deletion the last state under the deletion's resourceVersion.
    pub(crate) object: Arc<Stored>,
    pub(crate) previous: Option<Arc<Stored>>,
}

/// Namespace and name.
pub(crate) type Names = (String, String);

/// The objects of one kind.
pub(crate) struct Shelf {
    pub(crate) objects: BTreeMap<Names, Arc<Stored>>,
    index: Index,
    log: VecDeque<Arc<Change>>,
    wake: watch::Sender<u64>,
}

/// All objects.
pub(crate) struct Store {
    rv: u64,
    compacted: u64,
    shelves: BTreeMap<ResourceId, Shelf>,
    log: VecDeque<Arc<Change>>,
    newest: watch::Sender<u64>,
}

impl Store {
    pub(crate) fn new() -> Self {
        Self {
            rv: 1,
            compacted: 0,
            shelves: BTreeMap::new(),
            log: VecDeque::new(),
            newest: watch::Sender::new(1),
        }
    }

    /// The newest resourceVersion.
    pub(crate) fn rv(&self) -> u64 {
        self.rv
    }

    /// History before this resourceVersion is gone.
    pub(crate) fn compacted(&self) -> u64 {
        self.compacted
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    pub(crate) fn add_kind(&mut self, id: &ResourceId) {
        self.shelves.entry(id.clone()).or_insert_with(|| Shelf {
            objects: BTreeMap::new(),
            index: Index::default(),
            log: VecDeque::new(),
            wake: watch::Sender::new(0),
        });
    }

    /// Forgets a kind; its watchers see their channel close.
    pub(crate) fn remove_kind(&mut self, id: &ResourceId) {
        self.shelves.remove(id);
    }

    pub(crate) fn shelf(&self, id: &ResourceId) -> Option<&Shelf> {
        self.shelves.get(id)
    }

    pub(crate) fn get(&self, key: &ObjectKey) -> Option<&Arc<Stored>> {
        let names = (key.namespace.clone(), key.name.clone());
        self.shelves.get(&key.kind).and_then(|shelf| shelf.objects.get(&names))
    }

    /// Puts a new state under the next resourceVersion, which is written into the object.
    pub(crate) fn put(&mut self, key: &ObjectKey, value: Value) -> Arc<Stored> {
        let stored = self.stamp(value);
        self.add_kind(&key.kind);
        let names = (key.namespace.clone(), key.name.clone());
        let previous = self.shelves.get_mut(&key.kind).and_then(|shelf| {
            let old = shelf.objects.get(&names).map(|old| Arc::clone(&old.value));
            shelf.index.follow(&names, old.as_deref(), Some(&stored.value));
            shelf.objects.insert(names, Arc::clone(&stored))
        });
        let what = if previous.is_some() { ChangeKind::Modified } else { ChangeKind::Added };
        self.record(key, what, Arc::clone(&stored), previous);
        stored
    }

    /// Takes the object away; `last` is its final state.
    pub(crate) fn remove(&mut self, key: &ObjectKey, last: Value) -> Arc<Stored> {
        let stored = self.stamp(last);
        let names = (key.namespace.clone(), key.name.clone());
        let previous = self.shelves.get_mut(&key.kind).and_then(|shelf| {
            let previous = shelf.objects.remove(&names)?;
            shelf.index.follow(&names, Some(&previous.value), None);
            Some(previous)
        });
        self.record(key, ChangeKind::Deleted, Arc::clone(&stored), previous);
        stored
    }

    fn stamp(&mut self, mut value: Value) -> Arc<Stored> {
        self.rv += 1;
        value["metadata"]["resourceVersion"] = json!(self.rv.to_string());
        Stored::new(value, self.rv)
    }

    fn record(
        &mut self,
        key: &ObjectKey,
        what: ChangeKind,
        object: Arc<Stored>,
        previous: Option<Arc<Stored>>,
    ) {
        let change = Arc::new(Change { rv: self.rv, what, key: key.clone(), object, previous });
        self.log.push_back(Arc::clone(&change));
        if let Some(shelf) = self.shelves.get_mut(&key.kind) {
            shelf.log.push_back(change);
            shelf.wake.send_replace(self.rv);
        }
        self.newest.send_replace(self.rv);
    }

    /// Forgets the history before `rv`; the newest resourceVersion at most.
    pub(crate) fn compact(&mut self, rv: u64) {
        let rv = rv.min(self.rv);
        if rv <= self.compacted {
            return;
        }
        self.compacted = rv;
        let keep_from = |log: &VecDeque<Arc<Change>>| log.partition_point(|change| change.rv <= rv);
        let drop = keep_from(&self.log);
        self.log.drain(..drop);
        for shelf in self.shelves.values_mut() {
            let drop = keep_from(&shelf.log);
            shelf.log.drain(..drop);
        }
    }

    /// Whether what was committed under `rv` is the object's first state, as far as history tells.
    pub(crate) fn is_as_made(&self, key: &ObjectKey, rv: u64) -> bool {
        let Some(shelf) = self.shelves.get(&key.kind) else { return false };
        let at = shelf.log.partition_point(|change| change.rv < rv);
        shelf.log.get(at).is_some_and(|change| change.rv == rv && change.what == ChangeKind::Added)
    }

    /// Every commit after `rv`, or `None` if that history is gone.
    pub(crate) fn changes_since(&self, rv: u64) -> Option<impl Iterator<Item = &Arc<Change>>> {
        if rv < self.compacted {
            return None;
        }
        let from = self.log.partition_point(|change| change.rv <= rv);
        Some(self.log.range(from..))
    }
}

impl Shelf {
    /// This kind's commits after `rv`.
    pub(crate) fn changes_since(&self, rv: u64) -> impl Iterator<Item = &Arc<Change>> {
        let from = self.log.partition_point(|change| change.rv <= rv);
        self.log.range(from..)
    }

    /// The objects of a namespace, or all, by namespace and name.
    pub(crate) fn within(&self, namespace: Option<&str>) -> impl Iterator<Item = &Arc<Stored>> {
        let from = (namespace.unwrap_or_default().to_owned(), String::new());
        let objects = self.objects.range(from..);
        let wanted = move |(found, _): &Names| namespace.is_none_or(|wanted| wanted == found);
        objects.take_while(move |(names, _)| wanted(names)).map(|(_, stored)| stored)
    }

    /// The objects that have a mark, by namespace and name.
    pub(crate) fn marked(&self, mark: &Mark) -> impl Iterator<Item = &Arc<Stored>> {
        self.index.of(mark).into_iter().flatten().filter_map(|names| self.objects.get(names))
    }

    /// How many have it.
    pub(crate) fn count_marked(&self, mark: &Mark) -> usize {
        self.index.of(mark).map_or(0, BTreeSet::len)
    }

    pub(crate) fn waker(&self) -> watch::Receiver<u64> {
        self.wake.subscribe()
    }

    /// The objects as they were at `rv` (which must not be compacted).
    pub(crate) fn objects_at(&self, rv: u64) -> BTreeMap<Names, Arc<Stored>> {
        let mut objects = self.objects.clone();
        let from = self.log.partition_point(|change| change.rv <= rv);
        for change in self.log.range(from..).rev() {
            let names = (change.key.namespace.clone(), change.key.name.clone());
            match &change.previous {
                Some(previous) => objects.insert(names, Arc::clone(previous)),
                None => objects.remove(&names),
            };
        }
        objects
    }
}
