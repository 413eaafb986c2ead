//! Writes of rendered objects, and guarded deletes.

use std::collections::BTreeMap;
use std::fmt;

use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, Preconditions};
use pilothouse_api::labels::{self, annotations};
use pilothouse_core::action::ObjectRef;
use pilothouse_core::schedule::JobState;
use pilothouse_core::topology::ShardId;
use pilothouse_core::view::ClusterView;
use serde::Serialize;
use serde_json::{Value, json};

use super::as_new::AsNew;
use super::{Effects, Error, INITIAL_MANAGER, MANAGER};
use crate::cache::ClusterKey;
use crate::claims;
use crate::equality::{self, Watched};
use crate::kinds::{Kind, Part, Read};
use crate::render::{self, Initial, Rendered};
use crate::takeover;

impl Effects {
    /// Applies a rendered object; one that exists and is not ours is left alone.
    /// Answers the version under which it stands then, where one write was enough.
    pub(super) async fn apply(&self, key: &ClusterKey, rendered: &Rendered) -> Result<Option<String>, Error> {
        let object = &rendered.object;
        let kind = Kind::of(&object.kind).ok_or(Error::Unsupported)?;
        let known = self.with_members(key, |m| m.get(kind, &object.name).cloned());
        if let Some(known) = known {
            return self.change(key, kind, rendered, known.whole()).await;
        }
        let Some(answer) = self.create(kind, rendered).await? else {
            let api = kind.api(&self.client, &object.namespace);
            let gone = || Error::Overtaken(format!("{object} came and went"));
            let live = api.get_opt(&object.name).await?.ok_or_else(gone)?;
            return self.change(key, kind, rendered, &live).await;
        };
        let version = answer.head.resource_version.clone().filter(|_| rendered.initial.is_none());
        let begun = match &rendered.initial {
            Some(_) => rendered.initial_in(&answer.body().map_err(kube::Error::SerdeError)?),
            None => None,
        };
        self.written(kind, answer);
        self.begin(kind, rendered, begun).await?;
        Ok(version)
    }

