//! The difference between what is rendered and what is there, as the host's own steps.
//!
//! Owns what was rendered last and which live version it was compared with: at
//! rest nothing is rendered or compared again, and what was found as it is rendered
//! is known by a digest after both were let go of. Removes only what stands under a
//! parent that was rendered in this very pass.

mod above;
mod inputs;
mod levels;
mod paused;
mod rolling;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use pilothouse_api::VitessCell;
use pilothouse_api::labels;
use pilothouse_api::vitess_cell::VitessCellStatus;
use pilothouse_core::action::{Action, Change, ObjectRef};
use pilothouse_core::mysql;
use pilothouse_core::pause::Pause;
use pilothouse_core::plan::{Author, Reason, Step};
use pilothouse_core::rollout::{Apply, Means};
use pilothouse_core::topology::Cell;
use pilothouse_core::view::{BackupView, ClusterView, VitessSource};
use serde_json::Value;

use crate::actuate::MANAGER;
use crate::cache::{Cached, Members, Typed};
use crate::claims;
use crate::equality::{self, Watched};
use crate::kinds::{Kind, Part};
use crate::observe;
use crate::render::{self, Rendered};
use crate::rollout::{self, Waiting};
use crate::takeover;
use crate::vitess::Observation;
use above::{Above, Reached, is_annotated};
use inputs::Inputs;
use rolling::verdict;

/// How long the host's own steps stay valid.
const OWN_STEP_TTL_MS: u64 = 30_000;

/// The container of a tablet's Pod that runs MySQL.
const MYSQLD: &str = "mysqld";

/// What is rendered, and how it compares.
#[derive(Debug, Default)]
pub struct Rendering {
    /// Every rendered object.
    pub objects: BTreeMap<ObjectRef, Arc<Rendered>>,
    /// Pods that only a re-creation brings to what is rendered, and what that does to the files of their MySQL.
    pub outdated: BTreeMap<String, mysql::Change>,
    /// VitessShards whose outdated tablets are released, one after the other.
    pub cascading: BTreeSet<String>,
    /// Cells, keyspaces and shards that their parent, rendered just now, asks for no more; and
    /// whether all the others of their kind that it asks for stand.
    pub unwanted: BTreeMap<(Kind, String), bool>,
    /// Every paused object of a level, those above first.
    pub pauses: Vec<Pause>,
    parents: BTreeMap<(Kind, String), Parent>,
    order: Vec<(ObjectRef, Above)>,
    unplaced: BTreeMap<ObjectRef, Arc<Rendered>>,
    compared: BTreeMap<ObjectRef, Compared>,
    /// Digests of what was found as rendered before it was let go of, sorted.
    same: Box<[u64]>,
    drawn: Drawn,
    judged_by: Option<JudgedBy>,
}

/// How the rendered objects stand to what was judged by them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Drawn {
    /// They were let go of.
    #[default]
    Not,
    AsRendered,
    /// Rules changed them, for one pass.
    Adjusted,
}

/// What `outdated`, `cascading`, `unwanted` and `pauses` were made from: a revision, and a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct JudgedBy {
    members: u64,
    backups: u64,
}

impl JudgedBy {
    fn of(members: &Members, backups: &[BackupView]) -> Self {
        let mut digest = DefaultHasher::new();
        backups.hash(&mut digest);
        Self { members: members.revision(), backups: digest.finish() }
    }
}

#[derive(Debug)]
struct Parent {
    uid: String,
    inputs: Inputs,
    children: Vec<Arc<Rendered>>,
    /// The children without zones that a policy chose, where they differ by that.
    unplaced: Vec<Arc<Rendered>>,
    above: Above,
    /// Whether the cascade was asked for here.
    cascades: bool,
}

#[derive(Debug)]
struct Compared {
    rendered: Arc<Rendered>,
    live_version: String,
    /// Whether what restarts something could wait.
    held: bool,
    found: Found,
}

