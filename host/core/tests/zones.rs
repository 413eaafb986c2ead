//! Proves the zone machine by scripts: evidence over time in, verdicts out.

mod fixture;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use fixture::{approve, dir, typed, world};
use pilothouse_core::Millis;
use pilothouse_core::topology::Zone;
use pilothouse_core::view::{ClusterView, Reach};
use pilothouse_core::zones::{self, ZoneEvidence, ZoneHealth, ZoneSettings, ZoneState};

fn seconds(word: &str) -> Millis {
    word.strip_suffix('s').expect("seconds").parse::<Millis>().expect("a number") * 1000
}

fn evidence(words: &str) -> ZoneEvidence {
    let mut seen = ZoneEvidence::default();
    let mut words = words.split_whitespace();
    while let Some(word) = words.next() {
        let mut pair = || {
            let (up, all) = words.next().expect("UP/ALL").split_once('/').expect("UP/ALL");
            (up.parse().expect("a number"), all.parse().expect("a number"))
        };
        match word {
            "nodes" => (seen.nodes_ready, seen.nodes) = pair(),
            "since" => seen.nodes_ready_since = Some(seconds(words.next().expect("SECONDS"))),
            "tablets" => (seen.tablets_answering, seen.tablets) = pair(),
            "gateways" => (seen.gateways_ready, seen.gateways) = pair(),
            "heard" => seen.heard_from = words.next().expect("ZONES").parse().expect("a number"),
            "post" => seen.provider_post = true,
            "blind" => seen.blind = true,
            other => panic!("{other:?} is no evidence"),
        }
    }
    seen
}

/// `TIME EVIDENCE`, or `flap FROM PERIOD UNTIL EVIDENCE | EVIDENCE`.
fn moments(line: &str) -> Vec<(Millis, String)> {
    let Some(rest) = line.strip_prefix("flap ") else {
        let (time, words) = line.split_once(' ').expect("TIME EVIDENCE");
        return vec![(seconds(time), words.trim().to_owned())];
    };
    let parts: Vec<&str> = rest.splitn(4, ' ').collect();
    let (from, period, until) = (seconds(parts[0]), seconds(parts[1]), seconds(parts[2]));
    let (bad, good) = parts[3].split_once('|').expect("BAD | GOOD");
    let side = |at: Millis| if ((at - from) / period).is_multiple_of(2) { bad } else { good };
    // Looked at every second, as a controller that is woken would.
    (from..until).step_by(1000).map(|at| (at, side(at).trim().to_owned())).collect()
}

fn play(script: &str) -> (String, usize) {
    let settings = ZoneSettings::default();
    let mut health: Option<ZoneHealth> = None;
    let (mut out, mut losses) = (String::new(), 0);
    for line in script.lines() {
        if line.starts_with('#') {
            writeln!(out, "{line}").expect("write");
            continue;
        }
        let flapping = line.starts_with("flap ");
        for (at, words) in moments(line) {
            let (next, deadline) = zones::step(health.as_ref(), &evidence(&words), at, &settings);
            let turned = health.map(|h| h.state) != Some(next.state);
            losses += usize::from(turned && next.state == ZoneState::Lost);
            if turned || !flapping {
                let until = deadline.map_or_else(|| "never".to_owned(), |d| format!("{}s", d / 1000));
                writeln!(out, "{:>6}s {words}", at / 1000).expect("write");
                writeln!(
                    out,
                    "        {:?} since {}s, wait {}s, next {until}",
                    next.state,
                    next.since / 1000,
                    next.recovery_ms / 1000
                )
                .expect("write");
            }
            health = Some(next);
        }
    }
    (out, losses)
}

#[test]
fn scripts_end_as_approved() {
    for name in [
        "lost-and-back",
        "one-kind",
        "heard",
        "blink",
        "restarted",
        "blind",
        "empty",
        "flapping",
        "unlabelled",
        "long-ready",
        "newly-ready",
        "taken-over",
    ] {
        let script = std::fs::read_to_string(dir().join(format!("zones/{name}.txt"))).expect(name);
        approve(&format!("zones/{name}.out"), &play(&script).0);
    }
}

/// A flapping zone is lost and healthy again a few times at most, whatever its period (N2).
#[test]
fn flapping_does_not_make_it_healthy_again_and_again() {
    for period in [5, 20, 45, 60, 120, 300, 600] {
        let script = format!(
            "0s nodes 3/3 tablets 2/2\n30s nodes 3/3 tablets 2/2\nflap 100s {period}s 86400s nodes 0/3 tablets 0/2 | nodes 3/3 tablets 2/2"
        );
        let (out, losses) = play(&script);
        let healthy = out.matches("Healthy since").count();
        assert!(healthy <= 4, "period {period} s: healthy {healthy} times, lost {losses} times");
    }
}

