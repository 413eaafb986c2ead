//! What may be done, as verbs: absolute, naming their object and what they expect to find.
//!
//! Owns the vocabulary of policies and of the host itself. Carries no rendered
//! objects and no way to execute: `actuate` matches on [`Action`] exhaustively.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Millis;
use crate::plan::Slot;
use crate::topology::{Cell, PoolKey, ShardId, TabletAlias, Zone};
use crate::view::{Record, Registration};
use crate::zones::ZoneState;

/// One verb with its object. Policies may write those that their world has;
/// the last group is the host's own.
#[allow(missing_docs, reason = "each verb's doc names its fields")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "kebab-case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Action {
    // --- placement ---
    /// Put a cell that names no zone into one.
    AssignZone { cell: Cell, zone: Zone },
    /// Run one tablet beyond `replicas` in a surviving cell.
    SurgeTablet { shard: ShardId, pool: PoolKey, index: u32, stands_in_for: Cell },
    /// Stop wanting a surge tablet; it leaves by drain and turndown.
    ReturnTablet { shard: ShardId, tablet: TabletAlias },
    /// Run this many extra gateways in a surviving cell.
    SurgeGateway { cell: Cell, stands_in_for: Cell, replicas: u32 },
    /// Stop wanting the extra gateways.
    ReturnGateway { cell: Cell, stands_in_for: Cell },
    /// Move every tablet and gateway of a cell elsewhere. Not yet supported.
    EvacuateCell { cell: Cell },
    /// Re-create a tablet and its volume in another zone. Not yet supported.
    RelocateTablet { tablet: TabletAlias, zone: Zone },

    // --- failover ---
    /// Give a shard its first primary.
    InitPrimary { shard: ShardId, to: TabletAlias },
    /// Swap a live primary for another tablet.
    PlannedReparent { shard: ShardId, from: TabletAlias, to: TabletAlias },
    /// Replace a lost primary.
    EmergencyReparent { shard: ShardId, lost: TabletAlias, to: TabletAlias },
    /// Keep a tablet from serving until a human looks. Not yet supported.
    QuarantineTablet { tablet: TabletAlias },

    // --- expansion ---
    /// Grow a volume from `from` to `to` bytes.
    ExpandVolume { claim: String, from: u64, to: u64 },
    /// Give a volume another class. Not yet supported.
    ChangeVolumeClass { claim: String, class: String },

    // --- backup ---
    /// Restore the latest backup (if any), catch up, take a new one, in a Pod of its own.
    StartBackup { shard: ShardId, location: String, restore: Option<String> },
    /// Restore a backup only to prove it. Not yet supported.
    VerifyBackup { backup: String },
    /// Remove a backup that a newer verified one covers.
    ExpireBackup { shard: ShardId, backup: String, covered_by: String },
    /// Stop a running backup. Not yet supported.
    CancelBackup { shard: ShardId },
    /// Make a tablet anew that holds what nobody was told of: its volume goes with its Pod, and the next one
    /// restores. `backup` is the newest that was proven.
    RestoreTablet { tablet: TabletAlias, backup: String },
    /// Rebuild a whole shard as of a time. Not yet supported.
    RestoreShard { shard: ShardId, backup: String, to: Millis },

    // --- the host's own ---
    /// Create or update a rendered object.
    Apply { object: ObjectRef, change: Change },
    /// Remove an object that nothing asks for.
    Delete { object: ObjectRef, uid: String, of: Option<TabletAlias> },
    /// Remove the object of a level that its parent asks for no more, both as they were at those
    /// resourceVersions, and with it all that stands below.
    TurnDown { object: ObjectRef, uid: String, version: String, parent: ObjectRef, parent_version: String },
    /// Delete a tablet's Pod so that it comes back as rendered now.
    RecreateTablet { tablet: TabletAlias, pod_uid: String },
    /// Have a tablet's mysqld write out all that it has when it ends: the next one converts its files.
    PrepareUpgrade { tablet: TabletAlias, pod_uid: String },
    /// Remove the topology's record of a tablet that is gone.
    ForgetTablet { tablet: TabletAlias },
    /// Let VTOrc replace a lost primary of the shard, or keep it from it; its repairs go on.
    SwitchVtorc { shard: ShardId, fails_over: bool },
    /// Make a topology record, or bring it to what is asked.
    RegisterRecord { registration: Registration },
    /// Remove a topology record that nothing asks for.
    PruneRecord { record: Record },
    /// Write down, at the object of that UID, the change that waits for its release.
    ScheduleChange { object: ObjectRef, uid: String, changes: String },
    /// Release the change that waits at a tablet's Pod.
    ReleaseTablet { tablet: TabletAlias, pod_uid: String },
    /// Take rollout marks whose work is done from the object as it was at that resourceVersion.
    EndRollout { object: ObjectRef, version: String, marks: Vec<RolloutMark> },
    /// Move a tablet's drain protocol on (or back, to [`DrainStep::Abort`]).
    DrainTablet { tablet: TabletAlias, step: DrainStep },
}

