//! The seam to Vitess: what its topology and tablets say, and the calls that change them.
//!
//! Owns the observation's shape. `Real` is Vitess itself. `Unknown` is a full member: without a
//! client nothing is known, and every destructive step waits. `Played` is the simulator's Vitess;
//! status says so.

mod digest;
mod disks;
mod known;
mod lost;
mod real;
pub mod settings;
mod watching;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pilothouse_api::VitessCluster;

use pilothouse_core::gtid::GtidSet;
use pilothouse_core::topology::{ShardId, TabletAlias};
use pilothouse_core::view::{
    BackupView, Reach, Record, Registration, Replication, Role, Topology, VitessSource,
};
use pilothouse_core::{Millis, standing};
use pilothouse_sim::vitess::PlayedVitess;
use tokio::sync::watch;

use crate::cache::{ClusterKey, Members};
use crate::topology::TopologyRecords;
use real::Told;
pub use real::{Place, RealVitess};

/// How Vitess is reached.
#[derive(Clone)]
pub enum Vitess {
    /// It is not.
    Unknown,
    /// By vtctld's and the tablets' own calls.
    Real(RealVitess),
    /// The simulator plays it.
    Played(PlayedVitess),
}

/// A call that Vitess refused or did not finish.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no client.
    #[error("Vitess cannot be reached: this host has no client for it")]
    NoClient,
    /// Nobody has told yet where the cluster's vtctld is.
    #[error("the cluster has no vtctld that can be asked")]
    NoVtctld,
    /// There was no answer, or none that can be read: whether it was done is not known.
    #[error(transparent)]
    InDoubt(pilothouse_vitess::Error),
    /// It said no.
    #[error("{code}: {message}")]
    Refused {
        /// CamelCase.
        code: String,
        /// One sentence.
        message: String,
    },
}

/// What Vitess says of one cluster.
#[derive(Debug, Clone, Default)]
pub struct Observation {
    /// Topology records of shards.
    pub shards: BTreeMap<ShardId, ShardRecord>,
    /// Tablets that the topology has, or that were asked.
    pub tablets: BTreeMap<TabletAlias, TabletRecord>,
    /// The topology's records; `None` while they are not known whole.
    pub topology: Option<Topology>,
    /// Backups in the cluster's locations.
    pub backups: Vec<BackupView>,
    /// The only location whose backups are told of; `None`: all are.
    pub backups_only_of: Option<String>,
    /// What tablets restored when they began; only where not all is told of backups themselves.
    pub restores: Vec<Restore>,
    /// How far each MySQL that answers has written; only there, too.
    pub writers: Vec<Writer>,
}

/// What a tablet restored when it began, by its own word.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Restore {
    /// Which tablet.
    pub tablet: TabletAlias,
    /// Of which shard.
    pub shard: ShardId,
    /// When the backup began, to the second.
    pub started: Millis,
    /// What the backup has.
    pub position: GtidSet,
    /// When it told.
    pub at: Millis,
}

/// How far a MySQL has written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writer {
    /// Of which shard.
    pub shard: ShardId,
    /// MySQL's `server_uuid`.
    pub server: String,
    /// The number of its last own transaction; 0: none.
    pub last: u64,
    /// When it told.
    pub at: Millis,
}

/// A shard's topology record.
#[derive(Debug, Clone, Default)]
pub struct ShardRecord {
    /// The primary.
    pub primary: Option<TabletAlias>,
    /// Since when.
    pub primary_since: Millis,
    /// Whether a database was ever initialised.
    pub initialized: bool,
    /// Whether a VTOrc of it may replace a lost primary.
    pub vtorc: Switch,
}

/// What the topology says of a VTOrc, whether or not one runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Switch {
    /// It may replace no primary of the keyspace, or there can be none: people's choice, and none of ours.
    #[default]
    None,
    /// It may.
    On,
    /// It may not.
    Off,
    /// It may, and cannot be kept from it.
    Stuck,
}

