//! Kubernetes Events that the played controllers record.
//!
//! One object for each (object, reason, message); repeats count up. Must not be
//! read by anything that decides.

use serde_json::{Value, json};

use super::objects::{name, number, text, uid};
use super::places::hash;
use super::state::State;
use crate::apiserver::kinds::EVENTS;
use crate::clock::timestamp_of;

impl State {
    /// Records an event about an object.
    pub(crate) fn event(&mut self, about: &Value, kind: &str, reason: &str, message: &str) {
        let id = hash(0, reason, &format!("{} {message}", uid(about)));
        let event = format!("{}.{id:016x}", name(about));
        let namespace = text(about, "/metadata/namespace");
        let at = (if namespace.is_empty() { "default" } else { namespace }.to_owned(), event);
        let now = timestamp_of(self.now);
        if let Some(old) = self.objects.get(&EVENTS, &at) {
            let count = number(&old, "/count").unwrap_or(1) + 1;
            self.patch(&EVENTS, &at, json!({ "count": count, "lastTimestamp": now }));
            return;
        }
        let object = json!({
            "apiVersion": "v1", "kind": "Event",
            "metadata": { "namespace": at.0, "name": at.1 },
            "involvedObject": {
                "apiVersion": about["apiVersion"], "kind": about["kind"], "namespace": namespace,
                "name": name(about), "uid": uid(about),
            },
            "type": kind, "reason": reason, "message": message, "count": 1,
            "firstTimestamp": now, "lastTimestamp": now,
            "source": { "component": "played-world" }, "reportingComponent": "played-world",
        });
        self.create(&EVENTS, object);
    }
}
