//! Vitess as its operator sees it: tablets, replication, primaries, backups.
//!
//! Played: one mysqld per tablet whose state follows the volume, GTID sets,
//! semi-sync by the keyspace's durability policy, purged binary logs, a stream of client writes, the
//! topology's primary and locks, the reparent commands with Vitess's own refusals,
//! vttablet's and VTOrc's repairs (which may throw a relay log away, as Vitess 24's do), backups and restores, disk use. Not played:
//! queries, schema, a topology server that fails, VTOrc's own failovers (the
//! policies decide those), a vttablet that does not start because its primary does not
//! answer or it has errant transactions. Of resharding only its end is played: traffic that moves from shards to
//! others. Must not know who asks.

use std::collections::{BTreeMap, BTreeSet};

use pilothouse_core::action::ObjectRef;
use pilothouse_core::gtid::GtidSet;
use pilothouse_core::topology::{Cell, ShardId, TabletAlias};
use pilothouse_core::view::{BackupView, CellInfo, Durability, Replication, Role};
use serde_json::Value;
use tokio::sync::{oneshot, watch};

pub(crate) mod backup;
pub(crate) mod flow;
mod observation;
mod played;
mod records;
pub(crate) mod repair;
pub(crate) mod reparent;
pub(crate) mod serving;
pub(crate) mod tablet;

pub use observation::{Last, Observation, ShardObserved, TabletObserved};
pub use played::PlayedVitess;

use crate::world::objects::{label, text};

/// A VitessCluster by namespace and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterKey {
    /// Kubernetes namespace.
    pub namespace: String,
    /// The VitessCluster's name.
    pub name: String,
}

impl ClusterKey {
    /// The cluster `name` in `namespace`.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

impl From<&ObjectRef> for ClusterKey {
    fn from(object: &ObjectRef) -> Self {
        Self::new(&object.namespace, &object.name)
    }
}

/// A shard of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardKey {
    /// Its cluster.
    pub cluster: ClusterKey,
    /// Keyspace and key range.
    pub shard: ShardId,
}

/// Why Vitess refused or failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct VitessError {
    /// Kebab-case, stable: `not-found`, `locked`, `expectation`, `unreachable`, `not-safe`, `behind`, `errant`, `ineligible`.
    pub code: &'static str,
    /// What Vitess would say.
    pub message: String,
}

impl VitessError {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// What a volume holds for MySQL; it outlives Pods.
#[derive(Debug, Clone, Default)]
pub(crate) struct DataDir {
    /// `server_uuid` of auto.cnf.
    pub(crate) server: String,
    /// Every transaction received or executed.
    pub(crate) position: GtidSet,
    /// What of them is in the relay log alone.
    pub(crate) unapplied: GtidSet,
    /// The number of its own last transaction.
    pub(crate) own_last: u64,
    pub(crate) used: u64,
    pub(crate) capacity: u64,
    pub(crate) fill_per_hour: u64,
    /// Whether it was never initialised, restored or replicated into.
    pub(crate) fresh: bool,
    /// Whether a mysqld that starts on it ends at once.
    pub(crate) ruined: bool,
    /// What its binary logs have no more: nobody who lacks it can replicate from here (error 1236).
    pub(crate) purged: GtidSet,
    /// Whom it last was told to follow: that is kept, and begun with only when it is told again.
    pub(crate) followed: Option<TabletAlias>,
    /// The shard whose tablet last ran on it.
    pub(crate) home: Option<ShardKey>,
}

impl DataDir {
    pub(crate) fn is_full(&self) -> bool {
        self.used >= self.capacity
    }

    /// What is in the relay log alone is gone; answers how much that was.
    pub(crate) fn drop_relay_log(&mut self) -> u64 {
        let dropped = std::mem::take(&mut self.unapplied);
        self.position = self.position.minus(&dropped);
        dropped.count()
    }

    fn grow(&mut self, bytes: u64) {
        self.used = (self.used + bytes).min(self.capacity.max(self.used));
    }
}

/// A restore under way: until when, and of which backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Restore {
    /// No backup is there yet; looks again.
    Waiting,
    /// Reads that backup until then.
    Until(i64, String),
}

