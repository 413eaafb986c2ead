//! Bindings as an operator writes them, against files.

use std::path::Path;

use pilothouse_core::plan::Slot;
use pilothouse_policy::artifact::Digest;
use pilothouse_policy::binding::{Binding, Bindings};
use pilothouse_policy::set::PolicySet;

use crate::fixture::{hostile, runtime};

fn binding(file: &Path, digest: Digest, more: &str) -> Binding {
    serde_yaml_ng::from_str(&format!("{{ file: {}, digest: '{digest}'{more} }}", file.display())).unwrap()
}

#[test]
fn a_file_is_bound_by_its_digest() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("eu.wasm");
    std::fs::write(&file, hostile().bytes()).unwrap();
    let good = binding(&file, hostile().digest(), ", config: { do: trap }");
    assert_eq!(runtime().load(Slot::Failover, &good).unwrap().manifest().name, "hostile");

    let other = Digest::of(b"another");
    let error = runtime().load(Slot::Failover, &binding(&file, other, "")).unwrap_err().to_string();
    let path = file.display();
    let found = hostile().digest();
    let words =
        format!("policy {path} (slot failover): {path} has digest {found}, the binding wants {other}");
    assert_eq!(error, words);

    let big = binding(&file, hostile().digest(), ", limits: { memoryBytes: 1000000000 }");
    let error = runtime().load(Slot::Failover, &big).unwrap_err().to_string();
    assert!(error.ends_with("its limit memoryBytes is 1000000000, the pool has 268435456"), "{error}");
}

#[test]
fn one_bad_binding_loads_nothing_and_is_named() {
    let none = || Bindings { placement: None, failover: None, expansion: None, backup: None, rules: vec![] };
    let unknown = Bindings { backup: Some(Binding::builtin("backpu")), ..none() };
    let error = PolicySet::load(runtime(), &unknown).unwrap_err().to_string();
    let words = "policy backpu (slot backup): there is no such built-in; there are az-placement, failover, \
                 expansion, backup";
    assert_eq!(error, words);
    assert_eq!(PolicySet::load(runtime(), &none()).unwrap().policies().count(), 0);
}
