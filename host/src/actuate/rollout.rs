//! Effects of rollouts: the annotations that schedule and release changes.
//!
//! `scheduled` is applied under a manager of its own. What people write (`released`, `cascade`)
//! is never applied; it is taken away on the version that was judged.

use kube::api::{Patch, PatchParams};
use pilothouse_api::labels::annotations;
use pilothouse_core::action::{ObjectRef, RolloutMark};
use pilothouse_core::topology::TabletAlias;
use serde_json::{Map, Value, json};

use super::{Effects, Error, ROLLOUT_MANAGER};
use crate::cache::ClusterKey;
use crate::kinds::{Kind, Part};

impl Effects {
    /// Writes down what waits, at the object of that UID and no other.
    pub(super) async fn schedule_change(
        &self,
        object: &ObjectRef,
        uid: &str,
        changes: &str,
    ) -> Result<(), Error> {
        let kind = Kind::of(&object.kind).ok_or(Error::Unsupported)?;
        let resource = kind.resource();
        let body = json!({
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {
                "name": object.name,
                "namespace": object.namespace,
                "uid": uid,
                "annotations": { annotations::ROLLOUT_SCHEDULED: changes },
            },
        });
        let params = PatchParams::apply(ROLLOUT_MANAGER).force();
        let at = (object.namespace.as_str(), object.name.as_str());
        let answer = kind.patch(&self.client, at, Part::Main, &params, &Patch::Apply(&body)).await?;
        self.written(kind, answer);
        Ok(())
    }

    /// Releases the change that waits at a tablet's Pod.
    pub(super) async fn release_tablet(
        &self,
        key: &ClusterKey,
        tablet: &TabletAlias,
        pod_uid: &str,
    ) -> Result<(), Error> {
        let now = crate::clock::rfc3339(self.clock.now());
        let annotations = json!({ annotations::ROLLOUT_RELEASED: now });
        self.annotate_tablet(key, tablet, Some(pod_uid), &annotations).await
    }

    /// Takes marks away from the object as it was at `version`.
    pub(super) async fn end_rollout(
        &self,
        key: &ClusterKey,
        object: &ObjectRef,
        version: &str,
        marks: &[RolloutMark],
    ) -> Result<(), Error> {
        let kind = Kind::of(&object.kind).ok_or(Error::Unsupported)?;
        let gone: Map<String, Value> =
            marks.iter().map(|mark| (annotation(*mark).to_owned(), Value::Null)).collect();
        let patch = json!({ "metadata": { "resourceVersion": version, "annotations": gone } });
        self.merge(key, kind, &object.name, &patch).await
    }
}

const fn annotation(mark: RolloutMark) -> &'static str {
    match mark {
        RolloutMark::Scheduled => annotations::ROLLOUT_SCHEDULED,
        RolloutMark::Released => annotations::ROLLOUT_RELEASED,
        RolloutMark::Cascade => annotations::ROLLOUT_CASCADE,
    }
}
