//! Tablets come and go: a Pod's processes start on a volume, and end.
//!
//! Owns what vttablet does at its start. Must not know Kubernetes beyond the
//! Pod's labels, arguments and volume.

use pilothouse_core::gtid::GtidSet;
use pilothouse_core::topology::TabletAlias;
use pilothouse_core::view::Role;
use serde_json::Value;

use super::{
    Cluster, ClusterKey, DataDir, Restore, Shard, ShardKey, Tablet, VitessError, alias_of, cluster_of,
    shard_of,
};
use crate::apiserver::kinds::VOLUMES;
use crate::world::agenda::Look;
use crate::world::objects::{array, bytes_at, label, name, text};
use crate::world::places::{draw, hash};
use crate::world::state::State;
use crate::world::timing;

/// What the Pod's vttablet is told by a flag, in either spelling; a bare duration counts as true.
fn flag(pod: &Value, name: &str) -> Option<bool> {
    let wanted = name.replace('-', "_");
    let says = |arg: &Value| {
        let arg = arg.as_str()?.trim_start_matches('-');
        let (key, value) = arg.split_once('=').unwrap_or((arg, "true"));
        (key.replace('-', "_") == wanted).then_some(!matches!(value, "false" | "0" | "0s"))
    };
    let containers = array(pod, "/spec/containers").iter();
    containers.flat_map(|c| array(c, "/command").iter().chain(array(c, "/args"))).find_map(says)
}

impl State {
    /// A tablet Pod's mysqld and vttablet run.
    pub(crate) fn tablet_starts(&mut self, run: &str, pod: &Value) {
        let (Some(alias), Some(shard)) = (alias_of(pod), shard_of(pod)) else { return };
        let key = ShardKey { cluster: cluster_of(pod), shard };
        let data = self.data_of(pod);
        self.ensure_shard(&key);
        if let Some(data) = self.vitess.data.get_mut(&data) {
            data.home = Some(key.clone());
            data.drop_relay_log(); // `relay_log_recovery`
        }
        // A vttablet that was there before its mysqld tells what is written in that; a new one begins anew.
        let again = self.runs.get(run).is_some_and(|run| run.restarts > 0);
        let followed = self.vitess.data.get(&data).filter(|_| again).and_then(|d| d.followed.clone());
        self.settle(&key);
        let now = self.now;
        let reach_since = self.vitess.tablet(&key.cluster, &alias).map_or(now, |t| t.reach_since);
        let before = self.vitess.tablet(&key.cluster, &alias).filter(|before| before.data == data);
        let (fails, told) = before.map_or_else(Default::default, |t| (t.fails, t.told.clone()));
        let was_told = self.vitess.tablet(&key.cluster, &alias).is_none_or(|t| t.reach);
        let slowness = self.vitess.tablet(&key.cluster, &alias).map_or(0, |t| t.slowness);
        let tablet = Tablet {
            shard: key.shard.clone(),
            pool: label(pod, "planetscale.com/tablet-type").to_owned(),
            run: run.to_owned(),
            node: text(pod, "/spec/nodeName").to_owned(),
            data,
            running: true,
            role: Role::Unknown,
            writable: false,
            source: followed,
            replicates: false,
            connected: false,
            hears: false,
            hears_flips_at: None,
            heard_last: None,
            slowness,
            stalled_since: fails.then_some(now),
            fails,
            reads_anew_until: None,
            catches_up_at: None,
            restore: None,
            slow_shutdown: false,
            demotion_hangs: false,
            waiting: GtidSet::default(),
            reach: was_told,
            reach_since,
            reach_flips_at: None,
            reach_lost_at: now,
            last_told: None,
            told,
            wrong_since: None,
        };
        self.note(format!("tablet {alias} starts"));
        let cluster = self.vitess.clusters.entry(key.cluster.clone()).or_default();
        cluster.tablets.insert(alias.clone(), tablet);
        cluster.keyspaces.entry(key.shard.keyspace.clone()).or_default();
        if let Some(shard) = cluster.shards.get_mut(&key.shard) {
            shard.cells.insert(alias.cell.clone());
        }
        super::serving::build(cluster, &alias.cell, &key.shard.keyspace);
        self.take_up_role(&key, &alias, Some(pod));
        self.agenda.now(Look::Shard(key));
    }

