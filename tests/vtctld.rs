//! The client on a real vtctld: records made and pruned, each twice, and what a vtctld that is
//! away, or a lock that nobody gives back, comes to.

use std::time::Duration;

use pilothouse::cache::ClusterKey;
use pilothouse::clock::Clock;
use pilothouse::vitess::settings::VitessSettings;
use pilothouse::vitess::{Observation, Place, RealVitess, Vitess};
use pilothouse_core::topology::{Cell, ShardId, TabletAlias};
use pilothouse_core::view::{CELLS_ALIAS, CellInfo, Record, Registration, Topology as Records};
use pilothouse_tests::topology::{self, Topology};
use pilothouse_vitess::{Dialer, Error, Vtctld, Within};

/// Much longer than vtctld waits for anything.
const CALL: Duration = Duration::from_secs(30);

fn client(topology: &Topology, call: Duration) -> Vtctld {
    let dialer = Dialer { connect: Duration::from_secs(5), tls: None };
    let within = Within { call, reparent: call, replicas: Duration::from_secs(1) };
    Vtctld::new(dialer.link(&topology.vtctld()).unwrap(), within)
}

fn started() -> Option<Topology> {
    let programs = topology::programs().unwrap()?;
    Some(Topology::start(&programs).unwrap())
}

fn cell(name: &str) -> Cell {
    Cell(name.to_owned())
}

fn shard(name: &str) -> ShardId {
    name.parse().unwrap()
}

fn in_cell(topology: &Topology, name: &str, root: &str) -> Registration {
    let info = CellInfo { address: topology.etcd(), root: root.to_owned() };
    Registration::Cell { cell: cell(name), info }
}

fn alias_of(cells: &[&str]) -> Registration {
    Registration::CellsAlias { cells: cells.iter().map(|name| cell(name)).collect() }
}

fn keyspace(durability_policy: &str) -> Registration {
    let (keyspace, durability_policy) = ("commerce".to_owned(), durability_policy.to_owned());
    Registration::Keyspace { keyspace, durability_policy }
}

#[track_caller]
fn refused<T: std::fmt::Debug>(done: Result<T, Error>, as_code: &str, told: &str) {
    match done {
        Err(Error::Refused { code, message }) => {
            assert_eq!(code, as_code, "{message}");
            assert!(message.contains(told), "{message}");
        }
        other => panic!("{other:?}"),
    }
}

/// All records as one line each.
async fn records(vtctld: &Vtctld) -> Vec<String> {
    let mut all = Vec::new();
    for (cell, info) in vtctld.cells().await.unwrap() {
        all.push(format!("cell {cell} at {}", info.root));
    }
    for cell in vtctld.alias(CELLS_ALIAS).await.unwrap().unwrap_or_default() {
        all.push(format!("alias of {cell}"));
    }
    for (keyspace, policy) in vtctld.keyspaces().await.unwrap() {
        all.push(format!("keyspace {keyspace} with {}", policy.durability_policy));
        for shard in vtctld.shards(&keyspace).await.unwrap().keys() {
            all.push(format!("shard {shard}"));
        }
        for (cell, ranges) in vtctld.graphs(&keyspace).await.unwrap() {
            let ranges: Vec<String> = ranges.iter().map(ToString::to_string).collect();
            all.push(format!("graph of {keyspace} in {cell}: {}", ranges.join(" ")));
        }
    }
    all
}

