//! Written sequences: what random requests meet too seldom to be relied on.
//!
//! Must not know any answer.

use serde_json::{Value, json};

use crate::script::{Body, Part, Request};

const JSON: &str = "application/json";
const MERGE_PATCH: &str = "application/merge-patch+json";

/// Requests on one name of one kind.
struct Writing {
    resource: &'static str,
    kind: &'static str,
    done: Vec<Request>,
}

/// All of them.
pub(super) fn sequences() -> Vec<Vec<Request>> {
    vec![ended_while_it_stops(), no_more_orphans()]
}

/// A Pod that was given time ends, and is deleted again with less.
fn ended_while_it_stops() -> Vec<Request> {
    let mut writing = Writing { resource: "pods", kind: "Pod", done: Vec::new() };
    let spec = json!({ "nodeName": "n", "containers": [{ "name": "c", "image": "i:1" }] });
    writing.create(json!({ "spec": spec }));
    writing.delete(json!({}));
    let ended = json!({ "status": { "phase": "Succeeded" } });
    writing.add("PATCH", Some("status"), MERGE_PATCH, Body::Json(ended));
    for seconds in [5, 7, 0] {
        writing.delete(json!({ "gracePeriodSeconds": seconds }));
        writing.read();
    }
    writing.done
}

/// Dependents were to be orphaned, and are not any more: by who knows the version, and by who does not.
fn no_more_orphans() -> Vec<Request> {
    let mut writing = Writing { resource: "configmaps", kind: "ConfigMap", done: Vec::new() };
    writing.create(json!({ "data": { "a": "1" } }));
    let version = Part::Version.of(writing.done.len());
    writing.delete(json!({ "propagationPolicy": "Orphan" }));
    let preconditions = json!({ "resourceVersion": version });
    writing.delete(json!({ "propagationPolicy": "Background", "preconditions": preconditions }));
    writing.read();
    writing.delete(json!({ "propagationPolicy": "Background" }));
    writing.read();
    writing.done
}

impl Writing {
    fn add(
        &mut self,
        method: &'static str,
        subresource: Option<&'static str>,
        media_type: &'static str,
        body: Body,
    ) {
        self.done.push(Request {
            id: self.done.len(),
            method,
            path: "api/v1".to_owned(),
            resource: self.resource.to_owned(),
            kind: self.kind.to_owned(),
            name: (method != "POST").then(|| "a".to_owned()),
            subresource,
            query: Vec::new(),
            media_type,
            body,
        });
    }

    fn create(&mut self, mut object: Value) {
        object["metadata"]["name"] = json!("a");
        self.add("POST", None, JSON, Body::Json(object));
    }

    fn delete(&mut self, mut options: Value) {
        options["apiVersion"] = json!("v1");
        options["kind"] = json!("DeleteOptions");
        self.add("DELETE", None, JSON, Body::Json(options));
    }

    fn read(&mut self) {
        self.add("GET", None, JSON, Body::Nothing);
    }
}
