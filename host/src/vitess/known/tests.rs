//! What is concluded from answers, and what is not.

use pilothouse_core::topology::Cell;
use pilothouse_vitess::Source;

use super::*;

const STALE: Millis = 30_000;

fn alias(uid: u32) -> TabletAlias {
    TabletAlias { cell: Cell("zone1".to_owned()), uid }
}

fn shard() -> ShardId {
    "commerce/-".parse().expect("a shard")
}

fn set(text: &str) -> GtidSet {
    text.parse().expect("a set")
}

/// A tablet whose MySQL is called `server{uid}`.
fn status(uid: u32, role: Role, position: &str, source: Option<u32>) -> Answer {
    let source = source.map(|of| Source {
        server: format!("server{of}"),
        address: (format!("10.0.0.{of}"), 3306),
        connected: true,
        heard: None,
        applying: true,
        lag_ms: 0,
    });
    let server = format!("server{uid}");
    Answer::Whole(Box::new(Status {
        server,
        role,
        position: set(position),
        source,
        acks: false,
        read_only: false,
    }))
}

fn silent() -> Answer {
    Answer::Silent(Error::Deadline { peer: "10.0.0.1:15999".to_owned(), ms: 1_000 })
}

fn mute() -> Answer {
    Answer::Mute(Error::Refused { code: "Refused".to_owned(), message: "no mysqld".to_owned() })
}

/// A shard of three tablets, the first named primary at 1.
fn known() -> Known {
    let record = |uid: u32| TabletRecord {
        alias: alias(uid),
        shard: shard(),
        role: if uid == 1 { Role::Primary } else { Role::Replica },
        grpc: Some(format!("10.0.0.{uid}:15999")),
        http: Some(format!("10.0.0.{uid}:15000")),
        mysql: (format!("10.0.0.{uid}"), 3306),
    };
    let primary = ShardRecord { primary: Some(alias(1)), primary_since: 1, ..ShardRecord::default() };
    Known {
        shards: Some(([(shard(), primary)].into(), 0)),
        tablets: (1..=3).map(|uid| (alias(uid), record(uid))).collect(),
        topology: Some(Topology::default()),
        backups: Some(Vec::new()),
        ..Known::default()
    }
}

fn tablet(known: &Known, uid: u32) -> super::super::TabletRecord {
    known.observation(0, STALE).expect("known").tablets[&alias(uid)].clone()
}

fn errant(known: &Known, uid: u32) -> String {
    tablet(known, uid).replication.expect("told").errant.to_string()
}

#[test]
fn errant_is_what_the_primary_never_had_by_its_own_word() {
    let mut known = known();
    known.hear(&alias(1), status(1, Role::Primary, "server1:1-9,server0:1-5", None), 0);
    known.hear(&alias(2), status(2, Role::Replica, "server1:1-12,server0:1-5,server2:1", Some(1)), 0);
    assert_eq!(errant(&known, 2), "server2:1");
    known.hear(&alias(1), silent(), 0);
    assert_eq!(errant(&known, 2), "server2:1", "what it had it had");
    let told = tablet(&known, 2).replication.expect("told");
    assert!(told.errant.is_of(&told.server), "and it wrote that itself: {}", told.server);
}

#[test]
fn what_a_tablet_told_of_is_remembered_when_it_tells_of_it_no_more() {
    let mut known = known();
    let forgotten = |known: &Known| tablet(known, 2).replication.expect("told").forgotten.to_string();
    known.hear(&alias(1), status(1, Role::Primary, "server1:1-9", None), 0);
    known.hear(&alias(2), status(2, Role::Replica, "server1:1-12,server2:1", Some(1)), 0);
    assert_eq!(forgotten(&known), "");
    known.hear(&alias(2), mute(), 1);
    known.hear(&alias(2), status(2, Role::Replica, "server1:1-5", Some(1)), 2);
    assert_eq!(forgotten(&known), "server1:6-12", "what was errant is missed by nobody");
    known.hear(&alias(2), status(2, Role::Replica, "server1:1-11", Some(1)), 3);
    assert_eq!(forgotten(&known), "server1:12");
    known.hear(&alias(2), status(9, Role::Replica, "server1:1-3", Some(1)), 4);
    assert_eq!(forgotten(&known), "", "another MySQL never had them");
}

