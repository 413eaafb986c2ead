//! Cells, keyspaces and shards that are there and that their parent asks for no more.
//!
//! Owns what belongs to whom and which versions are judged. Whether a level may go is
//! [`pilothouse_core::levels`]' to say.

use std::collections::BTreeMap;

use pilothouse_core::action::{Action, ObjectRef};
use pilothouse_core::levels::kept;
use pilothouse_core::plan::Step;
use pilothouse_core::view::ClusterView;

use super::{Parent, Rendering, live, own_step};
use crate::cache::{Cached, Members};
use crate::kinds::Kind;

const LEVELS: [Kind; 3] = [Kind::VitessCell, Kind::VitessKeyspace, Kind::VitessShard];

impl Rendering {
    /// The levels that nobody asks for, as [`Rendering::unwanted`] keeps them.
    pub(super) fn unwanted_levels(&self, members: &Members) -> BTreeMap<(Kind, String), bool> {
        let mut unwanted = BTreeMap::new();
        for (kind, object) in LEVELS.into_iter().flat_map(|kind| members.of(kind).map(move |o| (kind, o))) {
            let Some((_, parent)) = self.parent_of(object).filter(|_| !object.is_terminating()) else {
                continue;
            };
            let mut siblings = parent.children.iter().filter(|c| c.object.kind == kind.as_str());
            if siblings.clone().all(|c| c.object.name != object.name()) {
                let others_stand = siblings.all(|c| live(members, &c.object).is_some());
                unwanted.insert((kind, object.name().to_owned()), others_stand);
            }
        }
        unwanted
    }

    /// The removal of every unwanted level that may go.
    #[must_use]
    pub fn turndowns(&self, view: &ClusterView, members: &Members) -> Vec<Step> {
        let leaving = view.unwanted.iter().filter(|unwanted| kept(view, unwanted).is_none());
        leaving
            .filter_map(|unwanted| {
                let object = live(members, &unwanted.object)?;
                let ((kind, name), _) = self.parent_of(object)?;
                let parent = members.get(*kind, name)?;
                let action = Action::TurnDown {
                    object: unwanted.object.clone(),
                    uid: unwanted.uid.clone(),
                    version: object.version().to_owned(),
                    parent: ObjectRef {
                        kind: kind.as_str().to_owned(),
                        name: name.clone(),
                        ..unwanted.object.clone()
                    },
                    parent_version: parent.version().to_owned(),
                };
                let message = "nothing asks for it any more, and it is idle".to_owned();
                Some(own_step(view, action, "turndown", message))
            })
            .collect()
    }

    /// The parent that was rendered and controls an object.
    fn parent_of(&self, object: &Cached) -> Option<(&(Kind, String), &Parent)> {
        let mut owners = object.head().owner_references.iter().flatten();
        let owner = owners.find(|owner| owner.controller == Some(true))?;
        self.parents.iter().find(|(_, parent)| parent.uid == owner.uid)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::{keyspace, members, shard};
    use super::*;

    /// Which of a keyspace's shards nobody asks for, where `-` and `-80` stand and this is how it is split.
    fn unwanted(equal: &Value) -> BTreeMap<String, bool> {
        let whole = shard("-", json!({}), "7", "k");
        let half = shard("-80", json!({ "end": "80" }), "7", "k");
        let members = members(vec![keyspace(equal), whole, half]);
        let mut rendering = Rendering::default();
        rendering.refresh("n", &members, None);
        let name = |(_, name): &(Kind, String)| {
            members.get(Kind::VitessShard, name).unwrap().field("/spec/name").unwrap().to_string()
        };
        rendering.unwanted.iter().map(|(at, others_stand)| (name(at), *others_stand)).collect()
    }

    #[test]
    fn what_a_keyspace_asks_for_stays_and_all_of_it_where_it_cannot_be_read() {
        let split = |parts: i64, width: i64| {
            let secret = json!({ "databaseInitScriptSecret": { "name": "s", "key": "k" } });
            unwanted(&json!({ "parts": parts, "hexWidth": width, "shardTemplate": secret }))
        };
        assert_eq!(split(1, 0), BTreeMap::from([("\"-80\"".to_owned(), true)]));
        assert_eq!(split(2, 0), BTreeMap::from([("\"-\"".to_owned(), false)]));
        assert_eq!(split(257, 2), BTreeMap::new());
    }
}
