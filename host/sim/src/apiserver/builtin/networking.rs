//! Services and network policies.

use serde_json::{Value, json};

use super::{default, immutable, text};
use crate::apiserver::kinds::{self, Kind};
use crate::apiserver::metadata;
use crate::apiserver::state::State;
use crate::apiserver::status::{Cause, Status};

const PORT_NUMBER: &str = "must be between 1 and 65535, inclusive";

pub(super) fn add_service_defaults(object: &mut Value) {
    let spec = &mut object["spec"];
    default(spec, "sessionAffinity", json!("None"));
    default(spec, "type", json!("ClusterIP"));
    match text(spec, "/sessionAffinity") {
        "ClientIP" => {
            default(spec, "sessionAffinityConfig", json!({ "clientIP": { "timeoutSeconds": 10800 } }));
        }
        "None" => drop(spec.as_object_mut().and_then(|spec| spec.remove("sessionAffinityConfig"))),
        _ => {}
    }
    for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        if matches!(&port["targetPort"], Value::Null)
            || port["targetPort"] == json!(0)
            || port["targetPort"] == json!("")
        {
            port["targetPort"] = port["port"].clone();
        }
    }
    let kind = text(spec, "/type").to_owned();
    if kind != "ExternalName" {
        default(spec, "internalTrafficPolicy", json!("Cluster"));
    }
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer") {
        default(spec, "externalTrafficPolicy", json!("Cluster"));
    }
    if kind == "LoadBalancer" {
        default(spec, "allocateLoadBalancerNodePorts", json!(true));
    }
}

pub(super) fn add_policy_defaults(object: &mut Value) {
    let egress = !object["spec"]["egress"].is_null();
    if let Some(map) = object["spec"].as_object_mut() {
        map.retain(|_, value| !value.is_null());
    }
    let types = if egress { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) };
    default(&mut object["spec"], "policyTypes", types);
}

/// Addresses and node ports: kept from before, or allotted.
pub(super) fn prepare_service(
    state: &mut State,
    kind: &Kind,
    object: &mut Value,
    old: Option<&Value>,
) -> Result<(), Status> {
    if old.is_none() {
        object["status"] = json!({ "loadBalancer": {} });
    }
    let way = text(object, "/spec/type").to_owned();
    if way == "ExternalName" {
        return Ok(());
    }
    if let Some(old) = old {
        for field in ["clusterIP", "clusterIPs", "ipFamilyPolicy"] {
            let unset = object["spec"].get(field).is_none_or(Value::is_null);
            if let Some(value) = old["spec"].get(field).filter(|_| unset) {
                object["spec"][field] = value.clone();
            }
        }
        // One who speaks of the first address alone means both fields.
        let (now, before) = (&object["spec"], &old["spec"]);
        if now["clusterIP"] != before["clusterIP"] && now["clusterIPs"] == before["clusterIPs"] {
            object["spec"]["clusterIPs"] = json!([now["clusterIP"]]);
        }
    }
    if text(object, "/spec/clusterIP").is_empty() {
        let address = next_address(state);
        object["spec"]["clusterIP"] = json!(address);
    }
    let address = object["spec"]["clusterIP"].clone();
    default(&mut object["spec"], "clusterIPs", json!([address]));
    assign_families(&mut object["spec"])
        .map_err(|causes| Status::invalid(kind, text(object, "/metadata/name"), causes))?;
    let balanced = object["spec"]["allocateLoadBalancerNodePorts"] != json!(false);
    if way == "NodePort" || way == "LoadBalancer" && balanced {
        allot_node_ports(state, object, old);
    }
    Ok(())
}

/// The cluster has addresses of one family; only endpoints that nobody selects may be of any.
fn assign_families(spec: &mut Value) -> Result<(), Vec<Cause>> {
    let selects = spec["selector"].as_object().is_some_and(|selector| !selector.is_empty());
    let any = spec["clusterIPs"][0] == json!("None") && !selects;
    default(spec, "ipFamilyPolicy", json!(if any { "RequireDualStack" } else { "SingleStack" }));
    let dual = spec["ipFamilyPolicy"] != json!("SingleStack");
    let mut causes = Vec::new();
    if dual && !any && spec["ipFamilyPolicy"] == json!("RequireDualStack") {
        let why = "this cluster is not configured for dual-stack services";
        causes.push(Cause::invalid("spec.ipFamilyPolicy", &spec["ipFamilyPolicy"], why));
    }
    for (at, family) in spec["ipFamilies"].as_array().into_iter().flatten().enumerate() {
        if !any && *family != json!("IPv4") {
            let path = format!("spec.ipFamilies[{at}]");
            causes.push(Cause::invalid(path, family, "not configured on this cluster"));
        }
    }
    let families = if any && dual { json!(["IPv4", "IPv6"]) } else { json!(["IPv4"]) };
    default(spec, "ipFamilies", families);
    if causes.is_empty() { Ok(()) } else { Err(causes) }
}

fn services_use(state: &State, matches: impl Fn(&Value) -> bool) -> bool {
    let shelf = state.store.shelf(&kinds::SERVICES);
    shelf.is_some_and(|shelf| shelf.objects.values().any(|service| matches(&service.value)))
}