/// What a tablet said, or that it said nothing.
#[derive(Debug, Clone, Default)]
pub struct TabletRecord {
    /// Its role by its own word, else by the topology's.
    pub role: Role,
    /// Whether it answers.
    pub reach: Reach,
    /// Since when that is so.
    pub reach_since: Millis,
    /// Whether it does not, because somebody who is there says that its MySQL is not.
    pub gone: bool,
    /// Its replication, if it answered.
    pub replication: Option<Replication>,
    /// Bytes in use on its volume.
    pub disk_used: Option<u64>,
    /// Bytes an hour; 0: not yet known.
    pub fill_per_hour: u64,
    /// The same where a tablet tells what part of its volume is in use, and not how many bytes.
    pub disk_share: Option<DiskShare>,
    /// Whether its mysqld writes out all that it has when it ends.
    pub ends_written_out: bool,
}

/// How full a volume is, in millionths of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiskShare {
    /// In use.
    pub used: u32,
    /// More each hour; 0: not yet known.
    pub fill_per_hour: u32,
}

impl Vitess {
    /// Where observations come from.
    #[must_use]
    pub const fn source(&self) -> VitessSource {
        match self {
            Self::Unknown => VitessSource::Unknown,
            Self::Real(_) => VitessSource::Observed,
            Self::Played(_) => VitessSource::Played,
        }
    }

    /// What is known of a cluster; `None`: nothing.
    #[must_use]
    pub fn observe(&self, cluster: &ClusterKey) -> Option<Observation> {
        match self {
            Self::Unknown => None,
            Self::Real(real) => real.observe(cluster),
            Self::Played(played) => Some(read(played.observe(&played_key(cluster)))),
        }
    }

    /// Begins to watch a cluster as soon as its objects say that it can be asked.
    pub fn look_for(&self, key: &ClusterKey, cluster: &VitessCluster, members: &Members) {
        if let Self::Real(real) = self {
            real.look_for(key, cluster, members);
        }
    }

    /// Watches a cluster no more that is gone.
    pub fn forget(&self, key: &ClusterKey) {
        if let Self::Real(real) = self {
            real.unfollow(key);
        }
    }

    /// Lets VTOrc replace lost primaries again wherever it stands by: this host is about to stop.
    pub async fn hand_back(&self) {
        if let Self::Real(real) = self {
            real.hand_back().await;
        }
    }

    /// Another number whenever an observation of the cluster may differ beyond the buckets of a view's fingerprint.
    #[must_use]
    pub fn revision(&self, cluster: &ClusterKey) -> u64 {
        match self {
            Self::Unknown => 0,
            Self::Real(real) => real.revision(cluster),
            Self::Played(played) => played.revision(&played_key(cluster)),
        }
    }

    /// Whether a cluster waits for another primary, as far as is known: see [`Observation::lost_primary`].
    #[must_use]
    pub fn lost_primary(&self, cluster: &ClusterKey) -> bool {
        match self {
            Self::Unknown => false,
            Self::Real(real) => real.lost_primary(cluster),
            Self::Played(_) => self.observe(cluster).is_some_and(|seen| seen.lost_primary()),
        }
    }

    /// Tells when an observation may differ.
    #[must_use]
    pub fn changes(&self) -> Changes {
        match self {
            Self::Unknown => Changes(None),
            Self::Real(real) => Changes(Some((real.told().count(), Tells::Real(real.told())))),
            Self::Played(played) => {
                let receiver = played.changed();
                let seen = *receiver.borrow();
                Changes(Some((receiver, Tells::Played(played.clone(), seen))))
            }
        }
    }

    /// Gives a shard its first primary.
    ///
    /// # Errors
    /// When there is no client, Vitess says no, or says nothing in time.
    pub async fn init_primary(
        &self,
        cluster: &ClusterKey,
        shard: &ShardId,
        to: &TabletAlias,
    ) -> Result<(), Error> {
        match self {
            Self::Unknown => Err(Error::NoClient),
            Self::Real(real) => real.init_primary(cluster, shard, to).await,
            Self::Played(played) => Ok(played.init_primary(&played_key(cluster), shard, to).await?),
        }
    }

