//! Rule `decider`: a lost primary is replaced by the host or by VTOrc, never by both.
//!
//! While the topology lets VTOrc do it, the host does not. The host takes it on itself only where it
//! sees a shard that is well and has a policy for it; handing it back is always allowed.

use super::{Case, Rule, Why, unless};
use crate::action::Action;
use crate::decider::may_take_over;
use crate::view::Vtorc;

pub(super) const RULE: Rule = Rule { name: "decider", keeps: &["S1"], judge: |case| check(case).err() };

fn check(case: &Case<'_>) -> Result<(), Why> {
    let of = |shard| case.view.shard(shard);
    if let Action::EmergencyReparent { shard, .. } = &case.step.action {
        let vtorc = of(shard).map_or(Vtorc::Absent, |s| s.vtorc);
        unless(matches!(vtorc, Vtorc::Absent | Vtorc::StandsBy), || Why::VtorcDecides {
            shard: shard.clone(),
        })
    } else if let Action::SwitchVtorc { shard, fails_over: false } = &case.step.action {
        unless(of(shard).is_some_and(|s| may_take_over(case.view, s)), || Why::CannotDecide {
            shard: shard.clone(),
        })
    } else {
        Ok(())
    }
}
