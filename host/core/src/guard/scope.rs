//! Rule `scope`: everything that a step names is in this cluster's view.
//!
//! Another tenant's tablet, a cell that nobody declared or an object of another
//! namespace is unknown here, and so cannot be touched.

use super::{Case, Rule, Why, unless};
use crate::action::{Action, Expectation, ObjectRef};
use crate::topology::{Cell, PoolKey, ShardId, TabletAlias, Zone};
use crate::view::ClusterView;

pub(super) const RULE: Rule = Rule { name: "scope", keeps: &["S10"], judge: |case| check(case).err() };

fn check(case: &Case<'_>) -> Result<(), Why> {
    let names = Names(case.view);
    for expected in &case.step.expect {
        match expected {
            Expectation::Primary { shard, is } => {
                names.shard(shard)?;
                is.as_ref().map_or(Ok(()), |tablet| names.member(shard, tablet))?;
            }
            Expectation::Zone { zone, .. } => names.zone(zone)?,
            Expectation::VolumeRequest { claim, .. } => names.claim(claim)?,
            Expectation::BackupPresent { shard, backup } => names.backup(shard, backup)?,
            Expectation::BackupIdle { shard } => names.shard(shard)?,
        }
    }
    names.action(&case.step.action)
}

struct Names<'a>(&'a ClusterView);

impl Names<'_> {
    fn action(&self, action: &Action) -> Result<(), Why> {
        match action {
            Action::AssignZone { cell, zone } => self.cell(cell).and(self.zone(zone)),
            Action::SurgeTablet { shard, pool, stands_in_for, .. } => {
                self.pool(shard, pool).and(self.cell(stands_in_for))
            }
            Action::ReturnTablet { shard, tablet } => self.member(shard, tablet),
            Action::SurgeGateway { cell, stands_in_for, .. }
            | Action::ReturnGateway { cell, stands_in_for } => self.cell(cell).and(self.cell(stands_in_for)),
            Action::EvacuateCell { cell } => self.cell(cell),
            Action::RelocateTablet { tablet, zone } => self.tablet(tablet).and(self.zone(zone)),
            Action::InitPrimary { shard, to } => self.member(shard, to),
            Action::PlannedReparent { shard, from, to } => {
                self.member(shard, from).and(self.member(shard, to))
            }
            Action::EmergencyReparent { shard, lost, to } => {
                self.member(shard, lost).and(self.member(shard, to))
            }
            Action::ExpandVolume { claim, .. } | Action::ChangeVolumeClass { claim, .. } => self.claim(claim),
            Action::StartBackup { shard, restore, .. } => {
                self.shard(shard)?;
                restore.as_ref().map_or(Ok(()), |backup| self.backup(shard, backup))
            }
            Action::VerifyBackup { backup } => {
                unless(self.0.backups.iter().any(|b| b.name == *backup), || no("backup", backup))
            }
            Action::ExpireBackup { shard, backup, covered_by } => {
                self.backup(shard, backup).and(self.backup(shard, covered_by))
            }
            Action::CancelBackup { shard } | Action::SwitchVtorc { shard, .. } => self.shard(shard),
            Action::RestoreTablet { tablet, .. } | Action::QuarantineTablet { tablet } => self.tablet(tablet),
            Action::RestoreShard { shard, backup, .. } => self.backup(shard, backup),
            // The rule `records` lets none pass that the view does not have.
            Action::RegisterRecord { .. } | Action::PruneRecord { .. } => Ok(()),
            Action::Apply { object, .. }
            | Action::ScheduleChange { object, .. }
            | Action::EndRollout { object, .. } => self.object(object),
            Action::TurnDown { object, parent, .. } => self.object(object).and(self.object(parent)),
            Action::Delete { object, of, .. } => {
                self.object(object)?;
                of.as_ref().map_or(Ok(()), |tablet| self.tablet(tablet))
            }
            Action::RecreateTablet { tablet, .. }
            | Action::PrepareUpgrade { tablet, .. }
            | Action::ForgetTablet { tablet }
            | Action::ReleaseTablet { tablet, .. }
            | Action::DrainTablet { tablet, .. } => self.tablet(tablet),
        }
    }

    fn object(&self, object: &ObjectRef) -> Result<(), Why> {
        unless(object.namespace == self.0.cluster.namespace, || no("object", object))
    }

    fn shard(&self, shard: &ShardId) -> Result<(), Why> {
        unless(self.0.shard(shard).is_some(), || no("shard", shard))
    }

    fn pool(&self, shard: &ShardId, pool: &PoolKey) -> Result<(), Why> {
        let found = self.0.shard(shard).is_some_and(|s| s.pools.iter().any(|p| p.key == *pool));
        unless(found, || Why::NotOurs { named: format!("pool {pool} in shard {shard}") })
    }

    fn tablet(&self, tablet: &TabletAlias) -> Result<(), Why> {
        unless(self.0.tablet(tablet).is_some(), || no("tablet", tablet))
    }

    fn member(&self, shard: &ShardId, tablet: &TabletAlias) -> Result<(), Why> {
        self.shard(shard)?;
        let found = self.0.tablet(tablet).is_some_and(|t| t.shard == *shard);
        unless(found, || Why::NotOurs { named: format!("tablet {tablet} in shard {shard}") })
    }

    fn cell(&self, cell: &Cell) -> Result<(), Why> {
        unless(self.0.cell(cell).is_some(), || no("cell", cell))
    }

    fn zone(&self, zone: &Zone) -> Result<(), Why> {
        unless(self.0.zone(zone).is_some(), || no("zone", zone))
    }

    fn claim(&self, claim: &str) -> Result<(), Why> {
        unless(self.0.volume(claim).is_some(), || no("claim", claim))
    }

    fn backup(&self, shard: &ShardId, backup: &str) -> Result<(), Why> {
        let found = self.0.backups_of(shard).any(|b| b.name == backup);
        unless(found, || Why::NotOurs { named: format!("backup {backup} of shard {shard}") })
    }
}

fn no(what: &str, named: impl std::fmt::Display) -> Why {
    Why::NotOurs { named: format!("{what} {named}") }
}
