//! Who wants no first backup of a shard gets none: there, the tablets wait for one from elsewhere.

use std::time::Duration;

use pilothouse::kinds::Kind;
use pilothouse_tests::seen::text;
use pilothouse_tests::stage::{Stage, virtually};
use pilothouse_tests::{built, repository};

const HOUR: Duration = Duration::from_secs(3_600);

/// Our example, with another switch of its shards.
fn manifest(initialize_backup: bool) -> String {
    let example = std::fs::read_to_string(repository("crds/examples/three-zones.yaml")).unwrap();
    let template = "        shardTemplate:\n";
    let switch = format!("{template}          replication: {{ initializeBackup: {initialize_backup} }}\n");
    assert!(example.contains(template));
    example.replacen(template, &switch, 1)
}

/// Runs and what came of them.
fn backups(stage: &Stage) -> usize {
    let runs = stage.objects(Kind::Pod, "default").into_iter();
    let runs = runs.filter(|p| text(p, "/metadata/labels/planetscale.com~1component") == "vtbackup");
    runs.count() + stage.objects(Kind::VitessBackup, "default").len()
}

#[test]
fn none_is_taken_that_nobody_wants() {
    virtually(async {
        let stage = Stage::three_zones(&built!()).unwrap();
        stage.apply(&manifest(false)).await.unwrap();
        stage.pass_time(48 * HOUR).await;
        assert_eq!((backups(&stage), stage.objects(Kind::VitessShard, "default").len()), (0, 1));
        stage.apply(&manifest(true)).await.unwrap();
        let taken =
            stage.until(HOUR, |s| (!s.objects(Kind::VitessBackup, "default").is_empty()).then_some(()));
        assert!(taken.await.is_some(), "now it is wanted");
        stage.end().await.unwrap();
    });
}
