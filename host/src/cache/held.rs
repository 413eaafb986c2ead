//! How a cluster's objects are held: open to be looked at, or packed.

use std::sync::Arc;

use super::packed::Packed;
use super::{Cached, Members, version};
use crate::kinds::{Kind, Read};

/// A cluster's objects, in one of two forms.
#[derive(Debug)]
pub(super) enum Held {
    /// With the packed form of what has not changed since: that is packed again at no cost.
    Open(Arc<Members>, Packed),
    Packed(Packed),
}

impl Held {
    /// Nothing yet. `revision` is of the whole cache: what was held under the same name before
    /// never had a higher one.
    pub(super) fn since(revision: u64) -> Self {
        Self::Packed(Packed::since(revision))
    }

    /// UID and version of an object.
    pub(super) fn known(&self, kind: Kind, name: &str) -> Option<(&str, Option<u64>)> {
        match self {
            Self::Open(members, _) => {
                members.get(kind, name).map(|known| (known.uid(), version(known.head())))
            }
            Self::Packed(packed) => packed.known(kind, name),
        }
    }

    pub(super) fn put(&mut self, kind: Kind, object: Read) {
        match self {
            Self::Open(members, packed) => {
                let members = Arc::make_mut(members);
                let name = object.head.name.clone().unwrap_or_default();
                packed.remove(kind, &name);
                members.objects.insert((kind, name), Arc::new(Cached::new(kind, object)));
                members.revision += 1;
            }
            Self::Packed(packed) => {
                packed.put(kind, &object);
                packed.revision += 1;
            }
        }
    }

    pub(super) fn remove(&mut self, kind: Kind, name: &str) {
        match self {
            Self::Open(members, packed) => {
                packed.remove(kind, name);
                let members = Arc::make_mut(members);
                members.objects.remove(&(kind, name.to_owned()));
                members.revision += 1;
            }
            Self::Packed(packed) => {
                packed.remove(kind, name);
                packed.revision += 1;
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Open(members, _) => members.objects.is_empty(),
            Self::Packed(packed) => packed.is_empty(),
        }
    }

    pub(super) fn revision(&self) -> u64 {
        match self {
            Self::Open(members, _) => members.revision,
            Self::Packed(packed) => packed.revision,
        }
    }

    /// The names of a kind's objects.
    pub(super) fn names(&self, kind: Kind) -> Vec<&str> {
        match self {
            Self::Open(members, _) => members.of(kind).map(|object| object.name()).collect(),
            Self::Packed(packed) => {
                packed.names().filter(|(k, _)| *k == kind).map(|(_, name)| name).collect()
            }
        }
    }

    /// Opens it, if it is not.
    pub(super) fn open(&mut self) -> &Arc<Members> {
        if let Self::Packed(packed) = self {
            let object = |(kind, object): (Kind, Read)| {
                let name = object.head.name.clone().unwrap_or_default();
                ((kind, name), Arc::new(Cached::new(kind, object)))
            };
            let packed = std::mem::replace(packed, Packed::since(packed.revision));
            let members =
                Members { objects: packed.objects().map(object).collect(), revision: packed.revision };
            *self = Self::Open(Arc::new(members), packed);
        }
        match self {
            Self::Open(members, _) => members,
            Self::Packed(_) => unreachable!("opened above"),
        }
    }

    /// Packs it, if it is open.
    pub(super) fn pack(&mut self) {
        if let Self::Open(members, packed) = self {
            let mut packed = std::mem::replace(packed, Packed::since(members.revision));
            packed.catch_up(members);
            *self = Self::Packed(packed);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(version: &str) -> Read {
        let metadata = json!({ "name": "p", "namespace": "n", "uid": "u", "resourceVersion": version });
        Read::of(json!({ "metadata": metadata }).to_string()).expect("an object")
    }

    fn version_of(held: &mut Held) -> String {
        held.open().get(Kind::Pod, "p").map_or_else(String::new, |pod| pod.version().to_owned())
    }

    #[test]
    fn what_changed_while_it_was_open_is_packed_as_it_is() {
        let mut held = Held::since(0);
        held.put(Kind::Pod, pod("1"));
        assert_eq!(version_of(&mut held), "1");
        held.pack();
        assert_eq!(version_of(&mut held), "1", "opened, looked at, and packed");
        held.put(Kind::Pod, pod("2"));
        held.pack();
        assert_eq!(version_of(&mut held), "2");
        held.remove(Kind::Pod, "p");
        let revision = held.revision();
        held.pack();
        assert_eq!((version_of(&mut held), held.revision()), (String::new(), revision));
    }
}
