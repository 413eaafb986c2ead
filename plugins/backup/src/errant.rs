//! Which tablets are made anew from a backup: those that have what their primary never had.
//!
//! A primary that is lost takes its last writes with it. Nobody acknowledged them, and when it comes back with them
//! it replicates no more. Whether that is what they are is the host's to say: it alone sees transactions.

use pilothouse_sdk::backup::{Action, TabletRestore};
use pilothouse_sdk::types::{BackupExpectation, PrimaryExpectation};
use pilothouse_sdk::{
    Backup, Expectation, PodState, Reach, Role, Shard, Step, Tablet, TabletAlias, View, Wanted, ZoneState,
};

use crate::backup::Decision;
use crate::config::Config;
use crate::record::Record;

/// What is said of a tablet that is not rebuilt.
const CODE: &str = "ErrantNotRebuilt";

/// What stands against it.
enum Obstacle {
    /// What goes by itself, or is told of elsewhere.
    Waits(String),
    /// What somebody should look at.
    Stays(String),
}

/// Proposes to rebuild one tablet of the shard, or says of each that is errant why not.
pub fn rebuild(
    view: &View<'_>,
    shard: &Shard,
    record: &Record<'_>,
    config: &Config,
    decision: &mut Decision,
) {
    let mut wanted: Vec<&Tablet> =
        view.tablets().iter().filter(|t| t.shard == shard.id && t.wanted != Wanted::No).collect();
    wanted.sort_by(|a, b| a.alias.cmp(&b.alias));
    let mut first: Option<&TabletAlias> = None;
    for tablet in wanted.iter().filter(|t| is_errant(t, shard)) {
        let found = match first {
            Some(other) => Err(Obstacle::Waits(format!("{other} comes first"))),
            None if !config.rebuild_errant => Err(Obstacle::Stays("rebuildErrant is off".to_owned())),
            None => sources(shard, record, &wanted, tablet),
        };
        let message = |why| format!("It has what the primary never had, and is not rebuilt: {why}.");
        match found {
            Ok((primary, backup)) => {
                first = Some(&tablet.alias);
                decision.propose(step(shard, tablet, primary, backup));
            }
            Err(Obstacle::Waits(why)) => decision.info(CODE, &tablet.alias, message(why)),
            Err(Obstacle::Stays(why)) => decision.warn(CODE, &tablet.alias, message(why)),
        }
    }
}

/// Whether a tablet that runs and is no primary tells of transactions that the primary never had, and has a volume.
fn is_errant(tablet: &Tablet, shard: &Shard) -> bool {
    let errant = tablet.replication.as_ref().is_some_and(|r| r.errant > 0);
    let leads = tablet.role == Role::Primary || shard.primary.as_ref() == Some(&tablet.alias);
    let answers = tablet.pod == PodState::Running && tablet.reach == Reach::Yes;
    errant && !leads && answers && tablet.volume.is_some()
}

/// The primary to catch up with and the backup that was proven last, where another replica keeps up besides.
fn sources<'a>(
    shard: &'a Shard,
    record: &Record<'a>,
    wanted: &[&Tablet],
    tablet: &Tablet,
) -> Result<(&'a TabletAlias, &'a Backup), Obstacle> {
    let others = || wanted.iter().copied().filter(|t| t.alias != tablet.alias);
    let (waits, stays) = (Obstacle::Waits, |why: &str| Obstacle::Stays(why.to_owned()));
    let primary = shard.primary.as_ref().ok_or_else(|| waits("the shard has no primary".to_owned()))?;
    if let Some(down) = others().find(|t| !serves(t)) {
        return Err(waits(format!("{} is down", down.alias)));
    }
    let leads = |t: &Tablet| t.alias == *primary && t.role == Role::Primary;
    if !others().any(leads) {
        return Err(waits(format!("{primary} does not lead")));
    }
    if !stands_well(tablet) {
        return Err(waits("its zone is in doubt".to_owned()));
    }
    if !others().any(|t| keeps_up(t, primary)) {
        return Err(stays("no other replica keeps up with the primary"));
    }
    let backup = record.proven().ok_or_else(|| stays("no restore has proven a backup"))?;
    Ok((primary, backup))
}

fn serves(tablet: &Tablet) -> bool {
    let runs = tablet.pod == PodState::Running && tablet.ready;
    runs && tablet.reach == Reach::Yes && tablet.role != Role::Restore
}

fn stands_well(tablet: &Tablet) -> bool {
    match tablet.zone_state {
        ZoneState::Healthy | ZoneState::Recovering => true,
        ZoneState::Unknown | ZoneState::Suspect | ZoneState::Lost => tablet.zone.is_none(),
    }
}

fn keeps_up(tablet: &Tablet, primary: &TabletAlias) -> bool {
    tablet.replication.as_ref().is_some_and(|r| {
        r.source.as_ref() == Some(primary) && r.source_connected && r.applying && r.errant == 0
    })
}

fn step(shard: &Shard, tablet: &Tablet, primary: &TabletAlias, backup: &Backup) -> Step<Action> {
    let restore = TabletRestore { tablet: tablet.alias.clone(), backup: backup.name.clone() };
    let message = format!(
        "It has what {primary} never had, so it cannot replicate: it is made anew and restores a backup; {} was proven.",
        backup.name
    );
    let id = || shard.id.clone();
    Step::new(Action::RestoreTablet(restore), "errant", message)
        .expecting(Expectation::Primary(PrimaryExpectation { shard: id(), is: Some(primary.clone()) }))
        .expecting(Expectation::BackupPresent(BackupExpectation { shard: id(), backup: backup.name.clone() }))
}
