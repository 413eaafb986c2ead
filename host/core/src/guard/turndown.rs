//! Rule `turndown`: a cell, keyspace or shard goes only when its parent asks for it no more and
//! nothing that somebody needs goes with it.
//!
//! Whoever removes a level removes tablets and their volumes below it, so the step names both
//! objects as they were judged: a parent that was read late may ask for it again by now.

use super::{Case, Rule, Why, unless};
use crate::action::Action;
use crate::levels::kept;

pub(super) const RULE: Rule =
    Rule { name: "turndown", keeps: &["S4", "S7", "S8"], judge: |case| check(case).err() };

fn check(case: &Case<'_>) -> Result<(), Why> {
    let Action::TurnDown { object, uid, version, parent_version, .. } = &case.step.action else {
        return Ok(());
    };
    unless(!uid.is_empty(), || Why::NoUid)?;
    unless(!version.is_empty() && !parent_version.is_empty(), || Why::NoVersion)?;
    let Some(unwanted) = case.view.unwanted.iter().find(|u| u.object == *object) else {
        return Err(Why::LevelWanted { object: object.clone() });
    };
    let found = || unwanted.uid.clone();
    unless(unwanted.uid == *uid, || Why::OtherUid { named: uid.clone(), found: found() })?;
    kept(case.view, unwanted).map_or(Ok(()), |kept| Err(Why::LevelKept { object: object.clone(), kept }))
}
