//! Volumes and backup runs as the view has them.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use pilothouse_api::labels::{Component, annotations};
use pilothouse_api::{labels, quantity};
use pilothouse_core::Millis;
use pilothouse_core::topology::{ShardId, TabletAlias};
use pilothouse_core::view::{TabletView, VolumeView, Wanted};
use serde_json::Value;

use super::{Seen, shards_asked};
use crate::asked::Asked;
use crate::cache::{Cached, Members};
use crate::clock::parse_rfc3339;
use crate::kinds::Kind;

/// The data volumes of tablets that have a claim.
pub(super) fn of_tablets(seen: &Seen<'_>, tablets: &[TabletView]) -> Vec<VolumeView> {
    let shards = shards_asked(seen.members).filter_map(|shard| shard.asked.as_ref().ok());
    let asked: BTreeMap<&ShardId, &Asked> = shards.map(|asked| (&asked.desired.id, asked)).collect();
    let bytes = |tablet: &TabletView| {
        let mut pools =
            asked.get(&tablet.shard).filter(|_| tablet.wanted != Wanted::No)?.desired.pools.iter();
        pools.find(|pool| pool.key == tablet.pool)?.volume_request
    };
    let mut volumes: Vec<VolumeView> = tablets
        .iter()
        .filter_map(|tablet| {
            let claim = seen.members.get(Kind::PersistentVolumeClaim, tablet.volume.as_ref()?)?;
            Some(VolumeView { asked: bytes(tablet), ..of_claim(seen, claim, &tablet.alias) })
        })
        .collect();
    volumes.sort_by(|a, b| a.claim.cmp(&b.claim));
    volumes
}

fn of_claim(seen: &Seen<'_>, claim: &Cached, tablet: &TabletAlias) -> VolumeView {
    let record = seen.vitess.and_then(|v| v.tablets.get(tablet));
    let requested = requested_bytes(claim).unwrap_or(0);
    let capacity = bytes_at(claim, "/status/capacity/storage").unwrap_or(0);
    let share = record.and_then(|r| r.disk_share);
    let bytes = |millionths: u32| {
        let bytes = u128::from(capacity) * u128::from(millionths) / 1_000_000;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    };
    VolumeView {
        claim: claim.name().to_owned(),
        uid: claim.uid().to_owned(),
        tablet: tablet.clone(),
        requested,
        capacity,
        asked: None,
        filesystem_pending_since: filesystem_pending_since(claim),
        used: record.and_then(|r| r.disk_used).or_else(|| share.map(|share| bytes(share.used))),
        fill_per_hour: share
            .map_or_else(|| record.map_or(0, |r| r.fill_per_hour), |share| bytes(share.fill_per_hour)),
        expandable: is_expandable(seen, claim),
        changes: volume_changes(claim),
        maximum: claim.annotation(annotations::VOLUME_MAXIMUM).and_then(bytes_of),
    }
}

/// Since when the claim's condition says that only the node's part of its growth is left.
fn filesystem_pending_since(claim: &Cached) -> Option<Millis> {
    let conditions = claim.field("/status/conditions")?.as_array()?;
    let pending = |c: &&Value| c["type"] == "FileSystemResizePending" && c["status"] == "True";
    let condition = conditions.iter().find(pending)?;
    Some(condition["lastTransitionTime"].as_str().and_then(parse_rfc3339).unwrap_or(0))
}

fn is_expandable(seen: &Seen<'_>, claim: &Cached) -> bool {
    let classes = || seen.shared.iter().filter(|((kind, _), _)| *kind == Kind::StorageClass).map(|(_, c)| c);
    let named = claim.field("/spec/storageClassName").and_then(Value::as_str);
    let is_default =
        |class: &Cached| class.annotation("storageclass.kubernetes.io/is-default-class") == Some("true");
    let class = match named {
        Some(name) => classes().find(|c| c.name() == name),
        None => classes().find(|c| is_default(c)),
    };
    class.is_some_and(|c| c.field("/allowVolumeExpansion") == Some(&Value::Bool(true)))
}

