//! The watch over one cluster: vtctld is listed and tablets are probed, each at its own pace.
//!
//! Owns the loops. A call that hangs delays nobody but itself; what came of each is
//! [`super::known`]'s to judge.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use pilothouse_core::Millis;
use pilothouse_core::gtid::GtidSet;
use pilothouse_core::topology::{ShardId, TabletAlias};
use pilothouse_core::view::{BackupView, CELLS_ALIAS, Topology};
use pilothouse_vitess::{
    Answer, Dialer, Error, Health, KeyspaceRecord, ShardRecord, Tablet, TabletRecord, Vtctld, restored,
};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::digest;
use super::known::{Known, holds_since};
use super::real::Told;
use super::settings::VitessSettings;
use crate::cache::ClusterKey;
use crate::clock::Clock;

/// Records that only we, or people, change are listed this often, unless we changed something.
const RECORDS_EVERY: Duration = Duration::from_secs(5);
/// Listing a store of backups costs its provider's money.
const BACKUPS_EVERY: Duration = Duration::from_secs(30);

/// How full a tablet's volume is, is asked this often.
const DISKS_EVERY: Duration = Duration::from_secs(60);

/// A tablet that has just fallen silent, a replica that still hears such a primary, and one that hung up, is probed
/// so many times as often.
const FASTER_IN_DOUBT: u32 = 4;

/// How often the time between two calls of a vtctld that never answered is doubled.
const DOUBLINGS: u32 = 5;

/// What was heard, and how often it has changed.
#[derive(Default)]
pub(super) struct Heard {
    pub known: Known,
    /// Another number whenever an observation differs beyond buckets.
    pub revision: u64,
    /// Whether the cluster waits for another primary.
    pub lost_primary: bool,
    digest: u64,
}

/// What a watch runs on.
pub(super) struct Watch {
    pub key: ClusterKey,
    pub vtctld: Arc<Vtctld>,
    pub dialer: Dialer,
    pub settings: VitessSettings,
    pub backups: Option<String>,
    pub clock: Clock,
    pub heard: Arc<Mutex<Heard>>,
    pub look: Arc<Notify>,
    pub told: Arc<Told>,
}

impl Watch {
    /// Runs until it is dropped.
    pub(super) async fn run(self) {
        let listed = Notify::new();
        tokio::join!(
            self.list(&listed),
            self.probe(&listed),
            self.ask_what_was_restored(),
            self.ask_how_full_disks_are()
        );
    }

    /// Changes what is known, and tells whoever waits for it if that makes a difference.
    fn hear(&self, change: impl FnOnce(&mut Known, Millis)) {
        let now = self.clock.now();
        let mut heard = self.heard.lock().expect("no panic under the lock");
        change(&mut heard.known, now);
        let seen = heard.known.observation(now, self.settings.stale_ms);
        let digest = digest::of(seen.as_ref());
        if digest != heard.digest {
            heard.digest = digest;
            heard.lost_primary = seen.is_some_and(|seen| seen.lost_primary());
            heard.revision = self.told.touch(&self.key);
        }
    }

    fn known<T>(&self, read: impl FnOnce(&Known) -> T) -> T {
        read(&self.heard.lock().expect("no panic under the lock").known)
    }

