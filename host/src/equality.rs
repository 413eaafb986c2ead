//! Does a live object already satisfy what was rendered, so that applying it would write nothing?
//!
//! Owns the comparison: what server-side apply would change, told without asking the server.
//! Fields that only others set are theirs and never a difference; a field that our
//! manager owns and that is no longer rendered is one. Knows nothing of what the fields mean
//! to Vitess, and never decides what follows from a difference.
//!
//! Lists follow the API server's own merge keys (`lists`), quantities are numbers
//! (`quantity`), nulls and empty maps count as absent. Where `managedFields` shows a list or
//! map of ours as one leaf (an atomic one), it must agree as a whole (`ownership`).
//! What may stand as it is although another value is rendered is listed in `stands`.
//! An int-or-string keeps its type: Kubernetes, too, tells port `80` from port `"80"`.

mod applied;
mod compare;
mod conform;
mod lists;
mod ownership;
mod path;
mod quantity;
mod stands;

use std::ops::ControlFlow;

use kube::api::DynamicObject;
use serde_json::Value;

pub use applied::applied;
use compare::{Difference, compare};
pub use conform::conformed;
use path::Path;

/// An object as it is, by the fields of its top level.
pub trait Live {
    /// One of them.
    fn field(&self, name: &str) -> Option<&Value>;
}

impl Live for Value {
    fn field(&self, name: &str) -> Option<&Value> {
        self.get(name)
    }
}

/// An object of the cache; only its metadata is copied.
pub struct Watched<'a> {
    metadata: Value,
    data: &'a Value,
}

impl<'a> Watched<'a> {
    /// The object as a live one.
    #[must_use]
    pub fn new(object: &'a DynamicObject) -> Self {
        let metadata = serde_json::to_value(&object.metadata).unwrap_or_default();
        Self { metadata, data: &object.data }
    }
}

impl Live for Watched<'_> {
    fn field(&self, name: &str) -> Option<&Value> {
        if name == "metadata" { Some(&self.metadata) } else { self.data.get(name) }
    }
}

/// Whether `live` already has every rendered field with an equal value, and `manager` owns
/// (by operation `Apply`) nothing that is no longer rendered.
#[must_use]
pub fn satisfied(rendered: &Value, live: &dyn Live, manager: &str) -> bool {
    objects(rendered, live, manager, &mut |_, _| ControlFlow::Break(())).is_continue()
}

/// Where `live` differs, one readable line each, in a fixed order:
/// `spec.replicas: 2, wanted 3`. What a Secret keeps is never in them.
#[must_use]
pub fn differences(rendered: &Value, live: &dyn Live, manager: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let _: ControlFlow<()> = objects(rendered, live, manager, &mut |path, difference| {
        lines.push(if path.root() == "data" && rendered["kind"] == "Secret" {
            format!("{path}: is not what it should be")
        } else {
            format!("{path}: {difference}")
        });
        ControlFlow::Continue(())
    });
    lines
}

/// One field that is not as it is rendered.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Where, as `spec.replicas`.
    pub path: String,
    /// What it is; `None`: absent.
    pub from: Option<Value>,
    /// What it is rendered as; `None`: no longer.
    pub to: Option<Value>,
}

/// Where `live` differs in the top-level field `root`, with both values, in a fixed order.
#[must_use]
pub fn changes(rendered: &Value, live: &dyn Live, manager: &str, root: &str) -> Vec<Change> {
    let mut all = Vec::new();
    let _: ControlFlow<()> = objects(rendered, live, manager, &mut |path, difference| {
        if path.root() == root {
            let (from, to) = match difference {
                Difference::Missing(to) | Difference::TolerationAdded(to) => (None, Some(to.clone())),
                Difference::Changed { has, wanted } => (Some(has.clone()), Some(wanted.clone())),
                Difference::Order => (Some("in another order".into()), Some("in the order rendered".into())),
                Difference::Dropped(from) => (Some(from.clone()), None),
            };
            all.push(Change { path: path.to_string(), from, to });
        }
        ControlFlow::Continue(())
    });
    all
}

/// Whether a live Pod differs from the rendered one in a way that takes a new Pod.
///
/// Anything in `spec` does, also an image: the kubelet would restart that container at once,
/// past the drain. Not so tolerations that the rendered Pod has on top, which Kubernetes adds
/// in place, and nothing in `metadata`.
#[must_use]
pub fn pod_needs_recreation(rendered: &Value, live: &dyn Live, manager: &str) -> bool {
    objects(rendered, live, manager, &mut |path, difference| {
        let in_place = path.root() != "spec" || matches!(difference, Difference::TolerationAdded(_));
        if in_place { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })
    .is_break()
}

/// Told of each difference; answers whether to look for more.
type Report<'r> = dyn FnMut(&Path<'_>, Difference<'_>) -> ControlFlow<()> + 'r;

/// The top level: `apiVersion` and `kind` say which object this is, not how it should be.
fn objects(rendered: &Value, live: &dyn Live, manager: &str, report: &mut Report<'_>) -> ControlFlow<()> {
    let Some(fields) = rendered.as_object() else { return ControlFlow::Continue(()) };
    for (name, wanted) in fields {
        if name != "apiVersion" && name != "kind" {
            compare(&Path::Root(name), wanted, live.field(name), report)?;
        }
    }
    ownership::dropped(rendered, live, manager, report)
}

#[cfg(test)]
mod tests;
