//! Everything that the hostile guest can do in a call.

use pilothouse_core::action::Action;
use pilothouse_core::plan::Slot;
use pilothouse_policy::failure::{CallError, Failure, PolicyError};
use pilothouse_policy::limits::Limits;
use pilothouse_policy::snapshot::Snapshot;
use pilothouse_policy::state::LimitHit;
use serde_json::json;

use crate::fixture::{doing, hostile, runtime, try_doing, view};

fn error(misdeed: &str) -> CallError {
    let policy = doing(misdeed);
    let error = policy.propose(&Snapshot::new(&view())).unwrap_err();
    assert!(error.to_string().starts_with("policy hostile (slot failover): "), "{error}");
    // The next call is none the worse for it, and the verdict is the same.
    assert_eq!(policy.propose(&Snapshot::new(&view())).unwrap_err(), error);
    error
}

#[test]
fn a_panic_is_a_trap_with_a_place() {
    let Failure::Trapped { trap, at } = error("trap").failure else { panic!() };
    assert!(trap.contains("unreachable"), "{trap}");
    assert!(!at.0.is_empty());
}

#[test]
fn a_loop_runs_out_of_fuel_and_always_at_the_same_price() {
    assert_eq!(error("loop").failure, Failure::OutOfFuel { fuel: 200_000_000 });
}

#[test]
fn the_clock_stops_what_fuel_does_not() {
    let limits = Limits { fuel: u64::MAX / 2, deadline_ms: 20, ..Limits::default() };
    let policy = runtime().policy(Slot::Failover, hostile(), &json!({ "do": "loop" }), &limits).unwrap();
    let error = policy.propose(&Snapshot::new(&view())).unwrap_err();
    assert_eq!(error.failure, Failure::OutOfTime { deadline_ms: 20 });
    let words =
        "policy hostile (slot failover): stopped by the wall clock after 20 ms, before its fuel was spent";
    assert_eq!(error.to_string(), words);
}

#[test]
fn memory_ends_at_its_limit() {
    let Failure::Limit(LimitHit::Memory { wanted, limit }) = error("memory-bomb").failure else { panic!() };
    assert!(wanted > limit && limit == 64 << 20);
}

#[test]
fn recursion_ends() {
    let failure = error("recursion").failure;
    assert!(matches!(failure, Failure::StackOverflow { .. }), "{failure:?}");
}

#[test]
fn work_of_the_host_counts() {
    assert_eq!(error("busy-host").failure, Failure::Limit(LimitHit::HostWork { limit: 5_000 }));
}

#[test]
fn too_many_steps_are_refused_not_cut() {
    assert_eq!(error("thousand-steps").failure, Failure::TooManySteps { count: 1_000, limit: 256 });
    assert_eq!(error("far-too-many-steps").failure, Failure::HostBytes { limit: 8 << 20 });
}

#[test]
fn a_flood_of_lines_is_cut_and_counted() {
    let (_, stats) = doing("log-flood").propose(&Snapshot::new(&view())).unwrap();
    assert_eq!((stats.log.len(), stats.log_dropped), (64, 136));
    assert!(stats.log.iter().all(|line| line.message.len() <= 1_024 + '…'.len_utf8()));
}

#[test]
fn its_own_no_is_cleaned() {
    let expected = PolicyError::View("no primary [2J anywhere".to_owned());
    assert_eq!(error("refuse").failure, Failure::Refused(expected));
}

#[test]
fn bad_values_name_step_field_and_reason() {
    for (misdeed, words) in [
        (
            "key-range",
            "step 1, field planned-reparent.shard.key-range: key range \"80-40\": its end does not lie",
        ),
        ("giant-string", "step 1, field planned-reparent.to.cell: has 1048576 bytes, allowed are 253"),
        ("control-character", "step 1, field reason.message: holds the character U+000A"),
        ("empty-cell", "step 1, field planned-reparent.to.cell: is empty"),
        ("zero-ttl", "step 1, field ttl-ms: is zero"),
        ("bad-code", "step 1, field reason.code: \"Not Kebab\" is not kebab-case"),
        ("many-expectations", "step 1, field expect: has 100 entries, allowed are 16"),
    ] {
        let error = error(misdeed);
        assert_eq!(error.failure.code(), "PluginBadValue");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn a_long_life_is_shortened() {
    let (proposal, _) = doing("endless-ttl").propose(&Snapshot::new(&view())).unwrap();
    assert_eq!(proposal.steps[1].expires, view().as_of + 3_600_000);
}

#[test]
fn a_foreign_tablet_is_well_formed_so_the_guard_gets_to_see_it() {
    let (proposal, _) = doing("foreign-tablet").propose(&Snapshot::new(&view())).unwrap();
    let Action::PlannedReparent { to, .. } = &proposal.steps[1].action else { panic!() };
    assert_eq!(to.to_string(), "elsewhere-0000004242");
}

#[test]
fn configurations_are_refused_by_schema_then_by_the_plugin() {
    for (misdeed, words) in [
        ("bad-config", "its configuration is refused: do: even I do not do that"),
        (&*"x".repeat(41), "its configuration is refused: /do: "),
        ("trap-in-validate", "validate-config: trapped: "),
    ] {
        let error = try_doing(misdeed).unwrap_err().to_string();
        assert!(error.starts_with(words), "{error}");
    }
}
