//! The immutable picture of one cluster that policies and the guard read.
//!
//! Owns the records and the fingerprint that says "nothing worth a decision has
//! changed". Must not know how any of it was observed. A view is also a file:
//! `pilothouse plan` reads one as YAML, unknown keys are refused.

mod backup;
mod levels;
mod records;
mod volumes;
mod vtorc;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::{Deserialize, Serialize};

use crate::Millis;
use crate::gtid::GtidSet;
use crate::mysql;
use crate::pause::Pause;
use crate::topology::{Cell, PoolKey, ShardId, TabletAlias, Zone};
use crate::zones::ZoneHealth;

pub use backup::BackupView;
pub use levels::{KeyspaceView, Level, UnwantedLevel};
pub use records::{
    CELLS_ALIAS, CellInfo, Record, RecordsView, Registration, Switches, TabletRecord, Topology,
};
pub use volumes::VolumeView;
pub use vtorc::Vtorc;

/// One cluster as seen at `as_of`. Lists are sorted by their first field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClusterView {
    /// When it was seen; left out of the fingerprint.
    pub as_of: Millis,
    /// Whose view this is.
    pub cluster: ClusterId,
    /// Where the Vitess evidence comes from; `unknown` blocks every destructive step.
    pub vitess: VitessSource,
    /// Whether a policy is bound that replaces lost primaries.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replaces_primaries: bool,
    /// Zones that nodes stand in or cells name.
    #[serde(default)]
    pub zones: Vec<ZoneView>,
    /// Vitess cells.
    #[serde(default)]
    pub cells: Vec<CellView>,
    /// Keyspaces that stand as objects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keyspaces: Vec<KeyspaceView>,
    /// Cells, keyspaces and shards that stand and that their parent asks for no more; shards first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unwanted: Vec<UnwantedLevel>,
    /// Topology records; absent while nobody tells, or while the manifest cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<RecordsView>,
    /// Shards, desired or still observed.
    #[serde(default)]
    pub shards: Vec<ShardView>,
    /// Tablets, desired, surged or still observed, of all shards.
    #[serde(default)]
    pub tablets: Vec<TabletView>,
    /// Data volumes of tablets.
    #[serde(default)]
    pub volumes: Vec<VolumeView>,
    /// Backups in every location.
    #[serde(default)]
    pub backups: Vec<BackupView>,
    /// What people paused, those above first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pauses: Vec<Pause>,
    /// What has no record field yet: subject (`cluster`, an alias, a shard, a zone …) → name → value.
    #[serde(default)]
    pub facts: BTreeMap<String, BTreeMap<String, Fact>>,
}

/// Identity of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClusterId {
    /// Kubernetes namespace.
    pub namespace: String,
    /// Name of the VitessCluster.
    pub name: String,
    /// Its UID: a re-created cluster of the same name is another cluster.
    pub uid: String,
}

/// How the Vitess half of the view came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum VitessSource {
    /// No Vitess client, or it could not be asked: nothing is known.
    Unknown,
    /// Tablets and topology were asked.
    Observed,
    /// Asked of the simulator; status says so.
    Played,
}

/// A growth point's value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Fact {
    /// True or false.
    Flag(bool),
    /// A whole number, its unit in the fact's name.
    Integer(i64),
    /// Anything else.
    Text(String),
}

/// One availability zone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ZoneView {
    /// The zone.
    pub name: Zone,
    /// Its judged health; absent while nothing is remembered and nothing was judged.
    pub health: ZoneHealth,
    /// Nodes in the zone.
    pub nodes: u32,
    /// Nodes whose Ready condition is True.
    pub nodes_ready: u32,
    /// Since when the longest ready of them is so; absent where no node says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes_ready_since: Option<Millis>,
    /// What the provider posts of it, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_post: Option<String>,
}

/// One Vitess cell.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CellView {
    /// The cell.
    pub name: Cell,
    /// Its zone: the manifest's, else the one assigned; absent while neither is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Zone>,
    /// Whether the manifest names the zone (then no policy may assign another).
    #[serde(default)]
    pub zone_pinned: bool,
    /// Gateways that the manifest (or an autoscaler) asks for.
    pub gateways: u32,
    /// Gateways ready now.
    #[serde(default)]
    pub gateways_ready: u32,
    /// Extra gateways here on behalf of other cells.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gateway_surge: Vec<GatewaySurge>,
    /// Keyspaces that the cell has a serving graph of; absent while nobody tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serves: Option<Vec<String>>,
}

