//! Rule `records`: a topology record is made as it is asked for, and pruned only when nobody needs it.

use super::{Case, Rule, Why, unless};
use crate::action::Action;
use crate::records::{missing, unneeded};

pub(super) const RULE: Rule =
    Rule { name: "records", keeps: &["S1", "S4", "S8"], judge: |case| check(case).err() };

fn check(case: &Case<'_>) -> Result<(), Why> {
    if let Action::RegisterRecord { registration } = &case.step.action {
        let asked = missing(case.view).contains(registration);
        return unless(asked, || Why::RecordUnasked { registration: registration.clone() });
    }
    let Action::PruneRecord { record } = &case.step.action else { return Ok(()) };
    match unneeded(case.view).into_iter().find(|(unneeded, _)| unneeded == record) {
        None => Err(Why::RecordWanted { record: record.clone() }),
        Some((_, Some(held))) => Err(Why::RecordHeld { record: record.clone(), held }),
        Some((_, None)) => Ok(()),
    }
}
