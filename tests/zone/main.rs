//! A zone's loss, cuts and flaps in a fleet at the seam of views.
//!
//! Small fleets of the figures that `cargo bench --bench zone` prints. Time is virtual, so its
//! bounds hold on every machine.

mod guest;

use std::sync::Arc;

use pilothouse::settings::Settings;
use pilothouse_policy::set::PolicySet;
use pilothouse_tests::built;
use pilothouse_tests::fleet::{
    Fault, Limits, Setting, Side, Spread, Timing, one_sided, partition, played, run, zone_lost,
};
use pilothouse_tests::stage::virtually;

fn policies() -> Arc<PolicySet> {
    built!().policies(&Settings::default()).unwrap()
}

/// 300 clusters with an API server that takes minutes to be told of it all.
#[test]
fn a_lost_zone_is_through_within_seconds_whatever_the_api_server_takes() {
    let limits = Limits { requests_per_second: 20, burst: 20, ..Limits::default() };
    let setting = zone_lost(300, 1, 2, Timing::real(), limits, &policies());
    let found = run(&setting);
    assert_eq!(found, run(&setting), "the same seed, another run");
    let spread = Spread::of(&found.took);
    assert_eq!((found.took.len(), found.lost), (100, 100), "{spread}");
    assert!(spread.half >= 5_000, "replicas hear their source as long: {spread}");
    assert!(spread.most <= 30_000 && spread.last <= 60_000, "{spread}");
    assert_eq!((found.needless, found.twice, found.diverged, found.unplayed), (0, 0, 0, 0));
}

#[test]
fn nobody_is_replaced_whom_anybody_hears() {
    let found = run(&one_sided(210, 1, &policies()));
    assert_eq!((found.reparents, found.diverged, found.unplayed), (0, 0, 0), "{found:?}");
    assert!(found.passes > 2 * 210, "the host saw something: {found:?}");
}

#[test]
fn a_partition_of_43_seconds_leaves_one_history() {
    let found = run(&partition(60, 1, Side::Others, &policies()));
    assert_eq!((found.reparents, found.needless, found.diverged, found.unplayed), (60, 0, 0, 0), "{found:?}");
    assert_eq!(found.errant, 60, "what the old primary had alone is kept aside");
    let found = run(&partition(60, 1, Side::Primary, &policies()));
    assert_eq!((found.reparents, found.diverged, found.errant, found.unplayed), (0, 0, 0, 0), "{found:?}");
}

/// Whatever else befalls a cluster: one history, nobody who is errant leads, and where somebody can lead, somebody
/// does within half a minute.
#[test]
fn every_fault_leaves_one_history_and_a_primary_where_there_can_be_one() {
    let policies = policies();
    for fault in Fault::ALL {
        let found = run(&fault.runs(30, 1, &policies));
        println!("{}: {found:?}", fault.told());
        assert_eq!(
            (found.diverged, found.blind, found.stray, found.late),
            (0, 0, 0, 0),
            "{fault:?}: {found:?}"
        );
        assert_eq!(found.unplayed, 0, "{fault:?}: {found:?}");
        let all = if fault.replaces() { 30 } else { 0 };
        assert!(found.reparents >= all, "{fault:?}: {found:?}");
    }
}

/// By the whole path and at the seam of views, with the same spans: most of a failover is waiting,
/// and what the seam leaves out is small beside it.
#[test]
fn by_the_whole_path_it_takes_as_long() {
    let policies = policies();
    let whole = virtually(played(6, 1, &policies)).unwrap();
    let seam = run(&Setting {
        primaries_in: 1,
        ..zone_lost(6, 1, 0, Timing::played(), Limits::default(), &policies)
    });
    println!("{whole:?}\n{seam:?}");
    assert_eq!((whole.took.len(), whole.twice, whole.lost), (6, 0, 6), "{whole:?}");
    assert_eq!((seam.took.len(), seam.twice, seam.lost), (6, 0, 6), "{seam:?}");
    let (whole, seam) = (Spread::of(&whole.took).half, Spread::of(&seam.took).half);
    assert!(whole.abs_diff(seam) * 10 <= whole, "{whole} ms and {seam} ms differ by more than a tenth");
}
