//! What the goldens do not show: surge, growth, zones, absent labels, records.

use std::collections::BTreeMap;

use pilothouse_api::{VitessBackupSchedule, VitessCell, VitessShard, children};
use pilothouse_core::view::BackupView;
use serde_json::{Value, json};

use super::tree::{manifest, scheduled, stored, tree, zones};
use crate::render::{self, Rendered};

const SHARD: &str = "harbour-orders-x-80-";

fn shard() -> VitessShard {
    let tree = tree(&manifest());
    stored(
        tree.iter()
            .find(|((kind, name), _)| kind == "VitessShard" && name.starts_with(SHARD))
            .expect("rendered")
            .1,
    )
}

fn cell(name: &str) -> VitessCell {
    let tree = tree(&manifest());
    stored(tree.iter().find(|((kind, of), _)| kind == "VitessCell" && of.contains(name)).expect("rendered").1)
}

fn of_kind<'a>(rendered: &'a [Rendered], kind: &str) -> Vec<&'a Value> {
    rendered.iter().filter(|one| one.object.kind == kind).map(|one| &one.value).collect()
}

/// A complete, verified backup of the shard -80.
pub(super) fn backup() -> BackupView {
    serde_json::from_value(json!({
        "name": "2026-11-23.021017.east-0790125915", "shard": "orders/-80",
        "started": 1_795_400_000_123_u64, "finished": 1_795_400_060_000_u64, "verified": 1_795_500_000_000_u64,
    }))
    .expect("a backup")
}

#[test]
fn a_surge_tablet_is_the_next_of_its_pool_and_says_for_whom() {
    let mut shard = shard();
    let surge = |cell: &str, index: i32| {
        json!({ "alias": format!("{cell}-0000000001"), "poolType": "replica", "cell": cell, "index": index,
                "standsInFor": "north", "since": "2026-11-23T00:00:00Z" })
    };
    // the second is within `replicas` by now, the third has no pool to be a tablet of
    shard.status = Some(
        serde_json::from_value(
            json!({ "surgeTablets": [surge("east", 2), surge("east", 1), surge("west", 1)] }),
        )
        .expect("a status"),
    );
    let before = render::shard(&self::shard(), &BTreeMap::new(), &BTreeMap::new());
    let after = render::shard(&shard, &BTreeMap::new(), &BTreeMap::new());
    let new: Vec<&Rendered> = after.iter().filter(|one| !before.contains(one)).collect();
    assert_eq!(
        new.iter().map(|one| one.object.kind.as_str()).collect::<Vec<_>>(),
        ["PodDisruptionBudget", "PersistentVolumeClaim", "Pod"]
    );
    assert_eq!(after.len(), before.len() + 2);
    assert_eq!(new[0].value["spec"]["minAvailable"], of_kind(&before, "Pod").len());
    let metadata = &new[2].value["metadata"];
    assert_eq!(metadata["annotations"]["pilothouse.dev/stands-in-for"], "north");
    assert_eq!(metadata["labels"]["planetscale.com/cell"], "east");
    assert_eq!(metadata["labels"]["planetscale.com/tablet-index"], "2");
    // a later scale-up adopts it under the same name
    shard.status = None;
    shard.spec.template.tablet_pools[0].replicas = 2;
    let scaled = render::shard(&shard, &BTreeMap::new(), &BTreeMap::new());
    assert!(
        scaled.iter().any(|one| one.object == new[2].object && one.value["spec"] == new[2].value["spec"])
    );
}

#[test]
fn a_volume_never_shrinks() {
    let asked = |claims: &BTreeMap<String, u64>| {
        let rendered = render::shard(&shard(), &BTreeMap::new(), claims);
        of_kind(&rendered, "PersistentVolumeClaim")[0].clone()
    };
    let fresh = asked(&BTreeMap::new());
    assert_eq!(fresh["spec"]["resources"]["requests"]["storage"], "10Gi");
    let name = fresh["metadata"]["name"].as_str().expect("named").to_owned();
    let grown = BTreeMap::from([(name.clone(), 20 << 30)]);
    assert_eq!(asked(&grown)["spec"]["resources"]["requests"]["storage"], (20_u64 << 30).to_string());
    assert_eq!(asked(&BTreeMap::from([(name, 1 << 30)])), fresh);
    let backup = render::backup(&shard(), "", None, &BTreeMap::new(), &grown, 0);
    assert_eq!(backup[0].value["spec"]["resources"]["requests"]["storage"], (20_u64 << 30).to_string());
}