/// Gateways that stand in for those of a lost cell.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GatewaySurge {
    /// The cell they stand in for.
    pub stands_in_for: Cell,
    /// How many.
    pub replicas: u32,
}

/// What must acknowledge a write (source: Vitess durability policies).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// Nothing but the primary.
    #[default]
    None,
    /// One other replica.
    SemiSync,
    /// One replica in another cell.
    CrossCell,
}

/// One shard.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ShardView {
    /// Keyspace and key range.
    pub id: ShardId,
    /// The keyspace's durability policy.
    #[serde(default)]
    pub durability: Durability,
    /// The primary that the topology names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<TabletAlias>,
    /// When the topology began to name it.
    #[serde(default)]
    pub primary_since: Millis,
    /// Whether a database was ever initialised here (a backup or a primary was seen).
    #[serde(default)]
    pub initialized: bool,
    /// Whether a partition that serves has it; absent while nobody tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serving: Option<bool>,
    /// Whether the manifest lets us initialise it.
    #[serde(default = "yes")]
    pub may_initialize: bool,
    /// Its VTOrc, and whether that replaces a lost primary by itself.
    #[serde(default, skip_serializing_if = "Vtorc::is_absent")]
    pub vtorc: Vtorc,
    /// Location that new backups go to; absent when the manifest has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup_location: Option<String>,
    /// A backup of this shard is running since then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup_running_since: Option<Millis>,
    /// When the last backup run that failed ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup_failed_at: Option<Millis>,
    /// Whether outdated tablets are released, one after the other: the shard's own strategy, or somebody, says so.
    #[serde(default)]
    pub cascading: bool,
    /// Pools of the manifest.
    #[serde(default)]
    pub pools: Vec<PoolView>,
}

const fn yes() -> bool {
    true
}

/// One tablet pool of a shard, as the manifest has it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PoolView {
    /// Cell, type and name.
    pub key: PoolKey,
    /// Tablets asked for.
    pub replicas: u32,
    /// The aliases of indexes 1, 2, … of this pool, some beyond `replicas`: what a surge tablet would be called.
    #[serde(default)]
    pub aliases: Vec<TabletAlias>,
}

/// Why a tablet stands here.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Wanted {
    /// The manifest asks for it.
    BySpec,
    /// It stands in for a tablet of a lost cell.
    Surge {
        /// That cell.
        stands_in_for: Cell,
    },
    /// Nothing asks for it any more.
    No,
}

/// A Pod's life as far as decisions need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PodState {
    /// No such Pod.
    Absent,
    /// Not yet running.
    Pending,
    /// Running; `ready` says more.
    Running,
    /// Deleted, but not gone.
    Terminating,
    /// Ended.
    Ended,
}

/// The drain protocol's stage (source: vitess-operator's drain annotations).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Drain {
    /// Not draining.
    #[default]
    Not,
    /// Somebody asked for it.
    Started,
    /// We saw it.
    Acknowledged,
    /// It may go.
    Finished,
}

/// What a tablet serves as.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// Takes writes.
    Primary,
    /// May become primary.
    Replica,
    /// Reads only.
    Rdonly,
    /// Stands by.
    Spare,
    /// Restores or takes a backup.
    Restore,
    /// Nothing was heard.
    #[default]
    Unknown,
}

/// Whether a tablet answers us, and whether its peers hear it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reach {
    /// It answered.
    Yes,
    /// It did not, for at least one whole probe.
    No,
    /// Not asked, or not known.
    #[default]
    Unknown,
}

