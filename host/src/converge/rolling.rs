//! The steps of rollouts: what is applied, written down and taken away at children that
//! stand, whose turn it is among etcd's members, and where a cascade is over.
//!
//! Owns what the pure verdicts of [`pilothouse_core::rollout`] are asked about, and how their
//! answers become steps. Tablets are released by the view, with drains and turndown.

use std::sync::Arc;

use pilothouse_api::labels::annotations;
use pilothouse_core::action::{Action, Change, ObjectRef, RolloutMark};
use pilothouse_core::plan::Step;
use pilothouse_core::rollout::{
    Apply, Child, Means, Member, Strategy, Verdict, child, is_complete, next_member,
};
use pilothouse_core::view::ClusterView;

use super::above::Above;
use super::{Compared, Found, Parent, Rendering, difference, live, own_step};
use crate::cache::{Cached, Members, Typed};
use crate::kinds::Kind;
use crate::observe;

impl Rendering {
    /// The name of a shard that cascades: somebody says so, or it is Immediate and every Pod
    /// was compared with what it asks for now.
    pub(super) fn cascades(&self, at: &(Kind, String), parent: &Parent, members: &Members) -> Option<String> {
        let (kind, name) = at;
        let Above { strategy, cascading, .. } = parent.above;
        let current = || self.lowest_pod_generation(name, members) == parent.inputs.generation;
        let cascades = cascading || (strategy == Strategy::Immediate && current());
        (*kind == Kind::VitessShard && cascades).then(|| name.clone())
    }

    /// The lowest generation of a VitessShard that a Pod of it was compared with; its own while
    /// it has none.
    #[must_use]
    pub fn lowest_pod_generation(&self, shard: &str, members: &Members) -> Option<i64> {
        let parent = self.parents.get(&(Kind::VitessShard, shard.to_owned()))?;
        let pods = parent.children.iter().filter(|c| c.object.kind == Kind::Pod.as_str());
        let standing = pods.filter_map(|c| live(members, &c.object)).filter(|pod| !pod.is_terminating());
        let seen = |pod: &Arc<Cached>| {
            pod.annotation(annotations::OBSERVED_SHARD_GENERATION).and_then(|g| g.parse().ok()).unwrap_or(0)
        };
        standing.map(seen).min().or(parent.inputs.generation)
    }

    /// What waits for its release at an object, as text; empty when nothing does.
    #[must_use]
    pub fn pending(&self, object: &ObjectRef) -> &str {
        match self.compared.get(object).map(|compared| &compared.found) {
            Some(Found::Waits(waiting)) => &waiting.text,
            Some(Found::Same | Found::Differs) | None => "",
        }
    }

    /// The steps towards an object that stands.
    pub(super) fn changes(
        &self,
        view: &ClusterView,
        object: &ObjectRef,
        live: &Cached,
        compared: &Compared,
        verdict: &Verdict,
    ) -> Vec<Step> {
        let mut steps = Vec::new();
        if verdict.apply != Apply::Nothing {
            let message = format!("{object}: {}", difference(&self.objects[object], live));
            let action = Action::Apply { object: object.clone(), change: Change::Update };
            steps.push(own_step(view, action, "differs", message));
        }
        if let (true, Found::Waits(waiting)) = (verdict.schedule, &compared.found) {
            let action = Action::ScheduleChange {
                object: object.clone(),
                uid: live.uid().to_owned(),
                changes: waiting.text.clone(),
            };
            let message = format!("{object}: a change of it waits for its release");
            steps.push(own_step(view, action, "waits", message));
        }
        if !verdict.ended.is_empty() {
            let message = format!("{object}: nothing waits any more");
            steps.push(end(view, object.clone(), live, verdict.ended.clone(), message));
        }
        steps
    }

