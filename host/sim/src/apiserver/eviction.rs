//! Doors of a Pod for schedulers and drainers: binding, and eviction under disruption budgets.

use serde_json::{Value, json};

use super::delete::{self, DeleteOptions};
use super::http::{Answer, Asked, Call};
use super::kinds::{self, ObjectKey};
use super::selector::LabelSelector;
use super::state::State;
use super::status::Status;

/// What kubectl drain and others see as success.
fn success() -> Answer {
    Answer::json(
        201,
        &json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201 }),
    )
}

/// POST `pods/<name>/eviction`.
pub(crate) fn answer_evict(state: &mut State, call: &Call<'_>, asked: &Asked) -> Result<Answer, Status> {
    let body = call.json_body()?.unwrap_or_else(|| json!({}));
    let key = asked.key()?;
    let named = body["metadata"]["name"].as_str().unwrap_or(&key.name);
    if named != key.name {
        return Err(Status::bad_request("name in URL does not match name in Eviction object"));
    }
    let mut options = DeleteOptions::read(&body["deleteOptions"])?;
    options.dry_run |= call.dry_run()?;
    evict(state, &key.namespace, &key.name, &options)?;
    Ok(success())
}

/// Deletes a Pod if its disruption budget allows it, and notes that in the budget.
pub(crate) fn evict(
    state: &mut State,
    namespace: &str,
    name: &str,
    options: &DeleteOptions,
) -> Result<(), Status> {
    let kind = state.kinds.get(&kinds::PODS).cloned().ok_or_else(Status::no_such_path)?;
    let key = ObjectKey::new(kinds::PODS, namespace, name);
    let pod = state.store.get(&key).cloned().ok_or_else(|| Status::not_found(&kind, name))?;
    let phase = pod.value["status"]["phase"].as_str().unwrap_or("");
    let free = matches!(phase, "Succeeded" | "Failed" | "Pending")
        || !pod.value["metadata"]["deletionTimestamp"].is_null();
    if !free && let Some(budget) = budget_of(state, namespace, &pod.value)? {
        spend(state, &budget, &pod.value, name, options.dry_run)?;
    }
    delete::delete(state, &kind, &key, options).map(|_| ())
}

fn budget_of(state: &State, namespace: &str, pod: &Value) -> Result<Option<ObjectKey>, Status> {
    let Some(shelf) = state.store.shelf(&kinds::DISRUPTION_BUDGETS) else { return Ok(None) };
    let mut found = Vec::new();
    for ((of, name), budget) in &shelf.objects {
        let selector = &budget.value["spec"]["selector"];
        // An absent selector selects nothing, an empty one everything.
        if of == namespace && selector.is_object() && LabelSelector::of_object(selector).matches(pod) {
            found.push(ObjectKey::new(kinds::DISRUPTION_BUDGETS, of, name));
        }
    }
    if found.len() > 1 {
        return Err(Status::internal(
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
        ));
    }
    Ok(found.pop())
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

fn spend(
    state: &mut State,
    key: &ObjectKey,
    pod: &Value,
    pod_name: &str,
    dry_run: bool,
) -> Result<(), Status> {
    let Some(budget) = state.store.get(key).cloned() else { return Ok(()) };
    let status = &budget.value["status"];
    let number = |field: &str| status[field].as_i64().unwrap_or(0);
    let (desired, healthy) = (number("desiredHealthy"), number("currentHealthy"));
    if !is_ready(pod) {
        let always = budget.value["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow";
        if always || healthy >= desired && desired > 0 {
            return Ok(());
        }
    }
    if number("observedGeneration") < budget.value["metadata"]["generation"].as_i64().unwrap_or(0) {
        let mut refusal = Status::disruption_budget(&key.name, desired, healthy);
        refusal.details.causes[0].message =
            format!("The disruption budget {} is still being processed by the server.", key.name);
        refusal.details.retry_after = Some(10);
        return Err(refusal);
    }
    if number("disruptionsAllowed") < 0 {
        return Err(Status::internal("pdb disruptions allowed is negative"));
    }
    if number("disruptionsAllowed") == 0 {
        return Err(Status::disruption_budget(&key.name, desired, healthy));
    }
    if dry_run {
        return Ok(());
    }
    let mut changed = (*budget.value).clone();
    changed["status"]["disruptionsAllowed"] = json!(number("disruptionsAllowed") - 1);
    changed["status"]["disruptedPods"][pod_name] = json!(state.clock.timestamp());
    state.commit(key, changed);
    Ok(())
}

/// POST `pods/<name>/binding`.
pub(crate) fn answer_bind(state: &mut State, call: &Call<'_>, asked: &Asked) -> Result<Answer, Status> {
    let body = call.json_body()?.ok_or_else(|| Status::bad_request("the request has no body"))?;
    let key = asked.key()?;
    let target = &body["target"];
    if target["kind"].as_str().is_some_and(|kind| !kind.is_empty() && kind != "Node") {
        return Err(Status::bad_request(
            "target.kind: Unsupported value: supported values: \"Node\", \"<empty>\"",
        ));
    }
    let node = target["name"].as_str().unwrap_or("");
    if node.is_empty() {
        return Err(Status::bad_request("target.name: Required value"));
    }
    bind(state, &key.namespace, &key.name, node, body["metadata"]["uid"].as_str())?;
    Ok(success())
}

/// Sets a Pod's node once, and the condition that says so.
pub(crate) fn bind(
    state: &mut State,
    namespace: &str,
    name: &str,
    node: &str,
    uid: Option<&str>,
) -> Result<(), Status> {
    let kind = state.kinds.get(&kinds::PODS).cloned().ok_or_else(Status::no_such_path)?;
    let key = ObjectKey::new(kinds::PODS, namespace, name);
    let pod = state.store.get(&key).cloned().ok_or_else(|| Status::not_found(&kind, name))?;
    let object = &pod.value;
    let own = object["metadata"]["uid"].as_str().unwrap_or("");
    if let Some(wanted) = uid.filter(|wanted| !wanted.is_empty() && *wanted != own) {
        let why = format!("Precondition failed: UID in precondition: {wanted}, UID in object meta: {own}");
        return Err(Status::conflict(&kind, name, &why));
    }
    if !object["metadata"]["deletionTimestamp"].is_null() {
        return Err(Status::conflict(
            &kind,
            name,
            &format!("pod {name} is being deleted, cannot be assigned to a host"),
        ));
    }
    if let Some(bound) = object["spec"]["nodeName"].as_str().filter(|bound| !bound.is_empty()) {
        return Err(Status::conflict(
            &kind,
            name,
            &format!("pod {name} is already assigned to node \"{bound}\""),
        ));
    }
    if object["spec"]["schedulingGates"].as_array().is_some_and(|gates| !gates.is_empty()) {
        return Err(Status::conflict(
            &kind,
            name,
            &format!("pod {name} has non-empty .spec.schedulingGates"),
        ));
    }
    let mut changed = (**object).clone();
    changed["spec"]["nodeName"] = json!(node);
    let generation = changed["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
    changed["metadata"]["generation"] = json!(generation);
    let scheduled = json!({
        "type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": state.clock.timestamp(),
    });
    let mut conditions = changed["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.retain(|condition| condition["type"] != "PodScheduled");
    conditions.push(scheduled);
    changed["status"]["conditions"] = Value::Array(conditions);
    state.commit(&key, changed);
    Ok(())
}
