//! Report: what a pass found and did, as the status of every level.
//!
//! Owns the words of statuses and conditions. A status is built anew each pass
//! and written only when it says something else than what stands there. What is
//! remembered between passes (`assignedZone`, surges) belongs to another field
//! manager and is left alone here.

mod backup_storages;
mod cells;
mod cluster;
mod decider;
mod lockservers;
mod paused;
mod schedules;
mod shards;
mod volumes;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::api::{Patch, PatchParams};
use pilothouse_api::condition::{self, ConditionStatus, OrphanStatus, Verdict};
use pilothouse_api::labels::{self, Component};
use pilothouse_core::Millis;
use pilothouse_core::levels;
use pilothouse_core::pass::Report;
use pilothouse_core::view::{Level, ShardView, VitessSource};
use serde::Serialize;
use serde_json::{Value, json};

use crate::actuate::MANAGER;
use crate::cache::Cached;
use crate::kinds::{Kind, Part};
use crate::observe;
use crate::pilot::Pilot;
use crate::takeover;

/// How much of a report is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// All of it stood there before.
    Nothing,
    /// Something was written, all of it stands now, and nothing else has changed meanwhile: the
    /// revision of the cluster's objects with it.
    Alone(u64),
    /// Something was written, and all of it stands now.
    All,
    /// Something could not be written.
    InPart,
}

/// How a status was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrote {
    /// It changed its object once, as one seen by this pass.
    Once,
    /// It stands, or its object is gone; how often that changed is not known.
    More,
    /// It does not stand.
    Failed,
}

impl Told {
    const fn and(self, wrote: Wrote) -> Self {
        match (self, wrote) {
            (Self::InPart, _) | (_, Wrote::Failed) => Self::InPart,
            (Self::Alone(revision), Wrote::Once) => Self::Alone(revision + 1),
            (Self::Nothing | Self::Alone(_) | Self::All, Wrote::Once | Wrote::More) => Self::All,
        }
    }
}

/// A status that differs from the one that stands.
pub(crate) struct Wanted {
    kind: Kind,
    name: String,
    status: Value,
}

impl Wanted {
    /// `None` when `new` says what `live` says.
    fn unless_equal<S: Serialize + PartialEq>(
        kind: Kind,
        name: &str,
        live: Option<&S>,
        new: &S,
    ) -> Option<Self> {
        if live == Some(new) {
            return None;
        }
        let status = serde_json::to_value(new).ok()?;
        Some(Self { kind, name: name.to_owned(), status })
    }

    /// Takes a remembered field out: it is not ours to apply.
    fn without(mut self, pointer: &[&str]) -> Self {
        if let Some((last, path)) = pointer.split_last() {
            let parent = path.iter().try_fold(&mut self.status, |v, key| v.get_mut(*key));
            if let Some(parent) = parent.and_then(Value::as_object_mut) {
                parent.remove(*last);
            }
        }
        self
    }
}

impl Pilot {
    /// Writes what has changed of every level's status; counts and logs refusals.
    pub async fn report(&mut self, report: &Report) -> Told {
        self.count_refusals(report);
        let mut wanted: Vec<Wanted> = Vec::new();
        wanted.extend(shards::statuses(self, report));
        wanted.extend(shards::keyspaces(self, report));
        wanted.extend(cells::statuses(self, report));
        wanted.extend(lockservers::statuses(self, report));
        wanted.extend(schedules::statuses(self, report));
        wanted.extend(backup_storages::statuses(self, report));
        wanted.extend(cluster::status(self, report));
        let mut told = if wanted.is_empty() { Told::Nothing } else { Told::Alone(self.members.revision()) };
        for status in wanted {
            told = told.and(self.write_status(status).await);
        }
        self.said = crate::events::emit(self, report, &self.said).await;
        let now = || self.effects.cache.lock().expect("no panic under the lock").revision_of(&self.key);
        match told {
            Told::Alone(expected) if expected != now() => Told::All,
            told => told,
        }
    }

    async fn write_status(&self, wanted: Wanted) -> Wrote {
        let Wanted { kind, name, status } = wanted;
        let resource = kind.resource();
        let mut body = json!({
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": { "name": name },
        });
        body["status"] = status;
        let params = PatchParams::apply(MANAGER).force();
        let (client, at) = (&self.effects.client, (self.key.namespace.as_str(), name.as_str()));
        match kind.patch(client, at, Part::Status, &params, &Patch::Apply(&body)).await {
            Ok(object) => {
                let release = takeover::release(&object, Part::Status);
                let seen = self.members.get(kind, &name).map(|object| &object.head().resource_version);
                let is_new = seen != Some(&object.head.resource_version);
                self.effects.written(kind, object);
                match release {
                    Some(release) => match self.effects.merge(&self.key, kind, &name, &release).await {
                        Ok(()) => Wrote::More,
                        Err(_) => Wrote::Failed,
                    },
                    None if is_new => Wrote::Once,
                    None => Wrote::More,
                }
            }
            Err(kube::Error::Api(status)) if status.code == 404 => Wrote::More,
            Err(error) => {
                tracing::warn!(cluster = %self.key, kind = kind.as_str(), name, %error, "status not written");
                Wrote::Failed
            }
        }
    }
}

/// Milliseconds as Kubernetes' time type, whole seconds.
fn time(at: Millis) -> Time {
    let seconds = i64::try_from(at / 1_000).unwrap_or(0);
    Time(jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::UNIX_EPOCH))
}

/// A fact that only Vitess can tell: unknown while it is not asked.
fn told(report: &Report, fact: bool) -> ConditionStatus {
    match report.view.vitess {
        VitessSource::Unknown => ConditionStatus::Unknown,
        VitessSource::Observed | VitessSource::Played => ConditionStatus::from(fact),
    }
}

/// Whether any of a component's Deployments serves; unknown where none says.
fn available(pilot: &Pilot, component: Component, is_it: impl Fn(&Cached) -> bool) -> ConditionStatus {
    let deployments = pilot.members.of(Kind::Deployment);
    let of_component = deployments.filter(|d| d.label(labels::COMPONENT) == component.as_str() && is_it(d));
    let says = of_component.filter_map(|d| observe::condition(d, "Available"));
    says.reduce(|one, other| one || other).map_or(ConditionStatus::Unknown, ConditionStatus::from)
}

/// Whether a cell's gateways serve.
fn gateways(pilot: &Pilot, cell: &str) -> ConditionStatus {
    available(pilot, Component::Vtgate, |deployment| deployment.label(labels::CELL) == cell)
}

/// The shards that their keyspace asks for.
fn wanted_shards(report: &Report) -> impl Iterator<Item = &ShardView> {
    let shards = report.view.shards.iter();
    shards.filter(|shard| !levels::is_unwanted(&report.view, &Level::Shard(shard.id.clone())))
}

/// The unwanted levels that `name` names, and why each is still here.
fn orphans(report: &Report, name: impl Fn(&Level) -> Option<String>) -> BTreeMap<String, OrphanStatus> {
    levels::orphans(&report.view)
        .filter_map(|(unwanted, kept)| {
            let orphan = OrphanStatus { reason: kept.as_str().to_owned(), message: kept.to_string() };
            Some((name(&unwanted.level)?, orphan))
        })
        .collect()
}

fn set(
    conditions: &mut Vec<Condition>,
    report: &Report,
    generation: Option<i64>,
    (kind, status, reason, message): (&str, ConditionStatus, &str, &str),
) {
    let verdict = Verdict { kind, status, reason, message };
    condition::set(conditions, &verdict, &time(report.view.as_of), generation);
}
