//! Rule `author`: a policy writes only the verbs of its slot, never the host's own.
//!
//! The contract's worlds already make it impossible to write others down; this
//! holds for whatever else hands in a plan.

use super::{Case, Rule, Why};
use crate::plan::Author;

pub(super) const RULE: Rule = Rule { name: "author", keeps: &["S11"], judge };

fn judge(case: &Case<'_>) -> Option<Why> {
    match &case.step.author {
        Author::Host => None,
        Author::Policy { slot, .. } if case.step.action.slot() == Some(*slot) => None,
        Author::Policy { slot, .. } => {
            Some(Why::NotItsVerb { slot: *slot, verb: case.step.action.verb().to_owned() })
        }
    }
}