#[test]
fn nothing_is_errant_before_the_primary_has_told_as_one() {
    let mut known = known();
    let last = "server0:1-6,server1:1-9";
    known.hear(&alias(2), status(2, Role::Replica, last, Some(1)), 0);
    assert_eq!(errant(&known, 2), "", "it was never heard");
    // It became primary after it was asked: what it received last is not in its answer.
    known.hear(&alias(1), status(1, Role::Replica, "server0:1-5", Some(3)), 0);
    assert_eq!(errant(&known, 2), "");
    known.hear(&alias(1), status(1, Role::Unknown, "server0:1-5", None), 0);
    assert_eq!(errant(&known, 2), "server0:6", "before Vitess 23 a primary is one that follows nobody");
}

#[test]
fn a_source_is_known_by_its_own_name_wherever_it_runs() {
    let mut known = known();
    let of = |known: &Known| tablet(known, 2).replication.expect("told").source;
    known.hear(&alias(2), status(2, Role::Replica, "server1:1", Some(1)), 0);
    assert_eq!(of(&known), Some(alias(1)), "by its address, while it has not said its name");
    known.hear(&alias(3), status(1, Role::Replica, "server1:1", None), 0);
    assert_eq!(of(&known), Some(alias(3)), "by its name");
    known.hear(&alias(3), status(3, Role::Replica, "server1:1", None), 0);
    known.hear(&alias(1), status(9, Role::Primary, "server1:1", None), 0);
    assert_eq!(of(&known), None, "another MySQL runs where it was");
}

/// Whether and since when a tablet answers, and whether its record says so.
fn answers(known: &Known, now: Millis) -> (Reach, Millis, bool) {
    let seen = known.observation(now, Millis::MAX).expect("known");
    let record = &seen.tablets[&alias(1)];
    (record.reach, record.reach_since, seen.topology.expect("whole").tablets[&alias(1)].answers)
}

#[test]
fn silence_is_dated_and_a_record_may_go_only_when_it_has_lasted() {
    let mut known = known();
    assert_eq!(answers(&known, 0), (Reach::Unknown, 0, true), "not probed yet");
    known.hear(&alias(1), status(1, Role::Primary, "", None), 10);
    known.hear(&alias(1), mute(), 20);
    known.hear(&alias(1), silent(), 30);
    known.hear(&alias(1), silent(), 40);
    assert_eq!(answers(&known, 40), (Reach::No, 20, true), "its MySQL went first");
    assert_eq!(answers(&known, 30 + SILENT_FOR_GOOD_MS), (Reach::No, 20, true));
    assert_eq!(answers(&known, 31 + SILENT_FOR_GOOD_MS), (Reach::No, 20, false));
    known.hear(&alias(1), mute(), 40_000);
    assert_eq!(answers(&known, 90_000), (Reach::No, 20, true), "its vttablet is there");
}

#[test]
fn whoever_starts_is_given_time_and_whoever_had_its_mysql_is_not() {
    let mut known = known();
    known.hear(&alias(1), mute(), 5);
    assert_eq!(answers(&known, 4 + STARTS_WITHIN_MS).0, Reach::Unknown);
    assert_eq!(answers(&known, 5 + STARTS_WITHIN_MS).0, Reach::No);
    known.hear(&alias(1), status(1, Role::Primary, "", None), 60_000);
    known.hear(&alias(1), mute(), 60_001);
    assert_eq!(answers(&known, 60_001).0, Reach::No);
    assert_eq!(tablet(&known, 1).role, Role::Unknown, "as what it registered it does not serve");
}

#[test]
fn a_mysql_that_was_away_may_end_fast_again() {
    let mut known = known();
    known.hear(&alias(2), status(2, Role::Replica, "", Some(1)), 0);
    known.slow.insert(alias(2));
    assert!(tablet(&known, 2).ends_written_out);
    known.hear(&alias(2), mute(), 1);
    known.hear(&alias(2), status(2, Role::Replica, "", Some(1)), 2);
    assert!(!tablet(&known, 2).ends_written_out);
}

/// A vttablet that ends in peace takes its address away, often before its next probe: then nobody probes it, and what it
/// told last must not stand until another is started.
#[test]
fn who_left_its_address_answers_no_more() {
    let mut known = known();
    let reach = |known: &Known, uid: u32| tablet(known, uid).reach;
    for (uid, role, source) in
        [(1, Role::Primary, None), (2, Role::Replica, Some(1)), (3, Role::Replica, Some(1))]
    {
        known.hear(&alias(uid), status(uid, role, "server1:1-9", source), 5);
    }
    let mut tablets = known.tablets.clone();
    known.listed(tablets.clone(), 10);
    assert_eq!([1, 2, 3].map(|uid| reach(&known, uid)), [Reach::Yes; 3]);
    tablets.get_mut(&alias(1)).expect("there").grpc = None;
    known.listed(tablets.clone(), 20);
    let left = tablet(&known, 1);
    assert_eq!((left.reach, left.reach_since, left.gone), (Reach::No, 20, true));
    assert!(left.replication.is_none());
    tablets.get_mut(&alias(2)).expect("there").grpc = Some("10.0.1.2:15999".to_owned());
    known.told(tablets.clone(), 30);
    assert_eq!([1, 2, 3].map(|uid| reach(&known, uid)), [Reach::No, Reach::No, Reach::Yes]);
    known.hear(&alias(2), status(2, Role::Replica, "server1:1-9", Some(1)), 31);
    known.listed(tablets, 40);
    assert_eq!(
        (reach(&known, 2), tablet(&known, 2).reach_since),
        (Reach::Yes, 31),
        "where it is now it answers"
    );
}

