//! What is refused at load, by name, before anything of it runs.

use pilothouse_core::plan::Slot;
use pilothouse_policy::artifact::Artifact;
use pilothouse_policy::limits::Limits;
use pilothouse_policy::runtime::LoadFailure;
use serde_json::json;

use crate::fixture::{core, hostile, runtime, text};

fn load(slot: Slot, artifact: &Artifact) -> Result<(), LoadFailure> {
    runtime().policy(slot, artifact, &json!({}), &Limits::default()).map(drop)
}

#[track_caller]
fn refused(slot: Slot, artifact: &Artifact, words: &str) {
    let error = load(slot, artifact).unwrap_err().to_string();
    assert_eq!(error, words);
}

#[test]
fn imports_beyond_the_contract_are_listed() {
    let greedy = text(
        r#"(component
            (import "wasi:sockets/tcp@0.2.3" (instance))
            (import "wasi:filesystem/types@0.2.0" (instance))
            (import "wasi:cli/environment@0.2.3" (instance))
            (import "wasi:cli/environment@0.3.0" (instance))
            (import "pilothouse:policy/view@0.2.0" (instance))
            (import "pilothouse:policy/secrets@0.1.0" (instance))
            (import "backdoor" (func))
        )"#,
    );
    let words = "imports backdoor, pilothouse:policy/secrets@0.1.0, pilothouse:policy/view@0.2.0, \
                 wasi:cli/environment@0.3.0, wasi:filesystem/types@0.2.0, wasi:sockets/tcp@0.2.3, \
                 which no policy gets";
    refused(Slot::Failover, &greedy, words);
}

#[test]
fn the_wrong_slot_is_named() {
    refused(Slot::Backup, hostile(), "is a failover policy, bound to slot backup");
    let nothing = text("(component)");
    let words = "exports no policy interface of pilothouse:policy/*@0.1.x (its exports: none)";
    refused(Slot::Failover, &nothing, words);
}

#[test]
fn a_slot_without_a_manifest_or_with_other_types_is_refused() {
    let nameless =
        text(r#"(component (instance $i) (export "pilothouse:policy/failover@0.1.0" (instance $i)))"#);
    refused(Slot::Failover, &nameless, "does not export pilothouse:policy/meta@0.1.x");
    let empty = text(
        r#"(component (instance $i)
            (export "pilothouse:policy/failover@0.1.0" (instance $i))
            (export "pilothouse:policy/meta@0.1.0" (instance $i)))"#,
    );
    let error = load(Slot::Failover, &empty).unwrap_err().to_string();
    assert!(error.starts_with("was built against another contract: "), "{error}");
}

#[test]
fn garbage_does_not_compile() {
    let mut bytes = hostile().bytes().to_vec();
    bytes.truncate(bytes.len() / 2);
    let cut = Artifact::new(bytes, 1 << 20).unwrap();
    let error = load(Slot::Failover, &cut).unwrap_err();
    assert!(error.to_string().starts_with("is not a valid component: "), "{error}");
}

#[test]
fn a_module_that_wants_more_than_the_pool_has_is_refused() {
    for (items, words) in [
        ("(memory 2000)", "memory"),
        ("(table 1000000 funcref)", "table"),
        (&"(memory 1)".repeat(8), "memories"),
        (&"(table 1 funcref)".repeat(30), "tables"),
    ] {
        let error = load(Slot::Failover, &core(items, "")).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn bombs_that_go_off_at_instantiation_are_bounded_too() {
    for (items, start, words) in [
        ("", "(loop (br 0))", "describe: out of fuel after 200000000 units"),
        ("", "unreachable", "describe: trapped: wasm trap: wasm `unreachable` instruction executed (at "),
        ("", "call $start", "describe: call stack exhausted"),
        (
            "",
            "(loop (drop (memory.grow (i32.const 100))) (br 0))",
            "describe: memory would grow to 72155136 bytes, allowed are 67108864",
        ),
        (
            "(table $t 1 funcref)",
            "(loop (drop (table.grow $t (ref.null func) (i32.const 1000))) (br 0))",
            "describe: tables would grow to 20001 elements, allowed are 20000",
        ),
    ] {
        let error = load(Slot::Failover, &core(items, start)).unwrap_err().to_string();
        assert!(error.starts_with(words), "{error}");
    }
}

#[test]
fn inspection_shows_what_does_not_fit_too() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hostile.wasm");
    std::fs::write(&file, hostile().bytes()).unwrap();
    let seen = runtime().inspect(&file).unwrap();
    assert_eq!(seen.digest, hostile().digest());
    assert_eq!(seen.contract.slots, [Slot::Failover]);
    assert_eq!(seen.slots[0].1.as_ref().unwrap().name, "hostile");
    std::fs::write(&file, text(r#"(component (import "backdoor" (func)))"#).bytes()).unwrap();
    assert_eq!(runtime().inspect(&file).unwrap().contract.refused, ["backdoor"]);
}
