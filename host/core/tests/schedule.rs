//! Proves times, spans, targets and turns of schedules. jiff is the second opinion on the calendar.

mod fixture;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use fixture::{approve, dir};
use jiff::Timestamp;
use pilothouse_core::Millis;
use pilothouse_core::schedule::cron::Cron;
use pilothouse_core::schedule::targets::{Scope, Twice, targets};
use pilothouse_core::schedule::{Job, JobState, MISSED_RUNS_ALLOWED, Terms, Turn, span, surplus, turn};
use pilothouse_core::topology::ShardId;

const MINUTE: Millis = 60_000;

fn at(text: &str) -> Millis {
    let text = if text.contains('T') { format!("{text}Z") } else { format!("{text}T00:00:00Z") };
    let time: Timestamp = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
    u64::try_from(time.as_millisecond()).unwrap()
}

fn shown(at: Millis) -> String {
    let time = Timestamp::from_millisecond(i64::try_from(at).unwrap()).unwrap();
    time.strftime("%a %Y-%m-%d %H:%M:%S").to_string()
}

/// Each line of `times.in` is a form and when one looks; the outcome has the three times behind it
/// or why there are none.
#[test]
fn times_come_as_written() {
    let mut out = String::new();
    for line in std::fs::read_to_string(dir().join("schedule/times.in")).unwrap().lines() {
        writeln!(out, "{line}").unwrap();
        let Some((form, from)) = line.split_once(" | ").filter(|_| !line.starts_with('#')) else { continue };
        match Cron::parse(form) {
            Err(why) => writeln!(out, "    {why}").unwrap(),
            Ok(cron) => {
                let mut time = at(from.trim());
                for _ in 0..3 {
                    time = cron.next(time).unwrap();
                    writeln!(out, "    {}", shown(time)).unwrap();
                }
            }
        }
    }
    approve("schedule/times.out", &out);
}

/// Minute by minute over years with and without a leap day, by jiff's calendar.
#[test]
fn the_calendar_is_right() {
    for form in ["17 3 29 2 *", "0 12 31 * *", "30 6 * * 1", "5 0 1,15 * sun", "0 0 */7 3-10/2 *"] {
        let cron = Cron::parse(form).unwrap();
        let (from, until) = (at("2095-12-20"), at("2105-03-02"));
        let mut expected: Vec<Millis> = Vec::new();
        let mut day = from;
        while day < until {
            let time = Timestamp::from_millisecond(i64::try_from(day).unwrap()).unwrap();
            let date = time.to_zoned(jiff::tz::TimeZone::UTC);
            let (month, of_month) = (date.month(), date.day());
            let weekday = date.weekday().to_sunday_zero_offset();
            let fits = match form {
                "17 3 29 2 *" => month == 2 && of_month == 29,
                "0 12 31 * *" => of_month == 31,
                "30 6 * * 1" => weekday == 1,
                "5 0 1,15 * sun" => of_month == 1 || of_month == 15 || weekday == 0,
                _ => [3, 5, 7, 9].contains(&month) && (of_month - 1) % 7 == 0,
            };
            let minute = match form {
                "17 3 29 2 *" => 3 * 60 + 17,
                "0 12 31 * *" => 12 * 60,
                "30 6 * * 1" => 6 * 60 + 30,
                "5 0 1,15 * sun" => 5,
                _ => 0,
            };
            if fits {
                expected.push(day + minute * MINUTE);
            }
            day += 24 * 60 * MINUTE;
        }
        let forward =
            std::iter::successors(cron.next(from), |at| cron.next(*at)).take_while(|at| *at < until);
        assert_eq!(forward.collect::<Vec<_>>(), expected, "{form}");
        let last = |before: &Millis| cron.latest(from, before - 1);
        let mut backward: Vec<Millis> = std::iter::successors(last(&until), last).collect();
        backward.reverse();
        assert_eq!(backward, expected, "{form}, from the end");
    }
}