#[test]
fn a_later_backup_has_its_own_name_and_says_what_it_restores() {
    let run = |restore, at| render::backup(&shard(), "", restore, &BTreeMap::new(), &BTreeMap::new(), at);
    let (first, again) = (run(None, 1), run(None, 2_000));
    assert_eq!(first, again);
    let (later, later_still) = (run(Some("b"), 1_000), run(Some("b"), 2_000));
    assert_ne!(later[1].object, later_still[1].object);
    let pod = &later[1].value;
    assert_eq!(pod["metadata"]["annotations"][render::RESTORES], "b");
    assert_eq!(pod["metadata"]["labels"]["backup.planetscale.com/type"], "update");
    assert_eq!(pod["spec"]["restartPolicy"], "Never");
    assert_eq!(first[1].value["spec"]["restartPolicy"], "OnFailure");
}

fn schedule(of: usize) -> VitessBackupSchedule {
    stored(&json!(children::backup_schedules(&manifest())[of]))
}

#[test]
fn a_scheduled_run_has_room_for_the_largest_tablet_and_stands_where_its_schedule_says() {
    let run = |schedule: &VitessBackupSchedule, shard: &VitessShard, claims: &BTreeMap<String, u64>| {
        scheduled(&manifest(), schedule, shard, &zones(&manifest()), claims)
    };
    let tablet = render::shard(&shard(), &BTreeMap::new(), &BTreeMap::new());
    let tablet =
        of_kind(&tablet, "PersistentVolumeClaim")[0]["metadata"]["name"].as_str().expect("named").to_owned();
    let mut nightly = schedule(0);
    let rendered = run(&nightly, &shard(), &BTreeMap::from([(tablet, 20 << 30)]));
    let (claim, job) = (&rendered[0].value, &rendered[1].value);
    assert_eq!(claim["spec"]["resources"]["requests"]["storage"], (20_u64 << 30).to_string());
    assert_eq!(claim["metadata"]["name"], job["metadata"]["name"]);
    let pod = |job: &Value| job["spec"]["template"]["spec"].clone();
    assert!(pod(job)["affinity"].to_string().contains("nvme"), "the pool's");
    nightly.spec.template.affinity = json!({ "podAffinity": {} }).into();
    let own = pod(&run(&nightly, &shard(), &BTreeMap::new())[1].value);
    assert_eq!(own["affinity"]["podAffinity"], json!({}));
    assert!(own["affinity"]["nodeAffinity"].to_string().contains("zone-n"), "and the shard's zones");
    assert!(!own["affinity"].to_string().contains("nvme"));
    // Without a mysqld there is nothing to take the shape of; a tablet asked for a backup needs none.
    let mut elsewhere = shard();
    elsewhere.spec.template.tablet_pools.iter_mut().for_each(|pool| pool.mysqld = None);
    assert_eq!(run(&nightly, &elsewhere, &BTreeMap::new()), []);
    assert_eq!(run(&schedule(1), &elsewhere, &BTreeMap::new()).len(), 1);
}

#[test]
fn a_label_holds_any_schedules_name() {
    use pilothouse_api::names::backup_schedule_label;
    let long = "a".repeat(64);
    assert_eq!(backup_schedule_label(&long[..63]), &long[..63]);
    assert_eq!(backup_schedule_label(&long).len(), 63);
}

