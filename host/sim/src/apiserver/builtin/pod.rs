//! Pods and Pod templates.

use serde_json::{Value, json};

use super::{default, text};
use crate::apiserver::metadata;
use crate::apiserver::quantity;
use crate::apiserver::status::Cause;

pub(super) fn add_defaults(object: &mut Value) {
    add_spec_defaults(&mut object["spec"]);
    default(&mut object["spec"], "enableServiceLinks", json!(true));
    if object["status"].is_object() {
        join_addresses(&mut object["status"]);
    }
}

/// A Pod's address stands twice; the single one counts where they differ.
fn join_addresses(status: &mut Value) {
    let first = text(status, "/podIPs/0/ip").to_owned();
    let single = text(status, "/podIP").to_owned();
    if single.is_empty() && !first.is_empty() {
        status["podIP"] = json!(first);
    } else if single != first {
        status["podIPs"] = json!([{ "ip": single }]);
    }
}

/// Defaults of a Pod's spec, also inside a template.
pub(super) fn add_spec_defaults(spec: &mut Value) {
    default(spec, "restartPolicy", json!("Always"));
    default(spec, "terminationGracePeriodSeconds", json!(30));
    default(spec, "dnsPolicy", json!("ClusterFirst"));
    default(spec, "schedulerName", json!("default-scheduler"));
    default(spec, "securityContext", json!({}));
    if !text(spec, "/serviceAccountName").is_empty() {
        spec["serviceAccount"] = spec["serviceAccountName"].clone();
    }
    let on_host = spec["hostNetwork"] == json!(true);
    for list in ["containers", "initContainers"] {
        for container in spec[list].as_array_mut().into_iter().flatten() {
            add_container_defaults(container);
            let ports = container.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten();
            for port in ports.filter(|_| on_host) {
                let own = port["containerPort"].clone();
                default(port, "hostPort", own);
            }
        }
    }
    for volume in spec["volumes"].as_array_mut().into_iter().flatten() {
        add_volume_defaults(volume);
    }
    // `spec[list]` above leaves nulls where there was nothing.
    if let Some(map) = spec.as_object_mut() {
        map.retain(|name, value| !value.is_null() || name == "containers");
    }
}

fn add_container_defaults(container: &mut Value) {
    let image = text(container, "/image").to_owned();
    let last = image.rsplit('/').next().unwrap_or("");
    let floating =
        !last.is_empty() && !last.contains('@') && (!last.contains(':') || last.ends_with(":latest"));
    default(container, "imagePullPolicy", json!(if floating { "Always" } else { "IfNotPresent" }));
    default(container, "terminationMessagePath", json!("/dev/termination-log"));
    default(container, "terminationMessagePolicy", json!("File"));
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let Some(probe) = container.get_mut(probe).filter(|probe| probe.is_object()) else { continue };
        default(probe, "timeoutSeconds", json!(1));
        default(probe, "periodSeconds", json!(10));
        default(probe, "successThreshold", json!(1));
        default(probe, "failureThreshold", json!(3));
        if let Some(get) = probe.get_mut("httpGet").filter(|get| get.is_object()) {
            default(get, "path", json!("/"));
            default(get, "scheme", json!("HTTP"));
        }
    }
    if let Some(env) = container.get_mut("env").and_then(Value::as_array_mut) {
        for variable in env {
            if let Some(field) = variable.pointer_mut("/valueFrom/fieldRef") {
                default(field, "apiVersion", json!("v1"));
            }
        }
    }
    let limits =
        container.pointer("/resources/limits").and_then(Value::as_object).cloned().unwrap_or_default();
    for (name, value) in limits {
        if container["resources"]["requests"].get(&name).is_none() {
            container["resources"]["requests"][name] = value;
        }
    }
}

fn add_volume_defaults(volume: &mut Value) {
    for source in ["secret", "configMap", "projected", "downwardAPI"] {
        if let Some(source) = volume.get_mut(source).filter(|source| source.is_object()) {
            default(source, "defaultMode", json!(420));
        }
    }
    if let Some(path) = volume.get_mut("hostPath").filter(|path| path.is_object()) {
        default(path, "type", json!(""));
    }
    add_item_defaults(volume.pointer_mut("/downwardAPI/items"));
    if let Some(sources) = volume.pointer_mut("/projected/sources").and_then(Value::as_array_mut) {
        for source in sources {
            add_item_defaults(source.pointer_mut("/downwardAPI/items"));
            if let Some(token) = source.get_mut("serviceAccountToken") {
                default(token, "expirationSeconds", json!(3600));
            }
        }
    }
    if volume.as_object().is_some_and(|map| map.len() == 1 && map.contains_key("name")) {
        volume["emptyDir"] = json!({});
    }
}

