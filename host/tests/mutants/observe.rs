//! Hosts that see wrongly, with every rule of the guard: it judges what it is shown.

use std::collections::BTreeSet;

use pilothouse::simulate::Fault;
use pilothouse_core::topology::TabletAlias;
use pilothouse_core::view::{ClusterView, PodState, Reach};

use crate::day::{Day, frequent};
use crate::faulty::{Mutant, Sees};

#[track_caller]
fn check(sees: Sees, day: &Day, broken: &[&str]) {
    day.is_good();
    day.breaks(Mutant { sees, ..Mutant::SOUND }, broken);
}

/// A primary that is silent counts as stopped, whatever its replicas say.
#[test]
fn who_is_silent_is_stopped() {
    let stopped: Sees = |view, _| {
        let primaries: BTreeSet<TabletAlias> = view.shards.iter().filter_map(|s| s.primary.clone()).collect();
        let silent = view.tablets.iter().filter(|t| primaries.contains(&t.alias) && t.reach == Reach::No);
        let silent: BTreeSet<TabletAlias> = silent.map(|t| t.alias.clone()).collect();
        for tablet in &mut view.tablets {
            if silent.contains(&tablet.alias) {
                (tablet.pod, tablet.node_ready) = (PodState::Ended, Some(true));
            }
            if let Some(replication) = &mut tablet.replication {
                replication.source_connected &=
                    !replication.source.as_ref().is_some_and(|s| silent.contains(s));
            }
        }
    };
    let day = Day { seed: 2, mix: frequent([Fault::N3]), durability: "none", ..Day::calm() };
    check(stopped, &day, &["S1"]);
}

/// What was seen first is seen for ever.
#[test]
fn the_first_view_stays() {
    let stale: Sees = |view, first| {
        let as_of = view.as_of;
        *view = ClusterView { as_of, ..first.get_or_insert_with(|| view.clone()).clone() };
    };
    check(stale, &Day::calm(), &["L1"]);
}
