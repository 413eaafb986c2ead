//! What no two servers have alike, replaced by what they must: the same new version in the same answers, the same UID.

use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::{Map, Value, json};

use crate::server::{Answer, EXPIRED};

static TIME: LazyLock<Regex> = LazyLock::new(|| regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"));
static UID: LazyLock<Regex> =
    LazyLock::new(|| regex(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"));
static GENERATED: LazyLock<Regex> = LazyLock::new(|| regex(r"(made-\d+-)[a-z0-9]{1,5}"));
static VERSION: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(ResourceVersion in precondition: |ResourceVersion in object meta: |resource version: |the ResourceVersion in the precondition \(|the ResourceVersion in record \()\d+( \(\d+\))?",
    )
});

/// The whole object in Go's order of fields.
static PATCHED: LazyLock<Regex> =
    LazyLock::new(|| regex(r#"(?s)(^|patch: )(Invalid value: )"(?:\{.*\}|map\[.*\])"(: )"#));
/// A budget's spec or a strategy by Go's own names of their fields.
static GO_NAMED: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r#"(?s)(Invalid value: |Unsupported value: )\{.*\}(: minAvailable and maxUnavailable|: supported values: "Recreate")"#,
    )
});
/// A Job's template by Go's own names of its fields.
static GO_TEMPLATE: LazyLock<Regex> = LazyLock::new(|| {
    regex(r#"(?s)(Invalid value: )\{"(?:labels|metadata|Spec|spec)":.*\}(: field is immutable)"#)
});
/// What Go says of a value of another JSON type, by its own types' names.
static GO_TYPE: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(json: cannot unmarshal |cannot restore [a-z]+ from |cannot convert [a-z0-9]+ to |unrecognized type: ).*",
    )
});
/// Where in its machinery the real server found out.
static FRAME: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        "StorageError: invalid object, Code: 4, Key: [^,]+, ResourceVersion: 0, AdditionalErrorMsg: |error decoding from json: ",
    )
});
/// What of an apply's configuration is of no type: where the walk over Go's maps begins decides how much is told.
static UNTYPED: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(?s)(failed to create typed patch object \([^)]*\)): .*"));
/// What changed of a Pod, in Go's own names of the fields.
static GO_DIFF: LazyLock<Regex> = LazyLock::new(|| regex(r"(?s)\n@@ .*"));

#[expect(clippy::unwrap_used, reason = "constant patterns, each used by the first sequence")]
fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap()
}

/// What a server's own values have been called so far, each by when it was first seen.
#[derive(Clone, Default)]
pub(super) struct Names {
    versions: Vec<String>,
    uids: Vec<String>,
}

fn called(known: &mut Vec<String>, what: &str, value: &str) -> String {
    let at = known.iter().position(|k| k == value).unwrap_or_else(|| {
        known.push(value.to_owned());
        known.len() - 1
    });
    format!("{what} {at}")
}

impl Names {
    /// The answer as the other server could have given it.
    pub(super) fn forget(&mut self, answer: &Answer) -> Answer {
        let mut answer = answer.clone();
        for warning in &mut answer.warnings {
            *warning = self.text(warning);
        }
        let is_list = |value: &Value| value["kind"].as_str().is_some_and(|kind| kind.ends_with("List"));
        // An expired list is told with a token as well.
        if is_list(&answer.body) || answer.code == EXPIRED {
            forget_place(&mut answer.body);
        }
        if let Some(events) = answer.body.as_array_mut() {
            // The real server sends bookmarks when it likes; it promises the one after the initial events.
            let promised = |event: &Value| event["object"]["metadata"].get("annotations").is_some();
            events.retain(|event| event["type"] != "BOOKMARK" || promised(event));
            for event in events.iter_mut().filter(|event| event["type"] == "BOOKMARK") {
                forget_place(&mut event["object"]);
            }
            // In which order a whole collection goes is the server's own.
            let name = |event: &Value| event["object"]["metadata"]["name"].to_string();
            for together in events.chunk_by_mut(|a, b| a["type"] == "DELETED" && b["type"] == "DELETED") {
                together.sort_by_key(name);
            }
        }
        self.value(&mut answer.body);
        forget_order(&mut answer.body);
        answer
    }

