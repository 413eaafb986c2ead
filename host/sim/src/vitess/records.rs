//! Topology records: making and removing them, with Vitess's own refusals.
//!
//! Owns what depends on what. For the checkers it looks at the living objects by itself: what the
//! host makes of them is not asked.

use pilothouse_core::topology::{Cell, ShardId, TabletAlias};
use pilothouse_core::view::{Durability, Record, Registration, TabletRecord, Topology};
use serde_json::Value;

use super::{Cluster, ClusterKey, ShardKey, VitessError};
use crate::apiserver::ResourceId;
use crate::apiserver::kinds::{CLAIMS, PODS};
use crate::world::agenda::Look;
use crate::world::journal::Deed;
use crate::world::objects::{array, label, terminating, text};
use crate::world::state::State;

const fn ours(resource: &'static str) -> ResourceId {
    ResourceId::of("planetscale.com", resource)
}

impl Cluster {
    /// Every record, as a client reads them.
    pub(super) fn topology(&self) -> Topology {
        let tablet = |t: &super::Tablet| TabletRecord { shard: t.shard.clone(), answers: t.reach };
        Topology {
            cells: self.cells.clone(),
            alias: self.alias.clone(),
            keyspaces: self.keyspaces.clone(),
            shards: self.shards.iter().map(|(id, shard)| (id.clone(), shard.cells.clone())).collect(),
            tablets: self.tablets.iter().map(|(alias, t)| (alias.clone(), tablet(t))).collect(),
            graphs: self.graphs.clone(),
        }
    }

    fn refuses(&self, record: &Record) -> Option<&'static str> {
        let tablets = |of: &dyn Fn(&TabletAlias, &ShardId) -> bool| {
            self.tablets.iter().any(|(alias, t)| of(alias, &t.shard)).then_some("it has tablets")
        };
        match record {
            Record::Tablet { .. } | Record::ServingGraph { .. } => None,
            Record::ShardCell { shard, cell } => tablets(&|alias, s| s == shard && alias.cell == *cell),
            Record::Shard { shard } => tablets(&|_, s| s == shard),
            Record::Keyspace { keyspace } => tablets(&|_, s| s.keyspace == *keyspace),
            Record::Cell { cell } => tablets(&|alias, _| alias.cell == *cell),
        }
    }

    fn remove(&mut self, record: &Record) -> bool {
        match record {
            Record::Tablet { tablet } => {
                let shards = self.shards.values_mut();
                shards.filter(|s| s.primary.as_ref() == Some(tablet)).for_each(|s| s.primary = None);
                self.tablets.remove(tablet).is_some()
            }
            Record::ServingGraph { cell, keyspace } => {
                self.graphs.get_mut(cell).is_some_and(|graphs| graphs.remove(keyspace).is_some())
            }
            Record::ShardCell { shard, cell } => {
                self.shards.get_mut(shard).is_some_and(|shard| shard.cells.remove(cell))
            }
            Record::Shard { shard } => self.shards.remove(shard).is_some(),
            Record::Keyspace { keyspace } => {
                self.shards.retain(|shard, _| shard.keyspace != *keyspace);
                self.keyspaces.remove(keyspace).is_some()
            }
            Record::Cell { cell } => {
                self.alias.remove(cell);
                self.cells.remove(cell).is_some()
            }
        }
    }
}

impl State {
    /// What a keyspace's record says of acknowledgements.
    pub(super) fn durability_of(&self, cluster: &ClusterKey, keyspace: &str) -> Durability {
        let policy = self.vitess.clusters.get(cluster).and_then(|c| c.keyspaces.get(keyspace));
        match policy.map_or("", String::as_str) {
            "semi_sync" | "semi_sync_with_rdonly_ack" => Durability::SemiSync,
            "cross_cell" => Durability::CrossCell,
            _ => Durability::None,
        }
    }

    pub(super) fn register(&mut self, cluster: &ClusterKey, asked: &Registration) {
        self.note(format!("topology: {asked}"));
        let found = self.vitess.clusters.entry(cluster.clone()).or_default();
        match asked {
            Registration::Cell { cell, info } => {
                found.cells.insert(cell.clone(), info.clone());
            }
            Registration::CellsAlias { cells } => found.alias.clone_from(cells),
            Registration::Keyspace { keyspace, durability_policy } => {
                let record = found.keyspaces.entry(keyspace.clone()).or_default();
                if !durability_policy.is_empty() {
                    record.clone_from(durability_policy);
                }
                self.durability_changed(cluster, keyspace);
            }
            Registration::Shard { shard } => {
                found.keyspaces.entry(shard.keyspace.clone()).or_default();
                self.ensure_shard(&ShardKey { cluster: cluster.clone(), shard: shard.clone() });
            }
        }
        self.vitess.touched.insert(cluster.clone());
        self.revision += 1;
    }

