//! Names of every object, and tablet uids: functions of where a thing stands.
//!
//! A changed name is a deleted and re-created tablet, so these rules never
//! change (source: vitess-operator's naming rules; the golden vectors below
//! agree with names that it published).

use std::fmt::Write as _;

use md5::{Digest, Md5};
use pilothouse_core::topology::{KeyRange, PoolKey, TabletAlias};

use crate::labels::Component;

/// What a name must obey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Constraints {
    max_length: usize,
    letter_first: bool,
}

/// Most objects: at most 253 characters, the first a letter or digit.
pub const OBJECT: Constraints = Constraints { max_length: 253, letter_first: false };
/// Services: at most 63 characters, the first a letter.
pub const SERVICE: Constraints = Constraints { max_length: 63, letter_first: true };
/// EtcdLockservers: room is left for `-client` in the names of their Services.
pub const ETCD: Constraints = Constraints { max_length: 63 - "-client".len(), letter_first: true };

const CUT_MARK: &str = "---";

/// Joins parts with `-` and appends a hash of the parts as given, so that a name
/// is unique however its parts had to be changed or cut.
#[must_use]
pub fn join(constraints: Constraints, parts: &[&str]) -> String {
    let hash = hash(parts);
    let mut shown = parts.iter().map(|p| spelt(p)).collect::<Vec<_>>().join("-");
    let valid_first = |c: char| c.is_ascii_lowercase() || (!constraints.letter_first && c.is_ascii_digit());
    // An empty first part leaves the separator in front, which is no valid first character either.
    if !shown.starts_with(valid_first) {
        shown.insert(0, 'x');
    }
    if shown.len() + 1 + hash.len() <= constraints.max_length {
        return format!("{shown}-{hash}");
    }
    shown.truncate(constraints.max_length - CUT_MARK.len() - hash.len());
    format!("{shown}{CUT_MARK}{hash}")
}

fn spelt(part: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
    part.chars().map(|c| if allowed(c) { c.to_ascii_lowercase() } else { '-' }).collect()
}

/// The first four bytes, in hexadecimal, of the MD5 of every part followed by NUL.
fn hash(parts: &[&str]) -> String {
    let mut md5 = Md5::new();
    for part in parts {
        md5.update(part.as_bytes());
        md5.update([0]);
    }
    md5.finalize()[..4].iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a String takes everything");
        hex
    })
}

/// A tablet's uid: the first 32 bits of the MD5 of its place. `index` counts from 1.
#[must_use]
pub fn tablet_uid(keyspace: &str, range: &KeyRange, pool: &PoolKey, index: u32) -> u32 {
    let mut place = format!("{} {keyspace} {range} {} {index}", pool.cell, pool.pool_type);
    if !pool.name.is_empty() {
        place.push(' ');
        place.push_str(&pool.name);
    }
    place.push('\n');
    let sum = Md5::digest(place.as_bytes());
    u32::from_be_bytes([sum[0], sum[1], sum[2], sum[3]])
}

/// A tablet's alias: its pool's cell and its uid.
#[must_use]
pub fn tablet_alias(keyspace: &str, range: &KeyRange, pool: &PoolKey, index: u32) -> TabletAlias {
    TabletAlias { cell: pool.cell.clone(), uid: tablet_uid(keyspace, range, pool, index) }
}

/// A tablet's Pod, and its claim.
#[must_use]
pub fn tablet(cluster: &str, alias: &TabletAlias) -> String {
    join(OBJECT, &[cluster, Component::Vttablet.as_str(), &alias.to_string()])
}

/// The headless Service over all tablets.
#[must_use]
pub fn tablet_service(cluster: &str) -> String {
    join(SERVICE, &[cluster, Component::Vttablet.as_str()])
}

/// A VitessCell.
#[must_use]
pub fn cell(cluster: &str, cell: &str) -> String {
    join(OBJECT, &[cluster, cell])
}