    /// Applies what is not there; `None` if it is. Asks for a version that nothing ever has, so
    /// that nobody's object is touched, and no request is spent on looking first.
    async fn create(&self, kind: Kind, rendered: &Rendered) -> Result<Option<Read>, Error> {
        match self.applied(kind, &rendered.object, &AsNew(&rendered.value)).await {
            Err(Error::Api(kube::Error::Api(status))) if status.code == 409 => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// Applies to what is there.
    async fn change(
        &self,
        key: &ClusterKey,
        kind: Kind,
        rendered: &Rendered,
        live: &DynamicObject,
    ) -> Result<Option<String>, Error> {
        let object = &rendered.object;
        if !is_of_tree(live, key, rendered) {
            return Err(Error::NameCollision { object: object.clone(), cluster: key.clone() });
        }
        if let Some(release) = claims::release(rendered, live) {
            self.merge(key, kind, &object.name, &release).await?;
        }
        self.begin(kind, rendered, rendered.initial_in(&live.data)).await?;
        let value = equality::conformed(&rendered.value, &Watched::new(live));
        let answer = self.applied(kind, object, &value).await?;
        let release = if is_whole(rendered) { takeover::release(&answer, Part::Main) } else { None };
        let version = answer.head.resource_version.clone();
        self.written(kind, answer);
        match release {
            Some(release) => self.merge(key, kind, &object.name, &release).await.map(|()| None),
            None => Ok(version),
        }
    }

    /// The answer to an apply.
    async fn applied<V: Serialize + fmt::Debug>(
        &self,
        kind: Kind,
        object: &ObjectRef,
        value: &V,
    ) -> Result<Read, Error> {
        let params = PatchParams::apply(MANAGER).force();
        let at = (object.namespace.as_str(), object.name.as_str());
        Ok(kind.patch(&self.client, at, Part::Main, &params, &Patch::Apply(value)).await?)
    }

    /// Holds a field that somebody else writes at what it is now, or begins it. Never by force:
    /// whoever writes it has the last word.
    async fn begin(&self, kind: Kind, rendered: &Rendered, now: Option<Value>) -> Result<(), Error> {
        let (Some(Initial { at, .. }), Some(leaf)) = (&rendered.initial, now) else { return Ok(()) };
        let mut begun =
            at.rsplit('/').filter(|name| !name.is_empty()).fold(leaf, |inner, name| json!({ name: inner }));
        let ObjectRef { namespace, name, .. } = &rendered.object;
        begun["apiVersion"] = rendered.value["apiVersion"].clone();
        begun["kind"] = rendered.value["kind"].clone();
        begun["metadata"] = json!({ "name": name });
        let params = PatchParams::apply(INITIAL_MANAGER);
        let at = (namespace.as_str(), name.as_str());
        let answer = kind.patch(&self.client, at, Part::Main, &params, &Patch::Apply(&begun)).await?;
        self.written(kind, answer);
        Ok(())
    }

    /// Deletes the object of that UID, as it is now; a claim only while no Pod of its name is left.
    pub(super) async fn delete(&self, key: &ClusterKey, object: &ObjectRef, uid: &str) -> Result<(), Error> {
        match self.standing(key, object, uid).await? {
            Some(found) => self.remove(key, object, &found).await,
            None => Ok(()),
        }
    }

    /// The object of that UID as it is now, if it may go; `None` when it has gone, or is on its way.
    pub(super) async fn standing(
        &self,
        key: &ClusterKey,
        object: &ObjectRef,
        uid: &str,
    ) -> Result<Option<DynamicObject>, Error> {
        let Some(found) = self.named(key, object, uid).await? else { return Ok(None) };
        let kind = Kind::of(&object.kind).ok_or(Error::Unsupported)?;
        if kind == Kind::PersistentVolumeClaim
            && Kind::Pod.api(&self.client, &object.namespace).get_opt(&object.name).await?.is_some()
        {
            return Err(Error::Overtaken(format!("a Pod named {} still stands", object.name)));
        }
        if kind == Kind::PersistentVolumeClaim && self.is_of_active_job(&found, object).await? {
            return Err(Error::Overtaken(format!("Job {} has not ended", object.name)));
        }
        Ok(Some(found))
    }

    /// The object of that UID as it is now; `None` when it has gone, or is on its way.
    pub(super) async fn named(
        &self,
        key: &ClusterKey,
        object: &ObjectRef,
        uid: &str,
    ) -> Result<Option<DynamicObject>, Error> {
        let kind = Kind::of(&object.kind).ok_or(Error::Unsupported)?;
        let api = kind.api(&self.client, &object.namespace);
        let Some(found) = api.get_opt(&object.name).await? else {
            self.gone(key, kind, object);
            return Ok(None);
        };
        if found.metadata.uid.as_deref() != Some(uid) || !is_ours(&found, key) {
            return Err(Error::Overtaken(format!("{object} is another object now")));
        }
        Ok(Some(found).filter(|found| found.metadata.deletion_timestamp.is_none()))
    }

    /// Deletes an object as it was found.
    pub(super) async fn remove(
        &self,
        key: &ClusterKey,
        object: &ObjectRef,
        found: &DynamicObject,
    ) -> Result<(), Error> {
        let kind = Kind::of(&object.kind).ok_or(Error::Unsupported)?;
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: found.metadata.uid.clone(),
                resource_version: found.metadata.resource_version.clone(),
            }),
            ..DeleteParams::background()
        };
        self.telemetry.metrics.api_writes.inc();
        kind.api(&self.client, &object.namespace).delete(&object.name, &params).await?;
        self.gone(key, kind, object);
        Ok(())
    }

    /// Whether a scheduled backup run that has not ended has this claim.
    async fn is_of_active_job(&self, claim: &DynamicObject, object: &ObjectRef) -> Result<bool, Error> {
        let labels = claim.metadata.labels.as_ref();
        if labels.is_none_or(|all| !all.contains_key(labels::BACKUP_SCHEDULE)) {
            return Ok(false);
        }
        let job = Kind::Job.api(&self.client, &object.namespace).get_opt(&object.name).await?;
        let conditions = |job: &DynamicObject| job.data.pointer("/status/conditions").cloned();
        let state = job.map(|job| crate::schedules::state_of_job(conditions(&job).as_ref()));
        Ok(state == Some(JobState::Active))
    }

    /// Of what is watched, the watch tells.
    fn gone(&self, key: &ClusterKey, kind: Kind, object: &ObjectRef) {
        if !kind.is_watched() {
            self.cache.lock().expect("no panic under the lock").forget(key, kind, &object.name);
        }
    }

    /// Asks for more room, and remembers when.
    pub(super) async fn expand_volume(&self, key: &ClusterKey, claim: &str, to: u64) -> Result<(), Error> {
        let (version, mut changes) = self
            .with_members(key, |m| {
                let cached = m.get(Kind::PersistentVolumeClaim, claim)?;
                Some((cached.head().resource_version.clone(), crate::observe::volume_changes(cached)))
            })
            .ok_or_else(|| Error::Overtaken(format!("claim {claim} is gone")))?;
        changes.push(self.clock.now());
        let newest: Vec<String> =
            changes.iter().rev().take(8).rev().map(|&t| crate::clock::rfc3339(t)).collect();
        let patch = json!({
            "metadata": {
                "resourceVersion": version,
                "annotations": { annotations::VOLUME_CHANGES: newest.join(",") },
            },
            "spec": { "resources": { "requests": { "storage": to.to_string() } } },
        });
        self.merge(key, Kind::PersistentVolumeClaim, claim, &patch).await
    }

    /// Creates the Pod and the claim of a backup run.
    pub(super) async fn start_backup(
        &self,
        key: &ClusterKey,
        view: &ClusterView,
        shard: &ShardId,
        location: &str,
        restore: Option<&str>,
    ) -> Result<(), Error> {
        let owner = self
            .with_members(key, |m| crate::observe::shard_object(m, shard).cloned())
            .ok_or_else(|| Error::Overtaken(format!("shard {shard} is gone")))?;
        let zones = crate::observe::zones_by_cell(view);
        let claims = view.volumes.iter().map(|v| (v.claim.clone(), v.requested)).collect();
        for rendered in render::backup(&owner, location, restore, &zones, &claims, view.as_of) {
            self.apply(key, &rendered).await?;
        }
        Ok(())
    }

    /// A merge patch, with the answer kept.
    pub(crate) async fn merge(
        &self,
        key: &ClusterKey,
        kind: Kind,
        name: &str,
        patch: &Value,
    ) -> Result<(), Error> {
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let at = (key.namespace.as_str(), name);
        let answer = kind.patch(&self.client, at, Part::Main, &params, &Patch::Merge(patch)).await?;
        self.written(kind, answer);
        Ok(())
    }

    /// Counts a write and takes its answer in.
    pub(crate) fn written(&self, kind: Kind, answer: Read) {
        self.telemetry.metrics.api_writes.inc();
        self.cache.lock().expect("no panic under the lock").assume(kind, answer);
    }

    /// Reads the cluster's cached objects.
    pub(super) fn with_members<T: Default>(
        &self,
        key: &ClusterKey,
        read: impl FnOnce(&crate::cache::Members) -> T,
    ) -> T {
        self.cache
            .lock()
            .expect("no panic under the lock")
            .members(key)
            .map(|members| read(members))
            .unwrap_or_default()
    }
}