    fn durability_changed(&mut self, cluster: &ClusterKey, keyspace: &str) {
        let of = |key: &ShardKey| key.shard.keyspace == keyspace;
        let durability = self.durability_of(cluster, keyspace);
        for key in self.shard_keys_of(cluster).into_iter().filter(of) {
            self.settle(&key);
            if let Some(shard) = self.vitess.shard_mut(&key) {
                shard.durability = durability;
            }
            self.agenda.now(Look::Shard(key));
        }
    }

    pub(super) fn prune(&mut self, cluster: &ClusterKey, record: &Record) -> Result<(), VitessError> {
        let Some(found) = self.vitess.clusters.get(cluster) else {
            return Err(VitessError::new("not-found", record.to_string()));
        };
        if let Some(why) = found.refuses(record) {
            return Err(VitessError::new("not-empty", format!("{record}: {why}")));
        }
        let wanted = self.asks_for(cluster, record);
        let removed = self.vitess.clusters.get_mut(cluster).is_some_and(|found| found.remove(record));
        if !removed {
            return Err(VitessError::new("not-found", record.to_string()));
        }
        self.note(format!("topology: {record} is gone"));
        let (at, cluster) = (self.now, cluster.clone());
        self.vitess.touched.insert(cluster.clone());
        self.journal.push(Deed::RecordPruned { at, cluster, record: record.to_string(), wanted });
        self.revision += 1;
        Ok(())
    }

    /// What of the living objects needs a record.
    fn asks_for(&self, cluster: &ClusterKey, record: &Record) -> Option<String> {
        let living = |kind: &'static str, fits: &dyn Fn(&Value) -> bool| {
            let all = self.objects.within(&ours(kind), &cluster.namespace);
            let of = |o: &Value| label(o, "planetscale.com/cluster") == cluster.name && !terminating(o);
            all.iter().any(|o| of(o) && fits(o)).then(|| format!("one of the {kind} stands for it"))
        };
        let clusters = self.objects.within(&ours("vitessclusters"), &cluster.namespace);
        let manifest = clusters.iter().find(|c| text(c, "/metadata/name") == cluster.name && !terminating(c));
        let named = |list: &str, name: &str| {
            let names = |m: &Value| array(m, list).iter().any(|o| o["name"] == name);
            manifest.is_some_and(|m| names(m)).then(|| "the manifest asks for it".to_owned())
        };
        let keyspace = |name: &str| {
            let stands = || living("vitesskeyspaces", &|k| text(k, "/spec/name") == name);
            named("/spec/keyspaces", name).or_else(stands)
        };
        let cell = |name: &Cell| {
            let stands = || living("vitesscells", &|c| text(c, "/spec/name") == name.0);
            named("/spec/cells", &name.0).or_else(stands)
        };
        let shard = |id: &ShardId| {
            let is_it = |s: &Value| {
                label(s, "planetscale.com/keyspace") == id.keyspace
                    && text(s, "/spec/name") == id.range.to_string()
            };
            living("vitessshards", &is_it)
        };
        match record {
            Record::Keyspace { keyspace: name } => keyspace(name),
            Record::Cell { cell: name } => cell(name),
            Record::Shard { shard: id } => shard(id),
            Record::ServingGraph { cell: name, keyspace: of } => {
                let asked = named("/spec/cells", &name.0).and(named("/spec/keyspaces", of));
                asked.or_else(|| self.tablet_in(cluster, of, name))
            }
            Record::ShardCell { shard: id, cell: name } => {
                shard(id).and_then(|_| self.tablet_in(cluster, &id.keyspace, name))
            }
            Record::Tablet { tablet } => {
                let of = self.vitess.tablet(cluster, tablet).map(|t| t.shard.clone())?;
                shard(&of).filter(|_| self.stands(cluster, tablet))
            }
        }
    }

    fn tablet_in(&self, cluster: &ClusterKey, keyspace: &str, cell: &Cell) -> Option<String> {
        let found = self.vitess.clusters.get(cluster)?;
        let mut tablets = found.tablets.iter().filter(|(alias, t)| alias.cell == *cell && t.running);
        tablets.find(|(_, t)| t.shard.keyspace == keyspace).map(|(alias, _)| format!("{alias} runs there"))
    }

    fn stands(&self, cluster: &ClusterKey, tablet: &TabletAlias) -> bool {
        [PODS, CLAIMS].iter().any(|kind| {
            let all = self.objects.within(kind, &cluster.namespace);
            all.iter()
                .any(|o| super::alias_of(o).as_ref() == Some(tablet) && super::cluster_of(o) == *cluster)
        })
    }
}
