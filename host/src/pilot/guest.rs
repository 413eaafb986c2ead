//! A pass for what cannot wait, by a cluster that has no place of its own in the room.
//!
//! Owns what such a pass leaves out: what is rendered, and all that follows from it. A zone's loss takes
//! many clusters' primaries at once; each opens its objects, asks the policies, and lets go of all
//! that while Vitess makes somebody else the primary.

use std::sync::Arc;

use pilothouse_core::Millis;
use pilothouse_core::action::Action;
use tokio::sync::mpsc::UnboundedSender;

use super::Pilot;
use crate::cache::ClusterKey;
use crate::vitess::Observation;

/// Hears of clusters that need nothing more of the room, but an answer of Vitess's.
pub type Outside = UnboundedSender<ClusterKey>;

impl Pilot {
    /// Comes for one pass, for what cannot wait.
    #[must_use]
    pub fn as_guest(self, outside: Outside) -> Self {
        Self { guest_of: Some(outside), ..self }
    }

    /// Renders, and compares what is rendered, unless what was judged by it last is enough: it still
    /// holds, and what the pass finds is told by a later one.
    pub(super) fn render(&mut self, vitess: Option<&Observation>, as_of: Millis) {
        let is_enough = self.guest_of.is_some()
            && self.untold.may_wait(as_of)
            && self.rendering.has_judged(&self.members, vitess);
        if !is_enough {
            self.rendering.refresh(&self.key.namespace, &self.members, vitess);
        }
    }

    /// Whether only what cannot wait is done: nothing is rendered.
    #[must_use]
    pub fn is_hurried(&self) -> bool {
        !self.rendering.is_drawn()
    }

    /// Makes place before a step that waits for Vitess.
    pub(super) fn step_out_for(&mut self, action: &Action) {
        let waits = self.is_hurried() && matches!(action, Action::EmergencyReparent { .. });
        let Some(outside) = self.guest_of.as_ref().filter(|_| waits) else { return };
        self.members = Arc::default();
        // Where nobody hears it the controller has stopped, and there is no room either.
        let _ = outside.send(self.key.clone());
    }
}
