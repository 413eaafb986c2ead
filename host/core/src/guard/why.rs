//! The typed "no": one variant a reason, with the data that led to it.
//!
//! Status, events, metrics and texts all render this value: `code` names it for
//! machines, `Display` says it in one sentence.

use serde::{Deserialize, Serialize};

use crate::Millis;
use crate::action::{DrainStep, Expectation, ObjectRef};
use crate::levels::Kept;
use crate::plan::Slot;
use crate::records::Held;
use crate::topology::{Cell, PoolKey, PoolType, ShardId, TabletAlias, Zone};
use crate::view::{Drain, Durability, Reach, Record, Registration, Role};
use crate::zones::ZoneState;

/// Why a step was refused.
///
/// A sentence leaves out what goes on changing by itself (times, lags): it stands in the status, and
/// a status that always differs is written for ever.
#[allow(missing_docs, reason = "each variant's sentence names its fields")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "why", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Why {
    // --- what may be written at all ---
    #[error("the host has no way to do it yet")]
    Unsupported,
    #[error("this cluster has no {named}")]
    NotOurs { named: String },
    #[error("a policy of the {slot} slot may not write the verb {verb}")]
    NotItsVerb { slot: Slot, verb: String },
    #[error("{object} is paused")]
    Paused { object: ObjectRef },
    #[error("a rule plugin refused it: {code}: {message}")]
    Vetoed { code: String, message: String },
    #[error("nothing is known of Vitess, and this step must not be guessed")]
    NoEvidence,
    #[error("its time to be done is over")]
    Expired { expires: Millis, as_of: Millis },
    #[error("it expects something that the view does not show: {expected}")]
    Unexpected { expected: Expectation },
    #[error("this plan already has another step for the same object: {other}")]
    Contradicts { other: String },
    #[error("this pass has already admitted {limit} steps of {of}")]
    OverBudget { of: String, limit: usize },

    // --- primaries ---
    #[error("VTOrc replaces a lost primary of {shard}, as the topology has it")]
    VtorcDecides { shard: ShardId },
    #[error("{shard} is not well as the host sees it, or no policy would replace its primary")]
    CannotDecide { shard: ShardId },
    #[error("{named} is not the primary: the topology names {}", or_none(.found))]
    NotThePrimary { named: TabletAlias, found: Option<TabletAlias> },
    #[error("{tablet} is the primary already")]
    AlreadyPrimary { tablet: TabletAlias },
    #[error("the shard has the primary {primary} already")]
    HasPrimary { primary: TabletAlias },
    #[error("{tablet} also answers as primary")]
    AnotherPrimary { tablet: TabletAlias },
    #[error("primary {primary} does not answer as a primary (reach {reach:?}, role {role:?})")]
    PrimaryNotServing { primary: TabletAlias, reach: Reach, role: Role },
    #[error("primary {primary} still answers")]
    PrimaryAnswers { primary: TabletAlias },
    #[error("primary {primary} was not probed")]
    PrimaryNotProbed { primary: TabletAlias },
    #[error("{by} still hears primary {primary}")]
    PrimaryHeard { primary: TabletAlias, by: TabletAlias },
    #[error("no replica that answers can say whether primary {primary} is dead")]
    NoWitness { primary: TabletAlias },
    #[error("the manifest does not let the host initialise {shard}")]
    MayNotInitialize { shard: ShardId },
    #[error("{tablet} may hold data and does not answer")]
    DataUnseen { tablet: TabletAlias },
    #[error("the primary changed less than {least_ms} ms ago")]
    TooSoon { ago_ms: Millis, least_ms: Millis },

    // --- candidates ---
    #[error("{tablet} stands in a {pool_type} pool, which never holds a primary")]
    NotEligible { tablet: TabletAlias, pool_type: PoolType },
    #[error("nothing asks for {tablet} any more")]
    Unwanted { tablet: TabletAlias },
    #[error("{tablet} is being drained ({drain:?})")]
    CandidateDraining { tablet: TabletAlias, drain: Drain },
    #[error("{tablet} does not answer, or its Pod is going")]
    CandidateSilent { tablet: TabletAlias },
    #[error("what {tablet} told is older than its Pod")]
    ToldBefore { tablet: TabletAlias },
    #[error("{tablet} serves as {role:?}, which cannot become primary")]
    CandidateRole { tablet: TabletAlias, role: Role },
    #[error("zone {zone} of {tablet} is {state:?}")]
    CandidateZone { tablet: TabletAlias, zone: Zone, state: ZoneState },
    #[error("{tablet} has transactions that the primary never had: {errant}")]
    Errant { tablet: TabletAlias, errant: String },
    #[error("nothing is known of the replication of {tablet}")]
    ReplicationUnknown { tablet: TabletAlias },
    #[error("{tablet} does not replicate from {source_alias}")]
    NotReplicating { tablet: TabletAlias, source_alias: TabletAlias },
    #[error("{tablet} does not apply what it received")]
    NotApplying { tablet: TabletAlias },
    #[error("{tablet} is more than the allowed {most_ms} ms behind")]
    Lagging { tablet: TabletAlias, lag_ms: Millis, most_ms: Millis },

    // --- proof that nothing acknowledged is lost ---
    #[error("{other} has transactions that {tablet} lacks: {lacks}")]
    Behind { tablet: TabletAlias, other: TabletAlias, lacks: String },
    #[error("{other} told of transactions that it has no more, and {tablet} lacks: {lacks}")]
    Forgotten { tablet: TabletAlias, other: TabletAlias, lacks: String },
    #[error("{} may hold an acknowledged write under {durability:?} and cannot be asked", list(.unseen))]
    LossPossible { durability: Durability, unseen: Vec<TabletAlias> },
    #[error(
        "without a durability policy the old primary {primary} must be proven stopped, or the loss be accepted"
    )]
    NotProvenStopped { primary: TabletAlias },
    #[error("{left} caught-up replicas would be left to acknowledge writes, and {needed} are needed")]
    TooFewAckers { left: usize, needed: usize },

    // --- disruption ---
    #[error("{tablet} is the primary: it is reparented first")]
    IsPrimary { tablet: TabletAlias },
    #[error("{shard} has no known primary")]
    PrimaryUnknown { shard: ShardId },
    #[error("{tablet} of the same shard is down, not ready or silent")]
    MemberDown { tablet: TabletAlias },
    #[error("{tablet} of the same shard is being disrupted already")]
    AlreadyDisrupted { tablet: TabletAlias },
    #[error("the primary of {shard} is changed by this plan")]
    PrimaryChanging { shard: ShardId },
    #[error("a drain that is {found:?} cannot take the step {step:?}")]
    DrainOrder { found: Drain, step: DrainStep },
    #[error("the drain of {tablet} was withdrawn")]
    DrainWithdrawn { tablet: TabletAlias },
    #[error("spec.images.mysqld: the MySQL of {tablet} is newer, and an older one cannot read its files")]
    MysqlDowngrade { tablet: TabletAlias },
    #[error(
        "the next MySQL converts the files of {tablet}, and the one that runs would leave some of its work undone"
    )]
    NotWrittenOut { tablet: TabletAlias },
    #[error("somebody else asked for the drain of {tablet}, and has not taken it back")]
    DrainOfAnother { tablet: TabletAlias },
    #[error("{tablet} is not drained")]
    NotDrained { tablet: TabletAlias },
    #[error("{tablet} is still wanted")]
    StillWanted { tablet: TabletAlias },

    // --- zones ---
    #[error("more than one zone is lost or in doubt: {}", list(.zones))]
    ManyZones { zones: Vec<Zone> },
    #[error("zone {zone} is {state:?}, and must be {needed:?}")]
    ZoneState { zone: Zone, state: ZoneState, needed: ZoneState },
    #[error("zone {zone} is {state:?}")]
    ZoneNotWell { zone: Zone, state: ZoneState },
    #[error("zone {zone} has no node")]
    ZoneEmpty { zone: Zone },
    #[error("cell {cell} stands in no known zone")]
    NoZone { cell: Cell },
    #[error("the manifest puts cell {cell} into a zone")]
    ZonePinned { cell: Cell },
    #[error("cell {cell} stands in zone {zone} already")]
    ZoneAssigned { cell: Cell, zone: Zone },
    #[error("cell {cell} cannot stand in for itself")]
    OwnStandIn { cell: Cell },
    #[error("pool {pool} is external: its databases are not ours to add")]
    ExternalPool { pool: PoolKey },
    #[error("index {index} of {pool} is not one of {first} to {last}")]
    IndexRange { pool: PoolKey, index: u32, first: u32, last: u32 },
    #[error("{tablet} is in use")]
    InUse { tablet: TabletAlias },
    #[error("{tablet} is no surge tablet")]
    NotSurge { tablet: TabletAlias },
    #[error("cell {cell} runs no gateways for {stands_in_for}")]
    NoGatewaySurge { cell: Cell, stands_in_for: Cell },
    #[error("{asked} would stand in for the {lost} of cell {cell}")]
    TooManyStandIns { cell: Cell, asked: u32, lost: u32 },

    // --- volumes and claims ---
    #[error("volumes never shrink: {from} to {to} bytes")]
    NotLarger { from: u64, to: u64 },
    #[error("the claim asks for {requested} bytes, not {from}")]
    OtherRequest { requested: u64, from: u64 },
    #[error("its storage class cannot grow volumes")]
    NotExpandable,
    #[error("nobody said how full it is")]
    UseUnknown,
    #[error("{to} bytes are more than its maximum of {maximum}")]
    OverMaximum { to: u64, maximum: u64 },
    #[error("the volume has {capacity} bytes of the {requested} asked for: the last change is not complete")]
    ChangeRunning { capacity: u64, requested: u64 },
    #[error("its size changed less than {least_ms} ms ago, and the provider wants that between")]
    ChangedLately { ago_ms: Millis, least_ms: Millis },
    #[error("its size changed {count} times within {within_ms} ms, the most that the provider allows")]
    ChangedOften { count: usize, within_ms: Millis },
    #[error("all volumes would ask for {total} bytes, and the budget is {budget}")]
    OverVolumeBudget { total: u64, budget: u64 },
    #[error("it names no UID, so it could remove another object of that name")]
    NoUid,
    #[error("it names no version, so it could remove what was not judged")]
    NoVersion,
    #[error("{object} is still asked for")]
    LevelWanted { object: ObjectRef },
    #[error("{object} stays: {kept}")]
    LevelKept { object: ObjectRef, kept: Kept },
    #[error("nothing asks for a record of {registration}")]
    RecordUnasked { registration: Registration },
    #[error("the record of {record} is asked for, not there, or not to be pruned")]
    RecordWanted { record: Record },
    #[error("the record of {record} stays: {held}")]
    RecordHeld { record: Record, held: Held },
    #[error("its UID is {found:?}, not {named:?}")]
    OtherUid { named: String, found: String },
    #[error("the host does not remove objects of kind {kind}: they hold data, or own what does")]
    HoldsData { kind: String },
    #[error("claim {claim} is not known to be only the working space of a backup run")]
    NotScratch { claim: String },
    #[error("the Pod of {tablet} still exists")]
    PodExists { tablet: TabletAlias },
    #[error("{tablet} is still in the topology or answers")]
    StillInTopology { tablet: TabletAlias },
    #[error("no other caught-up tablet holds everything that {tablet} holds")]
    OnlyCopy { tablet: TabletAlias },

    // --- rebuilding ---
    #[error("{tablet} has nothing that the primary never had")]
    NotErrant { tablet: TabletAlias },
    #[error("{tablet} replicates from the primary all the same: nobody knows when it wrote {errant}")]
    StillReplicates { tablet: TabletAlias, errant: String },
    #[error(
        "{errant} is not the end of what {tablet} wrote as primary: it may be the only copy of what somebody wrote"
    )]
    NotATail { tablet: TabletAlias, errant: String },
    #[error("without a durability policy clients may have been told of {errant}, and only {tablet} has it")]
    ToldAlone { tablet: TabletAlias, errant: String },
    #[error("{other} has some of {errant}, too: a client may have been told of it")]
    MayBeTold { other: TabletAlias, errant: String },
    #[error("but for the primary no caught-up tablet has all that {tablet} has beside {errant}")]
    NoSecondCopy { tablet: TabletAlias, errant: String },
    #[error("the newest backup that was proven is {}, and the step names {named}", or_none(.newest))]
    NotTheProven { named: String, newest: Option<String> },
    #[error("backup {backup} may have some of {errant}: whoever restores it has it again")]
    BackupErrant { backup: String, errant: String },

    // --- backups ---
    #[error("a backup of {shard} is running")]
    BackupRunning { shard: ShardId },
    #[error("new backups of the shard go to {:?}, not {named:?}", .found.as_deref().unwrap_or("no location"))]
    OtherLocation { named: String, found: Option<String> },
    #[error("the newest complete backup is {}, and the step restores {}", or_none(.newest), or_none(.named))]
    NotTheNewest { named: Option<String>, newest: Option<String> },
    #[error("{covered_by} does not cover {backup}: {lacks:?}")]
    NotCovered { backup: String, covered_by: String, lacks: Cover },
}

