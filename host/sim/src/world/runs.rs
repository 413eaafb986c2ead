//! Containers by their Pod's UID, and by its name: one name may have had several Pods.

use std::collections::{BTreeMap, BTreeSet};

use super::kubelet::Run;
use super::objects::Name;

/// Containers as they are, also of Pods that the API has forgotten.
#[derive(Default)]
pub(crate) struct Runs {
    by_uid: BTreeMap<String, Run>,
    of: BTreeMap<Name, BTreeSet<String>>,
}

impl Runs {
    pub(crate) fn get(&self, uid: &str) -> Option<&Run> {
        self.by_uid.get(uid)
    }

    pub(crate) fn get_mut(&mut self, uid: &str) -> Option<&mut Run> {
        self.by_uid.get_mut(uid)
    }

    pub(crate) fn contains_key(&self, uid: &str) -> bool {
        self.by_uid.contains_key(uid)
    }

    /// By UID.
    pub(crate) fn values(&self) -> impl Iterator<Item = &Run> {
        self.by_uid.values()
    }

    /// UIDs of a name's Pods that are not `current`.
    pub(crate) fn others_of(&self, at: &Name, current: &str) -> Vec<String> {
        let known = self.of.get(at).into_iter().flatten();
        known.filter(|uid| *uid != current).cloned().collect()
    }

    pub(crate) fn insert(&mut self, run: Run) {
        self.of.entry(run.at.clone()).or_default().insert(run.uid.clone());
        self.by_uid.insert(run.uid.clone(), run);
    }

    pub(crate) fn remove(&mut self, uid: &str) -> Option<Run> {
        let run = self.by_uid.remove(uid)?;
        if let Some(known) = self.of.get_mut(&run.at) {
            known.remove(uid);
            if known.is_empty() {
                self.of.remove(&run.at);
            }
        }
        Some(run)
    }
}