/// A VitessKeyspace.
#[must_use]
pub fn keyspace(cluster: &str, keyspace: &str) -> String {
    join(OBJECT, &[cluster, keyspace])
}

/// A VitessShard.
#[must_use]
pub fn shard(cluster: &str, keyspace: &str, range: &KeyRange) -> String {
    join(OBJECT, &[cluster, keyspace, &range.safe_name()])
}

/// A cell's gateway Deployment.
#[must_use]
pub fn gateway(cluster: &str, cell: &str) -> String {
    join(OBJECT, &[cluster, cell, Component::Vtgate.as_str()])
}

/// A cell's gateway Service.
#[must_use]
pub fn gateway_service(cluster: &str, cell: &str) -> String {
    join(SERVICE, &[cluster, cell, Component::Vtgate.as_str()])
}

/// The Service over the gateways of all cells.
#[must_use]
pub fn cluster_gateway_service(cluster: &str) -> String {
    join(SERVICE, &[cluster, Component::Vtgate.as_str()])
}

/// A cell's vtctld Deployment.
#[must_use]
pub fn vtctld(cluster: &str, cell: &str) -> String {
    join(OBJECT, &[cluster, cell, Component::Vtctld.as_str()])
}

/// The vtctld Service.
#[must_use]
pub fn vtctld_service(cluster: &str) -> String {
    join(SERVICE, &[cluster, Component::Vtctld.as_str()])
}

/// A cell's vtadmin Deployment.
#[must_use]
pub fn vtadmin(cluster: &str, cell: &str) -> String {
    join(OBJECT, &[cluster, cell, Component::Vtadmin.as_str()])
}

/// The vtadmin Service.
#[must_use]
pub fn vtadmin_service(cluster: &str) -> String {
    join(SERVICE, &[cluster, Component::Vtadmin.as_str()])
}

/// What a Secret that vtadmin reads is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum VtadminSecret {
    /// Where vtctld and vtgate are.
    Discovery,
    /// Settings of the web page.
    WebConfig,
    /// The list of clusters.
    ClusterConfig,
}

impl VtadminSecret {
    const fn part(self) -> &'static str {
        match self {
            Self::Discovery => "discovery",
            Self::WebConfig => "webConfig",
            Self::ClusterConfig => "clusterConfig",
        }
    }
}

/// A Secret that a cell's vtadmin reads.
#[must_use]
pub fn vtadmin_secret(cluster: &str, cell: &str, secret: VtadminSecret) -> String {
    join(OBJECT, &[cluster, cell, Component::Vtadmin.as_str(), secret.part()])
}

/// A shard's vtorc Deployment in a cell.
#[must_use]
pub fn vtorc(cluster: &str, keyspace: &str, range: &KeyRange, cell: &str) -> String {
    join(OBJECT, &[cluster, keyspace, &range.safe_name(), cell, Component::Vtorc.as_str()])
}

/// The EtcdLockserver of the global topology.
#[must_use]
pub fn global_etcd(cluster: &str) -> String {
    join(ETCD, &[cluster, Component::Etcd.as_str()])
}

/// The EtcdLockserver of a cell's topology.
#[must_use]
pub fn local_etcd(cluster: &str, cell: &str) -> String {
    join(ETCD, &[cluster, cell, Component::Etcd.as_str()])
}

/// An etcd member's Pod, and its claim. `index` counts from 1.
#[must_use]
pub fn etcd_member(lockserver: &str, index: u32) -> String {
    format!("{lockserver}-{index}")
}

/// The Service for clients of an EtcdLockserver.
#[must_use]
pub fn etcd_client_service(lockserver: &str) -> String {
    format!("{lockserver}-client")
}

/// The Service for members of an EtcdLockserver.
#[must_use]
pub fn etcd_peer_service(lockserver: &str) -> String {
    format!("{lockserver}-peer")
}

/// The PodDisruptionBudget of an EtcdLockserver.
#[must_use]
pub fn etcd_disruption_budget(lockserver: &str) -> String {
    format!("etcd-lockserver-{lockserver}")
}

