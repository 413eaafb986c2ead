//! What a Job must keep to, and what of it is made by the server: its selector, and the labels by which it knows its Pods.

use serde_json::{Map, Value, json};

use super::{immutable, pod, text, workload};
use crate::apiserver::selector;
use crate::apiserver::status::{Cause, Status};

/// The labels that a Job without any gets of its template.
fn missing_labels(object: &Value) -> Option<&Value> {
    let own = object["metadata"].get("labels").and_then(Value::as_object);
    object.pointer("/spec/template/metadata/labels").filter(|_| own.is_none_or(Map::is_empty))
}

pub(super) fn add_label_defaults(object: &mut Value) {
    if let Some(labels) = missing_labels(object).cloned() {
        object["metadata"]["labels"] = labels;
    }
}

/// A status written without labels takes the Job's away; the real server then keeps none and shows the template's.
pub(super) fn check_labels_stay(new: &Value) -> Result<(), Status> {
    match missing_labels(new) {
        Some(_) => Err(Status::unsupported("taking a Job's labels away through its status")),
        None => Ok(()),
    }
}

/// The labels by which a Job knows its Pods, with their values.
fn generated(object: &Value) -> [(&'static str, &Value); 4] {
    let (uid, name) = (&object["metadata"]["uid"], &object["metadata"]["name"]);
    [
        ("controller-uid", uid),
        ("batch.kubernetes.io/controller-uid", uid),
        ("job-name", name),
        ("batch.kubernetes.io/job-name", name),
    ]
}

/// The selector and labels of a new Job.
pub(super) fn prepare(object: &mut Value) {
    object["status"] = json!({});
    if object["spec"]["manualSelector"] == json!(true) {
        return;
    }
    let labels: Vec<(&str, Value)> =
        generated(object).into_iter().map(|(label, value)| (label, value.clone())).collect();
    object["spec"]["selector"] = json!({ "matchLabels": { labels[1].0: labels[1].1 } });
    for (label, value) in labels {
        object["spec"]["template"]["metadata"]["labels"][label] = value;
    }
    if object["metadata"].get("labels").and_then(Value::as_object).is_none_or(Map::is_empty) {
        let of_pods = object["spec"]["template"]["metadata"]["labels"].clone();
        object["metadata"]["labels"] = of_pods;
    }
}

pub(super) fn check(object: &Value, causes: &mut Vec<Cause>) {
    let spec = &object["spec"];
    let counts =
        ["parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished"];
    for field in counts {
        workload::not_negative(spec, "spec", field, causes);
    }
    let labels = spec.pointer("/template/metadata/labels");
    selector::check_selector(spec.get("selector"), labels, "spec.selector", causes);
    pod::check_spec(&spec["template"]["spec"], "spec.template.spec", causes);
    if text(spec, "/template/spec/restartPolicy") == "Always" {
        let valid = "valid values: \"OnFailure\", \"Never\"";
        causes.push(Cause::required("spec.template.spec.restartPolicy", valid));
    }
    for field in ["active", "succeeded", "failed", "ready", "terminating"] {
        workload::not_negative(&object["status"], "status", field, causes);
    }
}

pub(super) fn check_update(new: &Value, old: &Value, causes: &mut Vec<Cause>) {
    let why = "field is immutable";
    for field in ["template", "completions", "completionMode"] {
        immutable(&format!("spec.{field}"), &new["spec"][field], &old["spec"][field], why, causes);
    }
    if !new["spec"]["selector"].is_object() || new["spec"]["manualSelector"] == json!(true) {
        return;
    }
    let labels = &new["spec"]["template"]["metadata"]["labels"];
    for (label, value) in generated(new) {
        let path = format!("spec.template.metadata.labels[{label}]");
        let why = format!("must be '{}'", value.as_str().unwrap_or(""));
        match labels.get(label) {
            None => causes.push(Cause::required(path, &why)),
            Some(given) if given != value => causes.push(Cause::invalid(path, labels, why)),
            Some(_) => {}
        }
    }
    if new["spec"]["selector"]["matchLabels"]["batch.kubernetes.io/controller-uid"] != new["metadata"]["uid"]
    {
        let why = "`selector` not auto-generated";
        causes.push(Cause::invalid("spec.selector", &new["spec"]["selector"], why));
    }
}

/// What whoever deletes a Job without saying what becomes of its Pods is warned of.
pub(crate) const DELETION_WARNING: &str = "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning";