/// A tablet record with the processes behind it.
#[derive(Debug, Clone)]
pub(crate) struct Tablet {
    pub(crate) shard: ShardId,
    pub(crate) pool: String,
    pub(crate) run: String,
    pub(crate) node: String,
    /// The key of its data directory.
    pub(crate) data: String,
    /// Whether mysqld and vttablet run.
    pub(crate) running: bool,
    pub(crate) role: Role,
    /// Whether mysqld takes writes.
    pub(crate) writable: bool,
    pub(crate) source: Option<TabletAlias>,
    /// Whether its replication was begun since mysqld's start.
    pub(crate) replicates: bool,
    /// Whether its receiver is connected, in truth.
    pub(crate) connected: bool,
    /// Whether it believes so, and when that will change.
    pub(crate) hears: bool,
    pub(crate) hears_flips_at: Option<i64>,
    /// When it last heard its source, if the way to that one is gone.
    pub(crate) heard_last: Option<i64>,
    /// Milliseconds that its applier is behind by nature.
    pub(crate) slowness: i64,
    pub(crate) stalled_since: Option<i64>,
    /// Whether its applier fails at the first transaction that comes, and whoever starts it anew is in vain.
    pub(crate) fails: bool,
    /// Until when its receiver reads anew what its relay log had.
    pub(crate) reads_anew_until: Option<i64>,
    pub(crate) catches_up_at: Option<i64>,
    pub(crate) restore: Option<Restore>,
    /// Whether mysqld was told to write out all that it has when it ends; one that starts anew was not.
    pub(crate) slow_shutdown: bool,
    /// Whether a demotion there takes no end.
    pub(crate) demotion_hangs: bool,
    /// Own transactions that wait for an acknowledgement.
    pub(crate) waiting: GtidSet,
    /// What the host's probe last told, since when, and when that will change.
    pub(crate) reach: bool,
    pub(crate) reach_since: i64,
    pub(crate) reach_flips_at: Option<i64>,
    pub(crate) reach_lost_at: i64,
    pub(crate) last_told: Option<Replication>,
    /// All that this MySQL ever told that it had.
    pub(crate) told: GtidSet,
    /// Since when its role or source is not what the topology says.
    pub(crate) wrong_since: Option<i64>,
}

impl Tablet {
    /// Whether it is of a pool that may acknowledge and be promoted.
    pub(crate) fn is_eligible(&self) -> bool {
        self.pool == "replica"
    }

    /// Whether its MySQL serves: it runs and restores nothing.
    pub(crate) fn serves(&self) -> bool {
        self.running && self.restore.is_none()
    }
}

/// A shard's topology record, lock and clients.
#[derive(Debug, Default)]
pub(crate) struct Shard {
    pub(crate) primary: Option<TabletAlias>,
    pub(crate) primary_since: i64,
    pub(crate) initialized: bool,
    pub(crate) durability: Durability,
    pub(crate) operation: Option<reparent::Operation>,
    /// Whether somebody else has the shard's lock.
    pub(crate) locked: bool,
    /// Commands that wait for it.
    pub(crate) queue: Vec<reparent::Queued>,
    /// Every transaction that a client was told is safe.
    pub(crate) acked: GtidSet,
    /// What somebody wrote past the gateways, and was told at once that it is safe.
    pub(crate) strays: GtidSet,
    /// The primary's position as anybody but itself last saw it.
    pub(crate) primary_seen: GtidSet,
    pub(crate) writes_per_minute: u64,
    pub(crate) settled_at: i64,
    /// Whether its record says that it serves.
    pub(crate) serving: bool,
    /// Cells with a ShardReplication record.
    pub(crate) cells: BTreeSet<Cell>,
}

/// A backup in a store.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) view: BackupView,
    /// Bytes of the data directory that it holds.
    pub(crate) data_bytes: u64,
}

/// One cluster's Vitess.
#[derive(Debug, Default)]
pub(crate) struct Cluster {
    pub(crate) shards: BTreeMap<ShardId, Shard>,
    pub(crate) tablets: BTreeMap<TabletAlias, Tablet>,
    pub(crate) backups: Vec<Stored>,
    /// SrvKeyspace records: cell, keyspace, the shards of the partition that serves.
    pub(crate) graphs: serving::Graphs,
    /// Cell records and the alias of all of them.
    pub(crate) cells: BTreeMap<Cell, CellInfo>,
    pub(crate) alias: BTreeSet<Cell>,
    /// Keyspace records: what must acknowledge.
    pub(crate) keyspaces: BTreeMap<String, String>,
}

/// All played Vitess clusters.
#[derive(Debug)]
pub(crate) struct Vitess {
    pub(crate) clusters: BTreeMap<ClusterKey, Cluster>,
    /// Data directories by PersistentVolume name (or `pod:<uid>` without a volume).
    pub(crate) data: BTreeMap<String, DataDir>,
    pub(crate) backup_runs: BTreeMap<String, backup::BackupRun>,
    pub(crate) digests: BTreeMap<ClusterKey, u64>,
    pub(crate) touched: BTreeSet<ClusterKey>,
    pub(crate) changed: watch::Sender<u64>,
    /// What `changed` counted when a cluster's observation last changed.
    pub(crate) changed_at: BTreeMap<ClusterKey, u64>,
    /// Counts accesses by which truth may change, and has the last one of each cluster.
    pub(crate) writes: u64,
    pub(crate) written_at: BTreeMap<ClusterKey, u64>,
}