#[test]
fn what_a_tablet_restored_is_asked_once_until_it_may_have_begun_again() {
    let mut known = known();
    let asked = |known: &Known| known.unasked().into_iter().map(|(alias, _)| alias.uid).collect::<Vec<u32>>();
    let restored = || Restored { backup_time: "1970-01-01T00:01:00Z".to_owned(), position: set("server0:1") };
    let restores = |known: &Known| known.observation(0, STALE).expect("known").restores;
    assert_eq!(asked(&known), [0_u32; 0]);
    known.hear(&alias(1), status(1, Role::Primary, "server1:1-9", None), 0);
    known.hear(&alias(2), status(2, Role::Replica, "server1:1-9", Some(1)), 0);
    assert_eq!(asked(&known), [1, 2]);
    known.restored(alias(1), None, 5);
    known.restored(alias(2), Some(restored()), 6);
    assert_eq!(asked(&known), [0_u32; 0]);
    let told =
        Restore { tablet: alias(2), shard: shard(), started: 60_000, position: set("server0:1"), at: 6 };
    assert_eq!(restores(&known), [told]);
    known.hear(&alias(2), silent(), 7);
    assert_eq!((asked(&known), restores(&known)), (vec![], vec![]));
    known.restored(alias(2), Some(restored()), 8);
    known.hear(&alias(2), status(2, Role::Replica, "server1:1-9", Some(1)), 9);
    assert_eq!((asked(&known), restores(&known)), (vec![2], vec![]), "what it told before is another's word");
}

#[test]
fn how_far_each_has_written_is_known_of_whoever_answers() {
    let mut known = known();
    let written = |known: &Known| {
        let writers = known.observation(0, STALE).expect("known").writers.into_iter();
        writers.map(|w| (w.server, w.last, w.at)).collect::<Vec<_>>()
    };
    known.hear(&alias(1), status(1, Role::Primary, "server1:1-9,server2:1-4", None), 3);
    known.hear(&alias(2), status(2, Role::Replica, "server1:1-8,server2:1-4", Some(1)), 4);
    known.hear(&alias(3), status(3, Role::Replica, "server1:1-8", Some(1)), 4);
    known.hear(&alias(3), silent(), 5);
    assert_eq!(written(&known), [("server1".to_owned(), 9, 3), ("server2".to_owned(), 4, 4)]);
}

#[test]
fn a_restore_has_no_mysql_yet_and_answers() {
    let mut known = known();
    known.tablets.get_mut(&alias(2)).expect("there").role = Role::Restore;
    known.hear(&alias(2), mute(), 5);
    let seen = tablet(&known, 2);
    assert_eq!((seen.reach, seen.role, seen.replication), (Reach::Yes, Role::Restore, None));
}

#[test]
fn too_little_or_too_old_is_nothing() {
    let mut known = known();
    assert!(known.observation(STALE, STALE).is_some());
    assert!(known.observation(STALE + 1, STALE).is_none());
    known.backups = None;
    assert!(known.observation(0, STALE).is_none(), "nobody knows whether there ever was a database");
    assert!(Known::default().observation(0, STALE).is_none());
}

#[test]
fn a_shard_had_a_database_when_it_had_a_primary_or_has_a_backup() {
    let mut known = known();
    let had = |known: &Known| known.observation(0, STALE).expect("known").shards[&shard()].initialized;
    let gone =
        |since| Some(([(shard(), ShardRecord { primary_since: since, ..ShardRecord::default() })].into(), 0));
    known.shards = gone(1);
    assert!(had(&known), "its primary's record was removed");
    known.shards = gone(0);
    assert!(!had(&known));
    let backup =
        serde_json::json!({ "name": "2026-11-23.021017.zone1-1", "shard": "commerce/-", "started": 1 });
    known.backups = Some(vec![serde_json::from_value(backup).expect("a backup")]);
    assert!(had(&known));
}

