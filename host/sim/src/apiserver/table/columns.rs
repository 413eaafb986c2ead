//! The columns of the built-in kinds.

use serde_json::{Value, json};

use super::{age_of, definition, human_duration};
use crate::apiserver::kinds::Kind;
use crate::apiserver::selector::LabelSelector;
use crate::walk::text;

/// A column: its head and how a cell is made.
pub(super) struct Column {
    name: &'static str,
    kind: &'static str,
    wide: bool,
    pub(super) cell: fn(&Value, i64) -> Value,
}

impl Column {
    pub(super) fn definition(&self) -> Value {
        let format = if self.name == "Name" { "name" } else { "" };
        definition(self.name, self.kind, format, "", i64::from(self.wide))
    }
}

const fn column(name: &'static str, cell: fn(&Value, i64) -> Value) -> Column {
    Column { name, kind: "string", wide: false, cell }
}

const fn number(name: &'static str, cell: fn(&Value, i64) -> Value) -> Column {
    Column { name, kind: "integer", wide: false, cell }
}

const fn wide(name: &'static str, cell: fn(&Value, i64) -> Value) -> Column {
    Column { name, kind: "string", wide: true, cell }
}

fn or_none(text: &str) -> Value {
    json!(if text.is_empty() { "<none>" } else { text })
}

fn at(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}

fn list<'a>(object: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    object.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

const NAME: Column = column("Name", |object, _| json!(text(object, "/metadata/name")));
const AGE: Column = column("Age", |object, now| {
    json!(age_of(object["metadata"]["creationTimestamp"].as_str(), now, "<unknown>"))
});

const PLAIN: &[Column] = &[NAME, AGE];

const POD: &[Column] = &[
    NAME,
    column("Ready", |pod, _| {
        let total = list(pod, "/spec/containers").count();
        let ready =
            list(pod, "/status/containerStatuses").filter(|status| status["ready"] == json!(true)).count();
        json!(format!("{ready}/{total}"))
    }),
    column("Status", |pod, _| json!(pod_status(pod))),
    column("Restarts", |pod, now| json!(pod_restarts(pod, now))),
    AGE,
    wide("IP", |pod, _| or_none(text(pod, "/status/podIP"))),
    wide("Node", |pod, _| or_none(text(pod, "/spec/nodeName"))),
    wide("Nominated Node", |pod, _| or_none(text(pod, "/status/nominatedNodeName"))),
    wide("Readiness Gates", |pod, _| {
        let gates: Vec<&str> =
            list(pod, "/spec/readinessGates").map(|gate| text(gate, "/conditionType")).collect();
        let met = |gate: &&&str| {
            list(pod, "/status/conditions")
                .any(|condition| text(condition, "/type") == **gate && text(condition, "/status") == "True")
        };
        let met = gates.iter().filter(met).count();
        if gates.is_empty() { json!("<none>") } else { json!(format!("{met}/{}", gates.len())) }
    }),
];

