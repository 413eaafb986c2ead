//! What a host knows of a cluster by asking its vtctld and its tablets, and what it comes to when
//! they are slow, silent, or without their MySQL.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pilothouse::cache::ClusterKey;
use pilothouse::clock::Clock;
use pilothouse::vitess::settings::VitessSettings;
use pilothouse::vitess::{Observation, Place, RealVitess, Vitess};
use pilothouse_core::topology::{ShardId, TabletAlias};
use pilothouse_core::view::{Reach, Role};
use pilothouse_tests::grpc::{Answers, Peer, Reply};
use pilothouse_vitess::wire::{
    mysqlctl, query, replicationdata, tabletmanagerdata, topodata, vtctldata, vttime,
};
use prost::Message as _;
use tokio::sync::{mpsc, watch};

/// A played peer that does not answer by then never will.
const SOON: Duration = Duration::from_secs(20);
/// Nobody waits for the next poll of such.
const SELDOM_MS: u64 = 24_000;
const SERVER: &str = "3e11fa47-71ca-11e1-9e33-c80aa942956";

/// What a peer says, by call; another thing whenever the test says so.
#[derive(Clone)]
struct Says {
    replies: Arc<Mutex<BTreeMap<&'static str, Reply>>>,
    called: Arc<watch::Sender<u64>>,
    calls: Arc<Mutex<BTreeSet<String>>>,
}

impl Says {
    fn nothing() -> Self {
        Self { replies: Arc::default(), called: Arc::new(watch::Sender::new(0)), calls: Arc::default() }
    }

    fn set(&self, call: &'static str, reply: Reply) {
        self.replies.lock().unwrap().insert(call, reply);
    }

    fn answers(&self) -> Answers {
        let says = self.clone();
        Arc::new(move |path, _| {
            says.called.send_modify(|called| *called += 1);
            let call = path.rsplit('/').next().unwrap_or_default();
            says.calls.lock().unwrap().insert(call.to_owned());
            let no = || Reply::Refused(12, format!("{path} is not played"));
            says.replies.lock().unwrap().get(call).cloned().unwrap_or_else(no)
        })
    }

    /// Waits until it was asked so many times more.
    async fn asked(&self, times: u64) {
        let until = *self.called.borrow() + times;
        let mut called = self.called.subscribe();
        tokio::time::timeout(SOON, called.wait_for(|called| *called >= until)).await.unwrap().unwrap();
    }
}

fn alias(uid: u32) -> topodata::TabletAlias {
    topodata::TabletAlias { cell: "zone1".to_owned(), uid }
}

fn named(uid: u32) -> TabletAlias {
    format!("zone1-{uid:010}").parse().unwrap()
}

fn shard() -> ShardId {
    "commerce/-".parse().unwrap()
}

/// A vtctld that tells of one shard of two tablets, the first its primary.
fn vtctld(tablets: &[&Peer]) -> Says {
    let says = Says::nothing();
    let policy = topodata::Keyspace { durability_policy: "semi_sync".to_owned(), ..Default::default() };
    let keyspace = vtctldata::Keyspace { name: "commerce".to_owned(), keyspace: Some(policy) };
    says.set("GetKeyspaces", Reply::of(&vtctldata::GetKeyspacesResponse { keyspaces: vec![keyspace] }));
    let record = topodata::Shard {
        primary_alias: Some(alias(1)),
        primary_term_start_time: Some(vttime::Time { seconds: 100, nanoseconds: 5_000_000 }),
        ..Default::default()
    };
    let record = vtctldata::Shard { shard: Some(record), ..vtctldata::Shard::default() };
    let shards = [("-".to_owned(), record.clone()), ("0".to_owned(), record)].into();
    says.set("FindAllShardsInKeyspace", Reply::of(&vtctldata::FindAllShardsInKeyspaceResponse { shards }));
    let tablet = |(uid, peer): (u32, &&Peer)| topodata::Tablet {
        alias: Some(alias(uid)),
        hostname: "127.0.0.1".to_owned(),
        port_map: [("grpc".to_owned(), i32::from(peer.at.port()))].into(),
        keyspace: "commerce".to_owned(),
        shard: "-".to_owned(),
        r#type: if uid == 1 { 1 } else { 2 },
        mysql_hostname: format!("10.0.0.{uid}"),
        mysql_port: 3306,
        primary_term_start_time: None,
    };
    let tablets = (1..).zip(tablets).map(tablet).collect();
    says.set("GetTablets", Reply::of(&vtctldata::GetTabletsResponse { tablets }));
    let names = vec!["zone1".to_owned()];
    says.set("GetCellInfoNames", Reply::of(&vtctldata::GetCellInfoNamesResponse { names }));
    says.set("GetCellInfo", Reply::of(&vtctldata::GetCellInfoResponse::default()));
    says.set("GetCellsAliases", Reply::of(&vtctldata::GetCellsAliasesResponse::default()));
    says.set("GetSrvKeyspaces", Reply::of(&vtctldata::GetSrvKeyspacesResponse::default()));
    says.set("GetBackups", Reply::of(&vtctldata::GetBackupsResponse::default()));
    says
}