pub(super) fn is_ours(object: &DynamicObject, key: &ClusterKey) -> bool {
    let label = object.metadata.labels.as_ref().and_then(|l| l.get(labels::CLUSTER));
    label.is_some_and(|cluster| *cluster == key.name)
}

/// Whether an object of that name is of the cluster's tree, and ours to write.
fn is_of_tree(live: &DynamicObject, key: &ClusterKey, rendered: &Rendered) -> bool {
    is_ours(live, key) || has_owner_of(live, &rendered.value) || is_nobodys(live, rendered)
}

/// Whether the same object controls both: then it is of our tree, whatever its labels.
fn has_owner_of(live: &DynamicObject, rendered: &Value) -> bool {
    let ours = rendered.pointer("/metadata/ownerReferences/0/uid").and_then(Value::as_str);
    let mut theirs = live.metadata.owner_references.iter().flatten();
    ours.is_some() && theirs.any(|owner| owner.controller == Some(true) && Some(owner.uid.as_str()) == ours)
}

/// Whether all of the object is applied: what waits for a release is left out, and the rest is for
/// the one object of that UID.
fn is_whole(rendered: &Rendered) -> bool {
    rendered.value.pointer("/metadata/uid").is_none()
}

/// A Secret as vitess-operator leaves those of vtadmin: without labels and owner, and with the
/// very files that we would write.
fn is_nobodys(found: &DynamicObject, rendered: &Rendered) -> bool {
    let unclaimed = found.metadata.labels.as_ref().is_none_or(BTreeMap::is_empty)
        && found.metadata.owner_references.as_ref().is_none_or(Vec::is_empty);
    let files = |data: &Value| {
        data.as_object().map(|files| files.keys().cloned().collect::<Vec<String>>()).unwrap_or_default()
    };
    rendered.object.kind == Kind::Secret.as_str()
        && unclaimed
        && files(&found.data["data"]) == files(&rendered.value["data"])
}