#[tokio::test]
async fn records_are_made_and_pruned_and_twice_is_once() {
    let Some(topology) = started() else { return };
    let vtctld = client(&topology, CALL);
    for asked in [
        in_cell(&topology, "zone1", "/vitess/zone1"),
        in_cell(&topology, "zone2", "/elsewhere"),
        in_cell(&topology, "zone2", "/vitess/zone2"),
        alias_of(&["zone1"]),
        alias_of(&["zone1", "zone2"]),
        keyspace(""),
        keyspace("none"),
        keyspace("semi_sync"),
        keyspace(""),
        Registration::Shard { shard: shard("commerce/-80") },
        Registration::Shard { shard: shard("commerce/80-") },
    ] {
        for _ in 0..2 {
            vtctld.register(&asked).await.unwrap_or_else(|error| panic!("{asked}: {error}"));
        }
    }
    let graphs = ["graph of commerce in zone1: -80 80-", "graph of commerce in zone2: -80 80-"];
    let rest = [
        "cell zone1 at /vitess/zone1",
        "cell zone2 at /vitess/zone2",
        "alias of zone1",
        "alias of zone2",
        "keyspace commerce with semi_sync",
        "shard commerce/-80",
        "shard commerce/80-",
    ];
    assert_eq!(records(&vtctld).await, rest);
    topology.ctl(&["RebuildKeyspaceGraph", "commerce"]).unwrap();
    assert_eq!(records(&vtctld).await, [&rest[..], &graphs[..]].concat());

    let keyspace = || Record::Keyspace { keyspace: "commerce".to_owned() };
    let graph = |name: &str| Record::ServingGraph { cell: cell(name), keyspace: "commerce".to_owned() };
    let of_shard = |name: &str| Record::Shard { shard: shard(name) };
    refused(vtctld.prune(&of_shard("commerce/-80")).await, "Refused", "still serving");
    refused(vtctld.prune(&keyspace()).await, "Refused", "still has 2 shards");
    let replication = Record::ShardCell { shard: shard("commerce/-80"), cell: cell("zone1") };
    refused(vtctld.prune(&replication).await, "NoSuchCall", "replication of commerce/-80 in cell zone1");
    let tablet: TabletAlias = "zone1-0000000100".parse().unwrap();
    for record in [
        Record::Tablet { tablet },
        graph("zone1"),
        graph("zone2"),
        of_shard("commerce/-80"),
        of_shard("commerce/80-"),
        keyspace(),
        // Of what is gone with its keyspace.
        of_shard("commerce/-80"),
        Record::Cell { cell: cell("zone3") },
    ] {
        for _ in 0..2 {
            vtctld.prune(&record).await.unwrap_or_else(|error| panic!("{record}: {error}"));
        }
    }
    assert_eq!(records(&vtctld).await, rest[..4]);
    vtctld.register(&alias_of(&["zone1"])).await.unwrap();
    for _ in 0..2 {
        vtctld.prune(&Record::Cell { cell: cell("zone2") }).await.unwrap();
    }
    assert_eq!(records(&vtctld).await, ["cell zone1 at /vitess/zone1", "alias of zone1"]);
}

#[tokio::test]
async fn what_does_not_go_with_the_topology_is_refused() {
    let Some(topology) = started() else { return };
    let vtctld = client(&topology, CALL);
    refused(vtctld.register(&in_cell(&topology, "zone1", "")).await, "Refused", "Root must be");
    vtctld.register(&in_cell(&topology, "zone1", "/vitess/zone1")).await.unwrap();
    let of_none = Registration::Shard { shard: shard("commerce/-80") };
    refused(vtctld.register(&of_none).await, "Refused", "node doesn't exist");
    vtctld.register(&keyspace("none")).await.unwrap();
    refused(vtctld.register(&keyspace("hopeful")).await, "Refused", "hopeful");
    vtctld.register(&of_none).await.unwrap();
    let tablet: TabletAlias = "zone1-0000000100".parse().unwrap();
    let other: TabletAlias = "zone1-0000000101".parse().unwrap();
    let of = shard("commerce/-80");
    refused(vtctld.planned_reparent(&of, &tablet, &other).await, "NotThePrimary", "is none");
    refused(vtctld.emergency_reparent(&of, &tablet, &other, &[]).await, "NotThePrimary", "is none");
    refused(vtctld.init_primary(&of, &tablet).await, "Refused", "");
    refused(vtctld.end_slowly(&tablet).await, "Refused", "node doesn't exist");
}

/// Who stands by: the keyspace's VTOrc as a whole, and those of shards.
async fn standing_by(vtctld: &Vtctld) -> Vec<String> {
    let keyspaces = vtctld.keyspaces().await.unwrap().into_iter();
    let shards = vtctld.shards("commerce").await.unwrap().into_iter();
    let keyspaces = keyspaces.filter(|(_, record)| record.vtorc_stands_by).map(|(name, _)| name);
    let shards = shards.filter(|(_, record)| record.vtorc_stands_by).map(|(id, _)| id.to_string());
    keyspaces.chain(shards).collect()
}

#[tokio::test]
async fn vtorc_is_kept_from_replacing_primaries_and_let_again() {
    let Some(topology) = started() else { return };
    let vtctld = client(&topology, CALL);
    vtctld.register(&in_cell(&topology, "zone1", "/vitess/zone1")).await.unwrap();
    vtctld.register(&keyspace("none")).await.unwrap();
    for (of, told) in [("commerce/-80", "commerce/-80"), ("commerce/-", "commerce")] {
        let of = shard(of);
        vtctld.register(&Registration::Shard { shard: of.clone() }).await.unwrap();
        vtctld.let_vtorc_fail_over(&of, false).await.unwrap();
        assert_eq!(standing_by(&vtctld).await, [told]);
        vtctld.let_vtorc_fail_over(&of, true).await.unwrap();
        assert_eq!(standing_by(&vtctld).await, [""; 0]);
    }
}