/// A step at a verdict's deadline, with the same evidence, changes it; one just before does not.
#[test]
fn deadlines_are_when_the_verdict_changes() {
    let settings = ZoneSettings::default();
    for words in ["nodes 3/3 tablets 2/2", "nodes 0/3 tablets 0/2"] {
        let seen = evidence(words);
        for state in [
            ZoneState::Unknown,
            ZoneState::Healthy,
            ZoneState::Suspect,
            ZoneState::Lost,
            ZoneState::Recovering,
        ] {
            let before = ZoneHealth { state, since: 5_000, leaning_since: None, recovery_ms: 30_000 };
            let (health, deadline) = zones::step(Some(&before), &seen, 10_000, &settings);
            let Some(deadline) = deadline else { continue };
            let (early, _) = zones::step(Some(&health), &seen, deadline - 1, &settings);
            assert_eq!(early, health, "{state:?} {words}");
            let (late, _) = zones::step(Some(&health), &seen, deadline, &settings);
            assert_ne!(late.state, health.state, "{state:?} {words}");
        }
    }
}

fn judge(
    previous: &BTreeMap<Zone, ZoneHealth>,
    seen: &[(&str, &str)],
    as_of: Millis,
) -> BTreeMap<Zone, ZoneHealth> {
    let seen = seen.iter().map(|(z, words)| (Zone((*z).to_owned()), evidence(words))).collect();
    zones::judge(previous, &seen, as_of, &ZoneSettings::default()).0
}

#[test]
fn all_zones_dark_at_once_is_the_host() {
    let (good, bad) = ("nodes 3/3 tablets 1/1", "nodes 0/3 tablets 0/1");
    let at = |seen: &[(&str, &str)]| {
        let first = judge(&BTreeMap::new(), &[("a", good), ("b", good)], 0);
        let settled =
            judge(&judge(&first, &[("a", good), ("b", good)], 1), &[("a", good), ("b", good)], 40_000);
        let dark = judge(&settled, seen, 50_000);
        let later = judge(&dark, seen, 90_000);
        later.values().map(|h| h.state).collect::<Vec<_>>()
    };
    assert_eq!(at(&[("a", bad), ("b", bad)]), [ZoneState::Unknown, ZoneState::Unknown]);
    assert_eq!(at(&[("a", bad), ("b", good)]), [ZoneState::Lost, ZoneState::Healthy]);
}

#[test]
fn a_view_shows_its_evidence() {
    let view = typed(&world("primary-lost", None));
    let seen = zones::evidence(&view);
    let of = |zone: &str| seen[&Zone(zone.to_owned())];
    assert_eq!(of("za"), evidence("nodes 0/2 tablets 0/1 gateways 2/2"));
    assert_eq!(of("zb"), evidence("nodes 2/2 tablets 1/1 gateways 2/2"));

    let mut starting = view;
    starting.tablets[1].role = pilothouse_core::view::Role::Unknown;
    starting.tablets[1].replication = None;
    starting.tablets[1].reach = pilothouse_core::view::Reach::No;
    let seen = zones::evidence(&starting);
    assert_eq!(seen[&Zone("zb".to_owned())].tablets, 0, "a tablet that was never heard of is starting");
}

#[test]
fn a_zone_is_heard_where_replicas_that_answer_hear_its_primaries() {
    let heard = |change: fn(&mut ClusterView)| {
        let mut view = typed(&world("three-zones", None));
        change(&mut view);
        let seen = zones::evidence(&view);
        ["za", "zb", "zc"].map(|zone| seen[&Zone(zone.to_owned())].heard_from)
    };
    assert_eq!(heard(|_| {}), [2, 0, 0]);
    assert_eq!(heard(|view| view.tablets[0].reach = Reach::No), [2, 0, 0], "whatever the host hears of it");
    assert_eq!(heard(|view| view.tablets[1].reach = Reach::No), [1, 0, 0], "what it said last is old");
    let disconnect = |view: &mut ClusterView| {
        view.tablets[1].replication.as_mut().expect("it replicates").source_connected = false;
    };
    assert_eq!(heard(disconnect), [1, 0, 0]);
    assert_eq!(
        heard(|view| view.tablets[1].zone = view.tablets[2].zone.clone()),
        [1, 0, 0],
        "one zone, one word"
    );
    assert_eq!(heard(|view| view.tablets[1].zone = view.tablets[0].zone.clone()), [1, 0, 0], "not its own");
}
