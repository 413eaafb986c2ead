//! A well-behaved call: what goes in, what comes out, and that it is always the same.

use std::sync::Arc;

use pilothouse_core::action::{Action, Expectation};
use pilothouse_core::plan::{Author, Slot};
use pilothouse_policy::set::PolicySet;
use pilothouse_policy::snapshot::Snapshot;

use crate::fixture::{doing, hostile, view};

#[test]
fn a_decision_is_read_whole() {
    let policy = doing("nothing");
    let (proposal, stats) = policy.propose(&Snapshot::new(&view())).unwrap();
    let author = Author::Policy {
        slot: Slot::Failover,
        plugin: "hostile".to_owned(),
        digest: hostile().digest().hex(),
    };
    assert_eq!(proposal.author, author);
    let [step] = proposal.steps.as_slice() else { panic!("{proposal:?}") };
    let (shard, from): (_, pilothouse_core::topology::TabletAlias) =
        ("commerce/-".parse().unwrap(), "zone1-0000000001".parse().unwrap());
    let to = "zone2-0000000002".parse().unwrap();
    assert_eq!(step.action, Action::PlannedReparent { shard, from: from.clone(), to });
    let shard = "commerce/-".parse().unwrap();
    assert_eq!(step.expect, [Expectation::Primary { shard, is: Some(from) }]);
    assert_eq!(step.author, author);
    assert_eq!(step.expires, view().as_of + 60_000);
    // It asked to be called again at once; the floor keeps that from being a loop.
    assert_eq!(proposal.requeue_after_ms, Some(500));
    assert_eq!(proposal.diagnostics[0].code, "Hostile");
    assert_eq!(stats.log[0].message, "2 stands by");
    assert!(stats.fuel > 0 && stats.peak_memory >= 64 << 10 && stats.host_work > 0);
}

#[test]
fn the_same_view_gives_the_same_steps_and_the_same_fuel() {
    let policy = doing("nothing");
    let snapshot = Snapshot::new(&view());
    let ask = || {
        let (proposal, stats) = policy.propose(&snapshot).unwrap();
        (proposal, stats.fuel, stats.peak_memory, stats.host_work, stats.log)
    };
    let first = ask();
    for _ in 0..200 {
        assert_eq!(ask(), first);
    }
    // A policy of its own, and other threads: no state is shared.
    let other = doing("nothing");
    let second = other.propose(&Snapshot::new(&view())).unwrap();
    assert_eq!((second.0, second.1.fuel), (first.0.clone(), first.1));
    std::thread::scope(|threads| {
        let asked: Vec<_> = (0..8).map(|_| threads.spawn(ask)).collect();
        for one in asked {
            assert_eq!(one.join().unwrap(), first);
        }
    });
}

#[test]
fn a_set_asks_everyone_though_one_fails() {
    let set = PolicySet::new(vec![doing("trap"), doing("nothing"), doing("loop")]);
    for round in 1..=3 {
        let answers = set.propose(&view());
        let steps: Vec<_> = answers.iter().map(|(p, _)| p.steps.len()).collect();
        assert_eq!(steps, [0, 1, 0]);
        let codes: Vec<_> = answers.iter().map(|(p, _)| p.diagnostics[0].code.as_str()).collect();
        assert_eq!(codes, ["PluginTrapped", "Hostile", "PluginOutOfFuel"]);
        let message = &answers[2].0.diagnostics[0].message;
        assert_eq!(message, "policy hostile (slot failover): out of fuel after 200000000 units");
        let statistics = set.statistics();
        assert!(statistics.iter().all(|(slot, name, s)| {
            *slot == Slot::Failover && name == "hostile" && s.calls == round && s.fuel > 0
        }));
        assert_eq!(statistics[0].2.errors.get("PluginTrapped"), Some(&round));
        assert_eq!(statistics[1].2.steps, round);
        assert!(statistics[1].2.errors.is_empty());
    }
}

#[test]
fn what_the_contract_computes() {
    let snapshot = Snapshot::new(&view());
    let v = Arc::clone(&view());
    let position = |alias: &str| {
        let tablet = v.tablet(&alias.parse().unwrap()).unwrap();
        tablet.replication.as_ref().map(|r| r.position.clone()).unwrap_or_default()
    };
    let shard = "commerce/-".parse().unwrap();
    let [one, two, three] = ["zone1-0000000001", "zone2-0000000002", "zone3-0000000003"];
    assert_eq!(snapshot.behind(&shard, &position(one)), 0);
    assert_eq!(snapshot.behind(&shard, &position(two)), 10);
    for (candidate, other, expected) in
        [(one, two, true), (two, one, false), (one, three, false), (three, one, false)]
    {
        let answer = snapshot.has_all_of(&candidate.parse().unwrap(), &other.parse().unwrap());
        assert_eq!(answer, expected, "{candidate} {other}");
    }
    let covers: Vec<_> = v.backups.iter().map(|b| snapshot.covers_older(b)).collect();
    assert_eq!(covers, [true, true]);
}
