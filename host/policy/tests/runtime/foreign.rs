//! A component that imports the inert set of WASI: every answer is constant, and nothing gets out.

use pilothouse_core::plan::Slot;
use pilothouse_policy::failure::Failure;
use pilothouse_policy::limits::Limits;
use pilothouse_policy::policy::Policy;
use pilothouse_policy::snapshot::Snapshot;
use serde_json::json;

use crate::fixture::{guest, runtime, view};

fn doing(misdeed: &str) -> Policy {
    let config = json!({ "do": misdeed });
    runtime().policy(Slot::Failover, guest("foreign"), &config, &Limits::default()).unwrap()
}

#[test]
fn answers_are_the_views_or_constant() {
    let policy = doing("ask");
    assert_eq!(policy.contract().inert.len(), 9);
    let ask = || {
        let (_, stats) = policy.propose(&Snapshot::new(&view())).unwrap();
        let lines: Vec<_> = stats.log.into_iter().map(|line| line.message).collect();
        (lines, stats.fuel)
    };
    let first = ask();
    assert_eq!(first.0[0], "now 1700000000.000000000 1700000000000000000");
    assert_eq!(first.0[1], "environment [] arguments []");
    assert!(first.0[2].starts_with("random ["), "{}", first.0[2]);
    for _ in 0..5 {
        assert_eq!(ask(), first);
    }
}

fn failure(misdeed: &str) -> Failure {
    doing(misdeed).propose(&Snapshot::new(&view())).unwrap_err().failure
}

#[track_caller]
fn trapped(misdeed: &str, words: &str) {
    let Failure::Trapped { trap, .. } = failure(misdeed) else { panic!("{:?}", failure(misdeed)) };
    assert_eq!(trap, words);
}

#[test]
fn what_has_no_answer_traps() {
    assert_eq!(failure("exit"), Failure::Exited);
    trapped("random", "1099511627776 random bytes asked for, allowed are 65536");
    trapped("unanswered", "wasi:io/streams [method]output-stream.splice-nothing has no answer in this host");
}

#[test]
fn leaked_handles_end_at_their_limit() {
    trapped("leak", "cannot allocate another handle: store handle limit exceeded");
}