impl Compared {
    /// What it is found by again: which object, as it is rendered and as it stands.
    fn digest(rendered: &Rendered, live_version: &str) -> u64 {
        let mut digest = DefaultHasher::new();
        (rendered, live_version).hash(&mut digest);
        digest.finish()
    }
}

#[derive(Debug)]
enum Found {
    Same,
    /// It can be changed where it is, and nothing waits.
    Differs,
    Waits(Waiting),
}

impl Rendering {
    /// Renders what has new inputs and compares what has a new version.
    pub fn refresh(&mut self, namespace: &str, members: &Members, vitess: Option<&Observation>) {
        if self.drawn == Drawn::AsRendered && self.has_judged(members, vitess) {
            return;
        }
        let backups = vitess.map_or(&[][..], |v| &v.backups);
        self.render(members, backups);
        self.compare(members);
        self.pauses = self.paused(namespace, members);
        self.drawn = Drawn::AsRendered;
        self.judged_by = Some(JudgedBy::of(members, backups));
    }

    /// Whether what it judged is of these very objects, also where the rendered ones were let go of.
    #[must_use]
    pub fn has_judged(&self, members: &Members, vitess: Option<&Observation>) -> bool {
        self.judged_by == Some(JudgedBy::of(members, vitess.map_or(&[][..], |v| &v.backups)))
    }

    /// Whether there are rendered objects.
    #[must_use]
    pub fn is_drawn(&self) -> bool {
        self.drawn != Drawn::Not
    }

    /// What it judged, without the objects, which are many times as large and can be rendered anew.
    #[must_use]
    pub fn put_away(self) -> Self {
        let Self { outdated, cascading, unwanted, pauses, compared, same, judged_by, .. } = self;
        let found_same = compared.values().filter(|known| matches!(known.found, Found::Same));
        let digests = found_same.map(|known| Compared::digest(&known.rendered, &known.live_version));
        // Through a set, which sorts; boxed, since it is held for as long as the cluster rests.
        let same = digests.chain(same).collect::<BTreeSet<u64>>().into_iter().collect();
        Self { outdated, cascading, unwanted, pauses, same, judged_by, ..Self::default() }
    }

    /// Statuses were written and nothing else has changed: the cluster's objects are at `objects` now.
    pub fn told(&mut self, objects: u64) {
        if let Some(by) = &mut self.judged_by {
            by.members = objects;
        }
    }

    /// An object was applied and stands as `version`: as it is rendered, says whoever answered.
    pub fn applied(&mut self, object: &ObjectRef, version: String) {
        if let Some(rendered) = self.objects.get(object).map(Arc::clone) {
            let compared = Compared { rendered, live_version: version, held: false, found: Found::Same };
            self.compared.insert(object.clone(), compared);
        }
    }

    /// The rendered objects, for rules to adjust: the next pass begins with what is rendered.
    pub fn adjustable(&mut self) -> &mut BTreeMap<ObjectRef, Arc<Rendered>> {
        if self.is_drawn() {
            self.drawn = Drawn::Adjusted;
        }
        &mut self.objects
    }

    fn render(&mut self, members: &Members, backups: &[BackupView]) {
        let zones = inputs::zones_of_cells(members);
        let mut parents = BTreeMap::new();
        let mut reached = Reached::new();
        self.order.clear();
        self.objects.clear();
        self.unplaced.clear();
        let may_have_children = |o: &Cached| !matches!(o.typed(), Typed::Raw) && !o.is_terminating();
        for (kind, object) in members.all().filter(|(_, o)| may_have_children(o)) {
            let inputs = inputs::of(object, members, &zones, backups);
            let at = (kind, object.name().to_owned());
            let above = Above::of(kind, object, reached.contains(&at));
            let cascades = is_annotated(object);
            let parent = match self.parents.remove(&at) {
                Some(known) if known.uid == object.uid() && known.inputs == inputs => {
                    Parent { above, cascades, ..known }
                }
                known => {
                    let Some(children) = children(object.typed(), &inputs) else { continue };
                    let old = known.map(|k| k.children).unwrap_or_default();
                    let children = keep_equal(children, &old);
                    let unplaced = unplaced(object, &inputs, members, &children);
                    Parent { uid: object.uid().to_owned(), inputs, children, unplaced, above, cascades }
                }
            };
            for child in &parent.unplaced {
                self.unplaced.insert(child.object.clone(), Arc::clone(child));
            }
            for child in &parent.children {
                self.order.push((child.object.clone(), above));
                if let Some(kind) = Kind::of(&child.object.kind).filter(|_| above.cascading) {
                    reached.insert((kind, child.object.name.clone()));
                }
                self.objects.insert(child.object.clone(), Arc::clone(child));
            }
            parents.insert(at, parent);
        }
        self.parents = parents;
    }

