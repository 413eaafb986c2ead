//! What the controller manager cleans up: dependents, orphans, terminating namespaces and definitions, old events.
//!
//! Played as one synchronous step over the present; whoever plays the world calls it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::ApiServer;
use super::definition;
use super::delete::{self, DeleteOptions, Propagation};
use super::kinds::{self, Kind, ObjectKey};
use super::metadata;
use super::state::State;
use super::store::{ChangeKind, Stored};

/// Events live this long after their last change, as the real server's default says.
const EVENT_LIFE_MS: i64 = 3_600_000;

/// One step of the collectors. Returns how many objects were changed or deleted; zero means there is nothing to do.
///
/// Owners count by UID: an object re-created under an owner's name is another owner. Costs next to nothing when
/// no change since the last step concerns owners, deletions or definitions.
pub fn collect(server: &ApiServer) -> usize {
    let mut state = server.lock();
    let mut done = 0;
    if concerns_collectors(&state) {
        state.collected = state.store.rv();
        let graph = Graph::read(&state);
        done += graph.orphan(&mut state);
        done += graph.delete_dependents(&mut state);
        done += graph.finish_foreground(&mut state);
        done += empty_namespaces(&mut state);
        done += empty_definitions(&mut state);
    } else {
        state.collected = state.store.rv();
    }
    done + expire_events(&mut state)
}

/// Whether something since the last step could give the collectors work.
fn concerns_collectors(state: &State) -> bool {
    let Some(mut changes) = state.store.changes_since(state.collected) else { return true };
    changes.any(|change| {
        let object = &change.object.value;
        fn references(object: &Value) -> Option<&Value> {
            object["metadata"].get("ownerReferences")
        }
        let before = change.previous.as_ref().and_then(|previous| references(&previous.value));
        change.what == ChangeKind::Deleted
            || is_deleted(object)
            || change.key.kind == kinds::DEFINITIONS
            || references(object) != before
    })
}

struct Node {
    kind: Arc<Kind>,
    key: ObjectKey,
    object: Arc<Stored>,
}

/// Every object by UID, and who names whom as owner.
struct Graph {
    nodes: BTreeMap<String, Node>,
    dependents: BTreeMap<String, Vec<String>>,
}

fn owners(object: &Value) -> impl Iterator<Item = &Value> {
    object["metadata"]["ownerReferences"].as_array().into_iter().flatten()
}

fn has_finalizer(object: &Value, name: &str) -> bool {
    object["metadata"]["finalizers"].as_array().is_some_and(|list| list.iter().any(|known| known == name))
}

fn is_deleted(object: &Value) -> bool {
    !object["metadata"]["deletionTimestamp"].is_null()
}

