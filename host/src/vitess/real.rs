//! Vitess itself: one watch a cluster, what it heard last, and the calls that change something.
//!
//! Owns which clusters are watched. A cluster is watched from when its vtctld first can be asked
//! until it is gone: one in which nothing runs costs nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use pilothouse_api::labels::{self, Component};
use pilothouse_api::{VitessCluster, names};
use pilothouse_core::topology::{ShardId, TabletAlias};
use pilothouse_core::view::{Record, Registration};
use pilothouse_vitess::{Dialer, Vtctld};
use serde_json::Value;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::known::Known;
use super::settings::VitessSettings;
use super::watching::{self, Heard};
use super::{Error, Observation};
use crate::cache::{ClusterKey, Members};
use crate::clock::Clock;
use crate::kinds::Kind;
use crate::render;
use crate::topology::TopologyRecords;

/// A host that stops has so long until it is killed, as Pods have it, and keeps the Lease meanwhile.
const HANDED_BACK_WITHIN: Duration = Duration::from_secs(10);
/// Calls of a host that stops, at a time.
const AT_ONCE: usize = 32;

/// Vitess, asked.
#[derive(Clone)]
pub struct RealVitess(Arc<Shared>);

struct Shared {
    settings: VitessSettings,
    dialer: Dialer,
    clock: Clock,
    clusters: Mutex<BTreeMap<ClusterKey, Followed>>,
    told: Arc<Told>,
}

/// Which clusters somebody should look at.
pub(super) struct Told {
    touched: Mutex<BTreeSet<ClusterKey>>,
    count: watch::Sender<u64>,
}

impl Told {
    /// Says that what is known of a cluster differs; answers a number that nobody had before.
    pub(super) fn touch(&self, key: &ClusterKey) -> u64 {
        self.touched.lock().expect("no panic under the lock").insert(key.clone());
        self.count.send_modify(|count| *count += 1);
        *self.count.borrow()
    }

    pub(super) fn take(&self) -> BTreeSet<ClusterKey> {
        std::mem::take(&mut *self.touched.lock().expect("no panic under the lock"))
    }

    pub(super) fn count(&self) -> watch::Receiver<u64> {
        self.count.subscribe()
    }
}

/// Where a cluster's vtctld is, and what of its store it lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// `HOST:PORT`.
    pub vtctld: String,
    /// The location of the backups that it lists; `None`: the manifest has none.
    pub backups: Option<String>,
}

/// A cluster that is watched.
struct Followed {
    place: Place,
    vtctld: Arc<Vtctld>,
    heard: Arc<Mutex<Heard>>,
    /// Rung when something was changed: the next look is at once.
    look: Arc<Notify>,
    _watch: JoinSet<()>,
}

impl RealVitess {
    /// Asks as the settings say, whose [`VitessSettings::dialer`] it is. Nobody is watched yet.
    #[must_use]
    pub fn new(dialer: Dialer, settings: VitessSettings, clock: Clock) -> Self {
        let told = Arc::new(Told { touched: Mutex::default(), count: watch::Sender::new(0) });
        Self(Arc::new(Shared { settings, dialer, clock, clusters: Mutex::default(), told }))
    }

    /// Watches a cluster if its vtctld can be asked; one that is watched stays so while it stands.
    pub(super) fn look_for(&self, key: &ClusterKey, cluster: &VitessCluster, members: &Members) {
        let of = |component: Component| {
            let deployments = members.of(Kind::Deployment);
            deployments.filter(move |d| d.label(labels::COMPONENT) == component.as_str())
        };
        let available = |d: &Value| d.as_u64().is_some_and(|replicas| replicas > 0);
        if of(Component::Vtctld).any(|d| d.field("/status/availableReplicas").is_some_and(available)) {
            let service = names::vtctld_service(&key.name);
            let vtctld = format!("{service}.{}.svc:{}", key.namespace, render::GRPC_PORT);
            self.follow(key, Place { vtctld, backups: render::listed_location(cluster) });
        } else if of(Component::Vtctld).next().is_none() {
            self.unfollow(key);
        }
    }

