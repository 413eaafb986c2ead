//! What is not created yet although it is rendered, and why.
//!
//! Owns two waits, both for the placement policy: a new cluster is not begun
//! while that policy says that it cannot stand, and Pods of a new cell wait for
//! their zone. What already stands is never held back.

use pilothouse_core::Millis;
use pilothouse_core::action::{Action, Change, ObjectRef};
use pilothouse_core::plan::{Author, Proposal, Severity, Slot, Step};
use pilothouse_core::topology::Cell;
use pilothouse_core::view::ClusterView;

use crate::cache::Members;
use crate::converge::Rendering;
use crate::kinds::Kind;

/// A cell without a zone waits at most this long for one.
const ZONE_WAIT_MS: Millis = 120_000;

/// Takes out of `steps` the creations that have to wait.
#[must_use]
pub fn without_held(
    steps: Vec<Step>,
    view: &ClusterView,
    proposals: &[Proposal],
    rendering: &Rendering,
    members: &Members,
) -> Vec<Step> {
    let refused = is_refused(proposals) && members.of(Kind::VitessKeyspace).next().is_none();
    let waiting = waiting_cells(view, proposals, members);
    if !refused && waiting.is_empty() {
        return steps;
    }
    let held = |step: &Step| match &step.action {
        Action::Apply { object, change: Change::Create } => {
            refused || waiting.iter().any(|cell| stands_in(rendering, object, cell))
        }
        _ => false,
    };
    steps.into_iter().filter(|step| !held(step)).collect()
}

/// Whether the placement policy has an error to say about the cluster as a whole.
fn is_refused(proposals: &[Proposal]) -> bool {
    of_placement(proposals)
        .any(|p| p.diagnostics.iter().any(|d| d.severity == Severity::Error && d.subject.is_empty()))
}

/// Young cells without a zone, where there are zones to choose from and a policy to choose.
fn waiting_cells(view: &ClusterView, proposals: &[Proposal], members: &Members) -> Vec<Cell> {
    if view.zones.is_empty() || of_placement(proposals).next().is_none() {
        return Vec::new();
    }
    crate::observe::cell_objects(members)
        .filter(|cell| crate::observe::cell_zone(cell).is_none())
        .filter(|cell| {
            let created = cell.metadata.creation_timestamp.as_ref().map_or(0, |t| t.0.as_millisecond());
            view.as_of.saturating_sub(Millis::try_from(created).unwrap_or(0)) < ZONE_WAIT_MS
        })
        .map(|cell| Cell(cell.spec.template.name.clone()))
        .collect()
}

fn of_placement(proposals: &[Proposal]) -> impl Iterator<Item = &Proposal> {
    proposals.iter().filter(|p| matches!(p.author, Author::Policy { slot: Slot::Placement, .. }))
}

/// Whether a rendered object runs Pods in that cell.
fn stands_in(rendering: &Rendering, object: &ObjectRef, cell: &Cell) -> bool {
    let runs_pods = object.kind == Kind::Pod.as_str() || object.kind == Kind::Deployment.as_str();
    let label = rendering.objects.get(object).and_then(|r| {
        r.value.pointer("/metadata/labels")?.get(pilothouse_api::labels::CELL)?.as_str().map(str::to_owned)
    });
    runs_pods && label.as_ref().is_some_and(|label| *label == cell.0)
}