    fn compare(&mut self, members: &Members) {
        self.outdated.clear();
        let mut compared = BTreeMap::new();
        for (object, above) in &self.order {
            let Some(live) = live(members, object) else { continue };
            let held = Kind::of(&object.kind).is_some_and(|kind| above.holds(kind));
            let rendered = Arc::clone(&self.objects[object]);
            let entry = match self.compared.remove(object) {
                Some(known)
                    if known.live_version == live.version()
                        && (known.held == held || matches!(known.found, Found::Same))
                        && Arc::ptr_eq(&known.rendered, &rendered) =>
                {
                    known
                }
                _ if self.was_same(&rendered, live.version()) => {
                    Compared { found: Found::Same, rendered, held, live_version: live.version().to_owned() }
                }
                _ => {
                    let found = match (judge(&rendered, live, held), self.unplaced.get(object)) {
                        // A zone chosen later moves nothing that stands: it is for what comes next.
                        (Found::Differs | Found::Waits(_), Some(unplaced)) => judge(unplaced, live, held),
                        (found, _) => found,
                    };
                    Compared { found, rendered, held, live_version: live.version().to_owned() }
                }
            };
            if let Found::Waits(waiting) = &entry.found {
                if waiting.means == Means::Recreation {
                    let change = mysql::change(mysqld(&live.whole().data), mysqld(&entry.rendered.value));
                    self.outdated.insert(object.name.clone(), change);
                }
                if verdict(*above, &entry, live).apply != Apply::Whole {
                    self.objects.insert(object.clone(), Arc::clone(&waiting.held));
                }
            }
            compared.insert(object.clone(), entry);
        }
        self.compared = compared;
        self.same = Box::default();
        self.cascading = self.parents.iter().filter_map(|(at, p)| self.cascades(at, p, members)).collect();
        self.unwanted = self.unwanted_levels(members);
    }

    fn was_same(&self, rendered: &Rendered, live_version: &str) -> bool {
        !self.same.is_empty() && self.same.binary_search(&Compared::digest(rendered, live_version)).is_ok()
    }

    /// Creates and updates, parents' children in the order that they are rendered.
    #[must_use]
    pub fn steps(&self, view: &ClusterView, members: &Members) -> Vec<Step> {
        let apply = |object: &ObjectRef, change, code: &str, message: String| {
            let action = Action::Apply { object: object.clone(), change };
            own_step(view, action, code, message)
        };
        self.order
            .iter()
            .flat_map(|(object, above)| match (live(members, object), self.compared.get(object)) {
                (None, _) if waits_for_claim(object, members) => Vec::new(),
                (None, _) => {
                    vec![apply(object, Change::Create, "missing", format!("{object} is not there"))]
                }
                (Some(live), Some(compared)) if !live.is_terminating() => {
                    self.changes(view, object, live, compared, &verdict(*above, compared, live))
                }
                (Some(_), _) => Vec::new(),
            })
            .chain(self.replaced_members(view, members))
            .chain(self.ended_cascades(view, members))
            .collect()
    }

    fn has_parent_of(&self, object: &Cached) -> bool {
        let owners = object.head().owner_references.iter().flatten();
        owners
            .filter(|o| o.controller == Some(true))
            .any(|owner| self.parents.values().any(|p| p.uid == owner.uid))
    }
}

