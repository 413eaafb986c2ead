//! Rule `expired`: a step is not admitted at or after its time to live.

use super::{Case, Rule, Why};

pub(super) const RULE: Rule = Rule { name: "expired", keeps: &["S7"], judge };

const fn judge(case: &Case<'_>) -> Option<Why> {
    let (expires, as_of) = (case.step.expires, case.view.as_of);
    if expires > as_of { None } else { Some(Why::Expired { expires, as_of }) }
}