/// One tablet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TabletView {
    /// Cell and uid.
    pub alias: TabletAlias,
    /// Its shard.
    pub shard: ShardId,
    /// Its pool.
    pub pool: PoolKey,
    /// Its place in the pool, from 1.
    pub index: u32,
    /// Why it stands here.
    pub wanted: Wanted,
    /// Where its Pod or volume is; absent while neither is placed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Zone>,
    /// Its Pod.
    pub pod: PodState,
    /// The Pod's name; when empty it is that of the claim, which the contract makes the same.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pod_name: String,
    /// The Pod's UID; empty while there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pod_uid: String,
    /// When the Pod was created; 0 while there is none.
    #[serde(default)]
    pub pod_since: Millis,
    /// The Pod's Ready condition.
    #[serde(default)]
    pub ready: bool,
    /// Its node's Ready condition; absent while not placed or unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_ready: Option<bool>,
    /// Drain stage.
    #[serde(default)]
    pub drain: Drain,
    /// Whether `started` was taken away while a later mark stands: the drain is to be aborted.
    #[serde(default)]
    pub drain_withdrawn: bool,
    /// Whether the host itself asked for the drain, and not somebody outside.
    #[serde(default)]
    pub drain_ours: bool,
    /// Whether the rendered Pod differs from the one that runs.
    #[serde(default)]
    pub outdated: bool,
    /// What the rendered Pod's mysqld does to the files of the one that runs.
    #[serde(default)]
    pub mysql_change: mysql::Change,
    /// Whether its mysqld writes out all that it has when it ends (`innodb_fast_shutdown = 0`).
    #[serde(default)]
    pub ends_written_out: bool,
    /// Whether it may be replaced by what is rendered: somebody released it.
    #[serde(default)]
    pub released: bool,
    /// What it serves as.
    #[serde(default)]
    pub role: Role,
    /// Whether its vttablet answers the host.
    #[serde(default)]
    pub reach: Reach,
    /// Since when `reach` is what it is.
    #[serde(default)]
    pub reach_since: Millis,
    /// What its MySQL said of replication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replication: Option<Replication>,
    /// The PersistentVolumeClaim that it writes to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<String>,
}

/// A tablet's replication state, as last answered by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Replication {
    /// The `server_uuid` of its MySQL, which all that it wrote itself bears; empty while it is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub server: String,
    /// Whom it replicates from; absent on a primary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<TabletAlias>,
    /// Whether the receiver hears its source. On a replica this is the second witness of a primary's death.
    #[serde(default)]
    pub source_connected: bool,
    /// Whether received transactions are being applied, or none is left to apply.
    #[serde(default = "yes")]
    pub applying: bool,
    /// Milliseconds behind its source.
    #[serde(default)]
    pub lag_ms: Millis,
    /// Every transaction received or executed.
    #[serde(default)]
    pub position: GtidSet,
    /// Transactions that the primary never had.
    #[serde(default)]
    pub errant: GtidSet,
    /// Transactions of the shard's that it told of, and does not tell of any more: its relay log went before they
    /// were executed, though they may have been acknowledged.
    #[serde(default, skip_serializing_if = "GtidSet::is_empty")]
    pub forgotten: GtidSet,
    /// Whether it acknowledges writes for semi-sync.
    #[serde(default)]
    pub acks: bool,
    /// Whether it is a primary whose MySQL takes no writes: a demotion that hangs leaves one so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
}

impl ClusterView {
    /// The shard of that name.
    #[must_use]
    pub fn shard(&self, id: &ShardId) -> Option<&ShardView> {
        self.shards.iter().find(|s| s.id == *id)
    }

    /// The keyspace of that name, if its object stands.
    #[must_use]
    pub fn keyspace(&self, name: &str) -> Option<&KeyspaceView> {
        self.keyspaces.iter().find(|k| k.name == *name)
    }

    /// The tablet of that alias.
    #[must_use]
    pub fn tablet(&self, alias: &TabletAlias) -> Option<&TabletView> {
        self.tablets.iter().find(|t| t.alias == *alias)
    }

    /// The tablets of a shard, in alias order.
    pub fn tablets_of<'a>(&'a self, id: &'a ShardId) -> impl Iterator<Item = &'a TabletView> {
        self.tablets.iter().filter(move |t| t.shard == *id)
    }

    /// The backups of a shard, in name order.
    pub fn backups_of<'a>(&'a self, id: &'a ShardId) -> impl Iterator<Item = &'a BackupView> {
        self.backups.iter().filter(move |b| b.shard == *id)
    }

