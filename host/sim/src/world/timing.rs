//! Every duration that the world plays, named once.
//!
//! Milliseconds unless a name says otherwise. Where the real figure is known it is
//! kept; where it varies, the world draws from `LOW..=HIGH` by its seed. Must not
//! hold a value that a test or a demo needs only for itself.

/// A kubelet renews its Lease this often (`nodeLeaseDurationSeconds` / 4).
pub const LEASE_RENEWAL: i64 = 10_000;
/// The node lifecycle controller calls a node Unknown this long after its last renewal
/// (`--node-monitor-grace-period`, 50 s since 1.32), so 40–50 s after it fell silent.
pub const NODE_MONITOR_GRACE: i64 = 50_000;
/// One node of a zone gets its NoExecute taint this often (`--node-eviction-rate` 0.1 a second).
pub const NODE_EVICTION_SPACING: i64 = 10_000;
/// Toleration that admission gives a Pod for `not-ready` and `unreachable`, in seconds.
pub const DEFAULT_TOLERATION_SECONDS: i64 = 300;
/// From power to a kubelet that posts: firmware, kernel, container runtime.
pub const NODE_BOOT: i64 = 25_000;

/// From the selected node to a bound volume.
pub const PROVISIONING: (i64, i64) = (2_000, 6_000);
/// Attach and mount of all volumes of a Pod.
pub const ATTACH: (i64, i64) = (2_000, 8_000);
/// Sandbox of a Pod without a volume to attach.
pub const SANDBOX: (i64, i64) = (400, 1_200);
/// The attach-detach controller takes a volume from a silent node after this long
/// (`maxWaitForUnmountDuration`).
pub const FORCED_DETACH: i64 = 360_000;
/// One init container, image present.
pub const INIT_CONTAINER: (i64, i64) = (500, 2_000);
/// From container start to the first good readiness probe of a gateway, an etcd member, a control daemon.
pub const SERVICE_READY: (i64, i64) = (3_000, 9_000);
/// The same for a tablet: mysqld's start and vttablet's.
pub const TABLET_READY: (i64, i64) = (9_000, 16_000);
/// A container that stops on SIGTERM.
pub const STOPPING: (i64, i64) = (1_000, 4_000);
/// A tablet that stops: vttablet's lame duck time, then a clean mysqld shutdown.
pub const TABLET_STOPPING: (i64, i64) = (4_000, 12_000);
/// First back-off of a crashed container; it doubles up to [`CRASH_BACKOFF_MAX`].
pub const CRASH_BACKOFF: i64 = 10_000;
/// Longest back-off of a crashed container.
pub const CRASH_BACKOFF_MAX: i64 = 300_000;
/// A container that ran so long has its back-off forgotten.
pub const CRASH_FORGIVEN: i64 = 600_000;
/// A Job's Pod with no program that the world knows.
pub const JOB_RUN: i64 = 20_000;
/// Back-off of the Job controller before the next Pod; it doubles up to [`JOB_BACKOFF_MAX`].
pub const JOB_BACKOFF: i64 = 10_000;
/// Longest back-off of the Job controller.
pub const JOB_BACKOFF_MAX: i64 = 360_000;

/// The controller's half of a volume's growth: the provider's call.
pub const CONTROLLER_RESIZE: (i64, i64) = (8_000, 30_000);
/// The node's half: the file system, online.
pub const FILESYSTEM_RESIZE: (i64, i64) = (2_000, 10_000);
/// A provider takes the next change of the same volume only after this long.
pub const BETWEEN_VOLUME_CHANGES: i64 = 6 * 3_600_000;
/// The resizer asks again after a refusal.
pub const RESIZE_RETRY: i64 = 600_000;

/// The host probes a tablet each second and waits for a second: what fails for so long is told as unreachable.
pub const PROBE_PERIOD: i64 = 2_000;
/// A replica notices that its source's machine or the way to it is gone.
pub const SOURCE_TIMEOUT: i64 = 8_000;
/// A connected replica of a primary that the host does not hear tells it when it last heard that one. It hears it
/// no more when a heartbeat, which comes twice in [`SOURCE_TIMEOUT`], is late by a second.
pub const SOURCE_OVERDUE: i64 = SOURCE_TIMEOUT / 2 + 1_000;
/// A replica notices that its source's process ended (its connection is reset).
pub const SOURCE_RESET: i64 = 1_000;
/// A restarted receiver is connected to its source again.
pub const SOURCE_CONNECT: i64 = 1_000;
/// VTOrc sees and repairs a replica that follows nobody or the wrong one.
pub const VTORC_REPAIR: i64 = 5_000;
/// vttablet's shard watch sees a newer primary and demotes itself.
pub const SHARD_SYNC: i64 = 3_000;
/// PlannedReparentShard, first call to last.
pub const PLANNED_REPARENT: (i64, i64) = (400, 1_300);
/// EmergencyReparentShard when everybody answers.
pub const EMERGENCY_REPARENT: (i64, i64) = (250, 900);
/// EmergencyReparentShard waits this long for tablets that do not answer (its RPC timeout).
pub const EMERGENCY_UNREACHABLE: i64 = 2_000;
/// InitShardPrimary.
pub const INIT_PRIMARY: (i64, i64) = (800, 2_000);
/// How long a command waits for a shard's lock that another has (`--lock-timeout`).
pub const LOCK_TIMEOUT: i64 = 45_000;
/// How long a planned reparent waits for its candidate (`--wait-replicas-timeout`).
pub const PLANNED_CATCH_UP: i64 = 15_000;
/// How long a planned reparent waits for a demotion (`--wait-replicas-timeout` too).
pub const DEMOTION: i64 = 15_000;
/// How long an emergency reparent waits for relay logs to be applied.
pub const EMERGENCY_CATCH_UP: i64 = 30_000;
/// A vttablet that waits for a first backup looks again (`--wait-for-backup-interval`).
pub const WAIT_FOR_BACKUP: i64 = 10_000;

/// Transactions a second that a replica applies when it catches up.
pub const CATCH_UP_PER_SECOND: u64 = 2_000;
/// Bytes a second of a restore.
pub const RESTORE_BYTES_PER_SECOND: u64 = 100 << 20;
/// What a restore takes apart from its bytes.
pub const RESTORE_BASE: i64 = 9_000;
/// Bytes a second of a backup.
pub const BACKUP_BYTES_PER_SECOND: u64 = 60 << 20;
/// What a backup takes apart from its bytes.
pub const BACKUP_BASE: i64 = 12_000;
/// Bytes of a data directory that holds an empty database.
pub const EMPTY_DATABASE_BYTES: u64 = 300 << 20;
/// Bytes that a transaction leaves on disk (rows, indexes and binary log).
pub const TRANSACTION_BYTES: u64 = 4 << 10;
/// Transactions that clients can have waiting for acknowledgement at once.
pub const IN_FLIGHT: u64 = 3;