    /// Swaps a live primary.
    ///
    /// # Errors
    /// When there is no client, Vitess says no, or says nothing in time.
    pub async fn planned_reparent(
        &self,
        cluster: &ClusterKey,
        shard: &ShardId,
        from: &TabletAlias,
        to: &TabletAlias,
    ) -> Result<(), Error> {
        match self {
            Self::Unknown => Err(Error::NoClient),
            Self::Real(real) => real.planned_reparent(cluster, shard, from, to).await,
            Self::Played(played) => {
                Ok(played.planned_reparent(&played_key(cluster), shard, from, to).await?)
            }
        }
    }

    /// Replaces a lost primary; `without` are not waited for.
    ///
    /// # Errors
    /// When there is no client, Vitess says no, or says nothing in time.
    pub async fn emergency_reparent(
        &self,
        cluster: &ClusterKey,
        shard: &ShardId,
        lost: &TabletAlias,
        to: &TabletAlias,
        without: &[TabletAlias],
    ) -> Result<(), Error> {
        match self {
            Self::Unknown => Err(Error::NoClient),
            Self::Real(real) => real.emergency_reparent(cluster, shard, lost, to, without).await,
            Self::Played(played) => {
                Ok(played.emergency_reparent(&played_key(cluster), shard, lost, to, without).await?)
            }
        }
    }

    /// Removes a backup from its location.
    ///
    /// # Errors
    /// When there is no client, Vitess says no, or says nothing in time.
    pub async fn remove_backup(
        &self,
        cluster: &ClusterKey,
        shard: &ShardId,
        backup: &str,
    ) -> Result<(), Error> {
        match self {
            Self::Unknown => Err(Error::NoClient),
            Self::Real(real) => real.remove_backup(cluster, shard, backup).await,
            Self::Played(played) => Ok(played.remove_backup(&played_key(cluster), backup)?),
        }
    }

    /// Has a tablet's mysqld write out all that it has when it ends.
    ///
    /// # Errors
    /// When there is no client, Vitess says no, or says nothing in time.
    pub async fn prepare_upgrade(&self, cluster: &ClusterKey, tablet: &TabletAlias) -> Result<(), Error> {
        match self {
            Self::Unknown => Err(Error::NoClient),
            Self::Real(real) => real.end_slowly(cluster, tablet).await,
            Self::Played(played) => Ok(played.disable_fast_shutdown(&played_key(cluster), tablet)?),
        }
    }

    /// Removes the topology's record of a tablet that is gone; none is fine.
    ///
    /// # Errors
    /// When there is no client, Vitess says no, or says nothing in time.
    pub async fn forget_tablet(&self, cluster: &ClusterKey, tablet: &TabletAlias) -> Result<(), Error> {
        match self {
            Self::Unknown => Err(Error::NoClient),
            Self::Real(real) => real.forget_tablet(cluster, tablet).await,
            Self::Played(played) => match played.delete_tablet_record(&played_key(cluster), tablet) {
                Err(no) if no.code != "not-found" => Err(no.into()),
                Ok(()) | Err(_) => Ok(()),
            },
        }
    }

    /// Says whether a VTOrc may replace a lost primary of the shard.
    ///
    /// # Errors
    /// When there is no client, Vitess says no, or says nothing in time.
    pub async fn switch_vtorc(&self, cluster: &ClusterKey, shard: &ShardId, on: bool) -> Result<(), Error> {
        match self {
            Self::Unknown => Err(Error::NoClient),
            Self::Real(real) => real.switch_vtorc(cluster, shard, on).await,
            // The one that is played replaces no primary.
            Self::Played(_) => Ok(()),
        }
    }

    /// Makes a topology record, or brings it to what is asked.
    ///
    /// # Errors
    /// When there is no client, Vitess says no, or says nothing in time.
    pub async fn register(&self, cluster: &ClusterKey, asked: &Registration) -> Result<(), Error> {
        match self {
            Self::Unknown => Err(Error::NoClient),
            Self::Real(real) => real.register_record(cluster, asked).await,
            Self::Played(played) => played.register_record(cluster, asked).await,
        }
    }

