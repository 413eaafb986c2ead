//! The embedded policies: they load, they want nothing but the contract, they decide the same each time.

use pilothouse_policy::binding::Bindings;
use pilothouse_policy::registry::BUILTINS;
use pilothouse_policy::set::PolicySet;

use crate::fixture::{runtime, view};

#[test]
fn embedded_policies_import_the_contract_and_nothing_else() {
    let set = PolicySet::load(runtime(), &Bindings::default()).unwrap();
    let mut slots = Vec::new();
    for policy in set.policies() {
        slots.push(policy.slot());
        let allowed = ["types", "view", "context"].map(|i| format!("pilothouse:policy/{i}@0.1.0"));
        for import in &policy.contract().imports {
            assert!(allowed.contains(import), "{policy:?} imports {import}");
        }
        assert!(!policy.contract().imports.is_empty());
    }
    assert_eq!(slots, BUILTINS.map(|b| b.slot));
}

#[test]
fn embedded_policies_decide_the_same_each_time() {
    let set = PolicySet::load(runtime(), &Bindings::default()).unwrap();
    let ask = || {
        let answers = set.propose(&view());
        answers.into_iter().map(|(p, s)| (p, s.fuel, s.peak_memory, s.host_work)).collect::<Vec<_>>()
    };
    let first = ask();
    assert_eq!(first.len(), 4);
    for _ in 0..20 {
        assert_eq!(ask(), first);
    }
    for (slot, plugin, statistics) in set.statistics() {
        assert_eq!((statistics.calls, statistics.errors.len()), (21, 0), "{slot} {plugin}");
    }
}