#[test]
fn a_keyspaces_record_says_it_of_the_shard_that_is_all_of_it() {
    let mut known = known();
    let half: ShardId = "commerce/-80".parse().expect("a shard");
    if let Some((shards, _)) = &mut known.shards {
        shards.insert(half.clone(), ShardRecord::default());
    }
    let told = |known: &Known| {
        let shards = known.observation(0, STALE).expect("known").shards;
        (shards[&shard()].vtorc, shards[&half].vtorc)
    };
    assert_eq!(told(&known), (Switch::On, Switch::On));
    let off = KeyspaceRecord { vtorc_stands_by: true, ..KeyspaceRecord::default() };
    known.keyspaces.insert("commerce".to_owned(), off);
    assert_eq!(told(&known), (Switch::Off, Switch::None), "what people said of all shards is theirs");
    known.keyspaces.clear();
    if let Some((shards, _)) = &mut known.shards {
        shards.get_mut(&half).expect("it is there").vtorc_stands_by = true;
    }
    assert_eq!(told(&known), (Switch::On, Switch::Off));
    assert_eq!(known.standing_by(), std::slice::from_ref(&half));
    known.unswitchable = true;
    assert_eq!(told(&known), (Switch::Stuck, Switch::Stuck));
}

#[test]
fn whoever_is_told_to_be_gone_is_told_from_whoever_is_silent() {
    let mut known = known();
    let gone = |known: &Known| known.observation(0, STALE).expect("known").tablets[&alias(1)].gone;
    let peer = || "10.0.0.1:15999".to_owned();
    for (answer, told) in [
        (status(1, Role::Primary, "", None), false),
        (mute(), true),
        (Answer::Silent(Error::Nobody { peer: peer() }), true),
        (Answer::Silent(Error::Deadline { peer: peer(), ms: 1 }), false),
        (Answer::Mute(Error::Deadline { peer: peer(), ms: 1 }), false),
    ] {
        known.hear(&alias(1), answer, 0);
        assert_eq!(gone(&known), told);
    }
}

/// The second tablet, which follows the first, and hears it or does not.
fn follows(connected: bool) -> Answer {
    let Answer::Whole(mut told) = status(2, Role::Replica, "", Some(1)) else { unreachable!() };
    told.source.as_mut().expect("a source").connected = connected;
    Answer::Whole(told)
}

#[test]
fn whoever_is_silent_has_been_since_it_was_asked() {
    let [within, stood_still] = [1, 60].map(Duration::from_secs);
    let since = |answer, took| holds_since(&answer, took, within, 100_000);
    assert_eq!(since(silent(), Duration::from_millis(700)), 99_300);
    assert_eq!(since(silent(), stood_still), 99_000, "nobody knows for how much of it");
    assert_eq!(since(mute(), within), 100_000);
    assert_eq!(since(status(1, Role::Primary, "", None), within), 100_000);
}

#[test]
fn what_is_worse_than_before_makes_others_be_asked() {
    let mut known = known();
    let mut hear = |answer| known.hear(&alias(2), answer, 0);
    assert!(!hear(follows(true)), "it is the first");
    assert!(hear(follows(false)), "it hears its source no more");
    assert!(!hear(follows(false)), "nothing is new");
    assert!(hear(mute()));
    assert!(!hear(mute()), "nothing is new");
    assert!(
        known.is_in_doubt(&alias(2), IN_DOUBT_FOR_MS - 1) && !known.is_in_doubt(&alias(2), IN_DOUBT_FOR_MS)
    );
}

#[test]
fn whoever_still_hears_a_primary_that_fell_silent_is_asked_more_often() {
    let mut known = known();
    let in_doubt = |known: &Known, now| [2, 3].map(|uid| known.is_in_doubt(&alias(uid), now));
    known.hear(&alias(1), status(1, Role::Primary, "", None), 0);
    known.hear(&alias(2), follows(true), 0);
    known.hear(&alias(3), status(3, Role::Replica, "", None), 0);
    assert_eq!(in_doubt(&known, 0), [false, false]);
    known.hear(&alias(1), silent(), 5);
    assert_eq!(in_doubt(&known, 5), [true, false], "the third hears nobody");
    assert_eq!(in_doubt(&known, 5 + IN_DOUBT_FOR_MS), [false, false]);
    known.hear(&alias(2), follows(false), 6);
    assert_eq!(in_doubt(&known, 6), [false, false], "it hears it no more");
    known.hear(&alias(2), follows(true), 7);
    known.promoted(&shard(), &alias(3), 7);
    assert_eq!(in_doubt(&known, 7), [false, false], "that one is not the primary any more");
}

