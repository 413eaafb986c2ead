//! What a call of Vitess comes to when the peer does not play along: always a typed answer, in time.

use std::sync::Arc;
use std::time::Duration;

use pilothouse_core::standing::Heard;
use pilothouse_core::topology::{ShardId, TabletAlias};
use pilothouse_tests::grpc::{Answers, Peer, Reply};
use pilothouse_vitess::wire::{mysqlctl, query, replicationdata, tabletmanagerdata, topodata, vtctldata};
use pilothouse_vitess::{Answer, Dialer, Error, Tablet, Tls, Vtctld, Within};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

/// Nobody waits long for what never comes.
const SHORT: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(20);

fn dialer() -> Dialer {
    Dialer { connect: LONG, tls: None }
}

fn vtctld(dialer: &Dialer, at: impl ToString, call: Duration) -> Vtctld {
    let within = Within { call, reparent: call, replicas: SHORT };
    Vtctld::new(dialer.link(&at.to_string()).unwrap(), within)
}

fn always(reply: Reply) -> Answers {
    Arc::new(move |_, _| reply.clone())
}

fn no_keyspaces() -> Answers {
    always(Reply::of(&vtctldata::GetKeyspacesResponse::default()))
}

#[tokio::test]
async fn a_call_that_hangs_ends_at_its_deadline_and_the_next_one_takes_another_connection() {
    let peer = Peer::serve(always(Reply::Silence)).await.unwrap();
    let vtctld = vtctld(&dialer(), peer.at, SHORT);
    for connections in 1..=2 {
        let error = vtctld.keyspaces().await.unwrap_err();
        assert_eq!(error, Error::Deadline { peer: peer.at.to_string(), ms: 200 });
        assert_eq!(peer.connections(), connections);
    }
}

#[tokio::test]
async fn who_calls_while_another_waits_long_takes_another_connection() {
    let (arrived, hanging) = tokio::sync::watch::channel(false);
    let answers: Answers = Arc::new(move |path, _| {
        if path.ends_with("/GetKeyspaces") {
            arrived.send_replace(true);
            return Reply::Silence;
        }
        Reply::of(&vtctldata::GetCellsAliasesResponse::default())
    });
    let peer = Peer::serve(answers).await.unwrap();
    let vtctld = Arc::new(vtctld(&Dialer { connect: SHORT, tls: None }, peer.at, LONG));
    vtctld.alias("pilothouse").await.unwrap();
    let hangs = tokio::spawn({
        let vtctld = Arc::clone(&vtctld);
        async move { vtctld.keyspaces().await }
    });
    hanging.clone().wait_for(|arrived| *arrived).await.unwrap();
    assert_eq!(peer.connections(), 1, "they share one");
    let another = async {
        while peer.connections() < 2 {
            vtctld.alias("pilothouse").await.unwrap();
        }
    };
    tokio::time::timeout(LONG / 4, another).await.expect("it waits with the first");
    assert!(!hangs.is_finished(), "who is slow may live");
}

#[tokio::test]
async fn one_that_takes_connections_and_says_nothing_is_given_up() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let error = vtctld(&dialer(), listener.local_addr().unwrap(), SHORT).keyspaces().await.unwrap_err();
    assert!(matches!(error, Error::Deadline { .. }), "{error:?}");
}

#[tokio::test]
async fn where_nobody_listens_nobody_is_reached() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    drop(listener);
    let error = vtctld(&dialer(), at, LONG).keyspaces().await.unwrap_err();
    let told = format!("{at}: nobody listens there");
    assert_eq!(error.to_string(), told);
}

#[tokio::test]
async fn a_peer_that_ends_in_the_midst_of_a_call_is_not_reached_any_more() {
    let peer = Peer::serve(always(Reply::Silence)).await.unwrap();
    let vtctld = vtctld(&dialer(), peer.at, LONG);
    let (called, ()) = tokio::join!(vtctld.keyspaces(), async {
        while peer.connections() == 0 {
            tokio::task::yield_now().await;
        }
        drop(peer);
    });
    assert!(matches!(called, Err(Error::Unreachable { .. })), "{called:?}");
}