    /// What vttablet does at its start: resume, restore, or follow the primary.
    fn take_up_role(&mut self, key: &ShardKey, alias: &TabletAlias, pod: Option<&Value>) {
        let fresh = self.vitess.data_mut(&key.cluster, alias).is_none_or(|d| d.fresh);
        let primary = self.vitess.shard(key).and_then(|s| s.primary.clone());
        if fresh {
            let may = pod.and_then(|p| flag(p, "restore-from-backup"));
            let waits =
                may == Some(true) && pod.and_then(|p| flag(p, "wait-for-backup-interval")) == Some(true);
            if waits || (may != Some(false) && self.latest_backup(key, None).is_some()) {
                self.set_role(&key.cluster, alias, Role::Restore);
                if let Some(tablet) = self.vitess.tablet_mut(&key.cluster, alias) {
                    tablet.restore = Some(Restore::Waiting);
                }
                return;
            }
        }
        if primary.as_ref() == Some(alias) && !fresh {
            self.note(format!("tablet {alias} resumes as primary"));
            self.set_role(&key.cluster, alias, Role::Primary);
            if let Some(tablet) = self.vitess.tablet_mut(&key.cluster, alias) {
                tablet.writable = true;
                tablet.source = None;
            }
            return;
        }
        let role = self.resting_role(&key.cluster, alias);
        self.set_role(&key.cluster, alias, role);
        if let Some(primary) = primary.filter(|p| p != alias) {
            self.follow(key, alias, &primary);
        }
    }

    /// The role of a tablet that is not primary, by its pool.
    pub(crate) fn resting_role(&self, cluster: &ClusterKey, alias: &TabletAlias) -> Role {
        match self.vitess.tablet(cluster, alias).map(|t| t.pool.as_str()) {
            Some("rdonly" | "externalrdonly") => Role::Rdonly,
            Some("externalmaster") => Role::Spare,
            Some(_) | None => Role::Replica,
        }
    }

    pub(crate) fn set_role(&mut self, cluster: &ClusterKey, alias: &TabletAlias, role: Role) {
        if let Some(tablet) = self.vitess.tablet_mut(cluster, alias) {
            tablet.role = role;
        }
        self.vitess.touched.insert(cluster.clone());
    }

    /// The data directory of a Pod's volume, made empty if the volume is new.
    fn data_of(&mut self, pod: &Value) -> String {
        let namespace = text(pod, "/metadata/namespace").to_owned();
        // The data claim has the Pod's name; others, such as a backup location's, may be mounted beside it.
        let claims = crate::world::volume::claims_of(pod);
        let claim = claims.iter().find(|c| *c == name(pod)).or_else(|| claims.first()).cloned();
        let volume = claim.and_then(|c| self.volume_of(&namespace, &c));
        let key = volume.clone().unwrap_or_else(|| format!("pod:{}", text(pod, "/metadata/uid")));
        let object = volume.and_then(|v| self.objects.get(&VOLUMES, &(String::new(), v)));
        let capacity = object.map_or(10 << 30, |v| bytes_at(&v, "/spec/capacity/storage"));
        let seed = self.seed;
        let data = self.vitess.data.entry(key.clone()).or_insert_with(|| {
            let (high, low) = (hash(seed, "server-uuid", &key), hash(seed, "server-uuid-low", &key));
            let server = format!(
                "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
                high >> 32,
                high >> 16 & 0xffff,
                high & 0xfff,
                low >> 48 & 0xfff,
                low & 0xffff_ffff_ffff
            );
            DataDir {
                server,
                fresh: true,
                used: timing::EMPTY_DATABASE_BYTES.min(capacity),
                ..DataDir::default()
            }
        });
        data.capacity = capacity;
        key
    }

    /// Whether what starts in the Pod ends at once: its image is broken, or its volume.
    pub(crate) fn is_ruined(&mut self, pod: &Value) -> bool {
        let broken = |c: &Value| self.broken_images.contains(text(c, "/image"));
        if array(pod, "/spec/containers").iter().any(broken) {
            return true;
        }
        let data = self.data_of(pod);
        self.vitess.data.get(&data).is_some_and(|data| data.ruined)
    }

    pub(crate) fn ensure_shard(&mut self, key: &ShardKey) {
        let durability = self.durability_of(&key.cluster, &key.shard.keyspace);
        let now = self.now;
        let writes = self.settings.writes_per_minute;
        let cluster: &mut Cluster = self.vitess.clusters.entry(key.cluster.clone()).or_default();
        let serving = !super::serving::is_served(cluster, &key.shard);
        cluster.shards.entry(key.shard.clone()).or_insert_with(|| Shard {
            settled_at: now,
            writes_per_minute: if serving { writes } else { 0 },
            durability,
            serving,
            ..Shard::default()
        });
    }

