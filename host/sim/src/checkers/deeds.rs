//! Deeds that must never be done.

use pilothouse_core::view::{BackupView, Durability};

use super::Violation;
use crate::world::journal::Deed;
use crate::world::timing::BETWEEN_VOLUME_CHANGES;

/// What one deed breaks.
pub(super) fn judge(deed: &Deed) -> Vec<Violation> {
    let (at, found): (i64, Vec<(&'static str, String)>) = match deed {
        Deed::TabletPodDeleted { at, shard, tablet, down, ackers_left, required, acked, served } => {
            let mut found = Vec::new();
            if *served && *acked && ackers_left < required {
                let message = format!(
                    "shard {}: deleting {tablet} leaves {ackers_left} of {required} ackers",
                    shard.shard
                );
                found.push(("S3", message));
            }
            if *served && *down > 0 {
                let message = format!(
                    "shard {}: deleting {tablet} while {down} others do not serve or are leaving",
                    shard.shard
                );
                found.push(("S3", message));
            }
            (*at, found)
        }
        Deed::PodForced { at, pod, node } => (
            *at,
            vec![("S9", format!("Pod {}/{} was forced away from {node}, which nobody hears", pod.0, pod.1))],
        ),
        Deed::PodVanishedRunning { at, pod, .. } => {
            (*at, vec![("S9", format!("Pod {}/{} is gone but its processes run", pod.0, pod.1))])
        }
        Deed::ClaimDeleted { at, claim, lost, wanted, errant, .. } => {
            let mut found = Vec::new();
            if !lost.is_empty() {
                found.push(("S4", format!("claim {}/{} holds the only copy of {lost}", claim.0, claim.1)));
            }
            // One that has what the primary never had serves nobody as it is.
            if *wanted && !errant {
                let message = format!(
                    "claim {}/{} belongs to a tablet that its living shard asks for",
                    claim.0, claim.1
                );
                found.push(("S8", message));
            }
            (*at, found)
        }
        Deed::LevelRemoved { at, object, wanted, needed } => {
            (*at, judge_level(object, *wanted, needed.as_deref()))
        }
        Deed::RecordPruned { at, record, wanted, .. } => (*at, judge_record(record, wanted.as_deref())),
        Deed::SizeAsked { at, claim, from, to, provider_last_changed } => {
            (*at, judge_size(*at, &claim.1, *from, *to, *provider_last_changed))
        }
        Deed::ReparentAsked { at, shard, to, emergency, zones_dark, errant, .. } => {
            let mut found = Vec::new();
            if *emergency && *zones_dark >= 2 {
                found.push((
                    "S12",
                    format!("shard {}: failover to {to} while {zones_dark} zones look dead", shard.shard),
                ));
            }
            if !errant.is_empty() {
                found.push(("S14", format!("shard {}: {to} with errant {errant} was chosen", shard.shard)));
            }
            (*at, found)
        }
        Deed::Promoted { at, shard, to, durability, missing } => {
            let lost = *durability != Durability::None && !missing.is_empty();
            let message =
                || format!("shard {}: {to} was promoted without acknowledged {missing}", shard.shard);
            (*at, lost.then(|| ("S2", message())).into_iter().collect())
        }
        Deed::BackupRemoved { at, removed, left, .. } => (*at, judge_removal(removed, left)),
    };
    found.into_iter().map(|(id, message)| Violation { id, message, at }).collect()
}

/// S4 and S8 for all that stands below a level.
fn judge_level(object: &str, wanted: bool, needed: Option<&str>) -> Vec<(&'static str, String)> {
    let wanted = wanted.then(|| ("S8", format!("{object} was removed, and its living parent asks for it")));
    let needed = needed.map(|needed| ("S4", format!("{object} was removed: {needed}")));
    wanted.into_iter().chain(needed).collect()
}

/// S8 for a topology record.
fn judge_record(record: &str, wanted: Option<&str>) -> Vec<(&'static str, String)> {
    let message = |wanted| format!("the topology's record of {record} was pruned, and {wanted}");
    wanted.map(|wanted| ("S8", message(wanted))).into_iter().collect()
}

/// S6: no shrinking, no faster than the provider takes changes.
fn judge_size(at: i64, claim: &str, from: u64, to: u64, last: Option<i64>) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    if to < from {
        found.push(("S6", format!("claim {claim}: asked to shrink from {from} to {to}")));
    }
    if let Some(last) = last.filter(|last| at < last + BETWEEN_VOLUME_CHANGES) {
        found.push((
            "S6",
            format!("claim {claim}: asked again {} s after the last change", (at - last) / 1_000),
        ));
    }
    found
}

