//! The objects of a cluster that nobody looks at, each as compressed text.
//!
//! Owns the way there and back. An object as a tree takes some fifteen times the room: most of it
//! is `managedFields`, maps of one name each.

use std::collections::BTreeMap;

use super::{Members, version};
use crate::kinds::{Kind, Read};

/// A cluster's objects, packed.
#[derive(Debug)]
pub(super) struct Packed {
    objects: BTreeMap<(Kind, Box<str>), Text>,
    pub(super) revision: u64,
}

#[derive(Debug)]
struct Text {
    uid: Box<str>,
    version: Option<u64>,
    text: Box<[u8]>,
}

impl Packed {
    /// Nothing yet.
    pub(super) const fn since(revision: u64) -> Self {
        Self { objects: BTreeMap::new(), revision }
    }

    /// Packs those of the members that are not packed yet.
    pub(super) fn catch_up(&mut self, members: &Members) {
        for ((kind, name), object) in &members.objects {
            if self.known(*kind, name).is_none() {
                self.put(*kind, object.read());
            }
        }
        self.revision = members.revision;
    }

    /// UID and version of an object.
    pub(super) fn known(&self, kind: Kind, name: &str) -> Option<(&str, Option<u64>)> {
        self.objects.get(&(kind, name.into())).map(|text| (&*text.uid, text.version))
    }

    pub(super) fn put(&mut self, kind: Kind, object: &Read) {
        let head = &object.head;
        let text = Text {
            uid: head.uid.as_deref().unwrap_or_default().into(),
            version: version(head),
            text: lz4_flex::compress_prepend_size(object.text().as_bytes()).into(),
        };
        self.objects.insert((kind, head.name.as_deref().unwrap_or_default().into()), text);
    }

    pub(super) fn remove(&mut self, kind: Kind, name: &str) {
        self.objects.remove(&(kind, name.into()));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = (Kind, &str)> {
        self.objects.keys().map(|(kind, name)| (*kind, &**name))
    }

    /// Every object, as it came.
    pub(super) fn objects(&self) -> impl Iterator<Item = (Kind, Read)> {
        self.objects.iter().map(|((kind, _), text)| (*kind, read(&text.text)))
    }
}

fn read(text: &[u8]) -> Read {
    let text = lz4_flex::decompress_size_prepended(text).expect("we packed it");
    let text = String::from_utf8(text).expect("it was text");
    Read::of(text).expect("it was read before")
}
