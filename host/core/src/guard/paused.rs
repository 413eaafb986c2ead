//! Rule `paused`: what people paused is left as it is, by policies and by the host alike.
//!
//! Failover is no exception: whoever says "hands off" is about to do something by hand, and two
//! pilots at one helm are worse than none.

use super::{Case, Rule, Why};

pub(super) const RULE: Rule = Rule { name: "paused", keeps: &["S11"], judge };

fn judge(case: &Case<'_>) -> Option<Why> {
    let pause = case.view.pauses.iter().find(|pause| pause.stops(case.view, &case.step.action))?;
    Some(Why::Paused { object: pause.object.clone() })
}