/// S5: the newest verified backup stays, and what a removed one holds is in a complete one that stays.
fn judge_removal(removed: &BackupView, left: &[BackupView]) -> Vec<(&'static str, String)> {
    if removed.finished.is_none() {
        return Vec::new();
    }
    let newer_verified = left.iter().any(|b| b.verified.is_some() && b.finished >= removed.finished);
    let covered = left.iter().any(|b| b.finished.is_some() && b.position.contains(&removed.position));
    let mut found = Vec::new();
    if removed.verified.is_some() && !newer_verified {
        found.push(("S5", format!("backup {} was the newest verified one", removed.name)));
    }
    if !covered {
        found.push(("S5", format!("nothing that stays covers backup {}", removed.name)));
    }
    found
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use pilothouse_core::gtid::GtidSet;

    use super::*;
    use crate::vitess::{ClusterKey, ShardKey};

    fn gtids(text: &str) -> GtidSet {
        text.parse().expect("a GTID set")
    }

    fn shard() -> ShardKey {
        ShardKey { cluster: ClusterKey::new("ns", "c"), shard: "k/-".parse().expect("a shard") }
    }

    #[track_caller]
    fn check(deed: Deed, broken: &[&str]) {
        let found: Vec<&str> = judge(&deed).iter().map(|v| v.id).collect();
        assert_eq!(found, broken, "{deed:?}");
    }

    #[test]
    fn pods_and_claims() {
        let of = |down, ackers_left, acked, served| Deed::TabletPodDeleted {
            at: 0,
            shard: shard(),
            tablet: "a-1".parse().expect("an alias"),
            down,
            ackers_left,
            required: 1,
            acked,
            served,
        };
        let deleted = |down, ackers_left, served| of(down, ackers_left, true, served);
        check(of(0, 0, false, true), &[]);
        check(deleted(0, 1, true), &[]);
        check(deleted(0, 0, true), &["S3"]);
        check(deleted(1, 1, true), &["S3"]);
        check(deleted(1, 0, false), &[]);
        check(Deed::PodForced { at: 0, pod: ("n".into(), "p".into()), node: "x".into() }, &["S9"]);
        let claim = |lost: &str, wanted, errant| Deed::ClaimDeleted {
            at: 0,
            claim: ("n".into(), "c".into()),
            shard: Some(shard()),
            lost: gtids(lost),
            wanted,
            errant,
        };
        check(claim("", false, false), &[]);
        check(claim("u:1-2", false, false), &["S4"]);
        check(claim("", true, false), &["S8"]);
        check(claim("", true, true), &[]);
        check(claim("u:1-2", true, true), &["S4"]);
    }

    #[test]
    fn levels() {
        let removed = |wanted, needed: Option<&str>| Deed::LevelRemoved {
            at: 0,
            object: "VitessShard s".into(),
            wanted,
            needed: needed.map(str::to_owned),
        };
        check(removed(false, None), &[]);
        check(removed(true, None), &["S8"]);
        check(removed(false, Some("it serves")), &["S4"]);
        let pruned = |wanted: Option<&str>| Deed::RecordPruned {
            at: 0,
            cluster: shard().cluster,
            record: "shard k/-".into(),
            wanted: wanted.map(str::to_owned),
        };
        check(pruned(None), &[]);
        check(pruned(Some("a VitessShard stands for it")), &["S8"]);
    }

    #[test]
    fn sizes() {
        let size = |from, to, last| Deed::SizeAsked {
            at: 100_000_000,
            claim: ("n".into(), "c".into()),
            from,
            to,
            provider_last_changed: last,
        };
        check(size(1, 2, None), &[]);
        check(size(2, 1, None), &["S6"]);
        check(size(1, 2, Some(100_000_000 - BETWEEN_VOLUME_CHANGES + 1)), &["S6"]);
        check(size(1, 2, Some(100_000_000 - BETWEEN_VOLUME_CHANGES)), &[]);
    }

    #[test]
    fn reparents() {
        let asked = |zones_dark, errant: &str| Deed::ReparentAsked {
            at: 0,
            shard: shard(),
            to: "a-1".parse().expect("an alias"),
            emergency: true,
            refused: None,
            zones_dark,
            errant: gtids(errant),
        };
        check(asked(1, ""), &[]);
        check(asked(2, ""), &["S12"]);
        check(asked(0, "u:7"), &["S14"]);
        let promoted = |durability, missing: &str| Deed::Promoted {
            at: 0,
            shard: shard(),
            to: "a-1".parse().expect("an alias"),
            durability,
            missing: gtids(missing),
        };
        check(promoted(Durability::SemiSync, ""), &[]);
        check(promoted(Durability::SemiSync, "u:7"), &["S2"]);
        check(promoted(Durability::None, "u:7"), &[]);
    }

    #[test]
    fn backups() {
        let backup = |finished, verified: bool, position: &str| BackupView {
            name: "b".into(),
            shard: shard().shard,
            location: String::new(),
            started: 0,
            finished,
            bytes: 0,
            verified: verified.then_some(9),
            position: gtids(position),
            from: None,
            written: BTreeMap::new(),
        };
        let removed = |removed, left| Deed::BackupRemoved { at: 0, cluster: shard().cluster, removed, left };
        check(removed(backup(Some(1), true, "u:1-3"), vec![backup(Some(2), true, "u:1-5")]), &[]);
        check(removed(backup(Some(1), true, "u:1-3"), vec![backup(Some(2), false, "u:1-5")]), &["S5"]);
        check(removed(backup(Some(1), false, "u:1-3"), vec![]), &["S5"]);
        check(removed(backup(Some(1), false, "u:1-3"), vec![backup(None, false, "u:1-5")]), &["S5"]);
        check(removed(backup(None, false, ""), vec![]), &[]);
    }
}