fn add_item_defaults(items: Option<&mut Value>) {
    for item in items.and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(field) = item.get_mut("fieldRef").filter(|field| field.is_object()) {
            default(field, "apiVersion", json!("v1"));
        }
    }
}

/// A new Pod's status, and what default admission adds (DefaultTolerationSeconds).
pub(super) fn prepare_create(object: &mut Value) {
    add_tolerations(&mut object["spec"]);
    object["status"] = json!({ "phase": "Pending", "qosClass": qos_class(&object["spec"]) });
}

/// What the same admission does on a change: it puts its own additions back.
pub(super) fn prepare_update(new: &mut Value, old: &Value) {
    for field in ["priority", "preemptionPolicy"] {
        if let Some(value) = old["spec"].get(field) {
            default(&mut new["spec"], field, value.clone());
        }
    }
    add_tolerations(&mut new["spec"]);
    if let Some(class) = old["status"].get("qosClass") {
        new["status"]["qosClass"] = class.clone();
    }
}

fn add_tolerations(spec: &mut Value) {
    let listed = spec.get("tolerations").and_then(Value::as_array).cloned().unwrap_or_default();
    let tolerates = |key: &str| {
        listed.iter().any(|toleration| {
            let own = text(toleration, "/key");
            let effect = text(toleration, "/effect");
            (own == key || own.is_empty()) && (effect == "NoExecute" || effect.is_empty())
        })
    };
    let mut all = listed.clone();
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        if !tolerates(key) {
            all.push(
                json!({ "key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300 }),
            );
        }
    }
    if !all.is_empty() {
        spec["tolerations"] = Value::Array(all);
    }
}

fn qos_class(spec: &Value) -> &'static str {
    let containers: Vec<&Value> = ["containers", "initContainers"]
        .iter()
        .flat_map(|list| spec.get(*list).and_then(Value::as_array).into_iter().flatten())
        .collect();
    let amount = |container: &Value, side: &str, name: &str| {
        container["resources"][side].get(name).and_then(quantity::of_value).filter(|amount| *amount > 0)
    };
    let any = containers.iter().any(|container| {
        ["requests", "limits"]
            .iter()
            .any(|side| ["cpu", "memory"].iter().any(|name| amount(container, side, name).is_some()))
    });
    let full = containers.iter().all(|container| {
        ["cpu", "memory"].iter().all(|name| {
            let limit = amount(container, "limits", name);
            limit.is_some() && amount(container, "requests", name) == limit
        })
    });
    match (any, full) {
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
        (false, _) => "BestEffort",
    }
}

/// The basics of a Pod's spec.
pub(super) fn check_spec(spec: &Value, path: &str, causes: &mut Vec<Cause>) {
    if spec["containers"].as_array().is_none_or(Vec::is_empty) {
        causes.push(Cause::required(format!("{path}.containers"), ""));
    }
    let mut names: Vec<String> = Vec::new();
    for list in ["initContainers", "containers"] {
        for (at, container) in spec[list].as_array().into_iter().flatten().enumerate() {
            let here = format!("{path}.{list}[{at}]");
            check_container(container, &here, spec, causes);
            let name = text(container, "/name").to_owned();
            if !name.is_empty() && names.contains(&name) {
                causes.push(Cause::duplicate(format!("{here}.name"), &json!(name)));
            }
            names.push(name);
        }
    }
    let mut volumes: Vec<&str> = Vec::new();
    for (at, volume) in spec["volumes"].as_array().into_iter().flatten().enumerate() {
        let name = text(volume, "/name");
        let here = format!("{path}.volumes[{at}].name");
        if name.is_empty() {
            causes.push(Cause::required(here, ""));
        } else if let Some(why) = metadata::label_error(name) {
            causes.push(Cause::invalid(here, &json!(name), why));
        } else if volumes.contains(&name) {
            causes.push(Cause::duplicate(here, &json!(name)));
        }
        volumes.push(name);
    }
    let one_of = |field: &str, allowed: &[&str], causes: &mut Vec<Cause>| {
        if let Some(value) = spec.get(field).filter(|value| !allowed.contains(&value.as_str().unwrap_or("")))
        {
            let allowed: Vec<String> = allowed.iter().map(|word| format!("\"{word}\"")).collect();
            causes.push(Cause::unsupported(format!("{path}.{field}"), value, &allowed));
        }
    };
    one_of("restartPolicy", &["Always", "OnFailure", "Never"], causes);
    one_of("dnsPolicy", &["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"], causes);
    if spec["terminationGracePeriodSeconds"].as_i64().is_some_and(|seconds| seconds < 0) {
        let field = format!("{path}.terminationGracePeriodSeconds");
        causes.push(Cause::invalid(
            field,
            &spec["terminationGracePeriodSeconds"],
            "must be greater than or equal to 0",
        ));
    }
}