fn pod_status(pod: &Value) -> String {
    let mut reason = text(pod, "/status/phase").to_owned();
    if !text(pod, "/status/reason").is_empty() {
        text(pod, "/status/reason").clone_into(&mut reason);
    }
    if list(pod, "/spec/schedulingGates").next().is_some()
        && list(pod, "/status/conditions").any(|condition| text(condition, "/reason") == "SchedulingGated")
    {
        "SchedulingGated".clone_into(&mut reason);
    }
    let inits = list(pod, "/spec/initContainers").count();
    let mut initializing = false;
    for (at_init, status) in list(pod, "/status/initContainerStatuses").enumerate() {
        let ended = &status["state"]["terminated"];
        if ended.is_object() && at(ended, "/exitCode") == 0
            || status["started"] == json!(true) && is_sidecar(pod, at_init)
        {
            continue;
        }
        initializing = true;
        reason = if ended.is_object() {
            match text(ended, "/reason") {
                "" => format!("Init:ExitCode:{}", at(ended, "/exitCode")),
                why => format!("Init:{why}"),
            }
        } else {
            match text(status, "/state/waiting/reason") {
                "" | "PodInitializing" => format!("Init:{at_init}/{inits}"),
                why => format!("Init:{why}"),
            }
        };
        break;
    }
    if !initializing {
        let mut running = false;
        for status in list(pod, "/status/containerStatuses") {
            let ended = &status["state"]["terminated"];
            let waiting = text(status, "/state/waiting/reason");
            if !waiting.is_empty() {
                waiting.clone_into(&mut reason);
            } else if ended.is_object() {
                reason = match text(ended, "/reason") {
                    "" => format!("ExitCode:{}", at(ended, "/exitCode")),
                    why => why.to_owned(),
                };
            } else if status["ready"] == json!(true) && status["state"]["running"].is_object() {
                running = true;
            }
        }
        if reason == "Completed" && running {
            let ready = list(pod, "/status/conditions")
                .any(|condition| text(condition, "/type") == "Ready" && text(condition, "/status") == "True");
            (if ready { "Running" } else { "NotReady" }).clone_into(&mut reason);
        }
    }
    let ended = matches!(text(pod, "/status/phase"), "Failed" | "Succeeded");
    if !pod["metadata"]["deletionTimestamp"].is_null() {
        if text(pod, "/status/reason") == "NodeLost" {
            return "Unknown".to_owned();
        }
        if !ended {
            return "Terminating".to_owned();
        }
    }
    reason
}

fn is_sidecar(pod: &Value, at_init: usize) -> bool {
    list(pod, "/spec/initContainers")
        .nth(at_init)
        .is_some_and(|container| text(container, "/restartPolicy") == "Always")
}

fn pod_restarts(pod: &Value, now: i64) -> String {
    let count: i64 = list(pod, "/status/containerStatuses").map(|status| at(status, "/restartCount")).sum();
    let last = list(pod, "/status/containerStatuses")
        .filter_map(|status| crate::clock::parse_timestamp(text(status, "/lastState/terminated/finishedAt")))
        .max();
    match last.filter(|_| count > 0) {
        Some(then) => format!("{count} ({} ago)", human_duration((now - then) / 1000)),
        None => count.to_string(),
    }
}

fn modes(object: &Value, pointer: &str) -> String {
    let short = |mode: &Value| match mode.as_str().unwrap_or("") {
        "ReadWriteOnce" => "RWO",
        "ReadOnlyMany" => "ROX",
        "ReadWriteMany" => "RWX",
        "ReadWriteOncePod" => "RWOP",
        _ => "",
    };
    list(object, pointer).map(short).collect::<Vec<_>>().join(",")
}

const CLAIM: &[Column] = &[
    NAME,
    column("Status", |claim, _| {
        let terminating = !claim["metadata"]["deletionTimestamp"].is_null();
        json!(if terminating { "Terminating" } else { text(claim, "/status/phase") })
    }),
    column("Volume", |claim, _| json!(text(claim, "/spec/volumeName"))),
    column("Capacity", |claim, _| {
        let bound = !text(claim, "/spec/volumeName").is_empty();
        json!(if bound { text(claim, "/status/capacity/storage") } else { "" })
    }),
    column("Access Modes", |claim, _| {
        let bound = !text(claim, "/spec/volumeName").is_empty();
        json!(if bound { modes(claim, "/status/accessModes") } else { String::new() })
    }),
    column("StorageClass", |claim, _| json!(text(claim, "/spec/storageClassName"))),
    column("VolumeAttributesClass", |claim, _| {
        json!(match text(claim, "/spec/volumeAttributesClassName") {
            "" => "<unset>",
            class => class,
        })
    }),
    AGE,
    wide("VolumeMode", |claim, _| {
        json!(match text(claim, "/spec/volumeMode") {
            "" => "<unset>",
            mode => mode,
        })
    }),
];