impl Default for Vitess {
    fn default() -> Self {
        Self {
            clusters: BTreeMap::new(),
            data: BTreeMap::new(),
            backup_runs: BTreeMap::new(),
            digests: BTreeMap::new(),
            touched: BTreeSet::new(),
            changed: watch::Sender::new(0),
            changed_at: BTreeMap::new(),
            writes: 0,
            written_at: BTreeMap::new(),
        }
    }
}

impl Vitess {
    /// A cluster's topology is gone with its lock servers; its backups are kept elsewhere.
    pub(crate) fn forget_topology(&mut self, cluster: &ClusterKey) {
        if let Some(found) = self.clusters.get_mut(cluster) {
            found.shards.clear();
            found.tablets.clear();
            found.graphs.clear();
            found.cells.clear();
            found.alias.clear();
            found.keyspaces.clear();
            self.touched.insert(cluster.clone());
        }
    }

    pub(crate) fn tablets_of<'a>(
        &'a self,
        key: &'a ShardKey,
    ) -> impl Iterator<Item = (&'a TabletAlias, &'a Tablet)> {
        let cluster = self.clusters.get(&key.cluster);
        cluster.into_iter().flat_map(|c| c.tablets.iter()).filter(|(_, t)| t.shard == key.shard)
    }

    pub(crate) fn tablet(&self, cluster: &ClusterKey, alias: &TabletAlias) -> Option<&Tablet> {
        self.clusters.get(cluster)?.tablets.get(alias)
    }

    /// Notes that a cluster's truth may change now.
    pub(crate) fn note_write(&mut self, cluster: &ClusterKey) {
        self.writes += 1;
        match self.written_at.get_mut(cluster) {
            Some(at) => *at = self.writes,
            None => drop(self.written_at.insert(cluster.clone(), self.writes)),
        }
    }

    pub(crate) fn tablet_mut(&mut self, cluster: &ClusterKey, alias: &TabletAlias) -> Option<&mut Tablet> {
        self.note_write(cluster);
        self.clusters.get_mut(cluster)?.tablets.get_mut(alias)
    }

    pub(crate) fn shard(&self, key: &ShardKey) -> Option<&Shard> {
        self.clusters.get(&key.cluster)?.shards.get(&key.shard)
    }

    pub(crate) fn shard_mut(&mut self, key: &ShardKey) -> Option<&mut Shard> {
        self.note_write(&key.cluster);
        self.clusters.get_mut(&key.cluster)?.shards.get_mut(&key.shard)
    }

    /// A tablet's transactions; empty without a data directory.
    pub(crate) fn position(&self, cluster: &ClusterKey, alias: &TabletAlias) -> GtidSet {
        let tablet = self.tablet(cluster, alias);
        tablet.and_then(|t| self.data.get(&t.data)).map(|d| d.position.clone()).unwrap_or_default()
    }

    pub(crate) fn data_mut(&mut self, cluster: &ClusterKey, alias: &TabletAlias) -> Option<&mut DataDir> {
        self.note_write(cluster);
        let data = &self.clusters.get(cluster)?.tablets.get(alias)?.data;
        self.data.get_mut(data)
    }
}

pub(crate) type Reply = oneshot::Sender<Result<(), VitessError>>;

/// What a policy's acknowledgement rule asks for: how many, and of whom.
pub(crate) fn acks_required(durability: Durability) -> usize {
    match durability {
        Durability::None => 0,
        Durability::SemiSync | Durability::CrossCell => 1,
    }
}

/// Whether `replica` may acknowledge writes of `primary`.
pub(crate) fn may_ack(
    durability: Durability,
    primary: &TabletAlias,
    alias: &TabletAlias,
    replica: &Tablet,
) -> bool {
    let other = alias != primary && replica.is_eligible();
    match durability {
        Durability::None => false,
        Durability::SemiSync => other,
        Durability::CrossCell => other && alias.cell != primary.cell,
    }
}

/// The cluster that a Pod's labels name.
pub(crate) fn cluster_of(pod: &Value) -> ClusterKey {
    ClusterKey::new(text(pod, "/metadata/namespace"), label(pod, "planetscale.com/cluster"))
}

/// The shard that a Pod's labels name; the label spells a missing bound `x`.
pub(crate) fn shard_of(pod: &Value) -> Option<ShardId> {
    let safe = label(pod, "planetscale.com/shard");
    let (start, end) = safe.split_once('-')?;
    let bound = |b: &str| if b == "x" { String::new() } else { b.to_owned() };
    format!("{}/{}-{}", label(pod, "planetscale.com/keyspace"), bound(start), bound(end)).parse().ok()
}

/// The alias that a tablet Pod's labels name.
pub(crate) fn alias_of(pod: &Value) -> Option<TabletAlias> {
    format!("{}-{}", label(pod, "planetscale.com/cell"), label(pod, "planetscale.com/tablet-uid"))
        .parse()
        .ok()
}
