//! Breaking the world, and mending it.
//!
//! Each call changes physical truth at once and lets the consequences follow by
//! themselves. Must not write to the API server: nobody announces a failure.

use pilothouse_core::topology::{KeyRange, ShardId, TabletAlias};

use super::World;
use super::state::State;
use crate::vitess::{ClusterKey, ShardKey};

impl World {
    /// Power and network of a whole zone are gone.
    pub fn lose_zone(&self, zone: &str) {
        self.change(|state| {
            state.places.dark.insert(zone.to_owned());
            for node in state.places.nodes_of(zone) {
                state.set_power(&node, false, false);
            }
        });
    }

    /// The zone has power again; its nodes boot, but those that were lost by themselves.
    pub fn restore_zone(&self, zone: &str) {
        self.change(|state| {
            state.places.dark.remove(zone);
            for node in state.places.nodes_of(zone) {
                if !state.places.machines[&node].lost_alone {
                    state.set_power(&node, true, false);
                }
            }
            state.look_at_all_claims();
        });
    }

    /// One node loses power.
    pub fn lose_node(&self, node: &str) {
        self.change(|state| state.set_power(node, false, true));
    }

    /// One node has power again, if its zone has.
    pub fn restore_node(&self, node: &str) {
        self.change(|state| {
            let dark = state.places.zone_of(node).is_some_and(|z| state.places.dark.contains(z));
            if let Some(machine) = state.places.machines.get_mut(node) {
                machine.lost_alone = false;
            }
            if !dark {
                state.set_power(node, true, false);
            }
        });
    }

    /// The zone keeps running but neither reaches the API server, the topology and the
    /// host, nor is reached by them; databases still hear each other.
    pub fn cut_zone_from_control_plane(&self, zone: &str) {
        self.change(|state| {
            state.places.cut_from_control.insert(zone.to_owned());
            state.network_changed(zone);
        });
    }

    /// The way between a zone and the control plane is open again.
    pub fn join_zone_to_control_plane(&self, zone: &str) {
        self.change(|state| {
            state.places.cut_from_control.remove(zone);
            state.network_changed(zone);
        });
    }

    /// Traffic of a keyspace is switched to these shards, as at the end of a reshard; answers
    /// whether each of them has a primary that can take it.
    pub fn switch_traffic(&self, cluster: &ClusterKey, keyspace: &str, to: &[KeyRange]) -> bool {
        let mut done = false;
        self.change(|state| done = state.switch_traffic(cluster, keyspace, to));
        done
    }

    /// Two zones no longer reach each other; both still reach everything else.
    pub fn cut_zones(&self, one: &str, other: &str) {
        self.change(|state| {
            state.places.cut.insert(ordered(one, other));
            state.mark_all_shards();
        });
    }

    /// Two zones reach each other again.
    pub fn join_zones(&self, one: &str, other: &str) {
        self.change(|state| {
            state.places.cut.remove(&ordered(one, other));
            state.mark_all_shards();
        });
    }

    /// The provider posts something about a zone; an empty text takes the post back.
    pub fn provider_post(&self, zone: &str, text: &str) {
        self.with(|state| {
            state.note(format!("provider posts of {zone}: {text}"));
            if text.is_empty() {
                state.places.posts.remove(zone);
            } else {
                state.places.posts.insert(zone.to_owned(), text.to_owned());
            }
        });
        self.poke();
    }

    /// The deletion of the object with that UID is not the host's deed: a user's whim, or beside somebody else's
    /// Kubernetes its garbage collector's. To be told before it is seen.
    pub fn deleted_by_others(&self, uid: &str) {
        self.with(|state| state.own_deletes.insert(uid.to_owned()));
    }

    /// A tablet's mysqld is killed; its kubelet restarts the container after the back-off. False if it does not run.
    pub fn kill_mysqld(&self, cluster: &ClusterKey, tablet: &TabletAlias) -> bool {
        let killed = self.with(|state| {
            let run = state.vitess.tablet(cluster, tablet).filter(|t| t.running).map(|t| t.run.clone());
            run.inspect(|run| state.crash(run, "mysqld was killed")).is_some()
        });
        self.poke();
        killed
    }

