//! What the host has heard of a cluster, as its client of Vitess tells it and as a view has it.

use std::collections::BTreeMap;

use pilothouse::vitess::{Observation, ShardRecord, TabletRecord};
use pilothouse_core::Millis;
use pilothouse_core::gtid::GtidSet;
use pilothouse_core::view::{ClusterView, Reach, Replication, Role};
use pilothouse_core::zones::ZoneHealth;

use super::clock::Wall;
use super::cluster::{Cluster, Position, Tablet, Told};
use super::weather::ZONES;

/// Their MySQLs, by zone.
const SERVERS: [&str; ZONES] = ["server-a", "server-b", "server-c"];

impl Cluster {
    /// What the host has heard, as its client of Vitess tells it.
    pub(super) fn observation(&self, template: &ClusterView) -> Observation {
        let alias = |zone: usize| template.tablets[zone].alias.clone();
        let record = ShardRecord {
            primary: Some(alias(self.primary)),
            primary_since: self.primary_since,
            initialized: true,
            ..ShardRecord::default()
        };
        let tablet = |zone: usize| {
            let Tablet { reach, reach_since, .. } = self.tablets[zone];
            let reach = if reach { Reach::Yes } else { Reach::No };
            let replication = self.replication(zone, template);
            let role = self.role(zone);
            (alias(zone), TabletRecord { role, reach, reach_since, replication, ..TabletRecord::default() })
        };
        Observation {
            shards: BTreeMap::from([(template.shards[0].id.clone(), record)]),
            tablets: (0..ZONES).map(tablet).collect(),
            ..Observation::default()
        }
    }

    fn role(&self, zone: usize) -> Role {
        if self.tablets[zone].told.writable { Role::Primary } else { Role::Replica }
    }

    /// As last told. Positions are those of now: no fingerprint shows them, and where they decide they stand still.
    fn replication(&self, zone: usize, template: &ClusterView) -> Option<Replication> {
        let tablet = &self.tablets[zone];
        let Told { source, hears, .. } = tablet.told;
        let set = |position: Position| {
            let mut set = GtidSet::default();
            (0..ZONES).for_each(|s| set.add(SERVERS[s], 1, position[s]));
            set
        };
        let errant = self.errant(zone);
        let above = |s: usize| (errant[s] > 0).then(|| (s, tablet.has[s] - errant[s] + 1, tablet.has[s]));
        let mut alone = GtidSet::default();
        for (s, first, last) in (0..ZONES).filter_map(above) {
            alone.add(SERVERS[s], first, last);
        }
        tablet.reach.then(|| Replication {
            server: SERVERS[zone].to_owned(),
            source: source.map(|source| template.tablets[source].alias.clone()),
            source_connected: hears,
            applying: source.is_some(),
            lag_ms: 0,
            position: set(tablet.has),
            errant: alone,
            forgotten: GtidSet::default(),
            acks: hears,
            read_only: false,
        })
    }

    /// The view of what was heard.
    pub(super) fn view(
        &self,
        template: &ClusterView,
        number: usize,
        as_of: Millis,
        (verdicts, wall): (&[ZoneHealth; ZONES], Wall),
    ) -> ClusterView {
        let mut view = template.clone();
        view.as_of = as_of;
        view.cluster.name = super::drive::name(number);
        view.cluster.uid.clone_from(&view.cluster.name);
        for (zone, verdict) in verdicts.iter().enumerate() {
            view.zones[zone].health = *verdict;
            view.cells[zone].gateways_ready = u32::from(self.nodes_ready[zone]);
            let labelled = || (0..ZONES).filter(|other| self.labels[*other] == Some(zone));
            let nodes = |zone: usize| template.zones[zone].nodes;
            view.zones[zone].nodes = labelled().map(nodes).sum();
            view.zones[zone].nodes_ready = labelled().filter(|zone| self.nodes_ready[*zone]).map(nodes).sum();
        }
        let Observation { shards, tablets, .. } = self.observation(template);
        for (shard, record) in view.shards.iter_mut().zip(shards.into_values()) {
            (shard.primary, shard.primary_since) = (record.primary, record.primary_since);
        }
        for ((zone, tablet), heard) in view.tablets.iter_mut().enumerate().zip(tablets.into_values()) {
            (tablet.ready, tablet.node_ready) = (self.nodes_ready[zone], Some(self.nodes_ready[zone]));
            (tablet.role, tablet.replication) = (heard.role, heard.replication);
            (tablet.reach, tablet.reach_since) = (heard.reach, wall.told(heard.reach_since));
            // Of a node that names none, the cell's.
            tablet.zone.clone_from(&template.tablets[self.labels[zone].unwrap_or(zone)].zone);
        }
        view
    }
}