#[tokio::test]
async fn backups_are_listed_and_removed() {
    let Some(topology) = started() else { return };
    let vtctld = client(&topology, CALL);
    let of = shard("commerce/-80");
    assert!(vtctld.backups(&of).await.unwrap().is_empty());
    let name = "2026-11-23.021017.zone1-0790125915";
    topology.leave_backup("commerce/-80", name).unwrap();
    let listed = vtctld.backups(&of).await.unwrap();
    let told: Vec<_> = listed.iter().map(|backup| (backup.name.as_str(), backup.started)).collect();
    assert_eq!(told, [(name, 1_795_399_817_000)]);
    for _ in 0..2 {
        vtctld.remove_backup(&of, name).await.unwrap();
    }
    assert!(vtctld.backups(&of).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_lock_that_nobody_gives_back_is_a_no_in_time() {
    let Some(topology) = started() else { return };
    let vtctld = client(&topology, CALL);
    let of = shard("commerce/-");
    for asked in [
        in_cell(&topology, "zone1", "/vitess/zone1"),
        keyspace("none"),
        Registration::Shard { shard: of.clone() },
    ] {
        vtctld.register(&asked).await.unwrap();
    }
    topology.leave_lock("commerce/-").unwrap();
    let tablet: TabletAlias = "zone1-0000000100".parse().unwrap();
    let locks = "deadline exceeded: /vitess/global/keyspaces/commerce/shards/-/locks";
    refused(vtctld.prune(&Record::Shard { shard: of.clone() }).await, "Refused", locks);
    refused(vtctld.init_primary(&of, &tablet).await, "Refused", locks);
    assert_eq!(vtctld.shards("commerce").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_vtctld_that_is_away_is_told_from_one_that_hangs_and_found_again() {
    let Some(mut topology) = started() else { return };
    let vtctld = client(&topology, Duration::from_secs(1));
    let asked = in_cell(&topology, "zone1", "/vitess/zone1");
    vtctld.register(&asked).await.unwrap();
    topology.freeze_vtctld();
    let hangs = vtctld.register(&asked).await;
    assert!(matches!(hangs, Err(Error::Deadline { ms: 1_000, .. })), "{hangs:?}");
    topology.thaw_vtctld();
    vtctld.register(&asked).await.unwrap();
    topology.kill_vtctld();
    let away = vtctld.register(&asked).await;
    assert!(matches!(away, Err(Error::Unreachable { .. } | Error::Nobody { .. })), "{away:?}");
    topology.start_vtctld().unwrap();
    vtctld.register(&asked).await.unwrap();
}

/// Waits until what a host knows of the cluster is so.
async fn known(vitess: &Vitess, key: &ClusterKey, holds: impl Fn(Option<&Observation>) -> bool) {
    let mut changes = vitess.changes();
    let waiting = async {
        while !holds(vitess.observe(key).as_ref()) {
            changes.changed().await;
        }
    };
    let waited = tokio::time::timeout(CALL, waiting).await;
    waited.unwrap_or_else(|_| panic!("{:#?}", vitess.observe(key)));
}

#[tokio::test]
async fn a_host_knows_an_empty_topology_and_what_it_makes_of_it() {
    let Some(mut topology) = started() else { return };
    let settings = VitessSettings { poll_ms: 200, stale_ms: 2_000, ..VitessSettings::default() };
    let real = RealVitess::new(settings.dialer().unwrap(), settings, Clock::system());
    let key = ClusterKey { namespace: "ns".to_owned(), name: "harbour".to_owned() };
    real.follow(&key, Place { vtctld: topology.vtctld(), backups: Some(String::new()) });
    let vitess = Vitess::Real(real);
    let records = |o: Option<&Observation>| o.and_then(|o| o.topology.clone());
    known(&vitess, &key, |o| records(o).is_some_and(|t| t.cells.is_empty() && t.shards.is_empty())).await;
    topology.leave_backup("commerce/-80", "2026-11-23.021017.zone1-0790125915").unwrap();
    for asked in [
        in_cell(&topology, "zone1", "/vitess/zone1"),
        keyspace("none"),
        Registration::Shard { shard: shard("commerce/-80") },
    ] {
        vitess.register(&key, &asked).await.unwrap();
    }
    known(&vitess, &key, |o| {
        let made = |t: Records| t.cells.len() == 1 && t.keyspaces.contains_key("commerce");
        records(o).is_some_and(made) && o.is_some_and(|o| o.backups.len() == 1)
    })
    .await;
    let shards = vitess.observe(&key).unwrap().shards;
    assert!(shards[&shard("commerce/-80")].initialized, "it has a backup");
    topology.kill_vtctld();
    known(&vitess, &key, |o| o.is_none()).await;
    topology.start_vtctld().unwrap();
    known(&vitess, &key, |o| records(o).is_some_and(|t| t.shards.contains_key(&shard("commerce/-80")))).await;
}
