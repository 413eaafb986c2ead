//! The whole decision: each shard by the state of its primary.

use pilothouse_sdk::{Decision, Reach, View, VitessSource, failover::Action};

use crate::config::Config;
use crate::scene::Scene;
use crate::{emergency, first, planned};

/// The decision for one view.
pub(crate) fn decide(view: &View<'_>, config: &Config) -> Decision<Action> {
    let mut decision = Decision::default();
    // No primary is chosen or moved then; the host says so in every status.
    if view.vitess == VitessSource::Unknown {
        return decision;
    }
    let mut scene = Scene::new(view, config);
    for shard in view.shards() {
        let here = scene.of(shard);
        let Some(alias) = &shard.primary else {
            if let Some(to) = first::decide(here, &mut decision) {
                scene.moved(None, to);
            }
            continue;
        };
        let Some(primary) = here.tablet(alias) else {
            let message =
                format!("the topology names {alias}, which is no tablet of this shard that we know");
            decision.warn("PrimaryNotFound", &shard.id, message);
            continue;
        };
        if !primary.pool.pool_type.is_primary_eligible() {
            continue; // elected elsewhere
        }
        let to = match primary.reach {
            Reach::Yes => planned::decide(here, primary, &mut decision),
            Reach::No => emergency::decide(here, primary, &mut decision),
            Reach::Unknown => {
                decision.info("PrimaryNotAsked", &shard.id, format!("nobody has asked {alias} yet"));
                None
            }
        };
        if let Some(to) = to {
            scene.moved(Some(primary), to);
        }
    }
    decision
}