const VOLUME: &[Column] = &[
    NAME,
    column("Capacity", |volume, _| json!(text(volume, "/spec/capacity/storage"))),
    column("Access Modes", |volume, _| json!(modes(volume, "/spec/accessModes"))),
    column("Reclaim Policy", |volume, _| json!(text(volume, "/spec/persistentVolumeReclaimPolicy"))),
    column("Status", |volume, _| {
        let terminating = !volume["metadata"]["deletionTimestamp"].is_null();
        json!(if terminating { "Terminating" } else { text(volume, "/status/phase") })
    }),
    column("Claim", |volume, _| {
        let claim = &volume["spec"]["claimRef"];
        json!(if claim.is_object() {
            format!("{}/{}", text(claim, "/namespace"), text(claim, "/name"))
        } else {
            String::new()
        })
    }),
    column("StorageClass", |volume, _| json!(text(volume, "/spec/storageClassName"))),
    column("VolumeAttributesClass", |volume, _| {
        json!(match text(volume, "/spec/volumeAttributesClassName") {
            "" => "<unset>",
            class => class,
        })
    }),
    column("Reason", |volume, _| json!(text(volume, "/status/reason"))),
    AGE,
    wide("VolumeMode", |volume, _| {
        json!(match text(volume, "/spec/volumeMode") {
            "" => "<unset>",
            mode => mode,
        })
    }),
];

const NODE: &[Column] = &[
    NAME,
    column("Status", |node, _| {
        let ready = list(node, "/status/conditions").find(|condition| text(condition, "/type") == "Ready");
        let mut words = vec![match ready.map(|condition| text(condition, "/status")) {
            Some("True") => "Ready",
            Some(_) => "NotReady",
            None => "Unknown",
        }];
        if node["spec"]["unschedulable"] == json!(true) {
            words.push("SchedulingDisabled");
        }
        json!(words.join(","))
    }),
    column("Roles", |node, _| {
        let labels = node["metadata"]["labels"].as_object().into_iter().flatten();
        let roles: Vec<&str> =
            labels.filter_map(|(key, _)| key.strip_prefix("node-role.kubernetes.io/")).collect();
        or_none(&roles.join(","))
    }),
    AGE,
    column("Version", |node, _| json!(text(node, "/status/nodeInfo/kubeletVersion"))),
    wide("Internal-IP", |node, _| address(node, "InternalIP")),
    wide("External-IP", |node, _| address(node, "ExternalIP")),
    wide("OS-Image", |node, _| {
        json!(match text(node, "/status/nodeInfo/osImage") {
            "" => "<unknown>",
            image => image,
        })
    }),
    wide("Kernel-Version", |node, _| {
        json!(match text(node, "/status/nodeInfo/kernelVersion") {
            "" => "<unknown>",
            version => version,
        })
    }),
    wide("Container-Runtime", |node, _| {
        json!(match text(node, "/status/nodeInfo/containerRuntimeVersion") {
            "" => "<unknown>",
            version => version,
        })
    }),
];

fn address(node: &Value, kind: &str) -> Value {
    let found = list(node, "/status/addresses").find(|address| text(address, "/type") == kind);
    or_none(found.map_or("", |address| text(address, "/address")))
}

fn images(object: &Value) -> Value {
    json!(
        list(object, "/spec/template/spec/containers")
            .map(|container| text(container, "/image"))
            .collect::<Vec<_>>()
            .join(",")
    )
}

fn containers(object: &Value) -> Value {
    json!(
        list(object, "/spec/template/spec/containers")
            .map(|container| text(container, "/name"))
            .collect::<Vec<_>>()
            .join(",")
    )
}

fn selector(object: &Value) -> Value {
    let shown = LabelSelector::of_object(&object["spec"]["selector"]).to_string();
    or_none(&shown)
}