    /// Watches a cluster. Has to be called within a runtime.
    pub fn follow(&self, key: &ClusterKey, place: Place) {
        let mut clusters = self.clusters();
        if clusters.get(key).is_some_and(|followed| followed.place == place) {
            return;
        }
        let Shared { settings, dialer, clock, told, .. } = &*self.0;
        let link = match dialer.link(&place.vtctld) {
            Ok(link) => link,
            Err(error) => {
                tracing::error!(cluster = %key, %error, "its vtctld cannot be asked");
                return;
            }
        };
        let vtctld = Arc::new(Vtctld::new(link, settings.within()));
        let (heard, look) = (Arc::<Mutex<Heard>>::default(), Arc::<Notify>::default());
        let watch = watching::Watch {
            key: key.clone(),
            vtctld: Arc::clone(&vtctld),
            dialer: dialer.clone(),
            settings: settings.clone(),
            backups: place.backups.clone(),
            clock: clock.clone(),
            heard: Arc::clone(&heard),
            look: Arc::clone(&look),
            told: Arc::clone(told),
        };
        let mut watches = JoinSet::new();
        watches.spawn(watch.run());
        clusters.insert(key.clone(), Followed { place, vtctld, heard, look, _watch: watches });
    }

    /// Watches it no more, and forgets what was heard.
    pub(super) fn unfollow(&self, key: &ClusterKey) {
        self.clusters().remove(key);
    }

    pub(super) fn observe(&self, key: &ClusterKey) -> Option<Observation> {
        let heard = Arc::clone(&self.clusters().get(key)?.heard);
        let heard = heard.lock().expect("no panic under the lock");
        heard.known.observation(self.0.clock.now(), self.0.settings.stale_ms)
    }

    pub(super) fn revision(&self, key: &ClusterKey) -> u64 {
        let heard = self.clusters().get(key).map(|followed| Arc::clone(&followed.heard));
        heard.map_or(0, |heard| heard.lock().expect("no panic under the lock").revision)
    }

    pub(super) fn lost_primary(&self, key: &ClusterKey) -> bool {
        let heard = self.clusters().get(key).map(|followed| Arc::clone(&followed.heard));
        heard.is_some_and(|heard| heard.lock().expect("no panic under the lock").lost_primary)
    }

    pub(super) fn told(&self) -> Arc<Told> {
        Arc::clone(&self.0.told)
    }