#[tokio::test]
async fn a_no_is_told_with_its_code() {
    for (code, name) in [(9, "FailedPrecondition"), (5, "NotFound"), (2, "Refused")] {
        let peer = Peer::serve(always(Reply::Refused(code, "still serving".to_owned()))).await.unwrap();
        let error = vtctld(&dialer(), peer.at, LONG).keyspaces().await.unwrap_err();
        assert_eq!(error, Error::Refused { code: name.to_owned(), message: "still serving".to_owned() });
    }
}

#[tokio::test]
async fn what_is_no_answer_is_not_taken_for_a_no() {
    let broken = [Reply::Half, Reply::Message(vec![0xff]), Reply::Refused(13, "broken".to_owned())];
    for reply in broken {
        let peer = Peer::serve(always(reply.clone())).await.unwrap();
        let error = vtctld(&dialer(), peer.at, LONG).keyspaces().await.unwrap_err();
        assert!(matches!(error, Error::Unreadable { .. }), "{reply:?}: {error:?}");
    }
}

#[tokio::test]
async fn an_answer_beyond_all_measure_is_not_read() {
    let peer = Peer::serve(always(Reply::Message(vec![0; 9 << 20]))).await.unwrap();
    let error = vtctld(&dialer(), peer.at, LONG).keyspaces().await.unwrap_err();
    assert!(error.to_string().contains("an answer of more than 8388608 bytes"), "{error}");
}

fn tablet(uid: u32) -> TabletAlias {
    format!("zone1-{uid:010}").parse().unwrap()
}

/// A shard with that primary; whoever is asked to promote one promotes `promotes`.
fn shard_of(primary: u32, promotes: u32) -> Answers {
    let alias = |uid| Some(topodata::TabletAlias { cell: "zone1".to_owned(), uid });
    Arc::new(move |path, _| match path {
        "/vtctlservice.Vtctld/FindAllShardsInKeyspace" => {
            let shard = topodata::Shard { primary_alias: alias(primary), ..topodata::Shard::default() };
            let shard = vtctldata::Shard { shard: Some(shard), ..vtctldata::Shard::default() };
            let shards = [("-".to_owned(), shard)].into();
            Reply::of(&vtctldata::FindAllShardsInKeyspaceResponse { shards })
        }
        "/vtctlservice.Vtctld/PlannedReparentShard" => {
            let promoted_primary = alias(promotes);
            Reply::of(&vtctldata::PlannedReparentShardResponse { promoted_primary })
        }
        "/vtctlservice.Vtctld/EmergencyReparentShard" => {
            let promoted_primary = alias(promotes);
            Reply::of(&vtctldata::EmergencyReparentShardResponse { promoted_primary })
        }
        other => Reply::Refused(12, other.to_owned()),
    })
}

#[track_caller]
fn refused(done: Result<(), Error>, as_code: &str) {
    assert!(matches!(&done, Err(Error::Refused { code, .. }) if code == as_code), "{done:?}");
}

#[tokio::test]
async fn a_reparent_is_of_the_primary_that_was_expected_and_to_the_tablet_that_was_named() {
    let shard: ShardId = "commerce/-".parse().unwrap();
    let peer = Peer::serve(shard_of(1, 2)).await.unwrap();
    let vtctld = vtctld(&dialer(), peer.at, LONG);
    vtctld.planned_reparent(&shard, &tablet(1), &tablet(2)).await.unwrap();
    vtctld.emergency_reparent(&shard, &tablet(1), &tablet(2), &[]).await.unwrap();
    refused(vtctld.planned_reparent(&shard, &tablet(3), &tablet(2)).await, "NotThePrimary");
    refused(vtctld.emergency_reparent(&shard, &tablet(3), &tablet(2), &[]).await, "NotThePrimary");
    refused(vtctld.init_primary(&shard, &tablet(2)).await, "HasPrimary");
    refused(vtctld.planned_reparent(&shard, &tablet(1), &tablet(3)).await, "AnotherPromoted");
    refused(vtctld.emergency_reparent(&shard, &tablet(1), &tablet(3), &[]).await, "AnotherPromoted");
    let other: ShardId = "commerce/-80".parse().unwrap();
    refused(vtctld.planned_reparent(&other, &tablet(1), &tablet(2)).await, "NotFound");
}