const DEPLOYMENT: &[Column] = &[
    NAME,
    column("Ready", |object, _| {
        json!(format!("{}/{}", at(object, "/status/readyReplicas"), at(object, "/spec/replicas")))
    }),
    number("Up-to-date", |object, _| json!(at(object, "/status/updatedReplicas"))),
    number("Available", |object, _| json!(at(object, "/status/availableReplicas"))),
    AGE,
    wide("Containers", |object, _| containers(object)),
    wide("Images", |object, _| images(object)),
    wide("Selector", |object, _| selector(object)),
];

const REPLICA_SET: &[Column] = &[
    NAME,
    number("Desired", |object, _| json!(at(object, "/spec/replicas"))),
    number("Current", |object, _| json!(at(object, "/status/replicas"))),
    number("Ready", |object, _| json!(at(object, "/status/readyReplicas"))),
    AGE,
    wide("Containers", |object, _| containers(object)),
    wide("Images", |object, _| images(object)),
    wide("Selector", |object, _| selector(object)),
];

const SERVICE: &[Column] = &[
    NAME,
    column("Type", |service, _| json!(text(service, "/spec/type"))),
    column("Cluster-IP", |service, _| or_none(text(service, "/spec/clusterIP"))),
    column("External-IP", |service, _| {
        let outside: Vec<&str> = list(service, "/status/loadBalancer/ingress")
            .map(|ingress| {
                if text(ingress, "/ip").is_empty() {
                    text(ingress, "/hostname")
                } else {
                    text(ingress, "/ip")
                }
            })
            .collect();
        match text(service, "/spec/type") {
            "ExternalName" => json!(text(service, "/spec/externalName")),
            "LoadBalancer" if outside.is_empty() => json!("<pending>"),
            _ => or_none(&outside.join(",")),
        }
    }),
    column("Port(s)", |service, _| {
        let show = |port: &Value| {
            let protocol = text(port, "/protocol");
            match at(port, "/nodePort") {
                0 => format!("{}/{protocol}", at(port, "/port")),
                node => format!("{}:{node}/{protocol}", at(port, "/port")),
            }
        };
        or_none(&list(service, "/spec/ports").map(show).collect::<Vec<_>>().join(","))
    }),
    AGE,
    wide("Selector", |service, _| {
        let pairs = service["spec"]["selector"].as_object().into_iter().flatten();
        or_none(
            &pairs
                .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or("")))
                .collect::<Vec<_>>()
                .join(","),
        )
    }),
];

const EVENT: &[Column] = &[
    column("Last Seen", |event, now| {
        let fields = [
            "/series/lastObservedTime",
            "/lastTimestamp",
            "/eventTime",
            "/firstTimestamp",
            "/deprecatedLastTimestamp",
        ];
        let last = fields.iter().map(|field| text(event, field)).find(|text| !text.is_empty());
        json!(age_of(last, now, "<unknown>"))
    }),
    column("Type", |event, _| json!(text(event, "/type"))),
    column("Reason", |event, _| json!(text(event, "/reason"))),
    column("Object", |event, _| {
        let object =
            if event["regarding"].is_object() { &event["regarding"] } else { &event["involvedObject"] };
        json!(format!("{}/{}", text(object, "/kind").to_lowercase(), text(object, "/name")))
    }),
    column("Message", |event, _| {
        json!(if event["note"].is_string() { text(event, "/note") } else { text(event, "/message") }.trim())
    }),
];

const SECRET: &[Column] = &[
    NAME,
    column("Type", |secret, _| json!(text(secret, "/type"))),
    number("Data", |secret, _| json!(secret["data"].as_object().map_or(0, |data| data.len()))),
    AGE,
];

const CONFIG_MAP: &[Column] = &[
    NAME,
    number("Data", |map, _| {
        json!(
            ["data", "binaryData"]
                .iter()
                .map(|field| map[*field].as_object().map_or(0, |data| data.len()))
                .sum::<usize>()
        )
    }),
    AGE,
];