/// An object in the cluster's namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ObjectRef {
    /// Kubernetes kind.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// What an apply does to the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It is not there.
    Create,
    /// It differs and can be changed where it is.
    Update,
    /// Only what we report of it differs.
    Status,
}

/// A mark of the rollout protocol on an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RolloutMark {
    /// A change waits.
    Scheduled,
    /// It need not wait.
    Released,
    /// What waits at the object's children need not.
    Cascade,
}

/// A step of the drain protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DrainStep {
    /// Ask for it.
    Start,
    /// Say that we saw it.
    Acknowledge,
    /// Say that the tablet may go.
    Finish,
    /// Forget it.
    Abort,
}

/// What a step expects to find; checked again on fresh state before the effect.
#[allow(missing_docs, reason = "each variant's doc names its fields")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "expect", rename_all = "kebab-case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Expectation {
    /// The topology names this primary (or none).
    Primary { shard: ShardId, is: Option<TabletAlias> },
    /// The zone is judged so.
    Zone { zone: Zone, state: ZoneState },
    /// The claim asks for this many bytes.
    VolumeRequest { claim: String, bytes: u64 },
    /// The backup is complete and still there.
    BackupPresent { shard: ShardId, backup: String },
    /// No backup of the shard is running.
    BackupIdle { shard: ShardId },
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Primary { shard, is: Some(tablet) } => write!(f, "{tablet} is primary of {shard}"),
            Self::Primary { shard, is: None } => write!(f, "{shard} has no primary"),
            Self::Zone { zone, state } => write!(f, "zone {zone} is {state:?}"),
            Self::VolumeRequest { claim, bytes } => write!(f, "claim {claim} asks for {bytes} bytes"),
            Self::BackupPresent { shard, backup } => write!(f, "backup {backup} of {shard} is complete"),
            Self::BackupIdle { shard } => write!(f, "no backup of {shard} is running"),
        }
    }
}

impl Action {
    /// The slot whose policies may write this verb; none for the host's own.
    #[must_use]
    pub const fn slot(&self) -> Option<Slot> {
        match self {
            Self::AssignZone { .. }
            | Self::SurgeTablet { .. }
            | Self::ReturnTablet { .. }
            | Self::SurgeGateway { .. }
            | Self::ReturnGateway { .. }
            | Self::EvacuateCell { .. }
            | Self::RelocateTablet { .. } => Some(Slot::Placement),
            Self::InitPrimary { .. }
            | Self::PlannedReparent { .. }
            | Self::EmergencyReparent { .. }
            | Self::QuarantineTablet { .. } => Some(Slot::Failover),
            Self::ExpandVolume { .. } | Self::ChangeVolumeClass { .. } => Some(Slot::Expansion),
            Self::StartBackup { .. }
            | Self::VerifyBackup { .. }
            | Self::ExpireBackup { .. }
            | Self::CancelBackup { .. }
            | Self::RestoreTablet { .. }
            | Self::RestoreShard { .. } => Some(Slot::Backup),
            Self::Apply { .. }
            | Self::Delete { .. }
            | Self::TurnDown { .. }
            | Self::RecreateTablet { .. }
            | Self::PrepareUpgrade { .. }
            | Self::ForgetTablet { .. }
            | Self::SwitchVtorc { .. }
            | Self::RegisterRecord { .. }
            | Self::PruneRecord { .. }
            | Self::ScheduleChange { .. }
            | Self::ReleaseTablet { .. }
            | Self::EndRollout { .. }
            | Self::DrainTablet { .. } => None,
        }
    }