#[test]
fn a_backup_may_run_in_any_zone_of_the_shard() {
    let run = render::backup(&shard(), "", None, &zones(&manifest()), &BTreeMap::new(), 0);
    let terms =
        &run[1].value["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    let zones = terms.pointer("/nodeSelectorTerms/0/matchExpressions/1/values");
    assert_eq!(zones, Some(&json!(["zone-e", "zone-n"])));
}

#[test]
fn gateways_surge_on_top_and_an_autoscaler_is_left_alone() {
    let replicas =
        |cell: &VitessCell| of_kind(&render::cell(cell, ""), "Deployment")[0]["spec"]["replicas"].clone();
    let mut east = cell("east");
    assert_eq!(replicas(&east), 2);
    let surge = json!({ "gateway": { "surge": [{ "standsInFor": "north", "replicas": 1 }] } });
    east.status = Some(serde_json::from_value(surge.clone()).expect("a status"));
    assert_eq!(replicas(&east), 3);
    let mut south = cell("south");
    assert_eq!(south.spec.template.gateway.replicas, None);
    assert_eq!(replicas(&south), Value::Null);
    south.spec.template.gateway.replicas = Some(4); // the autoscaler's word
    south.status = Some(serde_json::from_value(surge).expect("a status"));
    assert_eq!(replicas(&south), 5);
}

#[test]
fn a_zone_that_a_policy_chose_pins_the_gateways() {
    let mut south = cell("south");
    let affinity = |cell: &VitessCell| {
        of_kind(&render::cell(cell, ""), "Deployment")[0]["spec"]["template"]["spec"]["affinity"].clone()
    };
    assert_eq!(affinity(&south), Value::Null);
    south.status = Some(serde_json::from_value(json!({ "assignedZone": "zone-s" })).expect("a status"));
    assert!(affinity(&south).to_string().contains("zone-s"));
}

#[test]
fn a_backup_record_carries_what_the_store_says() {
    let tree = tree(&manifest());
    let storage = tree.iter().find(|((kind, _), _)| kind == "VitessBackupStorage").expect("rendered").1;
    let elsewhere = BackupView { location: "other".to_owned(), ..backup() };
    let foreign = BackupView { name: "lost+found".to_owned(), ..backup() };
    let records = render::backup_records(&stored(storage), &[backup(), elsewhere, foreign]);
    assert_eq!(records.len(), 1);
    let record = &records[0].value;
    assert_eq!(record["status"]["complete"], true);
    assert_eq!(record["status"]["startTime"], "2026-11-23T02:13:20Z");
    assert_eq!(record["status"]["storageName"], "2026-11-23.021017.east-0790125915");
    assert_eq!(record["metadata"]["annotations"]["pilothouse.dev/backup-verified"], "2026-11-24T06:00:00Z");
    assert!(records[0].object.name.starts_with("harbour-orders-x-80-20261123-021017-"));
}

#[test]
fn what_belongs_to_nothing_renders_nothing() {
    let mut shard = shard();
    shard.metadata.labels = None;
    assert_eq!(render::shard(&shard, &BTreeMap::new(), &BTreeMap::new()), []);
    assert_eq!(render::backup(&shard, "", None, &BTreeMap::new(), &BTreeMap::new(), 0), []);
}

#[test]
fn a_cells_own_etcd_stays_in_its_zone_and_is_found_by_all_its_urls_or_none() {
    let member = |etcd: Value| {
        let mut cluster = manifest();
        cluster.spec.cells[0].lockserver =
            serde_json::from_value(json!({ "etcd": etcd })).expect("a lockserver");
        let tree = tree(&cluster);
        let is_member =
            |(kind, name): &(String, String)| kind == "Pod" && name.starts_with("harbour-east-etcd-");
        tree.iter().find(|(key, _)| is_member(key)).expect("rendered").1["spec"].clone()
    };
    let args =
        |urls: &[&str]| member(json!({ "advertisePeerURLs": urls }))["containers"][0]["args"].to_string();
    let affinity = &member(json!({}))["affinity"];
    let spread = &affinity["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"];
    assert_eq!(spread.as_array().map(Vec::len), Some(1), "{spread}");
    assert!(affinity["nodeAffinity"].to_string().contains("zone-e"));
    assert!(args(&["http://a", "http://b", "http://c"]).contains("-1=http://a,"));
    assert_eq!(args(&["http://a"]), args(&[]));
}