/// The PodDisruptionBudget of a shard's tablets.
#[must_use]
pub fn tablets_disruption_budget(cluster: &str, keyspace: &str, range: &KeyRange) -> String {
    join(OBJECT, &[cluster, keyspace, &range.safe_name(), Component::Vttablet.as_str()])
}

/// A VitessBackupStorage; the default location has an empty name.
#[must_use]
pub fn backup_storage(cluster: &str, location: &str) -> String {
    if location.is_empty() { join(OBJECT, &[cluster]) } else { join(OBJECT, &[cluster, location]) }
}

/// A VitessBackupSchedule.
#[must_use]
pub fn backup_schedule(cluster: &str, schedule: &str) -> String {
    join(OBJECT, &[cluster, "vbsc", schedule])
}

/// The label's value by which the Jobs of a VitessBackupSchedule of that name are found: the name,
/// as far as a label can hold it.
#[must_use]
pub fn backup_schedule_label(schedule: &str) -> String {
    if schedule.len() <= 63 { schedule.to_owned() } else { join(SERVICE, &[schedule]) }
}

/// A scheduled Job. `schedule` names the VitessBackupSchedule, `due` is in seconds since the Unix epoch.
#[must_use]
pub fn backup_job(schedule: &str, keyspace: &str, range: &KeyRange, due: i64) -> String {
    join(SERVICE, &[schedule, keyspace, &range.safe_name(), &due.to_string()])
}

/// The Pod that takes a shard's first backup, and its claim.
#[must_use]
pub fn initial_backup(cluster: &str, keyspace: &str, range: &KeyRange) -> String {
    join(OBJECT, &[cluster, keyspace, &range.safe_name(), Component::Vtbackup.as_str(), "init"])
}

/// A Pod that takes a later backup, and its claim; `after` is when the newest
/// backup began, in seconds since the Unix epoch.
#[must_use]
pub fn later_backup(cluster: &str, keyspace: &str, range: &KeyRange, location: &str, after: i64) -> String {
    let (safe, after) = (range.safe_name(), format!("{after:x}"));
    let component = Component::Vtbackup.as_str();
    if location.is_empty() {
        join(OBJECT, &[cluster, keyspace, &safe, component, &after])
    } else {
        join(OBJECT, &[cluster, keyspace, &safe, component, location, &after])
    }
}

/// A VitessBackup: `started` is spelt `YYYYMMDD-HHMMSS`, `uid` is the tablet's that took it.
#[must_use]
pub fn backup(cluster: &str, location: &str, shard: (&str, &KeyRange), started: &str, uid: u32) -> String {
    let (keyspace, range) = shard;
    let (safe, uid) = (range.safe_name(), format!("{uid:x}"));
    if location.is_empty() {
        join(OBJECT, &[cluster, keyspace, &safe, started, &uid])
    } else {
        join(OBJECT, &[cluster, location, keyspace, &safe, started, &uid])
    }
}

/// The cells alias that holds all cells of a cluster.
pub const CELLS_ALIAS: &str = "planetscale_operator_default";

/// The MySQL database of a keyspace that names none.
#[must_use]
pub fn database(keyspace: &str) -> String {
    format!("vt_{keyspace}")
}

#[cfg(test)]
mod tests {
    use pilothouse_core::topology::{Cell, PoolType};

    use super::*;

    fn pool_key(cell: &str, pool_type: PoolType) -> PoolKey {
        PoolKey { cell: Cell(cell.to_owned()), pool_type, name: String::new() }
    }

    fn replica() -> PoolKey {
        pool_key("zone1", PoolType::Replica)
    }