/// Deletes of what is ours, stands under a rendered parent and is not rendered:
/// built-in objects, schedules, records of backups that are gone, and what ended backup
/// runs left. Tablets leave by drain and turndown, cells, keyspaces and shards when they are idle
/// ([`Rendering::turndowns`]); our other kinds are kept.
#[must_use]
pub fn leftovers(view: &ClusterView, rendering: &Rendering, members: &Members) -> Vec<Step> {
    let namespace = &view.cluster.namespace;
    let mut steps = Vec::new();
    for (kind, object) in members.all() {
        let (code, message) = match kind {
            _ if object.is_terminating() || !rendering.has_parent_of(object) => continue,
            // Records of backups are of what Vitess says; where it does not they stay.
            Kind::VitessBackup if !observe::are_told(view, object.label(labels::BACKUP_LOCATION)) => continue,
            Kind::Deployment
            | Kind::HorizontalPodAutoscaler
            | Kind::PodDisruptionBudget
            | Kind::Secret
            | Kind::Service
            | Kind::VitessBackup
            | Kind::VitessBackupSchedule => ("orphan", "nothing asks for it any more"),
            Kind::Pod | Kind::PersistentVolumeClaim => match object.label(labels::COMPONENT) {
                "vttablet" => continue,
                "vtbackup" if backup_run_is_over(kind, object, members, view.vitess) => {
                    ("backup-run-over", "its backup run is over")
                }
                "vtbackup" => continue,
                _ => ("orphan", "nothing asks for it any more"),
            },
            Kind::VitessCluster
            | Kind::VitessCell
            | Kind::VitessKeyspace
            | Kind::VitessShard
            | Kind::EtcdLockserver
            | Kind::VitessBackupStorage
            | Kind::Job
            | Kind::Node
            | Kind::StorageClass => continue,
        };
        let target = ObjectRef {
            kind: kind.as_str().to_owned(),
            namespace: namespace.clone(),
            name: object.name().to_owned(),
        };
        if !rendering.objects.contains_key(&target) {
            let action = Action::Delete { object: target, uid: object.uid().to_owned(), of: None };
            steps.push(own_step(view, action, code, message.to_owned()));
        }
    }
    steps
}

/// A run's Pod may go when it has ended or cannot begin; its claim when no Pod of its name is left.
fn backup_run_is_over(kind: Kind, object: &Cached, members: &Members, source: VitessSource) -> bool {
    match members.get(Kind::Pod, object.name()) {
        None => true,
        Some(pod) => {
            kind == Kind::Pod
                && observe::backup_run_ended(pod, members)
                && !observe::awaits_record(source, pod, members)
        }
    }
}

/// A step of the host's own.
pub(crate) fn own_step(view: &ClusterView, action: Action, code: &str, message: String) -> Step {
    Step {
        action,
        author: Author::Host,
        reason: Reason { code: code.to_owned(), message },
        expect: Vec::new(),
        expires: view.as_of + OWN_STEP_TTL_MS,
    }
}

fn live<'a>(members: &'a Members, object: &ObjectRef) -> Option<&'a Arc<Cached>> {
    members.get(Kind::of(&object.kind)?, &object.name)
}

/// A Pod whose claim of the same name is on its way out would bind to what is lost.
fn waits_for_claim(object: &ObjectRef, members: &Members) -> bool {
    object.kind == Kind::Pod.as_str()
        && members.get(Kind::PersistentVolumeClaim, &object.name).is_some_and(|c| c.is_terminating())
}

fn judge(rendered: &Rendered, live: &Cached, held: bool) -> Found {
    if rendered.initial.as_ref().is_some_and(|initial| live.field(initial.at).is_none()) {
        return Found::Differs;
    }
    if claims::is_owned_against(rendered, live.whole()) {
        return Found::Differs;
    }
    if equality::satisfied(&rendered.value, &Watched::new(live.whole()), MANAGER) {
        // Our first write to it makes its fields ours.
        let is_anothers = takeover::holds_fields(live.whole(), Part::Main);
        return if is_anothers { Found::Differs } else { Found::Same };
    }
    let waiting = if held { rollout::waiting(rendered, live) } else { None };
    waiting.map_or(Found::Differs, Found::Waits)
}

