//! Keys and values of labels and annotations, as users and tools of the kinds know them.

use pilothouse_core::topology::KeyRange;

/// Which component an object belongs to; see [`Component`].
pub const COMPONENT: &str = "planetscale.com/component";
/// The VitessCluster's name.
pub const CLUSTER: &str = "planetscale.com/cluster";
/// The cell's name.
pub const CELL: &str = "planetscale.com/cell";
/// The keyspace's name.
pub const KEYSPACE: &str = "planetscale.com/keyspace";
/// The shard's safe name; see [`shard`].
pub const SHARD: &str = "planetscale.com/shard";
/// The tablet's uid in ten digits; see [`tablet_uid`].
pub const TABLET_UID: &str = "planetscale.com/tablet-uid";
/// The tablet's pool type.
pub const TABLET_TYPE: &str = "planetscale.com/tablet-type";
/// The tablet's place in its pool, from 1.
pub const TABLET_INDEX: &str = "planetscale.com/tablet-index";
/// The pool's name, on tablets of external pools only.
pub const POOL_NAME: &str = "planetscale.com/pool-name";
/// The schedule that a Job belongs to.
pub const BACKUP_SCHEDULE: &str = "planetscale.com/backup-schedule";
/// How a scheduled Job takes its backup.
pub const BACKUP_METHOD: &str = "planetscale.com/backup-method";
/// The location that a backup is in; empty for the default one.
pub const BACKUP_LOCATION: &str = "backup.planetscale.com/location";
/// `init` or `update`, on vtbackup Pods.
pub const BACKUP_TYPE: &str = "backup.planetscale.com/type";
/// Value of [`BACKUP_TYPE`] for a shard's first backup.
pub const BACKUP_TYPE_INIT: &str = "init";
/// Value of [`BACKUP_TYPE`] for later backups.
pub const BACKUP_TYPE_UPDATE: &str = "update";
/// The EtcdLockserver that a member belongs to.
pub const ETCD_LOCKSERVER: &str = "etcd.planetscale.com/lockserver";
/// The member's place, from 1.
pub const ETCD_INDEX: &str = "etcd.planetscale.com/index";

/// Values of [`COMPONENT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Component {
    /// vtctld.
    Vtctld,
    /// vtadmin.
    Vtadmin,
    /// vtorc.
    Vtorc,
    /// vtgate.
    Vtgate,
    /// vttablet.
    Vttablet,
    /// vtbackup.
    Vtbackup,
    /// etcd.
    Etcd,
    /// The Pod that mirrors a backup location.
    BackupSubcontroller,
}

impl Component {
    /// The label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Vtctld => "vtctld",
            Self::Vtadmin => "vtadmin",
            Self::Vtorc => "vtorc",
            Self::Vtgate => "vtgate",
            Self::Vttablet => "vttablet",
            Self::Vtbackup => "vtbackup",
            Self::Etcd => "etcd",
            Self::BackupSubcontroller => "vbs-subcontroller",
        }
    }
}

/// The value of [`SHARD`]: an open bound is an `x` (`-80` is `x-80`).
#[must_use]
pub fn shard(range: &KeyRange) -> String {
    range.safe_name()
}

/// The key range of a value of [`SHARD`], if it is one.
#[must_use]
pub fn key_range(safe_name: &str) -> Option<KeyRange> {
    let (start, end) = safe_name.split_once('-')?;
    let bound = |b: &str| match b {
        "" => None,
        "x" => Some(String::new()),
        hex => Some(hex.to_owned()),
    };
    format!("{}-{}", bound(start)?, bound(end)?).parse().ok()
}

/// The value of [`TABLET_UID`].
#[must_use]
pub fn tablet_uid(uid: u32) -> String {
    format!("{uid:010}")
}

/// Annotations.
pub mod annotations {
    /// A change that waits for its release, as text.
    pub const ROLLOUT_SCHEDULED: &str = "rollout.planetscale.com/scheduled";
    /// Somebody released the change to this object.
    pub const ROLLOUT_RELEASED: &str = "rollout.planetscale.com/released";
    /// Somebody released the changes to this object's children.
    pub const ROLLOUT_CASCADE: &str = "rollout.planetscale.com/cascade";
    /// The Pod knows the drain protocol.
    pub const DRAIN_SUPPORTED: &str = "drain.planetscale.com/supported";
    /// Somebody wants the tablet drained.
    pub const DRAIN_STARTED: &str = "drain.planetscale.com/started";
    /// How its value begins where that somebody is the host itself; the time follows.
    pub const DRAIN_STARTED_BY_US: &str = "pilothouse, since ";
    /// We saw it.
    pub const DRAIN_ACKNOWLEDGED: &str = "drain.planetscale.com/acknowledged";
    /// The tablet may go.
    pub const DRAIN_FINISHED: &str = "drain.planetscale.com/finished";
    /// Hash of what a Pod was rendered from.
    pub const DESIRED_STATE_HASH: &str = "planetscale.com/desired-state-hash";
    /// The VitessShard's generation that a Pod was rendered from.
    pub const OBSERVED_SHARD_GENERATION: &str = "planetscale.com/observed-shard-generation";
    /// Hash of the Secrets that a gateway reads.
    pub const SECRET_HASH: &str = "planetscale.com/secret-hash";
    /// A volume's file system waits for a restart to grow.
    pub const PVC_FILESYSTEM_RESIZE: &str = "planetscale.com/pvc-filesystem-resize";
    /// Lines added to my.cnf, for the container to read.
    pub const MYSQLD_CONFIG_OVERRIDES: &str = "planetscale.com/mysqld-config-overrides";
    /// When a scheduled Job was due.
    pub const BACKUP_SCHEDULED_AT: &str = "planetscale.com/backup-scheduled-at";

    /// Ours: the lost cell that a surge tablet or gateway stands in for.
    pub const STANDS_IN_FOR: &str = "pilothouse.dev/stands-in-for";
    /// Ours: when a volume's size was last asked to change, as a list of times.
    pub const VOLUME_CHANGES: &str = "pilothouse.dev/volume-changes";
    /// Ours: the most that a volume may ever have.
    pub const VOLUME_MAXIMUM: &str = "pilothouse.dev/volume-maximum";
    /// Ours: the decision that an object's last change came from.
    pub const DECISION: &str = "pilothouse.dev/decision";
    /// Ours: when a later run, or a tablet, restored a backup whole and caught up from it.
    pub const BACKUP_VERIFIED: &str = "pilothouse.dev/backup-verified";
    /// Ours: the backup that the run which took this one restored before.
    pub const BACKUP_FROM: &str = "pilothouse.dev/backup-from";
    /// Ours: the number of each MySQL server's last own transaction once a backup was complete.
    pub const BACKUP_WRITTEN: &str = "pilothouse.dev/backup-written";
    /// Ours: nothing under the object is changed while it is there, whatever it says.
    pub const PAUSED: &str = "pilothouse.dev/paused";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn safe_names_read_back() {
        for (range, safe) in [("-", "x-x"), ("-80", "x-80"), ("80-", "80-x"), ("40-80", "40-80")] {
            let parsed: KeyRange = range.parse().unwrap();
            assert_eq!(shard(&parsed), safe);
            assert_eq!(key_range(safe), Some(parsed));
        }
        for bad in ["-", "x", "80-40", "8-x", "X-80"] {
            assert_eq!(key_range(bad), None, "{bad}");
        }
    }

    #[test]
    fn uids_have_ten_digits() {
        assert_eq!(tablet_uid(790_125_915), "0790125915");
    }
}