    /// Pods of etcd members that go to be made anew, one of each etcd at a time.
    pub(super) fn replaced_members(&self, view: &ClusterView, members: &Members) -> Vec<Step> {
        let etcds = self.parents.iter().filter(|((kind, _), _)| *kind == Kind::EtcdLockserver);
        let replaced = etcds.filter_map(|(_, parent)| {
            let pods = parent.children.iter().filter(|c| c.object.kind == Kind::Pod.as_str());
            let all: Vec<Member<'_>> = pods.map(|c| self.member(&c.object, members)).collect();
            let next = next_member(&all, parent.above.cascading)?;
            let pod = members.get(Kind::Pod, next)?;
            let object = ObjectRef {
                kind: Kind::Pod.as_str().to_owned(),
                namespace: view.cluster.namespace.clone(),
                name: next.to_owned(),
            };
            let action = Action::Delete { object, uid: pod.uid().to_owned(), of: None };
            let message = "it is released, and every other member is ready".to_owned();
            Some(own_step(view, action, "rollout-recreate", message))
        });
        replaced.collect()
    }

    fn member<'a>(&self, pod: &'a ObjectRef, members: &Members) -> Member<'a> {
        let live = live(members, pod).filter(|pod| !pod.is_terminating());
        Member {
            name: &pod.name,
            ready: live.is_some_and(|pod| observe::is_ready(pod)),
            outdated: live.is_some() && self.outdated.contains_key(&pod.name),
            released: live.is_some_and(|pod| pod.annotation(annotations::ROLLOUT_RELEASED).is_some()),
        }
    }

    /// Cascades with nothing left to release.
    pub(super) fn ended_cascades(&self, view: &ClusterView, members: &Members) -> Vec<Step> {
        let annotated = self.parents.iter().filter(|(_, parent)| parent.cascades);
        let settled = annotated.filter(|(at, _)| self.is_settled(at, view, members));
        settled
            .filter_map(|((kind, name), _)| {
                let live = members.get(*kind, name)?;
                let object = ObjectRef {
                    kind: kind.as_str().to_owned(),
                    namespace: view.cluster.namespace.clone(),
                    name: name.clone(),
                };
                let message = format!("{object}: everything below it is up to date");
                Some(end(view, object, live, vec![RolloutMark::Cascade], message))
            })
            .collect()
    }

    /// Whether everything below a parent stands as it is rendered, and its tablets serve.
    fn is_settled(&self, at: &(Kind, String), view: &ClusterView, members: &Members) -> bool {
        let Some(parent) = self.parents.get(at) else { return false };
        let same = |object: &ObjectRef| {
            let found = self.compared.get(object).map(|compared| &compared.found);
            matches!(found, Some(Found::Same))
        };
        let below = |object: &ObjectRef| {
            let kind = Kind::of(&object.kind).filter(|kind| kind.has_children());
            kind.is_none_or(|kind| self.is_settled(&(kind, object.name.clone()), view, members))
        };
        let serves = match members.get(at.0, &at.1).map(|object| object.typed()) {
            Some(Typed::Shard(shard)) => {
                shard.asked.as_ref().is_ok_and(|asked| is_complete(view, &asked.desired.id))
            }
            _ => true,
        };
        serves && parent.children.iter().all(|child| same(&child.object) && below(&child.object))
    }
}

fn end(
    view: &ClusterView,
    object: ObjectRef,
    live: &Cached,
    marks: Vec<RolloutMark>,
    message: String,
) -> Step {
    let version = live.head().resource_version.clone().unwrap_or_default();
    own_step(view, Action::EndRollout { object, version, marks }, "rollout-ended", message)
}

pub(super) fn verdict(above: Above, compared: &Compared, live: &Cached) -> Verdict {
    let (in_place, waits, means) = match &compared.found {
        Found::Same => (false, "", Means::Update),
        Found::Differs => (true, "", Means::Update),
        Found::Waits(waiting) => (waiting.in_place, waiting.text.as_str(), waiting.means),
    };
    child(&Child {
        in_place,
        waits,
        means,
        strategy: above.strategy,
        cascading: above.cascading,
        released: live.annotation(annotations::ROLLOUT_RELEASED).is_some(),
        scheduled: live.annotation(annotations::ROLLOUT_SCHEDULED),
    })
}