    #[test]
    fn golden_uids_and_tablets() {
        let whole = KeyRange::whole();
        for (index, uid, name) in [
            (1, 2_548_885_007, "example-vttablet-zone1-2548885007-46a852d0"),
            (2, 2_469_782_763, "example-vttablet-zone1-2469782763-bfadd780"),
            (3, 790_125_915, "example-vttablet-zone1-0790125915-4e37d9d5"),
        ] {
            let alias = tablet_alias("commerce", &whole, &replica(), index);
            assert_eq!(alias.uid, uid);
            assert_eq!(tablet("example", &alias), name);
        }
    }

    #[test]
    fn golden_names() {
        let whole = KeyRange::whole();
        let etcd = global_etcd("example");
        for (name, expected) in [
            (etcd.clone(), "example-etcd-faf13de3"),
            (etcd_member(&etcd, 3), "example-etcd-faf13de3-3"),
            (etcd_client_service(&etcd), "example-etcd-faf13de3-client"),
            (etcd_peer_service(&etcd), "example-etcd-faf13de3-peer"),
            (keyspace("example", "customer"), "example-customer-085639aa"),
            (shard("example", "commerce", &whole), "example-commerce-x-x-0f5afee6"),
            (cell("example", "zone1"), "example-zone1-5abb61ae"),
            (gateway("example", "zone1"), "example-zone1-vtgate-bc6cde92"),
            (gateway_service("example", "zone1"), "example-zone1-vtgate-bc6cde92"),
            (cluster_gateway_service("example"), "example-vtgate-ae7df4b6"),
            (vtctld("example", "zone1"), "example-zone1-vtctld-1d4dcad0"),
            (vtctld_service("example"), "example-vtctld-625ee430"),
            (vtadmin("example", "zone1"), "example-zone1-vtadmin-c03d7eae"),
            (backup_storage("example", ""), "example-90089e05"),
            (initial_backup("example", "commerce", &whole), "example-commerce-x-x-vtbackup-init-c6db73c9"),
            (vtorc("example", "commerce", &whole, "zone1"), "example-commerce-x-x-zone1-vtorc-c13ef6ff"),
            (tablet_service("example"), "example-vttablet-08646a59"),
            (etcd_disruption_budget(&etcd), "etcd-lockserver-example-etcd-faf13de3"),
        ] {
            assert_eq!(name, expected);
        }
    }

    #[test]
    fn names_of_split_shards() {
        for (range, expected) in
            [("-8000", "example-customer-x-8000-81888d38"), ("8000-", "example-customer-8000-x-1f632b0c")]
        {
            assert_eq!(shard("example", "customer", &range.parse().unwrap()), expected);
        }
    }

    #[test]
    fn shown_parts_are_made_valid_but_hashed_as_given() {
        let plain = join(OBJECT, &["a-b", "c"]);
        assert!(plain.starts_with("a-b-c-"));
        assert_ne!(plain, join(OBJECT, &["a", "b-c"]));
        assert!(join(OBJECT, &["Übung_1"]).starts_with("x-bung-1-"));
        assert!(join(OBJECT, &["1a"]).starts_with("1a-"));
        assert!(join(SERVICE, &["1a"]).starts_with("x1a-"));
        assert!(join(OBJECT, &["", "a"]).starts_with("x-a-"));
    }

    #[test]
    fn long_names_are_cut_to_the_limit() {
        let long = "a".repeat(100);
        let name = join(SERVICE, &[&long]);
        assert_eq!(name.len(), 63);
        assert_eq!(&name[..55], format!("{}---", "a".repeat(52)));
        let fits = "a".repeat(63 - 9);
        assert!(!join(SERVICE, &[&fits]).contains(CUT_MARK));
        assert_eq!(join(ETCD, &[&long]).len(), 56);
    }

    #[test]
    fn named_pools_have_tablets_of_their_own() {
        let whole = KeyRange::whole();
        let mut named = pool_key("zone1", PoolType::ExternalReplica);
        let unnamed = tablet_uid("commerce", &whole, &named, 1);
        named.name = "reporting".to_owned();
        assert_ne!(tablet_uid("commerce", &whole, &named, 1), unnamed);
    }
}
