//! What stands under an object that people paused.
//!
//! Owns the way down: by what is rendered from each level, and by who owns what stands.

use std::collections::BTreeSet;

use pilothouse_api::labels::annotations;
use pilothouse_core::action::ObjectRef;
use pilothouse_core::pause::Pause;
use pilothouse_core::topology::{Cell, ShardId};

use super::Rendering;
use crate::cache::{Cached, Members, Typed};
use crate::kinds::Kind;

impl Rendering {
    /// Every paused object of a level, those above first. That the mark is there is enough, whatever it says.
    pub(super) fn paused(&self, namespace: &str, members: &Members) -> Vec<Pause> {
        let is_paused = |object: &Cached| object.annotation(annotations::PAUSED).is_some();
        let levels = members.all().filter(|(kind, _)| kind.has_children());
        levels
            .filter(|(_, object)| is_paused(object))
            .map(|(kind, object)| {
                let object = reference(kind, object.name(), namespace);
                match kind {
                    Kind::VitessCluster => Pause { object, cells: vec![], shards: vec![], objects: vec![] },
                    _ => self.pause_of(object, members),
                }
            })
            .collect()
    }

    fn pause_of(&self, object: ObjectRef, members: &Members) -> Pause {
        let (mut below, mut todo) = (BTreeSet::new(), vec![object.clone()]);
        let (mut cells, mut shards) = (BTreeSet::new(), BTreeSet::new());
        while let Some(next) = todo.pop() {
            let Some(kind) = Kind::of(&next.kind).filter(|kind| kind.has_children()) else { continue };
            let live = members.get(kind, &next.name);
            cells.extend(live.and_then(|live| cell(live)));
            shards.extend(live.and_then(|live| shard(live)));
            let rendered = self.parents.get(&(kind, next.name.clone())).into_iter();
            let rendered = rendered.flat_map(|parent| &parent.children).map(|child| child.object.clone());
            let owned = members.all().filter(|(_, o)| live.is_some_and(|owner| is_owned_by(o, owner)));
            let owned = owned.map(|(kind, o)| reference(kind, o.name(), &next.namespace));
            for child in rendered.chain(owned) {
                if below.insert(child.clone()) {
                    todo.push(child);
                }
            }
        }
        let (cells, shards) = (cells.into_iter().collect(), shards.into_iter().collect());
        Pause { object, cells, shards, objects: below.into_iter().collect() }
    }
}

fn is_owned_by(object: &Cached, owner: &Cached) -> bool {
    object.head().owner_references.iter().flatten().any(|reference| reference.uid == owner.uid())
}

fn cell(object: &Cached) -> Option<Cell> {
    if let Typed::Cell(cell) = object.typed() { Some(Cell(cell.spec.template.name.clone())) } else { None }
}

fn shard(object: &Cached) -> Option<ShardId> {
    let Typed::Shard(shard) = object.typed() else { return None };
    shard.asked.as_ref().ok().map(|asked| asked.desired.id.clone())
}

fn reference(kind: Kind, name: &str, namespace: &str) -> ObjectRef {
    ObjectRef { kind: kind.as_str().to_owned(), namespace: namespace.to_owned(), name: name.to_owned() }
}
