//! Whether an observation is worth looking at again.

use std::hash::{DefaultHasher, Hash, Hasher};

use pilothouse_core::view::{Replication, lag_bucket};

use super::{Observation, ShardRecord, TabletRecord};

/// A hundredth, in millionths.
const PERCENT: u32 = 10_000;

/// Another number when an observation differs beyond the buckets of a view's fingerprint.
pub(super) fn of(observation: Option<&Observation>) -> u64 {
    let mut h = DefaultHasher::new();
    observation.is_some().hash(&mut h);
    // What is written is as a position: a new writer shows as a tablet.
    if let Some(Observation { shards, tablets, topology, backups, backups_only_of, restores, writers: _ }) =
        observation
    {
        (topology, backups, backups_only_of, restores).hash(&mut h);
        for (id, ShardRecord { primary, primary_since, initialized, vtorc }) in shards {
            (id, primary, primary_since, initialized, vtorc).hash(&mut h);
        }
        for (alias, tablet) in tablets {
            alias.hash(&mut h);
            of_tablet(tablet, &mut h);
        }
    }
    h.finish()
}

fn of_tablet(tablet: &TabletRecord, h: &mut DefaultHasher) {
    let TabletRecord {
        role,
        reach,
        reach_since,
        gone,
        replication,
        disk_used,
        fill_per_hour,
        disk_share,
        ends_written_out,
    } = tablet;
    (role, reach, reach_since, gone, ends_written_out).hash(h);
    (disk_used.and_then(u64::checked_ilog2), fill_per_hour.checked_ilog2()).hash(h);
    disk_share.map(|share| (share.used / PERCENT, share.fill_per_hour.checked_ilog2())).hash(h);
    if let Some(replication) = replication {
        let Replication {
            server,
            source,
            source_connected,
            applying,
            lag_ms,
            position: _,
            errant,
            forgotten,
            acks,
            read_only,
        } = replication;
        (server, source, source_connected, applying, lag_bucket(*lag_ms), errant).hash(h);
        (forgotten.is_empty(), acks, read_only).hash(h);
    }
}
