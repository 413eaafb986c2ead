//! Renders a manifest level by level, as if an API server stored each object with a uid.

use std::collections::BTreeMap;
use std::path::PathBuf;

use pilothouse_api::{VitessBackupSchedule, VitessCluster, VitessShard, children};
use pilothouse_core::action::ObjectRef;
use pilothouse_core::topology::{Cell, Zone};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::render::{self, Rendered};

/// Objects by kind and name.
pub(super) type Tree = BTreeMap<(String, String), Value>;

/// The folder of manifests and goldens.
pub(super) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/render")
}

/// Our own manifest.
pub(super) fn manifest() -> VitessCluster {
    let text = std::fs::read_to_string(folder().join("manifest.yaml")).expect("the manifest is there");
    serde_yaml_ng::from_str(&text).expect("the manifest reads")
}

/// The zone of each cell that names one.
pub(super) fn zones(cluster: &VitessCluster) -> BTreeMap<Cell, Zone> {
    let cells = cluster.spec.cells.iter().filter(|cell| !cell.zone.is_empty());
    cells.map(|cell| (Cell(cell.name.clone()), Zone(cell.zone.clone()))).collect()
}

/// A rendered object as the API server would give it back.
pub(super) fn stored<T: DeserializeOwned>(value: &Value) -> T {
    let mut value = value.clone();
    value["metadata"]["uid"] =
        json!(format!("uid-of-{}", value["metadata"]["name"].as_str().expect("named")));
    value["metadata"]["generation"] = json!(1);
    serde_json::from_value(value).expect("what we render reads back")
}

/// A run of a schedule's first strategy for a shard.
pub(super) fn scheduled(
    cluster: &VitessCluster,
    schedule: &VitessBackupSchedule,
    shard: &VitessShard,
    zones: &BTreeMap<Cell, Zone>,
    claims: &BTreeMap<String, u64>,
) -> Vec<Rendered> {
    let strategy = &schedule.spec.template.strategies[0];
    let run = render::ScheduledRun {
        cluster,
        schedule,
        strategy,
        shard,
        location: "",
        timeout_minutes: 10,
        due: 1_795_400_400_000,
    };
    render::scheduled_backup(&run, zones, claims)
}

/// Everything below `cluster`, with a first and a later backup run of each shard, and one by each schedule.
pub(super) fn tree(cluster: &VitessCluster) -> Tree {
    let zones = zones(cluster);
    let none = BTreeMap::new();
    let mysqld = cluster.spec.images.mysqld.as_ref().and_then(|image| image.chosen()).map_or("", |(_, i)| i);
    let mut todo = render::cluster(cluster);
    let mut tree = Tree::new();
    while let Some(Rendered { object, value, .. }) = todo.pop() {
        match object.kind.as_str() {
            "VitessCell" => todo.extend(render::cell(&stored(&value), mysqld)),
            "VitessKeyspace" => todo.extend(render::keyspace(&stored(&value))),
            "EtcdLockserver" => todo.extend(render::lockserver(&stored(&value), &zones)),
            "VitessShard" => {
                let shard = stored(&value);
                todo.extend(render::shard(&shard, &zones, &none));
                todo.extend(render::backup(&shard, "", None, &zones, &none, 0));
                let latest = Some("2026-11-23.021017.east-0000000001");
                todo.extend(render::backup(&shard, "", latest, &zones, &none, 1_795_400_000_000));
                for schedule in children::backup_schedules(cluster) {
                    let schedule = &stored(&json!(schedule));
                    todo.extend(scheduled(cluster, schedule, &shard, &zones, &none));
                }
            }
            _ => {}
        }
        let ObjectRef { kind, name, .. } = object;
        assert!(tree.insert((kind.clone(), name.clone()), value).is_none(), "{kind} {name} rendered twice");
    }
    tree
}
