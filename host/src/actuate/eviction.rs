//! Eviction: how a Pod goes that others may count on, so that disruption budgets, people's too, have their say.
//!
//! Whose "no" it was is told as such, and never answered by a plain deletion.

use kube::api::DynamicObject;
use pilothouse_core::action::ObjectRef;
use serde_json::{Value, json};

use super::{Effects, Error};
use crate::cache::ClusterKey;

/// What the server names the cause of its "no" where it is a budget.
const BUDGET: &str = "DisruptionBudget";

impl Effects {
    /// Removes the Pod of that UID, as it is now. One that is not ready is deleted: no budget counts it,
    /// and what is broken has to be replaced while others are broken too.
    pub(super) async fn evict(&self, key: &ClusterKey, pod: &ObjectRef, uid: &str) -> Result<(), Error> {
        let Some(found) = self.standing(key, pod, uid).await? else { return Ok(()) };
        if !is_ready(&found) {
            return self.remove(key, pod, &found).await;
        }
        let ObjectRef { namespace, name, .. } = pod;
        // The client's own call leaves the preconditions out: it spells `deleteOptions` otherwise.
        let body = json!({
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": { "name": name, "namespace": namespace },
            "deleteOptions": {
                "preconditions": { "uid": uid, "resourceVersion": found.metadata.resource_version },
            },
        });
        let request = http::Request::post(format!("/api/v1/namespaces/{namespace}/pods/{name}/eviction"))
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(body.to_string().into_bytes())
            .map_err(kube::Error::HttpError)?;
        self.telemetry.metrics.api_writes.inc();
        self.client.request::<Value>(request).await.map(|_| ()).map_err(refused)
    }
}

fn is_ready(pod: &DynamicObject) -> bool {
    let conditions = pod.data.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().any(|c| c["type"] == "Ready" && c["status"] == "True")
}

/// The server's "no", as a budget's where it was one.
fn refused(error: kube::Error) -> Error {
    let causes = match &error {
        kube::Error::Api(status) if status.code == 429 => status.details.as_ref().map(|d| &d.causes),
        _ => None,
    };
    match causes.into_iter().flatten().find(|cause| cause.reason == BUDGET) {
        Some(cause) => Error::Budget(cause.message.clone()),
        None => error.into(),
    }
}