fn next_address(state: &mut State) -> String {
    loop {
        let number = state.next_address;
        state.next_address += 1;
        let address = format!("10.96.{}.{}", number / 256 % 256, number % 256);
        if !services_use(state, |service| service["spec"]["clusterIP"] == json!(address)) {
            return address;
        }
    }
}

fn allot_node_ports(state: &mut State, object: &mut Value, old: Option<&Value>) {
    let ports = object["spec"]["ports"].as_array().cloned().unwrap_or_default();
    let mut done = Vec::new();
    for mut port in ports {
        if port["nodePort"].as_i64().unwrap_or(0) == 0 {
            let before = old.and_then(|old| old["spec"]["ports"].as_array()).into_iter().flatten();
            let kept = before
                .filter(|before| before["port"] == port["port"] && before["protocol"] == port["protocol"])
                .find_map(|before| before["nodePort"].as_i64());
            let number = kept.unwrap_or_else(|| next_port(state));
            port["nodePort"] = json!(number);
        }
        done.push(port);
    }
    object["spec"]["ports"] = Value::Array(done);
}

fn next_port(state: &mut State) -> i64 {
    loop {
        let number = 30_000 + i64::from(state.next_port % 2768);
        state.next_port += 1;
        let uses = |service: &Value| {
            service["spec"]["ports"]
                .as_array()
                .into_iter()
                .flatten()
                .any(|port| port["nodePort"] == json!(number))
        };
        if !services_use(state, uses) {
            return number;
        }
    }
}

/// A number, or a container port's name.
fn check_target(target: &Value, path: String, causes: &mut Vec<Cause>) {
    let whys: Vec<&str> = match target.as_str() {
        None if target.as_i64().is_some_and(|port| (1..=65535).contains(&port)) => Vec::new(),
        None => vec![PORT_NUMBER],
        Some(name) => port_name_errors(name),
    };
    causes.extend(whys.into_iter().map(|why| Cause::invalid(path.clone(), target, why)));
}

fn port_name_errors(name: &str) -> Vec<&'static str> {
    let mut whys = Vec::new();
    if name.len() > 15 {
        whys.push("must be no more than 15 characters");
    }
    if !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') {
        whys.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
    }
    if !name.chars().any(|c| c.is_ascii_lowercase()) {
        whys.push("must contain at least one letter (a-z)");
    }
    if name.contains("--") {
        whys.push("must not contain consecutive hyphens");
    }
    if name.starts_with('-') || name.ends_with('-') {
        whys.push("must not begin or end with a hyphen");
    }
    whys
}

pub(super) fn check_service(object: &Value, causes: &mut Vec<Cause>) {
    let spec = &object["spec"];
    let kind = text(spec, "/type");
    let kinds = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    if !kinds.contains(&kind) {
        let allowed: Vec<String> = kinds.iter().map(|kind| format!("\"{kind}\"")).collect();
        causes.push(Cause::unsupported("spec.type", &spec["type"], &allowed));
    }
    let empty = Vec::new();
    let ports = spec["ports"].as_array().unwrap_or(&empty);
    let headless = text(spec, "/clusterIP") == "None";
    if ports.is_empty() && !headless && kind != "ExternalName" {
        causes.push(Cause::required("spec.ports", ""));
    }
    let mut names: Vec<&str> = Vec::new();
    let mut numbers = Vec::new();
    for (at, port) in ports.iter().enumerate() {
        let here = format!("spec.ports[{at}]");
        let name = text(port, "/name");
        if name.is_empty() && ports.len() > 1 {
            causes.push(Cause::required(format!("{here}.name"), ""));
        } else if !name.is_empty() {
            if let Some(why) = metadata::label_error(name) {
                causes.push(Cause::invalid(format!("{here}.name"), &json!(name), why));
            } else if names.contains(&name) {
                causes.push(Cause::duplicate(format!("{here}.name"), &json!(name)));
            }
        }
        names.push(name);
        if !port["port"].as_i64().is_some_and(|port| (1..=65535).contains(&port)) {
            causes.push(Cause::invalid(format!("{here}.port"), &port["port"], PORT_NUMBER));
        }
        check_target(&port["targetPort"], format!("{here}.targetPort"), causes);
        let identity = (port["port"].clone(), port["protocol"].clone());
        if numbers.contains(&identity) {
            let shown = json!({ "port": identity.0, "protocol": identity.1 });
            causes.push(Cause::duplicate(here, &shown));
        }
        numbers.push(identity);
    }
}

pub(super) fn check_service_update(new: &Value, old: &Value, causes: &mut Vec<Cause>) {
    let had = !text(old, "/spec/clusterIP").is_empty() && text(old, "/spec/type") != "ExternalName";
    if had && text(new, "/spec/type") != "ExternalName" {
        let why = "may not change once set";
        immutable("spec.clusterIPs[0]", &new["spec"]["clusterIPs"], &old["spec"]["clusterIPs"], why, causes);
    }
}
