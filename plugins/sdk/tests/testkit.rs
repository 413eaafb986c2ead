//! The test kit answers as the host's getters do: positions, facts, zone states, backups.

use pilothouse_sdk::testkit::{Error, view_from_yaml};
use pilothouse_sdk::{TabletAlias, Value, Wanted, ZoneState};

const VIEW: &str = "
asOf: 5000
cluster: { namespace: default, name: example, uid: u }
vitess: played
zones: [{ name: a, health: { state: lost, since: 7 }, nodes: 1, nodesReady: 0 }]
cells: [{ name: zone1, zone: a, gateways: 1 }]
shards: [{ id: commerce/-80, pools: [{ key: { cell: zone1, type: replica }, replicas: 1, aliases: [zone1-0000000001] }] }]
tablets:
  - { alias: zone1-0000000001, shard: commerce/-80, pool: { cell: zone1, type: replica }, index: 1, wanted: bySpec,
      zone: a, pod: running, reach: yes, replication: { position: 's:1-10', errant: 's:10' } }
  - { alias: zone1-0000000002, shard: commerce/-80, pool: { cell: zone1, type: replica }, index: 2,
      wanted: { surge: { standsInFor: zone2 } }, pod: running, reach: yes, replication: { position: 's:1-8' } }
  - { alias: zone1-0000000003, shard: commerce/-80, pool: { cell: zone1, type: replica }, index: 3, wanted: no,
      pod: absent, reach: no, replication: { position: 's:1-20' } }
backups:
  - { name: one, shard: commerce/-80, started: 1, finished: 1, position: 's:1-5' }
  - { name: two, shard: commerce/-80, started: 2, finished: 2, position: 's:1-9' }
  - { name: three, shard: commerce/-80, started: 3, position: 's:2-9' }
  - { name: four, shard: commerce/-80, started: 4, finished: 4 }
facts: { cluster: { lossAccepted: true, note: hello } }
";

fn alias(uid: u32) -> TabletAlias {
    TabletAlias { cell: "zone1".to_owned(), uid }
}

#[test]
fn a_view_file_is_read_as_the_host_would_answer() {
    let view = view_from_yaml(VIEW).expect("a view");
    let replication =
        |uid| view.tablet(&alias(uid)).and_then(|t| t.replication.clone()).expect("replication");
    assert_eq!((replication(1).transactions, replication(1).behind, replication(1).errant), (10, 0, 1));
    assert_eq!(replication(2).behind, 2, "a silent tablet's transactions are nobody's measure");
    assert!(view.has_all_of(&alias(1), &alias(2)) && !view.has_all_of(&alias(2), &alias(1)));
    assert!(!view.has_all_of(&alias(9), &alias(1)), "unknown tablets have nothing");
    assert_eq!(view.tablet(&alias(1)).map(|t| t.zone_state), Some(ZoneState::Lost));
    assert_eq!(view.tablet(&alias(2)).map(|t| t.zone_state), Some(ZoneState::Unknown));
    assert_eq!(view.tablet(&alias(2)).map(|t| t.wanted.clone()), Some(Wanted::Surge("zone2".to_owned())));
    let covers: Vec<bool> = view.backups().iter().map(|b| b.covers_older).collect();
    assert_eq!(covers, [true, true, false, false]);
    assert!(view.flag("cluster", "lossAccepted") && !view.flag("zone1", "lossAccepted"));
    assert_eq!(view.fact("cluster", "note"), Some(Value::Text("hello".to_owned())));
    assert_eq!(view.shards()[0].id.to_string(), "commerce/-80");
    assert_eq!(view.pools_of(&view.shards()[0].id).count(), 1);
}

#[test]
fn an_unknown_field_is_refused_by_name() {
    let Err(Error::Shape(e)) = view_from_yaml(&VIEW.replace("vitess:", "vites:")) else { panic!("accepted") };
    assert!(e.to_string().contains("vites"), "{e}");
}
