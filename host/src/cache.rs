//! What the watches said last, grouped by the cluster that it belongs to.
//!
//! Owns routing of objects to clusters and the newest version of each, packed while nobody
//! looks at the cluster. Must not know what any of it means for decisions.

mod held;
mod kept;
mod object;
mod packed;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use kube::api::ObjectMeta;
use kube::runtime::watcher::Event;
use pilothouse_api::labels;

use crate::kinds::{Kind, Read};
use held::Held;
pub use object::{Cached, Typed};

/// Namespace and name of a VitessCluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterKey {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl std::fmt::Display for ClusterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

fn version(head: &ObjectMeta) -> Option<u64> {
    head.resource_version.as_deref()?.parse().ok()
}

/// The objects of one cluster.
#[derive(Debug, Clone, Default)]
pub struct Members {
    objects: BTreeMap<(Kind, String), Arc<Cached>>,
    revision: u64,
}

impl Members {
    /// One object.
    #[must_use]
    pub fn get(&self, kind: Kind, name: &str) -> Option<&Arc<Cached>> {
        self.objects.get(&(kind, name.to_owned()))
    }

    /// The objects of a kind, by name.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = &Arc<Cached>> {
        self.objects.range((kind, String::new())..).take_while(move |((k, _), _)| *k == kind).map(|(_, o)| o)
    }

    /// One more whenever any object was written, made or removed; no cluster ever has one twice.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// Every object.
    pub fn all(&self) -> impl Iterator<Item = (Kind, &Arc<Cached>)> {
        self.objects.iter().map(|((kind, _), object)| (*kind, object))
    }
}

/// How many deleted UIDs are kept, so that a late answer to a write does not bring an object back.
const DELETED_REMEMBERED: usize = 256;

/// Everything that the watches said.
#[derive(Debug, Default)]
pub struct Cache {
    clusters: BTreeMap<ClusterKey, Held>,
    revision: u64,
    shared: BTreeMap<(Kind, String), Arc<Cached>>,
    shared_revision: u64,
    deleted: VecDeque<String>,
    synced: BTreeSet<Kind>,
    relisting: BTreeMap<Kind, BTreeSet<(String, String)>>,
}