    pub(crate) fn shard_keys(&self) -> Vec<ShardKey> {
        let of = |(c, cluster): (&ClusterKey, &Cluster)| {
            let c = c.clone();
            let keys: Vec<ShardKey> =
                cluster.shards.keys().map(|s| ShardKey { cluster: c.clone(), shard: s.clone() }).collect();
            keys
        };
        self.vitess.clusters.iter().flat_map(of).collect()
    }

    pub(crate) fn shard_keys_of(&self, cluster: &ClusterKey) -> Vec<ShardKey> {
        let shards = self.vitess.clusters.get(cluster).into_iter().flat_map(|found| found.shards.keys());
        shards.map(|shard| ShardKey { cluster: cluster.clone(), shard: shard.clone() }).collect()
    }

    /// Machines or networks changed: everything about replication may have.
    pub(crate) fn mark_all_shards(&mut self) {
        for key in self.shard_keys() {
            self.agenda.now(Look::Shard(key));
        }
    }

    /// Something of the cluster that repairs depend on changed.
    pub(crate) fn mark_cluster_of(&mut self, pod: &Value) {
        for key in self.shard_keys_of(&cluster_of(pod)) {
            self.agenda.now(Look::Shard(key));
        }
    }

    fn tablet_of_run(&self, run: &str) -> Option<(ShardKey, TabletAlias)> {
        self.vitess.clusters.iter().find_map(|(c, cluster)| {
            let (alias, tablet) = cluster.tablets.iter().find(|(_, t)| t.run == run)?;
            Some((ShardKey { cluster: c.clone(), shard: tablet.shard.clone() }, alias.clone()))
        })
    }

    /// A tablet's processes end. Abruptly, a primary may leave transactions in its
    /// binary log that nobody else has and no client was told of.
    pub(crate) fn tablet_stops(&mut self, run: &str, abruptly: bool) {
        let Some((key, alias)) = self.tablet_of_run(run) else { return };
        self.settle(&key);
        let writable = self.vitess.tablet(&key.cluster, &alias).is_some_and(|t| t.writable && t.serves());
        let busy = self.vitess.shard(&key).is_some_and(|s| s.writes_per_minute > 0);
        if abruptly && writable && busy {
            let tail = draw(self.seed, "tail", &format!("{alias} {}", self.now), (0, 2)).unsigned_abs();
            self.commit_alone(&key, &alias, tail);
        }
        self.note(format!("tablet {alias} {}", if abruptly { "crashes" } else { "stops" }));
        if let Some(tablet) = self.vitess.tablet_mut(&key.cluster, &alias) {
            tablet.running = false;
            tablet.writable = false;
            tablet.connected = false;
            tablet.waiting = GtidSet::default();
            if matches!(tablet.restore, Some(Restore::Until(..))) {
                tablet.restore = None; // the next start begins anew: the directory is still fresh
            }
        }
        self.vitess.touched.insert(key.cluster.clone());
        self.agenda.now(Look::Shard(key));
    }

    pub(super) fn disable_fast_shutdown(
        &mut self,
        cluster: &ClusterKey,
        alias: &TabletAlias,
    ) -> Result<(), VitessError> {
        let unknown = || VitessError::new("not-found", format!("tablet {alias}"));
        let tablet = self.vitess.tablet(cluster, alias).ok_or_else(unknown)?;
        if !self.answers(tablet) {
            return Err(VitessError::new("unreachable", format!("tablet {alias} does not answer")));
        }
        if let Some(tablet) = self.vitess.tablet_mut(cluster, alias) {
            tablet.slow_shutdown = true;
        }
        self.note(format!("tablet {alias} will write out all that it has when it ends"));
        self.vitess.touched.insert(cluster.clone());
        self.revision += 1;
        Ok(())
    }

    /// A volume has more room.
    pub(crate) fn volume_grown(&mut self, volume: &str, capacity: u64) {
        for key in self.shard_keys() {
            self.settle(&key);
            self.agenda.now(Look::Shard(key));
        }
        if let Some(data) = self.vitess.data.get_mut(volume) {
            data.capacity = capacity;
        }
    }

    /// A volume and what it held are gone.
    pub(crate) fn volume_destroyed(&mut self, volume: &str) {
        self.vitess.data.remove(volume);
        self.mark_all_shards();
    }
}