/// What a backup lacks that should cover another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Cover {
    /// It is the same one.
    Itself,
    /// It did not begin later.
    NotNewer,
    /// Nobody restored it yet.
    Unverified,
    /// The other has transactions that it lacks, or it is not known what either has.
    Transactions,
    /// This plan removes it too.
    Leaving,
    /// It was complete only within the time that must stay restorable.
    Retention,
}

fn or_none<T: std::fmt::Display>(value: &Option<T>) -> String {
    value.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string)
}

fn list<T: std::fmt::Display>(values: &[T]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl Why {
    /// A stable CamelCase name: the reason of a condition, the label of a metric.
    #[must_use]
    #[allow(clippy::too_many_lines, reason = "one line a variant")]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unsupported => "Unsupported",
            Self::NotOurs { .. } => "NotOurs",
            Self::NotItsVerb { .. } => "NotItsVerb",
            Self::Paused { .. } => "Paused",
            Self::Vetoed { .. } => "Vetoed",
            Self::NoEvidence => "NoEvidence",
            Self::Expired { .. } => "Expired",
            Self::Unexpected { .. } => "Unexpected",
            Self::Contradicts { .. } => "Contradicts",
            Self::OverBudget { .. } => "OverBudget",
            Self::VtorcDecides { .. } => "VtorcDecides",
            Self::CannotDecide { .. } => "CannotDecide",
            Self::NotThePrimary { .. } => "NotThePrimary",
            Self::AlreadyPrimary { .. } => "AlreadyPrimary",
            Self::HasPrimary { .. } => "HasPrimary",
            Self::AnotherPrimary { .. } => "AnotherPrimary",
            Self::PrimaryNotServing { .. } => "PrimaryNotServing",
            Self::PrimaryAnswers { .. } => "PrimaryAnswers",
            Self::PrimaryNotProbed { .. } => "PrimaryNotProbed",
            Self::PrimaryHeard { .. } => "PrimaryHeard",
            Self::NoWitness { .. } => "NoWitness",
            Self::MayNotInitialize { .. } => "MayNotInitialize",
            Self::DataUnseen { .. } => "DataUnseen",
            Self::TooSoon { .. } => "TooSoon",
            Self::NotEligible { .. } => "NotEligible",
            Self::Unwanted { .. } => "Unwanted",
            Self::CandidateDraining { .. } => "CandidateDraining",
            Self::CandidateSilent { .. } => "CandidateSilent",
            Self::ToldBefore { .. } => "ToldBefore",
            Self::CandidateRole { .. } => "CandidateRole",
            Self::CandidateZone { .. } => "CandidateZone",
            Self::Errant { .. } => "Errant",
            Self::ReplicationUnknown { .. } => "ReplicationUnknown",
            Self::NotReplicating { .. } => "NotReplicating",
            Self::NotApplying { .. } => "NotApplying",
            Self::Lagging { .. } => "Lagging",
            Self::Behind { .. } => "Behind",
            Self::Forgotten { .. } => "Forgotten",
            Self::LossPossible { .. } => "LossPossible",
            Self::NotProvenStopped { .. } => "NotProvenStopped",
            Self::TooFewAckers { .. } => "TooFewAckers",
            Self::IsPrimary { .. } => "IsPrimary",
            Self::PrimaryUnknown { .. } => "PrimaryUnknown",
            Self::MemberDown { .. } => "MemberDown",
            Self::AlreadyDisrupted { .. } => "AlreadyDisrupted",
            Self::PrimaryChanging { .. } => "PrimaryChanging",
            Self::DrainOrder { .. } => "DrainOrder",
            Self::DrainWithdrawn { .. } => "DrainWithdrawn",
            Self::MysqlDowngrade { .. } => "MysqlDowngrade",
            Self::NotWrittenOut { .. } => "NotWrittenOut",
            Self::DrainOfAnother { .. } => "DrainOfAnother",
            Self::NotDrained { .. } => "NotDrained",
            Self::StillWanted { .. } => "StillWanted",
            Self::ManyZones { .. } => "ManyZones",
            Self::ZoneState { .. } => "ZoneState",
            Self::ZoneNotWell { .. } => "ZoneNotWell",
            Self::ZoneEmpty { .. } => "ZoneEmpty",
            Self::NoZone { .. } => "NoZone",
            Self::ZonePinned { .. } => "ZonePinned",
            Self::ZoneAssigned { .. } => "ZoneAssigned",
            Self::OwnStandIn { .. } => "OwnStandIn",
            Self::ExternalPool { .. } => "ExternalPool",
            Self::IndexRange { .. } => "IndexRange",
            Self::InUse { .. } => "InUse",
            Self::NotSurge { .. } => "NotSurge",
            Self::NoGatewaySurge { .. } => "NoGatewaySurge",
            Self::TooManyStandIns { .. } => "TooManyStandIns",
            Self::NotLarger { .. } => "NotLarger",
            Self::OtherRequest { .. } => "OtherRequest",
            Self::NotExpandable => "NotExpandable",
            Self::UseUnknown => "UseUnknown",
            Self::OverMaximum { .. } => "OverMaximum",
            Self::ChangeRunning { .. } => "ChangeRunning",
            Self::ChangedLately { .. } => "ChangedLately",
            Self::ChangedOften { .. } => "ChangedOften",
            Self::OverVolumeBudget { .. } => "OverVolumeBudget",
            Self::NoUid => "NoUid",
            Self::RecordUnasked { .. } => "RecordUnasked",
            Self::RecordWanted { .. } => "RecordWanted",
            Self::RecordHeld { .. } => "RecordHeld",
            Self::NoVersion => "NoVersion",
            Self::LevelWanted { .. } => "LevelWanted",
            Self::LevelKept { .. } => "LevelKept",
            Self::OtherUid { .. } => "OtherUid",
            Self::HoldsData { .. } => "HoldsData",
            Self::NotScratch { .. } => "NotScratch",
            Self::PodExists { .. } => "PodExists",
            Self::StillInTopology { .. } => "StillInTopology",
            Self::OnlyCopy { .. } => "OnlyCopy",
            Self::NotErrant { .. } => "NotErrant",
            Self::StillReplicates { .. } => "StillReplicates",
            Self::NotATail { .. } => "NotATail",
            Self::ToldAlone { .. } => "ToldAlone",
            Self::MayBeTold { .. } => "MayBeTold",
            Self::NoSecondCopy { .. } => "NoSecondCopy",
            Self::NotTheProven { .. } => "NotTheProven",
            Self::BackupErrant { .. } => "BackupErrant",
            Self::BackupRunning { .. } => "BackupRunning",
            Self::OtherLocation { .. } => "OtherLocation",
            Self::NotTheNewest { .. } => "NotTheNewest",
            Self::NotCovered { .. } => "NotCovered",
        }
    }
}
