//! Why a schedule's backups are not taken as it says, as values: conditions render them.

use pilothouse_api::validate::FieldError;
use pilothouse_core::Millis;
use pilothouse_core::topology::ShardId;

use crate::clock::rfc3339;

/// One reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Trouble {
    /// The schedule cannot be used.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    InvalidSpec(Vec<FieldError>),
    /// Somebody wants no backups for now.
    #[error("it is suspended")]
    Suspended,
    /// A strategy names what does not stand.
    #[error("{0} is no shard of the cluster")]
    NoSuchShard(ShardId),
    /// There is nowhere to put a backup.
    #[error("{0} has no backup location")]
    NoBackupLocation(ShardId),
    /// A run begins with a backup; there is none, and we may not take the first.
    #[error("{0} has no backup to begin with, and initializeBackup is false")]
    InitialBackupNotAllowed(ShardId),
    /// vtbackup needs a mysqld and a volume of its own.
    #[error("{0} has no pool with a mysqld and a volume to take the shape of")]
    NoMysqld(ShardId),
    /// Nothing says what to run vtctldclient from.
    #[error("the cluster names no image of vtctld")]
    NoImage,
    /// A run is due and there is nothing that it could begin with.
    #[error("{0}: a run is due and waits for the first backup")]
    NoFirstBackup(ShardId),
    /// A run is due and nobody could tell it what is new.
    #[error("{0}: a run is due and waits for a primary that answers")]
    NoPrimary(ShardId),
    /// A run is due and another is on.
    #[error("{shard}: the run of {} waits for the end of another", rfc3339(*.due))]
    RunOverlaps {
        /// Whose.
        shard: ShardId,
        /// When it was due.
        due: Millis,
    },
    /// A run's deadline was over before it could begin.
    #[error("{shard}: the run of {} could not begin within startingDeadlineSeconds", rfc3339(*.due))]
    RunLate {
        /// Whose.
        shard: ShardId,
        /// When it was due.
        due: Millis,
    },
    /// More runs were missed than may be.
    #[error("{0}: more runs were missed than allowedMissedRun; the next on the schedule begins")]
    RunsMissed(ShardId),
    /// The last run took no backup.
    #[error("{shard}: Job {job} failed")]
    RunFailed {
        /// Whose.
        shard: ShardId,
        /// Its name.
        job: String,
    },
}

impl Trouble {
    /// One word for conditions.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::InvalidSpec(_) => "InvalidSpec",
            Self::Suspended => "Suspended",
            Self::NoSuchShard(_) => "NoSuchShard",
            Self::NoBackupLocation(_) => "NoBackupLocation",
            Self::InitialBackupNotAllowed(_) => "InitialBackupNotAllowed",
            Self::NoMysqld(_) => "NoMysqld",
            Self::NoImage => "NoImage",
            Self::NoFirstBackup(_) => "NoFirstBackup",
            Self::NoPrimary(_) => "NoPrimary",
            Self::RunOverlaps { .. } => "RunOverlaps",
            Self::RunLate { .. } => "RunLate",
            Self::RunsMissed(_) => "RunsMissed",
            Self::RunFailed { .. } => "RunFailed",
        }
    }
}