    async fn list(&self, listed: &Notify) {
        let (mut due, mut failed) = (Due::default(), 0);
        loop {
            let began = self.clock.instant();
            failed = match self.list_once(&mut due, began).await {
                Ok(()) => 0,
                Err(error) => {
                    if failed == 0 {
                        tracing::warn!(cluster = %self.key, %error, "vtctld does not tell; it is asked again");
                    }
                    self.hear(|_, _| {});
                    failed + 1
                }
            };
            listed.notify_one();
            // Where nobody ever told anything, nobody waits for the answer.
            let doublings =
                if self.known(|known| known.shards.is_some()) { 0 } else { failed.min(DOUBLINGS) };
            let next = began + Duration::from_millis(self.settings.poll_ms << doublings);
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                () = self.look.notified() => due = Due::default(),
            }
        }
    }

    /// Lists what is due. What fails holds back nothing that does not need it.
    async fn list_once(&self, due: &mut Due, now: Instant) -> Result<(), Error> {
        let keyspaces = self.vtctld.keyspaces().await?;
        let mut shards = BTreeMap::new();
        for keyspace in keyspaces.keys() {
            shards.extend(self.vtctld.shards(keyspace).await?);
        }
        self.hear(|known, at| {
            known.keyspaces.clone_from(&keyspaces);
            known.led(shards.clone(), at);
        });
        let tablets = self.list_tablets().await;
        let records = if tablets.is_err() || due.records.is_some_and(|at| at > now) {
            tablets
        } else {
            self.list_records(keyspaces).await
        };
        due.records = next(due.records, now, RECORDS_EVERY, &records);
        let backups =
            if due.backups.is_some_and(|at| at > now) { Ok(()) } else { self.list_backups(&shards).await };
        due.backups = next(due.backups, now, BACKUPS_EVERY, &backups);
        records.and(backups)
    }

    /// Where a cell does not tell, its tablets stay as they were told last, and no record is known whole.
    async fn list_tablets(&self) -> Result<(), Error> {
        let failed = match self.vtctld.tablets(true).await {
            Ok(tablets) => {
                self.hear(|known, now| known.listed(tablets, now));
                return Ok(());
            }
            Err(error) => error,
        };
        let told = self.vtctld.tablets(false).await.unwrap_or_default();
        self.hear(|known, now| {
            known.topology = None;
            known.told(told, now);
        });
        Err(failed)
    }

    async fn list_records(&self, keyspaces: BTreeMap<String, KeyspaceRecord>) -> Result<(), Error> {
        let topology = self.topology(keyspaces).await;
        let (topology, failed) = match topology {
            Ok(topology) => (Some(topology), Ok(())),
            Err(error) => (None, Err(error)),
        };
        self.hear(|known, _| known.topology = topology);
        self.ask_who_ends_slowly().await;
        failed
    }

    async fn topology(&self, keyspaces: BTreeMap<String, KeyspaceRecord>) -> Result<Topology, Error> {
        let mut topology = Topology {
            cells: self.vtctld.cells().await?,
            alias: self.vtctld.alias(CELLS_ALIAS).await?.unwrap_or_default(),
            ..Topology::default()
        };
        for keyspace in keyspaces.keys() {
            for (cell, ranges) in self.vtctld.graphs(keyspace).await? {
                topology.graphs.entry(cell).or_default().insert(keyspace.clone(), ranges);
            }
        }
        topology.keyspaces =
            keyspaces.into_iter().map(|(name, record)| (name, record.durability_policy)).collect();
        Ok(topology)
    }

    async fn list_backups(&self, shards: &BTreeMap<ShardId, ShardRecord>) -> Result<(), Error> {
        let mut all = Vec::new();
        let location = self.backups.clone().unwrap_or_default();
        for shard in shards.keys().filter(|_| self.backups.is_some()) {
            let backups = self.vtctld.backups(shard).await?.into_iter();
            all.extend(backups.map(|backup| BackupView {
                name: backup.name,
                shard: shard.clone(),
                location: location.clone(),
                started: backup.started,
                finished: None,
                bytes: 0,
                verified: None,
                position: GtidSet::default(),
                from: None,
                written: BTreeMap::new(),
            }));
        }
        self.hear(|known, _| {
            known.backups = Some(all);
            known.location = self.backups.clone();
        });
        Ok(())
    }

    /// A mysqld that was started anew does not end slowly any more, and one that cannot be asked may not.
    async fn ask_who_ends_slowly(&self) {
        for alias in self.known(|known| known.slow.clone()) {
            if !self.vtctld.ends_slowly(&alias).await.unwrap_or(false) {
                self.hear(|known, _| {
                    known.slow.remove(&alias);
                });
            }
        }
    }

    /// Asks each tablet once, as soon as it serves, what it restored before. That is not protected as calls are, so
    /// where those are, nobody is asked.
    async fn ask_what_was_restored(&self) {
        let mut failed = 0;
        while self.dialer.tls.is_none() {
            tokio::time::sleep(RECORDS_EVERY * (1 << failed)).await;
            let mut any_failed = false;
            for (alias, peer) in self.known(Known::unasked) {
                match restored(&peer, self.within()).await {
                    Ok(told) => self.hear(|known, now| known.restored(alias, told, now)),
                    Err(error) => {
                        tracing::debug!(cluster = %self.key, tablet = %alias, %error, "no word of its restore");
                        any_failed = true;
                    }
                }
            }
            failed = if any_failed { (failed + 1).min(DOUBLINGS) } else { 0 };
        }
    }

    /// Asks each tablet that tells all how full its volume is. One that cannot say has no volume that grows by itself.
    async fn ask_how_full_disks_are(&self) {
        tokio::time::sleep(RECORDS_EVERY).await;
        loop {
            for (alias, place) in self.known(Known::telling) {
                let Ok(tablet) = self.dialer.link(&place).map(Tablet::new) else { continue };
                match tablet.disk_used(self.within()).await {
                    Ok(Some(used)) => self.hear(|known, now| known.disks.told(&alias, used, now)),
                    Ok(None) => {}
                    Err(error) => {
                        tracing::debug!(cluster = %self.key, tablet = %alias, %error, "no word of its volume");
                    }
                }
            }
            tokio::time::sleep(DISKS_EVERY).await;
        }
    }

    /// Probes every tablet that has said where it is, each at its own pace.
    async fn probe(&self, listed: &Notify) {
        let hurry = Notify::new();
        let mut probing = FuturesUnordered::new();
        let mut places: BTreeMap<TabletAlias, (String, u64)> = BTreeMap::new();
        let mut begun = 0;
        loop {
            let told = self.known(|known| places_of(&known.tablets));
            places.retain(|alias, (place, _)| told.get(alias) == Some(place));
            for (alias, place) in told {
                let Entry::Vacant(new) = places.entry(alias) else { continue };
                begun += 1;
                probing.extend(self.tablet(new.key(), &place, begun).map(|t| self.probe_at(t, None, &hurry)));
                new.insert((place, begun));
            }
            tokio::select! {
                Some((mut tablet, answer, began)) = probing.next(), if !probing.is_empty() => {
                    // One that has moved meanwhile is probed where it is now.
                    if places.get(&tablet.alias).is_some_and(|(_, begun)| *begun == tablet.begun) {
                        if matches!(answer, Answer::Silent(_)) {
                            // Its connection may lead into the void, and would be kept.
                            tablet.health = Health::default();
                        }
                        let next = self.take_in(&tablet.alias, answer, began, &hurry);
                        probing.push(self.probe_at(tablet, Some((began, next)), &hurry));
                    }
                }
                () = listed.notified() => {}
            }
        }
    }

    fn tablet(&self, alias: &TabletAlias, place: &str, begun: u64) -> Option<Probing> {
        let link = self.dialer.link(place).map(Tablet::new);
        let no = |error: &Error| tracing::warn!(cluster = %self.key, tablet = %alias, %error, "not probed");
        Some(Probing {
            alias: alias.clone(),
            begun,
            link: link.inspect_err(no).ok()?,
            health: Health::default(),
        })
    }

    /// Takes in an answer; answers when the tablet is probed again. One that is worse than the last makes
    /// all others be probed at once.
    fn take_in(&self, alias: &TabletAlias, answer: Answer, began: Instant, hurry: &Notify) -> Duration {
        let (mut worse, mut in_doubt) = (false, false);
        let took = self.clock.instant() - began;
        self.hear(|known, now| {
            let since = holds_since(&answer, took, self.within(), now);
            worse = known.hear(alias, answer, since);
            in_doubt = known.is_in_doubt(alias, now);
        });
        if worse {
            hurry.notify_waiters();
        }
        let pace = Duration::from_millis(self.settings.poll_ms);
        if in_doubt { pace / FASTER_IN_DOUBT } else { pace }
    }

    /// What a probe may take.
    const fn within(&self) -> Duration {
        Duration::from_millis(self.settings.probe_ms)
    }

    /// Probes a tablet that was last probed at that time, after that while or as soon as there is reason
    /// to (another one is worse, it hung up, it says that its health has changed), though not in a rush.
    async fn probe_at(
        &self,
        mut tablet: Probing,
        last: Option<(Instant, Duration)>,
        hurry: &Notify,
    ) -> (Probing, Answer, Instant) {
        if let Some((last, pace)) = last {
            let soonest = last + Duration::from_millis(self.settings.poll_ms) / FASTER_IN_DOUBT;
            let Probing { link, health, .. } = &mut tablet;
            tokio::select! {
                () = tokio::time::sleep_until(last + pace) => {}
                () = hurry.notified() => {}
                () = link.hung_up() => tokio::time::sleep_until(soonest).await,
                () = link.health_changed(health) => tokio::time::sleep_until(soonest).await,
            }
        }
        let began = self.clock.instant();
        let within = self.within();
        let answer = if self.known(|known| known.is_witness(&tablet.alias)) {
            tablet.link.probe_closely(within).await
        } else {
            tablet.link.probe(within).await
        };
        (tablet, answer, began)
    }
}

/// A tablet that is probed.
struct Probing {
    alias: TabletAlias,
    /// Which of its probings this is.
    begun: u64,
    link: Tablet,
    health: Health,
}

/// When what is not listed each time is listed again; `None`: at once.
#[derive(Default)]
struct Due {
    records: Option<Instant>,
    backups: Option<Instant>,
}

/// What was listed now is listed again after a while, and what failed the next time.
fn next(due: Option<Instant>, now: Instant, every: Duration, listed: &Result<(), Error>) -> Option<Instant> {
    if listed.is_err() {
        return None;
    }
    due.filter(|at| *at > now).or(Some(now + every))
}

fn places_of(tablets: &BTreeMap<TabletAlias, TabletRecord>) -> BTreeMap<TabletAlias, String> {
    tablets.values().filter_map(|t| Some((t.alias.clone(), t.grpc.clone()?))).collect()
}