/// A tablet whose status comes to that, and whose ping to that.
async fn probed(status: Reply, ping: Reply) -> Answer {
    let answers: Answers = Arc::new(move |path, _| match path {
        "/tabletmanagerservice.TabletManager/FullStatus" => status.clone(),
        "/tabletmanagerservice.TabletManager/Ping" => ping.clone(),
        other => Reply::Refused(12, other.to_owned()),
    });
    let peer = Peer::serve(answers).await.unwrap();
    let link = dialer().link(&peer.at.to_string()).unwrap();
    Tablet::new(link).probe(SHORT).await
}

#[tokio::test]
async fn a_tablet_without_its_mysql_is_told_from_one_that_is_silent() {
    let pong = || Reply::of(&tabletmanagerdata::PingResponse::default());
    let dead = Reply::Refused(2, "no connection to mysqld".to_owned());
    assert!(matches!(probed(dead, Reply::Silence).await, Answer::Mute(Error::Refused { .. })));
    assert!(matches!(probed(Reply::Silence, pong()).await, Answer::Mute(Error::Deadline { .. })));
    assert!(matches!(probed(Reply::Silence, Reply::Silence).await, Answer::Silent(Error::Deadline { .. })));
    let whole = |status| Reply::of(&tabletmanagerdata::FullStatusResponse { status: Some(status) });
    let stalled = replicationdata::FullStatus { disk_stalled: true, ..Default::default() };
    assert!(matches!(probed(whole(stalled), pong()).await, Answer::Mute(Error::Unreadable { .. })));
    let well = replicationdata::FullStatus { server_uuid: "a".to_owned(), ..Default::default() };
    assert!(matches!(probed(whole(well), pong()).await, Answer::Whole(_)));
}

#[tokio::test]
async fn who_does_not_tell_when_it_heard_its_source_tells_the_rest() {
    let replica = replicationdata::FullStatus {
        tablet_type: 2,
        replication_status: Some(replicationdata::Status {
            source_host: "10.0.0.1".to_owned(),
            io_state: 3,
            ..Default::default()
        }),
        ..Default::default()
    };
    let status = Reply::of(&tabletmanagerdata::FullStatusResponse { status: Some(replica) });
    let row = |lengths: &[i64], values: &str| {
        let row = query::Row { lengths: lengths.to_vec(), values: values.into() };
        let result = Some(query::QueryResult { rows: vec![row] });
        Reply::of(&tabletmanagerdata::ExecuteFetchAsDbaResponse { result })
    };
    let told = Some(Heard { ago_ms: Some(5_500), heartbeat_ms: 4_000 });
    for (reply, heard) in [
        (row(&[4, 4], "55004000"), told),
        (row(&[4], "5500"), None),
        (Reply::of(&tabletmanagerdata::ExecuteFetchAsDbaResponse::default()), None),
        (Reply::Refused(2, "SELECT command denied".to_owned()), None),
        (Reply::Silence, None),
    ] {
        let (status, answered) = (status.clone(), reply.clone());
        let answers: Answers = Arc::new(move |path, _| match path {
            "/tabletmanagerservice.TabletManager/FullStatus" => status.clone(),
            "/tabletmanagerservice.TabletManager/ExecuteFetchAsDba" => answered.clone(),
            other => Reply::Refused(12, other.to_owned()),
        });
        let peer = Peer::serve(answers).await.unwrap();
        let tablet = Tablet::new(dialer().link(&peer.at.to_string()).unwrap());
        let Answer::Whole(status) = tablet.probe_closely(SHORT).await else { panic!("{reply:?}") };
        let source = status.source.unwrap();
        assert_eq!((source.connected, source.heard), (true, heard), "{reply:?}");
    }
}