    /// A tablet's mysqld is killed and ends anew at every start, until its files are mended. False if it has none.
    pub fn ruin(&self, cluster: &ClusterKey, tablet: &TabletAlias, ruined: bool) -> bool {
        let known = self.on_tablet(cluster, tablet, |state| {
            if let Some(data) = state.vitess.data_mut(cluster, tablet) {
                data.ruined = ruined;
            }
        });
        known && (!ruined || self.kill_mysqld(cluster, tablet))
    }

    /// Fills a tablet's volume by so many bytes an hour, besides client writes. False if it has none.
    pub fn fill_rate(&self, cluster: &ClusterKey, tablet: &TabletAlias, bytes_per_hour: u64) -> bool {
        self.on_tablet(cluster, tablet, |state| {
            if let Some(data) = state.vitess.data_mut(cluster, tablet) {
                data.fill_per_hour = bytes_per_hour;
            }
        })
    }

    /// Clients write so many transactions a minute to a shard. False if there is no such shard yet.
    pub fn write_rate(&self, cluster: &ClusterKey, shard: &ShardId, per_minute: u64) -> bool {
        let key = ShardKey { cluster: cluster.clone(), shard: shard.clone() };
        self.on_shard(&key, |state| {
            if let Some(shard) = state.vitess.shard_mut(&key) {
                shard.writes_per_minute = per_minute;
            }
        })
    }

    /// A replica's applier runs so many milliseconds behind from now on. False if there is no such tablet.
    pub fn slow_replica(&self, cluster: &ClusterKey, tablet: &TabletAlias, behind_ms: u32) -> bool {
        self.on_tablet(cluster, tablet, |state| {
            if let Some(found) = state.vitess.tablet_mut(cluster, tablet) {
                found.slowness = i64::from(behind_ms);
            }
        })
    }

    /// A replica's applier stops, while it still receives and acknowledges; or goes on.
    pub fn stall_applier(&self, cluster: &ClusterKey, tablet: &TabletAlias, stalled: bool) -> bool {
        self.on_tablet(cluster, tablet, |state| {
            let now = state.now;
            if let Some(found) = state.vitess.tablet_mut(cluster, tablet) {
                found.stalled_since = stalled.then_some(now);
            }
            if let Some(data) = state.vitess.data_mut(cluster, tablet).filter(|_| !stalled) {
                data.unapplied = pilothouse_core::gtid::GtidSet::default();
            }
        })
    }

    /// A replica's applier fails at a transaction, now and whenever it is started anew; or is mended.
    pub fn fail_applier(&self, cluster: &ClusterKey, tablet: &TabletAlias, fails: bool) -> bool {
        self.on_tablet(cluster, tablet, |state| {
            let now = state.now;
            if let Some(found) = state.vitess.tablet_mut(cluster, tablet) {
                found.fails = fails;
                found.stalled_since = fails.then_some(now);
            }
            if let Some(data) = state.vitess.data_mut(cluster, tablet).filter(|_| !fails) {
                data.unapplied = pilothouse_core::gtid::GtidSet::default();
            }
        })
    }

    /// Whoever asks a primary to demote itself waits in vain, while it takes no writes any more; or does not.
    pub fn hang_demotion(&self, cluster: &ClusterKey, tablet: &TabletAlias, hangs: bool) -> bool {
        self.on_tablet(cluster, tablet, |state| {
            if let Some(found) = state.vitess.tablet_mut(cluster, tablet) {
                found.demotion_hangs = hangs;
            }
        })
    }

    /// Somebody who has the lock of a shard does not give it back; or does. False if there is no such shard.
    pub fn hold_lock(&self, cluster: &ClusterKey, shard: &ShardId, held: bool) -> bool {
        let key = ShardKey { cluster: cluster.clone(), shard: shard.clone() };
        self.on_shard(&key, |state| {
            if let Some(shard) = state.vitess.shard_mut(&key) {
                shard.locked = held;
            }
        })
    }

