//! Where objects of a kind are found by what others name them by, without a look at all of them.
//!
//! Owns names alone, kept with every commit. Must not know what a label or an owner means.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::store::Names;

/// What objects are found by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mark {
    /// A label: its key and its value.
    Label(String, String),
    /// The UID of the owner whose reference says `controller: true`.
    Controller(String),
    /// The node of a Pod.
    Node(String),
}

/// Namespace and name of each object of a kind, by its marks.
#[derive(Default)]
pub(crate) struct Index {
    found: BTreeMap<Mark, BTreeSet<Names>>,
}

/// The fields that marks are read from.
fn sources(object: &Value) -> [&Value; 3] {
    let metadata = &object["metadata"];
    [&metadata["labels"], &metadata["ownerReferences"], &object["spec"]["nodeName"]]
}

fn marks(object: &Value) -> BTreeSet<Mark> {
    let [labels, owners, node] = sources(object);
    let labels = labels.as_object().into_iter().flatten();
    let labels = labels.filter_map(|(key, value)| Some(Mark::Label(key.clone(), value.as_str()?.to_owned())));
    let controller = owners.as_array().into_iter().flatten().find(|owner| owner["controller"] == true);
    let controller = controller.and_then(|owner| Some(Mark::Controller(owner["uid"].as_str()?.to_owned())));
    let node = node.as_str().map(|node| Mark::Node(node.to_owned()));
    labels.chain(controller).chain(node).collect()
}

impl Index {
    /// An object was as `old` and is as `new`; `None` where it is not there.
    pub(crate) fn follow(&mut self, names: &Names, old: Option<&Value>, new: Option<&Value>) {
        if old.map(sources) == new.map(sources) {
            return;
        }
        let (old, new) = (old.map(marks).unwrap_or_default(), new.map(marks).unwrap_or_default());
        for mark in old.difference(&new) {
            if let Some(found) = self.found.get_mut(mark) {
                found.remove(names);
                if found.is_empty() {
                    self.found.remove(mark);
                }
            }
        }
        for mark in new.difference(&old) {
            self.found.entry(mark.clone()).or_default().insert(names.clone());
        }
    }

    /// Those that have a mark, in order; how many there are costs nothing.
    pub(crate) fn of(&self, mark: &Mark) -> Option<&BTreeSet<Names>> {
        self.found.get(mark)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn marks_come_and_go_with_their_objects() {
        let (mut index, names) = (Index::default(), ("n".to_owned(), "a".to_owned()));
        let labelled = |value: &str| json!({ "metadata": { "labels": { "app": value } } });
        let by = |value: &str| Mark::Label("app".to_owned(), value.to_owned());
        index.follow(&names, None, Some(&labelled("x")));
        assert!(index.of(&by("x")).is_some_and(|found| found.contains(&names)));
        index.follow(&names, Some(&labelled("x")), Some(&labelled("y")));
        assert!(index.of(&by("x")).is_none());
        assert!(index.of(&by("y")).is_some());
        index.follow(&names, Some(&labelled("y")), None);
        assert!(index.found.is_empty());
    }
}