    /// The verb, as logs, metrics and texts name it.
    #[must_use]
    pub const fn verb(&self) -> &'static str {
        match self {
            Self::AssignZone { .. } => "assign-zone",
            Self::SurgeTablet { .. } => "surge-tablet",
            Self::ReturnTablet { .. } => "return-tablet",
            Self::SurgeGateway { .. } => "surge-gateway",
            Self::ReturnGateway { .. } => "return-gateway",
            Self::EvacuateCell { .. } => "evacuate-cell",
            Self::RelocateTablet { .. } => "relocate-tablet",
            Self::InitPrimary { .. } => "init-primary",
            Self::PlannedReparent { .. } => "planned-reparent",
            Self::EmergencyReparent { .. } => "emergency-reparent",
            Self::QuarantineTablet { .. } => "quarantine-tablet",
            Self::ExpandVolume { .. } => "expand-volume",
            Self::ChangeVolumeClass { .. } => "change-volume-class",
            Self::StartBackup { .. } => "start-backup",
            Self::VerifyBackup { .. } => "verify-backup",
            Self::ExpireBackup { .. } => "expire-backup",
            Self::CancelBackup { .. } => "cancel-backup",
            Self::RestoreTablet { .. } => "restore-tablet",
            Self::RestoreShard { .. } => "restore-shard",
            Self::Apply { .. } => "apply",
            Self::Delete { .. } => "delete",
            Self::TurnDown { .. } => "turn-down",
            Self::RecreateTablet { .. } => "recreate-tablet",
            Self::PrepareUpgrade { .. } => "prepare-upgrade",
            Self::ForgetTablet { .. } => "forget-tablet",
            Self::SwitchVtorc { .. } => "switch-vtorc",
            Self::RegisterRecord { .. } => "register-record",
            Self::PruneRecord { .. } => "prune-record",
            Self::ScheduleChange { .. } => "schedule-change",
            Self::ReleaseTablet { .. } => "release-tablet",
            Self::EndRollout { .. } => "end-rollout",
            Self::DrainTablet { .. } => "drain-tablet",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.verb())?;
        match self {
            Self::AssignZone { cell, zone } => write!(f, "{cell} to {zone}"),
            Self::SurgeTablet { shard, pool, index, stands_in_for } => {
                write!(f, "{shard} {pool} index {index} for {stands_in_for}")
            }
            Self::ReturnTablet { shard, tablet } => write!(f, "{shard} {tablet}"),
            Self::SurgeGateway { cell, stands_in_for, replicas } => {
                write!(f, "{cell} {replicas} for {stands_in_for}")
            }
            Self::ReturnGateway { cell, stands_in_for } => write!(f, "{cell} for {stands_in_for}"),
            Self::EvacuateCell { cell } => write!(f, "{cell}"),
            Self::RelocateTablet { tablet, zone } => write!(f, "{tablet} to {zone}"),
            Self::InitPrimary { shard, to } => write!(f, "{shard} to {to}"),
            Self::PlannedReparent { shard, from, to } => write!(f, "{shard} from {from} to {to}"),
            Self::EmergencyReparent { shard, lost, to } => write!(f, "{shard} from lost {lost} to {to}"),
            Self::QuarantineTablet { tablet } => write!(f, "{tablet}"),
            Self::ExpandVolume { claim, from, to } => write!(f, "{claim} from {from} to {to} bytes"),
            Self::ChangeVolumeClass { claim, class } => write!(f, "{claim} to {class}"),
            Self::StartBackup { shard, location, restore } => {
                write!(f, "{shard} at {location:?} restoring {}", restore.as_deref().unwrap_or("nothing"))
            }
            Self::VerifyBackup { backup } => write!(f, "{backup}"),
            Self::ExpireBackup { shard, backup, covered_by } => {
                write!(f, "{shard} {backup} covered by {covered_by}")
            }
            Self::CancelBackup { shard } => write!(f, "{shard}"),
            Self::RestoreTablet { tablet, backup } => write!(f, "{tablet} from {backup}"),
            Self::RestoreShard { shard, backup, to } => write!(f, "{shard} from {backup} to {to}"),
            Self::Apply { object, change } => write!(f, "{object} ({change:?})"),
            Self::Delete { object, .. }
            | Self::TurnDown { object, .. }
            | Self::ScheduleChange { object, .. } => write!(f, "{object}"),
            Self::SwitchVtorc { shard, fails_over: true } => write!(f, "{shard} to decide"),
            Self::SwitchVtorc { shard, fails_over: false } => write!(f, "{shard} to stand by"),
            Self::RegisterRecord { registration } => write!(f, "{registration}"),
            Self::PruneRecord { record } => write!(f, "{record}"),
            Self::EndRollout { object, marks, .. } => write!(f, "{object} {marks:?}"),
            Self::RecreateTablet { tablet, .. }
            | Self::PrepareUpgrade { tablet, .. }
            | Self::ForgetTablet { tablet }
            | Self::ReleaseTablet { tablet, .. } => write!(f, "{tablet}"),
            Self::DrainTablet { tablet, step } => write!(f, "{tablet} {step:?}"),
        }
    }
}