    fn clusters(&self) -> MutexGuard<'_, BTreeMap<ClusterKey, Followed>> {
        self.0.clusters.lock().expect("no panic under the lock")
    }

    /// Takes down what a call has shown of a cluster, before it is listed or probed.
    fn note(&self, key: &ClusterKey, change: impl FnOnce(&mut Known)) {
        if let Some(followed) = self.clusters().get(key) {
            change(&mut followed.heard.lock().expect("no panic under the lock").known);
        }
    }

    /// Calls a cluster's vtctld; whatever comes of it, what is known is looked at again at once.
    async fn call<T>(
        &self,
        key: &ClusterKey,
        call: impl AsyncFnOnce(&Vtctld) -> Result<T, pilothouse_vitess::Error>,
    ) -> Result<T, Error> {
        let found = self.clusters().get(key).map(|f| (Arc::clone(&f.vtctld), Arc::clone(&f.look)));
        let (vtctld, look) = found.ok_or(Error::NoVtctld)?;
        let answer = call(&vtctld).await;
        look.notify_one();
        Ok(answer?)
    }

    pub(super) async fn init_primary(
        &self,
        key: &ClusterKey,
        shard: &ShardId,
        to: &TabletAlias,
    ) -> Result<(), Error> {
        self.call(key, async |vtctld| vtctld.init_primary(shard, to).await).await?;
        self.promoted(key, shard, to);
        Ok(())
    }

    /// Nothing has to be listed first to know who the primary is now.
    fn promoted(&self, key: &ClusterKey, shard: &ShardId, to: &TabletAlias) {
        self.note(key, |known| known.promoted(shard, to, self.0.clock.now()));
    }

    pub(super) async fn planned_reparent(
        &self,
        key: &ClusterKey,
        shard: &ShardId,
        from: &TabletAlias,
        to: &TabletAlias,
    ) -> Result<(), Error> {
        self.call(key, async |vtctld| vtctld.planned_reparent(shard, from, to).await).await?;
        self.promoted(key, shard, to);
        Ok(())
    }

    pub(super) async fn emergency_reparent(
        &self,
        key: &ClusterKey,
        shard: &ShardId,
        lost: &TabletAlias,
        to: &TabletAlias,
        without: &[TabletAlias],
    ) -> Result<(), Error> {
        self.call(key, async |vtctld| vtctld.emergency_reparent(shard, lost, to, without).await).await?;
        self.promoted(key, shard, to);
        Ok(())
    }

    pub(super) async fn remove_backup(
        &self,
        key: &ClusterKey,
        shard: &ShardId,
        backup: &str,
    ) -> Result<(), Error> {
        self.call(key, async |vtctld| vtctld.remove_backup(shard, backup).await).await
    }

    pub(super) async fn end_slowly(&self, key: &ClusterKey, tablet: &TabletAlias) -> Result<(), Error> {
        self.call(key, async |vtctld| vtctld.end_slowly(tablet).await).await?;
        self.note(key, |known| _ = known.slow.insert(tablet.clone()));
        Ok(())
    }

    pub(super) async fn switch_vtorc(
        &self,
        key: &ClusterKey,
        shard: &ShardId,
        on: bool,
    ) -> Result<(), Error> {
        let answer = self.call(key, async |vtctld| vtctld.let_vtorc_fail_over(shard, on).await).await;
        if matches!(&answer, Err(Error::Refused { code, .. }) if code == "Unimplemented") {
            self.note(key, |known| known.unswitchable = true);
        }
        answer
    }

    /// Whoever does not answer in time stays as it is; the next leader puts it right, if there is one.
    pub(super) async fn hand_back(&self) {
        let switched_off = |followed: &Followed| {
            let heard = followed.heard.lock().expect("no panic under the lock");
            heard.known.standing_by()
        };
        let shards: Vec<(ClusterKey, ShardId)> = {
            let clusters = self.clusters();
            let all = clusters.iter().map(|(key, followed)| (key, switched_off(followed)));
            all.flat_map(|(key, shards)| shards.into_iter().map(|id| (key.clone(), id))).collect()
        };
        let calls = stream::iter(&shards).for_each_concurrent(AT_ONCE, async |(key, shard)| {
            if let Err(error) = self.switch_vtorc(key, shard, true).await {
                tracing::warn!(cluster = %key, %shard, %error, "VTOrc still stands by");
            }
        });
        if tokio::time::timeout(HANDED_BACK_WITHIN, calls).await.is_err() {
            tracing::warn!("not every VTOrc was told in time: some still stand by");
        }
    }

    pub(super) async fn forget_tablet(&self, key: &ClusterKey, tablet: &TabletAlias) -> Result<(), Error> {
        self.call(key, async |vtctld| vtctld.delete_tablet(tablet, false).await).await
    }
}

impl TopologyRecords for RealVitess {
    async fn register_record(&self, cluster: &ClusterKey, asked: &Registration) -> Result<(), Error> {
        self.call(cluster, async |vtctld| vtctld.register(asked).await).await
    }

    async fn prune_record(&self, cluster: &ClusterKey, record: &Record) -> Result<(), Error> {
        self.call(cluster, async |vtctld| vtctld.prune(record).await).await
    }
}
