//! Every scenario beside this file: a script, what came of it, and rest at the end.
//!
//! `NAME.yaml` is the script, `NAME.txt` the outcome; `PILOTHOUSE_ACCEPT=1` writes
//! the latter. After each script the cluster must come to rest: the next virtual
//! hour brings no write and no action, also under a controller started anew.

mod run;
mod script;

use std::path::{Path, PathBuf};

use pilothouse_tests::repository;
use pilothouse_tests::seen::Teller;
use pilothouse_tests::stage::virtually;

fn check(name: &str) {
    let file =
        |extension| Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("scenarios/{name}.{extension}"));
    let script: PathBuf = file("yaml");
    let text = std::fs::read_to_string(&script).unwrap();
    let script = script::read(&text).unwrap_or_else(|e| panic!("{name}.yaml: {e}"));
    if let Some(missing) = script.inputs().find(|input| !repository(input).exists()) {
        println!("not run here: {name} needs {missing}");
        return;
    }
    let outcome = virtually(run::run(&script, &mut Teller::default()));
    let outcome = outcome.unwrap_or_else(|e| panic!("{name}: {e:#}"));
    let expected = file("txt");
    if std::env::var_os("PILOTHOUSE_ACCEPT").is_some() {
        std::fs::write(&expected, &outcome).unwrap();
    }
    let expected = std::fs::read_to_string(&expected).unwrap_or_default();
    assert!(outcome == expected, "{name} came out otherwise (PILOTHOUSE_ACCEPT=1 accepts):\n{outcome}");
}

macro_rules! scenarios {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            check(stringify!($name));
        })*

        #[test]
        fn every_script_is_run() {
            let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
            let mut scripts: Vec<String> = std::fs::read_dir(here)
                .unwrap()
                .filter_map(|f| f.unwrap().file_name().to_str()?.strip_suffix(".yaml").map(str::to_owned))
                .collect();
            scripts.sort();
            let mut listed = vec![$(stringify!($name)),*];
            listed.sort_unstable();
            assert_eq!(scripts, listed);
        }
    };
}

scenarios! {
    three_zones_come_up
    one_zone_is_refused
    one_zone_is_taken
    zone_lost_and_back
    node_lost
    primary_killed
    disk_fills
    disk_asked_to_shrink
    disk_grows_offline
    disk_cannot_grow
    backup_verified
    backups_scheduled
    backups_overlap
    replicas_raised_and_lowered
    drain_taken_back
    keyspace_removed
    keyspace_put_back
    keyspace_put_back_smaller
    shard_removed
    cell_removed
    autoscaled_gateways
    surge_adopted
    spec_edited_at_rest
    another_failover_policy
    vitess_unknown
    external_waits
    external_level_by_level
    external_cascade
    external_in_place
    external_etcd
    immediate_rolls
    rollout_taken_back
    mysql_upgraded
    paused_cluster
    paused_shard
    cluster_deleted
    shard_removed_by_hand
    claims_go_too
    partition_of_43_s
    isolated_primary
    isolated_primary_alone
    loss_is_told
    failover_beside_the_sick
    drained_under_load
    demotion_hangs
    relay_log_purged
    errant_is_passed_over
    errant_is_rebuilt
    stray_write_is_kept
    lock_held_elsewhere
    primary_pending
    bad_spec_then_good
    cordoned_primary
    rollout_beside_1236
    all_disks_full
}