fn bytes_at(claim: &Cached, pointer: &str) -> Option<u64> {
    bytes_of(claim.field(pointer)?.as_str()?)
}

fn bytes_of(text: &str) -> Option<u64> {
    quantity::bytes(&Quantity(text.to_owned())).ok()
}

/// Bytes that a claim asks for.
pub(crate) fn requested_bytes(claim: &Cached) -> Option<u64> {
    bytes_at(claim, "/spec/resources/requests/storage")
}

/// When a claim's size was asked to change, oldest first.
pub(crate) fn volume_changes(claim: &Cached) -> Vec<Millis> {
    let text = claim.annotation(annotations::VOLUME_CHANGES).unwrap_or_default();
    text.split(',').filter_map(parse_rfc3339).collect()
}

/// A backup run's end, as far as its Pod tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Run {
    /// Since then.
    Running(Millis),
    /// It failed then.
    Failed(Millis),
    /// It began then, and succeeded.
    Succeeded(Millis),
}

/// Backup Pods of a shard.
pub(crate) fn backup_pods<'a>(members: &'a Members, shard: &'a ShardId) -> impl Iterator<Item = &'a Cached> {
    members.of(Kind::Pod).map(AsRef::as_ref).filter(move |pod| {
        pod.label(labels::COMPONENT) == Component::Vtbackup.as_str()
            && pod.label(labels::KEYSPACE) == shard.keyspace
            && pod.label(labels::SHARD) == shard.range.safe_name()
    })
}

/// The shard's backup Pod that has not ended.
pub(crate) fn running_backup<'a>(members: &'a Members, shard: &'a ShardId) -> Option<&'a Cached> {
    backup_pods(members, shard).find(|pod| matches!(run(pod), Run::Running(_)))
}

/// Whether a backup Pod of the shard that still stands has ended well.
pub(crate) fn has_backup_pod_succeeded(members: &Members, shard: &ShardId) -> bool {
    backup_pods(members, shard).any(|pod| matches!(run(pod), Run::Succeeded(_)))
}

/// When a backup Pod's one container ended.
pub(super) fn ended(pod: &Cached) -> Option<Millis> {
    let ended = pod.field("/status/containerStatuses/0/state/terminated/finishedAt");
    ended.and_then(Value::as_str).and_then(parse_rfc3339)
}

pub(super) fn run(pod: &Cached) -> Run {
    let started = pod.created();
    match pod.field("/status/phase").and_then(Value::as_str) {
        Some("Succeeded") => Run::Succeeded(started),
        Some("Failed") => Run::Failed(ended(pod).unwrap_or(started)),
        Some(_) | None => Run::Running(started),
    }
}

/// Whether a backup Pod's run is over and nothing is told by it any more: it
/// succeeded, it failed and a newer run stands beside it, or it can never begin:
/// a Pod that was created late, when its claim had gone again.
pub(crate) fn backup_run_ended(pod: &Cached, members: &Members) -> bool {
    let of_same_shard = |other: &&Cached| {
        let same = |key| other.label(key) == pod.label(key);
        other.label(labels::COMPONENT) == Component::Vtbackup.as_str()
            && same(labels::KEYSPACE)
            && same(labels::SHARD)
    };
    match run(pod) {
        Run::Running(_) => {
            let placed = pod.field("/spec/nodeName").is_some();
            !placed && members.get(Kind::PersistentVolumeClaim, pod.name()).is_none()
        }
        Run::Succeeded(_) => true,
        Run::Failed(at) => {
            let others = members.of(Kind::Pod).map(AsRef::as_ref).filter(of_same_shard);
            others.filter(|other| other.name() != pod.name()).any(|other| match run(other) {
                Run::Running(since) => since >= at,
                Run::Failed(since) => since > at,
                Run::Succeeded(_) => true,
            })
        }
    }
}
