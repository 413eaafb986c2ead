//! What people paused, and what of a plan lies under it.
//!
//! Owns the record that the view carries and the one question about it. Must not know how a
//! pause is written down.

use serde::{Deserialize, Serialize};

use crate::action::{Action, ObjectRef};
use crate::topology::{Cell, ShardId, TabletAlias};
use crate::view::{ClusterView, Record, Registration};

/// The kind that everything of a cluster stands under.
const CLUSTER: &str = "VitessCluster";

/// A paused object, and what stands under it, or would.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pause {
    /// The object that somebody paused. Of a VitessCluster the lists below stay empty: it is all there is.
    pub object: ObjectRef,
    /// Cells under it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cells: Vec<Cell>,
    /// Shards under it, with their tablets, volumes and backups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shards: Vec<ShardId>,
    /// Objects below it: those that stand, and those that are to be made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<ObjectRef>,
}

impl Pause {
    /// Whether an object stands under it. The paused object itself does not, unless it is the cluster.
    #[must_use]
    pub fn covers(&self, object: &ObjectRef) -> bool {
        self.is_of_all() || self.objects.contains(object)
    }

    fn is_of_all(&self) -> bool {
        self.object.kind == CLUSTER
    }

    /// Whether an action would change something under it.
    pub(crate) fn stops(&self, view: &ClusterView, action: &Action) -> bool {
        let shard = |id: &ShardId| self.shards.contains(id);
        let tablet = |alias: &TabletAlias| view.tablet(alias).is_some_and(|t| shard(&t.shard));
        let claim = |name: &str| view.volume(name).is_some_and(|v| tablet(&v.tablet));
        let of_keyspace = |name: &str| self.shards.iter().any(|id| id.keyspace == name);
        if self.is_of_all() {
            return true;
        }
        match action {
            Action::AssignZone { cell, .. }
            | Action::SurgeGateway { cell, .. }
            | Action::ReturnGateway { cell, .. }
            | Action::EvacuateCell { cell } => self.cells.contains(cell),
            Action::SurgeTablet { shard: id, .. }
            | Action::ReturnTablet { shard: id, .. }
            | Action::InitPrimary { shard: id, .. }
            | Action::PlannedReparent { shard: id, .. }
            | Action::EmergencyReparent { shard: id, .. }
            | Action::StartBackup { shard: id, .. }
            | Action::ExpireBackup { shard: id, .. }
            | Action::CancelBackup { shard: id }
            | Action::RestoreShard { shard: id, .. } => shard(id),
            Action::VerifyBackup { backup } => {
                view.backups.iter().any(|b| b.name == *backup && shard(&b.shard))
            }
            Action::ExpandVolume { claim: name, .. } | Action::ChangeVolumeClass { claim: name, .. } => {
                claim(name)
            }
            Action::RelocateTablet { tablet: alias, .. }
            | Action::QuarantineTablet { tablet: alias }
            | Action::RestoreTablet { tablet: alias, .. }
            | Action::RecreateTablet { tablet: alias, .. }
            | Action::PrepareUpgrade { tablet: alias, .. }
            | Action::ForgetTablet { tablet: alias }
            | Action::ReleaseTablet { tablet: alias, .. }
            | Action::DrainTablet { tablet: alias, .. } => tablet(alias),
            // Whoever must not act gives the deciding back.
            Action::SwitchVtorc { shard: id, fails_over } => !fails_over && shard(id),
            Action::RegisterRecord { registration } => match registration {
                Registration::Cell { cell, .. } => self.cells.contains(cell),
                Registration::CellsAlias { .. } => false,
                Registration::Keyspace { keyspace, .. } => of_keyspace(keyspace),
                Registration::Shard { shard: id } => shard(id),
            },
            Action::PruneRecord { record } => match record {
                Record::Tablet { tablet: alias } => tablet(alias),
                Record::ShardCell { shard: id, .. } | Record::Shard { shard: id } => shard(id),
                Record::ServingGraph { keyspace, .. } | Record::Keyspace { keyspace } => {
                    of_keyspace(keyspace)
                }
                Record::Cell { cell } => self.cells.contains(cell),
            },
            Action::Apply { object, .. }
            | Action::TurnDown { object, .. }
            | Action::ScheduleChange { object, .. }
            | Action::EndRollout { object, .. } => self.covers(object),
            Action::Delete { object, of, .. } => self.covers(object) || of.as_ref().is_some_and(tablet),
        }
    }
}