const JOB: &[Column] = &[
    NAME,
    column("Status", |job, _| {
        let has = |kind: &str| {
            list(job, "/status/conditions")
                .any(|condition| text(condition, "/type") == kind && text(condition, "/status") == "True")
        };
        json!(if has("Complete") {
            "Complete"
        } else if has("Failed") {
            "Failed"
        } else if !job["metadata"]["deletionTimestamp"].is_null() {
            "Terminating"
        } else if has("Suspended") {
            "Suspended"
        } else if has("FailureTarget") {
            "FailureTarget"
        } else if has("SuccessCriteriaMet") {
            "SuccessCriteriaMet"
        } else {
            "Running"
        })
    }),
    column("Completions", |job, _| {
        let done = at(job, "/status/succeeded");
        match job["spec"]["completions"].as_i64() {
            Some(wanted) => json!(format!("{done}/{wanted}")),
            None => json!(format!("{done}/1 of {}", at(job, "/spec/parallelism"))),
        }
    }),
    column("Duration", |job, now| {
        let start = crate::clock::parse_timestamp(text(job, "/status/startTime"));
        let end = crate::clock::parse_timestamp(text(job, "/status/completionTime"));
        json!(start.map_or_else(String::new, |start| human_duration((end.unwrap_or(now) - start) / 1000)))
    }),
    AGE,
];

const BUDGET: &[Column] = &[
    NAME,
    column("Min Available", |budget, _| or_na(&budget["spec"]["minAvailable"])),
    column("Max Unavailable", |budget, _| or_na(&budget["spec"]["maxUnavailable"])),
    number("Allowed Disruptions", |budget, _| json!(at(budget, "/status/disruptionsAllowed"))),
    AGE,
];

fn or_na(value: &Value) -> Value {
    match value {
        Value::Null => json!("N/A"),
        Value::String(text) => json!(text),
        other => json!(other.to_string()),
    }
}

const NAMESPACE: &[Column] =
    &[NAME, column("Status", |namespace, _| json!(text(namespace, "/status/phase"))), AGE];

const CLASS: &[Column] = &[
    column("Name", |class, _| {
        let mark = class["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"].as_str();
        let name = text(class, "/metadata/name");
        json!(if mark == Some("true") { format!("{name} (default)") } else { name.to_owned() })
    }),
    column("Provisioner", |class, _| json!(text(class, "/provisioner"))),
    column("ReclaimPolicy", |class, _| json!(text(class, "/reclaimPolicy"))),
    column("VolumeBindingMode", |class, _| json!(text(class, "/volumeBindingMode"))),
    column("AllowVolumeExpansion", |class, _| json!(class["allowVolumeExpansion"] == json!(true))),
    AGE,
];

const LEASE: &[Column] =
    &[NAME, column("Holder", |lease, _| json!(text(lease, "/spec/holderIdentity"))), AGE];

const ATTACHMENT: &[Column] = &[
    NAME,
    column("Attacher", |object, _| json!(text(object, "/spec/attacher"))),
    column("PV", |object, _| json!(text(object, "/spec/source/persistentVolumeName"))),
    column("Node", |object, _| json!(text(object, "/spec/nodeName"))),
    column("Attached", |object, _| json!(object["status"]["attached"] == json!(true))),
    AGE,
];

const DEFINITION: &[Column] =
    &[NAME, column("Created At", |object, _| json!(text(object, "/metadata/creationTimestamp")))];

pub(super) fn of(kind: &Kind) -> &'static [Column] {
    match &*kind.id.resource {
        "pods" => POD,
        "persistentvolumeclaims" => CLAIM,
        "persistentvolumes" => VOLUME,
        "nodes" => NODE,
        "deployments" => DEPLOYMENT,
        "replicasets" => REPLICA_SET,
        "services" => SERVICE,
        "events" => EVENT,
        "secrets" => SECRET,
        "configmaps" => CONFIG_MAP,
        "jobs" => JOB,
        "poddisruptionbudgets" => BUDGET,
        "namespaces" => NAMESPACE,
        "storageclasses" => CLASS,
        "volumeattachments" => ATTACHMENT,
        "leases" => LEASE,
        "customresourcedefinitions" => DEFINITION,
        _ => PLAIN,
    }
}