    /// Removes a topology record; none is fine.
    ///
    /// # Errors
    /// When there is no client, Vitess says no, or says nothing in time.
    pub async fn prune(&self, cluster: &ClusterKey, record: &Record) -> Result<(), Error> {
        match self {
            Self::Unknown => Err(Error::NoClient),
            Self::Real(real) => real.prune_record(cluster, record).await,
            Self::Played(played) => played.prune_record(cluster, record).await,
        }
    }
}

/// Waits for changes.
pub struct Changes(Option<(watch::Receiver<u64>, Tells)>);

/// Who says whose observation differs.
enum Tells {
    Real(Arc<Told>),
    /// Since it had counted so far.
    Played(PlayedVitess, u64),
}

impl Changes {
    /// Returns when something may differ, and for whom; never without a client.
    pub async fn changed(&mut self) -> BTreeSet<ClusterKey> {
        if let Some((receiver, tells)) = &mut self.0
            && receiver.changed().await.is_ok()
        {
            return match tells {
                Tells::Real(told) => told.take(),
                Tells::Played(played, seen) => {
                    let count = *receiver.borrow_and_update();
                    let keys = played.changed_since(std::mem::replace(seen, count));
                    let key = |key: pilothouse_sim::vitess::ClusterKey| ClusterKey {
                        namespace: key.namespace,
                        name: key.name,
                    };
                    keys.into_iter().map(key).collect()
                }
            };
        }
        std::future::pending().await
    }
}

impl From<pilothouse_vitess::Error> for Error {
    fn from(error: pilothouse_vitess::Error) -> Self {
        match error {
            pilothouse_vitess::Error::Refused { code, message } => Self::Refused { code, message },
            in_doubt => Self::InDoubt(in_doubt),
        }
    }
}

impl From<pilothouse_sim::vitess::VitessError> for Error {
    fn from(error: pilothouse_sim::vitess::VitessError) -> Self {
        Self::Refused { code: camel(error.code), message: error.message }
    }
}

/// Kebab-case as CamelCase.
fn camel(code: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect::<String>()
    };
    code.split('-').map(capital).collect()
}

pub(crate) fn played_key(cluster: &ClusterKey) -> pilothouse_sim::vitess::ClusterKey {
    pilothouse_sim::vitess::ClusterKey::new(&cluster.namespace, &cluster.name)
}

fn read(played: pilothouse_sim::vitess::Observation) -> Observation {
    let shard = |s: &pilothouse_sim::vitess::ShardObserved| ShardRecord {
        primary: s.primary.clone(),
        primary_since: s.primary_since,
        initialized: s.initialized,
        vtorc: Switch::None,
    };
    let last = |alias: &TabletAlias| played.tablets.get(alias)?.last.as_ref();
    let primary = |of: &TabletAlias, shard: &ShardId| {
        let primary = played.shards.get(shard)?.primary.as_ref().filter(|primary| *primary != of)?;
        let told = last(primary)?;
        Some(standing::Told { server: &told.server, position: &told.position, leads: told.leads })
    };
    let tablet = |alias: &TabletAlias, t: &pilothouse_sim::vitess::TabletObserved| TabletRecord {
        role: t.role,
        reach: t.reach,
        reach_since: t.reach_since,
        // It plays silence alone.
        gone: false,
        replication: t.replication.clone().map(|told| {
            let primary = primary(alias, &t.shard);
            let errant = standing::errant(&told.position, primary);
            let forgotten = standing::forgotten(&t.told, &told.position, primary);
            Replication { errant, forgotten, ..told }
        }),
        disk_used: t.disk_used,
        fill_per_hour: t.fill_per_hour,
        disk_share: None,
        ends_written_out: t.slow_shutdown,
    };
    Observation {
        shards: played.shards.iter().map(|(id, s)| (id.clone(), shard(s))).collect(),
        tablets: played.tablets.iter().map(|(alias, t)| (alias.clone(), tablet(alias, t))).collect(),
        topology: Some(played.topology),
        backups: played.backups,
        backups_only_of: None,
        restores: Vec::new(),
        writers: Vec::new(),
    }
}
