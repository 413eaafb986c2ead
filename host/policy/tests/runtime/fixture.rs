//! What the tests of the runtime share: one runtime, one hostile guest, one view.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use pilothouse_core::plan::Slot;
use pilothouse_core::view::ClusterView;
use pilothouse_policy::artifact::Artifact;
use pilothouse_policy::cache::Cache;
use pilothouse_policy::compile::Compiler;
use pilothouse_policy::engine::Engine;
use pilothouse_policy::limits::{CompileLimits, Limits, PoolLimits};
use pilothouse_policy::policy::Policy;
use pilothouse_policy::runtime::{LoadFailure, Runtime};
use serde_json::json;

use crate::guests;

pub(crate) fn compiler() -> Compiler {
    Compiler {
        program: PathBuf::from(env!("CARGO_BIN_EXE_compile-component")),
        args: Vec::new(),
        limits: CompileLimits::default(),
    }
}

pub(crate) fn engine() -> Arc<Engine> {
    static ENGINE: OnceLock<Arc<Engine>> = OnceLock::new();
    Arc::clone(ENGINE.get_or_init(|| Arc::new(Engine::new(PoolLimits::default()).unwrap())))
}

/// One runtime with a cache that outlives the process: a component is compiled once a build directory.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let cache = Cache::open(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("policy-cache")).unwrap();
        Runtime::new(engine(), compiler(), cache)
    })
}

/// The guests under `tests/guests` as components, built as the embedded policies are.
pub(crate) fn guest(name: &str) -> &'static Artifact {
    static GUESTS: OnceLock<BTreeMap<&str, Artifact>> = OnceLock::new();
    let guests = GUESTS.get_or_init(|| {
        let built = build_guests();
        let read = |name| {
            let module = std::fs::read(built.join(format!("{name}.wasm"))).unwrap();
            (name, component(&module))
        };
        ["foreign", "hostile", "reviewer"].map(read).into()
    });
    &guests[name]
}

pub(crate) fn hostile() -> &'static Artifact {
    guest("hostile")
}

fn build_guests() -> PathBuf {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests");
    guests::build(&sources, &Path::new(env!("CARGO_TARGET_TMPDIR")).join("guests"))
}

fn component(module: &[u8]) -> Artifact {
    Artifact::new(guests::component(module), 1 << 20).unwrap()
}

/// A failover policy as a core module: every function traps, but `items` and `start` run before.
pub(crate) fn core(items: &str, start: &str) -> Artifact {
    let mut module = wat::parse_str(format!(
        r#"(module
            {items}
            (memory (export "memory") 1)
            (func $start {start})
            (start $start)
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
            (func (export "pilothouse:policy/meta@0.1.0#describe") (result i32) unreachable)
            (func (export "pilothouse:policy/meta@0.1.0#validate-config") (param i32 i32) (result i32)
                unreachable)
            (func (export "pilothouse:policy/failover@0.1.0#decide") (param i32 i32 i32) (result i32)
                unreachable))"#
    ))
    .unwrap();
    let mut resolve = wit_parser::Resolve::default();
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    let (package, _) = resolve.push_path(wit).unwrap();
    let world = resolve.select_world(&[package], Some("failover-policy")).unwrap();
    wit_component::embed_component_metadata(
        &mut module,
        &resolve,
        world,
        wit_component::StringEncoding::UTF8,
    )
    .unwrap();
    component(&module)
}

/// A component written as text.
pub(crate) fn text(wat: &str) -> Artifact {
    Artifact::new(wat::parse_str(wat).unwrap(), 1 << 20).unwrap()
}

/// The hostile guest, told what to do; few enough entries that a test reaches the bound.
pub(crate) fn try_doing(misdeed: &str) -> Result<Policy, LoadFailure> {
    let config = if misdeed == "nothing" { json!({}) } else { json!({ "do": misdeed }) };
    let limits = Limits { host_work: 5_000, ..Limits::default() };
    runtime().policy(Slot::Failover, hostile(), &config, &limits)
}

#[track_caller]
pub(crate) fn doing(misdeed: &str) -> Policy {
    try_doing(misdeed).unwrap()
}

pub(crate) fn view() -> Arc<ClusterView> {
    static VIEW: OnceLock<Arc<ClusterView>> = OnceLock::new();
    let read = || Arc::new(serde_yaml_ng::from_str(include_str!("../views/three-tablets.yaml")).unwrap());
    Arc::clone(VIEW.get_or_init(read))
}