fn difference(rendered: &Rendered, live: &Cached) -> String {
    if let Some(initial) = rendered.initial.as_ref().filter(|initial| live.field(initial.at).is_none()) {
        return format!("{}: absent, begins with {}", initial.at, initial.value);
    }
    if claims::is_owned_against(rendered, live.whole()) {
        return "owned by what it is to outlive".to_owned();
    }
    let live = Watched::new(live.whole());
    let first = equality::differences(&rendered.value, &live, MANAGER).into_iter().next();
    first.unwrap_or_else(|| format!("as wanted, but its fields are still {}'s", takeover::PREDECESSOR))
}

/// The image of a Pod's mysqld; empty for a Pod without.
fn mysqld(pod: &Value) -> &str {
    let containers = pod.pointer("/spec/containers").and_then(Value::as_array).into_iter().flatten();
    let image = containers.filter(|c| c["name"] == MYSQLD).find_map(|c| c["image"].as_str());
    image.unwrap_or_default()
}

/// The children of one of our own kinds; `None` for other kinds and unusable specs.
fn children(object: &Typed, inputs: &Inputs) -> Option<Vec<Rendered>> {
    match object {
        Typed::Cluster(cluster) => {
            pilothouse_api::validate::validate(cluster).is_ok().then(|| render::cluster(cluster))
        }
        Typed::Cell(cell) => Some(render::cell(cell, &inputs.mysqld)),
        // One that cannot be read asks for nothing, and that would be to take all its shards away.
        Typed::Keyspace(keyspace) => {
            pilothouse_api::validate::validate_keyspace(keyspace).is_ok().then(|| render::keyspace(keyspace))
        }
        Typed::Shard(shard) => {
            shard.asked.is_ok().then(|| render::shard(&shard.object, &inputs.zones, &inputs.claims))
        }
        Typed::Lockserver(etcd) => Some(render::lockserver(etcd, &inputs.zones)),
        Typed::Storage(storage) => Some(render::backup_records(storage, &inputs.backups)),
        // A schedule's Jobs are not always there: crate::schedules.
        Typed::Schedule(_) | Typed::Raw | Typed::Unreadable(_) => None,
    }
}

/// What the children would be without zones that a policy chose; only those that differ by it.
fn unplaced(
    object: &Cached,
    inputs: &Inputs,
    members: &Members,
    placed: &[Arc<Rendered>],
) -> Vec<Arc<Rendered>> {
    let chosen = |cell: &pilothouse_api::VitessCell| cell.spec.template.zone.is_empty();
    let mut pinned = inputs.clone();
    for cell in observe::cell_objects(members).filter(|c| chosen(c)) {
        pinned.zones.remove(&Cell(cell.spec.template.name.clone()));
    }
    let unassigned = match object.typed() {
        Typed::Cell(cell) => cell.status.as_ref().filter(|s| s.assigned_zone.is_some()).map(|status| {
            let status = Some(VitessCellStatus { assigned_zone: None, ..status.clone() });
            Typed::Cell(Box::new(VitessCell { status, ..(**cell).clone() }))
        }),
        _ => None,
    };
    if unassigned.is_none() && pinned == *inputs {
        return Vec::new();
    }
    let children = children(unassigned.as_ref().unwrap_or(object.typed()), &pinned).unwrap_or_default();
    let differs =
        |child: &Rendered| placed.iter().any(|p| p.object == child.object && p.value != child.value);
    children.into_iter().filter(differs).map(Arc::new).collect()
}

/// Equal values keep their old allocation, so that comparisons stay valid.
fn keep_equal(new: Vec<Rendered>, old: &[Arc<Rendered>]) -> Vec<Arc<Rendered>> {
    new.into_iter()
        .map(|rendered| {
            let same = old.iter().find(|o| o.object == rendered.object && o.value == rendered.value);
            same.map_or_else(|| Arc::new(rendered), Arc::clone)
        })
        .collect()
}