fn check_container(container: &Value, here: &str, spec: &Value, causes: &mut Vec<Cause>) {
    let name = text(container, "/name");
    if name.is_empty() {
        causes.push(Cause::required(format!("{here}.name"), ""));
    } else if let Some(why) = metadata::label_error(name) {
        causes.push(Cause::invalid(format!("{here}.name"), &json!(name), why));
    }
    if text(container, "/image").is_empty() {
        causes.push(Cause::required(format!("{here}.image"), ""));
    }
    for (at, mount) in container["volumeMounts"].as_array().into_iter().flatten().enumerate() {
        let wanted = &mount["name"];
        let known = spec["volumes"].as_array().into_iter().flatten().any(|volume| volume["name"] == *wanted);
        if !known {
            causes.push(Cause {
                reason: "FieldValueNotFound",
                message: format!("Not found: {wanted}"),
                field: format!("{here}.volumeMounts[{at}].name"),
            });
        }
    }
    for (at, port) in container["ports"].as_array().into_iter().flatten().enumerate() {
        let field = format!("{here}.ports[{at}].containerPort");
        let given = &port["containerPort"];
        match given.as_i64().unwrap_or(0) {
            0 => causes.push(Cause::required(field, "")),
            1..=65535 => {}
            _ => causes.push(Cause::invalid(field, given, "must be between 1 and 65535, inclusive")),
        }
    }
    let resources = &container["resources"];
    for (name, limit) in resources["limits"].as_object().into_iter().flatten() {
        let request = &resources["requests"][name];
        if let (Some(asked), Some(most)) = (quantity::of_value(request), quantity::of_value(limit))
            && asked > most
        {
            let field = format!("{here}.resources.requests");
            let why =
                format!("must be less than or equal to {name} limit of {}", limit.as_str().unwrap_or(""));
            causes.push(Cause::invalid(field, request, why));
        }
    }
}

/// Only a few fields of a Pod's spec may change.
pub(super) fn check_update(new: &Value, old: &Value, causes: &mut Vec<Cause>) {
    let mut expected = new["spec"].clone();
    let before = &old["spec"];
    for list in ["containers", "initContainers"] {
        let images: Vec<Value> = before[list]
            .as_array()
            .into_iter()
            .flatten()
            .map(|container| container["image"].clone())
            .collect();
        let mut none = Vec::new();
        let now = expected.get_mut(list).and_then(Value::as_array_mut).unwrap_or(&mut none);
        if now.len() != images.len() {
            let field = format!("spec.{list}");
            causes.push(Cause::forbidden(
                field,
                &format!(
                    "pod updates may not add or remove {}",
                    if list == "containers" { "containers" } else { "init containers" }
                ),
            ));
            return;
        }
        for (container, image) in now.iter_mut().zip(images) {
            container["image"] = image;
        }
    }
    let put_back = |expected: &mut Value, field: &str| match before.get(field) {
        Some(value) => expected[field] = value.clone(),
        None => {
            if let Some(map) = expected.as_object_mut() {
                map.remove(field);
            }
        }
    };
    let deadline = |spec: &Value| spec["activeDeadlineSeconds"].as_i64();
    if let Some(old) = deadline(before) {
        let why = match deadline(&new["spec"]) {
            None => Some("must not update from a positive integer to nil value"),
            Some(new) if new > old => Some("must be less than or equal to previous value"),
            Some(_) => None,
        };
        let given = &new["spec"]["activeDeadlineSeconds"];
        causes.extend(why.map(|why| Cause::invalid("spec.activeDeadlineSeconds", given, why)));
    }
    put_back(&mut expected, "activeDeadlineSeconds");
    let same = |a: &Value, b: &Value| {
        ["key", "operator", "value", "effect"].iter().all(|field| a.get(*field) == b.get(*field))
    };
    let kept = |old: &Value| {
        new["spec"]["tolerations"].as_array().into_iter().flatten().any(|toleration| same(toleration, old))
    };
    if !before["tolerations"].as_array().into_iter().flatten().all(kept) {
        let why = "existing toleration can not be modified except its tolerationSeconds";
        causes.push(Cause::forbidden("spec.tolerations", why));
    }
    put_back(&mut expected, "tolerations");
    // A gated Pod may lose gates; the scheduler's binding comes by its own door.
    let gates = |spec: &Value| spec["schedulingGates"].as_array().map_or(0, Vec::len);
    if gates(&new["spec"]) < gates(before) {
        put_back(&mut expected, "schedulingGates");
    }
    if expected != *before {
        causes.push(Cause::forbidden("spec", "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"));
    }
}
