//! Rule `upgrade`: the MySQL of a tablet gives way only to one that can read what it leaves behind.
//!
//! A tablet that does not serve anyway may be replaced whatever it runs, else a bad image could
//! never be followed by a good one.

use super::{Case, Rule, Why, unless};
use crate::action::{Action, DrainStep};
use crate::mysql::Change;
use crate::standing::is_idle;
use crate::view::Wanted;

pub(super) const RULE: Rule = Rule { name: "upgrade", keeps: &["S3"], judge: |case| check(case).err() };

fn check(case: &Case<'_>) -> Result<(), Why> {
    let (tablet, ends) = if let Action::RecreateTablet { tablet, .. }
    | Action::DrainTablet { tablet, step: DrainStep::Finish } = &case.step.action
    {
        (tablet, true)
    } else if let Action::ReleaseTablet { tablet, .. } = &case.step.action {
        (tablet, false)
    } else {
        return Ok(());
    };
    let Some(tablet) = case.view.tablet(tablet).filter(|t| t.wanted != Wanted::No && !is_idle(t)) else {
        return Ok(());
    };
    match tablet.mysql_change {
        Change::None => Ok(()),
        Change::Downgrade => Err(Why::MysqlDowngrade { tablet: tablet.alias.clone() }),
        Change::Upgrade => {
            unless(!ends || tablet.ends_written_out, || Why::NotWrittenOut { tablet: tablet.alias.clone() })
        }
    }
}
