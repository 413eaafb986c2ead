//! Rule plugins: every action of the host reaches them, and their verdict is checked as decisions are.

use std::sync::Arc;

use pilothouse_core::action::Action;
use pilothouse_core::plan::{Author, Reason, Slot, Step};
use pilothouse_policy::convert::RenderedObject;
use pilothouse_policy::limits::Limits;
use pilothouse_policy::policy::Policy;
use pilothouse_policy::set::PolicySet;
use serde_json::json;

use crate::fixture::{doing, guest, runtime, view};

fn reviewer(misdeed: &str) -> Policy {
    let config = json!({ "do": misdeed });
    runtime().policy(Slot::Rule, guest("reviewer"), &config, &Limits::default()).unwrap()
}

/// Every verb once.
const ACTIONS: &str = r#"
- { verb: assign-zone, cell: zone1, zone: a }
- { verb: surge-tablet, shard: commerce/-, pool: { cell: zone1, type: replica }, index: 3, standsInFor: zone2 }
- { verb: return-tablet, shard: commerce/-, tablet: zone1-0000000001 }
- { verb: surge-gateway, cell: zone1, standsInFor: zone2, replicas: 2 }
- { verb: return-gateway, cell: zone1, standsInFor: zone2 }
- { verb: evacuate-cell, cell: zone1 }
- { verb: relocate-tablet, tablet: zone1-0000000001, zone: b }
- { verb: init-primary, shard: commerce/-, to: zone1-0000000001 }
- { verb: planned-reparent, shard: commerce/-, from: zone1-0000000001, to: zone2-0000000002 }
- { verb: emergency-reparent, shard: commerce/-, lost: zone1-0000000001, to: zone2-0000000002 }
- { verb: quarantine-tablet, tablet: zone1-0000000001 }
- { verb: expand-volume, claim: c, from: 1, to: 2 }
- { verb: change-volume-class, claim: c, class: fast }
- { verb: start-backup, shard: commerce/-, location: "", restore: null }
- { verb: verify-backup, backup: b1 }
- { verb: expire-backup, shard: commerce/-, backup: b1, coveredBy: b2 }
- { verb: cancel-backup, shard: commerce/- }
- { verb: restore-tablet, tablet: zone1-0000000001, backup: b1 }
- { verb: restore-shard, shard: commerce/-, backup: b1, to: 7 }
- { verb: apply, object: { kind: Pod, namespace: db, name: p }, change: create }
- { verb: delete, object: { kind: Pod, namespace: db, name: p }, uid: u, of: null }
- { verb: recreate-tablet, tablet: zone1-0000000001, podUid: u }
- { verb: drain-tablet, tablet: zone1-0000000001, step: start }
"#;

fn steps() -> Vec<Step> {
    let actions: Vec<Action> = serde_yaml_ng::from_str(ACTIONS).unwrap();
    let step = |action| Step {
        action,
        author: Author::Host,
        reason: Reason { code: "rendered".to_owned(), message: String::new() },
        expect: Vec::new(),
        expires: 9,
    };
    actions.into_iter().map(step).collect()
}

fn objects() -> Vec<RenderedObject> {
    let named = |name: &str| RenderedObject {
        kind: "Pod".to_owned(),
        namespace: "db".to_owned(),
        name: name.to_owned(),
        json: "{}".to_owned(),
    };
    vec![named("p"), named("q")]
}

#[test]
fn a_rule_sees_every_verb_and_refuses_by_index() {
    let steps = steps();
    let set = PolicySet::new(vec![reviewer("its-work"), doing("nothing")]);
    let reviews = set.review(&view(), &steps, &objects());
    let [review] = reviews.as_slice() else { panic!("{reviews:?}") };
    assert_eq!(review.plugin, "reviewer");
    let verdict = review.verdict.as_ref().unwrap();
    let [refusal] = verdict.refusals.as_slice() else { panic!("{verdict:?}") };
    assert!(matches!(steps[refusal.step].action, Action::PlannedReparent { .. }));
    assert_eq!(refusal.code, "no-reparent-today");
    assert!(refusal.message.starts_with("host: Action::PlannedReparent("), "{}", refusal.message);
    let patches: Vec<_> =
        verdict.adjustments.iter().map(|a| (a.object, a.patch[0]["value"].clone())).collect();
    assert_eq!(patches, [(0, json!("p")), (1, json!("q"))]);
    // A rule proposes nothing, and the others review nothing.
    assert_eq!(set.propose(&view()).len(), 1);
    assert_eq!(set.statistics()[1].2.steps, 1);
}

#[test]
fn a_verdict_on_what_is_not_there_is_no_verdict() {
    let set = PolicySet::new(vec![reviewer("outside")]);
    let reviews = set.review(&Arc::clone(&view()), &steps(), &[]);
    let diagnostic = reviews[0].verdict.as_ref().unwrap_err();
    let words = "policy reviewer (slot rule): bad value: step 0, field refusals.step: is 99, there are 23";
    assert_eq!((diagnostic.code.as_str(), diagnostic.message.as_str()), ("PluginBadValue", words));
}