/// Takes a finalizer off, and the object away if it was the last.
fn drop_finalizer(state: &mut State, key: &ObjectKey, name: &str) -> bool {
    let Some(old) = state.store.get(key).cloned() else { return false };
    let mut object = (*old.value).clone();
    let Some(list) = object["metadata"]["finalizers"].as_array_mut() else { return false };
    let before = list.len();
    list.retain(|known| known != name);
    if list.len() == before {
        return false;
    }
    if list.is_empty() {
        metadata::of_mut(&mut object).remove("finalizers");
    }
    let grace = object["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or(0);
    if is_deleted(&object) && grace == 0 && !super::write::has_finalizers(&object) {
        state.commit_removal(key, object);
    } else {
        state.commit(key, object);
    }
    true
}

impl Graph {
    fn read(state: &State) -> Self {
        let mut graph = Self { nodes: BTreeMap::new(), dependents: BTreeMap::new() };
        for kind in state.kinds.all().filter(|kind| kind.id == kind.stored) {
            let Some(shelf) = state.store.shelf(&kind.stored) else { continue };
            for ((namespace, name), object) in &shelf.objects {
                let uid = object.value["metadata"]["uid"].as_str().unwrap_or("").to_owned();
                for owner in owners(&object.value) {
                    let owner = owner["uid"].as_str().unwrap_or("").to_owned();
                    graph.dependents.entry(owner).or_default().push(uid.clone());
                }
                let key = ObjectKey::new(kind.stored.clone(), namespace, name);
                graph.nodes.insert(uid, Node { kind: Arc::clone(kind), key, object: Arc::clone(object) });
            }
        }
        graph
    }

    fn dependents_of(&self, uid: &str) -> impl Iterator<Item = &Node> {
        self.dependents.get(uid).into_iter().flatten().filter_map(|dependent| self.nodes.get(dependent))
    }

    /// Owners deleted with orphaning: their dependents lose the reference, then the owner its finalizer.
    fn orphan(&self, state: &mut State) -> usize {
        let mut done = 0;
        for (uid, node) in &self.nodes {
            if !is_deleted(&node.object.value) || !has_finalizer(&node.object.value, "orphan") {
                continue;
            }
            for dependent in self.dependents_of(uid) {
                done += usize::from(drop_owner(state, &dependent.key, uid));
            }
            done += usize::from(drop_finalizer(state, &node.key, "orphan"));
        }
        done
    }

    /// Whether the reference's owner is there: same UID, and in reach (same namespace or cluster-scoped).
    fn owner_of(&self, dependent: &Node, owner: &Value) -> Option<&Node> {
        let node = self.nodes.get(owner["uid"].as_str().unwrap_or(""))?;
        let reachable = !node.kind.namespaced || node.key.namespace == dependent.key.namespace;
        (reachable && node.key.name == owner["name"].as_str().unwrap_or("")).then_some(node)
    }

    /// Objects whose every owner is gone, or waits for them, are deleted.
    fn delete_dependents(&self, state: &mut State) -> usize {
        let mut done = 0;
        for node in self.nodes.values() {
            let object = &node.object.value;
            let references: Vec<&Value> = owners(object).collect();
            if references.is_empty() || is_deleted(object) && !has_finalizer(object, "foregroundDeletion") {
                continue;
            }
            let mut solid = 0;
            let mut waiting = BTreeSet::new();
            let mut gone = BTreeSet::new();
            for owner in references {
                let uid = owner["uid"].as_str().unwrap_or("").to_owned();
                match self.owner_of(node, owner) {
                    // What cannot be judged keeps its dependents, as in the real collector.
                    None if !Self::can_judge(state, node, owner) => solid += 1,
                    None => drop(gone.insert(uid)),
                    Some(found) if waits_for_dependents(&found.object.value) => drop(waiting.insert(uid)),
                    Some(_) => solid += 1,
                }
            }
            if solid > 0 {
                // Still owned: references to what is gone or going are dropped.
                for uid in gone.iter().chain(&waiting) {
                    done += usize::from(drop_owner(state, &node.key, uid));
                }
                continue;
            }
            if is_deleted(object) {
                continue;
            }
            let has_dependents = node_uid(object).is_some_and(|uid| self.dependents.contains_key(uid));
            let propagation = if !waiting.is_empty() && has_dependents {
                Propagation::Foreground
            } else if has_finalizer(object, "orphan") {
                Propagation::Orphan
            } else {
                Propagation::Background
            };
            let options = DeleteOptions {
                propagation: Some(propagation),
                uid: node_uid(object).map(str::to_owned),
                ..DeleteOptions::default()
            };
            done += usize::from(delete::delete(state, &node.kind, &node.key, &options).is_ok());
        }
        done
    }

    /// Whether the absence of the reference's owner says anything: its kind is served and may own this object.
    fn can_judge(state: &State, dependent: &Node, owner: &Value) -> bool {
        let text = |field: &str| owner[field].as_str().unwrap_or("");
        let kind = state.kinds.by_kind(text("apiVersion"), text("kind"));
        kind.is_some_and(|kind| dependent.kind.namespaced || !kind.namespaced)
    }

    /// An owner deleted in the foreground goes when no dependent blocks it any more.
    fn finish_foreground(&self, state: &mut State) -> usize {
        let mut done = 0;
        for (uid, node) in &self.nodes {
            if !waits_for_dependents(&node.object.value) {
                continue;
            }
            let blocked = self.dependents_of(uid).any(|dependent| {
                let Some(now) = state.store.get(&dependent.key) else { return false };
                let same = now.value["metadata"]["uid"] == dependent.object.value["metadata"]["uid"];
                same && owners(&now.value)
                    .any(|owner| owner["uid"] == json!(uid) && owner["blockOwnerDeletion"] == json!(true))
            });
            if !blocked {
                done += usize::from(drop_finalizer(state, &node.key, "foregroundDeletion"));
            }
        }
        done
    }
}

fn node_uid(object: &Value) -> Option<&str> {
    object["metadata"]["uid"].as_str()
}

fn waits_for_dependents(object: &Value) -> bool {
    is_deleted(object) && has_finalizer(object, "foregroundDeletion")
}

fn drop_owner(state: &mut State, key: &ObjectKey, uid: &str) -> bool {
    let Some(old) = state.store.get(key).cloned() else { return false };
    let mut object = (*old.value).clone();
    let Some(list) = object["metadata"]["ownerReferences"].as_array_mut() else { return false };
    let before = list.len();
    list.retain(|owner| owner["uid"] != json!(uid));
    if list.len() == before {
        return false;
    }
    if list.is_empty() {
        metadata::of_mut(&mut object).remove("ownerReferences");
    }
    state.commit(key, object);
    true
}

/// Empties terminating namespaces, and lets the empty ones go.
fn empty_namespaces(state: &mut State) -> usize {
    let Some(shelf) = state.store.shelf(&kinds::NAMESPACES) else { return 0 };
    let going: Vec<ObjectKey> = shelf
        .objects
        .iter()
        .filter(|(_, object)| is_deleted(&object.value))
        .map(|((_, name), _)| ObjectKey::new(kinds::NAMESPACES, "", name))
        .collect();
    let mut done = 0;
    for namespace in going {
        let kinds: Vec<Arc<Kind>> =
            state.kinds.all().filter(|kind| kind.namespaced && kind.id == kind.stored).cloned().collect();
        let mut left = 0;
        for kind in kinds {
            let (deleted, remaining) = delete_all(state, &kind, Some(&namespace.name));
            done += deleted;
            left += remaining;
        }
        if left > 0 {
            continue;
        }
        if let Some(old) = state.store.get(&namespace).cloned() {
            let mut last = (*old.value).clone();
            if let Some(spec) = last["spec"].as_object_mut() {
                spec.remove("finalizers");
            }
            if super::write::has_finalizers(&last) {
                if last != *old.value {
                    state.commit(&namespace, last);
                    done += 1;
                }
            } else {
                state.commit_removal(&namespace, last);
                done += 1;
            }
        }
    }
    done
}

/// Deletes what is not yet deleted: (changed, still there).
fn delete_all(state: &mut State, kind: &Kind, namespace: Option<&str>) -> (usize, usize) {
    let keys = |state: &State| -> Vec<(ObjectKey, bool)> {
        let Some(shelf) = state.store.shelf(&kind.stored) else { return Vec::new() };
        let wanted = shelf.objects.iter().filter(|((of, _), _)| namespace.is_none_or(|wanted| wanted == of));
        wanted
            .map(|((of, name), object)| {
                (ObjectKey::new(kind.stored.clone(), of, name), is_deleted(&object.value))
            })
            .collect()
    };
    let mut done = 0;
    for (key, deleted) in keys(state) {
        if !deleted {
            let options =
                DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::default() };
            done += usize::from(delete::delete(state, kind, &key, &options).is_ok());
        }
    }
    (done, keys(state).len())
}