    /// Somebody writes to one server past the gateways; nobody else gets that.
    pub fn stray_write(&self, cluster: &ClusterKey, tablet: &TabletAlias) -> bool {
        let shard = self.with(|state| state.vitess.tablet(cluster, tablet).map(|t| t.shard.clone()));
        let key = shard.map(|shard| ShardKey { cluster: cluster.clone(), shard });
        let write = |state: &mut State, key: &ShardKey| {
            let new = state.commit_alone(key, tablet, 1);
            if let Some(shard) = state.vitess.shard_mut(key) {
                shard.strays.union_with(&new);
            }
        };
        key.is_some_and(|key| self.on_shard(&key, |state| write(state, &key)))
    }

    /// A server's binary logs go, with all that it has.
    pub fn purge_logs(&self, cluster: &ClusterKey, tablet: &TabletAlias) -> bool {
        self.on_tablet(cluster, tablet, |state| {
            if let Some(data) = state.vitess.data_mut(cluster, tablet) {
                data.purged = data.position.clone();
            }
        })
    }

    /// Containers of an image end as soon as they have started, those of tablets; or do not.
    pub fn break_image(&self, image: &str, broken: bool) {
        self.change(|state| {
            if broken {
                state.broken_images.insert(image.to_owned());
            } else {
                state.broken_images.remove(image);
            }
        });
    }

    /// Calls `act` with the tablet at that place (modulo their number) of all tablets.
    pub(crate) fn on_nth_tablet(&self, n: usize, act: impl Fn(&ClusterKey, &TabletAlias) -> bool) {
        let all = self.all_tablets();
        if let Some((cluster, tablet)) = all.get(n % all.len().max(1)) {
            act(cluster, tablet);
        }
    }

    /// Calls `act` with every tablet.
    pub(crate) fn on_every_tablet(&self, act: impl Fn(&ClusterKey, &TabletAlias)) {
        for (cluster, tablet) in self.all_tablets() {
            act(&cluster, &tablet);
        }
    }

    fn all_tablets(&self) -> Vec<(ClusterKey, TabletAlias)> {
        self.with(|state| {
            let of = |(c, found): (&ClusterKey, &crate::vitess::Cluster)| {
                let named: Vec<_> = found.tablets.keys().map(|a| (c.clone(), a.clone())).collect();
                named
            };
            state.vitess.clusters.iter().flat_map(of).collect()
        })
    }

    fn on_tablet(&self, cluster: &ClusterKey, tablet: &TabletAlias, act: impl FnOnce(&mut State)) -> bool {
        let shard = self.with(|state| state.vitess.tablet(cluster, tablet).map(|t| t.shard.clone()));
        shard.is_some_and(|shard| self.on_shard(&ShardKey { cluster: cluster.clone(), shard }, act))
    }

    fn on_shard(&self, key: &ShardKey, act: impl FnOnce(&mut State)) -> bool {
        let known = self.with(|state| {
            if state.vitess.shard(key).is_none() {
                return false;
            }
            state.settle(key);
            act(state);
            state.agenda.now(super::agenda::Look::Shard(key.clone()));
            true
        });
        self.poke();
        known
    }

    fn change(&self, act: impl FnOnce(&mut State)) {
        self.with(|state| {
            for key in state.shard_keys() {
                state.settle(&key);
            }
            state.revision += 1;
            act(state);
        });
        self.poke();
    }
}

fn ordered(one: &str, other: &str) -> (String, String) {
    let (a, b) = if one < other { (one, other) } else { (other, one) };
    (a.to_owned(), b.to_owned())
}

impl State {
    pub(super) fn set_power(&mut self, node: &str, on: bool, alone: bool) {
        let now = self.now;
        let Some(machine) = self.places.machines.get_mut(node) else { return };
        machine.lost_alone |= alone;
        if machine.powered_since.is_some() == on {
            return;
        }
        machine.powered_since = on.then_some(now);
        self.note(format!("node {node} power {}", if on { "on" } else { "off" }));
        self.agenda.now(super::agenda::Look::Node(node.to_owned()));
        self.node_truth_changed(node);
    }

    fn network_changed(&mut self, zone: &str) {
        for node in self.places.nodes_of(zone) {
            self.agenda.now(super::agenda::Look::Node(node));
        }
        self.mark_all_shards();
    }
}