    fn value(&mut self, value: &mut Value) {
        match value {
            Value::Object(map) => self.map(map),
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::String(text) => *text = self.text(text),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn map(&mut self, map: &mut Map<String, Value>) {
        if let Some(Value::Array(owners)) = map.get_mut("managedFields") {
            // In the order of their times, which are the servers' own.
            let key = |owner: &Value| {
                ["operation", "manager", "subresource", "apiVersion"].map(|field| owner[field].to_string())
            };
            owners.sort_by_key(key);
            owners.retain_mut(still_owns);
        }
        for (name, child) in map.iter_mut() {
            match (name.as_str(), &*child) {
                ("resourceVersion", Value::String(version)) if version.parse::<u64>().is_ok() => {
                    *child = json!(called(&mut self.versions, "version", version));
                }
                ("clusterIP", Value::String(ip)) if ip != "None" && !ip.is_empty() => *child = json!("an IP"),
                ("clusterIPs", Value::Array(ips)) if ips.first().is_some_and(|ip| ip != "None") => {
                    *child = json!(["an IP"]);
                }
                _ => self.value(child),
            }
        }
        let fields = std::mem::take(map);
        *map = fields.into_iter().map(|(name, child)| (self.text(&name), child)).collect();
    }

    fn text(&mut self, text: &str) -> String {
        let text = TIME.replace_all(text, "a time");
        let text = GENERATED.replace_all(&text, "${1}xxxxx");
        let text = VERSION.replace_all(&text, "${1}a version");
        let text = PATCHED.replace_all(&text, "${1}${2}a patched object${3}");
        let text = GO_NAMED.replace_all(&text, "${1}an object${2}");
        let text = GO_TEMPLATE.replace_all(&text, "${1}a template${2}");
        let text = GO_TYPE.replace_all(&text, "another JSON type");
        let text = FRAME.replace_all(&text, "");
        let text = GO_DIFF.replace_all(&text, "");
        let text = UNTYPED.replace_all(&text, "${1}");
        UID.replace_all(&text, |found: &Captures<'_>| called(&mut self.uids, "uid", &found[0])).into_owned()
    }
}

/// A difference that stays: that an object is being deleted is owned by `before-first-apply` alone, and the real
/// server takes it away again when that object is replaced without it, where the played one keeps it.
const OF_DELETION: [&str; 2] = ["f:deletionTimestamp", "f:deletionGracePeriodSeconds"];

/// Whether an owner owns anything but [`OF_DELETION`], which it loses.
fn still_owns(owner: &mut Value) -> bool {
    let Some(fields) = owner["fieldsV1"].as_object_mut() else { return true };
    let Some(metadata) = fields.get_mut("f:metadata").and_then(Value::as_object_mut) else { return true };
    let before = metadata.len();
    metadata.retain(|name, _| !OF_DELETION.contains(&name.as_str()));
    if metadata.is_empty() && before > 0 {
        fields.remove("f:metadata");
    }
    !fields.is_empty()
}

/// The real server walks maps in any order and says some things twice.
fn forget_order(status: &mut Value) {
    let Some(causes) = status.pointer_mut("/details/causes").and_then(Value::as_array_mut) else { return };
    // Of a claim that loses its only request the real server knows whether an empty map is left, and calls its spec
    // changed only if none is; the played one drops empty maps. It is refused in either case.
    let asks_nothing = |cause: &Value| {
        cause["field"] == "spec.resources[storage]" && cause["reason"] == "FieldValueRequired"
    };
    if causes.iter().any(asks_nothing) {
        causes.retain(|cause| cause["field"] != "spec");
    }
    causes.sort_by_key(Value::to_string);
    causes.dedup();
    if causes.len() > 1
        && let Some(Value::String(message)) = status.get_mut("message")
        && let Some(end) = message.find(": [")
    {
        message.truncate(end);
    }
}

/// How far a list or a watch goes is the whole server's, not this namespace's.
fn forget_place(list: &mut Value) {
    let Some(metadata) = list.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    for field in ["resourceVersion", "continue"] {
        if let Some(Value::String(text)) = metadata.get_mut(field)
            && !text.is_empty()
        {
            *text = "some".to_owned();
        }
    }
}
