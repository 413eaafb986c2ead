//! A fresh call of a policy (store, instantiate, call, drop) beside those of empty components:
//! one that the SDK makes, and one written by hand, which allocates nothing.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use pilothouse_core::plan::Slot;
use pilothouse_core::view::ClusterView;
use pilothouse_policy::artifact::Artifact;
use pilothouse_policy::limits::Limits;
use pilothouse_policy::policy::Policy;
use pilothouse_policy::snapshot::Snapshot;
use serde_json::json;

use crate::cpu::{least, line};
use crate::product::{Loaded, repository};

/// Three tablets of one shard; the primary is lost, so the policy has to choose.
const VIEW: &str = include_str!("../../../tests/cli/primary-lost.yaml");

pub(crate) fn print(loaded: &Loaded) {
    let view: ClusterView = serde_yaml_ng::from_str(VIEW).expect("a view");
    assert_eq!(view.tablets.len(), 3);
    let snapshot = Snapshot::new(&Arc::new(view));
    let (bare, idle) = (policy(loaded, bare()), policy(loaded, idle()));
    let failover = loaded.set.policies().find(|p| p.slot() == Slot::Failover).expect("a failover policy");
    let steps = |policy: &Policy| policy.propose(&snapshot).expect("a decision").0.steps.len();
    assert_eq!(
        (steps(&bare), steps(&idle), steps(failover)),
        (0, 0, 1),
        "one decides, the others do nothing"
    );
    let cost = |policy: &Policy| least(200, || drop(policy.propose(&snapshot)));
    let (least_of_all, nothing, call) = (cost(&bare), cost(&idle), cost(failover));
    line("a fresh call of an empty component, hand-written", least_of_all, "");
    line("a fresh call of an empty component, by the SDK", nothing, "");
    let beside = format!(
        "{:.2}x the SDK's empty one, {:.2}x the hand-written one (bound: 3x)",
        call / nothing,
        call / least_of_all
    );
    line("a fresh call of failover, three tablets, primary lost", call, &beside);
}

fn policy(loaded: &Loaded, module: Vec<u8>) -> Policy {
    let component = wit_component::ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .and_then(|mut encoder| encoder.encode())
        .expect("a component");
    let artifact = Artifact::new(component, 1 << 20).expect("small");
    loaded.runtime.policy(Slot::Failover, &artifact, &json!({}), &Limits::default()).expect("it serves")
}

/// The SDK's example `idle`, built as the embedded policies are.
fn idle() -> Vec<u8> {
    const TARGET: &str = "wasm32-unknown-unknown";
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("plugins");
    let built = Command::new(env!("CARGO"))
        .current_dir(repository(""))
        .args(["build", "--locked", "--quiet", "--profile", "plugin", "--target", TARGET])
        .args(["--package", "pilothouse-sdk", "--example", "idle", "--target-dir"])
        .arg(&folder)
        .status()
        .expect("cargo runs");
    assert!(built.success(), "the SDK's example does not build");
    std::fs::read(folder.join(TARGET).join("plugin/examples/idle.wasm")).expect("the example")
}

/// A failover policy that answers an empty decision: its answers lie ready in its memory.
fn bare() -> Vec<u8> {
    let mut module = wat::parse_str(
        r#"(module
            (import "pilothouse:policy/view@0.1.0" "[resource-drop]cluster" (func $drop (param i32)))
            (memory (export "memory") 1)
            (data (i32.const 64) "empty")
            (data (i32.const 72) "0.0.0")
            (data (i32.const 80) "{}")
            ;; name, version, config-schema, needs, emits: address and length each.
            (data (i32.const 128) "\40\00\00\00\05\00\00\00\48\00\00\00\05\00\00\00\50\00\00\00\02\00\00\00")
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
            (func (export "pilothouse:policy/meta@0.1.0#describe") (result i32) (i32.const 128))
            (func (export "pilothouse:policy/meta@0.1.0#validate-config") (param i32 i32) (result i32)
                (i32.const 256))
            ;; A borrowed view has to be given back.
            (func (export "pilothouse:policy/failover@0.1.0#decide") (param i32 i32 i32) (result i32)
                (call $drop (local.get 0))
                (i32.const 256)))"#,
    )
    .expect("a module");
    let mut resolve = wit_parser::Resolve::default();
    let (package, _) = resolve.push_path(repository("wit")).expect("the contract");
    let world = resolve.select_world(&[package], Some("failover-policy")).expect("the world");
    let utf8 = wit_component::StringEncoding::UTF8;
    wit_component::embed_component_metadata(&mut module, &resolve, world, utf8).expect("metadata");
    module
}
