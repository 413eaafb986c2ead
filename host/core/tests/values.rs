//! Proves the small values: GTID sets, Vitess names, the view's fingerprint, merging.

mod fixture;

use fixture::{typed, world};
use pilothouse_core::action::{Action, DrainStep};
use pilothouse_core::gtid::GtidSet;
use pilothouse_core::plan::{Author, Plan, Proposal, Reason, Refusal, Slot, Step};
use pilothouse_core::topology::{KeyRange, ParseError, PoolType, ShardId, TabletAlias};
use pilothouse_core::view::{ClusterView, lag_bucket};
use serde_yaml_ng::Value;

fn set(text: &str) -> GtidSet {
    text.parse().unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn gtid_sets_are_written_in_one_way() {
    for (given, canonical) in [
        ("", ""),
        ("s:1-5", "s:1-5"),
        ("s:5:1-4", "s:1-5"),
        (" t:1 , s:3-4:1 ,", "s:1:3-4,t:1"),
        ("s:1-3:2-9:11", "s:1-9:11"),
        ("s:18446744073709551615", "s:18446744073709551615"),
    ] {
        assert_eq!(set(given).to_string(), canonical, "{given:?}");
        assert_eq!(set(canonical), set(given));
    }
}

#[test]
fn bad_gtid_sets_name_the_part() {
    for bad in ["s", "s:", "s:0", "s:5-4", ":1", "s:x", "s:1-", "s:1,t", "s:-1", "s:18446744073709551616"] {
        let error = bad.parse::<GtidSet>().expect_err(bad);
        assert!(error.to_string().contains("SERVER:FIRST-LAST"), "{error}");
    }
}

#[test]
fn gtid_arithmetic() {
    for (left, right, rest) in [
        ("s:1-10", "s:1-10", ""),
        ("s:1-10", "s:3-4", "s:1-2:5-10"),
        ("s:1-10", "s:1:10", "s:2-9"),
        ("s:1-10", "t:1-10", "s:1-10"),
        ("s:1-10,t:1", "s:2-20", "s:1,t:1"),
        ("s:5-6:8-9", "s:6-8", "s:5:9"),
        ("", "s:1", ""),
        ("s:18446744073709551615", "s:18446744073709551615", ""),
    ] {
        assert_eq!(set(left).minus(&set(right)).to_string(), rest, "{left} minus {right}");
        assert_eq!(set(right).contains(&set(left)), rest.is_empty(), "{right} contains {left}");
        let mut union = set(left);
        union.union_with(&set(right));
        assert!(union.contains(&set(left)) && union.contains(&set(right)), "{left} with {right}");
    }
    assert_eq!(set("s:1-10:20,t:5").count(), 12);
    assert!(set("").is_empty() && !set("s:1").is_empty());
}

#[test]
fn an_end_follows_on_what_others_have() {
    for (end, base, follows) in [
        ("s:51-53", "s:1-50", true),
        ("s:51", "s:1-50,t:1-9", true),
        ("s:51-53,t:10", "s:1-50,t:1-9", true),
        ("s:51-53,t:11", "s:1-50,t:1-9", false),
        ("s:52-53", "s:1-50", false),
        ("s:50-53", "s:1-50", false),
        ("s:51:53", "s:1-50", false),
        ("s:51-53", "s:1-50:60", false),
        ("s:1-3", "", false),
        ("s:1-3", "t:1-50", false),
        ("s:5", "s:18446744073709551615", false),
        ("", "s:1-50", true),
    ] {
        assert_eq!(set(end).follows_on(&set(base)), follows, "{end} on {base}");
    }
    for (of, server, is_of) in
        [("s:1-3", "s", true), ("s:1-3,t:1", "s", false), ("s:1", "", false), ("", "s", true)]
    {
        assert_eq!(set(of).is_of(server), is_of, "{of} of {server:?}");
    }
    for (one, other, meet) in
        [("s:1-3", "s:3-9", true), ("s:1-3", "s:4-9", false), ("s:1", "t:1", false), ("", "s:1", false)]
    {
        assert_eq!(set(one).meets(&set(other)), meet, "{one} and {other}");
        assert_eq!(set(other).meets(&set(one)), meet, "{other} and {one}");
    }
}

/// Against sets of single transactions, over every pair of small sets.
#[test]
fn a_set_came_after_what_each_of_its_servers_had_written() {
    let by_then = [("s".to_owned(), 50), ("t".to_owned(), 0)].into();
    for (later, after) in [
        ("s:51-53", true),
        ("s:51:60,t:1", true),
        ("s:50-53", false),
        ("s:7:51", false),
        ("s:51,u:1", false),
        ("u:1", false),
        ("", true),
    ] {
        assert_eq!(set(later).is_after(&by_then), after, "{later}");
    }
    for (of, server, last) in [("s:1-3:7", "s", 7), ("s:1-3", "t", 0), ("", "s", 0)] {
        assert_eq!(set(of).last_of(server), last, "{of} of {server}");
    }
}

#[test]
fn gtid_arithmetic_is_that_of_sets() {
    let of = |bits: u32| {
        let mut made = GtidSet::default();
        (0..6).filter(|i| bits >> i & 1 == 1).for_each(|i| made.add("s", i + 1, i + 1));
        made
    };
    for a in 0..64 {
        for b in 0..64 {
            assert_eq!(of(a).minus(&of(b)), of(a & !b), "{} minus {}", of(a), of(b));
            assert_eq!(of(a).contains(&of(b)), a & b == b);
            let mut union = of(a);
            union.union_with(&of(b));
            assert_eq!(union, of(a | b));
            assert_eq!(of(a).count(), u64::from(a.count_ones()));
        }
    }
}

#[test]
fn key_ranges_parse_order_and_display() {
    for good in ["-", "-80", "80-", "40-80", "8000-c0"] {
        assert_eq!(good.parse::<KeyRange>().expect(good).to_string(), good);
    }
    for (good, safe) in [("-", "x-x"), ("-80", "x-80"), ("80-", "80-x"), ("40-80", "40-80")] {
        assert_eq!(good.parse::<KeyRange>().expect(good).safe_name(), safe);
    }
    let mut ranges: Vec<KeyRange> =
        ["80-c0", "-40", "c0-", "40-80"].iter().map(|r| r.parse().expect(r)).collect();
    ranges.sort();
    let sorted: Vec<String> = ranges.iter().map(ToString::to_string).collect();
    assert_eq!(sorted, ["-40", "40-80", "80-c0", "c0-"]);
    let error = |text: &str| text.parse::<KeyRange>().expect_err(text);
    assert_eq!(error("80"), ParseError::NoDash("80".to_owned()));
    assert_eq!(error("80-40"), ParseError::Empty("80-40".to_owned()));
    assert_eq!(error("80-80"), ParseError::Empty("80-80".to_owned()));
    for (text, bound) in [("8-", "8"), ("-8G", "8G"), ("-AB", "AB"), ("40-80-c0", "80-c0"), ("-é", "é")] {
        assert_eq!(error(text), ParseError::Hex { range: text.to_owned(), bound: bound.to_owned() });
    }
}

#[test]
fn names_parse_or_say_why_not() {
    assert_eq!("zone-1-0000000101".parse::<TabletAlias>().expect("alias").to_string(), "zone-1-0000000101");
    for bad in ["zone1", "-5", "zone1-", "zone1-x", "zone1-4294967296", "zone1-+5"] {
        assert_eq!(bad.parse::<TabletAlias>(), Err(ParseError::Alias(bad.to_owned())));
    }
    assert_eq!("commerce/-80".parse::<ShardId>().expect("shard").to_string(), "commerce/-80");
    for bad in ["commerce", "/-80"] {
        assert_eq!(bad.parse::<ShardId>(), Err(ParseError::Shard(bad.to_owned())));
    }
    assert!("commerce/8".parse::<ShardId>().is_err());
    assert_eq!("rdonly".parse::<PoolType>(), Ok(PoolType::Rdonly));
    assert_eq!("spare".parse::<PoolType>(), Err(ParseError::PoolType("spare".to_owned())));
}

/// Every leaf of a value, as the path to it.
fn leaves(value: &Value, path: &mut Vec<Value>, out: &mut Vec<Vec<Value>>) {
    match value {
        Value::Mapping(map) => map.iter().for_each(|(key, below)| {
            path.push(key.clone());
            leaves(below, path, out);
            path.pop();
        }),
        Value::Sequence(list) => list.iter().enumerate().for_each(|(i, below)| {
            path.push(Value::from(i));
            leaves(below, path, out);
            path.pop();
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => out.push(path.clone()),
        // `wanted: !surge {…}`
        Value::Tagged(_) => out.push(path.clone()),
    }
}

fn at<'a>(mut value: &'a mut Value, path: &[Value]) -> &'a mut Value {
    for word in path {
        value = match word.as_u64() {
            Some(index) => &mut value[usize::try_from(index).expect("small")],
            None => &mut value[word.as_str().expect("a key")],
        };
    }
    value
}

/// Other values that the leaf may take, of which the view accepts at least one.
fn others(leaf: &Value) -> Vec<Value> {
    match leaf {
        Value::Bool(flag) => vec![Value::from(!flag)],
        Value::Number(n) => vec![Value::from(n.as_u64().expect("unsigned") * 3 + 100_007)],
        Value::Null | Value::String(_) | Value::Sequence(_) | Value::Mapping(_) | Value::Tagged(_) => [
            "zz",
            "zz-9",
            "zz/80-",
            "z:1-7",
            "lost",
            "played",
            "cross_cell",
            "no",
            "absent",
            "started",
            "spare",
            "rdonly",
            "upgrade",
        ]
        .map(Value::from)
        .to_vec(),
    }
}

/// Changing any field changes the fingerprint; only the time, positions, and
/// what stays within its bucket do not.
#[test]
fn the_fingerprint_sees_every_field_but_the_documented_ones() {
    let base: Value = {
        let mut view = world("zone-back", None);
        view["tablets"][1]["podName"] = "pod-b-name".into();
        view["zones"][0]["providerPost"] = "trouble".into();
        view["shards"][0]["backupRunningSince"] = 5.into();
        view["shards"][0]["backupFailedAt"] = 5.into();
        view["volumes"][0]["changes"] = vec![Value::from(5)].into();
        view["tablets"][2]["replication"]["errant"] = "c:1".into();
        view["facts"] = serde_yaml_ng::from_str("{cluster: {a: true, b: 5, c: text}}").expect("facts");
        serde_yaml_ng::from_str(&serde_yaml_ng::to_string(&typed(&view)).expect("YAML")).expect("YAML")
    };
    let print = typed(&base).fingerprint();
    let mut paths = Vec::new();
    leaves(&base, &mut Vec::new(), &mut paths);
    assert!(paths.len() > 150, "only {} fields", paths.len());
    for path in paths {
        let mut changed = base.clone();
        let leaf = at(&mut changed, &path).clone();
        let parses = |value: Value| -> Option<ClusterView> {
            let mut one = base.clone();
            *at(&mut one, &path) = value;
            serde_yaml_ng::from_str(&serde_yaml_ng::to_string(&one).ok()?).ok()
        };
        let view = others(&leaf).into_iter().filter(|v| *v != leaf).find_map(parses);
        let view = view.unwrap_or_else(|| panic!("no other value for {path:?}"));
        let last = path.last().and_then(Value::as_str).unwrap_or_default();
        let of_tablet = path[0].as_str() == Some("tablets");
        let ignored = last == "asOf" || (of_tablet && last == "position");
        assert_eq!(view.fingerprint() == print, ignored, "{path:?}");
    }
}

#[test]
fn lag_and_use_count_by_bucket() {
    for (lag, bucket) in [(0, 0), (999, 0), (1_000, 1), (1_999, 1), (2_000, 2), (3_999, 2), (4_000, 3)] {
        assert_eq!(lag_bucket(lag), bucket, "{lag} ms");
    }
    let view = typed(&world("three-zones", None));
    let with = |change: fn(&mut ClusterView)| {
        let mut other = view.clone();
        change(&mut other);
        other.fingerprint() == view.fingerprint()
    };
    assert!(with(|v| v.tablets[2].replication.as_mut().expect("r").lag_ms = 900), "below a second");
    assert!(!with(|v| v.tablets[2].replication.as_mut().expect("r").lag_ms = 1_100), "above a second");
    assert!(with(|v| v.volumes[0].used = Some(905)), "within a 64th");
    assert!(!with(|v| v.volumes[0].used = Some(950)), "in another 64th");
    assert!(!with(|v| v.volumes[0].used = None), "unknown");
}

fn step(uid: u32, author: Author) -> Step {
    let tablet = TabletAlias { cell: pilothouse_core::topology::Cell("a".to_owned()), uid };
    Step {
        action: Action::DrainTablet { tablet, step: DrainStep::Start },
        author,
        reason: Reason { code: "test".to_owned(), message: "a test".to_owned() },
        expect: Vec::new(),
        expires: 1,
    }
}

#[test]
fn plans_merge_in_order_and_repeat_nothing() {
    let policy = |slot| Author::Policy { slot, plugin: "p".to_owned(), digest: String::new() };
    let proposal = |slot, uids: &[u32]| Proposal {
        author: policy(slot),
        steps: uids.iter().map(|&uid| step(uid, policy(slot))).collect(),
        diagnostics: Vec::new(),
        requeue_after_ms: None,
    };
    let proposals = [proposal(Slot::Placement, &[3, 1]), proposal(Slot::Failover, &[1, 2])];
    let plan = Plan::merge(&proposals, vec![step(2, Author::Host), step(4, Author::Host)]);
    let expected = [
        step(3, policy(Slot::Placement)),
        step(1, policy(Slot::Placement)),
        step(2, policy(Slot::Failover)),
        step(4, Author::Host),
    ];
    assert_eq!(plan.steps(), expected);

    let why = pilothouse_core::guard::Why::Vetoed { code: "no".to_owned(), message: "no".to_owned() };
    let refusal = Refusal { step: expected[1].clone(), rule: "rule/p".to_owned(), why };
    let reviewed = plan.reviewed(&[refusal]);
    assert_eq!(reviewed.steps(), [expected[0].clone(), expected[2].clone(), expected[3].clone()]);
}
