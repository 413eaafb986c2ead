//! Defaults of Deployments, ReplicaSets and Jobs; disruption budgets and autoscalers.

use serde_json::{Value, json};

use super::{default, deployment, immutable, job, pod, text};
use crate::apiserver::kinds::Kind;
use crate::apiserver::selector;
use crate::apiserver::status::Cause;

pub(super) fn add_defaults(kind: &Kind, object: &mut Value) {
    let spec = &mut object["spec"];
    match &*kind.id.resource {
        "deployments" => {
            default(spec, "replicas", json!(1));
            default(spec, "revisionHistoryLimit", json!(10));
            default(spec, "progressDeadlineSeconds", json!(600));
            default(&mut spec["strategy"], "type", json!("RollingUpdate"));
            if text(spec, "/strategy/type") == "RollingUpdate" {
                let rolling = &mut spec["strategy"]["rollingUpdate"];
                default(rolling, "maxUnavailable", json!("25%"));
                default(rolling, "maxSurge", json!("25%"));
            }
            pod::add_spec_defaults(&mut spec["template"]["spec"]);
        }
        "replicasets" => {
            default(spec, "replicas", json!(1));
            pod::add_spec_defaults(&mut spec["template"]["spec"]);
        }
        "jobs" => {
            let once = spec["completions"].is_null() && spec["parallelism"].is_null();
            if let Some(map) = spec.as_object_mut() {
                map.retain(|_, value| !value.is_null());
            }
            if once {
                default(spec, "completions", json!(1));
            }
            default(spec, "parallelism", json!(1));
            default(spec, "backoffLimit", json!(6));
            default(spec, "completionMode", json!("NonIndexed"));
            default(spec, "suspend", json!(false));
            default(spec, "manualSelector", json!(false));
            default(spec, "podReplacementPolicy", json!("TerminatingOrFailed"));
            pod::add_spec_defaults(&mut spec["template"]["spec"]);
            job::add_label_defaults(object);
        }
        "horizontalpodautoscalers" => {
            default(spec, "minReplicas", json!(1));
            let metric = json!([{ "type": "Resource", "resource": { "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 80 } } }]);
            default(spec, "metrics", metric);
            if spec.get("behavior").is_some_and(Value::is_object) {
                add_scaling_defaults(&mut spec["behavior"]);
            }
        }
        _ => {}
    }
}

/// How fast an autoscaler may scale, where its object says anything of that at all.
fn add_scaling_defaults(behavior: &mut Value) {
    let policy = |kind: &str, value: u32| json!({ "type": kind, "value": value, "periodSeconds": 15 });
    for (direction, policies) in [
        ("scaleUp", json!([policy("Pods", 4), policy("Percent", 100)])),
        ("scaleDown", json!([policy("Percent", 100)])),
    ] {
        default(&mut behavior[direction], "selectPolicy", json!("Max"));
        default(&mut behavior[direction], "policies", policies);
    }
    default(&mut behavior["scaleUp"], "stabilizationWindowSeconds", json!(0));
}

pub(super) fn check(kind: &Kind, object: &Value, causes: &mut Vec<Cause>) {
    let spec = &object["spec"];
    match &*kind.id.resource {
        "deployments" => deployment::check(object, causes),
        "replicasets" => deployment::check_template(spec, causes),
        "jobs" => job::check(object, causes),
        "poddisruptionbudgets" => check_budget(spec, causes),
        "horizontalpodautoscalers" => {
            let most = spec["maxReplicas"].as_i64().unwrap_or(0);
            let least = spec["minReplicas"].as_i64().unwrap_or(1);
            if most < 1 {
                causes.push(Cause::invalid(
                    "spec.maxReplicas",
                    &spec["maxReplicas"],
                    "must be greater than 0",
                ));
            } else if most < least {
                causes.push(Cause::invalid(
                    "spec.maxReplicas",
                    &spec["maxReplicas"],
                    "must be greater than or equal to `minReplicas`",
                ));
            }
            for field in ["kind", "name"] {
                if text(&spec["scaleTargetRef"], &format!("/{field}")).is_empty() {
                    causes.push(Cause::required(format!("spec.scaleTargetRef.{field}"), ""));
                }
            }
        }
        _ => {}
    }
}

fn check_budget(spec: &Value, causes: &mut Vec<Cause>) {
    if !spec["minAvailable"].is_null() && !spec["maxUnavailable"].is_null() {
        causes.push(Cause::invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set"));
    }
    for field in ["minAvailable", "maxUnavailable"] {
        check_share(&spec[field], &format!("spec.{field}"), causes);
        check_at_most_all(&spec[field], &format!("spec.{field}"), causes);
    }
    selector::check_requirements(&spec["selector"], "spec.selector", causes);
    let policy = &spec["unhealthyPodEvictionPolicy"];
    if !policy.is_null() && !["AlwaysAllow", "IfHealthyBudget"].contains(&policy.as_str().unwrap_or("")) {
        let known = ["AlwaysAllow", "IfHealthyBudget"].map(|policy| format!("{policy:?}"));
        causes.push(Cause::unsupported("spec.unhealthyPodEvictionPolicy", policy, &known));
    }
}

/// A count that is not negative, or a percentage.
pub(super) fn check_share(share: &Value, path: &str, causes: &mut Vec<Cause>) {
    let why = match share {
        Value::String(_) if percent(share).is_none() => {
            "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"
        }
        Value::Number(_) if share.as_i64().is_some_and(|count| count < 0) => {
            "must be greater than or equal to 0"
        }
        _ => return,
    };
    causes.push(Cause::invalid(path, share, why));
}

pub(super) fn check_at_most_all(share: &Value, path: &str, causes: &mut Vec<Cause>) {
    if percent(share).is_some_and(|percent| percent > 100) {
        causes.push(Cause::invalid(path, share, "must not be greater than 100%"));
    }
}

fn percent(share: &Value) -> Option<u64> {
    let digits = share.as_str()?.strip_suffix('%')?;
    digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| digits.parse().ok())?
}

pub(super) fn not_negative(part: &Value, path: &str, field: &str, causes: &mut Vec<Cause>) {
    if part[field].as_i64().is_some_and(|count| count < 0) {
        causes.push(Cause::invalid(
            format!("{path}.{field}"),
            &part[field],
            "must be greater than or equal to 0",
        ));
    }
}

pub(super) fn check_update(kind: &Kind, new: &Value, old: &Value, causes: &mut Vec<Cause>) {
    let why = "field is immutable";
    immutable("spec.selector", &new["spec"]["selector"], &old["spec"]["selector"], why, causes);
    if &*kind.id.resource == "jobs" {
        job::check_update(new, old, causes);
    }
}