impl Cache {
    /// Whether every watched kind was listed at least once: before, absence says nothing.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        Kind::ALL.into_iter().filter(|kind| kind.is_watched()).all(|kind| self.synced.contains(&kind))
    }

    /// The clusters that have a VitessCluster or anything left of one.
    pub fn keys(&self) -> impl Iterator<Item = &ClusterKey> {
        self.clusters.keys()
    }

    /// A cluster's objects; from now on they are open.
    pub fn members(&mut self, key: &ClusterKey) -> Option<&Arc<Members>> {
        self.clusters.get_mut(key).map(Held::open)
    }

    /// The number of [`Members::revision`], without opening; 0 where nothing is known.
    #[must_use]
    pub fn revision_of(&self, key: &ClusterKey) -> u64 {
        self.clusters.get(key).map_or(0, Held::revision)
    }

    /// Whether a cluster has an object, without opening.
    #[must_use]
    pub fn has(&self, key: &ClusterKey, kind: Kind, name: &str) -> bool {
        self.clusters.get(key).is_some_and(|held| held.known(kind, name).is_some())
    }

    /// Packs a cluster's objects, which then take a fifteenth of the room.
    pub fn pack(&mut self, key: &ClusterKey) {
        if let Some(held) = self.clusters.get_mut(key) {
            held.pack();
        }
    }

    /// Nodes and storage classes, which belong to no cluster.
    #[must_use]
    pub const fn shared(&self) -> &BTreeMap<(Kind, String), Arc<Cached>> {
        &self.shared
    }

    /// Another number whenever any of [`Cache::shared`] was written, made or removed.
    #[must_use]
    pub const fn shared_revision(&self) -> u64 {
        self.shared_revision
    }

    /// Takes a watch event in; returns the clusters that it touches (all, for a shared object).
    pub fn absorb(&mut self, kind: Kind, event: Event<Read>) -> BTreeSet<ClusterKey> {
        match event {
            Event::Init => {
                self.relisting.insert(kind, BTreeSet::new());
                BTreeSet::new()
            }
            Event::InitApply(object) => {
                let name = object.head.name.clone().unwrap_or_default();
                let namespace = object.head.namespace.clone().unwrap_or_default();
                self.relisting.entry(kind).or_default().insert((namespace, name));
                self.put(kind, object)
            }
            Event::InitDone => {
                let first = self.synced.insert(kind);
                let seen = self.relisting.remove(&kind).unwrap_or_default();
                let mut touched = self.drop_unseen(kind, &seen);
                if first && self.is_synced() {
                    touched.extend(self.clusters.keys().cloned());
                }
                touched
            }
            Event::Apply(object) => self.put(kind, object),
            Event::Delete(object) => self.remove(kind, &object.head),
        }
    }

    /// Takes in what a write answered, unless the watch was faster or has already seen the object go.
    pub fn assume(&mut self, kind: Kind, object: Read) {
        let uid = object.head.uid.as_deref().unwrap_or_default();
        if !self.deleted.iter().any(|gone| gone == uid) {
            self.put(kind, object);
        }
    }

    /// Takes out what was seen not to be there, where no watch tells of it.
    pub fn forget(&mut self, key: &ClusterKey, kind: Kind, name: &str) {
        if self.has(key, kind, name) {
            self.remove_member(key, kind, name);
        }
    }

    fn put(&mut self, kind: Kind, object: Read) -> BTreeSet<ClusterKey> {
        let head = &object.head;
        let name = head.name.as_deref().unwrap_or_default();
        if !kind.is_namespaced() {
            return self.put_shared(kind, name.to_owned(), &object);
        }
        let Some(key) = home(kind, head) else { return self.remove_homeless(kind, head) };
        let held = self.clusters.entry(key.clone()).or_insert_with(|| Held::since(self.revision));
        let uid = head.uid.as_deref().unwrap_or_default();
        let same = held.known(kind, name).filter(|(known, _)| *known == uid);
        match same.and_then(|(_, old)| Some(version(head)?.cmp(&old?))) {
            Some(Ordering::Less) => return BTreeSet::new(),
            Some(Ordering::Equal) => return BTreeSet::from([key]),
            Some(Ordering::Greater) | None => {}
        }
        self.revision += 1;
        held.put(kind, object);
        BTreeSet::from([key])
    }

    /// A kubelet that only says again that it lives touches no cluster.
    fn put_shared(&mut self, kind: Kind, name: String, object: &Read) -> BTreeSet<ClusterKey> {
        let kept = kept::of(kind, object);
        let slot = (kind, name);
        if self.shared.get(&slot).is_some_and(|known| *known.read() == kept) {
            return BTreeSet::new();
        }
        self.shared.insert(slot, Arc::new(Cached::new(kind, kept)));
        self.shared_revision += 1;
        self.clusters.keys().cloned().collect()
    }

    fn remove(&mut self, kind: Kind, head: &ObjectMeta) -> BTreeSet<ClusterKey> {
        let name = head.name.clone().unwrap_or_default();
        if !kind.is_namespaced() {
            self.shared.remove(&(kind, name));
            self.shared_revision += 1;
            return self.clusters.keys().cloned().collect();
        }
        self.deleted.push_back(head.uid.clone().unwrap_or_default());
        if self.deleted.len() > DELETED_REMEMBERED {
            self.deleted.pop_front();
        }
        let Some(key) = home(kind, head) else { return BTreeSet::new() };
        self.remove_member(&key, kind, &name);
        BTreeSet::from([key])
    }

    /// An object whose label somebody took away: it is seen again when it would be made.
    fn remove_homeless(&mut self, kind: Kind, head: &ObjectMeta) -> BTreeSet<ClusterKey> {
        let (name, namespace) = (head.name.as_deref(), head.namespace.as_deref());
        let (name, namespace) = (name.unwrap_or_default(), namespace.unwrap_or_default());
        let is_it = |(key, held): &(&ClusterKey, &Held)| {
            key.namespace == namespace
                && held.known(kind, name).is_some_and(|(uid, _)| Some(uid) == head.uid.as_deref())
        };
        let homes: BTreeSet<ClusterKey> =
            self.clusters.iter().filter(is_it).map(|(key, _)| key.clone()).collect();
        for key in &homes {
            self.remove_member(key, kind, name);
        }
        homes
    }

    fn remove_member(&mut self, key: &ClusterKey, kind: Kind, name: &str) {
        if let Some(held) = self.clusters.get_mut(key) {
            self.revision += 1;
            held.remove(kind, name);
            if held.is_empty() {
                self.clusters.remove(key);
            }
        }
    }

    fn drop_unseen(&mut self, kind: Kind, seen: &BTreeSet<(String, String)>) -> BTreeSet<ClusterKey> {
        if !kind.is_namespaced() {
            let before = self.shared.len();
            self.shared.retain(|(k, name), _| *k != kind || seen.contains(&(String::new(), name.clone())));
            let changed = before != self.shared.len();
            self.shared_revision += u64::from(changed);
            return if changed { self.clusters.keys().cloned().collect() } else { BTreeSet::new() };
        }
        let gone: Vec<(ClusterKey, String)> = self
            .clusters
            .iter()
            .flat_map(|(key, held)| held.names(kind).into_iter().map(|name| (key.clone(), name.to_owned())))
            .filter(|(key, name)| !seen.contains(&(key.namespace.clone(), name.clone())))
            .collect();
        for (key, name) in &gone {
            self.remove_member(key, kind, name);
        }
        gone.into_iter().map(|(key, _)| key).collect()
    }
}

/// The cluster that an object belongs to: itself, or the one its label names.
fn home(kind: Kind, head: &ObjectMeta) -> Option<ClusterKey> {
    let namespace = head.namespace.clone().unwrap_or_default();
    let name = match kind {
        Kind::VitessCluster => head.name.clone()?,
        Kind::Node | Kind::StorageClass => return None,
        _ => head.labels.as_ref()?.get(labels::CLUSTER)?.clone(),
    };
    Some(ClusterKey { namespace, name })
}