    /// The cell of that name.
    #[must_use]
    pub fn cell(&self, name: &Cell) -> Option<&CellView> {
        self.cells.iter().find(|c| c.name == *name)
    }

    /// The zone of that name.
    #[must_use]
    pub fn zone(&self, name: &Zone) -> Option<&ZoneView> {
        self.zones.iter().find(|z| z.name == *name)
    }

    /// The health of the zone that a tablet stands in, if both are known.
    #[must_use]
    pub fn zone_of(&self, tablet: &TabletView) -> Option<&ZoneView> {
        self.zone(tablet.zone.as_ref()?)
    }

    /// The volume of that claim.
    #[must_use]
    pub fn volume(&self, claim: &str) -> Option<&VolumeView> {
        self.volumes.iter().find(|v| v.claim == claim)
    }

    /// A fact of that subject, if it is a flag.
    #[must_use]
    pub fn flag(&self, subject: &str, name: &str) -> Option<bool> {
        match self.facts.get(subject)?.get(name)? {
            Fact::Flag(flag) => Some(*flag),
            Fact::Integer(_) | Fact::Text(_) => None,
        }
    }

    /// A fact of that subject, if it is a whole number.
    #[must_use]
    pub fn integer(&self, subject: &str, name: &str) -> Option<i64> {
        match self.facts.get(subject)?.get(name)? {
            Fact::Integer(number) => Some(*number),
            Fact::Flag(_) | Fact::Text(_) => None,
        }
    }

    /// A hash of everything a decision may rest on. `as_of` is left out; lag,
    /// positions and bytes enter in buckets: lag by [`lag_bucket`], use by
    /// 64ths of capacity, fill rate by its power of two, positions not at all
    /// (a standing difference shows as lag or as errant transactions).
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut h = DefaultHasher::new(); // SipHash with fixed keys
        (
            &self.cluster,
            self.vitess,
            self.replaces_primaries,
            &self.zones,
            &self.cells,
            &self.shards,
            &self.backups,
        )
            .hash(&mut h);
        self.pauses.hash(&mut h);
        (&self.keyspaces, &self.unwanted, &self.records).hash(&mut h);
        for tablet in &self.tablets {
            tablet.hash_bucketed(&mut h);
        }
        for volume in &self.volumes {
            volume.hash_bucketed(&mut h);
        }
        for (subject, facts) in &self.facts {
            subject.hash(&mut h);
            for (name, fact) in facts {
                name.hash(&mut h);
                match fact {
                    Fact::Flag(b) => b.hash(&mut h),
                    Fact::Integer(n) => n.hash(&mut h),
                    Fact::Text(t) => t.hash(&mut h),
                }
            }
        }
        h.finish()
    }
}

/// The bucket that a lag enters the fingerprint in: 0, 1, 2 … for below 1 s, 2 s, 4 s … (powers of two).
#[must_use]
pub const fn lag_bucket(lag_ms: Millis) -> u32 {
    if lag_ms < 1_000 { 0 } else { (lag_ms / 1_000).ilog2() + 1 }
}

impl TabletView {
    /// The name of its Pod, if anything says it.
    #[must_use]
    pub fn pod_name(&self) -> Option<&str> {
        if self.pod_name.is_empty() { self.volume.as_deref() } else { Some(&self.pod_name) }
    }

    fn hash_bucketed(&self, h: &mut DefaultHasher) {
        (&self.alias, &self.shard, &self.pool, self.index, &self.wanted, &self.zone).hash(h);
        (self.pod, &self.pod_name, &self.pod_uid, self.pod_since, self.ready, self.node_ready).hash(h);
        (self.drain, self.drain_withdrawn, self.drain_ours, self.outdated, self.released).hash(h);
        (self.mysql_change, self.ends_written_out).hash(h);
        (self.role, self.reach, self.reach_since, &self.volume).hash(h);
        if let Some(r) = &self.replication {
            (&r.source, r.source_connected, r.applying, lag_bucket(r.lag_ms), &r.errant, r.acks).hash(h);
            (&r.server, r.forgotten.is_empty()).hash(h);
        }
    }
}