#[tokio::test]
async fn what_is_used_of_a_volume_is_told_in_millionths_or_not_at_all() {
    let told = |metrics: &[(&str, f64)]| {
        let metric = |(name, value): &(&str, f64)| {
            let name = (*name).to_owned();
            (name.clone(), mysqlctl::host_metrics_response::Metric { name, value: *value })
        };
        let metrics = metrics.iter().map(metric).collect();
        let host_metrics = Some(mysqlctl::HostMetricsResponse { metrics });
        Reply::of(&tabletmanagerdata::MysqlHostMetricsResponse { host_metrics })
    };
    for (reply, used) in [
        (told(&[("loadavg", 0.5), ("datadir-used-ratio", 0.25)]), Some(Some(250_000))),
        (told(&[("datadir-used-ratio", 1.0)]), Some(Some(1_000_000))),
        (told(&[("datadir-used-ratio", 0.0)]), Some(None)),
        (told(&[("datadir-used-ratio", f64::NAN)]), Some(None)),
        (told(&[("loadavg", 0.5)]), Some(None)),
        (Reply::of(&tabletmanagerdata::MysqlHostMetricsResponse::default()), Some(None)),
        (Reply::Refused(12, "unknown method".to_owned()), None),
    ] {
        let answered = reply.clone();
        let answers: Answers = Arc::new(move |_, _| answered.clone());
        let peer = Peer::serve(answers).await.unwrap();
        let tablet = Tablet::new(dialer().link(&peer.at.to_string()).unwrap());
        assert_eq!(tablet.disk_used(SHORT).await.ok(), used, "{reply:?}");
    }
}

struct Signed {
    certificate: String,
    key: String,
}

impl Signed {
    fn chain(&self) -> Vec<CertificateDer<'static>> {
        use rustls::pki_types::pem::PemObject as _;
        vec![CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()]
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        use rustls::pki_types::pem::PemObject as _;
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap()
    }
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn sign(authority: &CertifiedIssuer<'static, KeyPair>, name: &str) -> Signed {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, authority).unwrap();
    Signed { certificate: certificate.pem(), key: key.serialize_pem() }
}

/// A server that shows `server` and asks for a certificate that `authority` signed.
fn mutual(authority: &CertifiedIssuer<'static, KeyPair>, server: &Signed) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients.build().unwrap())
        .with_single_cert(server.chain(), server.key())
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

#[tokio::test]
async fn with_tls_both_sides_prove_who_they_are() {
    let (ours, foreign) = (authority(), authority());
    let (server, client, stranger) =
        (sign(&ours, "vtctld.test"), sign(&ours, "host.test"), sign(&foreign, "host.test"));
    let peer = Peer::serve_tls(no_keyspaces(), mutual(&ours, &server)).await.unwrap();
    let call = async |believed: &str, shown: Option<&Signed>, name: Option<&str>| {
        let identity = shown.map(|s| (s.certificate.as_bytes(), s.key.as_bytes()));
        let tls = Tls::new(believed.as_bytes(), identity, name).unwrap();
        let dialer = Dialer { connect: LONG, tls: Some(tls) };
        vtctld(&dialer, peer.at, LONG).keyspaces().await
    };
    call(&ours.pem(), Some(&client), Some("vtctld.test")).await.unwrap();
    for (believed, shown, name) in [
        (ours.pem(), None, Some("vtctld.test")),
        (ours.pem(), Some(&stranger), Some("vtctld.test")),
        (foreign.pem(), Some(&client), Some("vtctld.test")),
        (ours.pem(), Some(&client), Some("another.test")),
        (ours.pem(), Some(&client), None),
    ] {
        let called = call(&believed, shown, name).await;
        assert!(matches!(called, Err(Error::Unreachable { .. })), "{name:?}: {called:?}");
    }
    let plain = vtctld(&dialer(), peer.at, LONG).keyspaces().await;
    assert!(matches!(plain, Err(Error::Unreachable { .. })), "{plain:?}");
}