#[test]
fn the_last_time_is_after_what_is_dealt_with_and_not_in_the_future() {
    for form in ["0 2 * * *", "@every 24h"] {
        let cron = Cron::parse(form).unwrap();
        let two = at("2026-01-02T02:00:00");
        let latest = |since: &str, as_of: &str| cron.latest(at(since), at(as_of));
        assert_eq!(latest("2026-01-01T02:00:00", "2026-01-02T01:59:59.999"), None, "{form}");
        assert_eq!(latest("2026-01-01T02:00:00", "2026-01-02T02:00:00"), Some(two), "{form}");
        assert_eq!(latest("2025-12-01T02:00:00", "2026-01-03T01:00:00"), Some(two), "{form}");
        assert_eq!(latest("2026-01-02T02:00:00", "2026-01-02T02:00:00.500"), None, "{form}");
        assert_eq!(latest("2026-01-03T02:00:00", "2026-01-02T02:00:00"), None, "{form}: a clock that jumped");
    }
}

#[test]
fn a_frequency_becomes_times_of_day() {
    for (text, offset, form) in [
        ("24h", 200, "20 3 * * *"),
        ("1440m", 0, "0 0 * * *"),
        ("6h", 200, "20 3/6 * * *"),
        ("1h", 200, "20 * * * *"),
        ("60m", 59, "59 * * * *"),
        ("30m", 200, "20/30 * * * *"),
        ("0.5h", 7, "7/30 * * * *"),
        ("0h1m", 0, "0/1 * * * *"),
    ] {
        let minutes = span::frequency(text).unwrap();
        assert_eq!(span::cron(minutes, offset), form, "{text}");
        let cron = Cron::parse(form).unwrap();
        let first = cron.next(at("2026-01-01")).unwrap();
        assert_eq!(cron.next(first), Some(first + minutes * MINUTE), "{text}: {form}");
    }
    for (text, why) in [
        ("", "\"\" is not a span such as 24h or 1h30m"),
        ("24", "\"24\" is not a span such as 24h or 1h30m"),
        ("-1h", "\"-1h\" is not a span such as 24h or 1h30m"),
        (".h", "\".h\" is not a span such as 24h or 1h30m"),
        ("7m", "\"7m\": expected minutes that divide an hour, hours that divide a day, or 24h"),
        ("90m", "\"90m\": expected minutes that divide an hour, hours that divide a day, or 24h"),
        ("5h", "\"5h\": expected minutes that divide an hour, hours that divide a day, or 24h"),
        ("48h", "\"48h\": expected minutes that divide an hour, hours that divide a day, or 24h"),
        ("1m30s", "\"1m30s\": expected minutes that divide an hour, hours that divide a day, or 24h"),
    ] {
        assert_eq!(span::frequency(text).map_err(|e| e.to_string()), Err(why.to_owned()));
    }
}

fn shards(names: &[&str]) -> BTreeSet<ShardId> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

#[test]
fn a_keyspace_that_is_named_is_not_the_clusters() {
    let all = shards(&["a/-80", "a/80-", "b/-", "c/-"]);
    let chosen = |scopes: &[Scope], apart: &[&str]| {
        let apart = apart.iter().map(|name| (*name).to_owned()).collect();
        let chosen = targets(scopes, &all, &apart);
        chosen.map(|chosen| chosen.iter().map(|(s, n)| format!("{n} {s}")).collect::<Vec<_>>().join(", "))
    };
    let one = |name: &str| Scope::Shard(name.parse().unwrap());
    let keyspace = |name: &str| Scope::Keyspace(name.to_owned());
    let twice = |strategy, shard: &str| Err(Twice { strategy, shard: shard.parse().unwrap() });
    let told = |text: &str| Ok(text.to_owned());
    assert_eq!(chosen(&[Scope::Cluster], &[]), told("0 a/-80, 0 a/80-, 0 b/-, 0 c/-"));
    assert_eq!(chosen(&[Scope::Cluster, keyspace("a")], &["c"]), told("1 a/-80, 1 a/80-, 0 b/-"));
    assert_eq!(chosen(&[keyspace("gone"), one("gone/-")], &[]), told("1 gone/-"));
    assert_eq!(chosen(&[keyspace("a"), one("a/80-")], &[]), twice(1, "a/80-"));
    assert_eq!(chosen(&[one("b/-"), Scope::Cluster], &[]), twice(1, "b/-"));
    assert_eq!(chosen(&[keyspace("b"), keyspace("b")], &[]), twice(1, "b/-"));
}

const fn terms() -> Terms {
    Terms {
        suspended: false,
        deadline: None,
        may_overlap: false,
        missed_allowed: MISSED_RUNS_ALLOWED,
        kept_successful: None,
        kept_failed: None,
    }
}

