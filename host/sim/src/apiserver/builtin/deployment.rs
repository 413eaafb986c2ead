//! What a Deployment's spec and status must keep to.

use serde_json::{Value, json};

use super::{pod, text, workload};
use crate::apiserver::selector;
use crate::apiserver::status::Cause;

/// Pods by a template that the selector finds, and always restarted: of Deployments and ReplicaSets.
pub(super) fn check_template(spec: &Value, causes: &mut Vec<Cause>) {
    workload::not_negative(spec, "spec", "replicas", causes);
    let labels = spec.pointer("/template/metadata/labels");
    selector::check_selector(spec.get("selector"), labels, "spec.selector", causes);
    pod::check_spec(&spec["template"]["spec"], "spec.template.spec", causes);
    let restart = &spec["template"]["spec"]["restartPolicy"];
    if *restart != json!("Always") {
        let allowed = ["\"Always\"".to_owned()];
        causes.push(Cause::unsupported("spec.template.spec.restartPolicy", restart, &allowed));
    }
}

pub(super) fn check(object: &Value, causes: &mut Vec<Cause>) {
    let spec = &object["spec"];
    check_template(spec, causes);
    check_strategy(&spec["strategy"], causes);
    for field in ["minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"] {
        workload::not_negative(spec, "spec", field, causes);
    }
    let seconds = |field: &str| spec[field].as_i64().unwrap_or(0);
    if seconds("progressDeadlineSeconds") <= seconds("minReadySeconds") {
        let why = "must be greater than minReadySeconds";
        let given = &spec["progressDeadlineSeconds"];
        causes.push(Cause::invalid("spec.progressDeadlineSeconds", given, why));
    }
    check_status(&object["status"], causes);
}

fn check_strategy(strategy: &Value, causes: &mut Vec<Cause>) {
    let rolling = &strategy["rollingUpdate"];
    match text(strategy, "/type") {
        "Recreate" if rolling.is_null() => {}
        "Recreate" => {
            let why = "may not be specified when strategy `type` is 'Recreate'";
            causes.push(Cause::forbidden("spec.strategy.rollingUpdate", why));
        }
        "RollingUpdate" => {
            let path = "spec.strategy.rollingUpdate.maxUnavailable";
            let (away, surge) = (&rolling["maxUnavailable"], &rolling["maxSurge"]);
            workload::check_share(away, path, causes);
            workload::check_share(surge, "spec.strategy.rollingUpdate.maxSurge", causes);
            let none = |share: &Value| *share == json!(0) || *share == json!("0%");
            if none(away) && none(surge) {
                causes.push(Cause::invalid(path, away, "may not be 0 when `maxSurge` is 0"));
            }
            workload::check_at_most_all(away, path, causes);
        }
        _ => {
            let known = ["Recreate", "RollingUpdate"].map(|way| format!("{way:?}"));
            causes.push(Cause::unsupported("spec.strategy", strategy, &known));
        }
    }
}

fn check_status(status: &Value, causes: &mut Vec<Cause>) {
    let counts = ["updatedReplicas", "readyReplicas", "availableReplicas"];
    for field in ["observedGeneration", "replicas", "unavailableReplicas"].into_iter().chain(counts) {
        workload::not_negative(status, "status", field, causes);
    }
    let count = |field: &str| status[field].as_i64().unwrap_or(0);
    let mut at_most = |field: &str, most: &str, called: &str| {
        if count(field) > count(most) {
            let why = format!("cannot be greater than {called}");
            causes.push(Cause::invalid(format!("status.{field}"), &json!(count(field)), why));
        }
    };
    for field in counts {
        at_most(field, "replicas", "status.replicas");
    }
    at_most("availableReplicas", "readyReplicas", "readyReplicas");
}