/// Deletes the objects of definitions that are going, and lets the empty ones go.
fn empty_definitions(state: &mut State) -> usize {
    let Some(shelf) = state.store.shelf(&kinds::DEFINITIONS) else { return 0 };
    let going: Vec<(ObjectKey, Arc<Stored>)> = shelf
        .objects
        .iter()
        .filter(|(_, object)| is_deleted(&object.value))
        .map(|((_, name), object)| (ObjectKey::new(kinds::DEFINITIONS, "", name), Arc::clone(object)))
        .collect();
    let mut done = 0;
    for (key, object) in going {
        let kind = state.kinds.get(&definition::id_of(&object.value)).cloned();
        let left = match kind {
            Some(kind) => {
                let (deleted, left) = delete_all(state, &kind, None);
                done += deleted;
                left
            }
            None => 0,
        };
        if left == 0 {
            done += usize::from(drop_finalizer(state, &key, definition::CLEANUP));
        }
    }
    done
}

fn expire_events(state: &mut State) -> usize {
    let now = state.clock.now_ms();
    if now < state.events_expire_from {
        return 0;
    }
    let Some(shelf) = state.store.shelf(&kinds::EVENTS) else { return 0 };
    let mut old = Vec::new();
    // An event written from now on cannot expire earlier than this.
    let mut next = now + EVENT_LIFE_MS;
    for ((of, name), object) in &shelf.objects {
        match last_change(&object.value) {
            Some(then) if now - then >= EVENT_LIFE_MS => {
                old.push((ObjectKey::new(kinds::EVENTS, of, name), Arc::clone(object)));
            }
            Some(then) => next = next.min(then + EVENT_LIFE_MS),
            None => {}
        }
    }
    state.events_expire_from = next;
    for (key, object) in &old {
        state.commit_removal(key, (*object.value).clone());
    }
    old.len()
}

fn last_change(object: &Value) -> Option<i64> {
    let owners = object["metadata"]["managedFields"].as_array().into_iter().flatten();
    let times = owners.filter_map(|owner| owner["time"].as_str()).filter_map(crate::clock::parse_timestamp);
    let created = || object["metadata"]["creationTimestamp"].as_str().and_then(crate::clock::parse_timestamp);
    times.max().or_else(created)
}
