//! A live child that differs by more than may change at once: which part restarts something,
//! how the rest is applied without it, and what people read of what waits.
//!
//! Owns the contract's list of fields that change in place under External. When the waiting
//! part may go is [`pilothouse_core::rollout`]'s to say.

mod in_place;
mod text;

use std::sync::Arc;

use pilothouse_core::rollout::Means;
use serde_json::{Map, Value, json};

use crate::actuate::MANAGER;
use crate::cache::Cached;
use crate::equality::{self, Live, Watched};
use crate::kinds::Kind;
use crate::render::Rendered;

/// The part of a difference that restarts something.
#[derive(Debug)]
pub struct Waiting {
    /// How it would come about.
    pub means: Means,
    /// It, one line a field, for people.
    pub text: String,
    /// What to apply meanwhile: what stands, with what changes in place.
    pub held: Arc<Rendered>,
    /// Whether that changes anything.
    pub in_place: bool,
}

/// Whether changes of such a child can wait: its parent rolls it out.
#[must_use]
pub const fn can_wait(parent: Kind, child: Kind) -> bool {
    matches!(
        (parent, child),
        (Kind::VitessCluster, Kind::VitessCell | Kind::VitessKeyspace | Kind::Deployment)
            | (Kind::VitessKeyspace, Kind::VitessShard)
            | (Kind::VitessShard, Kind::Deployment | Kind::Pod)
            | (Kind::EtcdLockserver, Kind::Pod)
    )
}

/// What of the difference waits; `None` when nothing of it restarts anything.
#[must_use]
pub fn waiting(rendered: &Rendered, live: &Cached) -> Option<Waiting> {
    let kind = Kind::of(&rendered.object.kind)?;
    let watched = Watched::new(live.whole());
    let means = if kind == Kind::Pod { Means::Recreation } else { Means::Update };
    if means == Means::Recreation && !equality::pod_needs_recreation(&rendered.value, &watched, MANAGER) {
        return None;
    }
    let (wanted, stands) = (rendered.value.get("spec")?, watched.field("spec")?);
    let mut after = stands.clone();
    in_place::put(kind, wanted, stands, &mut after);
    let after = Changed { live: &watched, spec: after };
    let changes = equality::changes(&rendered.value, &after, MANAGER, "spec");
    if changes.is_empty() {
        return None;
    }
    let mut spec = equality::applied(&watched, MANAGER, "spec").unwrap_or_else(|| json!({}));
    in_place::put(kind, wanted, stands, &mut spec);
    let held = Arc::new(held(rendered, live.uid(), spec));
    let in_place = !equality::satisfied(&held.value, &watched, MANAGER);
    Some(Waiting { means, text: text::of(&changes), held, in_place })
}

/// The rendered object with another spec, for the object of that UID alone: it must not be made anew like this.
fn held(rendered: &Rendered, uid: &str, spec: Value) -> Rendered {
    let fields = rendered.value.as_object().into_iter().flatten().filter(|(name, _)| *name != "spec");
    let mut value: Map<String, Value> = fields.map(|(name, value)| (name.clone(), value.clone())).collect();
    // an empty one would be owned as a whole
    if spec.as_object().is_some_and(|fields| !fields.is_empty()) {
        value.insert("spec".to_owned(), spec);
    }
    let mut value = Value::Object(value);
    value["metadata"]["uid"] = json!(uid);
    Rendered { object: rendered.object.clone(), value, initial: rendered.initial.clone() }
}

/// A live object with another spec.
struct Changed<'a> {
    live: &'a Watched<'a>,
    spec: Value,
}

impl Live for Changed<'_> {
    fn field(&self, name: &str) -> Option<&Value> {
        if name == "spec" { Some(&self.spec) } else { self.live.field(name) }
    }
}

#[cfg(test)]
mod tests;