fn primary() -> replicationdata::FullStatus {
    replicationdata::FullStatus {
        server_uuid: format!("{SERVER}1"),
        tablet_type: 1,
        primary_status: Some(replicationdata::PrimaryStatus {
            position: format!("MySQL56/{SERVER}1:1-9"),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn replica() -> replicationdata::FullStatus {
    replicationdata::FullStatus {
        server_uuid: format!("{SERVER}2"),
        tablet_type: 2,
        semi_sync_replica_enabled: true,
        semi_sync_replica_status: true,
        replication_status: Some(replicationdata::Status {
            position: format!("MySQL56/{SERVER}1:1-10"),
            source_host: "10.0.0.1".to_owned(),
            source_port: 3306,
            source_uuid: format!("{SERVER}1"),
            io_state: 3,
            sql_state: 3,
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn whole(status: replicationdata::FullStatus) -> Reply {
    Reply::of(&tabletmanagerdata::FullStatusResponse { status: Some(status) })
}

/// A host that watches the played cluster.
struct Scene {
    vitess: Vitess,
    key: ClusterKey,
    vtctld: Says,
    tablets: [Says; 2],
    peers: Vec<Peer>,
}

impl Scene {
    async fn start() -> Self {
        Self::with(None, |_| {}).await
    }

    async fn with(backups: Option<&str>, but: impl FnOnce(&Says)) -> Self {
        Self::polling(100, backups, but).await
    }

    async fn polling(poll_ms: u64, backups: Option<&str>, but: impl FnOnce(&Says)) -> Self {
        let tablets = [Says::nothing(), Says::nothing()];
        tablets[0].set("FullStatus", whole(primary()));
        tablets[1].set("FullStatus", whole(replica()));
        let mut peers = Vec::new();
        for tablet in &tablets {
            tablet.set("Ping", Reply::of(&tabletmanagerdata::PingResponse::default()));
            peers.push(Peer::serve(tablet.answers()).await.unwrap());
        }
        let vtctld = vtctld(&peers.iter().collect::<Vec<_>>());
        but(&vtctld);
        peers.push(Peer::serve(vtctld.answers()).await.unwrap());
        let settings = VitessSettings {
            poll_ms,
            probe_ms: 300,
            call_ms: 300,
            stale_ms: 10 * poll_ms,
            ..VitessSettings::default()
        };
        let real = RealVitess::new(settings.dialer().unwrap(), settings, Clock::system());
        let key = ClusterKey { namespace: "ns".to_owned(), name: "harbour".to_owned() };
        let place = Place { vtctld: peers[2].at.to_string(), backups: backups.map(str::to_owned) };
        real.follow(&key, place);
        Self { vitess: Vitess::Real(real), key, vtctld, tablets, peers }
    }

    /// Waits until what is known is so.
    async fn until(&self, what: &str, holds: impl Fn(Option<&Observation>) -> bool) -> Option<Observation> {
        let mut changes = self.vitess.changes();
        let waiting = async {
            loop {
                let known = self.vitess.observe(&self.key);
                if holds(known.as_ref()) {
                    return known;
                }
                let touched = changes.changed().await;
                assert_eq!(touched, [self.key.clone()].into());
            }
        };
        let known = tokio::time::timeout(SOON, waiting).await;
        known.unwrap_or_else(|_| panic!("{what}: {:#?}", self.vitess.observe(&self.key)))
    }

    /// Waits until a tablet is so: whether it answers, as what it serves, whether it tells of its MySQL.
    async fn tablet(&self, uid: u32, is: (Reach, Role, bool)) -> Observation {
        let wanted = format!("{uid}: {is:?}");
        let known = self.until(&wanted, |known| {
            let tablet = known.and_then(|o| o.tablets.get(&named(uid)));
            tablet.is_some_and(|t| (t.reach, t.role, t.replication.is_some()) == is)
        });
        known.await.unwrap()
    }
}

const LEADS: (Reach, Role, bool) = (Reach::Yes, Role::Primary, true);
const FOLLOWS: (Reach, Role, bool) = (Reach::Yes, Role::Replica, true);

#[tokio::test]
async fn a_cluster_at_rest_is_known_and_does_not_change() {
    let scene = Scene::with(Some(""), |_| {}).await;
    scene.tablet(1, LEADS).await;
    let known = scene.tablet(2, FOLLOWS).await;
    let record = &known.shards[&shard()];
    assert_eq!((&record.primary, record.primary_since), (&Some(named(1)), 100_005));
    assert!(record.initialized);
    assert_eq!(known.shards.len(), 1, "a shard without a key range is not ours");
    let replication = known.tablets[&named(2)].replication.clone().unwrap();
    assert_eq!(replication.source, Some(named(1)));
    assert!(replication.source_connected && replication.applying && replication.acks);
    // The tenth came from the primary after it was asked.
    assert!(replication.errant.is_empty(), "{replication:?}");
    let topology = known.topology.unwrap();
    assert_eq!(topology.keyspaces["commerce"], "semi_sync");
    assert!(topology.tablets[&named(2)].answers);
    let revision = scene.vitess.revision(&scene.key);
    scene.vtctld.asked(20).await;
    assert_eq!(scene.vitess.revision(&scene.key), revision, "nothing differs");
    let other = ClusterKey { namespace: "ns".to_owned(), name: "another".to_owned() };
    assert!(scene.vitess.observe(&other).is_none());
}

#[tokio::test]
async fn a_primary_without_its_mysql_does_not_answer_and_a_restore_does() {
    let scene = Scene::start().await;
    scene.tablet(1, LEADS).await;
    scene.tablets[0].set("FullStatus", Reply::Refused(2, "no connection to mysqld".to_owned()));
    let known = scene.tablet(1, (Reach::No, Role::Unknown, false)).await;
    assert!(known.topology.unwrap().tablets[&named(1)].answers, "its vttablet does");
    scene.tablets[0].set("FullStatus", whole(primary()));
    scene.tablet(1, LEADS).await;
    // Its MySQL hangs, and it not.
    scene.tablets[0].set("FullStatus", Reply::Silence);
    scene.tablet(1, (Reach::No, Role::Unknown, false)).await;
    let restores = topodata::Tablet {
        alias: Some(alias(2)),
        hostname: "127.0.0.1".to_owned(),
        port_map: [("grpc".to_owned(), i32::from(scene.peers[1].at.port()))].into(),
        keyspace: "commerce".to_owned(),
        shard: "-".to_owned(),
        r#type: 7,
        ..topodata::Tablet::default()
    };
    scene.vtctld.set("GetTablets", Reply::of(&vtctldata::GetTabletsResponse { tablets: vec![restores] }));
    scene.tablets[1].set("FullStatus", Reply::Refused(2, "mysqld is not up yet".to_owned()));
    let known = scene.tablet(2, (Reach::Yes, Role::Restore, false)).await;
    assert!(!known.tablets.contains_key(&named(1)), "its record has gone");
}

#[tokio::test]
async fn a_tablet_that_says_that_its_health_has_changed_is_asked_at_once() {
    let says = |serving| {
        let target = Some(query::Target { tablet_type: 1 });
        query::StreamHealthResponse { target, serving, realtime_stats: None }.encode_to_vec()
    };
    let (health, said) = mpsc::unbounded_channel();
    let scene = Scene::polling(SELDOM_MS, None, |_| {}).await;
    scene.tablets[0].set("StreamHealth", Reply::Stream(Arc::new(tokio::sync::Mutex::new(said))));
    scene.tablet(1, LEADS).await;
    scene.tablets[0].set("FullStatus", Reply::Refused(2, "no connection to mysqld".to_owned()));
    for serving in [true, true, false] {
        health.send(says(serving)).unwrap();
    }
    scene.tablet(1, (Reach::No, Role::Unknown, false)).await;
}

#[tokio::test]
async fn a_replica_of_a_silent_primary_is_asked_when_it_heard_it() {
    let scene = Scene::start().await;
    let heard = |ago: &str| {
        let lengths = vec![i64::try_from(ago.len()).unwrap(), 3];
        let rows = vec![query::Row { lengths, values: format!("{ago}100").into() }];
        let result = Some(query::QueryResult { rows });
        Reply::of(&tabletmanagerdata::ExecuteFetchAsDbaResponse { result })
    };
    let hears = |known: Option<&Observation>| {
        known.and_then(|o| o.tablets[&named(2)].replication.as_ref()).map(|r| r.source_connected)
    };
    scene.tablets[1].set("ExecuteFetchAsDba", heard("60000"));
    scene.tablet(1, LEADS).await;
    scene.tablet(2, FOLLOWS).await;
    scene.tablets[1].asked(5).await;
    let asked = scene.tablets[1].calls.lock().unwrap().contains("ExecuteFetchAsDba");
    assert!(!asked, "its primary tells all");
    for call in ["FullStatus", "Ping"] {
        scene.tablets[0].set(call, Reply::Silence);
    }
    scene.until("a heartbeat is overdue", |known| hears(known) == Some(false)).await;
    scene.tablets[1].set("ExecuteFetchAsDba", heard("50"));
    scene.until("one came", |known| hears(known) == Some(true)).await;
}

#[tokio::test]
async fn what_vtctld_said_too_long_ago_is_not_known_any_more() {
    let scene = Scene::start().await;
    scene.tablet(1, LEADS).await;
    for away in [Reply::Silence, Reply::Refused(14, "transport is closing".to_owned()), Reply::Half] {
        let told = scene.vtctld.replies.lock().unwrap().clone();
        for call in told.keys() {
            scene.vtctld.set(call, away.clone());
        }
        scene.until("it is not known", |known| known.is_none()).await;
        *scene.vtctld.replies.lock().unwrap() = told;
        scene.tablet(1, LEADS).await;
    }
}

#[tokio::test]
async fn what_is_not_told_whole_is_not_taken_for_absent() {
    let scene = Scene::with(Some(""), |_| {}).await;
    scene.tablet(2, FOLLOWS).await;
    let whole = |known: Option<&Observation>| known.is_some_and(|o| o.topology.is_some());
    scene.until("the records, too", whole).await;
    // A cell's part of the topology is away: records are not known, tablets stay.
    scene.vtctld.set("GetTablets", Reply::Refused(2, "zone1: deadline exceeded".to_owned()));
    let known = scene.until("no records", |known| known.is_some_and(|o| o.topology.is_none())).await;
    assert_eq!(known.unwrap().tablets.len(), 2);
}

#[tokio::test]
async fn until_the_store_has_told_once_nothing_is_known() {
    let refused = Reply::Refused(2, "the store is away".to_owned());
    let scene = Scene::with(Some("far"), |vtctld| vtctld.set("GetBackups", refused)).await;
    scene.vtctld.asked(20).await;
    assert!(scene.vitess.observe(&scene.key).is_none());
    let backup = mysqlctl::BackupInfo {
        name: "2026-11-23.021017.zone1-0000000002".to_owned(),
        time: Some(vttime::Time { seconds: 7, nanoseconds: 0 }),
        ..Default::default()
    };
    let listed = Reply::of(&vtctldata::GetBackupsResponse { backups: vec![backup] });
    scene.vtctld.set("GetBackups", listed);
    let known = scene.until("it is known", |known| known.is_some()).await.unwrap();
    let told: Vec<_> = known.backups.iter().map(|b| (b.location.as_str(), b.started, b.finished)).collect();
    assert_eq!(told, [("far", 7_000, None)]);
}