#[track_caller]
fn check(terms: &Terms, (since, is_on): (&str, bool), as_of: &str, expected: Turn) {
    let cron = Cron::parse("0 2 * * *").unwrap();
    assert_eq!(turn(&cron, terms, at(since), is_on, at(as_of)), expected, "{since} {as_of}");
}

#[test]
fn a_run_begins_once_at_its_time() {
    let (one, two) = (at("2026-01-01T02:00:00"), at("2026-01-02T02:00:00"));
    check(&terms(), ("2026-01-01", false), "2026-01-01T01:59:59.999", Turn::Wait);
    check(&terms(), ("2026-01-01", false), "2026-01-01T02:00:00", Turn::Begin(one));
    check(&terms(), ("2026-01-01T02:00:00", false), "2026-01-01T02:00:00.5", Turn::Wait);
    check(&terms(), ("2026-01-01T02:00:00", true), "2026-01-02T02:00:00", Turn::Overlaps(two));
    check(&terms(), ("2026-01-01T02:00:00", false), "2026-01-02T05:00:00", Turn::Begin(two));
    let overlapping = Terms { may_overlap: true, ..terms() };
    check(&overlapping, ("2026-01-01T02:00:00", true), "2026-01-02T02:00:00", Turn::Begin(two));
    let suspended = Terms { suspended: true, ..terms() };
    check(&suspended, ("2026-01-01", false), "2026-01-01T02:00:00", Turn::Suspended);
}

#[test]
fn a_deadline_is_counted_in_whole_seconds() {
    let one = at("2026-01-01T02:00:00");
    for (deadline, as_of, expected) in [
        (0, "2026-01-01T02:00:00.9", Turn::Begin(one)),
        (0, "2026-01-01T02:00:01", Turn::Late(one)),
        (600_000, "2026-01-01T02:10:00.9", Turn::Begin(one)),
        (600_000, "2026-01-01T02:10:01", Turn::Late(one)),
    ] {
        check(&Terms { deadline: Some(deadline), ..terms() }, ("2026-01-01", false), as_of, expected);
    }
}

#[test]
fn of_many_missed_runs_the_last_is_made_up_for_and_of_too_many_none() {
    let fifth = at("2026-01-05T02:00:00");
    let allowing = |missed_allowed| Terms { missed_allowed, ..terms() };
    check(&allowing(5), ("2026-01-01", false), "2026-01-05T09:00:00", Turn::Begin(fifth));
    check(&allowing(4), ("2026-01-01", false), "2026-01-05T09:00:00", Turn::Missed);
    // The next on the schedule begins, though the others are still missed.
    check(&allowing(4), ("2026-01-01", false), "2026-01-05T02:00:00.3", Turn::Begin(fifth));
    check(&allowing(0), ("2026-01-05", false), "2026-01-05T02:00:00", Turn::Begin(fifth));
    check(&allowing(0), ("2026-01-05", false), "2026-01-05T02:01:00", Turn::Missed);
    // What the deadline rules out was not missed.
    let within = Terms { deadline: Some(24 * 60 * MINUTE), ..allowing(1) };
    check(&within, ("2026-01-01", false), "2026-01-05T09:00:00", Turn::Begin(fifth));
}

#[test]
fn the_oldest_of_each_kind_go_and_nothing_that_is_not_written_down() {
    let job = |due: Millis, state| Job { name: format!("job-{due}"), due, state };
    let jobs = [
        job(1, JobState::Failed),
        job(2, JobState::Succeeded),
        job(3, JobState::Active),
        job(4, JobState::Succeeded),
        job(5, JobState::Failed),
        job(6, JobState::Succeeded),
    ];
    let gone = |kept_successful, kept_failed, remembered| -> Vec<Millis> {
        let terms = Terms { kept_successful, kept_failed, ..terms() };
        surplus(&jobs, &terms, remembered).iter().map(|job| job.due).collect()
    };
    assert_eq!(gone(None, None, 9), []);
    assert_eq!(gone(Some(1), None, 9), [2, 4]);
    assert_eq!(gone(Some(2), Some(0), 9), [1, 2, 5]);
    assert_eq!(gone(Some(0), Some(0), 5), [1, 2, 4, 5]);
    assert_eq!(gone(Some(7), Some(7), 9), []);
}
