//! Effects on tablet Pods: the drain annotations, and re-creation.

use pilothouse_api::labels::annotations;
use pilothouse_core::action::{DrainStep, ObjectRef};
use pilothouse_core::topology::TabletAlias;
use pilothouse_core::view::ClusterView;
use serde_json::{Value, json};

use super::{Effects, Error};
use crate::cache::ClusterKey;
use crate::kinds::Kind;

impl Effects {
    /// Moves a tablet's drain protocol one step on, or clears it.
    pub(super) async fn drain_tablet(
        &self,
        key: &ClusterKey,
        tablet: &TabletAlias,
        step: DrainStep,
    ) -> Result<(), Error> {
        let now = crate::clock::rfc3339(self.clock.now());
        let annotations: Value = match step {
            DrainStep::Start => {
                json!({ annotations::DRAIN_STARTED: format!("{}{now}", annotations::DRAIN_STARTED_BY_US) })
            }
            DrainStep::Acknowledge => json!({ annotations::DRAIN_ACKNOWLEDGED: now }),
            DrainStep::Finish => json!({ annotations::DRAIN_FINISHED: now }),
            DrainStep::Abort => json!({
                annotations::DRAIN_STARTED: null,
                annotations::DRAIN_ACKNOWLEDGED: null,
                annotations::DRAIN_FINISHED: null,
            }),
        };
        self.annotate_tablet(key, tablet, None, &annotations).await
    }

    /// Sets annotations of a tablet's Pod (null takes one away), as it was read; of `pod_uid` alone, if given.
    pub(super) async fn annotate_tablet(
        &self,
        key: &ClusterKey,
        tablet: &TabletAlias,
        pod_uid: Option<&str>,
        annotations: &Value,
    ) -> Result<(), Error> {
        let (name, version) = self
            .with_members(key, |m| {
                let is_meant = |uid: &str| pod_uid.is_none_or(|meant| meant == uid);
                let pod = crate::observe::tablet_pod(m, tablet).filter(|pod| is_meant(pod.uid()))?;
                Some((pod.name().to_owned(), pod.head().resource_version.clone()))
            })
            .ok_or_else(|| {
                let what = if pod_uid.is_some() { "another Pod" } else { "no Pod" };
                Error::Overtaken(format!("tablet {tablet} has {what}"))
            })?;
        let patch = json!({ "metadata": { "resourceVersion": version, "annotations": annotations } });
        self.merge(key, Kind::Pod, &name, &patch).await
    }

    /// Has the mysqld of that Pod write out all that it has when it ends.
    pub(super) async fn prepare_upgrade(
        &self,
        key: &ClusterKey,
        tablet: &TabletAlias,
        pod_uid: &str,
    ) -> Result<(), Error> {
        let stands = self.with_members(key, |m| {
            Some(crate::observe::tablet_pod(m, tablet).is_some_and(|pod| pod.uid() == pod_uid))
        });
        if stands != Some(true) {
            return Err(Error::Overtaken(format!("tablet {tablet} has another Pod")));
        }
        Ok(self.vitess.prepare_upgrade(key, tablet).await?)
    }

    /// Removes a tablet's Pod; the next pass creates it as rendered then.
    pub(super) async fn recreate_tablet(
        &self,
        key: &ClusterKey,
        tablet: &TabletAlias,
        pod_uid: &str,
    ) -> Result<(), Error> {
        let name = self
            .with_members(key, |m| crate::observe::tablet_pod(m, tablet).map(|p| p.name().to_owned()))
            .ok_or_else(|| Error::Overtaken(format!("tablet {tablet} has no Pod")))?;
        let pod = ObjectRef { kind: "Pod".to_owned(), namespace: key.namespace.clone(), name };
        self.evict(key, &pod, pod_uid).await
    }

    /// Takes a tablet's Pod away, and its volume with it; the next passes make both anew, and the new one restores.
    /// A budget may keep the Pod, so that goes first: a claim that is to go cannot be kept any more. Between the two
    /// the tablet comes back as it was, and is judged again.
    pub(super) async fn restore_tablet(
        &self,
        key: &ClusterKey,
        view: &ClusterView,
        alias: &TabletAlias,
    ) -> Result<(), Error> {
        let tablet = view.tablet(alias);
        let volume = tablet.and_then(|t| view.volume(t.volume.as_deref()?));
        let names = tablet.and_then(|t| Some((t.pod_name()?, &t.pod_uid)));
        let (Some((pod_name, pod_uid)), Some(volume)) = (names, volume) else {
            return Err(Error::Overtaken(format!("tablet {alias} has no Pod, or no claim")));
        };
        self.is_errant_still(key, view, alias)?;
        let object = |kind: &str, name: &str| ObjectRef {
            kind: kind.to_owned(),
            namespace: key.namespace.clone(),
            name: name.to_owned(),
        };
        let (pod, claim) = (object("Pod", pod_name), object("PersistentVolumeClaim", &volume.claim));
        // Nothing goes when the claim is another one by now.
        self.named(key, &claim, &volume.uid).await?;
        self.evict(key, &pod, pod_uid).await?;
        // One that has come in its place would lose what nobody judged.
        self.named(key, &pod, pod_uid).await?;
        match self.named(key, &claim, &volume.uid).await? {
            Some(found) => self.remove(key, &claim, &found).await,
            None => Ok(()),
        }
    }

    /// Whether the tablet has just told the same of what it alone has, and the topology still names that primary.
    fn is_errant_still(
        &self,
        key: &ClusterKey,
        view: &ClusterView,
        alias: &TabletAlias,
    ) -> Result<(), Error> {
        let fresh = self.vitess.observe(key).unwrap_or_default();
        let told = fresh.tablets.get(alias).and_then(|t| t.replication.as_ref()).map(|r| &r.errant);
        let judged = view.tablet(alias).and_then(|t| t.replication.as_ref()).map(|r| &r.errant);
        let shard = view.tablet(alias).and_then(|t| view.shard(&t.shard));
        let primary = shard.and_then(|s| fresh.shards.get(&s.id)?.primary.as_ref());
        let is_same = told.is_some() && told == judged && primary == shard.and_then(|s| s.primary.as_ref());
        if is_same {
            Ok(())
        } else {
            Err(Error::Overtaken(format!("tablet {alias} tells something else now")))
        }
    }
}
