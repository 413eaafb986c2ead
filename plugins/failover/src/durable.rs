//! The durability proof: can any acknowledged transaction be missing from what answers?

use pilothouse_sdk::{Durability, PodState, Reach, Role, Tablet, TabletAlias};

use crate::obstacle::Obstacle;
use crate::scene::ShardScene;

/// Whether an acknowledgement of `tablet` counts for writes of a primary of that alias.
pub(crate) fn may_ack(durability: Durability, tablet: &Tablet, primary: &TabletAlias) -> bool {
    let apart = match durability {
        Durability::None => false,
        Durability::SemiSync => true,
        Durability::CrossCell => tablet.alias.cell != primary.cell,
    };
    apart && tablet.pool.pool_type.is_primary_eligible() && tablet.alias != *primary
}

/// Whether it never began to replicate: it says so itself, or it never ran (no
/// process, no volume placed). Silence alone is no such proof.
pub(crate) fn never_replicated(tablet: &Tablet) -> bool {
    let unborn = match tablet.pod {
        PodState::Absent | PodState::Pending => tablet.zone.is_none(),
        PodState::Running | PodState::Terminating | PodState::Ended => false,
    };
    let unheard = tablet.replication.is_none() && matches!(tablet.role, Role::Restore | Role::Unknown);
    unheard && (tablet.reach == Reach::Yes || unborn)
}

/// Whether no process of the tablet can run: its Pod ended or is gone, where kubelets
/// are well. A Pod that left the API while its node was silent may still write.
fn is_stopped(scene: ShardScene<'_, '_>, tablet: &Tablet) -> bool {
    let zone = tablet.zone.as_deref().and_then(|z| scene.scene.view.zone(z));
    let zone_well = || zone.is_some_and(|z| z.nodes > 0 && z.nodes_ready == z.nodes);
    match tablet.pod {
        PodState::Ended => tablet.node_ready == Some(true),
        PodState::Absent => tablet.node_ready.unwrap_or_else(zone_well),
        PodState::Pending | PodState::Running | PodState::Terminating => false,
    }
}

/// R + W > N, with W = 1 acknowledgement: every tablet that may have been the only
/// one to acknowledge a write of the lost primary answers with its transactions.
pub(crate) fn proof(scene: ShardScene<'_, '_>, lost: &Tablet) -> Result<(), Obstacle> {
    match scene.shard.durability {
        Durability::None => {
            if is_stopped(scene, lost) || scene.scene.view.flag("cluster", "lossAccepted") {
                Ok(())
            } else {
                Err(Obstacle::LossNotAccepted { primary: lost.alias.clone() })
            }
        }
        durability @ (Durability::SemiSync | Durability::CrossCell) => {
            let ackers =
                scene.tablets.iter().filter(|t| may_ack(durability, t, &lost.alias) && !never_replicated(t));
            let (reached, missing): (Vec<&Tablet>, Vec<&Tablet>) =
                ackers.partition(|t| t.reach == Reach::Yes && t.replication.is_some());
            if missing.is_empty() && !reached.is_empty() {
                return Ok(());
            }
            let missing = missing.into_iter().map(|t| t.alias.clone()).collect();
            Err(Obstacle::Unproven { reached: reached.len(), missing })
        }
    }
}
