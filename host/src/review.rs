//! What rule plugins say of a plan, as refusals and adjusted objects.
//!
//! Owns the allow-list of paths that a rule may adjust. A rule that fails lets
//! nothing through that it has not seen: its failure refuses every step of a policy.

use std::collections::BTreeMap;
use std::sync::Arc;

use pilothouse_core::action::{Action, ObjectRef};
use pilothouse_core::guard::Why;
use pilothouse_core::plan::{Author, Refusal, Step};
use pilothouse_core::view::ClusterView;
use pilothouse_policy::convert::{Adjustment, RenderedObject, Verdict};
use pilothouse_policy::set::PolicySet;

use crate::kinds::Kind;
use crate::render::Rendered;

/// Where a rule may write in a rendered object (RFC 6901 prefixes; `*` is one list index).
const ADJUSTABLE: &[&str] = &[
    "/metadata/annotations/",
    "/metadata/labels/",
    "/spec/tolerations/",
    "/spec/topologySpreadConstraints/",
    "/spec/priorityClassName",
    "/spec/containers/*/resources/",
    "/spec/template/metadata/annotations/",
    "/spec/template/spec/tolerations/",
    "/spec/template/spec/topologySpreadConstraints/",
    "/spec/template/spec/priorityClassName",
    "/spec/template/spec/containers/*/resources/",
];

/// What begins our own annotations, as a path has it.
const OUR_ANNOTATIONS: &str = "/metadata/annotations/pilothouse.dev~1";

/// Asks every rule about the plan and the objects that it would write.
#[must_use]
pub fn ask(
    policies: &PolicySet,
    view: &Arc<ClusterView>,
    steps: &[Step],
    objects: &mut BTreeMap<ObjectRef, Arc<Rendered>>,
) -> Vec<Refusal> {
    let written: Vec<ObjectRef> = steps
        .iter()
        .filter_map(
            |s| if let Action::Apply { object, .. } = &s.action { Some(object.clone()) } else { None },
        )
        .filter(|object| objects.contains_key(object))
        .collect();
    let texts: Vec<RenderedObject> = written.iter().map(|object| text(object, &objects[object])).collect();
    let mut refusals = Vec::new();
    for review in policies.review(view, steps, &texts) {
        let rule = format!("rule/{}", review.plugin);
        match review.verdict {
            Ok(verdict) => refusals.extend(take(&rule, verdict, steps, &written, objects)),
            Err(said) => {
                let of_policies = steps.iter().filter(|s| s.author != Author::Host);
                refusals.extend(of_policies.map(|s| veto(&rule, s, &said.code, &said.message)));
            }
        }
    }
    refusals
}

/// The object as a rule sees it: of a Secret, all but what it keeps.
fn text(object: &ObjectRef, rendered: &Rendered) -> RenderedObject {
    let ObjectRef { kind, namespace, name } = object.clone();
    let json = if kind == Kind::Secret.as_str() {
        let mut shown = rendered.value.clone();
        shown.as_object_mut().and_then(|fields| fields.remove("data"));
        shown.to_string()
    } else {
        rendered.value.to_string()
    };
    RenderedObject { kind, namespace, name, json }
}

fn take(
    rule: &str,
    verdict: Verdict,
    steps: &[Step],
    written: &[ObjectRef],
    objects: &mut BTreeMap<ObjectRef, Arc<Rendered>>,
) -> Vec<Refusal> {
    let mut refusals: Vec<Refusal> = verdict
        .refusals
        .iter()
        .filter_map(|r| Some(veto(rule, steps.get(r.step)?, &r.code, &r.message)))
        .collect();
    for Adjustment { object, patch } in verdict.adjustments {
        let Some(target) = written.get(object) else { continue };
        if let Err(reason) = adjust(objects, target, &patch) {
            let step =
                steps.iter().find(|s| matches!(&s.action, Action::Apply { object, .. } if object == target));
            refusals.extend(step.map(|s| veto(rule, s, "BadAdjustment", &reason)));
        }
    }
    refusals
}

fn adjust(
    objects: &mut BTreeMap<ObjectRef, Arc<Rendered>>,
    target: &ObjectRef,
    patch: &serde_json::Value,
) -> Result<(), String> {
    let patch: json_patch::Patch =
        serde_json::from_value(patch.clone()).map_err(|e| format!("{target}: no JSON Patch: {e}"))?;
    for operation in &patch.0 {
        let path = operation.path().to_string();
        if !is_adjustable(&path) {
            return Err(format!("{target}: {path} is not a path that rules may adjust"));
        }
        if matches!(operation, json_patch::PatchOperation::Move(_) | json_patch::PatchOperation::Copy(_)) {
            return Err(format!(
                "{target}: {path}: rules may add, replace, remove and test, not move or copy"
            ));
        }
    }
    let Some(rendered) = objects.get(target) else { return Ok(()) };
    let mut value = rendered.value.clone();
    json_patch::patch(&mut value, &patch.0).map_err(|e| format!("{target}: {e}"))?;
    let adjusted = Rendered { object: target.clone(), value, initial: rendered.initial.clone() };
    objects.insert(target.clone(), Arc::new(adjusted));
    Ok(())
}

/// Our own annotations say whether claims outlive a cluster, and what is paused: people's to write.
fn is_adjustable(path: &str) -> bool {
    !path.starts_with(OUR_ANNOTATIONS)
        && ADJUSTABLE.iter().any(|allowed| {
            let exact = !allowed.ends_with('/');
            let mut given = path.split('/');
            let matches = allowed.trim_end_matches('/').split('/').all(|segment| {
                given.next().is_some_and(|g| {
                    segment == g || (segment == "*" && g.bytes().all(|b| b.is_ascii_digit()))
                })
            });
            let rest = given.next();
            matches && (if exact { rest.is_none() } else { rest.is_some() })
        })
}

fn veto(rule: &str, step: &Step, code: &str, message: &str) -> Refusal {
    let why = Why::Vetoed { code: code.to_owned(), message: message.to_owned() };
    Refusal { step: step.clone(), rule: rule.to_owned(), why }
}

#[cfg(test)]
mod tests {
    use pilothouse_core::action::ObjectRef;
    use serde_json::json;

    use super::{is_adjustable, text};
    use crate::render::Rendered;

    #[test]
    fn a_rule_does_not_see_what_a_secret_keeps() {
        let seen = |kind: &str| {
            let object = ObjectRef { kind: kind.to_owned(), namespace: "n".to_owned(), name: "a".to_owned() };
            let value = json!({ "kind": kind, "metadata": { "name": "a" }, "data": { "key": "a2V5" } });
            text(&object, &Rendered { object: object.clone(), value, initial: None }).json
        };
        assert_eq!(seen("Secret"), r#"{"kind":"Secret","metadata":{"name":"a"}}"#);
        assert!(seen("ConfigMap").contains("a2V5"));
    }

    #[test]
    fn rules_reach_only_the_listed_paths() {
        for path in [
            "/metadata/annotations/team",
            "/spec/tolerations/0",
            "/spec/priorityClassName",
            "/spec/containers/0/resources/limits/memory",
        ] {
            assert!(is_adjustable(path), "{path}");
        }
        for path in [
            "",
            "/metadata/annotations",
            "/metadata/annotations/pilothouse.dev~1claims-when-deleted",
            "/metadata/name",
            "/metadata/ownerReferences/0",
            "/spec/priorityClassName/x",
            "/spec/containers/0/image",
            "/spec/containers/first/resources/limits",
            "/spec/volumes/0",
        ] {
            assert!(!is_adjustable(path), "{path}");
        }
    }
}