/// The second tablet, connected to the first, of which it had nothing for so long.
fn quiet(ago_ms: Option<Millis>) -> Answer {
    let Answer::Whole(mut told) = follows(true) else { unreachable!() };
    told.source.as_mut().expect("a source").heard = Some(Heard { ago_ms, heartbeat_ms: 4_000 });
    Answer::Whole(told)
}

#[test]
fn whoever_is_connected_hears_its_source_until_a_heartbeat_is_overdue() {
    let mut known = known();
    let mut hears = |answer, now| {
        let worse = known.hear(&alias(2), answer, now);
        (tablet(&known, 2).replication.is_some_and(|r| r.source_connected), worse)
    };
    assert_eq!(hears(follows(true), 0), (true, false));
    assert_eq!(hears(quiet(Some(3_000)), 10_000), (true, false));
    assert_eq!(hears(quiet(None), 12_500), (true, false), "in the midst of something");
    assert_eq!(hears(quiet(Some(5_500)), 12_500), (false, true), "others are asked at once");
    assert_eq!(hears(quiet(Some(5_750)), 12_750), (false, false));
    assert_eq!(hears(follows(true), 13_000), (true, false), "it did not tell");
    assert_eq!(hears(follows(false), 13_250), (false, true));
}

#[test]
fn what_was_heard_on_another_connection_says_nothing_of_this_one() {
    let mut known = known();
    let mut hears = |answer, now| {
        known.hear(&alias(2), answer, now);
        tablet(&known, 2).replication.is_some_and(|r| r.source_connected)
    };
    assert!(hears(quiet(Some(60_000)), 0), "nobody knows since when it is connected");
    assert!(hears(quiet(Some(65_000)), 5_000));
    assert!(!hears(quiet(Some(65_001)), 5_001));
    let another = status(2, Role::Replica, "", Some(3));
    for (away, back) in [(follows(false), 6_000), (silent(), 20_000), (mute(), 40_000), (another, 60_000)] {
        hears(away, back);
        assert!(hears(quiet(Some(60_000)), back + 1));
        assert!(hears(quiet(Some(60_000)), back + 5_001));
        assert!(!hears(quiet(Some(60_000)), back + 5_002));
    }
}

#[test]
fn only_who_is_connected_to_a_primary_that_tells_less_than_all_is_asked_when_it_heard_it() {
    let mut known = known();
    let asked = |known: &Known| [1, 2, 3].map(|uid| known.is_witness(&alias(uid)));
    known.hear(&alias(2), follows(true), 0);
    known.hear(&alias(3), status(3, Role::Replica, "", None), 0);
    assert_eq!(asked(&known), [false; 3], "the primary was not asked yet");
    known.hear(&alias(1), status(1, Role::Primary, "", None), 0);
    assert_eq!(asked(&known), [false; 3]);
    known.hear(&alias(1), silent(), 5);
    assert_eq!(asked(&known), [false, true, false], "the third follows nobody");
    known.hear(&alias(2), quiet(Some(60_000)), 60_000);
    assert_eq!(
        asked(&known),
        [false, true, false],
        "while it does not hear it, too, and as long as it lasts"
    );
    known.hear(&alias(2), follows(false), 60_001);
    assert_eq!(asked(&known), [false; 3]);
    known.hear(&alias(2), follows(true), 60_002);
    known.promoted(&shard(), &alias(3), 60_003);
    assert_eq!(asked(&known), [false; 3], "another leads");
}

#[test]
fn a_new_primary_is_known_before_it_is_listed() {
    let mut known = known();
    known.promoted(&shard(), &alias(2), 7);
    let told = &known.observation(0, STALE).expect("known").shards[&shard()];
    assert_eq!((&told.primary, told.primary_since), (&Some(alias(2)), 7));
}

/// vtctld's machine, or the tablet's, may be an hour ahead of this one.
#[test]
fn a_primary_leads_since_it_was_seen_to_at_the_latest() {
    let mut known = known();
    let record = |uid: u32, primary_since| ShardRecord {
        primary: Some(alias(uid)),
        primary_since,
        ..ShardRecord::default()
    };
    for (at, uid, told, since) in [
        (10_000, 1, 1, 1),
        (20_000, 2, 3_620_000, 20_000),
        (21_000, 2, 3_620_000, 20_000),
        (30_000, 1, 29_000, 29_000),
    ] {
        known.led([(shard(), record(uid, told))].into(), at);
        let seen = known.observation(at, STALE).expect("enough is known");
        assert_eq!(seen.shards[&shard()].primary_since, since, "at {at}");
    }
}
