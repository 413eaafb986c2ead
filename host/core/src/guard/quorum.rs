//! Rule `quorum`: no transaction that a client saw acknowledged may be missing afterwards.
//!
//! With a durability policy a write is acknowledged once W = 1 other tablet has
//! it, so it may live on the lost primary and that one tablet only. Promotion is
//! proven safe when fewer than W of the tablets that may have acknowledged are
//! out of sight (R + W > N: here every one must answer), and the candidate has
//! all that the answering ones have, or once told of. Without a durability policy nothing can be
//! proven, so the old primary must be known to be stopped, or the loss accepted.

use super::{Case, Rule, Why, unless};
use crate::action::Action;
use crate::standing::{is_caught_up, may_ack, wait_count};
use crate::topology::{ShardId, TabletAlias};
use crate::view::{ClusterView, Durability, PodState, Reach, Role, ShardView, TabletView};

pub(super) const RULE: Rule = Rule { name: "quorum", keeps: &["S2"], judge: |case| check(case).err() };

/// A flag of the cluster: under durability `none` losing unreplicated writes is accepted.
pub(super) const LOSS_ACCEPTED: &str = "lossAccepted";

fn check(case: &Case<'_>) -> Result<(), Why> {
    let view = case.view;
    if let Action::EmergencyReparent { shard, lost, to } = &case.step.action {
        let Some(record) = view.shard(shard) else { return Ok(()) };
        if record.durability == Durability::None {
            let accepted = view.flag("cluster", LOSS_ACCEPTED) == Some(true);
            let stopped = accepted || view.tablet(lost).is_some_and(|t| is_stopped(view, t));
            unless(stopped, || Why::NotProvenStopped { primary: lost.clone() })?;
        } else {
            all_ackers_seen(view, record, lost)?;
            nothing_forgotten(view, record, lost, to)?;
        }
        has_all(view, shard, to, Some(lost))
    } else if let Action::PlannedReparent { shard, to, .. } = &case.step.action {
        let Some(record) = view.shard(shard) else { return Ok(()) };
        leaves_ackers(view, record, to)
    } else if let Action::InitPrimary { shard, to } = &case.step.action {
        has_all(view, shard, to, None)
    } else {
        Ok(())
    }
}

fn all_ackers_seen(view: &ClusterView, shard: &ShardView, lost: &TabletAlias) -> Result<(), Why> {
    let unseen: Vec<TabletAlias> = view
        .tablets_of(&shard.id)
        .filter(|t| may_ack(shard.durability, t, lost) && !never_replicated(view, t))
        .filter(|t| t.reach != Reach::Yes || t.replication.is_none())
        .map(|t| t.alias.clone())
        .collect();
    let proven = unseen.len() < wait_count(shard.durability);
    unless(proven, || Why::LossPossible { durability: shard.durability, unseen })
}

/// A tablet that never began to replicate cannot have acknowledged anything: it
/// says so itself, or it never ran (no process yet, no bound volume). Silence
/// alone is no such proof: after a restart the host has heard of nobody.
fn never_replicated(view: &ClusterView, tablet: &TabletView) -> bool {
    let unheard = tablet.replication.is_none() && matches!(tablet.role, Role::Restore | Role::Unknown);
    let bound = tablet.volume.as_deref().and_then(|c| view.volume(c)).is_some_and(|v| v.capacity > 0);
    let never_ran = matches!(tablet.pod, PodState::Absent | PodState::Pending) && !bound;
    unheard && (tablet.reach == Reach::Yes || never_ran)
}

/// An acknowledgement stands for a transaction that may still be in a relay log alone, and relay logs
/// are thrown away: when mysqld starts, and by VTOrc when it repairs a replica. What a tablet that may have
/// acknowledged told of before counts as if it had it still.
fn nothing_forgotten(
    view: &ClusterView,
    shard: &ShardView,
    lost: &TabletAlias,
    to: &TabletAlias,
) -> Result<(), Why> {
    let own = view.tablet(to).and_then(|t| t.replication.as_ref()).map(|r| &r.position);
    for tablet in view.tablets_of(&shard.id).filter(|t| may_ack(shard.durability, t, lost)) {
        let Some(replication) = &tablet.replication else { continue };
        let lacks = own.map_or_else(|| replication.forgotten.clone(), |own| replication.forgotten.minus(own));
        unless(lacks.is_empty(), || Why::Forgotten {
            tablet: to.clone(),
            other: tablet.alias.clone(),
            lacks: lacks.to_string(),
        })?;
    }
    Ok(())
}

/// The candidate has every transaction of every tablet that answers; errant
/// ones aside, which no client was ever told of.
fn has_all(
    view: &ClusterView,
    shard: &ShardId,
    to: &TabletAlias,
    lost: Option<&TabletAlias>,
) -> Result<(), Why> {
    let own = view.tablet(to).and_then(|t| t.replication.as_ref()).map(|r| r.position.clone());
    let own = own.unwrap_or_default();
    for tablet in view.tablets_of(shard).filter(|t| t.alias != *to && Some(&t.alias) != lost) {
        let Some(theirs) = tablet.replication.as_ref().filter(|_| tablet.reach == Reach::Yes) else {
            continue;
        };
        let lacks = theirs.position.minus(&theirs.errant).minus(&own);
        unless(lacks.is_empty(), || Why::Behind {
            tablet: to.clone(),
            other: tablet.alias.clone(),
            lacks: lacks.to_string(),
        })?;
    }
    Ok(())
}

/// Whether no process of the tablet can run: its Pod ended, or it is gone, on a
/// node (or, once gone, in a zone) whose kubelets are well. A Pod that was
/// removed from the API while its node was silent may still be writing.
fn is_stopped(view: &ClusterView, tablet: &TabletView) -> bool {
    let zone_well = || view.zone_of(tablet).is_some_and(|z| z.nodes > 0 && z.nodes_ready == z.nodes);
    match tablet.pod {
        PodState::Ended => tablet.node_ready == Some(true),
        PodState::Absent => tablet.node_ready == Some(true) || (tablet.node_ready.is_none() && zone_well()),
        PodState::Pending | PodState::Running | PodState::Terminating => false,
    }
}

/// After a planned reparent someone must acknowledge the new primary's writes:
/// the old one, or another that is caught up.
fn leaves_ackers(view: &ClusterView, shard: &ShardView, to: &TabletAlias) -> Result<(), Why> {
    let Some(from) = &shard.primary else { return Ok(()) };
    let left = view
        .tablets_of(&shard.id)
        .filter(|t| may_ack(shard.durability, t, to))
        .filter(|t| if t.alias == *from { t.reach == Reach::Yes } else { is_caught_up(t, from) })
        .count();
    let needed = wait_count(shard.durability);
    unless(left >= needed, || Why::TooFewAckers { left, needed })
}
